"""Each shipped config builds its model from the registry and trains a step."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmpose.registry import MODELS, OPTIM_WRAPPERS
from mmpose.structures import PoseDataSample
from mmpose.utils import register_all_modules

import lgh_mmpose  # noqa: F401

CONFIGS = sorted((Path(__file__).parents[2] / 'configs').glob('lgh_*.py'))
INPUT = 128


def batch(size=2):
    torch.manual_seed(0)
    samples = []
    for _ in range(size):
        sample = PoseDataSample()
        sample.gt_instance_labels = InstanceData(
            keypoint_labels=torch.rand(1, 21, 3) * INPUT,
            keypoint_weights=torch.ones(1, 21),
            side_labels=torch.ones(1))
        samples.append(sample)
    return torch.randn(size, 3, INPUT, INPUT), samples


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_config_trains_a_step(path):
    register_all_modules()  # mmpose's scope, as the runner sets it
    cfg = Config.fromfile(path)
    cfg.model.head.decoder.input_size = (INPUT, INPUT)
    # nothing to download: a local file at most, which `make model` brings
    init = cfg.model.backbone.pop('init_cfg', None)
    assert init is None or Path(init.checkpoint).parent == Path('data/hands')
    model = MODELS.build(cfg.model)
    model.init_weights()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    wrapper = OPTIM_WRAPPERS.build(
        dict(type='OptimWrapper', optimizer=optimizer))
    losses, _ = model.parse_losses(model.loss(*batch()))
    losses.backward()
    # mmpose's backbones may hold layers that no output uses; ours do not
    without = {
        name
        for name, p in model.named_parameters()
        if p.grad is None and not name.startswith('backbone.')
    }
    assert not without
    # with several processes, each gradient is waited for, unless this is set
    unused = any(p.grad is None for p in model.parameters())
    assert cfg.model_wrapper_cfg.get('find_unused_parameters', False) == unused
    assert any(p.grad is not None and p.grad.abs().max() > 0
               for p in model.backbone.parameters())
    before = model.head.beta.detach().clone()
    wrapper.step()
    assert not torch.equal(model.head.beta, before)
    uv, depth = model.eval()(batch()[0], None, mode='tensor')
    assert uv.shape == (2, 21, 2) and depth.shape == (2, 21)
    assert torch.isfinite(uv).all() and torch.isfinite(depth).all()
