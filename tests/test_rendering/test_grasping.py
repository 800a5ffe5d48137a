import numpy as np
import pytest
from scipy.spatial import cKDTree

from lgh_mmpose.rendering.grasping import (HOLDING, PAIR_KINDS, contacts,
                                           sample_grasp, sample_hand,
                                           sample_hand_pair)
from lgh_mmpose.rendering.hand_body import HandBody
from lgh_mmpose.rendering.hand_model import (FOREARM_PART, JOINT_NAMES,
                                             HandModel, mirror)
from lgh_mmpose.rendering.objects import OBJECTS, signed_distance
from lgh_mmpose.rendering.poses import POSE_LIMITS

J = len(JOINT_NAMES)


@pytest.fixture(scope='module')
def model():
    return HandModel()


def _grasps(model, name, count):
    rng = np.random.default_rng(0)
    for _ in range(count):
        subject = model.sample_subject(rng)
        pose, held = sample_grasp(rng, model, subject, name=name)
        yield subject, pose, held, model.deform(pose, subject).vertices


@pytest.mark.parametrize('name', OBJECTS)
def test_fingers_touch_what_they_hold_and_do_not_enter_it(model, name):
    for subject, pose, held, vertices in _grasps(model, name, 15):
        assert held.name == name
        assert (pose >= POSE_LIMITS[..., 0] - 1e-6).all()
        assert (pose <= POSE_LIMITS[..., 1] + 1e-6).all()
        hand = np.unique(model.faces[model.face_parts != FOREARM_PART])
        distance = signed_distance(vertices[hand], *held.field)
        assert distance.min() > -3.01
        gaps = contacts(model, vertices, held.field)
        assert gaps.min() == pytest.approx(distance.min(), abs=1)
        needed = 1 if name in ('small', 'pen') else 2
        assert (gaps[1:5] < 1.5).sum() >= needed
        if gaps[0] > 1.5:  # the thumb closes on the fingers
            fingers, thumb = (
                vertices[np.unique(model.faces[np.isin(model.face_parts,
                                                       parts)])]
                for parts in (range(3, 15), range(3)))
            assert cKDTree(fingers).query(thumb)[0].min() < 5
        assert HandBody(model, subject).depth(pose) < 1.5


@pytest.mark.parametrize('name', ['can', 'phone', 'cup'])
def test_the_mesh_of_a_held_object_lies_on_its_distance(model, name):
    for _, _, held, _ in _grasps(model, name, 3):
        distance = signed_distance(held.mesh.vertices, *held.field)
        assert distance.max() < 1e-6
        assert (np.abs(distance) < 1e-6).mean() > .5


def test_power_grips_rest_in_the_palm(model):
    gaps = [
        contacts(model, vertices, held.field)
        for _, _, held, vertices in _grasps(model, 'can', 10)
    ]
    assert np.median(np.array(gaps)[:, 5]) < 4


def test_grasps_differ(model):
    poses = np.stack([pose for _, pose, _, _ in _grasps(model, 'box', 6)])
    assert poses.std(axis=0).max() > 5


def test_a_third_of_hands_holds_something(model):
    rng = np.random.default_rng(0)
    held = [
        sample_hand(rng, model, model.mean_subject)[1] is not None
        for _ in range(200)
    ]
    assert np.mean(held) == pytest.approx(HOLDING, abs=.1)


def test_without_objects_no_hand_grasps(model):
    rng = np.random.default_rng(0)
    for _ in range(50):
        pose, held = sample_hand(rng, model, model.mean_subject, objects=False)
        assert held is None and pose.shape == (J, 3)


def test_the_same_seed_gives_the_same_hand(model):
    for seed in range(6):
        (first, one), (second, two) = (
            sample_hand(
                np.random.default_rng(seed), model, model.mean_subject)
            for _ in range(2))
        np.testing.assert_array_equal(first, second)
        assert (one is None) == (two is None)
        if one is not None:
            np.testing.assert_array_equal(one.mesh.vertices, two.mesh.vertices)


def test_an_unknown_thing_is_named(model):
    with pytest.raises(ValueError, match="no object 'cann'.* can, "):
        sample_grasp(
            np.random.default_rng(0), model, model.mean_subject, name='cann')


def test_what_cannot_be_held_is_reported(model):
    with pytest.raises(RuntimeError, match='No way to hold a can in 0 tries'):
        sample_grasp(
            np.random.default_rng(0),
            model,
            model.mean_subject,
            name='can',
            max_tries=0)


def _depth_between(vertices, other, faces):
    """Deepest that vertices lie below the nearest vertex's tangent plane."""
    corners = other[faces]
    normals = np.zeros_like(other)
    for i in range(3):
        np.add.at(
            normals, faces[:, i],
            np.cross(corners[:, 1] - corners[:, 0],
                     corners[:, 2] - corners[:, 0]))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    distance, nearest = cKDTree(other).query(vertices)
    depth = -((vertices - other[nearest]) * normals[nearest]).sum(axis=1)
    return depth[distance < 12].max(initial=0.), distance.min()


@pytest.mark.parametrize('kind', PAIR_KINDS)
def test_two_hands_touch_without_running_through_each_other(model, kind):
    rng = np.random.default_rng(0)
    depths = []
    for _ in range(5):
        subject = model.sample_subject(rng)
        pair = sample_hand_pair(rng, model, subject, kind)
        np.testing.assert_allclose(
            pair.rotation @ pair.rotation.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(pair.rotation) == pytest.approx(1)
        right = model.deform(pair.right, subject).vertices
        left = mirror(model.deform(pair.left, subject).vertices)
        left = left @ pair.rotation.T + pair.position
        depth, gap = _depth_between(left, right, model.faces)
        depths.append(depth)
        if kind == 'apart':
            assert gap > 0
        else:
            assert gap < 10
    assert max(depths) < 7


def test_pairs_of_hands_are_of_all_kinds():
    assert sum(PAIR_KINDS.values()) == pytest.approx(1)


def test_thick_fingers_hold_things(model):
    # sample 9641 of StudioHand with seed 0: a woman of 75, whose fingers press
    # each other where they lie side by side
    rng = np.random.default_rng(
        np.random.SeedSequence(0, spawn_key=(0, 0, 9641)))
    subject = model.sample_subject(rng)
    assert HandBody(model, subject).depth(np.zeros((26, 3))) == 0
    for name in ('can', 'stick'):
        sample_grasp(rng, model, subject, name=name, max_tries=40)
