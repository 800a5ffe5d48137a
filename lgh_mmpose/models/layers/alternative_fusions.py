"""Fusions to compare NDDR with."""
import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from .grouped_blocks import ConvBNReLU


@MODELS.register_module()
class CrossStitchFusion(BaseModule):
    r"""Cross-stitch units (Misra et al., CVPR 2016).

    Channel c of group g becomes a weighted sum of channel c of all groups:
    :math:`\tilde x_{gc} = \sum_h \alpha_{ghc} x_{hc}`. NDDR with a free
    matrix in place of the diagonal ones, batch norm and ReLU is its
    generalisation (Gao et al., CVPR 2019).

    Args:
        channels (int): Channels C of one group.
        num_groups (int): Number of groups G, at least 2.
        own_weight (float): Initial weight of a group's own feature; the rest
            is shared out evenly among the others. At 1 the unit starts as no
            fusion. Defaults to 0.9.

    Shape:
        (B, G*C, H, W) -> (B, G*C, H, W)

    Raises:
        ValueError: If there is only one group to fuse.
    """

    def __init__(self,
                 channels: int,
                 num_groups: int,
                 own_weight: float = 0.9) -> None:
        super().__init__()
        _check_num_groups(self, num_groups)
        alpha = torch.full((num_groups, num_groups),
                           (1 - own_weight) / (num_groups - 1))
        alpha.fill_diagonal_(own_weight)
        self.alpha = nn.Parameter(alpha[..., None].repeat(1, 1, channels))

    def forward(self, grouped: Tensor) -> Tensor:
        # a 1x1 convolution of diagonal blocks is faster than G*G products
        weight = torch.diag_embed(self.alpha).transpose(1, 2)
        width = grouped.shape[1]
        return F.conv2d(grouped, weight.reshape(width, width, 1, 1))


@MODELS.register_module()
class AttentionFusion(BaseModule):
    r"""Attention masks on a pool of shared features, as in MTAN.

    One pool p is read from all groups by a 1x1 convolution; each group adds
    what its own mask lets through:

    .. math::
        a_g = \sigma(\mathrm{BN}(W_2\, \mathrm{ReLU}(\mathrm{BN}(W_1 [p;
        x_g])))), \quad \tilde x_g = x_g + a_g \odot p.

    The mask is that of Liu et al., "End-to-End Multi-Task Learning with
    Attention", CVPR 2019. There tasks have no branches before, so that the
    masked pool alone goes on; here it joins the group's own feature.

    Args:
        channels (int): Channels C of one group.
        num_groups (int): Number of groups G, at least 2.

    Shape:
        (B, G*C, H, W) -> (B, G*C, H, W)

    Raises:
        ValueError: If there is only one group to fuse.
    """

    def __init__(self, channels: int, num_groups: int) -> None:
        super().__init__()
        _check_num_groups(self, num_groups)
        self.num_groups = num_groups
        width = num_groups * channels
        self.pool = ConvBNReLU(width, channels)
        self.mask = nn.Sequential(
            ConvBNReLU(2 * channels, channels, groups=num_groups),
            ConvBNReLU(channels, channels, groups=num_groups, relu=False))

    def masks(self, grouped: Tensor, pool: Tensor) -> Tensor:
        """Shares of the pool in [0, 1] for each group, (B, G*C, H, W)."""
        pairs = [
            part for own in grouped.chunk(self.num_groups, 1)
            for part in (pool, own)
        ]
        return self.mask(torch.cat(pairs, 1)).sigmoid()

    def forward(self, grouped: Tensor) -> Tensor:
        pool = self.pool(grouped)
        masks = self.masks(grouped, pool)
        return grouped + masks * pool.repeat(1, self.num_groups, 1, 1)


def _check_num_groups(fusion: BaseModule, num_groups: int) -> None:
    if num_groups < 2:
        raise ValueError(f'{type(fusion).__name__} fuses at least 2 groups, '
                         f'got {num_groups}; set fusion=None for a single '
                         'group')
