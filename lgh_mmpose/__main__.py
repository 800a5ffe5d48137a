"""Run a tool of mmpose: ``python -m lgh_mmpose get_flops CONFIG``.

Some of mmpose's tools import its models before they read the config, which
fails under mmcv-lite. Here ``lgh_mmpose`` is imported first.
"""
import runpy
import sys
from pathlib import Path

import mmpose

TOOLS = Path(mmpose.__file__).parent / '.mim/tools'


def main() -> None:
    """Run the tool that is named, with the arguments behind it."""
    tools = {path.stem: path for path in sorted(TOOLS.rglob('*.py'))}
    name = sys.argv[1] if len(sys.argv) > 1 else None
    if name not in tools:
        raise SystemExit('usage: python -m lgh_mmpose TOOL [ARGUMENTS]\n'
                         f"mmpose's tools are {', '.join(tools)}")
    sys.argv = [str(tools[name]), *sys.argv[2:]]
    runpy.run_path(sys.argv[0], run_name='__main__')


if __name__ == '__main__':
    main()
