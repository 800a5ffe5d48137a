"""The benchmark measures what it says; how fast anything is, is not tested."""
import json
import mmap
import runpy
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from helpers import REPO_ROOT, run_command, run_script

SCRIPT = REPO_ROOT / 'tools/benchmark.py'
PLOT = REPO_ROOT / 'tools/analysis_tools/plot_performance.py'


@pytest.fixture(scope='module')
def tool():
    return SimpleNamespace(**runpy.run_path(str(SCRIPT)))


@pytest.fixture(scope='module')
def bench(tmp_path_factory):
    """A run of one case of nearly every kind, in toy sizes."""
    folder = tmp_path_factory.mktemp('bench')
    output = run_command(
        *(sys.executable, SCRIPT, '--json', folder / 'bench.json'),
        *('--only', 'g3_vs_g1_step_synthhand', 'index_vs_coco'),
        *('part/synthhand/head', 'part/synthhand_g1/head'),
        *('pipeline', 'metric', 'infer/lite'),
        *('--rounds', 1, '--input-size', 64, '--batch', 2, '--no-memory'),
        *('--index-samples', 8, '--metric-samples', 3),
        cwd=folder).stdout
    return json.loads((folder / 'bench.json').read_text()), output, folder


@pytest.fixture(scope='module')
def scaling(tmp_path_factory):
    """Two runs of how cost grows, in toy sizes."""
    folder = tmp_path_factory.mktemp('scaling')
    run_script(
        SCRIPT,
        *('--scaling', '--json', folder / 'scaling.json', '--rounds', 1),
        *('--only', 'scaling/samples/metric/1000',
          'scaling/samples/index_ours/1000'),
        *('--max-exponent', 3),
        cwd=folder)
    result = json.loads((folder / 'scaling.json').read_text())
    assert set(result['peak_mb']) == set(result['ms'])
    return result


def test_ratios_are_quotients_of_the_medians(bench):
    result, output, _ = bench
    ms = result['ms']
    assert all(value > 0 for value in ms.values())
    assert set(ms) == set(result['cpu_ms']) == set(result['per_second'])
    # G=3 over G=1; and by how many times ours is faster
    assert result['ratio']['g3_vs_g1_step_synthhand'] == pytest.approx(
        ms['step/synthhand'] / ms['step/synthhand_g1'])
    assert result['ratio']['index_vs_coco'] == pytest.approx(ms['index/coco'] /
                                                             ms['index/ours'])
    assert result['ratio']['pipeline_plain_vs_release'] == pytest.approx(
        6.2 / ms['pipeline/plain'])
    # without both its cases there is no ratio
    assert 'lite_vs_official' not in result['ratio']
    for name in ms:
        assert f'\n{name} ' in output
    assert f'{result["ratio"]["index_vs_coco"]:10.2f}' in output


def test_rates_count_samples(bench):
    result, _, _ = bench
    for name, samples in (('infer/lite', 1), ('step/synthhand', 2),
                          ('index/ours', 8), ('metric/freihand', 3)):
        assert result['per_second'][name] == pytest.approx(1e3 * samples /
                                                           result['ms'][name])


def test_stages_are_those_of_the_configs(bench):
    from mmengine.config import Config
    cfg = Config.fromfile(REPO_ROOT / 'configs/lgh_freihand.py')
    for name, split in (('plain', 'val'), ('augmented', 'train')):
        stages = bench[0]['stages'][name]
        transforms = cfg[f'{split}_dataloader'].dataset.pipeline
        assert list(stages) == ['record', *(t.type for t in transforms)]


def test_the_environment_is_told(bench):
    environment = bench[0]['environment']
    assert '--metric-samples 3' in environment['command']
    assert environment['threads'] == 1 and environment['cpu']


def test_cases_have_their_turns_round_by_round(tool):
    order = []
    timings = tool.measure(
        {name: lambda name=name: order.append(name)
         for name in 'ab'},
        rounds=3,
        round_seconds=0)
    assert order == [*'aabb', *'ab' * 3]  # two calls each warm up
    assert all(len(t.wall) == len(t.cpu) == 3 for t in timings.values())


def test_short_calls_are_repeated_within_a_round(tool):
    import time
    calls = []

    def call():
        calls.append(0)
        time.sleep(0.001)

    timing = tool.measure({'a': call}, rounds=2, round_seconds=0.02)['a']
    assert len(calls) > 2 + 2
    # per call, and asleep it needs no CPU
    assert min(timing.wall) >= 0.001
    assert max(timing.cpu) < min(timing.wall)


def failing_setup():
    raise ValueError('broken')


