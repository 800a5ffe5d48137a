import shutil

import numpy as np
import pytest
import scipy.io
from dataset_writers import STB_BASELINE, write_stb
from mmpose.datasets import FreiHandDataset
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS

from lgh_mmpose.datasets import Stb3DDataset
from lgh_mmpose.datasets.stb3d import load_hand_para
from lgh_mmpose.geometry.camera import project

RHD = dict(from_file='configs/_base_/datasets/rhd2d.py')


@pytest.fixture(scope='module')
def stb(tmp_path_factory):
    """Folder of two sequences and their hands; read only."""
    root = tmp_path_factory.mktemp('stb')
    return root, write_stb(root)


@pytest.fixture
def own_root(stb, tmp_path):
    """A data set that the test may break."""
    return shutil.copytree(stb[0], tmp_path / 'stb')


def build(root, **kwargs):
    kwargs.setdefault('sequences', ['B1Counting', 'B2Random'])
    return Stb3DDataset(data_root=str(root), **kwargs)


def records(dataset):
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def test_joints_in_each_cameras_frame(stb):
    root, hands = stb
    dataset = build(root, cameras=['SK_color', 'BB_left', 'BB_right'])
    assert len(dataset) == 2 * 3 * 3
    for i, record in enumerate(records(dataset)):
        sequence, camera, frame = i // 9, i // 3 % 3, i % 3
        prefix = ('BB_left', 'BB_right', 'SK_color')[camera]
        assert record['img_path'] == str(root / 'images' /
                                         ('B1Counting', 'B2Random')[sequence] /
                                         f'{prefix}_{frame}.png')
        baseline = STB_BASELINE if prefix == 'BB_right' else 0
        np.testing.assert_allclose(
            record['keypoints_cam'][0],
            hands[sequence, frame] - [baseline, 0, 0],
            atol=1e-9)
        assert record['hand_side'] == 'left'
        assert record['camera_matrix'][0, 0] == (607.92271 if prefix
                                                 == 'SK_color' else 822.79041)


def test_depth_camera_known_answer(own_root):
    # the depth camera's translation is the colour camera's origin
    path = own_root / 'labels' / 'B1Counting_SK.mat'
    joints = np.tile(
        np.array([-24.0381, -0.4563, -1.2326])[:, None, None], (1, 21, 1))
    forwards = np.array([0., 0., 500.])[:, None, None]
    scatter = np.random.default_rng(0).normal(0, 30, (3, 21, 1))
    scipy.io.savemat(path, dict(handPara=joints + forwards + scatter))
    record = build(own_root, sequences=['B1Counting']).get_data_info(0)
    distance = np.linalg.norm(record['keypoints_cam'][0, 4])
    thumb_tip = (forwards + scatter)[:, 20, 0]
    assert distance == pytest.approx(np.linalg.norm(thumb_tip))
    # the rotation is by 0.76 degrees, the one of the release inverted
    np.testing.assert_allclose(
        record['keypoints_cam'][0, 4], [
            thumb_tip[0] + 0.00301 * thumb_tip[1] + 0.01196 * thumb_tip[2],
            thumb_tip[1] - 0.00301 * thumb_tip[0] + 0.00531 * thumb_tip[2],
            thumb_tip[2] - 0.01196 * thumb_tip[0] - 0.00531 * thumb_tip[1]
        ],
        atol=0.1)


def test_published_split():
    assert Stb3DDataset.SPLITS['evaluation'] == ('B1Counting', 'B1Random')
    training = Stb3DDataset.SPLITS['training']
    assert len(training) == 10
    assert not any(name.startswith('B1') for name in training)


