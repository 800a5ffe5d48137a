import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lgh_mmpose.synthesis import rig as rig_module
from lgh_mmpose.synthesis.pose_sampler import sample_pose, sample_shape
from lgh_mmpose.synthesis.rig import (FINGER_JOINTS, FOREARM_PART, JOINT_INDEX,
                                      JOINT_NAMES, PARENTS, HandRig,
                                      hand_mesh_path, mirror)

RHD_SAMPLES = Path(__file__).parents[3] / 'shared/samples/rhd'
RHD_TO_FREIHAND = [0] + [4 * f + i for f in range(5) for i in (4, 3, 2, 1)]
J = len(JOINT_NAMES)
REST = np.zeros((J, 3))
UNIT = np.ones((J, 3))
TIPS = [4, 8, 12, 16, 20]


@pytest.fixture(scope='module')
def rig():
    return HandRig()


def pose_of(joint, flexion=0., abduction=0., twist=0.):
    pose = REST.copy()
    pose[JOINT_INDEX[joint]] = flexion, abduction, twist
    return pose


def chirality(keypoints):
    """Positive for a right hand: seen from the back, index to little finger
    turn clockwise about the wrist, and the thumb lies on the palm's side."""
    wrist, thumb, index, little = keypoints[[0, 2, 5, 17]]
    palm_normal = np.cross(index - wrist, little - wrist)
    return palm_normal @ (thumb - wrist)


def test_rest_pose_returns_the_mesh(rig):
    geometry = rig.deform(REST, UNIT)
    np.testing.assert_allclose(geometry.vertices, rig.vertices, atol=1e-3)
    assert geometry.keypoints.shape == (21, 3)


def test_surface_is_closed_and_oriented(rig):
    edges = Counter((face[i], face[(i + 1) % 3])
                    for face in rig.faces.tolist() for i in range(3))
    assert set(edges.values()) == {1}
    assert all((b, a) in edges for a, b in edges)
    corners = rig.vertices[rig.faces]
    volume = np.einsum('fi,fi->', corners[:, 0],
                       np.cross(corners[:, 1], corners[:, 2])) / 6
    assert volume > 0  # normals point outwards


def test_no_crease_at_the_wrist(rig):
    """Neighbouring faces around the seam of hand and forearm hardly bend."""
    corners = rig.vertices[rig.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0],
                       corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    z = corners[..., 2].mean(axis=1)
    owner = {}
    for f, face in enumerate(rig.faces.tolist()):
        for i in range(3):
            owner[face[i], face[(i + 1) % 3]] = f
    bends = [
        np.degrees(
            np.arccos(np.clip(normals[f] @ normals[owner[b, a]], -1, 1)))
        for (a, b), f in owner.items()
        if 0 < z[f] < 60 and 0 < z[owner[b, a]] < 60
    ]
    assert len(bends) > 200
    assert max(bends) < 60
    assert np.percentile(bends, 95) < 35


def test_joints_lie_inside_the_flesh(rig):
    keypoints = rig.deform(REST, UNIT).keypoints
    triangles = rig.vertices[rig.faces]
    for k in set(range(21)) - set(TIPS):
        for direction in np.eye(3):
            for sign in (1, -1):
                distance = rig_module._ray_distance(keypoints[k],
                                                    sign * direction,
                                                    triangles)
                assert np.isfinite(distance)


def distance_to_surface(point, triangles):
    """Distance to densely sampled triangles, about .2 mm too large."""
    near = np.linalg.norm(triangles.mean(axis=1) - point, axis=1) < 20
    u, v = np.meshgrid(np.linspace(0, 1, 15), np.linspace(0, 1, 15))
    inside = u + v <= 1
    u, v = u[inside], v[inside]
    weights = np.stack([1 - u - v, u, v], axis=1)
    samples = np.einsum('sc,fcd->fsd', weights, triangles[near])
    return np.linalg.norm(samples - point, axis=-1).min()


@pytest.mark.parametrize('seed', range(5))
def test_finger_tips_lie_on_the_skin(rig, seed):
    rng = np.random.default_rng(seed)
    geometry = rig.deform(sample_pose(rng, 'random'), sample_shape(rng))
    triangles = geometry.vertices[rig.faces]
    for tip in TIPS:
        assert distance_to_surface(geometry.keypoints[tip], triangles) < 1


def test_finger_tips_lie_beyond_the_tip_joints(rig):
    keypoints = rig.deform(REST, UNIT).keypoints
    for tip, joints in zip(TIPS, FINGER_JOINTS):
        joint = rig.rest_position[JOINT_INDEX[joints[-1]]]
        assert 4 < np.linalg.norm(keypoints[tip] - joint) < 12


