"""Tools around the speed of trainings, on a toy network."""
import json
import subprocess

import numpy as np
import pytest
import torch
from helpers import REPO_ROOT, run_script
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

TOOLS = REPO_ROOT / 'tools/analysis_tools'
TOY = [
    'model.backbone.stem_channels=8', 'model.backbone.base_channels=8',
    'model.neck.in_channels=(8,16,32)', 'model.neck.stem_channels=16',
    'model.neck.shared_channels=(16,)', 'model.neck.group_channels=8',
    'model.head.in_channels=8'
]


def test_a_training_is_measured(freihand_root, tmp_path, monkeypatch):
    commands, run = [], subprocess.run

    def run_here(command, **kwargs):
        if '--child' not in command:  # mmengine's own
            return run(command, **kwargs)
        commands.append(command)
        return run_script(*command[1:], cwd=tmp_path)

    # a process costs seconds of imports; what it prints is the same
    monkeypatch.setattr(subprocess, 'run', run_here)
    out = run_script(
        TOOLS / 'benchmark_training.py',
        REPO_ROOT / 'configs/lgh_synthhand.py',
        *('--data-root', freihand_root, '--iters', 3, '--warm-up', 1),
        *('--batch-size', 2, '--rounds', 1, '--json', 'out.json'),
        # the other one changes this process's allocator for good
        *('--variants', 'fp32', '--cfg-options', *TOY),
        cwd=tmp_path).stdout
    assert len(commands) == 1
    summary = json.loads((tmp_path / 'out.json').read_text())
    assert list(summary) == ['fp32 x1']
    for value in summary['fp32 x1'].values():
        assert value > 0
    assert '1.00   1.00' in out.splitlines()[-1]


# of a made-up run: seconds of wall and CPU time of each iteration and process
STEPS = {
    ('fp32', 1): [[[.4, .4]]],
    ('fp32', 2): [[[.5, .4]], [[.5, .4]]],
    ('fast', 1): [[[.2, .1]]],
    ('fast', 2): [[[.2, .1]], [[.3, .1]]],
}


@pytest.mark.parametrize('cpu_bf16', ['AMX', 'none'], indirect=True)
def test_variants_take_turns(freihand_root, tmp_path, monkeypatch, cpu_bf16):
    order = []

    def made_up(command, **kwargs):
        if '--child' not in command:  # mmengine's own
            return run(command, **kwargs)
        cfg = Config.fromfile(command[-1])
        hooks = {hook.type for hook in cfg.custom_hooks}
        variant = 'fast' if 'KeepMemoryHook' in hooks else 'fp32'
        # where the CPU has none, bf16 would not be fast
        assert cfg.optim_wrapper.enabled == (
            variant == 'fast' and bool(cpu_bf16))
        processes = 1 + ('--nproc_per_node=2' in command)
        order.append((variant, processes))
        # the second round, of three, is disturbed
        slower = 7 if 4 < len(order) <= 8 else 1
        steps = np.multiply(STEPS[order[-1]], slower).tolist()
        return subprocess.CompletedProcess(
            command, 0, f'benchmark_training: {json.dumps(steps)}\n')

    run = subprocess.run
    monkeypatch.setattr(subprocess, 'run', made_up)
    out = run_script(
        TOOLS / 'benchmark_training.py',
        REPO_ROOT / 'configs/lgh_synthhand.py',
        *('--data-root', freihand_root, '--batch-size', 2, '--rounds', 3),
        *('--variants', 'fp32', 'fast', '--processes', 1, 2),
        *('--json', 'out.json'),
        cwd=tmp_path).stdout
    assert order == list(STEPS) * 3
    summary = json.loads((tmp_path / 'out.json').read_text())
    expected = {
        'fp32 x1': (5, 200),
        'fp32 x2': (8, 200),
        'fast x1': (10, 50),
        'fast x2': (16, 50)  # the mean of both processes
    }
    assert list(summary) == list(expected)
    for name, values in expected.items():
        assert tuple(summary[name].values()) == pytest.approx(values)
    # as fast as the first: by wall time, by CPU time
    assert out.splitlines()[-1].split()[-2:] == ['3.20', '4.00']


