"""Measure the package: ``python benchmarks/run.py --help``."""
import sys
from pathlib import Path

import lgh_mmpose  # noqa: F401  (registers the components)

if __name__ == '__main__':
    # from whatever folder it is started
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from benchmarks.command import main
    main()
