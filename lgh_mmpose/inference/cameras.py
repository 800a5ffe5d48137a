"""The camera of a photo: from a file, from a user, or assumed."""
import io
import json
import numbers
import re
import warnings
from pathlib import Path
from typing import Any, Dict, List, Tuple
from xml.etree import ElementTree

import numpy as np

from lgh_mmpose.reading import read_small_file, reason

ASSUMED_FOV = 60.
"""Angle of view across the longer side of an image, in degrees, where nothing
is known of the camera. It is that of a 31 mm lens on 35 mm film; main cameras
of phones have 65 to 75 degrees, webcams 50 to 70."""

_MAX_PIXELS = 1e7  # a lens of 10 m over pixels of 1 um
_CAMERA_NAMES = ('camera_matrix', 'K')
# as programs call it: D, dist, distCoeffs, distortion_coefficients, and so on,
# or a number each
_DISTORTION = re.compile(
    r'(?i:dist(?:ortion)?(?:_?coef(?:f|fs|ficients)?)?)|D|[kp][1-6]')

# A matrix as OpenCV writes it, which ROS does without the tag. A matrix of
# another kind, or a nested one, is none of a camera.
_YAML_MATRIX = re.compile(
    r'^(\w{1,40}): {0,9}(?:!!opencv-matrix {0,9})?\n'
    r' {1,9}rows: {0,9}(\d{1,4}) {0,9}\n'
    r' {1,9}cols: {0,9}(\d{1,4}) {0,9}\n'
    r'(?: {1,9}dt: {0,9}"?[a-z]"? {0,9}\n)?'
    r' {1,9}data: {0,9}\[([-+.\w,\s]{0,2000})\]', re.MULTILINE)
# a plain list of numbers, or one
_YAML_NUMBERS = re.compile(
    r'^(\w{1,40}): {0,9}\[? {0,9}([-+.\d][-+.\w, \t]{0,2000})\]? {0,9}$',
    re.MULTILINE)


def camera_of_fov(image_size: Tuple[int, int],
                  fov: float = ASSUMED_FOV) -> np.ndarray:
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
    array = _numbers(matrix)
    if array is None or array.shape != (3, 3):
        raise ValueError(f'{name} must be 3 rows of 3 numbers, in px')
    if (not (np.abs(array) <= _MAX_PIXELS).all() or array[1, 0] != 0
            or (array[2] != (0, 0, 1)).any()
            or (np.diag(array)[:2] < 1 / _MAX_PIXELS).any()):
        raise ValueError(
            f'{name} must be [[fx, skew, cx], [0, fy, cy], [0, 0, 1]] with '
            f'fx and fy > 0, in px, none beyond {_MAX_PIXELS:.0e}, got '
            f'{array.tolist()}')
    return array


def _numbers(value: Any) -> Any:
    """Finite or not, float64, or None: text, truth and complex are none."""
    try:
        items = np.array(value, dtype=object)
        if not all(
                isinstance(v, numbers.Real)
                and not isinstance(v, (bool, np.bool_)) for v in items.flat):
            return None
        return items.astype(np.float64)
    # ragged, or a number of 400 digits
    except (ValueError, TypeError, OverflowError):
        return None


def load_camera_matrix(path: str) -> np.ndarray:
    """Read a camera matrix.

    Warns once of a lens distortion beside it, which nothing here corrects.

    Args:
        path (str): ``.json``: 3 rows of 3 numbers, alone or under
            ``camera_matrix`` or ``K``; ``.npy``; ``.json``, ``.yml``,
            ``.yaml`` or ``.xml`` as OpenCV's calibration writes
            ``camera_matrix``; any other: text, numbers with white space
            between them.

    Returns:
        np.ndarray: (3, 3), float64.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no camera matrix.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'camera file not found: {path}')
    content = read_small_file(path)
    reader = _READERS.get(Path(path).suffix.lower(), _read_text)
    try:
        found = reader(content)
        matrix = next((found[n] for n in _CAMERA_NAMES if n in found), None)
        if matrix is None:
            raise ValueError('no camera_matrix and no K in it')
        matrix = check_camera_matrix(matrix, 'the camera matrix')
        distortion = [
            _numbers(value) for name, value in found.items()
            if _DISTORTION.fullmatch(name)
        ]
        if any(values is None for values in distortion):
            raise ValueError('its distortion coefficients are no numbers')
    except Exception as error:  # of a damaged file a parser raises anything
        raise ValueError(
            f'cannot read the camera file {path}: {reason(error)}; give 3 '
            'rows of 3 numbers: as .json (alone or under camera_matrix or K), '
            'as .npy, as OpenCV writes .yml or .xml, or as text') from error
    if any(values.any() for values in distortion):
        warnings.warn(
            f'the lens distortion in {path} is not used: joints are found as '
            'if the lens had none. Undistort the pictures first '
            '(cv2.undistort) and give the camera matrix of those',
            stacklevel=2)
    return matrix


def _decode(content: bytes) -> str:
    try:
        return content.decode('utf-8-sig').replace('\r\n', '\n')
    except UnicodeDecodeError:
        raise ValueError('it is no text') from None


def _read_json(content: bytes) -> Dict[str, Any]:
    found = json.loads(_decode(content))
    if not isinstance(found, dict):
        return dict(camera_matrix=found)
    return {
        name:
        _shape(value['rows'], value['cols'], value['data'])
        # as OpenCV writes it
        if isinstance(value, dict) and 'data' in value else value
        for name, value in found.items() if _is_read(name)
    }


def _is_read(name: str) -> bool:
    return name in _CAMERA_NAMES or _DISTORTION.fullmatch(name) is not None


def _read_npy(content: bytes) -> Dict[str, Any]:
    array = np.load(io.BytesIO(content), allow_pickle=False)
    # elements of no bytes may be as many as the file says
    if not isinstance(array, np.ndarray) or array.nbytes == 0:
        raise ValueError('it is no array of numbers')
    return dict(camera_matrix=array)


def _read_yaml(content: bytes) -> Dict[str, Any]:
    text = _decode(content)
    found = {
        name: [float(v) for v in data.replace(',', ' ').split()]
        for name, data in _YAML_NUMBERS.findall(text)
        if _DISTORTION.fullmatch(name)
    }
    for name, rows, columns, data in _YAML_MATRIX.findall(text):
        found[name] = _shape(
            int(rows), int(columns),
            data.replace(',', ' ').split())
    return found


def _read_xml(content: bytes) -> Dict[str, Any]:
    text = _decode(content)
    if '<!DOCTYPE' in text:
        raise ValueError('it declares entities')
    return {
        node.tag:
        _shape(
            int(node.findtext('rows')), int(node.findtext('cols')),
            node.findtext('data').split())
        for node in ElementTree.fromstring(text) if _is_read(node.tag)
    }


def _read_text(content: bytes) -> Dict[str, Any]:
    rows = [
        line.split('#')[0].split() for line in _decode(content).split('\n')
    ]
    return dict(camera_matrix=[[float(v) for v in row] for row in rows if row])


def _shape(rows: int, columns: int, values: list) -> List[list]:
    """Matrix of the values that a file gives in one list."""
    if len(values) != rows * columns:
        raise ValueError(f'{len(values)} values do not make {rows} rows of '
                         f'{columns}')
    values = [float(v) if isinstance(v, str) else v for v in values]
    return [values[i * columns:(i + 1) * columns] for i in range(rows)]


_READERS = {
    '.json': _read_json,
    '.npy': _read_npy,
    '.yml': _read_yaml,
    '.yaml': _read_yaml,
    '.xml': _read_xml,
}
