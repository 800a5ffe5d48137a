"""Who knows whom: a report is made of pictures and figures, not they of it."""
import ast
from pathlib import Path

import pytest

import lgh_mmpose
from lgh_mmpose import report
from lgh_mmpose.visualization import report as former

PACKAGE = Path(lgh_mmpose.__file__).parent
FORMER = 'visualization/report.py'


def imported_modules(path):
    """Absolute names of what a module of the package imports."""
    parents = ('lgh_mmpose', *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parents[:len(parents) + 1 - node.level]
            module = '.'.join(
                [*(base if node.level else ()), *filter(None, [node.module])])
            yield module
            yield from (f'{module}.{alias.name}' for alias in node.names)


def test_imports_are_read_as_python_does():
    names = set(imported_modules(PACKAGE / 'report/writing.py'))
    assert {'shlex', 'lgh_mmpose.report.data', 'lgh_mmpose.fileio'} <= names
    names = set(imported_modules(PACKAGE / 'ablation/report.py'))
    assert 'lgh_mmpose.visualization.groups' in names


def test_nothing_else_in_the_package_knows_of_the_report():
    knowing = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob('*.py')
        if 'report' not in path.relative_to(PACKAGE).parts and '.mim' not in
        path.parts and any(name == 'lgh_mmpose.report'
                           or name.startswith('lgh_mmpose.report.')
                           for name in imported_modules(path))
    }
    assert knowing == {FORMER}


@pytest.mark.parametrize('name', report.__all__)
def test_the_former_place_leads_to_the_report(name):
    assert getattr(former, name) is getattr(report, name)
