import re
import sys

from helpers import REPO_ROOT, run_command

BENCHMARK = REPO_ROOT / 'tools/analysis_tools/benchmark_metric.py'


def test_measures_each_number_of_samples(tmp_path):
    output = run_command(
        *(sys.executable, BENCHMARK, REPO_ROOT / 'configs/lgh_synthhand.py'),
        *('--num-samples', 3, 8, '--batch-size', 2, '--repeats', 1),
        *('--cfg-options', 'test_evaluator.1.protocol=rhd'),
        cwd=tmp_path).stdout
    network, *metric = output.splitlines()[-3:]
    assert float(re.match(r'network: ([\d.]+) ms', network)[1]) > 0
    for line, number in zip(metric, (3, 8)):
        assert line.startswith(f'{number} samples: process ')
        share = re.search(r'([\d.]+) % of the network', line)
        assert float(share[1]) > 0
