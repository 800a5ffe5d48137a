"""What a detector of hands gives."""
from typing import NamedTuple, Optional, Sequence

import numpy as np


class Detections(NamedTuple):
    """The hands that were found in an image, best first.

    Attributes:
        boxes (np.ndarray): Boxes tight round the joints: left, top, right and
            bottom, (N, 4), px.
        scores (np.ndarray): (N,), 0 to 1.
        sides (Sequence[str], optional): ``'left'`` or ``'right'``, N of them,
            where the detector tells.
        directions (np.ndarray, optional): Where the hands point in the image,
            from the wrist to the knuckle of the middle finger, unit vectors
            (N, 2), where the detector tells.
    """
    boxes: np.ndarray
    scores: np.ndarray
    sides: Optional[Sequence[str]] = None
    directions: Optional[np.ndarray] = None
