from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lgh_mmpose.rendering import hand_model
from lgh_mmpose.rendering.hand_model import (FINGER_JOINTS, FOREARM,
                                             FOREARM_PART, JOINT_INDEX,
                                             JOINT_NAMES, PALM_PART, WRIST,
                                             HandModel, hand_length, mirror)

J = len(JOINT_NAMES)
TIPS = [4, 8, 12, 16, 20]
FINGERS = FINGER_JOINTS[1:]


@pytest.fixture(scope='module')
def model():
    return HandModel()


def pose_of(joints):
    """A pose from {joint: flexion or (flexion, abduction, twist)}."""
    pose = np.zeros((J, 3))
    for name, angles in joints.items():
        pose[JOINT_INDEX[name], :np.size(angles)] = angles
    return pose


def bent(mcp, pip, dip, fingers=FINGERS):
    return pose_of({
        name: angle
        for joints in fingers
        for name, angle in zip(joints[1:4], (mcp, pip, dip))
    })


def volume(vertices, faces):
    corners = vertices[faces].astype(float)
    return np.einsum('fi,fi->', corners[:, 0],
                     np.cross(corners[:, 1], corners[:, 2])) / 6


def finger_volume(model, vertices, f):
    """Volume of a finger, closed at its base."""
    faces = model.faces[model.face_parts // 3 == f]
    edges = {(face[i], face[(i + 1) % 3])
             for face in faces.tolist()
             for i in range(3)}
    rim = [a for a, b in edges if (b, a) not in edges]
    return volume(vertices - vertices[rim].mean(axis=0), faces)


def inside(point, triangles):
    """Whether a ray from the point leaves the mesh once more than it enters
    it."""
    a, b, c = (triangles - point).astype(float).transpose(1, 0, 2)
    # the solid angle of the whole surface (van Oosterom and Strackee)
    la, lb, lc = (np.linalg.norm(x, axis=1) for x in (a, b, c))
    numerator = np.einsum('fi,fi->f', a, np.cross(b, c))
    denominator = (
        la * lb * lc + (a * b).sum(1) * lc + (b * c).sum(1) * la +
        (c * a).sum(1) * lb)
    return np.arctan2(numerator, denominator).sum() > np.pi


def sample(model, seed):
    return model.sample_subject(np.random.default_rng(seed))


def random_pose(seed, scale=1.):
    rng = np.random.default_rng(seed)
    pose = np.zeros((J, 3))
    for joints in FINGERS:
        mcp, pip, dip = [JOINT_INDEX[name] for name in joints[1:4]]
        pose[[mcp, pip, dip], 0] = rng.uniform(0, (90, 105, 70)) * scale
        pose[mcp, 1] = rng.uniform(-10, 10)
    thumb = [JOINT_INDEX[name] for name in FINGER_JOINTS[0][:3]]
    pose[thumb, 0] = rng.uniform(0, (30, 40, 60)) * scale
    pose[WRIST] = rng.uniform(-40, 40), rng.uniform(-15, 15), 0
    return pose


def test_surface_is_closed_and_oriented(model):
    edges = Counter((face[i], face[(i + 1) % 3])
                    for face in model.faces.tolist() for i in range(3))
    assert set(edges.values()) == {1}
    assert all((b, a) in edges for a, b in edges)
    assert volume(model.mean_subject.vertices, model.faces) > 0


def test_arrays_fit_together(model):
    subject = model.mean_subject
    count = len(subject.vertices)
    assert subject.vertices.dtype == subject.joints.dtype == np.float32
    assert subject.joints.shape == (J, 3)
    assert np.array_equal(np.unique(model.faces), np.arange(count))
    assert model.texture_faces.shape == model.faces.shape
    assert np.array_equal(
        np.unique(model.texture_faces),
        np.arange(len(model.texture_coordinates)))
    assert 0 <= model.texture_coordinates.min()
    assert model.texture_coordinates.max() <= 1
    assert set(model.face_parts.tolist()) == set(range(17))


def test_hand_frame(model):
    """-z towards the fingers, -x towards the thumb, palm towards -y."""
    subject = model.mean_subject
    keypoints = model.deform(np.zeros((J, 3)), subject).keypoints
    np.testing.assert_array_equal(subject.joints[WRIST], 0)
    assert keypoints[12, 2] < -150
    assert keypoints[4, 0] < -40
    assert keypoints[5, 0] < keypoints[9, 0] < keypoints[13, 0] < keypoints[17,
                                                                            0]
    assert model.deform(bent(60, 60, 40), subject).keypoints[TIPS[1:],
                                                             1].max() < -30
    assert subject.vertices[:, 2].max() > 200  # the forearm


def test_rest_pose_returns_the_mesh(model):
    for seed in range(5):
        subject = sample(model, seed)
        rest = model.rest_pose(subject)
        vertices = model.deform(rest, subject).vertices
        np.testing.assert_allclose(vertices, subject.vertices, atol=.01)
        assert np.abs(rest).max() < 40


def test_zero_is_the_straight_finger(model):
    for seed in range(5):
        _, position = model.joint_frames(np.zeros((J, 3)), sample(model, seed))
        for joints in FINGERS:
            chain = position[[JOINT_INDEX[name] for name in joints]]
            bones = np.diff(chain, axis=0)
            bones /= np.linalg.norm(bones, axis=1, keepdims=True)
            np.testing.assert_allclose(bones - bones[0], 0, atol=1e-5)


def test_frames_follow_the_bones(model):
    subject = sample(model, 1)
    rotation, position = model.joint_frames(random_pose(2), subject)
    np.testing.assert_allclose(
        rotation @ rotation.transpose(0, 2, 1),
        np.broadcast_to(np.eye(3), (J, 3, 3)),
        atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(rotation), 1)
    for joints in FINGER_JOINTS:
        for a, b in zip(joints, joints[1:]):
            a, b = JOINT_INDEX[a], JOINT_INDEX[b]
            bone = position[b] - position[a]
            np.testing.assert_allclose(
                bone / np.linalg.norm(bone), -rotation[a, :, 2], atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([name for joints in FINGERS for name in joints[1:4]]),
    st.floats(0, 100), st.integers(0, 20))
def test_flexion_is_the_angle_between_bones(model, joint, flexion, seed):
    subject = sample(model, seed)
    _, position = model.joint_frames(pose_of({joint: flexion}), subject)
    j = JOINT_INDEX[joint]
    before, after = position[j] - position[j - 1], position[j +
                                                            1] - position[j]
    cosine = before @ after / np.linalg.norm(before) / np.linalg.norm(after)
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))) == pytest.approx(
        flexion, abs=.05)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 100), st.integers(0, 100))
