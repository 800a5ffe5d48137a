"""Camera effects and occluders."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lgh_mmpose.rendering import camera_effects
from lgh_mmpose.rendering.camera_effects import apply_camera


def scene(size=64):
    """A colourful picture with edges, float32."""
    rng = np.random.default_rng(0)
    picture = np.repeat(
        np.repeat(rng.uniform(20, 230, (8, 8, 3)), size // 8, 0), size // 8, 1)
    return picture.astype(np.float32)


def taken(count=200, size=64):
    picture = scene(size)
    return np.stack([
        apply_camera(np.random.default_rng([2, i]), picture)
        for i in range(count)
    ])


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from([17, 64, 128]),
    st.sampled_from([-40., 0., 128., 255., 700.]))
def test_camera_gives_bytes(seed, size, level):
    picture = np.full((size, size, 3), level, np.float32)
    before = picture.copy()
    rng = np.random.default_rng(seed)
    out = apply_camera(rng, picture)
    assert out.shape == picture.shape and out.dtype == np.uint8
    assert out.flags.c_contiguous
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(
        out, apply_camera(np.random.default_rng(seed), picture))


def test_a_third_of_the_pictures_is_nearly_clean_and_few_are_ruined():
    picture = scene()
    # up to a gain and an offset of all
    errors = []
    for image in taken():
        x, y = picture.ravel(), image.ravel().astype(np.float64)
        fit = np.polyval(np.polyfit(x, y, 1), x)
        errors.append(np.abs(fit - y).mean() / max(fit.std(), 1))
    errors = np.array(errors)
    assert .2 < (errors < .15).mean() < .8
    assert (errors > .6).mean() < .12


def test_some_pictures_are_grey():
    grey = [
        np.abs(np.ptp(image.astype(int), axis=2)).max() < 40
        and np.ptp(image.astype(int), axis=2).mean() < 12 for image in taken()
    ]
    assert .005 < np.mean(grey) < .12


def test_exposure_and_white_balance_vary():
    means = taken().mean((1, 2))
    brightness = means.mean(axis=1)
    assert brightness.min() < 80 and brightness.max() > 170
    warmth = np.log(means[:, 0] / means[:, 2])
    assert warmth.std() > .05


def test_developing_with_neutral_settings_changes_nothing():
    picture = scene()
    curve = np.linspace(0, 510, 512).astype(np.float32)
    out = camera_effects._develop(picture, np.eye(3, dtype=np.float32), curve,
                                  np.float32(0))
    np.testing.assert_allclose(out, picture, atol=.01)


def test_vignetting_darkens_the_corners_by_its_amount():
    picture = np.full((65, 65, 3), 200, np.float32)
    curve = np.linspace(0, 510, 512).astype(np.float32)
    out = camera_effects._develop(picture, np.eye(3, dtype=np.float32), curve,
                                  np.float32(.4))
    assert out[32, 32, 0] == pytest.approx(200, abs=.1)
    assert out[0, 0, 0] == pytest.approx(120, abs=4)


@given(st.integers(0, 10**6), st.sampled_from([0., .5, 1.]))
@settings(max_examples=30, deadline=None)
def test_tone_curves_keep_the_order_of_brightness(seed, fault):
    curve = camera_effects._sample_curve(np.random.default_rng(seed), fault)
    assert (np.diff(curve) >= 0).all()
    assert 0 <= curve.min() and curve.max() <= 255


@pytest.mark.parametrize('angle', np.linspace(0, np.pi, 7))
@pytest.mark.parametrize('length', [3, 5, 9])
def test_motion_blur_keeps_brightness_and_place(length, angle):
    kernel = camera_effects._motion_kernel(length, angle)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    y, x = np.mgrid[:length, :length] - length // 2
    assert abs((kernel * x).sum()) < .2 and abs((kernel * y).sum()) < .2
    if length > 3:  # along the line it is spread, across it not
        along = np.cos(angle) * x + np.sin(angle) * y
        across = np.cos(angle) * y - np.sin(angle) * x
        assert (kernel * along**2).sum() > 3 * (kernel * across**2).sum()


@pytest.mark.parametrize('radius', [.4, 1., 2.7])
def test_disc_keeps_brightness_and_is_round(radius):
    kernel = camera_effects._disc_kernel(radius)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(kernel, kernel.T)
    np.testing.assert_allclose(kernel, kernel[::-1])


@pytest.mark.parametrize('seed', range(6))
def test_noise_is_as_strong_as_said_in_middle_grey(seed):
    picture = np.full((160, 160, 3), 128, np.float32)
    camera_effects._add_noise(np.random.default_rng(seed), picture, 4.)
    assert picture.mean() == pytest.approx(128, abs=1)
    assert picture.std() == pytest.approx(4, rel=.15)


def test_noise_covers_pictures_larger_than_its_tile():
    picture = np.full((1100, 1100, 3), 128, np.float32)
    camera_effects._add_noise(np.random.default_rng(0), picture, 4.)
    assert picture.std() == pytest.approx(4, rel=.1)


def test_light_brings_noise():
    deviation = camera_effects._noise_of_level(1, .02)
    assert deviation[128] == pytest.approx(1, rel=.02)
    assert deviation.min() > .2 and deviation.max() < 4


@pytest.mark.parametrize('level, spread', [(20., 10), (205., 20)])
def test_pictures_show_their_subject(level, spread):
    """Neither black, nor burnt out, nor without contrast."""
    noise = np.random.default_rng(0).normal(0, spread, (8, 8, 3))
    image = level + np.repeat(np.repeat(noise, 4, 0), 4, 1)
    subject = np.zeros((32, 32), bool)
    subject[8:24, 8:24] = True
    lost = {'any': 0, 'subject': 0}
    for seed in range(300):
        for name, mask in (('any', None), ('subject', subject)):
            grey = apply_camera(
                np.random.default_rng(seed), image.astype(np.float32),
                mask)[subject].mean(axis=1)
            exposed = (grey >= 8) & (grey <= 245)
            lost[name] += exposed.mean() < .5 or grey.std() < spread / 5
    assert lost['subject'] <= 2
    assert lost['any'] > 5 * lost['subject'] + 2
