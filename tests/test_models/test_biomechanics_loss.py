"""What hands can do: known angles, invariances, limits, gradients."""
import numpy as np
import pytest
import torch
from helpers import toy_hand
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lgh_mmpose.datasets import FreiHand3DDataset
from lgh_mmpose.datasets.freihand3d import FREIHAND_JOINTS
from lgh_mmpose.geometry.camera import project
from lgh_mmpose.geometry.hand import HandSkeleton, finger_chains
from lgh_mmpose.models.losses.biomechanics_loss import (BiomechanicsLoss,
                                                        excess, lift,
                                                        measure_hands,
                                                        read_limits)

CHAINS = torch.from_numpy(finger_chains(FREIHAND_JOINTS))
SKELETON = HandSkeleton.usual(FREIHAND_JOINTS, 'middle_finger1',
                              ('middle_finger1', 'middle_finger2'))
CAMERA = np.array([[300., 0., 64.], [0., 310., 60.], [0., 0., 1.]])


def measure(hands, right=True):
    points = torch.as_tensor(np.array(hands), dtype=torch.float64)
    bone = (points[:, 10] - points[:, 9]).norm(dim=-1)
    return measure_hands(points / bone[:, None, None],
                         torch.full((len(points), ), right), CHAINS)


def flat_hand(bends=(0., 0., 0.)):
    """A right hand before a camera, fingers up, its back to the camera:
    fingers bent by degrees at each joint, away from the camera."""
    hand = np.zeros((21, 3))
    for finger, (side, reach) in enumerate(
        ((-.6, .6), (-.3, 1.9), (0., 2.), (.25, 1.9), (.5, 1.8))):
        point = np.array([side, -reach, 0.])
        hand[4 * finger + 1] = point
        root = point / np.linalg.norm(point)
        angle = 0.
        for joint, (bend, length) in enumerate(zip(bends, (1., .6, .5))):
            angle += np.radians(bend)
            step = np.cos(angle) * root + np.sin(angle) * np.array([0, 0, 1.])
            point = point + length * step
            hand[4 * finger + 2 + joint] = point
    return hand + [0., 0., 20.]


def test_known_angles():
    measures = measure([flat_hand(), flat_hand((30., 60., 20.))])
    flexion = np.degrees(measures['flexion'].numpy()).reshape(2, 5, 3)
    np.testing.assert_allclose(flexion[0], 0, atol=1e-6)
    np.testing.assert_allclose(
        flexion[1], np.tile([30, 60, 20], (5, 1)), atol=1e-6)
    np.testing.assert_allclose(measures['abduction'], 0, atol=1e-6)
    np.testing.assert_allclose(measures['curvature'], 0, atol=1e-6)
    lengths = measures['lengths'][0].reshape(5, 4)
    np.testing.assert_allclose(lengths[:, 1:], np.tile([1, .6, .5], (5, 1)))
    np.testing.assert_allclose(lengths[2, 0], 2.)
    forefinger = np.array([-.3, -1.9]) / np.hypot(.3, 1.9)
    assert measures['spread'][0, 1].item() == pytest.approx(
        np.arccos(forefinger @ [0, -1]))


