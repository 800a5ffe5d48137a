"""What a detector of hands gives, and how it is chosen from a network's
answers."""
from typing import NamedTuple, Optional, Tuple

import numpy as np

from ..geometry.hand import SIDES

# of the places that answer, before those that answer for the same hand go
_MAX_CANDIDATES = 300


class Detections(NamedTuple):
    """The hands that were found in an image, best first.

    Attributes:
        boxes (np.ndarray): Left, top, right and bottom, tight round the
            joints, (N, 4), px of the image, float64.
        scores (np.ndarray): From 0 to 1, (N,), float64.
        sides (np.ndarray, optional): ``'left'`` or ``'right'``, (N,), where
            the detector tells.
        directions (np.ndarray, optional): Where each points in the image,
            from the wrist to the knuckle of the middle finger: unit vectors
            (N, 2), x to the right and y down, float64, where the detector
            tells.
    """
    boxes: np.ndarray
    scores: np.ndarray
    sides: Optional[np.ndarray] = None
    directions: Optional[np.ndarray] = None


def select_hands(boxes: np.ndarray,
                 scores: np.ndarray,
                 directions: np.ndarray,
                 score_thr: float = .3,
                 iou_thr: float = .6,
                 max_hands: int = 20) -> Detections:
    """Choose hands among what a network says at its A places.

    A hand is left or right, so the two scores of a place add up to that of a
    hand; where they are close the side is unsure, the hand is not.

    Args:
        boxes (np.ndarray): (A, 4), px.
        scores (np.ndarray): Of a left and of a right hand, (A, 2).
        directions (np.ndarray): Vectors of any length but 0, (A, 2).
        score_thr (float): Least score of a hand. Defaults to 0.3.
        iou_thr (float): Of two boxes that overlap by more the better one
            stays, whatever their sides. Defaults to 0.6.
        max_hands (int): At most so many. Defaults to 20.

    Returns:
        Detections: The hands, in the pixels of ``boxes``.
    """
    hands = scores.astype(np.float64).sum(axis=1)
    size = boxes[:, 2:] - boxes[:, :2]
    good = np.flatnonzero((hands >= score_thr) & (size > 0).all(axis=1))
    good = good[np.argsort(-hands[good], kind='stable')][:_MAX_CANDIDATES]
    good = good[nms(boxes[good], iou_thr)[:max_hands]]
    found = directions[good].astype(np.float64)
    return Detections(
        boxes[good].astype(np.float64), hands[good].clip(0, 1),
        np.array(SIDES)[scores[good].argmax(axis=1)],
        found / np.linalg.norm(found, axis=1, keepdims=True).clip(1e-9))


def nms(boxes: np.ndarray, iou_thr: float) -> np.ndarray:
    """Drop boxes that overlap a better one.

    Args:
        boxes (np.ndarray): (N, 4), best first, all with an area.
        iou_thr (float): A box goes if its IoU with a better one that stays
            is larger.

    Returns:
        np.ndarray: Indices of those that stay, best first.
    """
    boxes = boxes.astype(np.float64)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    left = np.arange(len(boxes))
    kept = []
    while len(left):
        first, left = left[0], left[1:]
        kept.append(first)
        low = np.maximum(boxes[first, :2], boxes[left, :2])
        high = np.minimum(boxes[first, 2:], boxes[left, 2:])
        overlap = (high - low).clip(0).prod(axis=1)
        union = areas[first] + areas[left] - overlap
        left = left[overlap <= iou_thr * union]
    return np.array(kept, dtype=int)


def to_image(found: Detections, warp: np.ndarray,
             image_size: Tuple[int, int]) -> Detections:
    """Bring detections from a network's input to its image.

    Args:
        found (Detections): In px of the input.
        warp (np.ndarray): From the image to the input, (3, 3), as
            :func:`~lgh_mmpose.inference.letterbox.letterbox` gives it.
        image_size (tuple[int, int]): Width and height, at whose border boxes
            are cut.

    Returns:
        Detections: In px of the image, without boxes that lie outside it.
    """
    scale, shift = np.diag(warp)[:2], warp[:2, 2]
    boxes = (found.boxes - np.tile(shift, 2)) / np.tile(scale, 2)
    # centres of pixels are at integers
    boxes = boxes.clip(0, np.tile(np.subtract(image_size, 1), 2))
    found = found._replace(boxes=boxes)
    inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return Detections(*(part[inside] for part in found))