def test_bone_lengths_of_a_subject_do_not_depend_on_the_pose(rig):
    rng = np.random.default_rng(0)
    bone_scale = sample_shape(rng)
    lengths, keypoint_lengths = [], []
    for kind in ('open', 'fist', 'random', 'random', 'pinch'):
        pose = sample_pose(rng, kind)
        position = rig.joint_frames(pose, bone_scale)[1]
        lengths.append(np.linalg.norm(position - position[PARENTS], axis=1))
        fingers = rig.deform(pose, bone_scale).keypoints[1:].reshape(5, 4, 3)
        keypoint_lengths.append(
            np.linalg.norm(np.diff(fingers, axis=1), axis=2))
    np.testing.assert_allclose(lengths, lengths[:1] * 5, atol=1e-4)
    np.testing.assert_allclose(
        keypoint_lengths, keypoint_lengths[:1] * 5, atol=1e-4)


def test_known_bone_lengths(rig):
    fingers = rig.deform(REST, UNIT).keypoints[1:].reshape(5, 4, 3)
    lengths = np.linalg.norm(np.diff(fingers, axis=1), axis=2)[:, :2]
    np.testing.assert_allclose(
        lengths,
        [[32.5, 33.8], [45.3, 24.3], [46.9, 27.5], [42.9, 26.6], [34.6, 20.3]],
        atol=.1)


def test_bone_scale_sets_the_length(rig):
    bone_scale = UNIT.copy()
    bone_scale[JOINT_INDEX['middle-finger-phalanx-proximal'], 2] = 1.1
    rest, longer = (
        rig.deform(REST, scale).keypoints for scale in (UNIT, bone_scale))
    ratio = np.linalg.norm(longer[10] - longer[9]) / np.linalg.norm(rest[10] -
                                                                    rest[9])
    assert ratio == pytest.approx(1.1, abs=1e-4)
    np.testing.assert_allclose(longer[:10], rest[:10])


def test_flexion_bends_towards_the_palm(rig):
    rest = rig.deform(REST, UNIT).keypoints
    bent = rig.deform(
        pose_of('index-finger-phalanx-intermediate', flexion=60),
        UNIT).keypoints
    assert bent[8, 1] < rest[8, 1] - 10  # -y is palmar
    moved = np.linalg.norm(bent - rest, axis=1) > 1e-6
    assert set(np.flatnonzero(moved)) == {7, 8}


def test_abduction_moves_towards_the_thumb(rig):
    rest = rig.deform(REST, UNIT).keypoints
    spread = rig.deform(
        pose_of('index-finger-phalanx-proximal', abduction=15), UNIT).keypoints
    assert spread[8, 0] < rest[8, 0] - 10


def test_wrist_moves_the_forearm_and_not_the_hand(rig):
    rest = rig.deform(REST, UNIT)
    bent = rig.deform(pose_of('wrist', flexion=40), UNIT)
    np.testing.assert_allclose(bent.keypoints, rest.keypoints)
    end = rest.vertices[:, 2].argmax()
    # The palmar sides of hand and arm approach each other.
    assert bent.vertices[end, 1] < rest.vertices[end, 1] - 50


def test_left_and_right_hands(rig):
    rng = np.random.default_rng(0)
    for _ in range(20):
        keypoints = rig.deform(sample_pose(rng, 'random'),
                               sample_shape(rng)).keypoints
        assert chirality(keypoints) > 0
        assert chirality(mirror(keypoints)) < 0


@pytest.mark.skipif(
    not RHD_SAMPLES.is_dir(), reason='needs the real RHD samples')
def test_sides_agree_with_real_hands():
    annotations = json.loads(
        (RHD_SAMPLES / 'test_rhd.json').read_text())['annotations']
    assert annotations
    for annotation in annotations:
        joints = annotation['joint_cam']
        if isinstance(joints, str):  # both occur
            joints = json.loads(joints)
        joints = np.array(joints)
        sign = chirality(joints[RHD_TO_FREIHAND])
        assert (sign > 0) == (annotation['hand_type'] == 'right')


def test_hand_ends_at_the_wrist(rig):
    of_hand = rig.faces[rig.face_parts != FOREARM_PART].ravel()
    of_forearm = np.setdiff1d(rig.faces, of_hand)
    assert rig.vertices[of_hand, 2].max() < 30
    assert rig.vertices[of_forearm, 2].min() > -20
    assert set(rig.face_parts) == set(range(FOREARM_PART + 1))


def test_mesh_is_found_in_a_package_and_in_a_source_tree(
        tmp_path, monkeypatch):
    module = tmp_path / 'lgh_mmpose/synthesis/rig.py'
    monkeypatch.setattr(rig_module, '__file__', str(module))
    with pytest.raises(FileNotFoundError, match='hand mesh .* Reinstall'):
        hand_mesh_path()
    for root in (tmp_path, tmp_path / 'lgh_mmpose/.mim'):
        path = root / 'assets/generic-hand/right.glb'
        path.parent.mkdir(parents=True)
        path.touch()
        assert hand_mesh_path() == path.resolve()


def test_missing_joint_is_named(tmp_path):
    data = hand_mesh_path().read_bytes()
    path = tmp_path / 'hand.glb'
    path.write_bytes(data.replace(b'"thumb-tip"', b'"thumb-xxx"'))
    with pytest.raises(ValueError, match='hand.glb.*thumb-tip'):
        HandRig(path)
