"""Stages that stand for mmpose's: the same results."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmpose.datasets.transforms import (LoadImage, PackPoseInputs,
                                        PhotometricDistortion,
                                        RandomBBoxTransform)
from mmpose.registry import TRANSFORMS
from PIL import Image

from lgh_mmpose.datasets import (FastPhotometricDistortion,
                                 FastRandomBBoxTransform, LoadHandImage,
                                 PackHandInputs, TopdownAffineCamera)
from lgh_mmpose.geometry.camera import project
from lgh_mmpose.inference.images import ImageError


@given(st.integers(0, 2**31 - 1))
@settings(max_examples=25, deadline=None)
def test_boxes_are_those_of_mmpose(seed):
    both = []
    for transform in (RandomBBoxTransform, FastRandomBBoxTransform):
        np.random.seed(seed)
        results = dict(
            bbox_center=np.array([[100., 90.], [40., 50.]], np.float32),
            bbox_scale=np.array([[80., 60.], [30., 20.]], np.float32))
        both.append(transform(.1, .5, (.7, 1.1), 1., 90., .6)(results))
    for key, expected in both[0].items():
        np.testing.assert_allclose(both[1][key], expected, rtol=1e-6)


def test_pixels_are_those_of_mmpose():
    rng = np.random.default_rng(0)
    img = rng.integers(0, 256, (24, 20, 3), dtype=np.uint8)
    seen = set()
    for seed in range(80):
        both = []
        for transform in (PhotometricDistortion, FastPhotometricDistortion):
            np.random.seed(seed)
            both.append(transform()(dict(img=img.copy()))['img'])
        np.testing.assert_array_equal(*both)
        seen.add(both[0].tobytes())
    assert len(seen) > 50  # they do distort


# -- LoadHandImage -----------------------------------------------------------


def smooth_image(width, height, dots=((.3, .4), (.7, .6))):
    """Soft dots on a slope, (height, width, 3)."""
    y, x = np.mgrid[:height, :width]
    img = np.stack([40 + 60 * x / width] * 3, axis=-1)
    for dot_x, dot_y in dots:
        distance = np.square(x - dot_x * width) + np.square(y - dot_y * height)
        img += 140 * np.exp(-distance / (.004 * width * height))[..., None]
    return img.clip(0, 255).astype(np.uint8)


def write_jpeg(path, img, orientation=None, **options):
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.fromarray(img[..., ::-1]).save(
        path, 'JPEG', quality=95, exif=exif, **options)
    return str(path)


def load(path, input_size=None, box=None):
    """Load and, with a box, crop as the pipelines do."""
    results = dict(img_path=path, id=0)
    if box is not None:
        results.update(
            bbox_center=np.array([box[:2]], np.float32),
            bbox_scale=np.array([box[2:]], np.float32))
    return LoadHandImage(input_size)(results)


def test_without_input_size_the_image_is_that_of_load_image(tmp_path):
    path = write_jpeg(tmp_path / 'a.jpg', smooth_image(48, 40))
    ours, theirs = load(path), LoadImage()(dict(img_path=path))
    np.testing.assert_array_equal(ours['img'], theirs['img'])
    assert ours['ori_shape'] == theirs['ori_shape'] == (40, 48)
    assert ours['img_shape'] == theirs['img_shape']


@pytest.mark.parametrize('box_size, size, expected', [
    (64, (320, 256), 1),
    (127, (320, 256), 1),
    (128, (320, 256), 2),
    (400, (320, 256), 4),
    (512, (320, 256), 8),
    (512, (324, 256), 4),
    (512, (322, 256), 2),
    (512, (321, 256), 1),
])
def test_reduction_leaves_a_pixel_per_pixel_of_the_input(
        box_size, size, expected, tmp_path):
    path = write_jpeg(tmp_path / 'a.jpg', smooth_image(*size))
    results = load(path, (64, 64), (160, 128, box_size, 10))
    assert results['img_reduction'] == expected
    assert results['ori_shape'] == size[::-1]
    assert results['img'].shape[:2] == tuple(n // expected for n in size[::-1])


def test_what_is_not_reduced(tmp_path):
    img = smooth_image(256, 256)
    png = str(tmp_path / 'a.png')
    cv2.imwrite(png, img)
    box = (128, 128, 256, 256)
    assert load(png, (32, 32), box)['img'].shape == (256, 256, 3)
    results = dict(img=img, bbox_scale=np.array([[256., 256.]]))
    assert LoadHandImage((32, 32))(results)['img'] is img
    assert results['img_reduction'] == 1


@pytest.mark.parametrize('orientation', [None, *range(1, 9)])
@pytest.mark.parametrize('reduction', [2, 8])
def test_reduced_images_show_the_same(orientation, reduction, tmp_path):
    """Against the whole image averaged over blocks: two grey levels."""
    path = write_jpeg(
        tmp_path / 'a.jpg',
        smooth_image(320, 256),
        orientation,
        progressive=orientation == 3)
    whole = LoadImage()(dict(img_path=path))['img']
    height, width = whole.shape[:2]
    box = (150, 120, 64 * reduction, 64 * reduction)
    results = load(path, (64, 64), box)
    assert results['img_reduction'] == reduction
    assert results['ori_shape'] == (height, width)

    results['bbox_rotation'] = np.array([35.])
    crop = TopdownAffineCamera((64, 64))(results)
    assert 'img_reduction' not in crop
    averaged = cv2.resize(
        whole, (width // reduction, height // reduction),
        interpolation=cv2.INTER_AREA)
    factor = np.diag([reduction, reduction, 1.])
    factor[:2, 2] = (reduction - 1) / 2
    expected = cv2.warpAffine(averaged, (crop['warp_mat'] @ factor)[:2],
                              (64, 64))
    difference = np.abs(crop['img'].astype(int) - expected)
    assert difference.mean() < .5 and difference.max() <= 12


@pytest.mark.parametrize('rotation', [0., 50.])
def test_joints_stay_on_their_pixels(rotation, tmp_path):
    """Also uv = K xyz, by the camera of the input."""
    camera = np.array([[500., 0., 300.], [0., 500., 250.], [0., 0., 1.]])
    joint = np.array([[12.5, 31.25, 400.]])
    pixel = project(joint, camera)
    y, x = np.mgrid[:512, :640]
    distance = np.square(x - pixel[0, 0]) + np.square(y - pixel[0, 1])
    img = np.repeat(255 * np.exp(-distance / 400)[..., None], 3, axis=-1)
    path = write_jpeg(tmp_path / 'a.jpg', img.astype(np.uint8))

    results = load(path, (64, 64), (320, 280, 300, 300))
    assert results['img_reduction'] == 4
    results.update(keypoints=pixel[None], bbox_rotation=np.array([rotation]))
    results = TopdownAffineCamera((64, 64))(results)
    np.testing.assert_allclose(
        results['transformed_keypoints'][0],
        project(joint, results['warp_mat'] @ camera),
        atol=1e-9)
    weight = results['img'][..., 0].astype(float)
    y, x = np.mgrid[:64, :64]
    centre = [(x * weight).sum(), (y * weight).sum()] / weight.sum()
    np.testing.assert_allclose(
        centre, results['transformed_keypoints'][0, 0], atol=.1)


@pytest.mark.parametrize('content, message', [
    (b'\xff\xd8 no image', 'a.jpg: the header of the JPEG is damaged; rest'),
    (b'', 'a.jpg: the file is empty; restore it'),
])
def test_files_that_do_not_decode_are_named(tmp_path, content, message):
    (tmp_path / 'a.jpg').write_bytes(content)
    with pytest.raises(ImageError, match=message):
        load(str(tmp_path / 'a.jpg'), (32, 32), (9, 9, 99, 99))
    with pytest.raises(OSError, match='b.jpg'):
        load(str(tmp_path / 'b.jpg'))


# -- PackHandInputs ----------------------------------------------------------


def sample(**changes):
    results = dict(
        img=np.arange(60, dtype=np.uint8).reshape(4, 5, 3),
        id=3,
        img_path='3.jpg',
        flip_indices=[0, 1],
        bbox=np.ones((1, 4), np.float32),
        bbox_score=np.ones(1, np.float32),
        bbox_scale=np.ones((1, 2), np.float32),
        keypoints=np.ones((1, 2, 2), np.float32),
        keypoints_visible=np.ones((1, 2), np.float32),
        keypoints_cam=np.ones((1, 2, 3)),
        keypoint_labels=np.zeros((1, 2, 3), np.float32),
        keypoint_weights=np.ones((1, 2), np.float32))
    return {**results, **changes}


def test_packs_what_mmpose_packs():
    keys = ('id', 'img_path', 'flip_indices', 'not_there')
    theirs = PackPoseInputs(meta_keys=keys)(sample())
    ours = PackHandInputs(meta_keys=keys)(sample())
    assert torch.equal(ours['inputs'], theirs['inputs'])
    assert ours['inputs'].stride() == (1, 15, 3)
    ours, theirs = ours['data_samples'], theirs['data_samples']
    assert ours.metainfo == theirs.metainfo
    for part in ('gt_instances', 'gt_instance_labels'):
        ours_part = dict(ours.get(part).items())
        theirs_part = dict(theirs.get(part).items())
        assert ours_part.keys() == theirs_part.keys() != set()
        for name, value in theirs_part.items():
            assert type(ours_part[name]) is type(value)
            assert (ours_part[name] == value).all()


def test_heat_maps_are_refused():
    with pytest.raises(ValueError, match='heatmaps.*use PackPoseInputs'):
        PackHandInputs(meta_keys=())(
            sample(field_mapping_table=dict(heatmaps='heatmaps')))


def test_transforms_are_in_mmpose_registry():
    for config in (dict(type='LoadHandImage', input_size=(96, 128)),
                   dict(type='FastRandomBBoxTransform'),
                   dict(type='FastPhotometricDistortion'),
                   dict(type='PackHandInputs', meta_keys=('id', ))):
        assert config['type'] in repr(TRANSFORMS.build(config))
