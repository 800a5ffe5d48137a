"""Hands followed through a video, and their joints smoothed."""
import itertools
import math
from typing import Callable, List, NamedTuple, Optional

import numpy as np


class Smoothing(NamedTuple):
    """Parameters of :class:`OneEuroFilter` for hands.

    Attributes:
        min_cutoff (float): Cut-off frequency at rest, Hz: lower is calmer.
        beta (float): By how much it rises with speed, Hz per hand size a
            second: higher lags less.
        d_cutoff (float): Cut-off frequency of the speed, Hz.
    """
    min_cutoff: float = 1.
    beta: float = 3.
    d_cutoff: float = 1.


class OneEuroFilter:
    """Low-pass filter that yields to speed.

    Casiez, Roussel and Vogel: "1 € Filter: A Simple Speed-based Low-pass
    Filter for Noisy Input in Interactive Systems", CHI 2012. Each number of
    an array is filtered for itself.

    Args:
        min_cutoff (float): Cut-off frequency at rest, Hz.
        beta (float): Rise of the cut-off frequency with speed.
        d_cutoff (float): Cut-off frequency of the speed, Hz.

    Raises:
        ValueError: If a frequency is not positive or ``beta`` is negative.
    """

    def __init__(self,
                 min_cutoff: float = 1.,
                 beta: float = 0.,
                 d_cutoff: float = 1.) -> None:
        if not (min_cutoff > 0 and d_cutoff > 0 and beta >= 0):
            raise ValueError(
                'min_cutoff and d_cutoff must be positive and beta not '
                f'negative, got {min_cutoff}, {d_cutoff} and {beta}')
        self.min_cutoff = min_cutoff
        self.beta = beta
        self.d_cutoff = d_cutoff
        self._time = None
        self._value = None
        self._speed = None

    def __call__(self,
                 value: np.ndarray,
                 time: float,
                 scale: float = 1.) -> np.ndarray:
        """Filter the next value.

        Args:
            value (np.ndarray): Numbers in any shape, the same each time.
            time (float): Seconds, later than the time before.
            scale (float | np.ndarray): What ``beta`` measures speed in.

        Returns:
            np.ndarray: The filtered numbers, float64; the first as they are.
        """
        value = np.asarray(value, dtype=np.float64)
        if self._time is None:
            self._time, self._value = time, value
            self._speed = np.zeros_like(value)
            return value
        step = time - self._time
        if step <= 0:  # the same frame once more
            return self._value
        speed = (value - self._value) / step
        self._speed = self._speed + _weight(self.d_cutoff, step) * (
            speed - self._speed)
        cutoff = self.min_cutoff + self.beta * np.abs(self._speed) / scale
        self._value = self._value + _weight(cutoff, step) * (
            value - self._value)
        self._time = time
        return self._value


def _weight(cutoff: np.ndarray, step: float) -> np.ndarray:
    """Weight of the newest value in an exponential mean."""
    return 1. / (1. + 1. / (2 * math.pi * cutoff * step))


def box_of_joints(keypoints: np.ndarray) -> np.ndarray:
    """The box tight round joints.

    Args:
        keypoints (np.ndarray): Pixels in shape (K, 2).

    Returns:
        np.ndarray: Left, top, right and bottom, (4,).
    """
    return np.concatenate([keypoints.min(axis=0), keypoints.max(axis=0)])


