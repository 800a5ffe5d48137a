import numpy as np
import pytest

from lgh_mmpose.rendering import accessories as module
from lgh_mmpose.rendering.accessories import Accessories, cloth_texture
from lgh_mmpose.rendering.hand_model import (FOREARM, FOREARM_PART, PALM_PART,
                                             HandModel)


@pytest.fixture(scope='module')
def model():
    return HandModel()


@pytest.fixture(scope='module')
def accessories(model):
    return Accessories(model)


def sample(accessories, model, seed, pose=None, male=0.):
    subject = model.mean_subject._replace(male=male)
    pose = np.zeros((26, 3)) if pose is None else pose
    vertices = model.deform(pose, subject).vertices
    return accessories.sample(
        np.random.default_rng(seed), subject, pose, vertices)


def is_sleeve(surface):
    return surface.relief is not None


def volume(surface):
    corners = surface.vertices[surface.faces]
    corners = corners - surface.vertices.mean(axis=0)
    return np.einsum('fi,fi->', corners[:, 0],
                     np.cross(corners[:, 1], corners[:, 2])) / 6


def test_worn_as_often_as_in_life(accessories, model):
    subject = model.mean_subject._replace(male=0.)
    pose = np.zeros((26, 3))
    vertices = model.deform(pose, subject).vertices
    rng = np.random.default_rng(0)
    worn = [
        accessories.sample(rng, subject, pose, vertices) for _ in range(300)
    ]
    sleeves = np.mean([any(map(is_sleeve, w)) for w in worn])
    rings = np.mean([any(s.parts[0] < PALM_PART for s in w) for w in worn])
    assert .37 < sleeves < .53
    assert .09 < rings < .26
    assert all(np.isfinite(s.vertices).all() for w in worn for s in w)
    # what encloses something shows its outside
    closed = [s for w in worn for s in w if s.parts.size != 128]
    assert all(volume(s) > 0 for s in closed)


@pytest.mark.parametrize('flexion', [-50., 0, 60.])
def test_forearm_lies_within_its_sleeve(accessories, model, flexion):
    """Nothing of the arm shows through, however the wrist bends."""
    pose = np.zeros((26, 3))
    pose[0, 0] = flexion
    subject = model.mean_subject
    vertices = model.deform(pose, subject).vertices
    rotations, positions = model.joint_frames(pose, subject)
    rotation, position = rotations[FOREARM], positions[FOREARM]
    part = np.zeros(len(vertices), int)
    part[model.faces.T] = model.face_parts
    arm = (vertices[part == FOREARM_PART] - position) @ rotation
    checked = 0
    for seed in range(25):
        for surface in filter(
                is_sleeve,
                accessories.sample(
                    np.random.default_rng(seed), subject, pose, vertices)):
            rows = ((surface.vertices - position) @ rotation).reshape(
                -1, 32, 3)[3:-1]
            for ring in rows[2:-1:3]:
                z = ring[:, 2].mean()
                near = arm[np.abs(arm[:, 2] - z) < 3, :2]
                centre = ring[:, :2].mean(axis=0)
                outline = ring[:, :2] - centre
                angles = np.arctan2(outline[:, 1], outline[:, 0])
                order = np.argsort(angles)
                offset = near - centre
                reach = np.interp(
                    np.arctan2(offset[:, 1], offset[:, 0]),
                    angles[order],
                    np.linalg.norm(outline, axis=1)[order],
                    period=2 * np.pi)
                assert (np.linalg.norm(offset, axis=1) < reach + .3).all()
                checked += len(near)
    assert checked > 500


@pytest.mark.parametrize('flexion', [-60., 65.])
def test_sleeves_lie_close_behind_a_bent_wrist(accessories, model, flexion):
    """Rather than stand about it as a hoop."""
    pose = np.zeros((26, 3))
    pose[0, 0] = flexion
    subject = model.mean_subject
    vertices = model.deform(pose, subject).vertices
    rotations, positions = model.joint_frames(pose, subject)
    forearm = vertices[np.unique(
        model.faces[model.face_parts == FOREARM_PART])]
    hems = []
    for seed in range(60):
        for surface in filter(is_sleeve, sample(accessories, model, seed,
                                                pose)):
            hem = surface.vertices.reshape(-1, 32, 3)[3]
            start = ((hem - positions[FOREARM]) @ rotations[FOREARM])[:, 2]
            assert start.min() > 40
            gaps = np.linalg.norm(hem[:, None] - forearm, axis=-1).min(axis=1)
            hems.append(gaps.max())
    assert len(hems) > 15
    assert np.median(hems) < 16


def test_sleeve_holds_a_bump():
    z = np.linspace(0, 60, 11)
    radii = np.full((11, 32), 20.)
    bump = np.array([[0, 26., 33.], [-40, 0, 90.]])
    module._cover(radii, z, np.zeros((11, 2)), bump)
    assert (radii[5:7, 8:10] > 26).all()
    assert (radii == 20).sum() == 11 * 32 - 4


def test_accessories_follow_the_pose(accessories, model):
    """A ring stays about its finger, a band about its wrist."""
    bent = np.zeros((26, 3))
    bent[:, 0] = 35
    for seed in range(60):
        for pose in (None, bent):
            for surface in sample(accessories, model, seed, pose):
                if is_sleeve(surface):
                    continue
                vertices = model.deform(
                    np.zeros((26, 3)) if pose is None else pose,
                    model.mean_subject).vertices
                faces = model.faces[model.face_parts == surface.parts[0]]
                skin = vertices[np.unique(faces)]
                centre = surface.vertices.mean(axis=0)
                assert np.linalg.norm(skin - centre, axis=1).min() < 40


def test_sections_follow_the_outline():
    """Of an ellipse with its centre elsewhere."""
    angle = np.linspace(0, 2 * np.pi, 80)
    points = np.stack(
        [5 + 30 * np.cos(angle), -4 + 22 * np.sin(angle), 0 * angle], 1)
    section = module.cut_limb(points, 0., 1.)
    np.testing.assert_allclose(section.centre, [5, -4], atol=.1)
    np.testing.assert_allclose(section.radii[[0, 16]], 30, rtol=.03)
    np.testing.assert_allclose(section.radii[[8, 24]], 22, rtol=.05)
    assert module.cut_limb(points, 50., 1.) is None


def test_cloth_repeats_without_a_seam():
    for seed in range(20):
        texture, relief = cloth_texture(np.random.default_rng(seed))
        assert texture.shape == (64, 64, 3) and relief.shape == (64, 64)
        assert 0 < texture.min() and texture.max() < .9
        steps = np.abs(np.diff(relief, axis=1)).max() + 1e-6
        assert np.abs(relief[:, 0] - relief[:, -1]).max() < 1.6 * steps
