import ast
import json
import os
import shutil
import stat
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from helpers import REPO_ROOT, run_command, write_toy_export
from mmengine.config import Config

import lgh_mmpose

# -- what is installed -------------------------------------------------------

LOOK_UP = '''
import mim.utils, mmengine.utils, lgh_mmpose
print(mmengine.utils.get_installed_path('lgh_mmpose'))
print(mim.utils.get_installed_path('lgh_mmpose'))
print(lgh_mmpose.__path__[0])
from lgh_mmpose.rendering import HandModel
HandModel()  # finds the hand
'''

GET_CONFIG = '''
import lgh_mmpose
from mim.commands.search import get_model_info
from mmengine.hub import get_config
from mmengine.infer import BaseInferencer
name = 'lgh_mmpose::configs/lgh_studiohand.py'
print('head:', get_config(name).model.head.type)
base = get_config('lgh_mmpose::_base_/models/lgh_lite.py')
print('stages:', base.model.backbone.num_stages)
print('mim:', *get_model_info('lgh_mmpose').index)
print('mmengine:', *BaseInferencer.list_models('lgh_mmpose'))
'''


@pytest.fixture(params=['editable', 'wheel'])
def python(request):
    if request.param == 'wheel':
        return request.getfixturevalue('wheel_python')
    if Path(lgh_mmpose.__file__).resolve().parents[1] != REPO_ROOT:
        pytest.skip('the running install is not an editable one')
    return sys.executable


def source_files(*names):
    """Relative paths of what an install must provide under ``.mim``."""
    files = set()
    for name in names:
        path = REPO_ROOT / name
        found = path.rglob('*') if path.is_dir() else [path]
        files |= {
            str(file.relative_to(REPO_ROOT))
            for file in found
            if file.is_file() and '__pycache__' not in file.parts
        }
    return files


def test_mim_and_mmengine_find_the_package(python, tmp_path):
    lines = run_command(python, '-c', LOOK_UP, cwd=tmp_path).stdout.split('\n')
    by_mmengine, by_mim, package = map(Path, lines[-4:-1])
    assert by_mmengine == by_mim
    assert by_mim.samefile(package)
    for name in source_files('tools', 'benchmarks', 'configs', 'assets',
                             'model-index.yml'):
        assert (by_mim / '.mim' / name).is_file(), name


def test_mim_and_mmengine_find_models_and_configs(python, tmp_path):
    lines = run_command(python, '-c', GET_CONFIG, cwd=tmp_path).stdout
    found = dict(
        line.split(': ', 1) for line in lines.splitlines()
        if line.startswith(('head:', 'stages:', 'mim:', 'mmengine:')))
    assert found == {
        'head':
        'GroupedJointHead',
        'stages':
        '3',
        'mim':
        'lgh_freihand lgh_studiohand lgh_hands_studiohand lgh_rhd '
        'lgh_rhd_official lgh_stb',
        'mmengine':
        'lgh_freihand lgh_studiohand lgh_hands_studiohand lgh-hand lgh_rhd '
        'lgh_rhd_official lgh_stb'
    }


def test_wheel_is_not_the_checkout(wheel_python, tmp_path):
    path = run_command(
        wheel_python,
        '-c',
        'import importlib.util as u; print(u.find_spec("lgh_mmpose").origin)',
        cwd=tmp_path).stdout.strip()
    assert REPO_ROOT not in Path(path).parents


def test_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {
            name
            for name in archive.namelist() if '.dist-info/' not in name
        }
    sources = {
        name
        for name in source_files('lgh_mmpose')
        if name.endswith(('.py', '.md', '.json', '.html', '.css', '.js',
                          '.onnx', '.pth')) and '.mim' not in Path(name).parts
    }
    extra = source_files('tools', 'benchmarks', 'configs', 'assets',
                         'model-index.yml')
    assert names == sources | {f'lgh_mmpose/.mim/{name}' for name in extra}


def test_source_distribution_holds_what_the_tests_and_make_need(sdist):
    wanted = source_files('.ci', '.dev_scripts', 'assets', 'benchmarks',
                          'configs', 'demo', 'docs', 'tests', 'tools',
                          'Makefile', 'README.md', 'mkdocs.yml')
    missing = {name for name in wanted if not (sdist / name).is_file()}
    assert not missing


