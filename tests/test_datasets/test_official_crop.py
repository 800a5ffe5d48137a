"""OfficialRhdCrop against outputs of the authors' own reader."""
import cv2
import numpy as np
import pytest
from helpers import REPO_ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mmengine.config import Config
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from lgh_mmpose.codecs import Hand25DLabel
from lgh_mmpose.datasets import (OfficialRhdCrop, Rhd3DDataset,
                                 TopdownAffineCamera)
from lgh_mmpose.geometry.camera import back_project
from lgh_mmpose.rendering import write_studiohand

SHARED = REPO_ROOT.parent / 'shared'
PARITY = SHARED / 'reference' / 'parity_rhd_crop.npz'
SAMPLES = SHARED / 'samples' / 'rhd'
NUM_PARITY = 13
REAL = ('00111', '01111', '11111')  # the first three of them
RHD_ORDER = dict(from_file='configs/_base_/datasets/rhd2d.py')


@pytest.fixture(scope='module')
def parity():
    if not PARITY.is_file():
        pytest.skip('parity_rhd_crop.npz is not here')
    with np.load(PARITY) as arrays:
        return dict(arrays)


@pytest.fixture(scope='module')
def names():
    id2name = parse_pose_metainfo(RHD_ORDER)['keypoint_id2name']
    return tuple(id2name[i] for i in range(21))


def results_of(parity, i, names, img=None):
    """The input of sample i; metres, as the reference has them."""
    return dict(
        id=i,
        img=np.zeros((320, 320, 3), np.uint8) if img is None else img,
        keypoints=parity['in_uv'][i][None],
        keypoints_in_sight=parity['in_vis'][i][None] > 0,
        keypoints_cam=parity['in_xyz'][i][None],
        keypoint_names=names,
        camera_matrix=parity['in_K'][i],
        hand_side=str(parity['in_side'][i]))


# -- parity -------------------------------------------------------------------


@pytest.mark.parametrize('i', range(NUM_PARITY))
def test_parity(parity, names, i):
    out = OfficialRhdCrop((256, 256)).transform(results_of(parity, i, names))
    tolerance = dict(rtol=0, atol=1e-6)
    np.testing.assert_allclose(out['transformed_keypoints'][0],
                               parity['uv_crop'][i], **tolerance)
    # the release keeps the root's depth in the camera's corner
    camera = parity['K'][i].copy()
    camera[2, 2] = 1
    np.testing.assert_allclose(out['warp_mat'] @ out['camera_matrix'], camera,
                               **tolerance)
    np.testing.assert_allclose(out['keypoints_cam'][0], parity['xyz'][i],
                               **tolerance)
    np.testing.assert_allclose(out['bone_length'], parity['norm_scale'][i],
                               **tolerance)
    root = names.index('middle_finger1')
    np.testing.assert_allclose(
        (out['keypoints_cam'][0] - out['keypoints_cam'][0, root]) /
        out['bone_length'], parity['xyz_norm'][i], **tolerance)
    np.testing.assert_allclose(out['keypoints_cam'][0, root, 2],
                               parity['K'][i][2, 2], **tolerance)
    scale = parity['crop_scale'][i]
    np.testing.assert_allclose(out['input_scale'], 256 / scale, **tolerance)
    np.testing.assert_allclose(out['input_center'],
                               parity['x1y1'][i] + 128 / scale, **tolerance)
    assert out['flip'] == (parity['hand_side'][i] == 0)


@pytest.mark.parametrize('i', range(len(REAL)))
def test_parity_of_the_picture(parity, names, i):
    img = cv2.imread(str(SAMPLES / f'{REAL[i]}.png'))
    if img is None:
        pytest.skip('the samples of RHD are not here')
    out = OfficialRhdCrop(
        (256, 256)).transform(results_of(parity, i, names, img))
    picture = out['img'][..., ::-1].astype(np.float64) / 255
    # the reference has sums of single precision
    np.testing.assert_allclose(
        picture.mean((0, 1)), parity['img_mean'][i], atol=1e-4)
    np.testing.assert_allclose(
        picture.std((0, 1)), parity['img_std'][i], atol=1e-4)