def box_iou(box: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes (4,)."""
    low = np.maximum(box[:2], other[:2])
    high = np.minimum(box[2:], other[2:])
    overlap = np.prod(np.maximum(high - low, 0))
    union = np.prod(box[2:] - box[:2]) + np.prod(other[2:] -
                                                 other[:2]) - overlap
    return float(overlap / union) if union > 0 else 0.


class Track:
    """One hand of a video.

    Attributes:
        id (int): Its number.
        box (np.ndarray): Where to look for it next, (4,) px.
        whole_image (bool): Whether ``box`` is the whole image instead of one
            tight round the hand.
        bbox_score (float, optional): Of the detection that began it.
        score (float): Mean score of its joints, over its last frames.
        age (int): Number of frames it was seen in.
        side_evidence (float): By how much likelier a right hand was than a
            left one, summed over frames.
        filter (OneEuroFilter, optional): Smooths its joints.
        direction (np.ndarray, optional): Where it points, (2,) px.
    """

    def __init__(self,
                 track_id: int,
                 box: np.ndarray,
                 whole_image: bool = False,
                 bbox_score: Optional[float] = None,
                 smooth: Optional[OneEuroFilter] = None,
                 direction: Optional[np.ndarray] = None) -> None:
        self.id = track_id
        self.box = box
        self.whole_image = whole_image
        self.bbox_score = bbox_score
        self.score = 0.
        self.age = 0
        self.side_evidence = 0.
        self.filter = smooth
        self.direction = direction

    def correct(self, direction: Optional[np.ndarray]) -> None:
        """Believe a detector that sees the hand point another way.

        A network that knows upright hands alone takes what it is shown for
        one: a wrong direction would last.

        Args:
            direction (np.ndarray, optional): Where it points, (2,).
        """
        if direction is not None and self.direction is not None and \
                np.dot(direction, self.direction) < 0:
            self.direction = direction


class HandTracker:
    """Follows hands by the joints of the frame before.

    A hand is lost when

    - the mean score of its joints falls below ``score_ratio`` times its own
      mean so far, which is a share since models differ in their scores,
    - its box grows or shrinks by more than ``size_ratio`` in one frame,
    - less than half of its joints lie in the image, or
    - the longer side of its box is shorter than ``min_size``.

    Of two tracks whose boxes overlap by more than 0.8 the younger is lost.

    Args:
        score_ratio (float): Defaults to 0.9.
        size_ratio (float): Defaults to 1.6.
        min_size (float): In px. Defaults to 16.
        make_filter (Callable, optional): Gives each track its filter.

    Attributes:
        tracks (list[Track]): The hands that are followed.
        started (bool): Whether :meth:`start` has been called.
        frames_since_start (int): The frames since then, as its user counts
            them.
    """

    def __init__(self,
                 score_ratio: float = .9,
                 size_ratio: float = 1.6,
                 min_size: float = 16.,
                 make_filter: Optional[Callable] = None) -> None:
        self.score_ratio = score_ratio
        self.size_ratio = size_ratio
        self.min_size = min_size
        self.make_filter = make_filter
        self.tracks: List[Track] = []
        self.started = False
        self.frames_since_start = 0
        self._ids = itertools.count()

    def start(self,
              boxes: np.ndarray,
              scores: Optional[list] = None,
              whole_image: bool = False,
              directions: Optional[list] = None) -> List[Track]:
        """Begin a track at each box that no track is at.

        A track that is there may be told that its hand points elsewhere, see
        :meth:`Track.correct`.

        Args:
            boxes (np.ndarray): Boxes in shape (N, 4), px.
            scores (list, optional): Of the N detections, None where there was
                none.
            whole_image (bool): Whether the box is that of the image.
            directions (list, optional): Where the N hands point, (2,) each,
                None where it is not known.

        Returns:
            list[Track]: The new ones.
        """
        self.started = True
        self.frames_since_start = 0
        new = []
        for i, box in enumerate(np.asarray(boxes, dtype=np.float64)):
            direction = None if directions is None else directions[i]
            known = [
                track for track in self.tracks if box_iou(box, track.box) > .3
            ]
            for track in known:
                track.correct(direction)
            if known:
                continue
            track = Track(
                next(self._ids),
                box,
                whole_image=whole_image,
                bbox_score=None if scores is None else scores[i],
                smooth=self.make_filter() if self.make_filter else None,
                direction=direction)
            self.tracks.append(track)
            new.append(track)
        return new

    def update(self, track: Track, keypoints: np.ndarray, score: float,
               image_size: tuple) -> bool:
        """Move a track to where its hand is, or give it up.

        Args:
            track (Track): One of :attr:`tracks`.
            keypoints (np.ndarray): Its joints in this frame, (K, 2) px.
            score (float): Their mean score.
            image_size (tuple[int, int]): Width and height, px.

        Returns:
            bool: Whether it is still there; else it is no longer among
            :attr:`tracks`.
        """
        box = box_of_joints(keypoints)
        size = (box[2:] - box[:2]).max()
        inside = ((keypoints >= 0) &
                  (keypoints < np.asarray(image_size))).all(axis=1)
        lost = size < self.min_size or inside.mean() < .5
        if track.age:
            change = size / (track.box[2:] - track.box[:2]).max()
            lost = (
                lost or score < self.score_ratio * track.score
                or not 1 / self.size_ratio < change < self.size_ratio)
        lost = lost or any(other is not track and other.age > track.age
                           and box_iou(other.box, box) > .8
                           for other in self.tracks)
        if lost:
            self.tracks.remove(track)
            return False
        track.age += 1
        # a mean that forgets, so that a darker scene is no loss
        track.score += (score - track.score) / min(track.age, 30)
        track.box, track.whole_image = box, False
        return True
