"""Small networks whose weights leave nothing neutral, for the export."""
from pathlib import Path
from typing import Tuple

import torch
from helpers import REPO_ROOT
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

from lgh_mmpose.config import set_data_root

CONFIG = REPO_ROOT / 'configs/lgh_studiohand.py'

# thin, and some of each kind of layer
THIN = dict(
    backbone=dict(
        stem_channels=8,
        base_channels=8,
        num_stages=2,
        strides=(2, 2),
        dilations=(1, 1),
        out_indices=(0, 1)),
    neck=dict(
        in_channels=(8, 16),
        in_strides=(8, 16),
        stem_channels=8,
        shared_channels=(8, ),
        group_channels=8),
    head=dict(in_channels=8, hidden_channels=8))


def toy_config(num_groups: int = 3, fusion: bool = True) -> Config:
    """The demo's network for images of 96 px, but thin."""
    cfg = Config.fromfile(CONFIG)
    cfg.merge_from_dict(dict(model=THIN))
    cfg.model.neck.num_groups = cfg.model.head.num_groups = num_groups
    if not fusion:
        cfg.model.neck.fusion = None
    return cfg


@torch.no_grad()
def randomize(model: nn.Module, joint_groups=None, seed: int = 0) -> None:
    """Batch statistics, beta and groups as training could have made them.

    Args:
        model: Changed in place and put into evaluation mode.
        joint_groups: Group of each joint. Defaults to random ones.
        seed: Of the numbers.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(tensor, mean, std):
        tensor.copy_(mean +
                     std * torch.randn(tensor.shape, generator=generator))

    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            normal(module.weight, 1, .3)
            normal(module.bias, 0, .3)
            normal(module.running_mean, 0, .3)
            normal(module.running_var, 1, .2)
            module.running_var.abs_().add_(.1)
    head = model.head
    normal(head.beta, 1, .2)
    normal(head.selector.logits, 0, 1)
    if joint_groups is not None:
        head.selector.logits[range(len(joint_groups)), joint_groups] = 9.
    for layers in (head.heatmap_layers, head.depth_layers):
        # heat maps with a peak, depths of some bones
        normal(layers[-1].weight, 0, .5)
        normal(layers[-1].bias, 0, .2)
    model.eval()


def toy_model(num_groups: int = 3,
              fusion: bool = True,
              joint_groups=None,
              seed: int = 0) -> BaseModel:
    """A thin network with such weights."""
    init_default_scope('mmpose')
    torch.manual_seed(seed)
    model = MODELS.build(toy_config(num_groups, fusion).model)
    randomize(model, joint_groups, seed)
    return model


def write_toy_files(folder: Path, data_root: Path) -> Tuple[Path, Path]:
    """Config and checkpoint of a thin network on a small data set.

    Args:
        folder: Where to write them.
        data_root: Data set in FreiHAND's layout.

    Returns:
        tuple[Path, Path]: Config and checkpoint.
    """
    cfg = toy_config()
    set_data_root(cfg, str(data_root))
    cfg.dump(folder / 'toy.py')
    torch.save(
        dict(state_dict=toy_model().state_dict(), meta={}), folder / 'toy.pth')
    return folder / 'toy.py', folder / 'toy.pth'
