"""The authors' network with weights made from their names.

The released weights cannot be had in the tests. The reference outputs in
``data/parity_net_*.npz`` were therefore computed, by the authors' own code,
with the weights that the rule below makes of their names and shapes; a wrong
name or shape gives other weights and other outputs.
"""
import hashlib
from pathlib import Path

import numpy as np
import torch
from helpers import REPO_ROOT
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

from lgh_mmpose.models.official_weights import from_official, to_official

CONFIG = REPO_ROOT / 'configs/lgh_rhd_official.py'
DATA = Path(__file__).parent / 'data'


def make_weight(name: str, shape: tuple) -> np.ndarray:
    """The weight of that name in the release, by the reference's rule."""
    seed = hashlib.sha256(name.encode()).digest()[:4]
    rng = np.random.default_rng(int.from_bytes(seed, 'little'))
    v = rng.standard_normal(shape).astype(np.float32)
    if name.endswith('.running_mean'):
        return 0.1 * v
    if name.endswith('.running_var'):
        return 1 + 0.5 * np.abs(v)
    if name.endswith('.beta.weight'):
        return 1 + 0.1 * v
    if name.endswith('.bias'):
        return 0.1 * v
    if len(shape) == 1:
        return 1 + 0.1 * v
    gain = 1.
    if '.conv3.' in name:
        gain = 0.25
    elif name.startswith('b_htmaps_conv.') and name.endswith('.2.weight'):
        gain = 0.35
    elif name.startswith('b_depth_conv.') and name.endswith('.2.weight'):
        gain = 0.15
    return np.float32(gain * np.sqrt(2 / np.prod(shape[1:]))) * v


def build_model(num_groups: int = 3, fusion: bool = True) -> nn.Module:
    """Our network with random weights, in evaluation mode."""
    init_default_scope('mmpose')
    cfg = Config.fromfile(CONFIG)
    cfg.model.neck.num_groups = cfg.model.head.num_groups = num_groups
    if not fusion:
        cfg.model.neck.fusion = None
    model = MODELS.build(cfg.model)
    model.eval()
    return model


def official_checkpoint(model: nn.Module) -> dict:
    """A checkpoint of the release for a network of that size."""
    checkpoint = to_official(model.state_dict())
    weights = checkpoint['model_state_dict']
    for name, value in weights.items():
        if not name.endswith(('.num_batches_tracked', '.wx', '.wy')):
            weights[name] = torch.from_numpy(
                make_weight(name, tuple(value.shape)))
    return dict(model_state_dict=weights, Temperature=0.1)


def build_converted(num_groups: int = 3, fusion: bool = True) -> nn.Module:
    """Our network with the release's weights."""
    model = build_model(num_groups, fusion)
    model.load_state_dict(
        from_official(official_checkpoint(model), model.state_dict()))
    return model
