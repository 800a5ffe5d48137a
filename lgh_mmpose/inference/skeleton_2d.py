"""Colours and strokes of hand skeletons in pictures.

Colours are RGB in [0, 255] and come from the palette of Okabe and Ito (2008),
which stays readable with colour-deficient vision.
"""
from typing import Optional, Sequence, Tuple

import cv2
import numpy as np

from ..geometry.hand import finger_of_joints

_PALETTE = np.array(
    [
        (0, 114, 178),  # blue
        (230, 159, 0),  # orange
        (0, 158, 115),  # bluish green
        (204, 121, 167),  # reddish purple
        (86, 180, 233),  # sky blue
        (213, 94, 0),  # vermilion
        (240, 228, 66),  # yellow
    ],
    dtype=np.uint8)
# neighbouring fingers differ most: warm, warm, green, blue, purple
_FINGER_COLORS = _PALETTE[[5, 1, 2, 4, 3]]
_GREY = np.array((70, 70, 70), dtype=np.uint8)
GT_COLOR_2D = np.array((255, 255, 255), dtype=np.uint8)
"""Colour of the truth on an image: white."""


def group_colors(num_groups: int) -> np.ndarray:
    """One colour per group of joints.

    Args:
        num_groups (int): Number of groups.

    Returns:
        np.ndarray: RGB, uint8 (num_groups, 3).
    """
    if num_groups <= len(_PALETTE):
        return _PALETTE[:num_groups]
    places = np.linspace(.05 * 255, .95 * 255, num_groups).astype(np.uint8)
    bgr = cv2.applyColorMap(places[:, None], cv2.COLORMAP_TURBO)
    return np.ascontiguousarray(bgr[:, 0, ::-1])


def text_color(background: Sequence[float]) -> str:
    """Black or white, whichever is read better on a colour.

    By the contrast ratio of WCAG 2.1, which is 4.5 or more for one of them on
    any colour.

    Args:
        background (Sequence[float]): RGB in [0, 255], (3,).

    Returns:
        str: ``'black'`` or ``'white'``.
    """
    srgb = np.asarray(background, dtype=float) / 255
    linear = np.where(srgb <= .04045, srgb / 12.92,
                      ((srgb + .055) / 1.055)**2.4)
    luminance = linear @ (.2126, .7152, .0722)
    # 1.05 / (luminance + 0.05) is white's, (luminance + 0.05) / 0.05 black's
    return 'white' if (luminance + .05)**2 < 1.05 * .05 else 'black'


def joint_colors(joint_names: Sequence[str],
                 joint_groups: Optional[Sequence[int]] = None) -> np.ndarray:
    """Colour of each joint, by finger or by learned group.

    Args:
        joint_names (Sequence[str]): Names of the K joints.
        joint_groups (Sequence[int], optional): Group of each joint, (K,).
            Defaults to ``None``: colour by finger, the wrist grey.

    Returns:
        np.ndarray: RGB, uint8 (K, 3).

    Raises:
        ValueError: If there is not one group, from 0, for each joint.
    """
    if joint_groups is not None:
        groups = np.asarray(joint_groups)
        if groups.shape != (len(joint_names), ):
            raise ValueError(
                f'joint_groups must hold one group for each of the '
                f'{len(joint_names)} joints, got shape {groups.shape}')
        if groups.dtype.kind not in 'iu' or groups.min() < 0:
            raise ValueError('joint_groups must be whole numbers from 0, '
                             f'got {groups.tolist()}')
        return group_colors(int(groups.max()) + 1)[groups]
    fingers = finger_of_joints(joint_names)
    # a joint without a number, the wrist or the palm, belongs to no finger
    names = [f for f, j in zip(fingers, joint_names) if f != j]
    order = list(dict.fromkeys(names))
    palette = _FINGER_COLORS if len(order) <= len(
        _FINGER_COLORS) else group_colors(len(order))
    return np.array(
        [palette[order.index(f)] if f in order else _GREY for f in fingers])


def draw_skeleton_2d(image: np.ndarray,
                     keypoints: np.ndarray,
                     links: Sequence[Tuple[int, int]],
                     colors: np.ndarray,
                     shown: Optional[np.ndarray] = None,
                     line_width: int = 2,
                     radius: int = 3,
                     outline: bool = False) -> None:
    """Draw one hand's joints and bones into an image.

    A bone has the colour of its second joint.

    Args:
        image (np.ndarray): RGB image, uint8 (H, W, 3), changed in place.
        keypoints (np.ndarray): Joints in pixels of the image, pixel centres
            at integers, (K, 2).
        links (Sequence[tuple[int, int]]): Pairs of joints.
        colors (np.ndarray): RGB of each joint, (K, 3), or of all, (3,).
        shown (np.ndarray, optional): Joints to draw, bool (K,).
        line_width (int): Width of the bones in pixels; 0 for none.
        radius (int): Radius of the joints in pixels; 0 for none.
        outline (bool): Whether to draw a dark rim, which keeps a light
            skeleton readable on a light image.
    """
    colors = np.broadcast_to(colors, (len(keypoints), 3))
    keypoints = np.asarray(keypoints, dtype=np.float64)
    # far outside the image OpenCV's fixed-point coordinates would overflow
    inside = (np.isfinite(keypoints) & (abs(keypoints) < 1e5)).all(axis=-1)
    shown = inside if shown is None else inside & shown
    bits = 4
    points = np.round(np.where(inside[:, None], keypoints, 0) *
                      2**bits).astype(int)
    strokes = [(2, None)] if outline else []
    strokes.append((0, colors))
    for extra, stroke in strokes:
        for a, b in links:
            if line_width and shown[a] and shown[b]:
                color = _GREY if stroke is None else stroke[b]
                cv2.line(image, points[a].tolist(), points[b].tolist(),
                         color.tolist(), line_width + extra, cv2.LINE_AA, bits)
        for k in np.flatnonzero(shown) if radius else ():
            color = _GREY if stroke is None else stroke[k]
            cv2.circle(image, points[k].tolist(),
                       (2 * radius + extra) * 2**(bits - 1), color.tolist(),
                       -1, cv2.LINE_AA, bits)