def test_memory_is_the_growth_of_the_peak(tool):

    def setup():

        def call():
            # fresh pages, whatever the allocator has at hand
            with mmap.mmap(-1, 64 * 2**20) as memory:
                memory[::mmap.PAGESIZE] = b'1' * (64 * 2**20 // mmap.PAGESIZE)

        return call

    assert 60 < tool.peak_memory(tool.Case(setup)) < 100
    assert tool.peak_memory(tool.Case(lambda: lambda: None)) < 30
    with pytest.raises(RuntimeError, match='failed in its process'):
        tool.peak_memory(tool.Case(failing_setup))


def test_processes_run_together(tool):
    # OpenCV at work in this process before, as after other tests
    cv2.warpAffine(
        np.zeros((2000, 2000), np.uint8), np.eye(2, 3), (2000, ) * 2)
    case = tool.Case(lambda: lambda: None, samples=4)
    assert tool.run_processes(case, count=2, rounds=5) > 0
    with pytest.raises(RuntimeError, match='a process failed'):
        tool.run_processes(tool.Case(failing_setup), count=2, rounds=1)


@pytest.mark.parametrize('arguments, message', [
    (('--only', 'infer/nothing'), "there is no 'infer/nothing'"),
    (('--scaling', '--only', 'lite_vs_official'),
     "there is no 'lite_vs_official'"),
    (('--index-samples', 6), 'multiple of 4'),
    (('--rounds', 0), '--rounds must be at least 1'),
    (('--threads', 10**6), 'needs as many cores'),
])
def test_refuses_what_cannot_be_measured(arguments, message, tmp_path):
    result = run_script(SCRIPT, *arguments, cwd=tmp_path, check=False)
    # argparse prints its errors, sys.exit carries ours
    assert message in f'{result.stdout} {result.returncode}'
    assert result.returncode


# -- the page ----------------------------------------------------------------


def figures(names):
    return {name: 10. + i for i, name in enumerate(names)}


def whole_scaling(scaling):
    """The toy run with the figures of the series that it leaves out."""
    names = [
        f'scaling/{what}/{series}/{value}'
        for what, values in (('groups', range(1, 8)), ('size', (128, 256)),
                             ('batch', (1, 16))) for value in values
        for series in ('infer', 'step')
    ]
    return dict(
        scaling,
        cpu_ms={
            **scaling['cpu_ms'],
            **figures(names)
        },
        processes=dict(step={
            '1': 2.,
            '2': 4.
        }))


def test_page_and_plots_follow_the_figures(bench, scaling, tmp_path):
    import matplotlib.image
    result, _, folder = bench
    (tmp_path / 'scaling.json').write_text(json.dumps(whole_scaling(scaling)))
    text = (REPO_ROOT / 'docs/performance.md').read_text()
    page = tmp_path / 'page.md'
    page.write_text(text)
    arguments = (folder / 'bench.json', tmp_path / 'scaling.json', '--page',
                 page, '--out-dir', tmp_path)
    run_script(PLOT, *arguments, cwd=tmp_path)
    written = page.read_text()
    assert written != text
    three, one = (
        sum(ms for name, ms in result['cpu_ms'].items()
            if name.startswith(f'part/synthhand{twin}/'))
        for twin in ('', '_g1'))
    row = next(line for line in written.splitlines()
               if line.startswith('| `lgh_synthhand`, all'))
    assert row.endswith(f'| {100 * (three - one) / one:.1f} % |')
    assert f'`{result["environment"]["command"]}' not in text
    assert result['environment']['command'] in written
    for name in ('groups', 'size', 'batch', 'samples', 'processes'):
        image = matplotlib.image.imread(tmp_path /
                                        f'performance_{name}.png')[..., :3]
        assert (image.min(-1) < .9).mean() > .01, name
    # written again from the same figures it stays as it is
    run_script(PLOT, *arguments, cwd=tmp_path)
    assert page.read_text() == written


def test_page_from_other_files_is_refused(bench, scaling, tmp_path):
    _, _, folder = bench
    bench_file = folder / 'bench.json'
    page = tmp_path / 'page.md'
    page.write_text('no marks')
    whole = tmp_path / 'whole.json'
    whole.write_text(json.dumps(whole_scaling(scaling)))
    part = tmp_path / 'part.json'
    part.write_text(json.dumps(scaling))
    (tmp_path / 'other.json').write_text('[]')
    for files, message in (((bench_file, 'missing.json'), 'cannot read'),
                           (('other.json', whole), 'is not what'),
                           ((bench_file, part), 'json has no figures of'),
                           ((bench_file, whole), 'must have <!-- ')):
        result = run_script(
            PLOT, *files, '--page', page, cwd=tmp_path, check=False)
        assert message in str(result.returncode)
        assert page.read_text() == 'no marks'
