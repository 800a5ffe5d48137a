"""What is known of camera, hand and boxes, or assumed."""
from typing import Any, NamedTuple, Optional, Tuple, Union

import numpy as np

from ..geometry.hand import SIDES
from ..geometry.plausibility import find_bone_fault, usual_bone_length
from .cameras import camera_of_fov

AVERAGE_BONE_LENGTH = 44.6
"""Length of the reference bone in mm where none is given: the proximal phalanx
of the middle finger, 44.6 +- 3.8 mm in radiographs of 66 adults (Buryanov and
Kotiuk, "Proportions of Hand Segments", Int. J. Morphol. 28(3), 2010)."""


class Settings(NamedTuple):
    """What holds for all frames of one call, checked.

    Attributes:
        boxes (np.ndarray, optional): Left, top, right, bottom, (N, 4), px.
        camera_matrix (np.ndarray, optional): Intrinsics (3, 3), px.
        fov (float, optional): Angle of view in degrees, where there is no
            camera.
        hand_side (str): ``'right'``, ``'left'`` or ``'auto'``.
        bone_length (float, optional): In mm.
        bone_length_source (str): See :func:`resolve_bone_length`.
        directions (np.ndarray, optional): Where the hands in the boxes point,
            (N, 2), px.
    """
    boxes: Optional[np.ndarray]
    camera_matrix: Optional[np.ndarray]
    fov: Optional[float]
    hand_side: str
    bone_length: Optional[float]
    bone_length_source: str
    directions: Optional[np.ndarray] = None

    def camera(self, image_size: Tuple[int, int]) -> Tuple[np.ndarray, str]:
        """The camera of an image, and where it is from.

        Args:
            image_size (tuple[int, int]): Width and height, px.

        Returns:
            tuple[np.ndarray, str]: Intrinsics (3, 3); and ``'given'``,
            ``'fov'`` or ``'assumed'``.
        """
        if self.camera_matrix is not None:
            return self.camera_matrix, 'given'
        if self.fov is not None:
            return camera_of_fov(image_size, self.fov), 'fov'
        return camera_of_fov(image_size), 'assumed'


def check_fov(fov: Optional[float]) -> None:
    """Complain of an angle of view that no lens has.

    Raises:
        ValueError: If it is not between 1 and 135 degrees.
    """
    if fov is not None and not 1 <= fov <= 135:
        raise ValueError('fov must lie between 1 and 135 degrees, got '
                         f'{fov}')


def check_not_both(camera_matrix: Optional[np.ndarray],
                   fov: Optional[float]) -> None:
    """Complain of a camera that is given twice.

    Raises:
        ValueError: If both are given.
    """
    if camera_matrix is not None and fov is not None:
        raise ValueError('give camera_matrix or fov, not both')


def check_directions(directions: Any,
                     boxes: Optional[np.ndarray]) -> Optional[np.ndarray]:
    """Directions that a user gives beside boxes, as an array (N, 2).

    Raises:
        ValueError: If they are none, or there are no boxes that they are of.
    """
    if directions is None:
        return None
    try:
        array = np.atleast_2d(np.array(directions, dtype=np.float64))
    except (TypeError, ValueError, OverflowError):
        array = np.zeros(0)
    if boxes is None or array.shape != (len(boxes), 2) or \
            not np.isfinite(array).all() or not array.any(axis=1).all():
        raise ValueError('directions must be (N, 2), where the hand in each '
                         'of the N given bboxes points in the image, from the '
                         'wrist to the knuckle of the middle finger, got '
                         f'{str(directions)[:100]}')
    return array


def check_side(side: Optional[str]) -> None:
    """Complain of what is no side.

    Raises:
        ValueError: If it is none of ``'auto'``, ``'left'`` and ``'right'``.
    """
    if side not in (None, 'auto', *SIDES):
        raise ValueError("hand_side must be 'auto', 'left' or 'right', got "
                         f'{side!r}')


def resolve_bone_length(
        value: Optional[Union[float, str]],
        bone: Optional[Tuple[str, str]] = None) -> Tuple[Optional[float], str]:
    """The length of the reference bone in mm, and its source.

    Args:
        value (float | str, optional): As :class:`HandPose` takes it.
        bone (tuple[str, str], optional): The joints at its ends. Without them
            nothing but the kind of ``value`` is checked.

    Returns:
        tuple[float | None, str]: Millimetres, None for ``'none'``; and
        ``'given'``, ``'average'`` or ``'none'``.

    Raises:
        ValueError: If it is neither that of a hand nor ``'none'``.
    """
    if value is None:
        # that of another bone in proportion
        share = usual_bone_length(bone) / usual_bone_length()
        return round(AVERAGE_BONE_LENGTH * share, 1), 'average'
    if isinstance(value, str) and value == 'none':
        return None, 'none'
    try:
        length = np.nan if isinstance(value, (str, bool)) else float(value)
    except (TypeError, ValueError, OverflowError):
        length = np.nan
    if not length > 0:
        raise ValueError("bone_length must be a positive number of mm or "
                         f"'none', got {str(value)[:100]!r}")
    fault = None if bone is None else find_bone_fault(length, bone)
    if fault is not None:
        raise ValueError(f'bone_length is {fault}')
    return length, 'given'
