"""What stands before a hand."""
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lgh_mmpose.rendering.backgrounds import Backgrounds
from lgh_mmpose.rendering.occluders import MAX_HIDDEN, sample_occluder


@pytest.fixture(scope='module')
def backgrounds():
    return Backgrounds()


def hand_mask(size=64):
    mask = np.zeros((size, size), np.uint8)
    cv2.ellipse(mask, (size // 2, size // 2), (size // 5, size // 3), 30, 0,
                360, 1, -1)
    return mask


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([12, 24, 64, 128]))
def test_occluder_hides_a_part_of_the_hand(seed, size):
    made = Backgrounds()
    mask = hand_mask(size)
    coverage, picture = sample_occluder(
        np.random.default_rng(seed), mask, made)
    assert coverage.shape == (size, size) and coverage.dtype == np.float32
    assert picture.shape == (size, size, 3) and picture.dtype == np.float32
    assert coverage.min() >= 0 and coverage.max() <= 1
    assert picture.min() >= 0 and np.isfinite(picture).all()
    assert 0 < coverage[mask > 0].mean() <= MAX_HIDDEN + 1e-6


def test_occluders_vary_in_what_they_hide(backgrounds):
    mask = hand_mask()
    shares, colors = [], []
    for i in range(100):
        coverage, picture = sample_occluder(
            np.random.default_rng(i), mask, backgrounds)
        shares.append(coverage[mask > 0].mean())
        colors.append(picture[coverage > .5].mean())
    assert np.ptp(shares) > .25 and np.std(colors) > 30


@pytest.mark.parametrize('pixels', [0, 1])
def test_hand_of_no_or_one_pixel(backgrounds, pixels):
    mask = np.zeros((32, 32), bool)
    mask[5, 5] = pixels
    for i in range(20):
        coverage, picture = sample_occluder(
            np.random.default_rng(i), mask, backgrounds)
        assert np.isfinite(coverage).all() and np.isfinite(picture).all()
        assert coverage[mask].sum() <= MAX_HIDDEN + 1e-6
        if not pixels:
            assert not coverage.any()


def test_occluder_depends_on_the_generator_only(backgrounds):
    for i in range(10):
        first, second = (
            sample_occluder(np.random.default_rng(i), hand_mask(), made)
            for made in (backgrounds, Backgrounds()))
        np.testing.assert_array_equal(first[0], second[0])
        np.testing.assert_array_equal(first[1], second[1])
