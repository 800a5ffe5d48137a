import numpy as np
import pytest
from dataset_writers import FREIHAND_NAMES
from helpers import toy_hand

from lgh_mmpose.geometry.camera import project
from lgh_mmpose.geometry.hand import HandSkeleton, hand_links
from lgh_mmpose.geometry.lifting import lift_hands

BONE = ('middle_finger1', 'middle_finger2')
CAMERA = np.array([[500., 0, 112], [0, 510, 110], [0, 0, 1]])
SKELETON = HandSkeleton.usual(FREIHAND_NAMES, BONE[0], BONE)


@pytest.fixture
def hands():
    """Joints in mm, their pixels, depths in bones, and bone lengths."""
    xyz = np.stack(
        [1000 * toy_hand(np.random.default_rng(i)) for i in range(3)])
    start, end = SKELETON.reference_indices
    bone = np.linalg.norm(xyz[:, end] - xyz[:, start], axis=-1)
    z = xyz[..., 2]
    depth = (z - z[:, [SKELETON.root_index]]) / bone[:, None]
    return xyz, project(xyz, CAMERA), depth, bone


def test_what_is_exact_comes_back(hands):
    xyz, uv, depth, bone = hands
    root = xyz[:, SKELETON.root_index, 2]
    lifted = lift_hands(uv, depth, SKELETON, CAMERA, bone, root)
    np.testing.assert_allclose(lifted.keypoints_cam, xyz, atol=1e-6)
    assert lifted[1:] == ('mm', 'camera', None)
    lifted = lift_hands(uv, depth, SKELETON, CAMERA, bone)
    np.testing.assert_allclose(
        project(lifted.keypoints_cam, CAMERA), uv, atol=1e-6)
    solved = np.array(lifted.root_depth_status) == 'SOLVED'
    assert solved.any()
    np.testing.assert_allclose(
        lifted.keypoints_cam[solved], xyz[solved], rtol=1e-6)


def test_each_hand_has_its_own_camera_and_bone(hands):
    _, uv, depth, bone = hands
    cameras = np.stack([np.diag([s, s, 1]) @ CAMERA for s in (1., .5, 2.)])
    together = lift_hands(uv, depth, SKELETON, cameras, bone)
    for i in range(3):
        alone = lift_hands(uv[[i]], depth[[i]], SKELETON, cameras[i], bone[i])
        np.testing.assert_allclose(
            alone.keypoints_cam[0], together.keypoints_cam[i], rtol=1e-9)
        assert alone.root_depth_status == [together.root_depth_status[i]]


@pytest.mark.parametrize('camera, bone, units, frame', [
    (CAMERA, 40., 'mm', 'camera'),
    (CAMERA, None, 'reference bones', 'camera'),
    (None, 40., 'mm', 'root'),
    (None, None, 'reference bones', 'root'),
])
def test_what_is_known_decides_the_units(hands, camera, bone, units, frame):
    _, uv, depth, _ = hands
    lifted = lift_hands(uv, depth, SKELETON, camera, bone)
    assert (lifted.units, lifted.frame) == (units, frame)
    if frame == 'root':
        root = lifted.keypoints_cam[:, SKELETON.root_index]
        np.testing.assert_allclose(root, 0, atol=1e-9)
    if camera is None or bone is None:
        with pytest.raises(ValueError, match='only of use together'):
            lift_hands(uv, depth, SKELETON, camera, bone, 300.)


def test_bones_are_those_of_the_hand():
    assert {frozenset(bone)
            for bone in SKELETON.bones.tolist()
            } == {frozenset(link)
                  for link in hand_links(FREIHAND_NAMES)}
    start, end = SKELETON.reference_indices
    at = SKELETON.bones.tolist().index([start, end])
    assert SKELETON.bone_lengths[at] == 1
    # from either end
    turned = HandSkeleton.usual(FREIHAND_NAMES, BONE[0], BONE[::-1])
    assert turned.reference_indices == (end, start)
    np.testing.assert_array_equal(turned.bone_lengths, SKELETON.bone_lengths)
    # two joints that are no bone stand for themselves
    other = HandSkeleton.usual(FREIHAND_NAMES, 'wrist',
                               ('wrist', 'middle_finger4'))
    assert other.bones.tolist() == [list(other.reference_indices)]
    assert other.bone_lengths.tolist() == [1]


@pytest.mark.parametrize('changes, message', [
    (dict(camera_matrix=np.eye(2)), 'camera_matrix must be finite and have'),
    (dict(camera_matrix=CAMERA * np.nan), 'camera_matrix must be finite'),
    (dict(camera_matrix=np.diag([500., 0, 1])), 'camera_matrix is singular'),
    (dict(bone_length=[40, 40]), 'bone_length must be one number or 3, got 2'),
    (dict(bone_length=0), 'bone_length'),
    (dict(root_depth=[400, 400]), 'root_depth must be one number or 3'),
])
def test_what_cannot_be_lifted_is_named(hands, changes, message):
    _, uv, depth, bone = hands
    known = dict(camera_matrix=CAMERA, bone_length=bone)
    with pytest.raises(ValueError, match=message):
        lift_hands(uv, depth, SKELETON, **dict(known, **changes))