@pytest.mark.parametrize('metainfo', [None, RHD_ORDER])
def test_parity_through_data_set_and_config(parity, metainfo):
    if not SAMPLES.is_dir():
        pytest.skip('the samples of RHD are not here')
    cfg = Config.fromfile(REPO_ROOT /
                          'configs/_base_/datasets/rhd3d_official.py')
    if metainfo is not None:
        cfg.codec.metainfo = metainfo
        for transform in cfg.train_pipeline:
            if transform.type == 'GenerateTarget':
                transform.encoder = cfg.codec
    dataset = Rhd3DDataset(
        str(SAMPLES),
        ann_file='test_rhd.json',
        metainfo=metainfo,
        pipeline=cfg.train_pipeline)
    codec = Hand25DLabel(cfg.codec.input_size, metainfo=metainfo)
    order = dataset.joint_order(
        Rhd3DDataset(
            str(SAMPLES), ann_file='test_rhd.json',
            metainfo=RHD_ORDER).keypoint_names, 'parity')
    for i in range(len(REAL)):
        sample = dataset[i]['data_samples']
        labels = sample.gt_instance_labels.keypoint_labels
        np.testing.assert_allclose(
            labels[0, :, :2], parity['uv_crop'][i][order], atol=1e-4)
        np.testing.assert_allclose(
            labels[0, :, 2], parity['xyz_norm'][i][order, 2], atol=1e-6)
        np.testing.assert_allclose(
            sample.gt_instances.keypoints_cam[0] / 1000,
            parity['xyz'][i][order],
            rtol=0,
            atol=1e-6)
        # what the head does with a perfect answer
        meta = sample.metainfo
        decoded = codec.decode(labels.numpy(), meta['warp_mat'],
                               meta['camera_matrix'], meta['bone_length'],
                               meta['root_depth'])
        np.testing.assert_allclose(
            decoded['keypoints_cam'][0] / 1000,
            parity['xyz'][i][order],
            rtol=0,
            atol=1e-6)


@pytest.mark.parametrize('i, shape, score', [
    (0, (8.17, 21.46), .62),
    (1, (4.92, 15.77), .31),
    (2, (.10, .17), .00),
])
def test_millimetres_in_the_docs(parity, names, i, shape, score):
    """What the shear does to a real hand, and to a score."""
    results = results_of(parity, i, names)
    results['keypoints_cam'] = truth = 1000 * results['keypoints_cam']
    out = OfficialRhdCrop((256, 256)).transform(results)
    official = out['keypoints_cam']
    mirrored = truth * [-1 if out['flip'] else 1, 1, 1]
    root = names.index('middle_finger1')
    distance = np.linalg.norm(
        mirrored - mirrored[:, [root]] - official + official[:, [root]],
        axis=-1)
    assert (distance.mean(), distance.max()) == pytest.approx(shape, abs=.005)

    # a network that is perfect in exact geometry, scored by the release
    codec = Hand25DLabel((256, 256), metainfo=RHD_ORDER)
    answer = codec.encode(out['transformed_keypoints'], None, truth)
    decoded = codec.decode(answer['keypoint_labels'], out['warp_mat'],
                           out['camera_matrix'], out['bone_length'],
                           truth[0, root, 2])
    error = np.linalg.norm(decoded['keypoints_cam'] - official, axis=-1)
    assert error.mean() == pytest.approx(score, abs=.005)


# -- what the release does ----------------------------------------------------


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Left and right hands of 320 px in RHD's layout, read only."""
    out = tmp_path_factory.mktemp('rhd') / 'data'
    write_studiohand(out, num_train=3, num_eval=1, quiet=True, layout='rhd')
    return out


def crops(root, **kwargs):
    dataset = Rhd3DDataset(
        str(root),
        both_hands=True,
        min_joints_in_sight=1,
        pipeline=[
            dict(type='LoadImage'),
            dict(type='OfficialRhdCrop', input_size=(256, 256))
        ],
        **kwargs)
    return dataset, [dataset[i] for i in range(len(dataset))]


def test_left_hands_are_sheared_and_right_ones_are_not(root):
    dataset, outs = crops(root)
    sides = set()
    for i, out in enumerate(outs):
        truth = dataset.get_data_info(i)
        xyz, z = truth['keypoints_cam'], truth['keypoints_cam'][..., 2]
        if out['hand_side'] == 'right':
            expected = xyz
        else:
            scale = 256 / out['input_scale'][0]
            corner = out['input_center'][0] - out['input_scale'][0] / 2
            camera = truth['camera_matrix']
            u0 = scale * (camera[0, 2] - corner)
            expected = xyz * [-1, 1, 1]
            expected[..., 0] += z * (255 - 2 * u0) / (scale * camera[0, 0])
        np.testing.assert_allclose(out['keypoints_cam'], expected, atol=1e-3)
        assert out['root_depth'] == truth['root_depth']
        sides.add(out['hand_side'])
    assert sides == {'left', 'right'}


