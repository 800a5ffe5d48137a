"""torch.compile of backbone and neck."""
import logging
from types import SimpleNamespace

import torch
from mmengine.model import MMDistributedDataParallel
from torch import nn

from lgh_mmpose.engine import CompileHook


def make_model():
    model = nn.Module()
    model.backbone = nn.Conv2d(3, 4, 3)
    model.neck = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU())
    model.head = nn.Conv2d(4, 1, 1)
    return model


def run(model):
    seen = []

    def backend(graph, inputs):
        seen.append(graph)
        return graph.forward

    logger = logging.getLogger('test_compile')
    CompileHook(backend=backend).before_run(
        SimpleNamespace(model=model, logger=logger))
    return seen


def test_backbone_and_neck_are_compiled():
    torch.manual_seed(0)
    model, images = make_model(), torch.randn(2, 3, 8, 8)
    names = list(model.state_dict())
    expected = model.neck(model.backbone(images))
    seen = run(model)
    got = model.neck(model.backbone(images))
    assert len(seen) == 2
    torch.testing.assert_close(got, expected)
    got.sum().backward()
    assert model.backbone.weight.grad.abs().sum() > 0
    model.head(got)
    assert len(seen) == 2
    assert list(model.state_dict()) == names


def test_the_module_within_a_wrapper_is_compiled():
    model = make_model()
    wrapper = MMDistributedDataParallel.__new__(MMDistributedDataParallel)
    nn.Module.__init__(wrapper)
    wrapper.module = model
    seen = run(wrapper)
    model.backbone(torch.randn(2, 3, 8, 8))
    assert len(seen) == 1
