"""The benchmark measures what it says; how fast anything is, is not tested."""
import json
import os
import platform
import re
import sys

import pytest
import torch
from helpers import REPO_ROOT, run_command, run_script

SCRIPT = REPO_ROOT / 'benchmarks/run.py'
PLOT = REPO_ROOT / 'benchmarks/plot_performance.py'


@pytest.fixture(scope='module')
def bench(tmp_path_factory):
    """A run of one case of nearly every kind, in toy sizes.

    As on a CPU with bf16: where there is none, torch imitates it.
    """
    folder = tmp_path_factory.mktemp('bench')
    output = run_command(
        *(sys.executable, SCRIPT, '--json', folder / 'bench.json'),
        *('--only', 'g3_vs_g1_step_studiohand', 'index_vs_coco'),
        *('part/studiohand/head', 'part/studiohand_g1/head'),
        *('pipeline', 'metric', 'infer/lite'),
        *('--rounds', 1, '--input-size', 64, '--batch', 2, '--no-memory'),
        *('--index-samples', 8, '--metric-samples', 3),
        cwd=folder,
        LGH_MMPOSE_BF16='AVX512_BF16').stdout
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
    assert result['rounds'] == dict.fromkeys(ms, 1)
    # G=3 over G=1; and by how many times ours is faster
    assert result['ratio']['g3_vs_g1_step_studiohand'] == pytest.approx(
        ms['step/studiohand'] / ms['step/studiohand_g1'])
    assert result['ratio']['index_vs_coco'] == pytest.approx(ms['index/coco'] /
                                                             ms['index/ours'])
    assert result['ratio']['pipeline_plain_vs_mmpose'] == pytest.approx(
        ms['pipeline/mmpose_plain'] / ms['pipeline/plain'])
    assert result['ratio'][
        'pipeline_plain_vs_6.2ms_of_release_elsewhere'] == pytest.approx(
            6.2 / ms['pipeline/plain'])
    # without both its cases there is no ratio
    assert 'lite_vs_official' not in result['ratio']
    # the release's 9.2 ms are those with augmentation
    ratio = 'pipeline_rhd_augmented_vs_9.2ms_of_release_elsewhere'
    assert result['ratio'][ratio] == pytest.approx(
        9.2 / ms['pipeline/rhd_augmented'])
    for name in ms:
        assert f'\n{name} ' in output
    assert f'{result["ratio"]["index_vs_coco"]:10.2f}' in output


def test_rates_count_samples(bench):
    result, _, _ = bench
    for name, samples in (('infer/lite', 1), ('step/studiohand', 2),
                          ('index/ours', 8), ('metric/freihand', 3)):
        assert result['per_second'][name] == pytest.approx(1e3 * samples /
                                                           result['ms'][name])


@pytest.mark.parametrize('name, config, split', [
    ('plain', 'lgh_freihand', 'val'),
    ('augmented', 'lgh_freihand', 'train'),
    ('rhd_plain', 'lgh_rhd', 'val'),
    ('rhd_augmented', 'lgh_rhd', 'train'),
])
def test_stages_are_those_of_the_configs(bench, name, config, split):
    from mmengine.config import Config
    cfg = Config.fromfile(REPO_ROOT / f'configs/{config}.py')
    stages = bench[0]['stages'][name]
    transforms = cfg[f'{split}_dataloader'].dataset.pipeline
    assert list(stages) == ['record', *(t.type for t in transforms)]


def test_the_environment_is_told(bench):
    environment = bench[0]['environment']
    assert '--metric-samples 3' in environment['command']
    assert environment['threads'] == 1 and environment['cpu']
    assert torch.__version__.startswith(environment['versions']['torch'])
    # by itself, however it is started
    if platform.libc_ver()[0] == 'glibc' and 'MALLOC_MMAP_MAX_' not in \
            os.environ and 'MALLOC_TRIM_THRESHOLD_' not in os.environ:
        assert environment['allocator'] == 'memory is kept'


