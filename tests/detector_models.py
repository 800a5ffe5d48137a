"""Small detectors of hands with random weights."""
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import torch
from hand_pictures import draw_hands
from helpers import REPO_ROOT
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from torch import nn

CONFIG = REPO_ROOT / 'configs/detection/rtmdet-nano_studiohand.py'
SIZE = (96, 96)


def tiny_config(data_root: Optional[Union[str, Path]] = None) -> Config:
    """The config with few channels, for small pictures."""
    cfg = Config.fromfile(CONFIG)
    cfg.model.backbone.widen_factor = .125
    cfg.model.backbone.deepen_factor = .01
    cfg.model.neck.update(in_channels=[32, 64, 128], out_channels=16)
    cfg.model.bbox_head.update(
        in_channels=16, feat_channels=16, stacked_convs=1)
    for loader in (cfg.train_dataloader, cfg.val_dataloader,
                   cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.pipeline[1].input_size = SIZE
        if data_root is not None:
            loader.dataset.data_root = str(data_root)
    return cfg


def build(cfg: Config) -> BaseModel:
    """The model of a config, as a training begins it."""
    from mmdet.registry import MODELS
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
        model.init_weights()
    return model


@torch.no_grad()
def random_detector(cfg: Optional[Config] = None, seed: int = 0) -> BaseModel:
    """A detector in evaluation whose answers depend on what it sees."""
    torch.manual_seed(seed)
    model = build(cfg or tiny_config())
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.BatchNorm2d):
            module.momentum = 1
    rng = np.random.default_rng(seed)
    images = [torch.from_numpy(draw_hands(rng, SIZE, 2)[0]) for _ in range(8)]
    inputs = [image.permute(2, 0, 1) for image in images]
    model.train()
    data = model.data_preprocessor(dict(inputs=inputs, data_samples=None))
    model._forward(data['inputs'])
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            # else rounding grows where pictures of noise differ little
            module.running_var.add_(module.running_mean**2)
    head = model.bbox_head
    for classify, place in zip(head.rtm_cls, head.rtm_reg):
        classify.weight.mul_(.1)
        classify.bias.fill_(-1)
        place.weight.mul_(.05)
        place.bias.fill_(.5)
    return model.eval()


def build_data_set(cfg: Config, loader: str = 'val_dataloader') -> Any:
    """The data set of a config."""
    from mmdet.registry import DATASETS
    with DefaultScope.overwrite_default_scope('mmdet'):
        return DATASETS.build(cfg[loader].dataset)