def test_editable_install_links_instead_of_copying():
    mim = Path(lgh_mmpose.__file__).parent / '.mim'
    if not (REPO_ROOT / 'lgh_mmpose/.mim').samefile(mim):
        pytest.skip('the running install is not an editable one')
    for name in ('tools', 'benchmarks', 'configs', 'assets',
                 'model-index.yml'):
        assert (mim / name).samefile(REPO_ROOT / name)


def test_model_index_names_configs_that_load():
    root = yaml.safe_load((REPO_ROOT / 'model-index.yml').read_text())
    metafile, = root['Import']
    index = yaml.safe_load((REPO_ROOT / metafile).read_text())
    assert index['Models']
    collections = {entry['Name'] for entry in index['Collections']}
    for model in index['Models']:
        assert model['In Collection'] in collections
        cfg = Config.fromfile(REPO_ROOT / model['Config'])
        assert cfg.model.head.type == 'GroupedJointHead'


# -- the base install ---------------------------------------------------------

# of what the base install is to bring nothing
HEAVY = ('torch', 'mmpose', 'mmengine', 'mmcv', 'mmdet', 'matplotlib', 'scipy',
         'numba', 'PIL', 'setuptools')

LOOK_AROUND = f'''
import importlib, importlib.util, pkgutil, sys
print([name for name in {HEAVY} if importlib.util.find_spec(name)])
import lgh_mmpose
print(sorted({{*{HEAVY}, 'numpy', 'cv2'}} & {{*sys.modules}}))
above = {{f'lgh_mmpose.{{name}}' for name in lgh_mmpose.absent_modules.ABOVE}}
def walk(path, prefix):
    for module in pkgutil.iter_modules(path, prefix):
        name = module.name
        if name in above or name.split('.')[1] not in (
                lgh_mmpose.absent_modules.BASE_MODULES):
            continue
        print(name)
        found = importlib.import_module(name)
        if module.ispkg:
            walk(found.__path__, name + '.')
walk(lgh_mmpose.__path__, 'lgh_mmpose.')
print(sorted({{*{HEAVY}}} & {{*sys.modules}}))
print(lgh_mmpose.__path__[0])
'''


@pytest.fixture(params=['wheel', 'editable'])
def base_python(request, base_pythons):
    return base_pythons[request.param]


def test_the_base_install_alone(base_python, tmp_path):
    lines = run_command(
        base_python, '-c', LOOK_AROUND, cwd=tmp_path).stdout.splitlines()
    assert lines[0] == '[]'  # nothing heavy is installed
    assert lines[1] == '[]'  # and by itself the package imports nothing at all
    assert 'lgh_mmpose.inference.sources' in lines
    assert lines[-2] == '[]'
    assert not Path(lines[-1]).samefile(Path(lgh_mmpose.__file__).parent)


def test_the_base_install_finds_a_hand(base_python, tmp_path):
    uv = np.random.default_rng(0).uniform(5, 60, (21, 2))
    write_toy_export(tmp_path / 'exported', uv)
    cv2.imwrite(
        str(tmp_path / 'photo.jpg'), np.full((64, 64, 3), 90, np.uint8))
    run_command(
        *(base_python.parent / 'lgh-hands', 'photo.jpg'),
        *('--model', 'exported', '--json', 'hands.jsonl', '--out-dir', 'out'),
        cwd=tmp_path)
    frame, = map(json.loads, (tmp_path / 'hands.jsonl').open())
    hand, = frame['hands']
    # the input is the picture as it is
    assert np.allclose(hand['keypoints'], uv, atol=.01)
    assert cv2.imread(str(next((tmp_path / 'out').iterdir()))).ndim == 3
    code = '''
import cv2, lgh_mmpose
hands, = lgh_mmpose.HandPose('exported')(cv2.imread('photo.jpg'))
assert isinstance(hands, lgh_mmpose.Hands), hands
print(hands.to_dict()['hands'][0]['keypoints'])
'''
    printed = run_command(base_python, '-c', code, cwd=tmp_path).stdout
    assert json.loads(printed.splitlines()[-1]) == hand['keypoints']


