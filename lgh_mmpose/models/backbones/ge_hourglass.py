"""The hourglass network that the authors of the method built on."""
from typing import Tuple

import torch
from mmpose.models.backbones.base_backbone import BaseBackbone
from mmpose.registry import MODELS
from mmpose.utils.typing import OptMultiConfig
from torch import Tensor, nn
from torch.nn import functional as F


class PreActBottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, each after batch norm and ReLU.

    The skip is a 1x1 convolution where the channels differ (He et al.,
    "Identity Mappings in Deep Residual Networks", ECCV 2016).

    Shape:
        (B, in_channels, H, W) -> (B, out_channels, H, W)
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        width = out_channels // 2
        self.bn = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1)
        self.conv4 = nn.Identity()
        if in_channels != out_channels:
            self.conv4 = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(self.bn(x).relu_())
        out = self.conv2(self.bn1(out).relu_())
        out = self.conv3(self.bn2(out).relu_())
        return out + self.conv4(x)


def _bottlenecks(channels: int, num_blocks: int) -> nn.Sequential:
    return nn.Sequential(*(PreActBottleneck(channels, channels)
                           for _ in range(num_blocks)))


class Hourglass(nn.Module):
    """Down and up again by ``depth`` octaves, with a skip at each.

    Newell et al., "Stacked Hourglass Networks for Human Pose Estimation",
    ECCV 2016.

    Args:
        depth (int): Number of times the resolution is halved.
        channels (int): Channels throughout.
        num_blocks (int): Bottlenecks at each place.

    Shape:
        (B, C, H, W) -> (B, C, H, W)
    """

    def __init__(self, depth: int, channels: int, num_blocks: int) -> None:
        super().__init__()
        self.up1_ = _bottlenecks(channels, num_blocks)
        self.low1_ = _bottlenecks(channels, num_blocks)
        if depth > 1:
            self.low2 = Hourglass(depth - 1, channels, num_blocks)
        else:
            self.low2_ = _bottlenecks(channels, num_blocks)
        self.low3_ = _bottlenecks(channels, num_blocks)
        self.innermost = depth == 1

    def forward(self, x: Tensor) -> Tensor:
        low = self.low1_(F.max_pool2d(x, 2))
        low = self.low2_(low) if self.innermost else self.low2(low)
        low = self.low3_(low)
        # to the size of the skip, which need not be even
        return self.up1_(x) + F.interpolate(low, x.shape[-2:])


@MODELS.register_module()
class GeHourglass(BaseBackbone):
    """Stacked hourglass with heat maps, as Li et al. (AAAI 2021) use it.

    The backbone of Ge et al., "3D Hand Shape and Pose Estimation from a
    Single RGB Image", CVPR 2019, after Newell et al. (ECCV 2016): a 7x7
    stem, hourglasses of ``num_blocks`` bottlenecks per place and, after each
    of them, heat maps read off its feature. Modules bear the names of the
    authors' released weights.

    Args:
        num_joints (int): Heat maps of each stack. Defaults to 21.
        num_stacks (int): Number of hourglasses. Defaults to 1.
        downsample_times (int): How often an hourglass halves its resolution.
            Defaults to 4.
        num_blocks (int): Bottlenecks at each place of an hourglass. Defaults
            to 2.
        feat_channels (int): Channels of the features, a multiple of 8; the
            stem is narrower. Defaults to 256.
        init_cfg (dict, optional): Initialisation of the layers.

    Shape:
        (B, 3, H, W) -> tuple of ``num_stacks`` tensors
        (B, num_joints + feat_channels, H/4, W/4): score maps of the joints
        (logits), then features

    Raises:
        ValueError: If there is no stack or nothing to halve, the channels
            are no multiple of 8, or an image is too small to be halved
            ``downsample_times + 2`` times.
    """

    def __init__(self,
                 num_joints: int = 21,
                 num_stacks: int = 1,
                 downsample_times: int = 4,
                 num_blocks: int = 2,
                 feat_channels: int = 256,
                 init_cfg: OptMultiConfig = None) -> None:
        super().__init__(init_cfg)
        for name, value in (('num_stacks', num_stacks), ('downsample_times',
                                                         downsample_times)):
            if value < 1:
                raise ValueError(f'{name} must be at least 1, got {value}')
        if feat_channels < 8 or feat_channels % 8:
            raise ValueError('feat_channels must be a multiple of 8, got '
                             f'{feat_channels}')
        self.num_stacks = num_stacks
        self.num_blocks = num_blocks
        self.min_size = 2**(downsample_times + 2)
        width = feat_channels

        self.conv1_ = nn.Conv2d(3, width // 4, 7, stride=2, padding=3)
        self.bn1 = nn.BatchNorm2d(width // 4)
        self.r1 = PreActBottleneck(width // 4, width // 2)
        self.r4 = PreActBottleneck(width // 2, width // 2)
        self.r5 = PreActBottleneck(width // 2, width)

        stacks = range(num_stacks)
        self.hourglass = nn.ModuleList(
            Hourglass(downsample_times, width, num_blocks) for _ in stacks)
        self.Residual = _bottlenecks(width, num_stacks * num_blocks)
        self.lin_ = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 1), nn.BatchNorm2d(width),
                nn.ReLU(inplace=True)) for _ in stacks)
        self.tmpOut = nn.ModuleList(
            nn.Conv2d(width, num_joints, 1) for _ in stacks)
        self.ll_ = nn.ModuleList(
            nn.Conv2d(width, width, 1) for _ in stacks[1:])
        self.tmpOut_ = nn.ModuleList(
            nn.Conv2d(num_joints, width, 1) for _ in stacks[1:])

    def forward(self, x: Tensor) -> Tuple[Tensor, ...]:
        if min(x.shape[-2:]) < self.min_size:
            raise ValueError(
                f'GeHourglass needs images of at least {self.min_size} px, '
                f'got {tuple(x.shape[-2:])}')
        x = self.bn1(self.conv1_(x)).relu_()
        x = F.max_pool2d(self.r1(x), 2)
        x = self.r5(self.r4(x))

        outs = []
        for i in range(self.num_stacks):
            blocks = self.Residual[i * self.num_blocks:][:self.num_blocks]
            feature = self.lin_[i](blocks(self.hourglass[i](x)))
            heatmap = self.tmpOut[i](feature)
            outs.append(torch.cat([heatmap, feature], 1))
            if i + 1 < self.num_stacks:
                x = x + self.ll_[i](feature) + self.tmpOut_[i](heatmap)
        return tuple(outs)
