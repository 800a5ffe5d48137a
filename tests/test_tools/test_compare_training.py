"""Budgets, whole in a toy size, and what the tool refuses."""
import importlib.util
import json
import sys

import pytest
from helpers import REPO_ROOT, run_script
from mmengine.config import Config

SCRIPT = REPO_ROOT / 'tools/analysis_tools/compare_training.py'
CONFIG = REPO_ROOT / 'configs/lgh_lite_studiohand.py'


@pytest.fixture(scope='module')
def script():
    spec = importlib.util.spec_from_file_location('compare_training', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_draw_from_the_whole_training_set(script):
    """However short: a cut of its own would be another training set."""
    cfg = Config.fromfile(CONFIG)
    dataset = dict(cfg.train_dataloader.dataset)
    script.set_iterations(cfg, 37, num_available=1000)
    assert cfg.train_dataloader.dataset == dataset
    assert 'indices' not in dataset
    assert cfg.train_cfg == dict(by_epoch=False, max_iters=37)
    warmup, decay = cfg.param_scheduler
    assert (warmup.end, decay.end) == (3, 37)
    assert not decay.by_epoch and 'convert_to_iter_based' not in decay
    # of a long one the warm-up is the config's
    cfg = Config.fromfile(CONFIG)
    end = cfg.param_scheduler[0].end
    script.set_iterations(cfg, 10**6, num_available=1000)
    assert cfg.param_scheduler[0].end == end


@pytest.mark.parametrize('iterations, available', [(0, 1000), (5, 3)])
def test_budget_below_a_batch(script, iterations, available):
    with pytest.raises(ValueError, match='are no training'):
        script.set_iterations(Config.fromfile(CONFIG), iterations, available)


def parse_args(script, monkeypatch, tmp_path, *arguments):
    monkeypatch.setattr(sys, 'argv', [
        str(SCRIPT),
        str(CONFIG), '--data-root', 'data', '--work-dir',
        str(tmp_path), '--cpu-minutes', '1', *arguments
    ])
    return script.parse_args()


def test_precision_is_what_the_cpu_computes(script, monkeypatch, tmp_path,
                                            cpu_bf16):
    args = parse_args(script, monkeypatch, tmp_path)
    assert args.precision == ['bf16' if cpu_bf16 else 'fp32']
    args = parse_args(script, monkeypatch, tmp_path, '--precision', 'fp32',
                      'bf16')
    assert args.precision == ['fp32', 'bf16']


def test_time_budget_from_two_short_runs(script, monkeypatch, tmp_path):
    """3 s to start, 0.5 s an iteration: 20 s hold 34."""
    args = parse_args(script, monkeypatch, tmp_path)

    def train(cfg, work_dir, precision):
        assert precision == 'bf16'
        return 3 + .5 * cfg.train_cfg.max_iters, None

    monkeypatch.setattr(script, 'train', train)
    arguments = CONFIG, args, 'bf16', tmp_path
    assert script.samples_in(20., *arguments, 1000) == 34 * 48
    with pytest.raises(SystemExit, match='too few'):
        script.samples_in(3.2, *arguments, 1000)


def test_trains_and_tests(freihand_root, tmp_path):
    output = run_script(
        *(SCRIPT, CONFIG, '--data-root', freihand_root),
        *('--work-dir', 'work', '--num-samples', 4, '--precision', 'fp32'),
        *('--seeds', 3, '--cfg-options', 'train_dataloader.batch_size=2'),
        cwd=tmp_path).stdout
    result, = json.loads((tmp_path / 'work/results.json').read_text())
    assert result['samples'] == 4 and result['cpu_seconds'] > 0
    assert result['available'] == 8
    assert result['samples_per_cpu_second'] == pytest.approx(
        4 / result['cpu_seconds'])
    assert 0 < result['hand/PA-MPJPE'] <= result['hand/MPJPE']
    assert f'| {result["hand/MPJPE"]:.1f} |' in output
    work_dir = tmp_path / 'work/lgh_lite_studiohand_fp32_seed3'
    # two steps, plainly computed
    cfg = Config.fromfile(work_dir / 'config.py')
    assert not {'ChannelsLastHook', 'KeepMemoryHook'
                } & {h.type
                     for h in cfg.custom_hooks}
    assert 'training in fp32' in (work_dir / 'train.log').read_text()
    assert cfg.randomness.seed == 3
    assert (work_dir / 'iter_2.pth').is_file()


@pytest.mark.parametrize('arguments, message', [
    ([CONFIG, '--num-samples', 4, '--probe-iters', 5, 5], 'must grow'),
    ([CONFIG, '--num-samples', 4, '--cpu-minutes', 1], 'not allowed with'),
    ([CONFIG], 'is required'),
    ([CONFIG, CONFIG, '--num-samples', 4], 'the same name'),
    (['nowhere.py', '--num-samples', 4], 'config not found: nowhere.py'),
])
def test_bad_arguments(script, monkeypatch, capsys, arguments, message):
    monkeypatch.setattr(sys, 'argv', [
        str(SCRIPT), '--data-root', 'data', '--work-dir', 'work',
        *map(str, arguments)
    ])
    with pytest.raises(SystemExit):
        script.parse_args()
    assert message in capsys.readouterr().err