def test_annotations_are_not_changed(root):
    dataset, outs = crops(root)
    for i, out in enumerate(outs):
        again = dataset[i]
        for key in ('img', 'keypoints_cam', 'camera_matrix',
                    'transformed_keypoints'):
            np.testing.assert_array_equal(out[key], again[key])


def test_picture_shows_what_the_warp_says(root):
    """Up to the half pixel by which the release's picture is off."""
    dataset, outs = crops(root)
    for i, out in enumerate(outs):
        record = dataset.get_data_info(i)
        warped = cv2.warpAffine(
            cv2.imread(record['img_path']), out['warp_mat'][:2], (256, 256))
        difference = np.abs(out['img'].astype(float) - warped)
        other = np.abs(out['img'][:, ::-1].astype(float) - warped)
        assert difference.mean() < .5 * other.mean()
        np.testing.assert_allclose(
            back_project(out['keypoints'], out['keypoints_cam'][..., 2],
                         out['camera_matrix']), out['keypoints_cam'])


def test_exact_crop_mirrors_rigidly(root):
    """The default: distances within a left hand are those of the file."""
    exact = TopdownAffineCamera((256, 256))
    assert not isinstance(exact, OfficialRhdCrop)
    cfg = Config.fromfile(REPO_ROOT / 'configs/_base_/datasets/rhd3d.py')
    types = [t['type'] for t in cfg.val_pipeline]
    assert 'OfficialRhdCrop' not in types and 'CanonicalizeHandSide' in types
    dataset = Rhd3DDataset(
        str(root),
        both_hands=True,
        min_joints_in_sight=1,
        pipeline=cfg.val_pipeline)
    for i in range(len(dataset)):
        np.testing.assert_array_equal(
            dataset[i]['data_samples'].gt_instances.keypoints_cam,
            dataset.get_data_info(i)['keypoints_cam'])


points = hnp.arrays(
    float, (21, 2), elements=st.floats(-400, 700, allow_nan=False))


@settings(deadline=None)
@given(
    keypoints=points,
    in_sight=hnp.arrays(bool, 21),
    root=st.integers(min_value=0, max_value=20))
def test_square_lies_inside_the_image(keypoints, in_sight, root):
    corner, size = OfficialRhdCrop(
        (256, 256)).crop_square(keypoints, in_sight, keypoints[root])
    assert 30 <= size <= 280
    assert (corner >= 10).all() and (corner + int(size) <= 310).all()
    assert (corner == corner.astype(int)).all()


@settings(deadline=None)
@given(st.floats(30, 230), st.floats(60, 260), st.floats(60, 260))
def test_square_of_a_centred_hand_by_hand(reach, u, v):
    """1.2 times twice the way from the root to the farthest side."""
    reach = min(reach, (u - 11) / .6, (309 - u) / .6, (v - 11) / .6,
                (309 - v) / .6)
    keypoints = np.tile([u, v], (21, 1))
    keypoints[0] -= reach / 2
    keypoints[1] += reach / 2
    corner, size = OfficialRhdCrop(
        (256, 256)).crop_square(keypoints, np.ones(21, bool), np.array([u, v]))
    assert size == pytest.approx(max(1.2 * reach, 30))
    cut = np.array([u, v]) - max(.6 * reach, 18) - corner
    assert (cut > -1e-6).all() and (cut < 1 + 1e-6).all()


# -- bad input ----------------------------------------------------------------


def test_input_must_be_square():
    with pytest.raises(ValueError, match=r'square .* got \(256, 192\)'):
        OfficialRhdCrop((256, 192))


@pytest.mark.parametrize('key', [
    'keypoints', 'keypoints_in_sight', 'keypoints_cam', 'keypoint_names',
    'camera_matrix'
])
def test_missing_key_is_named(names, key):
    results = dict(
        id=7,
        img_path='a.png',
        img=np.zeros((320, 320, 3), np.uint8),
        keypoints=np.full((1, 21, 2), 100.),
        keypoints_in_sight=np.ones((1, 21), bool),
        keypoints_cam=np.ones((1, 21, 3)),
        keypoint_names=names,
        camera_matrix=np.eye(3),
        hand_side='left')
    del results[key]
    with pytest.raises(ValueError, match=f'sample 7 .*needs {key}, as'):
        OfficialRhdCrop((256, 256)).transform(results)


def test_image_of_another_size(root, tmp_path):
    out = tmp_path / 'small'
    write_studiohand(
        out, num_train=1, num_eval=1, size=64, quiet=True, layout='rhd')
    with pytest.raises(ValueError, match=r'320 x 320 px, got \(64, 64\)'):
        crops(out)