def test_the_base_install_answers_with_the_models_that_ship(
        base_python, tmp_path):
    cv2.imwrite(
        str(tmp_path / 'wall.png'), np.full((200, 300, 3), 200, np.uint8))
    run_command(base_python.parent / 'lgh-hands', 'wall.png', cwd=tmp_path)
    frame, = map(json.loads, (tmp_path / 'hands/wall.jsonl').open())
    assert frame['hands'] == []
    assert (tmp_path / 'hands/wall.jpg').is_file()


def test_the_base_install_tells_what_a_config_needs(base_python, tmp_path):
    (tmp_path / 'config.py').touch()
    cv2.imwrite(str(tmp_path / 'photo.jpg'), np.zeros((64, 64, 3), np.uint8))
    result = run_command(
        *(base_python.parent / 'lgh-hands', 'photo.jpg'),
        *('--config', 'config.py', '--json', 'hands.jsonl'),
        cwd=tmp_path,
        check=False)
    assert result.stdout.startswith(
        'error: lgh_mmpose.inference.backends.torch needs torch and mmpose')
    assert result.stdout.count('\n') == 1


def test_what_the_base_install_lacks_is_told(base_python, tmp_path):
    code = '''
import importlib, lgh_mmpose
for name in ('datasets', 'apis', 'apis.hand_inferencer', 'visualization',
             'config', '__main__', 'camera', 'nothing'):
    try:
        importlib.import_module('lgh_mmpose.' + name)
    except ModuleNotFoundError as error:
        print(error)
for statement in ('from lgh_mmpose import datasets', 'lgh_mmpose.models',
                  'lgh_mmpose.nothing'):
    try:
        exec(statement)
    except (AttributeError, ImportError) as error:
        print(type(error).__name__, error)
'''
    needs = ("needs torch and mmpose, which are not installed: pip install "
             "'lgh_mmpose[openmmlab]' (Python 3.9 to 3.11)")
    lines = run_command(
        base_python, '-c', code, cwd=tmp_path).stdout.splitlines()
    assert lines == [
        f'lgh_mmpose.datasets {needs}',
        f'lgh_mmpose.apis {needs}',
        f'lgh_mmpose.apis {needs}',
        f'lgh_mmpose.visualization {needs}',
        f'lgh_mmpose.config {needs}',
        f'lgh_mmpose.__main__ {needs}',
        'lgh_mmpose.camera is now lgh_mmpose.geometry.camera',
        "No module named 'lgh_mmpose.nothing'",
        f'ModuleNotFoundError lgh_mmpose.datasets {needs}',
        f'AttributeError lgh_mmpose.models {needs}',
        "AttributeError module 'lgh_mmpose' has no attribute 'nothing'",
    ]
    result = run_command(
        base_python, '-m', 'lgh_mmpose', cwd=tmp_path, check=False)
    assert result.returncode != 0
    assert needs in result.stdout and 'Traceback' not in result.stdout


@pytest.mark.parametrize('tool', ['train', 'test', 'ablation', 'demo'])
def test_tools_tell_what_the_base_install_lacks(tool, base_pythons, tmp_path):
    python = base_pythons['wheel']
    lib, = python.parents[1].glob('lib/*/site-packages')
    result = run_command(
        *(python, lib / f'lgh_mmpose/.mim/tools/{tool}.py', '--help'),
        cwd=tmp_path,
        check=False)
    assert result.returncode != 0
    assert result.stdout == (
        'this needs torch and mmpose, which are not installed: pip install '
        "'lgh_mmpose[openmmlab]' (Python 3.9 to 3.11)\n")


def test_a_broken_mmpose_tells_its_own_error(base_pythons, tmp_path):
    (tmp_path / 'mmpose').mkdir()
    (tmp_path / 'mmpose/__init__.py'
     ).write_text('raise ImportError("libtoobad.so.7 is missing")')
    for name in ('torch', 'mmengine', 'mmengine/config', 'mmengine/device'):
        (tmp_path / name).mkdir()
        (tmp_path / name / '__init__.py'
         ).write_text('raise ImportError("libtoobad.so.7 is missing")')
    code = f'import sys; sys.path.insert(0, {str(tmp_path)!r}); ' \
        'import lgh_mmpose'
    result = run_command(
        base_pythons['wheel'], '-c', code, cwd=tmp_path.parent, check=False)
    assert result.stdout.endswith('ImportError: libtoobad.so.7 is missing\n')