def test_without_bf16_the_rest_is_measured(cpu_bf16, tmp_path):
    output = run_script(
        *(SCRIPT, '--json', 'bench.json', '--rounds', 1, '--no-memory'),
        *('--only', 'limit/matmul_bf16', 'metric', '--metric-samples', 3),
        cwd=tmp_path).stdout
    result = json.loads((tmp_path / 'bench.json').read_text())
    # no autograd, which torch refuses in a fork of a process that has used it
    cases = {'limit/matmul_bf16'} if cpu_bf16 else set()
    assert set(result['ms']) == cases | {'metric/freihand'}
    assert set(result['bf16']) == cases
    assert result['left_out'] == ([] if cpu_bf16 else ['limit/matmul_bf16'])
    assert ('this CPU has no bf16 instructions, as LGH_MMPOSE_BF16 says; '
            'left out are limit/matmul_bf16\n' in output) != bool(cpu_bf16)
    assert result['environment']['bf16'] == cpu_bf16


def test_nothing_left_to_measure_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv('LGH_MMPOSE_BF16', 'none')
    result = run_script(
        SCRIPT, '--only', 'limit/conv_bf16', cwd=tmp_path, check=False)
    assert result.returncode == 'error: nothing is left to measure'


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
            if name.startswith(f'part/studiohand{twin}/'))
        for twin in ('', '_g1'))
    row = next(line for line in written.splitlines()
               if line.startswith('| `lgh_studiohand`, all'))
    assert row.endswith(f'| {100 * (three - one) / one:.1f} % |')
    more = result['cpu_ms']['step/studiohand'] / \
        result['cpu_ms']['step/studiohand_g1'] - 1
    assert f'one group, {more:.1%} more CPU time' in written
    # 31 ms for 16 images, 29 for one
    assert ('- `step`, from 1 to 16: 1.07 times the CPU time, 0.07 times per '
            'image.') in written
    assert f'`{result["environment"]["command"]}' not in text
    assert result['environment']['command'] in written
    for name in ('groups', 'size', 'batch', 'samples', 'processes'):
        image = matplotlib.image.imread(tmp_path /
                                        f'performance_{name}.png')[..., :3]
        assert (image.min(-1) < .9).mean() > .01, name
        assert f'(images/performance_{name}.png)' in written
    # written again from the same figures it stays as it is
    run_script(PLOT, *arguments, cwd=tmp_path)
    assert page.read_text() == written


def test_the_page_is_what_its_figures_say(tmp_path):
    """The committed one; figures of earlier versions stay readable."""
    docs = REPO_ROOT / 'docs'
    page = tmp_path / 'page.md'
    page.write_text(
        re.sub(
            r'(<!-- (\w+) -->\n).*?(<!-- end \2 -->)',
            r'\1\3', (docs / 'performance.md').read_text(),
            flags=re.DOTALL))
    run_script(
        *(PLOT, docs / 'performance.json', docs / 'performance_scaling.json'),
        *('--page', page, '--out-dir', tmp_path),
        cwd=tmp_path)
    assert page.read_text() == (docs / 'performance.md').read_text()


def test_page_of_a_cpu_without_bf16(bench, scaling, tmp_path):
    """Lacks the rows of what is left out there, and says of what."""
    result, page = dict(bench[0]), tmp_path / 'page.md'
    left_out = [name for name in result['ms'] if name.startswith('part/')]
    for key in ('ms', 'cpu_ms', 'per_second', 'gflops', 'rounds'):
        result[key] = {
            name: value
            for name, value in result[key].items() if name not in left_out
        }
    environment = dict(result['environment'], bf16='')
    result.update(left_out=left_out, bf16=[], environment=environment)
    (tmp_path / 'bench.json').write_text(json.dumps(result))
    (tmp_path / 'scaling.json').write_text(json.dumps(whole_scaling(scaling)))
    page.write_text((REPO_ROOT / 'docs/performance.md').read_text())
    run_script(
        *(PLOT, 'bench.json', 'scaling.json', '--page', page),
        *('--out-dir', tmp_path),
        cwd=tmp_path)
    written = page.read_text()
    assert ', no bf16; 1 thread' in written
    assert f'(left out, without bf16: {", ".join(left_out)})' in written
    assert '| `step/studiohand` |' in written
    assert 'all | ' not in written.split('<!-- parts -->')[1].split('<!--')[0]


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
