"""What several looks at a hand agree on."""
from typing import List, NamedTuple, Optional

import numpy as np

from ..geometry.camera import back_project
from ..inference.pipeline import HandPose
from ..inference.tracking import box_of_joints

VIEWS = ((0, 1.), (20, 1.), (-20, 1.), (0, .87), (0, 1.15), (10, 1.07), (-10,
                                                                         .93))
"""Looks at a hand: degrees by which the crop is turned, and its size."""


class Consensus(NamedTuple):
    """A hand as several looks see it.

    Attributes:
        box (np.ndarray): Where they looked: left, top, right, bottom, px.
        hand_side (str): Side that most looks tell.
        side_share (float): Share of the looks that tell it.
        keypoints (np.ndarray): Median joints (K, 2), px of the image.
        keypoints_cam (np.ndarray): Joints there in the camera frame, of
            median depths, (K, 3), mm.
        camera_matrix (np.ndarray): (3, 3), px.
        doubt (np.ndarray): Mean distance of the looks' joints from these, in
            sizes of the hand, (K,).
    """
    box: np.ndarray
    hand_side: str
    side_share: float
    keypoints: np.ndarray
    keypoints_cam: np.ndarray
    camera_matrix: np.ndarray
    doubt: np.ndarray


def find_consensus(pose: HandPose,
                   image: np.ndarray,
                   boxes: Optional[np.ndarray] = None) -> List[Consensus]:
    """Look at each hand of an image from several views.

    Args:
        pose (HandPose): The network, which tells sides and wants hands
            upright, and its detector.
        image (np.ndarray): BGR, uint8 (H, W, 3).
        boxes (np.ndarray, optional): Tight boxes of the hands (N, 4), px.
            Defaults to those of the detector, half-way to the network's.

    Returns:
        list[Consensus]: One for each hand, in the order of the boxes.
    """
    first, = pose(image, bboxes=boxes)
    names = list(first.joint_names)
    wrist, knuckle = names.index('wrist'), names.index('middle_finger1')
    found = []
    for box, joints in zip(first.bboxes, first.keypoints):
        if boxes is None:
            # the network's own box is as good as the detector's
            box = (box + box_of_joints(joints)) / 2
        found.append(
            _look_around(pose, image, box, joints[knuckle] - joints[wrist]))
    return found


def _look_around(pose: HandPose, image: np.ndarray, box: np.ndarray,
                 direction: np.ndarray) -> Consensus:
    """The hand in a box, from all views."""
    angles, scales = np.array(VIEWS).T
    center, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    halves = scales[:, None] * half
    turned = complex(*direction) * np.exp(1j * np.radians(angles))
    looks, = pose(
        image,
        bboxes=np.concatenate([center - halves, center + halves], 1),
        directions=np.stack([turned.real, turned.imag], 1))
    right = np.array([side == 'right' for side in looks.hand_sides])
    share = max(right.mean(), 1 - right.mean())
    side = 'right' if right.mean() >= .5 else 'left'
    # a few looks that have gone astray do not move it
    keypoints = np.median(looks.keypoints, axis=0)
    size = np.ptp(keypoints, axis=0).max()
    spread = np.linalg.norm(looks.keypoints - keypoints, axis=-1).mean(0)
    # depths of a hand of the other side are those of another hand
    same = right == (side == 'right')
    depth = looks.keypoints_cam[same, :, 2]
    root = list(looks.joint_names).index(looks.root_joint)
    relative = np.median(depth - depth[:, [root]], axis=0)
    return Consensus(
        box, side, float(share), keypoints,
        back_project(keypoints, relative + np.median(depth[:, root]),
                     looks.camera_matrix), looks.camera_matrix,
        spread / max(size, 1e-9))