def test_splits_choose_their_sequences(tmp_path):
    write_stb(tmp_path, ('B1Counting', 'B1Random'), num=1)
    dataset = Stb3DDataset(data_root=str(tmp_path), split='evaluation')
    assert [r['id'] // 4500 for r in records(dataset)] == [0, 1]
    with pytest.raises(FileNotFoundError) as error:
        Stb3DDataset(data_root=str(tmp_path))
    assert 'B2Counting' in str(error.value)
    assert 'icip17_stereo_hand_pose_dataset' in str(error.value)


def test_wrist_is_extrapolated_by_the_factor(stb):
    root, hands = stb
    middle, wrist = hands[0, 0, [9, 0]]
    palm = (middle + wrist) / 2
    for factor in (2., 2.2):
        record = build(root, wrist_factor=factor).get_data_info(0)
        np.testing.assert_allclose(
            record['keypoints_cam'][0, 0],
            middle + factor * (palm - middle),
            atol=1e-9)


def palm_metainfo():
    meta = FreiHandDataset(lazy_init=True).metainfo
    names = ['palm', *list(meta['keypoint_name2id'])[1:]]
    return dict(
        dataset_name='palm',
        keypoint_info={
            i: dict(name=name, id=i, color=[0, 0, 0], type='', swap='')
            for i, name in enumerate(names)
        },
        skeleton_info={},
        joint_weights=[1.] * 21,
        sigmas=[])


def test_the_palm_is_never_called_wrist(stb):
    root, hands = stb
    with pytest.raises(ValueError, match='no joint wrist.*has palm'):
        build(root, wrist_factor=None)
    with pytest.raises(ValueError, match='no joint palm'):
        build(root, metainfo=palm_metainfo())
    dataset = build(root, wrist_factor=None, metainfo=palm_metainfo())
    record = dataset.get_data_info(0)
    assert record['keypoint_names'][0] == 'palm'
    np.testing.assert_allclose(
        record['keypoints_cam'][0, 0], (hands[0, 0, 0] + hands[0, 0, 9]) / 2,
        atol=1e-9)


def test_record_is_consistent(stb):
    record = build(stb[0]).get_data_info(4)
    joints = record['keypoints_cam'][0]
    assert record['dataset_name'] == 'stb3d'
    assert record['root_depth'] == joints[9, 2]
    assert record['bone_length'] == pytest.approx(
        np.linalg.norm(joints[9] - joints[10]))
    np.testing.assert_allclose(
        record['keypoints'][0],
        project(joints, record['camera_matrix']),
        atol=1e-3)
    np.testing.assert_allclose(
        record['bbox'][0],
        [*record['keypoints'][0].min(0), *record['keypoints'][0].max(0)])


def test_joints_come_in_the_order_of_the_metainfo(stb):
    ours = build(stb[0]).get_data_info(0)
    theirs = build(stb[0], metainfo=RHD).get_data_info(0)
    names = parse_pose_metainfo(RHD)['keypoint_id2name']
    assert theirs['keypoint_names'] == tuple(names[i] for i in range(21))
    for name in ours['keypoint_names']:
        np.testing.assert_array_equal(
            ours['keypoints_cam'][0, ours['keypoint_names'].index(name)],
            theirs['keypoints_cam'][0, theirs['keypoint_names'].index(name)])
    assert ours['root_depth'] == theirs['root_depth']
    assert ours['bone_length'] == theirs['bone_length']


@pytest.mark.parametrize('options, message', [
    (dict(split='val'), 'split must be'),
    (dict(sequences=['B7Random']), 'sequences must be a list of'),
    (dict(sequences='B1Random'), 'sequences must be a list of'),
    (dict(cameras=['SK_depth']), 'cameras must be a list of'),
    (dict(cameras=[]), 'cameras must be a list of'),
])
def test_bad_choices(stb, options, message):
    with pytest.raises(ValueError, match=message):
        build(stb[0], **options)


@pytest.mark.parametrize('content, message', [
    (dict(other=np.ones((3, 21, 3))), 'no variable handPara'),
    (dict(handPara=np.ones((3, 20, 3))), r'\(3, 21, N\).*\(3, 20, 3\)'),
    (dict(handPara=np.ones((3, 21))), r'\(3, 21, N\)'),
    (dict(handPara='some text'), r'\(3, 21, N\)'),
    (dict(handPara=dict(a=1)), r'\(3, 21, N\)'),
    (dict(handPara=np.ones((3, 21, 1501))), 'N up to 1500'),
    (dict(handPara=np.full((3, 21, 3), np.nan)), 'joint palm of sample 0'),
    (dict(handPara=-np.ones((3, 21, 3))), 'not in front of the camera'),
    (dict(handPara=1000 * np.ones((3, 21, 3))), 'hand of sample 0 has 0 t'),
])
def test_bad_labels_are_named(own_root, content, message):
    scipy.io.savemat(own_root / 'labels' / 'B1Counting_SK.mat', content)
    with pytest.raises(ValueError, match=message) as error:
        build(own_root)
    assert 'B1Counting_SK.mat' in str(error.value)


@pytest.mark.parametrize('factor, unit', [(1e-3, 'm'), (.1, 'cm')])
def test_labels_in_another_unit_are_told(own_root, factor, unit):
    path = own_root / 'labels' / 'B1Counting_SK.mat'
    hands = scipy.io.loadmat(path)['handPara']
    scipy.io.savemat(path, dict(handPara=factor * hands))
    with pytest.raises(
            ValueError,
            match=f'SK.mat: .* to be in {unit}, they must be in mm'):
        build(own_root)


@pytest.mark.parametrize('compressed', [False, True])
@pytest.mark.parametrize('kind', ['f8', 'f4', 'i2', 'u1', '>f8'])
def test_kinds_of_mat_files(tmp_path, kind, compressed):
    joints = np.random.default_rng(0).integers(0, 200, (3, 21, 5))
    scipy.io.savemat(
        tmp_path / 'a.mat',
        dict(
            text='before',
            record=dict(a=[1, 'b']),
            x=np.eye(2) * 1j,
            handPara=joints.astype(kind),
            after=np.zeros(3)),
        do_compression=compressed)
    np.testing.assert_array_equal(
        load_hand_para(str(tmp_path / 'a.mat')), joints.T)


def test_damaged_mat_file_is_read_or_refused(tmp_path):
    """SciPy's reader ends the process on some of these."""
    rng = np.random.default_rng(0)
    path = tmp_path / 'a.mat'
    for compressed in (False, True):
        scipy.io.savemat(
            path,
            dict(handPara=np.ones((3, 21, 1))),
            do_compression=compressed)
        content = path.read_bytes()
        for _ in range(120):
            damaged = bytearray(content)
            for place in rng.integers(120, min(len(damaged), 220), 2):
                damaged[place] = rng.integers(0, 256)
            path.write_bytes(damaged)
            try:
                assert load_hand_para(str(path)).dtype == np.float64
            except ValueError as error:
                assert str(path) in str(error)


@pytest.mark.parametrize('how', ['truncated', 'empty', 'html', 'huge'])
def test_broken_mat_file_is_named(own_root, how):
    path = own_root / 'labels' / 'B2Random_SK.mat'
    path.write_bytes(
        dict(
            truncated=path.read_bytes()[:700],
            empty=b'',
            html=b'<html>404</html>' * 20,
            # its zeros unpack to a thousand times as much
            huge=bytes(2**22 + 1))[how])
    with pytest.raises(ValueError, match='B2Random_SK.mat is not a valid'):
        build(own_root)


def test_missing_images_are_named(own_root):
    (own_root / 'images' / 'B2Random' / 'SK_color_2.png').unlink()
    with pytest.raises(FileNotFoundError, match='SK_color_2.png is missing'):
        build(own_root)


def test_is_registered(stb):
    dataset = DATASETS.build(
        dict(
            type='Stb3DDataset',
            data_root=str(stb[0]),
            sequences=['B1Counting']))
    assert len(dataset) == 3
