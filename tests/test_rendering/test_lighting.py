import shutil

import numpy as np
import pytest
from damaged_pictures import DAMAGES, replace_by_text

from lgh_mmpose.rendering import lighting
from lgh_mmpose.rendering.assets import asset_path
from lgh_mmpose.rendering.lighting import (load_environments, rotate_sh,
                                           sample_light, sh_basis)


def directions(rng, count=200):
    points = rng.normal(size=(count, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def rotation(rng):
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def test_rotated_light_comes_from_the_rotated_direction():
    rng = np.random.default_rng(0)
    sh, turn, n = rng.normal(size=(9, 3)), rotation(rng), directions(rng)
    np.testing.assert_allclose(
        sh_basis(n @ turn.T) @ rotate_sh(sh, turn),
        sh_basis(n) @ sh,
        atol=1e-12)


def test_environments_are_whole_and_normalised():
    environments = load_environments()
    assert len(environments) == len({e.name for e in environments}) == 26
    n = directions(np.random.default_rng(0), 20000)
    for e in environments:
        mean = (sh_basis(n) @ e.sh).mean()
        assert mean == pytest.approx(1, abs=.05), e.name
        assert np.linalg.norm(e.key_direction) == pytest.approx(1)
        assert (e.key_color >= 0).all()
        assert e.panorama.shape == (256, 512, 3)
        assert e.panorama.dtype == np.uint8


@pytest.mark.parametrize('name', ['polyhaven_sunset', 'blender_interior'])
def test_panorama_is_brightest_where_the_key_light_is(name):
    e = next(e for e in load_environments() if e.name == name)
    x, y, z = e.key_direction
    column = np.arctan2(x, z) / (2 * np.pi) % 1 * 512
    row = np.arccos(-y) / np.pi * 256
    grey = e.panorama.mean(axis=2)
    around = grey[int(row) - 6:int(row) + 7, int(column) - 6:int(column) + 7]
    assert around.max() > 240 > grey.mean() + 60


def test_light_depends_on_the_seed_only_and_turns_with_its_map():
    environments = load_environments()
    for seed in range(20):
        first, again = (
            sample_light(np.random.default_rng(seed), environments)
            for _ in range(2))
        for a, b in zip(first, again):
            np.testing.assert_array_equal(a, b)
        assert np.linalg.norm(first.key_direction) == pytest.approx(1)
        np.testing.assert_allclose(
            first.rotation @ first.rotation.T, np.eye(3), atol=1e-12)
        assert np.isfinite(first.sh).all() and first.sh[0].min() > 0


def test_plain_light_is_white_and_has_one_lamp_on_the_cameras_side():
    for seed in range(10):
        light = sample_light(
            np.random.default_rng(seed), load_environments(), plain=True)
        assert np.ptp(light.sh, axis=1).max() == 0
        assert not light.sh[1:].any()
        assert np.ptp(light.key_color) == 0 < light.key_color[0]
        assert light.key_direction[2] < 0
        assert light.environment is None


FAULTS = [('blender_city.jpg', damage) for damage in DAMAGES]


@pytest.mark.parametrize('name, damage',
                         [('lights.npz', replace_by_text), *FAULTS])
def test_damaged_file_is_named(tmp_path, monkeypatch, name, damage):
    folder = tmp_path / 'environments'
    shutil.copytree(asset_path('environments'), folder)
    damage(folder / name)
    monkeypatch.setattr(lighting, 'asset_path', lambda name: tmp_path / name)
    load = load_environments.__wrapped__
    with pytest.raises((FileNotFoundError, ValueError), match=name):
        load()
