"""What looks agree on, of networks that are made up."""
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import toy_hand

from lgh_mmpose.adaptation.consensus import VIEWS, find_consensus
from lgh_mmpose.datasets.freihand3d import FREIHAND_JOINTS
from lgh_mmpose.geometry.camera import project

CAMERA = np.array([[500., 0., 100.], [0., 500., 100.], [0., 0., 1.]])
HAND = 1000 * toy_hand(np.random.default_rng(0))
IMAGE = np.zeros((200, 200, 3), np.uint8)


class Network:
    """Answers with one hand, each look of which ``change`` may change."""

    def __init__(self, change=lambda look, joints: (joints, 'right')):
        self.change, self.asked = change, []

    def __call__(self, image, bboxes=None, directions=None):
        self.asked.append((bboxes, directions))
        if bboxes is None:
            bboxes = np.array([[20., 30., 160., 170.]])
        answers = [self.change(i, HAND.copy()) for i in range(len(bboxes))]
        joints = np.stack([joints for joints, _ in answers])
        yield SimpleNamespace(
            joint_names=FREIHAND_JOINTS,
            root_joint='middle_finger1',
            bboxes=bboxes,
            hand_sides=[side for _, side in answers],
            keypoints=project(joints, CAMERA),
            keypoints_cam=joints,
            camera_matrix=CAMERA)


def test_looks_that_agree_leave_no_doubt():
    hand, = find_consensus(Network(), IMAGE)
    np.testing.assert_allclose(hand.keypoints, project(HAND, CAMERA))
    np.testing.assert_allclose(hand.keypoints_cam, HAND)
    assert np.abs(hand.doubt).max() < 1e-9
    assert (hand.hand_side, hand.side_share) == ('right', 1.)


def test_doubt_is_that_of_the_joints_which_looks_see_elsewhere():

    def change(look, joints):
        joints[8, 0] += 20 * (-1)**look
        return joints, 'right'

    hand, = find_consensus(Network(change), IMAGE)
    others = np.delete(hand.doubt, 8)
    assert hand.doubt[8] > .05 and others.max() < 1e-9


def test_looks_that_go_astray_move_nothing():

    def change(look, joints):
        joints[:, :2] += 300 * (look in (1, 4))
        return joints, 'right'

    hand, = find_consensus(Network(change), IMAGE)
    np.testing.assert_allclose(hand.keypoints, project(HAND, CAMERA))
    np.testing.assert_allclose(hand.keypoints_cam, HAND)
    assert hand.doubt.min() > .1


def test_most_looks_tell_the_side_and_their_depths_count():

    def change(look, joints):
        if look < 2:  # a hand of the other side is the other way round
            joints[:, 2] = 2 * joints[9, 2] - joints[:, 2]
        return joints, 'left' if look < 2 else 'right'

    hand, = find_consensus(Network(change), IMAGE)
    assert hand.hand_side == 'right'
    assert hand.side_share == pytest.approx(5 / 7)
    np.testing.assert_allclose(hand.keypoints_cam[:, 2], HAND[:, 2])


def test_looks_are_turned_and_scaled_about_the_hand():
    network = Network()
    boxes = np.array([[50., 40., 150., 160.]])
    hand, = find_consensus(network, IMAGE, boxes)
    np.testing.assert_array_equal(hand.box, boxes[0])
    _, (looks, directions) = network.asked
    assert len(looks) == len(VIEWS) == 7
    np.testing.assert_allclose((looks[:, :2] + looks[:, 2:]) / 2,
                               np.tile([100., 100.], (7, 1)))
    scales = [scale for _, scale in VIEWS]
    np.testing.assert_allclose(looks[:, 2:] - looks[:, :2],
                               np.outer(scales, [100., 120.]))
    angles = np.degrees(np.arctan2(directions[:, 1], directions[:, 0]))
    np.testing.assert_allclose(
        angles - angles[0], [angle for angle, _ in VIEWS], atol=1e-9)


def test_the_direction_is_that_of_the_joints():
    network = Network()
    find_consensus(network, IMAGE)
    _, (_, directions) = network.asked
    wrist, knuckle = project(HAND, CAMERA)[[0, 9]]
    np.testing.assert_allclose(
        np.cross(directions[0], knuckle - wrist), 0, atol=1e-6)
    assert directions[0] @ (knuckle - wrist) > 0
