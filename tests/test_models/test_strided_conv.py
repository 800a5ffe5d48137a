import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

from lgh_mmpose.models import FastGradConv2d


def gradients(conv: nn.Conv2d, pictures: torch.Tensor) -> list:
    """Output and all gradients, computed in bf16."""
    pictures = pictures.clone().requires_grad_()
    with torch.autocast('cpu', torch.bfloat16):
        out = conv(pictures.bfloat16())
    out.float().pow(2).sum().backward()
    return [out, pictures.grad, *(param.grad for param in conv.parameters())]


@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('size, kernel, stride, dilation', [
    (48, 3, 2, 1),
    (13, 3, 2, 1),
    (11, 5, 3, 1),
    (12, 3, 2, 2),
    ((9, 14), (3, 5), (1, 2), 1),
])
def test_gradients_are_those_of_a_usual_convolution(size, kernel, stride,
                                                    dilation, bias):
    torch.manual_seed(0)
    args = dict(stride=stride, dilation=dilation, groups=16, bias=bias)
    args['padding'] = (1, 2) if isinstance(kernel, tuple) else kernel // 2
    usual = nn.Conv2d(16, 16, kernel, **args)
    fast = FastGradConv2d(16, 16, kernel, **args)
    fast.load_state_dict(usual.state_dict())
    height, width = size if isinstance(size, tuple) else (size, size)
    pictures = torch.randn(4, 16, height, width)

    found = gradients(fast, pictures)

    assert type(found[0].grad_fn).__name__ == '_StridedDepthwiseBackward'
    for expected, value in zip(gradients(usual, pictures), found):
        torch.testing.assert_close(value, expected, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize('dtype, conv', [
    (torch.float32, dict(stride=2, groups=8)),
    (torch.bfloat16, dict(groups=8)),
    (torch.bfloat16, dict(stride=2)),
    (torch.bfloat16, dict(stride=2, groups=8, padding_mode='circular')),
])
def test_all_else_is_computed_as_usual(dtype, conv):
    fast = FastGradConv2d(8, 8, 3, padding=1, **conv).to(dtype)
    usual = nn.Conv2d(8, 8, 3, padding=1, **conv).to(dtype)
    usual.load_state_dict(fast.state_dict())
    pictures = torch.randn(2, 8, 10, 10, dtype=dtype, requires_grad=True)
    out = fast(pictures)
    assert type(out.grad_fn).__name__ != '_StridedDepthwiseBackward'
    assert torch.equal(out, usual(pictures))


def test_a_backbone_takes_it_by_its_config_and_keeps_its_weights_names():
    init_default_scope('mmpose')
    usual, fast = (
        MODELS.build(
            dict(type='MobileNetV2', out_indices=(2, ), conv_cfg=conv))
        for conv in (None, dict(type='FastGradConv2d')))
    fast.load_state_dict(usual.state_dict())
    strided = [
        m for m in fast.modules()
        if isinstance(m, nn.Conv2d) and m.stride == (2, 2) and m.groups > 1
    ]
    assert strided and all(type(m) is FastGradConv2d for m in strided)