def test_bones_keep_their_length(model, subject_seed, pose_seed):
    subject = sample(model, subject_seed)
    parents = hand_model.PARENTS
    _, position = model.joint_frames(random_pose(pose_seed), subject)
    np.testing.assert_allclose(
        np.linalg.norm(position - position[parents], axis=1),
        np.linalg.norm(subject.joints - subject.joints[parents], axis=1),
        atol=1e-3)


@pytest.mark.parametrize('joint', [joints[1] for joints in FINGERS])
def test_abduction_turns_towards_the_thumb(model, joint):
    subject = model.mean_subject
    j = JOINT_INDEX[joint] + 3
    zero, abducted = [
        model.joint_frames(pose_of({joint: (0, angle, 0)}), subject)[1][j]
        for angle in (0, 15)
    ]
    assert abducted[0] < zero[0] - 10


def test_wrist_moves_the_forearm(model):
    subject = model.mean_subject
    zero = model.deform(np.zeros((J, 3)), subject)
    # The palm turns towards the forearm, that is, the arm towards the palm.
    flexed = model.deform(pose_of({'wrist': 40}), subject)
    arm = np.unique(model.faces[model.face_parts == FOREARM_PART])
    end = arm[subject.vertices[arm, 2] > 150]
    assert (flexed.vertices[end, 1] < zero.vertices[end, 1] - 50).all()
    np.testing.assert_allclose(flexed.keypoints, zero.keypoints, atol=1e-3)
    assert FOREARM == J - 1


@pytest.mark.parametrize('seed', range(4))
def test_a_fist_closes_into_the_palm(model, seed):
    """Each finger, bent fully by itself, ends on the palm below its knuckle,
    and together they draw together."""
    subject = sample(model, seed)
    size = hand_length(subject.joints)
    zero = model.deform(np.zeros((J, 3)), subject).keypoints
    keypoints = model.deform(bent(75, 95, 50), subject).keypoints
    knuckles, tips = keypoints[5:20:4], keypoints[8:21:4]
    assert (np.abs(tips[:, 0] - knuckles[:, 0]) < .08 * size).all()
    assert (tips[:, 2] > knuckles[:, 2] + .1 * size).all()  # towards the wrist
    assert (tips[:, 2] < -.15 * size).all()
    assert (tips[:, 1] < knuckles[:, 1]).all()  # palmar
    # from the index to the little finger, at the tips
    spread = np.linalg.norm(tips[3] - tips[0])
    assert spread < 1.02 * np.linalg.norm(knuckles[3] - knuckles[0])
    assert spread < .75 * np.linalg.norm(zero[20] - zero[8])


