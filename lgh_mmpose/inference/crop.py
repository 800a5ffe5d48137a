"""Cutting a hand out of its image."""
from typing import Optional, Sequence, Tuple

import cv2
import numpy as np

from ..geometry.crop import Crop, crop_matrix, upright_rotation


def cut_out(
    image: np.ndarray,
    bbox: Sequence[float],
    crop: Crop,
    input_size: Tuple[int, int],
    hand_side: str = 'right',
    whole_image: bool = False,
    direction: Optional[Sequence[float]] = None
) -> Tuple[np.ndarray, np.ndarray]:
    """The network's view of one hand, bilinear, black outside the image.

    Args:
        image (np.ndarray): BGR, uint8 (h, w, 3).
        bbox (Sequence[float]): Left, top, right and bottom in px.
        crop (Crop): How the network wants it.
        input_size (tuple[int, int]): Width and height of its input.
        hand_side (str): Side of the hand, ``'right'`` or ``'left'``.
        whole_image (bool): Whether the box is the whole image, as which it is
            padded, and not tight round the hand. Defaults to ``False``.
        direction (Sequence[float], optional): Where the hand points in the
            image, (2,), for networks that want it upright. Defaults to not
            known: upwards.

    Returns:
        tuple: Network input (H, W, 3), uint8, mirrored if need be, and the
        warp from the image to it, (3, 3), float64.
    """
    padding = crop.whole_image_padding if whole_image else crop.padding
    rotation = 0.
    if crop.upright and direction is not None:
        rotation = upright_rotation(direction)
    # OpenCV's rounding is not symmetric: cut out as it is, then mirror
    as_it_is = crop_matrix(
        bbox, input_size, padding, crop.use_udp, rotation=rotation)
    pixels = cv2.warpAffine(
        image, as_it_is[:2], tuple(input_size), flags=cv2.INTER_LINEAR)
    if crop.hand_side in (None, hand_side):
        return pixels, as_it_is
    mirrored = crop_matrix(
        bbox,
        input_size,
        padding,
        crop.use_udp,
        mirror=True,
        rotation=rotation)
    return cv2.flip(pixels, 1), mirrored
