"""Fusion between the features of the groups."""
import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class NDDRFusion(BaseModule):
    """Neural discriminative dimensionality reduction (Gao et al., CVPR 2019).

    Each group sees the features of all groups through its own 1x1
    convolution, batch norm and ReLU (Li et al., AAAI 2021, Sec. "Feature
    fusion"). The G convolutions C <- G*C are one dense convolution
    G*C <- G*C.

    Args:
        channels (int): Channels C of one group.
        num_groups (int): Number of groups G, at least 2.
        own_weight (float): Initial weight of a group's own feature; the rest
            is shared out evenly among the others. Defaults to 0.9.

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
        if num_groups < 2:
            raise ValueError(
                f'NDDRFusion fuses at least 2 groups, got {num_groups}; set '
                'fusion=None for a single group')
        self.channels = channels
        self.num_groups = num_groups
        self.own_weight = own_weight
        width = num_groups * channels
        self.conv = nn.Conv2d(width, width, 1)
        self.bn = nn.BatchNorm2d(width)
        self.init_weights()

    @torch.no_grad()
    def init_weights(self) -> None:
        """Own block 0.9*I, each other block 0.1/(G-1)*I, bias 0."""
        g = self.num_groups
        mix = torch.full((g, g), (1 - self.own_weight) / (g - 1))
        mix.fill_diagonal_(self.own_weight)
        weight = torch.kron(mix, torch.eye(self.channels))
        self.conv.weight.copy_(weight[:, :, None, None])
        self.conv.bias.zero_()

    def forward(self, grouped: Tensor) -> Tensor:
        return torch.relu(self.bn(self.conv(grouped)))
