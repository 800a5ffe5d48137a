"""Soft-argmax: from score maps to coordinates (Sun et al., ECCV 2018)."""
from typing import Tuple

import torch
from torch import Tensor
from torch.nn import functional as F


def spatial_softmax(logits: Tensor, beta: Tensor) -> Tensor:
    """``H = softmax(beta * h)`` over the last two dimensions.

    Args:
        logits (Tensor): Score maps h (..., H, W).
        beta (Tensor): Inverse temperatures that broadcast to (...,).

    Returns:
        Tensor: Distributions over the cells (..., H, W), in fp32.
    """
    # map by map in memory: convolutions give channels_last, and all that
    # follows would step through it
    scaled = logits.contiguous().float() * beta.float()[..., None, None]
    return scaled.flatten(-2).softmax(-1).view_as(logits)


def soft_argmax(heatmaps: Tensor,
                input_size: Tuple[int, int],
                pixel_centers: bool = True) -> Tensor:
    """Expected position ``uv = sum H * (x, y)`` in pixels of the input.

    Args:
        heatmaps (Tensor): Distributions (..., H, W).
        input_size (tuple[int, int]): Width and height of the network input.
        pixel_centers (bool): ``True``: cell i of stride s stands at the centre
            of its s pixels, ``s*i + (s-1)/2``. ``False``: at its first pixel,
            ``s*i``, as mmpose's heat-map codecs and the authors' release have
            it. Defaults to ``True``.

    Returns:
        Tensor: uv (..., 2), pixel centres at integers.
    """
    height, width = heatmaps.shape[-2:]

    def positions(cells: int, pixels: int) -> Tensor:
        stride = pixels / cells
        offset = (stride - 1) / 2 if pixel_centers else 0.
        index = torch.arange(cells, device=heatmaps.device)
        return index.to(heatmaps.dtype) * stride + offset

    u = (heatmaps.sum(-2) * positions(width, input_size[0])).sum(-1)
    v = (heatmaps.sum(-1) * positions(height, input_size[1])).sum(-1)
    return torch.stack([u, v], dim=-1)


def expected_value(heatmaps: Tensor, maps: Tensor) -> Tensor:
    """``d = sum H * D``: a map's mean under a distribution.

    Shape:
        (..., H, W), (..., H, W) -> (...)
    """
    return (heatmaps * maps.contiguous().float()).sum((-2, -1))


def peak_mass(heatmaps: Tensor, radius: int = 2) -> Tensor:
    """Largest mass of any square of ``2*radius+1`` cells.

    It says how sure a heat map is, whatever its resolution: the single
    highest cell of a sharp Gaussian of one cell holds 0.16 only.

    Shape:
        distributions (B, K, H, W) -> (B, K) in [0, 1]
    """
    side = 2 * radius + 1
    mean = F.avg_pool2d(heatmaps, side, stride=1, padding=radius)
    return (mean * side**2).amax((-2, -1)).clamp(max=1)
