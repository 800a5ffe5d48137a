"""How a hand is cut out of its image for the network."""
import math
from typing import NamedTuple, Optional, Sequence, Tuple

import numpy as np

from .hand import SIDES


class Crop(NamedTuple):
    """How a network wants its input to be cut out.

    Attributes:
        padding (float): How much larger the input is than a box tight round
            the hand.
        whole_image_padding (float): The same where the whole image is the
            box of one hand.
        use_udp (bool): Whether pixel centres, not borders, are aligned (Huang
            et al., "The Devil is in the Details", CVPR 2020).
        hand_side (str, optional): The side that all hands get by mirroring;
            None leaves both as they are.
        upright (bool): Whether the input is turned about the middle of the
            box so that the hand points up, see :func:`upright_rotation`.
    """
    padding: float = 1.
    whole_image_padding: float = 1.
    use_udp: bool = False
    hand_side: Optional[str] = 'right'
    upright: bool = False


DIRECTION_JOINTS = ('wrist', 'middle_finger1')
"""From where to where a hand points, in the picture."""


def direction_of(keypoints: np.ndarray,
                 joint_names: Sequence[str],
                 known: Optional[np.ndarray] = None) -> Optional[np.ndarray]:
    """Where a hand points in its picture.

    Args:
        keypoints (np.ndarray): Joints in shape (K, 2), px.
        joint_names (Sequence[str]): Their names.
        known (np.ndarray, optional): Which of them are annotated, (K,).
            Defaults to all.

    Returns:
        np.ndarray | None: From the first to the second of
        :data:`DIRECTION_JOINTS`, (2,) px; None if that is not known.
    """
    names = list(joint_names)
    if not set(DIRECTION_JOINTS) <= set(names):
        return None
    start, end = (names.index(name) for name in DIRECTION_JOINTS)
    if known is not None and not (known[start] > 0 and known[end] > 0):
        return None
    direction = keypoints[end] - keypoints[start]
    return direction if np.isfinite(direction).all() else None


def upright_rotation(direction: Sequence[float]) -> float:
    """The rotation of a crop that turns a hand upright.

    Args:
        direction (Sequence[float]): Where the hand points in the picture,
            (2,) px, from the first to the second of
            :data:`DIRECTION_JOINTS`, of any length.

    Returns:
        float: Degrees, as mmpose's ``bbox_rotation`` and
        :func:`crop_matrix` take them; 0 for a hand that points nowhere.
    """
    x, y = (float(value) for value in direction)
    return math.degrees(math.atan2(x, -y)) if x or y else 0.


def crop_matrix(bbox: Sequence[float],
                input_size: Tuple[int, int],
                padding: float = 1.,
                use_udp: bool = False,
                mirror: bool = False,
                rotation: float = 0.) -> np.ndarray:
    """Warp from the image to the network's input.

    What ``GetBBoxCenterScale``, ``TopdownAffineCamera`` and
    ``CanonicalizeHandSide`` make of a box: it grows by ``padding``, then to
    the shape of the input, and is turned about its middle.

    Args:
        bbox (Sequence[float]): Left, top, right and bottom in px.
        input_size (tuple[int, int]): Width and height of the input.
        padding (float): Factor on the size of the box.
        use_udp (bool): See :class:`Crop`.
        mirror (bool): Whether left and right are exchanged, after all else.
        rotation (float): Degrees, see :func:`upright_rotation`.

    Returns:
        np.ndarray: (3, 3), float64; pixel centres at integers on both sides.
    """
    bbox = np.asarray(bbox, dtype=np.float64)
    width, height = input_size
    w, h = ((bbox[2:] - bbox[:2]) * padding).tolist()
    x, y = ((bbox[2:] + bbox[:2]) / 2).tolist()
    aspect = width / height
    w, h = (w, w / aspect) if w > h * aspect else (h * aspect, h)
    # from border to border, or from the first to the last pixel's centre
    size = np.subtract(input_size, 1 if use_udp else 0)
    cos, sin = math.cos(math.radians(rotation)), math.sin(
        math.radians(rotation))
    matrix = np.eye(3)
    matrix[:2, :2] = size[:, None] / [[w], [h]] * [[cos, sin], [-sin, cos]]
    matrix[:2, 2] = size / 2 - matrix[:2, :2] @ [x, y]
    if mirror:
        matrix[0] = [0., 0., width - 1.] - matrix[0]
    return matrix


def find_crop_fault(crop: Crop) -> Optional[str]:
    """Name the field of a crop that cannot be right, or None.

    Args:
        crop (Crop): From outside, with values of any type.
    """
    checks = dict(
        padding=_is_padding(crop.padding),
        whole_image_padding=_is_padding(crop.whole_image_padding),
        use_udp=isinstance(crop.use_udp, bool),
        upright=isinstance(crop.upright, bool),
        hand_side=crop.hand_side in (*SIDES, None))
    return next((name for name, good in checks.items() if not good), None)


def _is_padding(value: float) -> bool:
    return type(value) in (int, float) and 0 < value <= 1e3
