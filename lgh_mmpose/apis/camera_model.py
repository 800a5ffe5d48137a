"""The camera of a photo, where it is known and where it is not."""
from typing import Tuple, Union

import numpy as np

ASSUMED_FOV = 60.
"""Angle of view across the longer side of an image, in degrees, where nothing
is known of the camera. It is that of a 31 mm lens on 35 mm film; main cameras
of phones have 65 to 75 degrees, webcams 50 to 70."""


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