def test_bent_fingers_keep_their_volume(model):
    subject = model.mean_subject
    straight = model.deform(np.zeros((J, 3)), subject).vertices
    for angles in ((0, 100, 0), (0, 0, 80), (0, 100, 65)):
        vertices = model.deform(bent(*angles), subject).vertices
        for f in range(1, 5):
            assert finger_volume(model, vertices, f) == pytest.approx(
                finger_volume(model, straight, f), rel=.06)


@pytest.mark.parametrize('angles', [(90, 0, 0), (0, 100, 0), (85, 100, 65)])
def test_bent_hand_loses_less_than_by_linear_blending(model, angles):
    """A vertex that is its own centre of rotation is blended linearly."""
    subject = model.mean_subject
    linear = subject._replace(centres=subject.vertices)
    straight, bend = np.zeros((J, 3)), bent(*angles)

    def loss(person):
        before, after = [
            volume(model.deform(pose, person).vertices, model.faces)
            for pose in (straight, bend)
        ]
        return before - after

    assert 0 < loss(subject) < .75 * loss(linear)


def test_bones_stay_inside_the_flesh(model):
    for seed in range(3):
        subject = sample(model, seed)
        for pose in (np.zeros((J, 3)), bent(0, 90, 60), bent(70, 0, 0)):
            _, position = model.joint_frames(pose, subject)
            triangles = model.deform(pose, subject).vertices[model.faces]
            for joints in FINGER_JOINTS:
                chain = [JOINT_INDEX[name] for name in joints]
                for a, b in zip(chain, chain[1:-1]):
                    for t in (0, .5):
                        point = position[a] + t * (position[b] - position[a])
                        assert inside(point, triangles), (joints, a, t)


def test_dorsal_skin_stays_on_the_back_of_a_bent_finger(model):
    """No vertex of the inside of a finger passes through to its outside."""
    subject = model.mean_subject
    flat, flat_position = model.joint_frames(np.zeros((J, 3)), subject)
    rest = model.deform(np.zeros((J, 3)), subject).vertices
    pose = bent(0, 100, 60)
    rotation, position = model.joint_frames(pose, subject)
    posed = model.deform(pose, subject).vertices
    for f, joints in enumerate(FINGERS, start=1):
        own = np.unique(model.faces[model.face_parts // 3 == f])
        for name in joints[1:4]:
            j = JOINT_INDEX[name]
            length = np.linalg.norm(flat_position[j + 1] - flat_position[j])
            local = (rest[own] - flat_position[j]) @ flat[j]
            # around the middle of each bone, off its sides
            core = (local[:, 2] < -.3 * length) & (local[:, 2] > -.7 * length)
            core &= np.abs(local[:, 1]) > 3
            assert core.sum() > 5
            moved = (posed[own] - position[j]) @ rotation[j]
            assert (np.sign(moved[core, 1]) == np.sign(local[core, 1])).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 1000))
def test_finger_tips_lie_on_the_skin(model, subject_seed, pose_seed):
    subject = sample(model, subject_seed)
    geometry = model.deform(random_pose(pose_seed), subject)
    for tip in TIPS:
        distance = np.linalg.norm(
            geometry.vertices - geometry.keypoints[tip], axis=1)
        assert distance.min() < 3


def test_subjects_look_like_people(model):
    rng = np.random.default_rng(0)
    subjects = [model.sample_subject(rng) for _ in range(400)]
    length = np.array([hand_length(s.joints) for s in subjects])
    male = np.array([s.male for s in subjects])
    age = np.array([s.age for s in subjects])
    assert 0 <= male.min() and male.max() <= 1
    assert 12 <= age.min() and age.max() <= 80
    adult = age > 18
    # measured people's means, give or take three standard errors and those
    # between the sexes
    assert length[adult & (male > .85)].mean() == pytest.approx(190, abs=3)
    assert length[adult & (male < .15)].mean() == pytest.approx(177, abs=3)
    assert length[adult].std() == pytest.approx(11.5, abs=2)
    assert length[age < 14].mean() < 178
    # men's and women's hands, young and old, all occur
    for mask in (male > .8, male < .2, age < 18, age > 60):
        assert mask.mean() > .05


