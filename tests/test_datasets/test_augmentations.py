"""Augmentation of crops: known answers, and the same ones for a seed."""
import errno
import os

import cv2
import numpy as np
import pytest
import torch
from helpers import REPO_ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from mmpose.registry import DATASETS, TRANSFORMS

from lgh_mmpose.config import set_data_root
from lgh_mmpose.datasets import (ExchangeAmplitudeSpectrum,
                                 RandomCameraEffects, RandomErasing)
from lgh_mmpose.datasets.augmentations import (add_noise, lower_resolution,
                                               mix_amplitudes, motion_kernel,
                                               random_tone_curve, spectrum)
from lgh_mmpose.inference.images import ImageError

EFFECTS = ('color', 'tone', 'grey', 'blur', 'motion', 'noise',
           'low_resolution', 'jpeg')
NO_EFFECT = {f'{name}_prob': 0. for name in EFFECTS}


def picture(seed=0, size=(32, 28)):
    """Blobs of several colours, uint8 (H, W, 3)."""
    noise = np.random.default_rng(seed).integers(
        0, 256, (*size, 3), dtype=np.uint8)
    return cv2.normalize(
        cv2.GaussianBlur(noise, (0, 0), 2), None, 10, 245, cv2.NORM_MINMAX)


def only(name, **ranges):
    return RandomCameraEffects(**{**NO_EFFECT, f'{name}_prob': 1., **ranges})


ALL = dict(
    {
        f'RandomCameraEffects_{name}': lambda name=name: only(name)
        for name in EFFECTS
    }, **{
        'RandomCameraEffects': RandomCameraEffects,
        'RandomErasing': lambda: RandomErasing(1.),
        'ExchangeAmplitudeSpectrum': lambda: ExchangeAmplitudeSpectrum(1.)
    })


@pytest.mark.parametrize('name', ALL)
def test_a_seed_makes_the_same_pictures(name):
    runs = []
    for seed in (0, 0, 1):
        transform = ALL[name]()
        np.random.seed(seed)
        runs.append(
            [transform(dict(img=picture(i)))['img'] for i in range(12)])
    for img in runs[0]:
        assert img.dtype == np.uint8 and img.shape == (32, 28, 3)
        assert img.flags.c_contiguous
    np.testing.assert_array_equal(runs[0], runs[1])
    if name != 'RandomCameraEffects_grey':
        assert not np.array_equal(runs[0], runs[2])
    # they do change pictures, and not those that they are given
    assert not np.array_equal(runs[0], [picture(i) for i in range(12)])
    given_picture = picture()
    ALL[name]()(dict(img=given_picture))
    np.testing.assert_array_equal(given_picture, picture())


@pytest.mark.parametrize('transform', [
    RandomCameraEffects(**NO_EFFECT),
    RandomErasing(0.),
    ExchangeAmplitudeSpectrum(0.)
])
def test_without_a_chance_nothing_happens(transform):
    img = picture()
    assert transform(dict(img=img))['img'] is img


@pytest.mark.parametrize('config', [
    dict(type='RandomCameraEffects', blur_prob=.5),
    dict(type='RandomErasing', erase_prob=.1),
    dict(type='ExchangeAmplitudeSpectrum', prob=.1),
])
def test_they_are_built_from_a_config(config):
    assert type(TRANSFORMS.build(config)).__name__ == config['type']


def test_labels_of_a_training_stay(freihand_root):
    """In the pipeline of a config, where the docs put them."""
    cfg = Config.fromfile(REPO_ROOT / 'configs/lgh_freihand.py')
    set_data_root(cfg, str(freihand_root))
    data = cfg.train_dataloader.dataset
    place = [step['type'] for step in data.pipeline].index('GenerateTarget')
    steps = [
        dict(type='ExchangeAmplitudeSpectrum', prob=1.),
        dict(type='RandomErasing', erase_prob=1.),
        dict(type='RandomCameraEffects', jpeg_prob=1.)
    ]
    plain = DATASETS.build(data)
    data.pipeline[place:place] = steps
    augmented = DATASETS.build(data)
    for index in range(len(plain)):
        samples = []
        for dataset in (plain, augmented):
            np.random.seed(index)
            samples.append(dataset[index])
        before, after = samples
        assert after['inputs'].shape == before['inputs'].shape
        assert after['inputs'].dtype == torch.uint8
        assert (after['inputs'] != before['inputs']).any()
        labels = [s['data_samples'].gt_instance_labels for s in samples]
        for key in labels[0].keys():
            assert torch.equal(labels[0][key], labels[1][key])
        np.testing.assert_array_equal(before['data_samples'].warp_mat,
                                      after['data_samples'].warp_mat)


