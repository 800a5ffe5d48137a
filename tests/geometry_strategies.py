"""Hypothesis strategies and scenes for camera geometry."""
import cv2
import numpy as np
from helpers import toy_hand
from hypothesis import strategies as st


def floats(low: float, high: float) -> st.SearchStrategy:
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


@st.composite
def cameras(draw, low: float = 300., high: float = 2000.) -> np.ndarray:
    """Pinhole cameras with skew and two focal lengths, (3, 3)."""
    fx = draw(floats(low, high))
    fy = fx * draw(floats(.7, 1.4))
    return np.array([[fx, draw(floats(-30, 30)),
                      draw(floats(50, 600))], [0., fy,
                                               draw(floats(50, 600))],
                     [0., 0., 1.]])


@st.composite
def hands(draw, nearest: float = 350., furthest: float = 1500.) -> np.ndarray:
    """Hands in any pose of the wrist, (21, 3) in mm."""
    hand = toy_hand(np.random.default_rng(draw(st.integers(0, 2**32 - 1))))
    hand = (hand - hand.mean(0)) * 1000 * draw(floats(.6, 1.2))
    rotation = np.array([draw(floats(-np.pi, np.pi)) for _ in range(3)])
    hand = hand @ cv2.Rodrigues(rotation)[0].T
    z = draw(floats(nearest, furthest))
    return hand + [draw(floats(-.2, .2)) * z, draw(floats(-.2, .2)) * z, z]


def bone_sine(hand: np.ndarray, start: int = 9, end: int = 10) -> float:
    """Sine of the angle between a bone and the viewing ray to its end."""
    bone, ray = hand[end] - hand[start], hand[end]
    return float(
        np.linalg.norm(np.cross(bone, ray)) / np.linalg.norm(bone) /
        np.linalg.norm(ray))
