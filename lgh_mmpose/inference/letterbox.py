"""A whole image as a network's input."""
from typing import Tuple

import cv2
import numpy as np

FILL = 114
"""Grey of what is no image."""


def letterbox_matrix(image_size: Tuple[int, int],
                     input_size: Tuple[int, int]) -> np.ndarray:
    """Warp from a whole image to the network's input.

    The image becomes as large as fits, up to whole pixels, and stands in the
    middle.

    Args:
        image_size (tuple[int, int]): Width and height, px.
        input_size (tuple[int, int]): Width and height of the input, px.

    Returns:
        np.ndarray: (3, 3), float64, diagonal but for the shift; pixel centres
        at integers on both sides.
    """
    size, shift = _place(image_size, input_size)
    scale = np.divide(size, image_size)
    matrix = np.diag([*scale, 1.])
    # the borders of the pixels meet, not their centres
    matrix[:2, 2] = shift + (scale - 1) / 2
    return matrix


def letterbox(image: np.ndarray,
              input_size: Tuple[int, int]) -> Tuple[np.ndarray, np.ndarray]:
    """Scale an image into a network's input, grey beside it.

    Args:
        image (np.ndarray): BGR, uint8 (h, w, 3).
        input_size (tuple[int, int]): Width W and height H, px.

    Returns:
        tuple: The input (H, W, 3), uint8, and :func:`letterbox_matrix`.
    """
    image_size = image.shape[1::-1]
    (width, height), (x, y) = _place(image_size, input_size)
    pixels = np.full((*input_size[::-1], 3), FILL, np.uint8)
    pixels[y:y + height, x:x + width] = resize(image, (width, height))
    return pixels, letterbox_matrix(image_size, input_size)


def resize(image: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    """Scale an image, without aliasing where it shrinks."""
    if image.shape[1::-1] == tuple(size):
        return image
    smaller = size[0] * size[1] < image.shape[0] * image.shape[1]
    return cv2.resize(
        image,
        size,
        interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def _place(
        image_size: Tuple[int, int],
        input_size: Tuple[int,
                          int]) -> Tuple[Tuple[int, int], Tuple[int, int]]:
    """Size of the image in the input, and its left upper corner."""
    scale = min(np.divide(input_size, image_size).tolist())
    size = [
        min(max(round(scale * length), 1), room)
        for length, room in zip(image_size, input_size)
    ]
    shift = [(room - length) // 2 for length, room in zip(size, input_size)]
    return tuple(size), tuple(shift)
