"""What has moved to ``benchmarks`` is still found under its old path."""
import runpy

import pytest
from helpers import REPO_ROOT, run_script

MOVED = {
    'tools/benchmark.py': 'run.py',
    'tools/analysis_tools/benchmark_training.py': 'training_speed.py',
    'tools/analysis_tools/compare_mediapipe.py': 'compare_mediapipe.py',
    'tools/analysis_tools/measure_assumptions.py': 'measure_assumptions.py',
    'tools/analysis_tools/measure_jitter.py': 'measure_jitter.py',
    'tools/analysis_tools/plot_performance.py': 'plot_performance.py',
}


@pytest.mark.parametrize('old', MOVED)
def test_the_old_path_tells_the_new_one_and_runs_it(old, tmp_path):
    new = MOVED[old]
    result, expected = (
        run_script(REPO_ROOT / path, '--nonsense', cwd=tmp_path, check=False)
        for path in (old, f'benchmarks/{new}'))
    sentence = (f'{old} has moved: from now on call benchmarks/{new}, with '
                'the same options\n')
    # the program's own complaint, under its new name
    assert result.returncode == expected.returncode == 2
    assert f'usage: {new}' in expected.stdout
    assert result.stdout == sentence + expected.stdout


def test_arguments_are_handed_on(tmp_path):
    result = run_script(
        *(REPO_ROOT / 'tools/benchmark.py', '--only', 'infer/nothing'),
        cwd=tmp_path,
        check=False)
    assert "there is no 'infer/nothing'" in result.returncode


def test_old_paths_are_those_that_are_forwarded():
    """And no other file is in the way of the forwarding."""
    forwarding = {
        path.relative_to(REPO_ROOT).as_posix()
        for path in (REPO_ROOT / 'tools').rglob('*.py')
        if "['forward']" in path.read_text()
    }
    assert forwarding == set(MOVED)
    names = runpy.run_path(str(REPO_ROOT / 'tools/moved.py'))['NEW_NAMES']
    assert names.items() <= {
        old.split('/')[-1]: new
        for old, new in MOVED.items()
    }.items()