# -- RandomCameraEffects -----------------------------------------------------


@pytest.mark.parametrize('effect', EFFECTS)
def test_probabilities_are_kept(effect):
    transform = RandomCameraEffects(**{**NO_EFFECT, f'{effect}_prob': .3})
    np.random.seed(0)
    img = picture()
    changed = sum(
        transform(dict(img=img))['img'] is not img for _ in range(400))
    assert 80 < changed < 160


def test_colors_of_no_strength_stay():
    img = only('color', color_strength=0.)(dict(img=picture()))['img']
    np.testing.assert_array_equal(img, picture())


def test_skin_stays_skin():
    """Hues of skin lie between red and yellow, whatever the camera."""
    skin = np.full((8, 8, 3), (105, 130, 190), np.uint8)
    np.random.seed(0)
    colors = np.array([
        only('color')(dict(img=skin))['img'][0, 0] for _ in range(300)
    ]).astype(int)
    blue, green, red = colors.T
    assert (red >= green).mean() > .95 and (green >= blue).mean() > .8
    # but exposures and colours differ
    assert colors.sum(axis=1).std() > 50 and (red - blue).std() > 15


def test_grey_is_the_luma_in_all_channels():
    img = only('grey')(dict(img=picture()))['img']
    luma = cv2.cvtColor(picture(), cv2.COLOR_BGR2GRAY)
    np.testing.assert_array_equal(img, np.stack([luma] * 3, axis=-1))


@pytest.mark.parametrize('angle', [0., .4, np.pi / 2, 2.5])
def test_a_moving_point_becomes_its_way(angle):
    kernel = motion_kernel(9., angle)
    assert kernel.sum() == pytest.approx(1., abs=1e-5)
    assert kernel.min() >= 0
    half = len(kernel) // 2
    y, x = np.mgrid[-half:half + 1, -half:half + 1]
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    assert (kernel * along).sum() == pytest.approx(0, abs=1e-4)
    # an even density over the length has this deviation, and a pixel's more
    assert np.sqrt((kernel * along**2).sum()) == pytest.approx(
        9 / 12**.5, rel=.08)
    assert np.sqrt((kernel * across**2).sum()) < .55


def test_noise_has_its_deviation_and_grows_with_the_light():
    for level, share in ((0, .5), (255, 1.), (128, .79)):
        img = np.full((64, 64, 3), level, np.uint8)
        noisy = add_noise(img, 12., False, 3).astype(float)
        # half of it is cut off in black and white
        seen = noisy[noisy != level] if level in (0, 255) else noisy
        spread = np.sqrt(np.square(seen - level).mean())
        assert spread == pytest.approx(12 * share, rel=.08)
    one = add_noise(
        np.full((64, 64, 3), 128, np.uint8), 12., of_one_color=True, seed=3)
    np.testing.assert_array_equal(one[..., 0], one[..., 2])


@pytest.mark.parametrize('size', [(32, 28), (1, 5)])
def test_low_resolution_has_fewer_pixels(size):
    img = lower_resolution(picture(size=size), .25, cv2.INTER_NEAREST)
    assert img.shape == (*size, 3)
    colors = np.unique(img.reshape(-1, 3), axis=0)
    assert len(colors) <= max(1, round(size[0] / 4)) * max(
        1, round(size[1] / 4))


def test_tone_curves_are_of_all_kinds():
    np.random.seed(0)
    curves = [random_tone_curve() for _ in range(60)]
    assert all(c.shape == (256, ) and c.dtype == np.uint8 for c in curves)
    assert any(len(np.unique(c)) <= 8 for c in curves)  # posterised
    assert any(c[200] < c[60] for c in curves)  # solarised
    assert any((np.diff(c.astype(int)) >= 0).all() and len(np.unique(c)) > 50
               for c in curves)


