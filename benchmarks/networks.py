"""The networks that are measured: random weights, fed with noise."""
import contextlib
import io
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Optional, Tuple

import torch
from mmengine.config import Config
from mmengine.hub import get_config

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'

INTERNET = ('mmpose::hand_3d_keypoint/internet/interhand3d/'
            'internet_res50_4xb16-20e_interhand3d-256x256.py')
HEATMAP_2D = ('mmpose::hand_2d_keypoint/topdown_heatmap/freihand2d/'
              'td-hm_res50_8xb64-100e_freihand2d-224x224.py')


class Network(NamedTuple):
    """Which network, and what it is fed."""
    config: str
    batch: int = 1
    groups: Optional[int] = None  # instead of the config's
    size: Optional[int] = None  # of the input, instead of the config's


def load_config(network: Network) -> Config:
    """The config of a network, without weights to be downloaded."""
    if '::' in network.config:
        cfg = get_config(network.config)
        cfg.model.backbone.init_cfg = None
    else:
        cfg = Config.fromfile(CONFIGS / f'{network.config}.py')
    if network.groups is not None:
        cfg.model.neck.num_groups = network.groups
        cfg.model.head.num_groups = network.groups
    # no configured format of the input: each case has its own
    cfg.model.data_preprocessor.type = 'PoseDataPreprocessor'
    if network.size is not None:
        for codec in (cfg.get('codec'), cfg.model.head.get('decoder')):
            if codec is not None and 'input_size' in codec:
                codec.input_size = (network.size, network.size)
    return cfg


def input_size(cfg: Config) -> Tuple[int, int]:
    """Width and height of a network's input, px."""
    codec = cfg.get('codec') or cfg.model.head.decoder
    width, height = codec['input_size' if 'input_size' in
                          codec else 'image_size'][:2]
    return width, height


def build_model(cfg: Config) -> torch.nn.Module:
    """A model with random weights and batch statistics of noise."""
    from mmpose.registry import MODELS
    torch.manual_seed(0)
    with contextlib.redirect_stdout(io.StringIO()):
        model = MODELS.build(cfg.model)
    model.init_weights()
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.
    with torch.no_grad():
        # or activations would grow or vanish from layer to layer
        model.train()(noise(cfg, 2), None, mode='tensor')
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    _deal_joints(model)
    return model.eval()


@torch.no_grad()
def _deal_joints(model: torch.nn.Module) -> None:
    """Deal the joints to the groups in turn.

    Logits that are all equal put all joints into the first group, and the
    exported network would have nothing of the others.
    """
    selector = getattr(getattr(model, 'head', None), 'selector', None)
    if selector is not None:
        joints = torch.arange(len(selector.logits))
        selector.logits[joints, joints % selector.logits.shape[1]] += 1


def noise(cfg: Config, batch: int) -> torch.Tensor:
    """Normalised images (B, 3, H, W)."""
    width, height = input_size(cfg)
    return torch.randn(batch, 3, height, width)


@lru_cache(maxsize=None)
def forward_gflop(network: Network) -> float:
    """10^9 floating-point operations of one image's forward pass."""
    from torch.utils.flop_counter import FlopCounterMode
    cfg = load_config(network._replace(batch=1))
    model = build_model(cfg)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(noise(cfg, 1), None, mode='tensor')
    return counter.get_total_flops() / 1e9
