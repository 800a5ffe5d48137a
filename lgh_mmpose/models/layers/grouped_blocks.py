"""Building blocks of the branches, for G groups at once.

The G branches are equal in shape, so they run as one network of grouped
convolutions over tensors of (B, G*C, H, W), group-major: batch norm over G*C
channels is G batch norms, and a convolution with ``groups=G`` is G
convolutions (Sec. "Group branches" of Li et al., AAAI 2021).
"""
from typing import Sequence

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn


class ConvBNReLU(ConvModule):
    """Convolution, batch norm and ReLU for ``groups`` groups side by side.

    Args:
        in_channels (int): Input channels of *one* group.
        out_channels (int): Output channels of *one* group.
        kernel_size (int): Odd kernel size; the resolution is kept at stride 1.
        stride (int): Stride. Defaults to 1.
        groups (int): Number of groups G. Defaults to 1.
        relu (bool): Whether a ReLU follows. Defaults to ``True``.
        bias (bool): Whether the convolution has a bias, which the batch norm
            makes superfluous; the release has them. Defaults to ``False``.

    Shape:
        (B, G*in_channels, H, W) -> (B, G*out_channels, H/stride, W/stride)
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 kernel_size: int = 1,
                 stride: int = 1,
                 groups: int = 1,
                 relu: bool = True,
                 bias: bool = False) -> None:
        super().__init__(
            groups * in_channels,
            groups * out_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            groups=groups,
            bias=bias,
            norm_cfg=dict(type='BN'),
            act_cfg=dict(type='ReLU') if relu else None)


class Upsample(ConvModule):
    """4x4 transposed convolution of stride 2, batch norm and ReLU.

    Shape:
        (B, G*C, H, W) -> (B, G*C, 2H, 2W)
    """

    def __init__(self,
                 channels: int,
                 groups: int = 1,
                 bias: bool = False) -> None:
        super().__init__(
            groups * channels,
            groups * channels,
            4,
            stride=2,
            padding=1,
            groups=groups,
            bias=bias,
            conv_cfg=dict(type='deconv'),
            norm_cfg=dict(type='BN'))


class Residual(nn.Module):
    """Two 3x3 convolutions with a skip, projected where shapes differ.

    Args:
        in_channels (int): Input channels of *one* group.
        out_channels (int): Output channels of *one* group.
        stride (int): Stride. Defaults to 1.
        groups (int): Number of groups G. Defaults to 1.
        bias (bool): Whether the convolutions have biases. Defaults to
            ``False``.
        relu_before_sum (bool): Whether a ReLU follows the second convolution
            too, so that the block can only add to its skip. Defaults to
            ``False``.

    Shape:
        (B, G*in_channels, H, W) -> (B, G*out_channels, H/stride, W/stride)
    """

    def __init__(self,
                 in_channels: int,
                 out_channels: int,
                 stride: int = 1,
                 groups: int = 1,
                 bias: bool = False,
                 relu_before_sum: bool = False) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            ConvBNReLU(
                in_channels, out_channels, 3, stride, groups, bias=bias),
            ConvBNReLU(
                out_channels,
                out_channels,
                3,
                groups=groups,
                relu=relu_before_sum,
                bias=bias))
        self.skip = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.skip = ConvBNReLU(
                in_channels,
                out_channels,
                1,
                stride,
                groups,
                relu=False,
                bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.residual(x) + self.skip(x))


def concat_within_groups(tensors: Sequence[Tensor], groups: int) -> Tensor:
    """Concatenate channels group by group, so that groups stay contiguous.

    Shape:
        n tensors (B, G*C_i, H, W) -> (B, G*sum(C_i), H, W)
    """
    if groups == 1:
        return torch.cat(tuple(tensors), dim=1)
    if all(
            t.is_contiguous(memory_format=torch.channels_last)
            for t in tensors):
        # the channels last: one piece of memory each, twice as fast as below
        parts = [
            t.permute(0, 2, 3, 1).unflatten(-1, (groups, -1)) for t in tensors
        ]
        return torch.cat(parts, dim=-1).flatten(-2).permute(0, 3, 1, 2)
    pieces = [t.chunk(groups, dim=1) for t in tensors]
    return torch.cat([p[g] for g in range(groups) for p in pieces], dim=1)


class GroupedHourglass(nn.Module):
    """The G group branches: one small hourglass each on the shared feature.

    Args:
        in_channels (int): Channels of the shared feature F.
        channels (int): Channels C of one group.
        groups (int): Number of groups G.
        bias (bool): Whether the convolutions have biases. Defaults to
            ``False``.
        down_relu (bool): ``relu_before_sum`` of the two blocks that halve
            the resolution. Defaults to ``False``.

    Shape:
        (B, in_channels, H, W) -> (B, G*C, H, W); H and W multiples of 4
    """

    def __init__(self,
                 in_channels: int,
                 channels: int,
                 groups: int,
                 bias: bool = False,
                 down_relu: bool = False) -> None:
        super().__init__()
        self.groups = groups
        common = dict(groups=groups, bias=bias)
        # all groups read the same F: a dense 1x1 convolution is G of them
        self.conv0 = ConvBNReLU(in_channels, groups * channels, bias=bias)
        self.conv1 = Residual(channels, channels, **common)
        self.down1, self.down2 = (
            Residual(
                channels,
                channels,
                stride=2,
                relu_before_sum=down_relu,
                **common) for _ in range(2))
        self.up2 = Upsample(channels, **common)
        self.up1 = nn.Sequential(
            ConvBNReLU(2 * channels, channels, **common),
            Upsample(channels, **common))
        self.up0 = nn.Sequential(
            ConvBNReLU(3 * channels, 2 * channels, **common),
            Residual(2 * channels, channels, **common))

    def forward(self, shared: Tensor) -> Tensor:
        f0 = self.conv0(shared)
        f1 = self.conv1(f0)
        f2 = self.down1(f1)
        f3 = self.down2(f2)
        a = self.up2(f3)
        b = self.up1(concat_within_groups([a, f2], self.groups))
        return self.up0(concat_within_groups([b, f1, f0], self.groups))
