import shutil

import numpy as np
import pytest
from damaged_pictures import DAMAGES

from lgh_mmpose.rendering import skins as module
from lgh_mmpose.rendering.assets import asset_path
from lgh_mmpose.rendering.hand_model import (FINGER_JOINTS, JOINT_INDEX,
                                             HandModel)
from lgh_mmpose.rendering.rasterizer import vertex_normals
from lgh_mmpose.rendering.skins import SKINS, Skins, hand_surface


@pytest.fixture(scope='module')
def model():
    return HandModel()


@pytest.fixture(scope='module')
def skins():
    return Skins(256)


def at(texture, model, vertices):
    """Values of a texture at vertices, by one of their places each."""
    place = np.zeros((len(model.mean_subject.vertices), 2))
    place[model.faces] = model.texture_coordinates[model.texture_faces]
    x, y = (place[vertices] * texture.shape[0]).astype(int).T
    return texture[y, x]


def nail_vertices(model):
    """Vertices on the back of the last bones' ends."""
    subject = model.mean_subject
    rotations, positions = model.joint_frames(
        model.rest_pose(subject), subject)
    normals = vertex_normals(subject.vertices, model.faces)
    on_nail, on_pad = [], []
    for joints in FINGER_JOINTS:
        last, tip = (JOINT_INDEX[name] for name in joints[-2:])
        centre = positions[last] + .8 * (positions[tip] - positions[last])
        near = np.linalg.norm(subject.vertices - centre, axis=1) < 10
        up = normals @ rotations[last][:, 1]
        on_nail.append(np.flatnonzero(near & (up > .93)))
        on_pad.append(np.flatnonzero(near & (up < -.6)))
    return on_nail, on_pad


def test_nails_shine_and_pads_do_not(model, skins):
    skin = skins.sample(np.random.default_rng(0), model.mean_subject)
    for on_nail, on_pad in zip(*nail_vertices(model)):
        assert len(on_nail) and len(on_pad)
        assert np.median(at(skin.sheen, model, on_nail)) > .1
        # but for the edge that stands over
        assert np.median(at(skin.sheen, model, on_pad)) == 0


def test_skin_depends_on_the_seed_only(model, skins):
    subject = model.mean_subject
    for seed in range(5):
        first, again = (
            skins.sample(np.random.default_rng(seed), subject)
            for _ in range(2))
        for a, b in zip(first, again):
            np.testing.assert_array_equal(a, b)


def test_skins_are_those_of_people(model, skins):
    """Red, then green, then blue; from very light to very dark; palms are
    lighter than backs on dark skins."""
    subject = model.mean_subject
    normals = vertex_normals(subject.vertices, model.faces)
    inner = (np.abs(subject.vertices[:, 2] + 60) < 25) & (
        np.abs(subject.vertices[:, 0]) < 25)
    back = np.flatnonzero(inner & (normals[:, 1] > .8))
    palm = np.flatnonzero(inner & (normals[:, 1] < -.8))
    tones, palms = [], []
    for seed in range(60):
        skin = skins.sample(np.random.default_rng(seed), subject)
        assert skin.texture.dtype == np.float32
        assert 0 < skin.texture.min() and skin.texture.max() < .9
        tones.append(np.median(at(skin.texture, model, back), axis=0))
        palms.append(np.median(at(skin.texture, model, palm), axis=0))
    tones, palms = np.array(tones), np.array(palms)
    red, green, blue = tones.T
    assert (red > green).all() and (green > blue * .95).all()
    assert red.min() < .14 and red.max() > .6
    dark = red < .25
    assert dark.any() and (palms[dark, 0] > red[dark]).mean() > .8
    assert (palms[:, 0] > palms[:, 2]).all()


def test_women_wear_varnish_men_hardly(model, skins):

    def share(male):
        subject = model.mean_subject._replace(male=male)
        rng = np.random.default_rng(1)
        return np.mean(
            [skins.sample(rng, subject).sheen.max() > .66 for _ in range(150)])

    assert .06 < share(0.) < .26
    assert share(1.) < .05


def test_age_suits_the_skin(model, skins):
    """Old skins are rougher."""

    def roughness(age):
        subject = model.mean_subject._replace(age=age)
        rng = np.random.default_rng(2)
        return np.mean([
            np.abs(np.diff(skins.sample(rng, subject).relief, axis=1)).mean()
            for _ in range(40)
        ])

    assert roughness(75.) > 1.15 * roughness(22.)


def test_plain_skin_has_one_colour(skins):
    skin = skins.plain(np.random.default_rng(0))
    assert np.ptp(skin.texture, axis=(0, 1)).max() == 0
    assert skin.relief is None and skin.sheen is None
    assert skin.translucency == 0


def test_hand_surface_takes_over_the_model(model, skins):
    skin = skins.sample(np.random.default_rng(0), model.mean_subject)
    surface = hand_surface(model, model.mean_subject.vertices, skin)
    assert surface.texture is skin.texture and surface.relief is skin.relief
    assert surface.roughness == skin.roughness
    assert surface.translucency == skin.translucency
    np.testing.assert_array_equal(surface.parts, model.face_parts)


@pytest.mark.parametrize(
    'name', ['marks.png', 'detail.jpg', 'young_light_female_1.jpg'])
@pytest.mark.parametrize('damage', DAMAGES)
def test_damaged_picture_is_named(tmp_path, monkeypatch, name, damage):
    shutil.copytree(asset_path('skins'), tmp_path / 'skins')
    damage(tmp_path / 'skins' / name)
    monkeypatch.setattr(module, 'asset_path', lambda name: tmp_path / name)
    with pytest.raises((FileNotFoundError, ValueError), match=name):
        Skins(64)


def test_all_skins_are_used():
    found = {path.stem for path in asset_path('skins').glob('*_*.jpg')}
    assert found == set(SKINS) and len(SKINS) == 20
    assert sorted(SKINS) == list(SKINS)  # their order is part of the bytes
