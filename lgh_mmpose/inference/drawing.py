"""Hands drawn on their images."""
from typing import Union

import cv2
import numpy as np

from ..geometry.camera import SOLVED_STATUSES
from ..geometry.hand import hand_links
from .results import Hands
from .skeleton_2d import draw_skeleton_2d, joint_colors

_TEXT = cv2.FONT_HERSHEY_SIMPLEX


def draw_hands(image: np.ndarray,
               hands: Union[Hands, dict],
               color_by: str = 'finger',
               score_thr: float = 0.) -> np.ndarray:
    """Draw all hands of a frame: joints, box and what is known of them.

    Args:
        image (np.ndarray): The frame, BGR, uint8 (H, W, 3).
        hands (Hands | dict): What was found in it, or its dict.
        color_by (str): ``'finger'`` or ``'group'``, the learned one. Defaults
            to ``'finger'``.
        score_thr (float): Joints with a lower score are not drawn. Defaults
            to 0.

    Returns:
        np.ndarray: A picture of its own, BGR, uint8 (H, W, 3).

    Raises:
        ValueError: If ``color_by`` is unknown.
    """
    if color_by not in ('finger', 'group'):
        raise ValueError("color_by must be 'finger' or 'group', got "
                         f'{color_by!r}')
    frame_dict = hands if isinstance(hands, dict) else hands.to_dict()
    # the skeleton's colours are RGB
    canvas = np.ascontiguousarray(image[..., ::-1])
    for hand in frame_dict['hands']:
        keypoints = np.array(hand['keypoints'])
        box = np.array(hand['bbox'])
        # strokes as thick as the hand is large in the picture
        width = int(np.clip((box[2:] - box[:2]).max() / 80, 1, 6))
        corners = [int(v) for v in np.clip(np.rint(box), -1e5, 1e5)]
        cv2.rectangle(canvas, corners[:2], corners[2:], (255, 255, 255), 1,
                      cv2.LINE_AA)
        draw_skeleton_2d(
            canvas,
            keypoints,
            hand_links(hand['joint_names']),
            joint_colors(hand['joint_names'],
                         hand['groups'] if color_by == 'group' else None),
            shown=np.array(hand['scores']) >= score_thr,
            line_width=width,
            radius=width + 1)
        _write(canvas, _label(hand, frame_dict['camera']), corners[:2])
    return np.ascontiguousarray(canvas[..., ::-1])


def _label(hand: dict, camera: dict) -> str:
    """One line: track, side and distance, "?" after what is not known."""
    parts = [hand['hand_side'] or 'hand']
    if hand['hand_side_source'] != 'given':
        parts[0] += '?'
    if hand['track'] is not None:
        parts.insert(0, f'#{hand["track"]}')
    if hand['frame'] == 'camera':
        root = hand['joint_names'].index(hand['root_joint'])
        distance = hand['keypoints_cam'][root][2]
        known = camera['source'] != 'assumed' and \
            hand['bone_length']['source'] == 'given' and \
            hand['root_depth_status'] in SOLVED_STATUSES
        parts.append(f'{distance:.0f} {hand["units"]}' +
                     ('' if known else '?'))
    return ' '.join(parts)


def _write(canvas: np.ndarray, text: str, corner: list) -> None:
    """White text with a dark rim, inside the picture."""
    height, width = canvas.shape[:2]
    scale = max(.35, min(height, width) / 900)
    thick = max(1, round(scale))
    rim = thick + 2
    # half a stroke, and one pixel for its soft edge
    edge = rim // 2 + 1
    (w, h), base = cv2.getTextSize(text, _TEXT, scale, thick)
    x = int(np.clip(corner[0], edge, max(edge, width - w - edge)))
    top, bottom = h + edge, height - base - edge
    y = int(np.clip(corner[1] - base, top, max(top, bottom)))
    for color, stroke in (((40, 40, 40), rim), ((255, 255, 255), thick)):
        cv2.putText(canvas, text, (x, y), _TEXT, scale, color, stroke,
                    cv2.LINE_AA)
