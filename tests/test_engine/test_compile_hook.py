"""torch.compile of backbone and neck."""
import logging
from types import SimpleNamespace

import pytest
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


@pytest.mark.parametrize('mode', ['train', 'val', 'test'])
def test_each_batch_is_a_step_of_its_own(mode, monkeypatch):
    steps = []
    monkeypatch.setattr(torch.compiler, 'cudagraph_mark_step_begin',
                        lambda: steps.append(mode))
    hook = CompileHook()
    for batch_idx in range(2):
        # as mmengine calls it
        getattr(hook, f'before_{mode}_iter')(
            None, batch_idx=batch_idx, data_batch=None)
    assert steps == [mode] * 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_cuda_graphs_keep_what_the_neck_reads():
    model = make_model().cuda().eval()
    images = torch.randn(4, 2, 3, 8, 8).cuda()
    with torch.no_grad():
        expected = [model.neck(model.backbone(x)) for x in images]
        hook = CompileHook(mode='reduce-overhead')
        hook.before_run(
            SimpleNamespace(
                model=model, logger=logging.getLogger('test_compile')))
        for i, x in enumerate(images):
            hook.before_test_iter(None, batch_idx=i)
            torch.testing.assert_close(
                model.neck(model.backbone(x)), expected[i])