def test_worse_jpeg_is_further_from_the_picture():
    errors = [
        np.abs(
            only('jpeg', jpeg_quality=(quality,
                                       quality))(dict(img=picture()))['img'] -
            picture().astype(int)).mean() for quality in (95, 50, 5)
    ]
    assert 0 < errors[0] < errors[1] < errors[2]


# -- RandomErasing -----------------------------------------------------------


@given(st.integers(0, 2**31 - 1), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_no_more_is_hidden_than_allowed(seed, height, width):
    np.random.seed(seed)
    img = np.full((height, width, 3), 7, np.uint8)
    erased = RandomErasing(
        1., max_patches=1, max_area_ratio=.2,
        fills=['noise'])(dict(img=img))['img']
    hidden = (erased != 7).any(axis=-1)
    # what a side of less than a pixel is rounded to
    assert hidden.sum() <= .2 * height * width + max(height, width)
    if hidden.any():
        rows, columns = np.nonzero(hidden)
        box = np.ptp(rows) + 1, np.ptp(columns) + 1
        # a rectangle, but for noise of the same colour
        assert hidden.sum() >= .9 * np.prod(box)


def test_what_is_there_instead():
    img = picture()
    for fill, known in (('color', 1), ('picture', None), ('noise', None)):
        np.random.seed(2)
        erased = RandomErasing(
            1., 1, .1, .1, fills=[fill])(dict(img=img))['img']
        changed = (erased != img).any(axis=-1)
        colors = np.unique(erased[changed], axis=0)
        if known:
            assert len(colors) == known
        before = set(map(tuple, img.reshape(-1, 3)))
        from_picture = all(tuple(color) in before for color in colors)
        assert from_picture == (fill == 'picture')


# -- ExchangeAmplitudeSpectrum -----------------------------------------------


def mixed(alpha, beta, first=0, second=1):
    own, other = spectrum(picture(first)), spectrum(picture(second))
    result = mix_amplitudes(own.copy(), np.abs(own), np.abs(other), alpha,
                            beta)
    return own, other, result


@pytest.mark.parametrize('beta', [.02, .2, .5])
@pytest.mark.parametrize('alpha', [.3, 1.])
def test_the_phase_is_kept(alpha, beta):
    own, _, result = mixed(alpha, beta)
    clear = np.abs(own) > 50
    assert clear.mean() > .3
    np.testing.assert_allclose(
        np.angle(result)[clear], np.angle(own)[clear], atol=1e-4)


def test_alpha_0_changes_nothing():
    own, _, result = mixed(0., .5)
    np.testing.assert_allclose(result, own, rtol=1e-6)
    transform = ExchangeAmplitudeSpectrum(1., alpha=(0., 0.))
    for seed in range(3):
        img = transform(dict(img=picture(seed)))['img']
        np.testing.assert_array_equal(img, picture(seed))


def test_alpha_1_has_the_amplitude_of_the_other():
    own, other, result = mixed(1., .5)
    clear = np.abs(own) > 1
    np.testing.assert_allclose(
        np.abs(result)[clear], np.abs(other)[clear], rtol=1e-4)
    half = mixed(.5, .5)[2]
    np.testing.assert_allclose(
        np.abs(half)[clear], (np.abs(own) + np.abs(other))[clear] / 2,
        rtol=1e-4)


@pytest.mark.parametrize('size', [(32, 28), (33, 29), (8, 8)])
@pytest.mark.parametrize('beta', [.01, .1, .3, .5])
def test_only_low_frequencies_are_mixed(size, beta):
    own = spectrum(picture(0, size))
    other = 2 * np.abs(own) + 10
    result = mix_amplitudes(own.copy(), np.abs(own), other, 1., beta)
    rows = np.abs(np.fft.fftfreq(size[0]))
    columns = np.fft.rfftfreq(size[1])
    low = (rows[:, None] <= beta + 1e-9) & (columns <= beta + 1e-9)
    clear = np.abs(own) > 1
    changed = np.abs(result - own) > 1e-3 * np.abs(own)
    expected = np.broadcast_to(low, own.shape)
    np.testing.assert_array_equal(changed[clear], expected[clear])


def test_the_mean_colour_of_the_other_comes_over():
    """The lowest frequency is the mean, whose phase is 0."""
    transform = ExchangeAmplitudeSpectrum(
        1., alpha=(1., 1.), beta=(1e-3, 1e-3))
    first = np.clip(picture(0) // 3 + 40, 0, 255).astype(np.uint8)
    second = np.clip(picture(1) // 3 + 100, 0, 255).astype(np.uint8)
    transform(dict(img=first))
    img = transform(dict(img=second))['img']
    np.testing.assert_allclose(
        img.mean(axis=(0, 1)), first.mean(axis=(0, 1)), atol=.5)
    difference = img.astype(int) - second
    assert (difference.max(axis=(0, 1)) - difference.min(axis=(0, 1))
            <= 1).all()


def test_the_first_picture_stays_and_the_pool_ends():
    transform = ExchangeAmplitudeSpectrum(
        1., alpha=(1., 1.), beta=(1e-3, 1e-3), pool_size=2)
    flat = [np.full((16, 16, 3), level, np.uint8) for level in range(0, 250)]
    np.testing.assert_array_equal(transform(dict(img=flat[9]))['img'], flat[9])
    for level in range(10, 250):
        img = transform(dict(img=flat[level]))['img']
        assert set(np.unique(img)) <= {level - 1, level - 2}
    # pictures of another size begin anew
    img = np.full((8, 12, 3), 5, np.uint8)
    np.testing.assert_array_equal(transform(dict(img=img))['img'], img)


def test_other_pictures_come_from_a_folder(tmp_path):
    (tmp_path / 'more').mkdir()
    cv2.imwrite(
        str(tmp_path / 'more/a.png'), np.full((9, 30, 3), 40, np.uint8))
    (tmp_path / 'notes.txt').write_text('none')
    transform = ExchangeAmplitudeSpectrum(
        1., alpha=(1., 1.), sources=str(tmp_path))
    for level in (100, 200):  # of the second it could be the first
        img = np.full((16, 16, 3), level, np.uint8)
        img = transform(dict(img=img))['img']
        assert (img == 40).all()
    (tmp_path / 'more/a.png').write_bytes(b'no picture')
    broken = ExchangeAmplitudeSpectrum(1., sources=str(tmp_path))
    with pytest.raises(ImageError, match='a.png'):
        broken(dict(img=picture()))


@pytest.mark.parametrize('sources, message',
                         [('empty', 'holds no picture'),
                          ('absent', 'there is no folder'),
                          ('file', 'file is no folder'),
                          ('locked', 'cannot read the folder .*locked/in: ')])
def test_a_folder_without_pictures_is_named(sources, message, tmp_path,
                                            monkeypatch):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'file').touch()
    inner = tmp_path / 'locked/in'
    inner.mkdir(parents=True)
    (tmp_path / 'locked/a.png').touch()

    def scan(path, scandir=os.scandir):  # root may read everything
        if str(path) == str(inner):
            raise PermissionError(errno.EACCES, 'Permission denied', path)
        return scandir(path)

    monkeypatch.setattr(os, 'scandir', scan)
    with pytest.raises(OSError, match=f'^sources: .*{message}'):
        ExchangeAmplitudeSpectrum(sources=str(tmp_path / sources))


@pytest.mark.parametrize('make, message', [
    (lambda: RandomCameraEffects(jpeg_prob=1.5), 'jpeg_prob must lie'),
    (lambda: RandomCameraEffects(blur_prob=float('nan')), 'blur_prob must'),
    (lambda: RandomCameraEffects(color_strength=-1), 'color_strength must'),
    (lambda: RandomCameraEffects(noise_std=(5, 2)), 'noise_std must be a'),
    (lambda: RandomCameraEffects(jpeg_quality=(0, 90)), 'jpeg_quality must'),
    (lambda: RandomErasing(max_patches=0), 'max_patches must be'),
    (lambda: RandomErasing(min_area_ratio=.5), 'max_area_ratio must be'),
    (lambda: RandomErasing(fills=['black']), 'must be some of .*black'),
    (lambda: ExchangeAmplitudeSpectrum(alpha=(0, 2)), 'alpha must be'),
    (lambda: ExchangeAmplitudeSpectrum(beta=(0, .5)), 'beta must be'),
    (lambda: ExchangeAmplitudeSpectrum(pool_size=0), 'pool_size must be'),
])
def test_impossible_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