def test_too_few_iterations_are_refused(tmp_path):
    result = run_script(
        *(TOOLS / 'benchmark_training.py', 'none.py', '--iters', 4),
        cwd=tmp_path,
        check=False)
    assert result.returncode == 2
    assert '--iters must exceed --warm-up by 2' in result.stdout


@pytest.fixture(scope='module')
def cost(tmp_path_factory):
    folder = tmp_path_factory.mktemp('cost')
    config = folder / 'toy.py'
    base = REPO_ROOT / 'configs/lgh_synthhand.py'
    config.write_text(
        f'_base_ = [{str(base)!r}]\n'
        'model = dict(backbone=dict(stem_channels=8, base_channels=8),\n'
        '    neck=dict(in_channels=(8, 16, 32), stem_channels=16,\n'
        '              shared_channels=(16, ), group_channels=8),\n'
        '    head=dict(in_channels=8))\n'
        'optim_wrapper = dict(_delete_=True, type="OptimWrapper",\n'
        '    optimizer=dict(type="AdamW", lr=1e-3))\n')
    run_script(
        *(TOOLS / 'model_training_cost.py', config, '--json', 'out.json'),
        *('--batch-size', 10, '--bandwidth', 2, 1, '--tflops', 1e-3),
        *('--efficiency', 1, '--gpus', 1, 8, 16),
        cwd=folder)
    return dict(json.loads((folder / 'out.json').read_text()), config=config)


def forward_gflop(config):
    """Of the convolutions, by their shapes."""
    init_default_scope('mmpose')
    cfg = Config.fromfile(config)
    model = MODELS.build(cfg.model).eval()
    flop = 0

    def add(layer, inputs, output):
        nonlocal flop
        maps = inputs[0] if layer.transposed else output
        flop += 2 * layer.weight.numel() * maps.shape[-2] * maps.shape[-1]

    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            layer.register_forward_hook(add)
    width, height = cfg.codec.input_size
    model(torch.zeros(1, 3, height, width), None, mode='tensor')
    return flop / 1e9


def test_what_is_counted(cost):
    counted = cost['counted']
    # torch's counter takes the grouped ones for dense in the backward pass
    assert counted['gflop'] == pytest.approx(
        3 * forward_gflop(cost['config']), rel=1e-3)
    assert counted['weights'] == 4 * counted['parameters']
    # two moments of each weight, and a step counter per tensor
    assert 1 < counted['optimizer'] / (2 * counted['weights']) < 1.01
    ratio = counted['activations_bf16'] / counted['activations_fp32']
    assert .4 < ratio < 1


def test_what_is_calculated(cost):
    counted, rows = cost['counted'], cost['calculated']
    one, eight, sixteen = rows
    fixed = 4 * counted['weights']
    activations = 10 * counted['activations_bf16']
    for row in rows:
        assert row['memory_ddp'] == pytest.approx(
            fixed + activations, rel=1e-2)
        assert row['memory_fsdp'] == pytest.approx(
            fixed / row['gpus'] + activations, rel=1e-2)
        # 10 samples at 10^9 operations per second
        assert row['step_ms'] == pytest.approx(1e4 * counted['gflop'])
        assert row['worst'] <= row['best']
    assert one['exchange_ms'] == 0 and one['best'] == one['worst']
    # 2 (n - 1) / n of the gradients over the slowest link, GB/s
    assert eight['exchange_ms'] == pytest.approx(1e3 * 2 * 7 / 8 *
                                                 counted['gradients'] / 2e9)
    assert sixteen['exchange_ms'] == pytest.approx(1e3 * 2 * 15 / 16 *
                                                   counted['gradients'] / 1e9)
