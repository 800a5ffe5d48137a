"""A convolution whose gradient is found quickly on a CPU."""
from typing import Any, Optional, Tuple

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F


@MODELS.register_module()
class FastGradConv2d(nn.Conv2d):
    """``nn.Conv2d`` with a faster gradient where it is depthwise and strided.

    On a CPU, oneDNN finds the gradient to the input of a depthwise
    convolution with a stride in bf16 ten to a hundred times as slowly as of
    one without: in a training of MobileNetV2, four such layers take a third
    of the time. Here that gradient is the one without a stride, of the
    output's gradient with zeros between its pixels, which is the same.

    Everything else, inference included, is that of ``nn.Conv2d``, and so are
    the names of the weights. For ``conv_cfg=dict(type='FastGradConv2d')`` of
    a backbone.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) to (N, C_out, H', W')."""
        if self._is_slow(x):
            return _StridedDepthwise.apply(x, self.weight.to(x.dtype),
                                           self.bias, self.stride,
                                           self.padding, self.dilation)
        return super().forward(x)

    def _is_slow(self, x: Tensor) -> bool:
        return (x.dtype == torch.bfloat16 and x.device.type == 'cpu'
                and x.requires_grad and max(self.stride) > 1
                and self.groups == self.in_channels == self.out_channels
                and self.padding_mode == 'zeros'
                and not isinstance(self.padding, str))


class _StridedDepthwise(torch.autograd.Function):

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Optional[Tensor],
                *geometry: Tuple[int, int]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry, ctx.has_bias = geometry, bias is not None
        return F.conv2d(x, weight, bias, *geometry, x.shape[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tuple[Optional[Tensor], ...]:
        x, weight = ctx.saved_tensors
        stride, padding, dilation = ctx.geometry
        rest = dilation, False, (0, 0), x.shape[1]
        dense = grad.new_zeros(
            (*x.shape[:2],
             *(size + 2 * pad - dil * (kernel - 1) for size, pad, dil, kernel
               in zip(x.shape[2:], padding, dilation, weight.shape[2:]))
             )).contiguous(memory_format=torch.channels_last)
        dense[..., ::stride[0], ::stride[1]] = grad
        to_x, _, _ = torch.ops.aten.convolution_backward(
            dense, x, weight, None, (1, 1), padding, *rest,
            (True, False, False))
        _, to_weight, to_bias = torch.ops.aten.convolution_backward(
            grad, x, weight, [x.shape[1]] if ctx.has_bias else None, stride,
            padding, *rest, (False, True, ctx.has_bias))
        return to_x, to_weight, to_bias, None, None, None