def test_the_base_install_is_small(base_pythons, base_site_packages):

    def size(folder):
        return sum(path.stat().st_size for path in folder.rglob('*')
                   if path.is_file())

    package = base_pythons['wheel'].parents[1]
    # up to Python 3.10 ONNX Runtime brings SymPy
    limit = 310 if sys.version_info >= (3, 11) else 320
    assert size(base_site_packages) + size(package) < limit * 2**20


def imports(path):
    """Modules that a file of the package imports, and whether at once."""
    package = path.relative_to(REPO_ROOT).parent.parts
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            name = node.module or ''
            if node.level:
                parts = package[:len(package) - node.level + 1]
                name = '.'.join(parts + ((name, ) if name else ()))
            names = [name] if node.module else [
                f'{name}.{alias.name}' for alias in node.names
            ]
        else:
            continue
        for name in names:
            yield name, node in tree.body


@pytest.mark.parametrize('room, rooms, libraries', [
    ('geometry', {'geometry'}, {'numpy'}),
    ('inference', {
        'geometry', 'inference', 'fileio', 'reading', 'cpu', 'version'
    }, {'numpy', 'cv2', 'tqdm'}),
])
def test_imports_go_one_way(room, rooms, libraries):
    for path in sorted((REPO_ROOT / 'lgh_mmpose' / room).rglob('*.py')):
        if path.parent.name == 'backends' and path.stem in ('torch', 'mmdet'):
            continue
        for name, at_once in imports(path):
            parts = name.split('.')
            if parts[0] == 'lgh_mmpose':
                assert parts[1] in rooms, f'{path} imports {name}'
            elif at_once:
                assert parts[0] in sys.stdlib_module_names | libraries, \
                    f'{path} imports {name}'


# -- make --------------------------------------------------------------------

# stands in for a Python that can make virtual environments: it notes each call
# and lets `pip install` fail on demand
FAKE_PYTHON = '''#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
    "-m venv "*)
        mkdir -p "$3/bin"
        cp "$0" "$3/bin/python" ;;
    "-m pip --version") [ -z "$NO_PIP" ] ;;
    "-m pip install "*) exit ${PIP_FAILS:-0} ;;
    *'version("mmcv")'*) [ -n "$FULL_MMCV" ] ;;
    *version_info*) [ -z "$TOO_NEW" ] ;;
    -V) echo "Python 3.99" ;;
esac
'''

needs_make = pytest.mark.skipif(
    shutil.which('make') is None, reason='make is not installed')


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """The files of the set-up alone, and a Python that installs nothing."""
    # `make test` hands its own settings down to these
    for name in ('MAKEFLAGS', 'MFLAGS', 'MAKELEVEL', 'VENV', 'PYTHON',
                 'PYTEST_ARGS', 'DEMO_ARGS'):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / 'a checkout'
    (root / 'lgh_mmpose/.mim').mkdir(parents=True)
    (root / 'lgh_mmpose/.mim/model-index.yml').touch()
    for name in ('Makefile', 'setup.py', 'pyproject.toml'):
        shutil.copy(REPO_ROOT / name, root)
    shutil.copytree(REPO_ROOT / '.dev_scripts', root / '.dev_scripts')
    python = tmp_path / 'python'
    python.write_text(FAKE_PYTHON)
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return root


def make(checkout, *arguments, check=True, **environ):
    """Run ``make``; return its output and the calls of Python."""
    calls = checkout.parent / 'calls'
    calls.write_text('')
    defaults = dict(
        CALLS=str(calls), PIP_FAILS='0', NO_PIP='1', FULL_MMCV='', TOO_NEW='')
    result = run_command(
        *('make', f'PYTHON={checkout.parent / "python"}', *arguments),
        cwd=checkout,
        check=check,
        **{
            **defaults,
            **environ
        })
    return result, calls.read_text().splitlines()


def installs(calls):
    return [call for call in calls if call.startswith('-m pip install')]


@needs_make
def test_make_installs_once(checkout):
    _, calls = make(checkout, 'test', PYTEST_ARGS='-k nothing')
    assert '-m venv .venv' in calls
    install, = installs(calls)
    assert install.endswith('-e .[openmmlab,dev]')
    assert calls[-1] == '-m pytest -n 2 --dist loadfile -k nothing'

    _, calls = make(checkout, 'test')
    assert calls == ['-m pytest -n 2 --dist loadfile']
    _, calls = make(checkout, 'demo')
    assert calls == ['tools/demo.py']


