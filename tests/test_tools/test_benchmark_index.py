import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*args):
    return subprocess.run(
        [sys.executable, 'tools/analysis_tools/benchmark_index.py', *args],
        cwd=ROOT,
        env=dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1'),
        capture_output=True,
        text=True)


def test_measures_both_data_sets():
    result = run('--num-samples', '8')
    assert result.returncode == 0, result.stderr
    ours, theirs = result.stdout.strip().splitlines()[-2:]
    assert ours.startswith('FreiHand3DDataset') and ' 8 samples' in ours
    assert theirs.startswith('FreiHandDataset') and ' 8 samples' in theirs


def test_number_that_does_not_divide_into_versions():
    result = run('--num-samples', '7')
    assert result.returncode != 0
    assert 'multiple of 4' in result.stderr
