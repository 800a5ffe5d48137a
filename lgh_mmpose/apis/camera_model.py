"""The camera of a photo, where it is known and where it is not."""
import json
import os.path as osp
from typing import Any, Tuple, Union
from zipfile import BadZipFile

import cv2
import numpy as np

ASSUMED_FOV = 60.
"""Angle of view across the longer side of an image, in degrees, where nothing
is known of the camera. It is that of a 31 mm lens on 35 mm film; main cameras
of phones have 65 to 75 degrees, webcams 50 to 70."""

# share of an image's side: 0.02 in STB and Dexter+Object, 0.09 in SynthHand; a
# matrix for images of two thirds of the size is 0.17 off
_OFF_CENTRE = .15
_NAMES = ('camera_matrix', 'K')


def check_camera_matrix(matrix: Any,
                        name: str = 'camera_matrix') -> np.ndarray:
    """A camera matrix as an array.

    Args:
        matrix: Intrinsics, 3 rows of 3 numbers, px.
        name (str): What error messages call it.

    Returns:
        np.ndarray: (3, 3), float64.

    Raises:
        ValueError: If it is not the matrix of a pinhole camera.
    """
    try:
        matrix = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError):
        matrix = np.zeros(0)
    if (matrix.shape != (3, 3) or not np.isfinite(matrix).all()
            or matrix[1, 0] != 0 or (matrix[2] != (0, 0, 1)).any()
            or (np.diag(matrix)[:2] <= 0).any()):
        raise ValueError(
            f'{name} must be [[fx, skew, cx], [0, fy, cy], [0, 0, 1]] with '
            f'fx and fy > 0, in px, got {matrix.tolist()}')
    return matrix


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


def load_camera_matrix(path: str) -> np.ndarray:
    """Read a camera matrix.

    Args:
        path (str): ``.json``: 3 rows of 3 numbers, alone or under
            ``camera_matrix`` or ``K``; ``.npy``; ``.yml``, ``.yaml`` or
            ``.xml`` as OpenCV's calibration writes ``camera_matrix``; any
            other: text, numbers with white space between them.

    Returns:
        np.ndarray: (3, 3), float64.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no camera matrix.
    """
    if not osp.isfile(path):
        raise FileNotFoundError(f'camera file not found: {path}')
    suffix = osp.splitext(path)[1].lower()
    try:
        if suffix == '.json':
            with open(path, encoding='utf-8') as file:
                matrix = json.load(file)
            if isinstance(matrix, dict):
                matrix = next(
                    (matrix[name] for name in _NAMES if name in matrix), None)
        elif suffix == '.npy':
            matrix = np.load(path, allow_pickle=False)
        elif suffix in ('.yml', '.yaml', '.xml'):
            storage = cv2.FileStorage(path, cv2.FILE_STORAGE_READ)
            matrix = next(
                (storage.getNode(name).mat()
                 for name in _NAMES if not storage.getNode(name).empty()),
                None)
            storage.release()
        else:
            matrix = np.loadtxt(path)
    # OpenCV's binding raises SystemError for a damaged file
    except (ValueError, OSError, EOFError, BadZipFile, RecursionError,
            SystemError, cv2.error) as error:
        raise ValueError(f'cannot read the camera file {path}: '
                         f'{error}') from error
    return check_camera_matrix(matrix, f'the camera matrix in {path}')


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
