"""Moved to benchmarks/compare_mediapipe.py, which this runs."""
import runpy
from pathlib import Path

if __name__ == '__main__':
    tools = Path(__file__).resolve().parents[1]
    runpy.run_path(str(tools / 'moved.py'))['forward'](__file__)
