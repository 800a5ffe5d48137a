"""What a training costs is counted and calculated, on a toy network."""
import json

import pytest
import torch
from helpers import REPO_ROOT, run_script
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

SCRIPT = REPO_ROOT / 'tools/analysis_tools/model_training_cost.py'


@pytest.fixture(scope='module')
def cost(tmp_path_factory):
    folder = tmp_path_factory.mktemp('cost')
    config = folder / 'toy.py'
    base = REPO_ROOT / 'configs/lgh_studiohand.py'
    config.write_text(
        f'_base_ = [{str(base)!r}]\n'
        'model = dict(backbone=dict(stem_channels=8, base_channels=8),\n'
        '    neck=dict(in_channels=(8, 16, 32), stem_channels=16,\n'
        '              shared_channels=(16, ), group_channels=8),\n'
        '    head=dict(in_channels=8))\n'
        'optim_wrapper = dict(_delete_=True, type="OptimWrapper",\n'
        '    optimizer=dict(type="AdamW", lr=1e-3))\n')
    run_script(
        *(SCRIPT, config, '--json', 'out.json'),
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
