"""From a backbone's features to the fused features of G groups."""
import math
from typing import Optional, Sequence, Tuple

from mmengine.model import BaseModule
from mmpose.registry import MODELS
from mmpose.utils.typing import ConfigType, OptConfigType
from torch import Tensor, nn
from torch.nn import functional as F

from ..layers import ConvBNReLU, GroupedHourglass, Residual, Upsample


@MODELS.register_module()
class GroupFusionNeck(BaseModule):
    """Shared stem, G group branches and the fusion between them.

    1. *Stem*: any mmpose backbone's outputs become one shared feature F at
       ``out_stride``: several levels are merged top-down as in a feature
       pyramid (Lin et al., CVPR 2017), a coarse one is upsampled, then come
       the ``shared`` residual blocks.
    2. *Branches*: one small hourglass per group on F (Li et al., AAAI 2021),
       all groups at once as grouped convolutions.
    3. *Fusion*: each group reads the features of all groups (ibid.; NDDR).

    Args:
        in_channels (Sequence[int]): Channels of the backbone's outputs, fine
            to coarse.
        in_strides (Sequence[int]): Strides of the same outputs.
        num_groups (int): Number of groups G; 1 is the holistic baseline.
        out_stride (int): Stride of F and of all that follows. Defaults to 4.
        stem_channels (int): Width of the top-down merge; a single backbone
            output is taken as it is. Defaults to 128.
        shared_channels (Sequence[int]): Output channels of the residual
            blocks that end in F. Defaults to (128, 32), as in the paper.
        group_channels (int): Channels C of one group. Defaults to 32.
        fusion (dict, optional): Config of the fusion layer, which is given
            ``channels`` and ``num_groups``; ``None`` for no fusion. A single
            group has nothing to be fused with. Defaults to NDDR.
        conv_bias (bool): Whether convolutions before a batch norm have
            biases, as in the authors' release. Defaults to ``False``.
        down_relu (bool): Whether the branches' halving blocks also have a
            ReLU before their sum, as in the release. Defaults to ``False``.

    Shape:
        tuple of (B, in_channels[i], H_i, W_i) -> tuple of
        F (B, shared_channels[-1], H, W) and the group features
        (B, G*C, H, W), group-major; H, W = input size / out_stride

    Raises:
        ValueError: If ``num_groups`` is below 1, if the strides can't be
            brought to ``out_stride``, or if the backbone gives something else
            than ``in_channels`` and ``in_strides`` say.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 in_strides: Sequence[int],
                 num_groups: int = 3,
                 out_stride: int = 4,
                 stem_channels: int = 128,
                 shared_channels: Sequence[int] = (128, 32),
                 group_channels: int = 32,
                 fusion: OptConfigType = dict(type='NDDRFusion'),
                 conv_bias: bool = False,
                 down_relu: bool = False,
                 init_cfg: Optional[ConfigType] = None) -> None:
        super().__init__(init_cfg)
        if not isinstance(num_groups, int) or num_groups < 1:
            raise ValueError(
                f'num_groups must be at least 1, got {num_groups}')
        self._check_strides(in_channels, in_strides, out_stride)
        self.in_channels = tuple(in_channels)
        self.in_strides = tuple(in_strides)
        self.num_groups = num_groups
        self.group_channels = group_channels

        width = in_channels[0]
        if len(in_channels) > 1:
            width = stem_channels
            self.lateral = nn.ModuleList(
                ConvBNReLU(c, width, bias=conv_bias) for c in in_channels)
            self.merge = nn.ModuleList(
                Residual(width, width, bias=conv_bias)
                for _ in in_channels[1:])
        self.upsample = nn.Sequential(
            *(Upsample(width, bias=conv_bias)
              for _ in range(int(math.log2(in_strides[0] // out_stride)))))
        widths = (width, *shared_channels)
        self.shared = nn.Sequential(*(Residual(a, b, bias=conv_bias)
                                      for a, b in zip(widths, widths[1:])))
        self.branches = GroupedHourglass(widths[-1], group_channels,
                                         num_groups, conv_bias, down_relu)
        self.fusion = None
        if fusion is not None and num_groups > 1:
            self.fusion = MODELS.build(
                dict(**fusion, channels=group_channels, num_groups=num_groups))

    def forward(self, feats: Sequence[Tensor]) -> Tuple[Tensor, Tensor]:
        self._check_features(feats)
        shared = self.shared(self.upsample(self._merge_levels(feats)))
        grouped = self.branches(shared)
        if self.fusion is not None:
            grouped = self.fusion(grouped)
        return shared, grouped

    def _merge_levels(self, feats: Sequence[Tensor]) -> Tensor:
        if len(feats) == 1:
            return feats[0]
        merged = self.lateral[-1](feats[-1])
        for level in reversed(range(len(feats) - 1)):
            merged = F.interpolate(merged, feats[level].shape[-2:])
            merged = merged + self.lateral[level](feats[level])
            merged = self.merge[level](merged)
        return merged

    @staticmethod
    def _check_strides(in_channels: Sequence[int], in_strides: Sequence[int],
                       out_stride: int) -> None:
        if len(in_channels) != len(in_strides) or not in_channels:
            raise ValueError(
                f'in_channels {tuple(in_channels)} and in_strides '
                f'{tuple(in_strides)} must name the same backbone outputs')
        if list(in_strides) != sorted(in_strides):
            raise ValueError('in_strides must go from fine to coarse, got '
                             f'{tuple(in_strides)}')
        ratio, rest = divmod(in_strides[0], out_stride)
        if rest or ratio < 1 or ratio & (ratio - 1):
            raise ValueError(
                f'the finest backbone output (stride {in_strides[0]}) must be '
                f'out_stride={out_stride} times a power of two')

    def _check_features(self, feats: Sequence[Tensor]) -> None:
        channels = tuple(f.shape[1] for f in feats)
        if channels != self.in_channels:
            raise ValueError(
                f'the backbone gives {channels} channels, the neck expects '
                f'in_channels={self.in_channels}; check out_indices')
        height, width = feats[0].shape[-2:]
        for feat, stride in zip(feats, self.in_strides):
            shrink = stride // self.in_strides[0]
            if feat.shape[-2] != math.ceil(height / shrink) or \
                    feat.shape[-1] != math.ceil(width / shrink):
                raise ValueError(
                    'the backbone gives maps of '
                    f'{[tuple(f.shape[-2:]) for f in feats]}, which do not '
                    f'have the strides in_strides={self.in_strides}')
        scale = 2**len(self.upsample)
        if height * scale % 4 or width * scale % 4:
            raise ValueError(
                'the branches halve their maps twice: the input size must be '
                f'a multiple of 4*out_stride, got maps of '
                f'{(height * scale, width * scale)}')