@given(
    seed=st.integers(0, 1000),
    turn=st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def test_turning_mirroring_and_moving_a_hand_changes_nothing(seed, turn):
    hand = toy_hand(np.random.default_rng(seed))
    turned = Rotation.from_rotvec(turn).apply(hand) + [1., 2., 3.]
    expected = measure([hand])
    for name, value in measure([turned]).items():
        np.testing.assert_allclose(value, expected[name], atol=1e-6)
    for name, value in measure([turned * [-1, 1, 1]], right=False).items():
        np.testing.assert_allclose(value, expected[name], atol=1e-6)


def test_rendered_hands_are_within_their_limits(studiohand_root):
    """One in 500 is beyond those of any one measure."""
    dataset = FreiHand3DDataset(str(studiohand_root), split='training')
    assert dataset.keypoint_names == tuple(FREIHAND_JOINTS)
    beyond = excess(measure(dataset.annotations.keypoints_cam))
    shares = torch.cat(list(beyond.values()), 1) > 0
    assert shares.shape == (12, 20 + 4 + 4 + 15 + 15)
    assert shares.double().mean() < .01
    for name, (low, high) in read_limits().items():
        assert (low <= high).all(), name


def test_fingers_that_bend_backwards_are_beyond():
    beyond = excess(measure([flat_hand((-40., -40., -40.))]))
    flexion = beyond['flexion'].reshape(5, 3)
    assert (flexion[1:, 1:] > .2).all()
    # the same hand as a left one bends forwards
    beyond = excess(measure([flat_hand((-40., -40., -40.))], right=False))
    assert beyond['flexion'].reshape(5, 3)[1:].max() < .1


def metas(num, **changes):
    return [
        dict(
            dict(warp_mat=np.eye(3), camera_matrix=CAMERA, flip=False),
            **changes) for _ in range(num)
    ]


def labels(hands):
    hands = np.array(hands)
    bone = np.linalg.norm(hands[:, 10] - hands[:, 9], axis=-1)
    depth = (hands[..., 2] - hands[:, [9], 2]) / bone[:, None]
    return (torch.as_tensor(np.stack([project(h, CAMERA) for h in hands])),
            torch.as_tensor(depth), bone)


def test_joints_are_lifted_to_where_they_are():
    hands = np.stack(
        [1000 * toy_hand(np.random.default_rng(i)) for i in range(3)])
    uv, depth, bone = labels(hands)
    points = lift(uv, depth, SKELETON, metas(3))
    np.testing.assert_allclose(points * bone[:, None, None], hands, rtol=1e-4)
    # a mirrored crop leads to the same hand
    mirror = np.array([[-1., 0., 127.], [0., 1., 0.], [0., 0., 1.]])
    uv = torch.cat([127 - uv[..., :1], uv[..., 1:]], -1)
    points = lift(uv, depth, SKELETON, metas(3, warp_mat=mirror, flip=True))
    np.testing.assert_allclose(points * bone[:, None, None], hands, rtol=1e-4)


def test_without_a_camera_one_is_assumed():
    uv, depth, _ = labels([1000 * toy_hand(np.random.default_rng(0))])
    points = lift(uv, depth, SKELETON,
                  [dict(warp_mat=np.eye(3), ori_shape=(128, 128))])
    assert np.isfinite(points.numpy()).all() and (points[..., 2] > 0).all()


def test_the_loss_pulls_depths_back():
    """Of a hand whose pixels are fixed, one bends fingers the wrong way."""
    uv, depth, _ = labels([flat_hand((-35., -35., -35.))])
    loss = BiomechanicsLoss(loss_weight=2.)
    right = torch.ones(1, dtype=torch.bool)
    depth.requires_grad_()
    before = loss(uv, depth, right, SKELETON, metas(1))
    before.backward()
    assert torch.isfinite(depth.grad).all() and before > .01
    after = loss(uv,
                 depth.detach() - .02 * depth.grad / depth.grad.abs().max(),
                 right, SKELETON, metas(1))
    assert after < before
    half = BiomechanicsLoss()(uv, depth.detach(), right, SKELETON, metas(1))
    assert before.item() == pytest.approx(2 * half.item())


def test_a_mirrored_input_is_the_hand_that_it_was():
    """Whether the crop or the camera has mirrored it."""
    hand = flat_hand((50., 70., 40.))
    uv, depth, _ = labels([hand])
    loss = BiomechanicsLoss()
    right = torch.ones(1, dtype=torch.bool)
    expected = loss(uv, depth, right, SKELETON, metas(1))
    wrong = loss(uv, depth, ~right, SKELETON, metas(1))
    assert wrong > 1.5 * expected
    mirror = np.array([[-1., 0., 127.], [0., 1., 0.], [0., 0., 1.]])
    flipped = torch.cat([127 - uv[..., :1], uv[..., 1:]], -1)
    told = loss(flipped, depth, ~right, SKELETON,
                metas(1, warp_mat=mirror, flip=True))
    torch.testing.assert_close(told, expected)
    # OfficialRhdCrop: its camera leads to the mirrored frame
    told = loss(
        flipped, depth, ~right, SKELETON,
        metas(1, warp_mat=mirror, camera_matrix=mirror @ CAMERA, flip=True))
    torch.testing.assert_close(told, expected, rtol=.02, atol=0)


def test_mixed_precision_changes_nothing():
    uv, depth, _ = labels([flat_hand((-35., -35., -35.))])
    arguments = (uv.float(), depth.float(), torch.ones(1, dtype=torch.bool),
                 SKELETON, metas(1))
    expected = BiomechanicsLoss()(*arguments)
    with torch.autocast('cpu', torch.bfloat16):
        assert BiomechanicsLoss()(*arguments) == expected


def test_gradients_of_degenerate_hands_are_finite():
    uv = torch.full((2, 21, 2), 30., requires_grad=True)
    depth = torch.zeros(2, 21, requires_grad=True)
    loss = BiomechanicsLoss()(uv, depth, torch.tensor([True, False]), SKELETON,
                              metas(2))
    loss.backward()
    assert torch.isfinite(uv.grad).all() and torch.isfinite(depth.grad).all()


def test_a_missing_joint_is_named():
    with pytest.raises(ValueError, match='lack thumb4'):
        finger_chains([n for n in FREIHAND_JOINTS if n != 'thumb4'])
