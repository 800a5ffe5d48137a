"""Write docs/performance.md: ``python benchmarks/plot_performance.py --help``.
"""
import sys
from pathlib import Path

import lgh_mmpose  # noqa: F401  (wherever it is installed)

if __name__ == '__main__':
    # from whatever folder it is started
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from benchmarks.page.command import main
    main()
