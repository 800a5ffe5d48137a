"""Runs what has moved to ``benchmarks`` under its old path, and says so."""
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# the others have kept their names
NEW_NAMES = {
    'benchmark.py': 'run.py',
    'benchmark_training.py': 'training_speed.py',
}


def forward(old: str) -> None:
    """Run a script, with the arguments of this one, where it lies now.

    Args:
        old (str): Path of the script that was called.
    """
    path = Path(old).resolve()
    new = ROOT / 'benchmarks' / NEW_NAMES.get(path.name, path.name)
    print(
        f'{path.relative_to(ROOT).as_posix()} has moved: from now on call '
        f'{new.relative_to(ROOT).as_posix()}, with the same options',
        file=sys.stderr)
    sys.argv[0] = str(new)
    sys.path.insert(0, str(new.parent))  # as when it is called itself
    runpy.run_path(str(new), run_name='__main__')
