"""How a hand is cut out of its image for the network."""
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
    """
    padding: float = 1.
    whole_image_padding: float = 1.
    use_udp: bool = False
    hand_side: Optional[str] = 'right'


def crop_matrix(bbox: Sequence[float],
                input_size: Tuple[int, int],
                padding: float = 1.,
                use_udp: bool = False,
                mirror: bool = False) -> np.ndarray:
    """Warp from the image to the network's input.

    What ``GetBBoxCenterScale``, ``TopdownAffineCamera`` and
    ``CanonicalizeHandSide`` make of a box: it grows by ``padding``, then to
    the shape of the input.

    Args:
        bbox (Sequence[float]): Left, top, right and bottom in px.
        input_size (tuple[int, int]): Width and height of the input.
        padding (float): Factor on the size of the box.
        use_udp (bool): See :class:`Crop`.
        mirror (bool): Whether left and right are exchanged.

    Returns:
        np.ndarray: (3, 3), float64; pixel centres at integers on both sides.
    """
    bbox = np.asarray(bbox, dtype=np.float64)
    width, height = input_size
    w, h = ((bbox[2:] - bbox[:2]) * padding).tolist()
    x, y = ((bbox[2:] + bbox[:2]) / 2).tolist()
    aspect = width / height
    w, h = (w, w / aspect) if w > h * aspect else (h * aspect, h)
    if use_udp:
        zoom_x, zoom_y = (width - 1) / w, (height - 1) / h
        shift_x, shift_y = zoom_x * (w / 2 - x), zoom_y * (h / 2 - y)
    else:
        zoom_x = zoom_y = width / w
        shift_x, shift_y = width / 2 - zoom_x * x, height / 2 - zoom_y * y
    matrix = np.array([[zoom_x, 0., shift_x], [0., zoom_y, shift_y],
                       [0., 0., 1.]])
    if mirror:
        matrix[0] = [-zoom_x, 0., width - 1 - shift_x]
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
        hand_side=crop.hand_side in (*SIDES, None))
    return next((name for name, good in checks.items() if not good), None)


def _is_padding(value: float) -> bool:
    return type(value) in (int, float) and 0 < value <= 1e3
