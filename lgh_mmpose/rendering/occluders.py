"""What stands before a hand."""
from typing import Tuple

import cv2
import numpy as np

from .backgrounds import Backgrounds, sample_person, sample_skin_tone

MAX_HIDDEN = .4
"""Largest share of the hand that an occluder hides."""
_SKIN = .15  # share of the sticks that are bare arms


def sample_occluder(rng: np.random.Generator, hand_mask: np.ndarray,
                    backgrounds: Backgrounds) -> Tuple[np.ndarray, np.ndarray]:
    """Put something before a hand: a stick, an arm, a box, a lump, an edge of
    a table or a door, a person, or the border of the photograph.

    Args:
        rng: Source of randomness.
        hand_mask: (S, S) mask of the hand.
        backgrounds: Where its surface comes from.

    Returns:
        tuple: Coverage from 0 to 1, (S, S) float32, and what is seen there,
        (S, S, 3) float32 from 0 to 255. It hides at most 0.4 of the hand.
        Without a hand nothing is covered.
    """
    size = hand_mask.shape[0]
    rows, columns = np.nonzero(hand_mask)
    if len(rows) == 0:
        return (np.zeros((size, size),
                         np.float32), np.zeros((size, size, 3), np.float32))
    if rng.random() < .12 and backgrounds.people:
        colors, coverage = sample_person(rng, size)
        hidden = coverage[rows, columns].mean()
        if .02 < hidden < MAX_HIDDEN:
            return coverage[..., 0], colors / np.maximum(coverage, 1e-3)
    share = MAX_HIDDEN * rng.uniform(.05, .97)
    return _draw_shape(rng, (rows, columns), share, backgrounds, size)


def _draw_shape(rng: np.random.Generator, hand: Tuple[np.ndarray, np.ndarray],
                share: float, backgrounds: Backgrounds,
                size: int) -> Tuple[np.ndarray, np.ndarray]:
    """Grow a shape until it hides a share of the hand.

    A shape is where its "distance", which falls inwards, is below a
    threshold: the quantile of the hand's own distances.
    """
    rows, columns = hand
    at = rng.integers(len(rows))
    x, y = (
        np.arange(size, dtype=np.float32) - centre
        for centre in (columns[at], rows[at]))
    y = y[:, None]
    kind = rng.choice(5, p=(.3, .15, .2, .2, .15))
    angle = rng.uniform(0, 2 * np.pi)
    if kind == 4:  # the border of the photograph
        angle = rng.integers(4) * np.pi / 2
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along, across = cos * x + sin * y, cos * y - sin * x
    if kind == 0:  # a stick through the point, or one that ends there
        distance = np.abs(across)
        if rng.random() < .5:
            distance = np.maximum(distance, -along * 4)
    elif kind == 1:
        distance = np.maximum(
            np.abs(along),
            np.abs(across) * np.float32(rng.uniform(1, 3)))
    elif kind == 2:  # a lump
        distance = np.hypot(along, across * np.float32(rng.uniform(1, 2.5)))
        grid = rng.uniform(.5, 1.5, (5, 5)).astype(np.float32)
        distance *= cv2.resize(
            grid, (size, size), interpolation=cv2.INTER_CUBIC)
    else:
        distance = along
    # covered pixels of soft edges count, too
    softness = rng.uniform(.5, 1 + 1.5 * size / 128) if kind != 4 else .5
    of_hand = distance[rows, columns]
    threshold = np.quantile(of_hand, share)
    coverage = np.clip((threshold - distance) / softness + .5, 0, 1)
    while coverage[rows, columns].mean() > MAX_HIDDEN:
        threshold -= softness / 2
        coverage = np.clip((threshold - distance) / softness + .5, 0, 1)

    picture = np.empty((size, size, 3), np.float32)
    if kind == 4:
        picture[:] = 0 if rng.random() < .7 else rng.uniform(0, 255)
    elif kind == 0 and rng.random() < _SKIN and threshold > .07 * size:
        picture[:] = sample_skin_tone(rng) * rng.uniform(.5, 1)
    else:
        picture[:] = backgrounds.sample(rng, size)
    if kind in (0, 2):  # round: its rims are darker
        rim = np.clip(distance / max(threshold, 1), 0, 1)**2
        picture *= (1 - np.float32(rng.uniform(0, .7)) * rim)[..., None]
    return coverage, picture