def test_subjects_differ_in_shape(model):
    rng = np.random.default_rng(0)
    shapes = []
    for _ in range(50):
        subject = model.sample_subject(rng)
        shapes.append(subject.vertices / hand_length(subject.joints))
    hand = np.array(shapes)[:, model.mean_subject.vertices[:, 2] < 0]
    assert hand.std(axis=0).max() > .01
    assert (np.linalg.norm(np.diff(hand, axis=0), axis=(1, 2)) > 1e-3).all()


def test_fingers_have_lengths_of_their_own(model):
    """The ratio of index and ring finger deviates by .03 among people; what
    the bodies say of it comes on top."""
    rng = np.random.default_rng(0)
    lengths = []
    for _ in range(200):
        joints = model.sample_subject(rng).joints
        lengths.append([
            np.linalg.norm(
                np.diff(joints[[JOINT_INDEX[j] for j in chain[1:]]], axis=0),
                axis=1).sum() for chain in FINGERS
        ])
    index, middle, ring, little = np.transpose(lengths)
    for a, b in ((index, ring), (middle, ring), (ring, little)):
        ratio = a / b
        assert .025 < ratio.std() / ratio.mean() < .08


def test_subjects_depend_on_the_generator_alone(model):
    a, b = sample(model, 7), sample(HandModel(), 7)
    for x, y in zip(a, b):
        np.testing.assert_array_equal(x, y)
    assert not np.array_equal(a.vertices, sample(model, 8).vertices)


def test_subjects_do_not_depend_on_the_kernels_of_blas(model):
    """Their numbers are added up one after the other."""
    rng = np.random.default_rng(0)
    coefficients = rng.normal(size=len(model._components)).astype(np.float32)
    expected = model._mean.copy()
    for share, component in zip(coefficients, model._components):
        expected += share * component
    subject = model._subject(coefficients, 0, 30)
    found = np.concatenate([subject.vertices, subject.joints]).ravel()
    np.testing.assert_array_equal(found, expected[:len(found)])


def test_scaled_subjects_deform_alike(model):
    subject = model.mean_subject
    twice = subject._replace(
        vertices=2 * subject.vertices,
        joints=2 * subject.joints,
        centres=2 * subject.centres)
    pose = random_pose(3)
    one, two = model.deform(pose, subject), model.deform(pose, twice)
    np.testing.assert_allclose(two.vertices, 2 * one.vertices, atol=1e-2)
    np.testing.assert_allclose(two.keypoints, 2 * one.keypoints, atol=1e-2)


def test_deform_leaves_its_arguments_alone(model):
    subject, pose = model.mean_subject, random_pose(1)
    before = subject.vertices.copy(), pose.copy()
    model.deform(pose, subject)
    np.testing.assert_array_equal(subject.vertices, before[0])
    np.testing.assert_array_equal(pose, before[1])


def test_face_parts_follow_the_fingers(model):
    centres = model.mean_subject.vertices[model.faces].mean(axis=1)
    for f in range(5):
        tip, middle, base = [
            np.linalg.norm(centres[model.face_parts == 3 * f + i], axis=1)
            for i in range(3)
        ]
        assert tip.mean() > middle.mean() > base.mean()
    palm = centres[model.face_parts == PALM_PART]
    arm = centres[model.face_parts == FOREARM_PART]
    assert palm[:, 2].mean() < arm[:, 2].mean()


def test_key_points_agree_with_freihand(model):
    """Bones over the stretched middle finger and its metacarpal, in percent:
    means of FreiHAND's hands, see docs/rendered_hands/key_points.md."""
    freihand = np.array([[21.8, 17.5, 15.4, 19.9], [51.6, 18.9, 12.7, 14.3],
                         [53.9, 18.0, 13.2, 14.9], [48.8, 16.4, 14.1, 14.4],
                         [46.4, 12.0, 10.8, 11.5]])
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(50):
        keypoints = model.deform(np.zeros((J, 3)),
                                 model.sample_subject(rng)).keypoints
        fingers = np.concatenate(
            [np.zeros((5, 1, 3)), keypoints[1:].reshape(5, 4, 3)], axis=1)
        bones = np.linalg.norm(np.diff(fingers, axis=1), axis=2)
        ratios.append(100 * bones / bones[2].sum())
    np.testing.assert_allclose(np.mean(ratios, axis=0), freihand, atol=2)


def test_mirror():
    points = np.arange(6, dtype=np.float32).reshape(2, 3)
    mirrored = mirror(points)
    assert mirrored.dtype == np.float32
    np.testing.assert_array_equal(mirrored, [[0, 1, 2], [-3, 4, 5]])
