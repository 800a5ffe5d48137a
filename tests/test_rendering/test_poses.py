import numpy as np
import pytest
from scipy.spatial import cKDTree

from lgh_mmpose.rendering.hand_body import CAPSULES, HandBody, Touch
from lgh_mmpose.rendering.hand_model import (FINGER_JOINTS, JOINT_INDEX,
                                             JOINT_NAMES, HandModel)
from lgh_mmpose.rendering.poses import (MOBILITY, POSE_KINDS, POSE_LIMITS,
                                        SIGNS, sample_pose)

J = len(JOINT_NAMES)
MCP, PIP, DIP = np.array([[JOINT_INDEX[name] for name in joints[1:4]]
                          for joints in FINGER_JOINTS[1:]]).T
THUMB_TIP, INDEX_TIP = (JOINT_INDEX[FINGER_JOINTS[f][-1]] for f in (0, 1))


@pytest.fixture(scope='module')
def model():
    return HandModel()


@pytest.fixture(scope='module')
def body(model):
    return HandBody(model, model.mean_subject)


def _vertex_normals(vertices, faces):
    corners = vertices[faces]
    normals = np.zeros_like(vertices)
    face_normals = np.cross(corners[:, 1] - corners[:, 0],
                            corners[:, 2] - corners[:, 0])
    for i in range(3):
        np.add.at(normals, faces[:, i], face_normals)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _penetration(model, vertices):
    """Deepest that skin of a finger's outer phalanges lies in another."""
    owner = np.full(len(vertices), 15)
    for part in range(15):
        owner[model.faces[model.face_parts == part]] = part
    normals = _vertex_normals(vertices, model.faces)
    deepest = 0.
    for finger in range(5):
        # Webs and the bases of the fingers belong together.
        own = vertices[(owner // 3 == finger) & (owner % 3 < 2)]
        other = np.flatnonzero((owner // 3 != finger) & (owner < 15)
                               & (owner % 3 < 2))
        distance, nearest = cKDTree(vertices[other]).query(own)
        other = other[nearest]
        depth = -((own - vertices[other]) * normals[other]).sum(axis=1)
        deepest = max(deepest, depth[distance < 12].max(initial=0.))
    return deepest


def test_probabilities_sum_to_one():
    assert sum(POSE_KINDS.values()) == pytest.approx(1)


def test_kinematics_are_the_models(model):
    rng = np.random.default_rng(0)
    for _ in range(5):
        subject = model.sample_subject(rng)
        pose = rng.uniform(POSE_LIMITS[..., 0], POSE_LIMITS[..., 1])
        expected = model.joint_frames(pose, subject)
        for ours, theirs in zip(
                HandBody(model, subject).frames(pose), expected):
            np.testing.assert_allclose(ours[:-1], theirs[:-1], atol=1e-6)


def test_capsules_fit_the_skin(model):
    rng = np.random.default_rng(0)
    for _ in range(3):
        subject = model.sample_subject(rng)
        body = HandBody(model, subject)
        pose = model.rest_pose(subject)
        start, end = body.capsules(pose)
        for c, capsule in enumerate(CAPSULES):
            if capsule.level < 2:
                continue
            part = 3 * capsule.finger + 3 - capsule.level
            skin = subject.vertices[np.unique(
                model.faces[model.face_parts == part])]
            axis = end[c] - start[c]
            u = np.clip((skin - start[c]) @ axis / (axis @ axis), 0, 1)
            radius = (1 - u) * body.radius[c, 0] + u * body.radius[c, 1]
            gap = np.linalg.norm(
                skin - start[c] - u[:, None] * axis, axis=1) - radius
            assert abs(np.median(gap)) < 1
            assert np.percentile(np.abs(gap), 95) < 3.5


@pytest.mark.parametrize('kind', [*POSE_KINDS, *SIGNS])
def test_poses_keep_the_limits_and_do_not_collide(body, kind):
    rng = np.random.default_rng(0)
    for _ in range(8):
        pose = sample_pose(rng, body, kind)
        assert pose.shape == (J, 3)
        assert (pose >= POSE_LIMITS[..., 0] - 1e-9).all()
        assert (pose <= POSE_LIMITS[..., 1] + 1e-9).all()
        assert body.depth(pose) < 1.5


def test_joints_that_cannot_move_do_not():
    for name in ('thumb-tip', 'index-finger-metacarpal', 'ring-finger-tip',
                 'forearm'):
        assert not POSE_LIMITS[JOINT_INDEX[name]].any()


def test_kinds_look_like_their_names(body):
    rng = np.random.default_rng(0)
    for _ in range(30):
        assert (sample_pose(rng, body, 'open')[PIP, 0] < 35).all()
        assert (sample_pose(rng, body, 'fist')[PIP, 0] > 60).all()
        point = sample_pose(rng, body, 'point')[PIP, 0]
        assert point[0] < 40 and (point[1:] > 60).all()
        hook = sample_pose(rng, body, 'hook')
        assert (hook[PIP, 0] > 50).all() and (hook[MCP, 0] < 45).all()


@pytest.mark.parametrize('sign, stretched', [('V', [1, 1, 0, 0]),
                                             ('W', [1, 1, 1, 0]),
                                             ('Y', [0, 0, 0, 1]),
                                             ('rock', [1, 0, 0, 1]),
                                             ('three', [0, 1, 1, 1])])
def test_signs_stretch_their_fingers(body, sign, stretched):
    rng = np.random.default_rng(0)
    for _ in range(10):
        bend = sample_pose(rng, body, sign)[PIP, 0]
        np.testing.assert_array_equal(bend < 45, np.array(stretched, bool))


def test_middle_finger_crosses_the_index_in_r(body):
    rng = np.random.default_rng(0)
    for _ in range(10):
        _, end = body.capsules(sample_pose(rng, body, 'R'))
        _, parted = body.capsules(sample_pose(rng, body, 'V'))
        index, middle = [
            i for i, c in enumerate(CAPSULES)
            if c.level == 3 and c.finger in (1, 2)
        ]
        assert end[middle, 0] - end[index, 0] < 7
        assert end[middle, 1] > end[index, 1]
        assert parted[middle, 0] - parted[index, 0] > 20


def test_tips_of_a_pinch_touch_on_the_mesh(model):
    rng = np.random.default_rng(0)
    gaps = []
    for _ in range(20):
        subject = model.sample_subject(rng)
        body = HandBody(model, subject)
        vertices = model.deform(sample_pose(rng, body, 'F'), subject).vertices
        thumb, index = (
            vertices[np.unique(model.faces[model.face_parts == part])]
            for part in (0, 3))
        gaps.append(cKDTree(thumb).query(index)[0].min())
    assert np.median(gaps) < 2.5 and max(gaps) < 5


def test_skin_does_not_run_through_other_fingers(model):
    rng = np.random.default_rng(0)
    depths = []
    for _ in range(150):
        subject = model.sample_subject(rng)
        pose = sample_pose(rng, HandBody(model, subject))
        depths.append(
            _penetration(model,
                         model.deform(pose, subject).vertices))
    assert np.percentile(depths, 90) < 4
    assert max(depths) < 8


def test_bent_fingers_are_not_spread(body):
    rng = np.random.default_rng(0)
    poses = np.stack([sample_pose(rng, body, 'random') for _ in range(300)])
    flexion, abduction = poses[:, MCP[3], 0], np.abs(poses[:, MCP[3], 1])
    assert abduction[flexion > 80].max() < .7 * abduction[flexion < 20].max()


def test_the_solver_parts_fingers_that_cross(body):
    pose = np.zeros((J, 3))
    pose[MCP[0], 1], pose[MCP[1], 1] = -18, 16
    pose[MCP[:2], 0] = 20
    assert body.depth(pose) > 4
    solved, depth, miss = body.solve(pose, POSE_LIMITS, MOBILITY)
    assert depth < 1 and miss == 0
    assert body.depth(solved) == pytest.approx(depth, abs=1e-9)
    assert np.abs(solved - pose).max() < 35


def test_the_solver_reports_what_it_cannot_reach(body):
    stretched = np.zeros((J, 3))
    touch = Touch((0, 3, .7, 0), (4, 3, .7, 0), 1.)
    _, _, miss = body.solve(stretched, POSE_LIMITS, 0 * MOBILITY, [touch])
    assert miss > 50
    _, _, miss = body.solve(stretched, POSE_LIMITS, MOBILITY, [touch], 60)
    assert miss < 5


def test_unknown_kinds_are_named(body):
    with pytest.raises(ValueError, match="'wave'"):
        sample_pose(np.random.default_rng(0), body, 'wave')


def test_a_kind_that_always_collides_is_reported(body, monkeypatch):
    monkeypatch.setattr(HandBody, 'solve', lambda self, pose, *args, **kwargs:
                        (pose, 9., 0.))
    with pytest.raises(RuntimeError, match="'fist'.*3 tries"):
        sample_pose(np.random.default_rng(0), body, 'fist', max_tries=3)


def test_the_same_seed_gives_the_same_pose(body):
    first, second = (
        sample_pose(np.random.default_rng(7), body) for _ in range(2))
    np.testing.assert_array_equal(first, second)
