"""The camera of a photo, where it is known and where it is not."""
from typing import Tuple, Union

import numpy as np

ASSUMED_FOV = 60.
"""Angle of view across the longer side of an image, in degrees, where nothing
is known of the camera. It is that of a 31 mm lens on 35 mm film; main cameras
of phones have 65 to 75 degrees, webcams 50 to 70."""

# share of an image's side: 0.02 in STB and Dexter+Object, 0.09 in SynthHand; a
# matrix for images of two thirds of the size is 0.17 off
_OFF_CENTRE = .15


def camera_suits_image(matrix: np.ndarray, image_size: Tuple[int,
                                                             int]) -> bool:
    """Whether a camera may have taken a whole image of this size.

    The principal point of a camera lies near the middle of its images. Where
    it does not, the matrix is likely one for another resolution, or the image
    was cut out and the matrix not.

    Args:
        matrix (np.ndarray): Intrinsics (3, 3), px.
        image_size (tuple[int, int]): Width and height, px.

    Returns:
        bool: Whether it is within 15 % of the width and of the height.
    """
    shares = (matrix[:2, 2] + .5) / image_size
    return bool((np.abs(shares - .5) <= _OFF_CENTRE).all())


def camera_of_fov(image_size: Tuple[int, int],
                  fov: Union[float, int] = ASSUMED_FOV) -> np.ndarray:
    """Camera with square pixels that looks through the image's middle.

    Args:
        image_size (tuple[int, int]): Width and height, px.
        fov (float): Angle of view across the longer side, degrees.

    Returns:
        np.ndarray: Intrinsics (3, 3), float64.
    """
    width, height = image_size
    focal = max(image_size) / 2 / np.tan(np.radians(fov) / 2)
    return np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2],
                     [0, 0, 1]])
