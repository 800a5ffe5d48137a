"""Tables and plots of docs/performance.md from what benchmarks/run.py wrote.

    make bench BENCH_ARGS='--json docs/performance.json'
    make bench BENCH_ARGS='--scaling --json docs/performance_scaling.json'
    python benchmarks/plot_performance.py docs/performance.json \\
        docs/performance_scaling.json

In the page everything between ``<!-- NAME -->`` and ``<!-- end NAME -->`` is
replaced by the table of that name, its plot and a list of what it says; the
rest is written by hand.
"""
import argparse
import json
import re
from pathlib import Path
from typing import Dict

from lgh_mmpose.fileio import atomic_write, check_not_read

from ..table import SCHEMA
from .plots import draw
from .tables import (cases_table, environment_text, groups_text, growth_table,
                     limit_text, parts_table, processes_table, ratios_table,
                     stages_table)

DOCS = Path(__file__).resolve().parents[2] / 'docs'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('bench', help='json of benchmarks/run.py')
    parser.add_argument('scaling', help='json of benchmarks/run.py --scaling')
    parser.add_argument(
        '--page',
        default=DOCS / 'performance.md',
        help='page whose tables to replace (default: docs/performance.md)')
    parser.add_argument(
        '--out-dir',
        default=DOCS / 'images',
        help='folder of the plots, performance_*.png (default: docs/images)')
    return parser.parse_args()


def load(path: str) -> dict:
    """Figures of the benchmark.

    Raises:
        ValueError: If the file does not hold such.
    """
    try:
        result = json.loads(Path(path).read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f'cannot read {path}: {error}') from None
    if not isinstance(result, dict) or result.get('schema') != SCHEMA:
        raise ValueError(f'{path} is not what benchmarks/run.py writes '
                         f'(schema {SCHEMA})')
    return result


def fill(page: str, tables: Dict[str, str]) -> str:
    """Replace what stands between the marks of each table.

    Raises:
        ValueError: If the page lacks a mark.
    """
    for name, table in tables.items():
        pattern = f'(<!-- {name} -->\n).*?(<!-- end {name} -->)'
        page, count = re.subn(
            pattern,
            lambda match, table=table: f'{match[1]}{table}\n{match[2]}',
            page,
            flags=re.DOTALL)
        if count != 1:
            raise ValueError(f'the page must have <!-- {name} --> and '
                             f'<!-- end {name} --> once, has it {count} times')
    return page


def main() -> None:
    args = parse_args()
    try:
        check_not_read(args.page, [args.bench, args.scaling], '--page')
        bench, scaling = load(args.bench), load(args.scaling)
        page = fill(
            Path(args.page).read_text(),
            dict(
                environment=environment_text([bench, scaling]),
                ratios=ratios_table(bench),
                infer=cases_table(bench, ['infer', 'infer16'], True),
                step=cases_table(bench, ['step'], True),
                groups_cost=groups_text(bench),
                parts=parts_table(bench),
                conv=cases_table(bench, ['conv']),
                stages=stages_table(bench),
                rest=cases_table(bench,
                                 ['pipeline', 'index', 'metric', 'rendering']),
                limit=limit_text(bench),
                processes=processes_table(scaling),
                **{
                    what: growth_table(scaling, what)
                    for what in ('groups', 'size', 'batch', 'samples')
                }))
        draw(scaling, Path(args.out_dir))
        with atomic_write(args.page) as file:
            file.write(page.encode())
    except (ValueError, OSError) as error:
        raise SystemExit(f'error: {error}') from None
    print(f'wrote {args.page} and {args.out_dir}/performance_*.png')