@needs_make
def test_make_installs_again_when_the_requirements_change(checkout):
    make(checkout, 'install')
    os.utime(checkout / 'setup.py', (2**32, 2**32))
    _, calls = make(checkout, 'install')
    assert len(installs(calls)) == 1


@needs_make
def test_make_installs_again_when_the_links_are_gone(checkout):
    make(checkout, 'install')
    shutil.rmtree(checkout / 'lgh_mmpose/.mim')
    _, calls = make(checkout, 'install')
    assert len(installs(calls)) == 1


@needs_make
def test_interrupted_install_is_taken_up_again(checkout):
    result, calls = make(checkout, 'test', check=False, PIP_FAILS='1')
    assert result.returncode != 0
    assert not any('pytest' in call for call in calls)
    _, calls = make(checkout, 'test')
    assert len(installs(calls)) == 1
    assert calls[-1] == '-m pytest -n 2 --dist loadfile'


@needs_make
def test_a_failed_reinstall_leaves_no_stamp(checkout):
    make(checkout, 'install')
    os.utime(checkout / 'setup.py', (2**32, 2**32))
    result, _ = make(checkout, 'install', check=False, PIP_FAILS='1')
    assert result.returncode != 0
    # an older setup.py, put back, must not make the first stamp hold again
    os.utime(checkout / 'setup.py', (0, 0))
    os.utime(checkout / 'pyproject.toml', (0, 0))
    _, calls = make(checkout, 'install')
    assert len(installs(calls)) == 1


@needs_make
def test_venv_elsewhere_serves_one_checkout_at_a_time(checkout, tmp_path):
    other = tmp_path / 'other/a checkout'
    shutil.copytree(checkout, other)
    shutil.copy(tmp_path / 'python', tmp_path / 'other/python')
    venv = f'VENV={tmp_path}/venv'
    for root in (checkout, other, checkout):
        _, calls = make(root, 'install', venv)
        assert len(installs(calls)) == 1
    _, calls = make(checkout, 'install', venv)
    assert not calls
    assert not (checkout / '.venv').exists()


@needs_make
def test_full_mmcv_is_not_overwritten(checkout):
    _, calls = make(checkout, 'install', FULL_MMCV='1')
    install, = installs(calls)
    assert install.endswith('-e .[openmmlab-without-mmcv,dev]')


@needs_make
def test_missing_or_unfit_python_is_named(checkout):
    result, calls = make(checkout, 'install', 'PYTHON=python0.1', check=False)
    assert result.returncode != 0
    assert 'python0.1 is not installed; install Python 3.11' in result.stdout
    result, calls = make(checkout, 'install', check=False, TOO_NEW='1')
    assert result.returncode != 0
    assert 'is Python 3.99, but mmpose' in result.stdout
    assert not installs(calls)
    assert not (checkout / '.venv').exists()


def test_continuous_integration_tests(checkout):
    """``.ci/run`` works without a terminal and fails when the tests do."""
    shutil.copytree(REPO_ROOT / '.ci', checkout / '.ci')
    bin_dir = checkout.parent / 'bin'
    bin_dir.mkdir()
    log = checkout.parent / 'log'
    (bin_dir /
     'make').write_text(f'#!/bin/sh\necho "$*" >> {log}\nexit $MAKE_FAILS\n')
    (bin_dir / 'make').chmod(0o755)
    # nothing is installed for this test; a machine without apt is one, too
    (bin_dir / 'apt-get').write_text('#!/bin/sh\nexit 1\n')
    (bin_dir / 'apt-get').chmod(0o755)
    env = dict(PATH=f'{bin_dir}:{os.environ["PATH"]}', CI='true')
    python = checkout / '.venv/bin/python'
    python.parent.mkdir(parents=True)
    shutil.copy(checkout.parent / 'python', python)
    env['CALLS'] = str(checkout.parent / 'calls')

    passed = run_command(
        checkout / '.ci/run', cwd='/', MAKE_FAILS='0', check=False, **env)
    assert passed.returncode == 0, passed.stdout
    assert log.read_text().startswith('test\n')
    assert '-m pip check' in (checkout.parent / 'calls').read_text()
    failed = run_command(
        checkout / '.ci/run', cwd='/', MAKE_FAILS='1', check=False, **env)
    assert failed.returncode != 0
