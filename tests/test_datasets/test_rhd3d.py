import json
import os
import pickle
import shutil

import cv2
import numpy as np
import pytest
import torch
from helpers import REPO_ROOT
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmpose.datasets import Rhd2DDataset

from lgh_mmpose.codecs import Hand25DLabel
from lgh_mmpose.datasets import Rhd3DDataset
from lgh_mmpose.geometry.camera import project
from lgh_mmpose.rendering import write_studiohand

SAMPLES = REPO_ROOT.parent / 'shared' / 'samples' / 'rhd'
RHD_ORDER = dict(from_file='configs/_base_/datasets/rhd2d.py')
NUM = 6


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """6 + 2 images of a left and a right hand in RHD's layout, read only."""
    out = tmp_path_factory.mktemp('rhd') / 'data'
    write_studiohand(
        out,
        num_train=NUM,
        num_eval=2,
        seed=3,
        size=64,
        quiet=True,
        layout='rhd')
    return out


@pytest.fixture
def own_root(root, tmp_path):
    """A copy that the test may break."""
    return shutil.copytree(root, tmp_path / 'rhd')


@pytest.fixture
def real():
    if not SAMPLES.is_dir():
        pytest.skip('the samples of RHD are not here')
    return json.loads((SAMPLES / 'test_rhd.json').read_text())


def load(root, split='training'):
    with open(root / split / f'anno_{split}.pickle', 'rb') as file:
        return pickle.load(file)


def change(root, edit):
    """Edit the annotations of the training split."""
    annotations = load(root)
    edited = edit(annotations)
    with open(root / 'training/anno_training.pickle', 'wb') as file:
        pickle.dump(annotations if edited is None else edited, file)


def write_mask(root, index, **pixels):
    """Write a mask with the given number of pixels per part id."""
    mask = np.zeros((64, 64), np.uint8)
    start = 0
    for part, count in pixels.items():
        mask.ravel()[start:start + count] = int(part[1:])
        start += count
    cv2.imwrite(str(root / f'training/mask/{index:05d}.png'), mask)


def records(dataset):
    return [dataset.get_data_info(i) for i in range(len(dataset))]


# -- records of the release ---------------------------------------------------


def test_record(root):
    dataset = Rhd3DDataset(str(root))
    assert len(dataset) == NUM
    for i, record in enumerate(records(dataset)):
        raw = load(root)[i]
        assert record['id'] == record['img_id'] == i
        assert record['img_path'] == str(root / f'training/color/{i:05d}.png')
        hand = slice(0, 21) if record['hand_side'] == 'left' else slice(21, 42)
        xyz, uv_vis = raw['xyz'][hand], raw['uv_vis'][hand]
        # the wrist, the middle finger's base and tip
        for ours, theirs in ((0, 0), (9, 12), (12, 9)):
            np.testing.assert_allclose(record['keypoints_cam'][0, ours],
                                       1000 * xyz[theirs])
            np.testing.assert_allclose(record['keypoints'][0, ours],
                                       uv_vis[theirs, :2])
            assert record['keypoints_in_sight'][0, ours] == uv_vis[theirs, 2]
        np.testing.assert_allclose(record['camera_matrix'], raw['K'])
        np.testing.assert_allclose(record['bone_length'],
                                   1000 * np.linalg.norm(xyz[12] - xyz[11]))
        np.testing.assert_allclose(record['root_depth'], 1000 * xyz[12, 2])
        np.testing.assert_allclose(
            project(record['keypoints_cam'], record['camera_matrix']),
            record['keypoints'],
            atol=1e-3)
        # all joints are annotated, those out of sight too
        assert record['keypoints_visible'].all()


def test_splits(root):
    assert len(Rhd3DDataset(str(root), split='evaluation')) == 2
    with pytest.raises(ValueError, match="split .* got 'test'"):
        Rhd3DDataset(str(root), split='test')


def test_joints_come_in_the_order_of_the_metainfo(root):
    ours = Rhd3DDataset(str(root))
    theirs = Rhd3DDataset(str(root), metainfo=RHD_ORDER)
    assert ours.keypoint_names[1:3] == ('thumb1', 'thumb2')
    assert theirs.keypoint_names[1:3] == ('thumb4', 'thumb3')
    order = [theirs.keypoint_names.index(name) for name in ours.keypoint_names]
    for one, other in zip(records(ours), records(theirs)):
        for key in ('keypoints', 'keypoints_cam', 'keypoints_in_sight'):
            np.testing.assert_array_equal(one[key], other[key][:, order])
        for key in ('bbox', 'root_depth', 'bone_length'):
            np.testing.assert_array_equal(one[key], other[key])
    assert ours.metainfo['dataset_name'] == 'rhd3d'


def test_records_do_not_share_memory(root):
    dataset = Rhd3DDataset(str(root))
    before = dataset.get_data_info(0)
    for key in ('keypoints', 'keypoints_cam', 'keypoints_in_sight',
                'camera_matrix', 'bbox'):
        before[key][...] = 0
    after = dataset.get_data_info(0)
    assert after['keypoints'].any() and after['keypoints_cam'].all()


# -- sides --------------------------------------------------------------------


@pytest.mark.parametrize('pixels, side', [
    (dict(_2=5, _18=4), 'left'),
    (dict(_2=4, _18=5), 'right'),
    (dict(_17=5, _33=4), 'left'),
    (dict(_17=4, _33=5), 'right'),
    (dict(_2=3, _9=3, _20=5), 'left'),
    (dict(_1=50, _18=1), 'right'),
    (dict(_1=50, _3=1), 'left'),
    (dict(_2=4, _18=4), 'right'),
    (dict(), 'right'),
])
def test_side_with_more_pixels_in_the_mask(own_root, pixels, side):
    write_mask(own_root, 2, **pixels)
    dataset = Rhd3DDataset(str(own_root))
    assert dataset.get_data_info(2)['hand_side'] == side


def test_masks_are_read_once_for_all_workers(own_root):
    for i in range(NUM):
        write_mask(own_root, i, **{'_2' if i % 2 else '_18': 9})
    dataset = Rhd3DDataset(str(own_root), pipeline=[dict(type='LoadImage')])
    loader = torch.utils.data.DataLoader(
        dataset, num_workers=2, collate_fn=pseudo_collate)
    sides = [batch['hand_side'][0] for batch in loader]
    assert sides == ['right', 'left'] * (NUM // 2)
    shutil.rmtree(own_root / 'training/mask')
    assert [record['hand_side'] for record in records(dataset)] == sides


def spoil_mask(path, how):
    if how == 'missing':
        path.unlink()
    elif how == 'truncated':
        path.write_bytes(path.read_bytes()[:-20])
    elif how == 'garbled':
        content = path.read_bytes()
        path.write_bytes(content[:20] + bytes(len(content) - 40) +
                         content[-20:])
    else:
        cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize('how',
                         ['missing', 'truncated', 'garbled', 'coloured'])
def test_unreadable_mask(own_root, how):
    path = own_root / 'training/mask/00001.png'
    spoil_mask(path, how)
    test = Rhd3DDataset(str(own_root), test_mode=True)
    with pytest.raises(OSError, match=f'{path}: cannot read'):
        test[1]
    train = Rhd3DDataset(str(own_root))
    assert train[0]['id'] == 0
    assert train.prepare_data(1) is None and train.num_unreadable_images == 1


def test_both_hands(root):
    dataset = Rhd3DDataset(str(root), both_hands=True, min_joints_in_sight=0)
    assert len(dataset) == 2 * NUM
    for i, record in enumerate(records(dataset)):
        assert (record['id'], record['img_id']) == (i, i // 2)
        assert record['hand_side'] == ('left', 'right')[i % 2]
        hand = slice(21 * (i % 2), 21 * (i % 2) + 21)
        np.testing.assert_allclose(record['keypoints_cam'][0, 9],
                                   1000 * load(root)[i // 2]['xyz'][hand][12])
        assert os.path.isfile(record['img_path'])


@pytest.mark.parametrize('minimum', [1, 11, 15])
def test_both_hands_leaves_out_what_is_hardly_seen(own_root, minimum):

    def edit(annotations):
        annotations[0]['uv_vis'][:, 2] = 0  # neither hand
        annotations[1]['uv_vis'][:21, 2] = [1] * minimum + [0] * (21 - minimum)

    change(own_root, edit)
    # no mask is asked for
    shutil.rmtree(own_root / 'training/mask')
    dataset = Rhd3DDataset(
        str(own_root), both_hands=True, min_joints_in_sight=minimum)
    expected = {
        2 * i + side
        for i, raw in load(own_root).items()
        for side in (0, 1)
        if raw['uv_vis'][21 * side:21 * side + 21, 2].sum() >= minimum
    }
    assert {record['id'] for record in records(dataset)} == expected
    assert 2 in expected and not {0, 1} & expected
    for record in records(dataset):
        assert record['keypoints_in_sight'].sum() >= minimum


def test_no_hand_is_seen_enough(root):
    with pytest.raises(ValueError, match='min_joints_in_sight=22'):
        Rhd3DDataset(str(root), both_hands=True, min_joints_in_sight=22)


def test_images_may_have_gaps_in_their_numbers(own_root):

    def edit(annotations):
        return {i: annotations[i] for i in (4, 1)}

    change(own_root, edit)
    for both_hands, expected in ((False, [1, 4]), (True, [2, 3, 8, 9])):
        dataset = Rhd3DDataset(
            str(own_root), both_hands=both_hands, min_joints_in_sight=0)
        assert [record['id'] for record in records(dataset)] == expected
        for record in records(dataset):
            np.testing.assert_allclose(record['camera_matrix'],
                                       load(own_root)[record['img_id']]['K'])


# -- boxes --------------------------------------------------------------------


def set_joints(annotations, uv, in_sight):
    """Let joints of both hands of image 0 be seen at given places."""
    raw = annotations[0]
    uv = np.array(uv, float)
    rays = np.column_stack([uv, np.ones(len(uv))]) @ np.linalg.inv(raw['K']).T
    for start in (0, 21):
        for i, ray in enumerate(rays):
            raw['xyz'][start + i] = ray * raw['xyz'][start + i, 2]
        hand = slice(start, start + 21)
        raw['uv_vis'][hand, :2] = project(raw['xyz'][hand].astype(float),
                                          raw['K'])
        raw['uv_vis'][hand, 2] = np.arange(21) < in_sight


def test_box_is_of_the_joints_in_sight(own_root):
    change(
        own_root, lambda raw: set_joints(
            raw, [[10, 20], [45, 60], [15, 25]], in_sight=3))
    box = Rhd3DDataset(str(own_root)).get_data_info(0)['bbox']
    np.testing.assert_allclose(box, [[10, 20, 45, 60]], atol=1e-3)


def test_box_is_at_least_30_px(own_root):
    change(
        own_root, lambda raw: set_joints(
            raw, [[20, 20], [24, 60], [22, 30]], in_sight=3))
    box = Rhd3DDataset(str(own_root)).get_data_info(0)['bbox']
    np.testing.assert_allclose(box, [[7, 20, 37, 60]], atol=1e-3)


@pytest.mark.parametrize('in_sight', [0, 1, 2])
def test_box_of_a_hand_that_is_hardly_seen_is_of_all_joints(
        own_root, in_sight):
    change(
        own_root,
        lambda raw: set_joints(raw, [[10, 10], [50, 55]], in_sight=in_sight))
    record = Rhd3DDataset(str(own_root)).get_data_info(0)
    joints = record['keypoints'][0]
    low, high = joints.min(0), joints.max(0)
    assert (high - low > 30).all()
    np.testing.assert_allclose(record['bbox'], [[*low, *high]], atol=1e-3)


def test_other_box_modes(root):
    record = Rhd3DDataset(str(root), bbox_mode='image').get_data_info(0)
    assert record['bbox'].tolist() == [[0, 0, 64, 64]]
    record = Rhd3DDataset(str(root), bbox_mode='keypoints').get_data_info(0)
    np.testing.assert_allclose(
        record['bbox'][0, :2], record['keypoints'][0].min(0), atol=1e-2)


# -- through the pipeline -----------------------------------------------------


def decoded_error(sample, codec):
    """Largest error in mm of what the labels decode to."""
    labels = sample.gt_instance_labels.keypoint_labels.numpy()
    meta = sample.metainfo
    decoded = codec.decode(labels, meta['warp_mat'], meta['camera_matrix'],
                           meta['bone_length'], meta['root_depth'])
    return np.linalg.norm(
        decoded['keypoints_cam'] - sample.gt_instances.keypoints_cam,
        axis=-1).max()


@pytest.mark.parametrize('mode', ['train', 'exact'])
def test_labels_lead_back_to_both_hands(root, mode):
    cfg = Config.fromfile(REPO_ROOT / 'configs/lgh_rhd.py')
    pipeline = list(cfg.train_pipeline)
    if mode == 'exact':
        pipeline = [t for t in pipeline if t['type'] != 'RandomBBoxTransform']
    np.random.seed(0)
    dataset = Rhd3DDataset(
        str(root), both_hands=True, min_joints_in_sight=1, pipeline=pipeline)
    codec = Hand25DLabel(cfg.codec.input_size)
    flips = set()
    for i in range(len(dataset)):
        sample = dataset[i]['data_samples']
        assert decoded_error(sample, codec) < .01
        assert sample.flip == (sample.hand_side == 'left')
        flips.add(sample.flip)
        if mode == 'exact':
            uv = sample.gt_instance_labels.keypoint_labels[0, :, :2].numpy()
            seen = uv[dataset.get_data_info(i)['keypoints_in_sight'][0]]
            assert (seen > 0).all() and (seen < 256).all()
    assert flips == {False, True}


# -- mmpose's json ------------------------------------------------------------


def test_json_of_mmpose(real):
    dataset = Rhd3DDataset(str(SAMPLES), ann_file='test_rhd.json')
    theirs = Rhd2DDataset(
        data_root=str(SAMPLES),
        ann_file='test_rhd.json',
        data_prefix=dict(img=''),
        test_mode=True)
    assert len(dataset) == len(theirs) == 3
    order = [
        theirs.metainfo['keypoint_name2id'][name]
        for name in dataset.keypoint_names
    ]
    sides = []
    for i, record in enumerate(records(dataset)):
        other = theirs.get_data_info(i)
        assert os.path.isfile(record['img_path'])
        assert record['img_path'] == other['img_path']
        assert record['id'] == other['id']
        assert record['img_id'] == other['img_id']
        np.testing.assert_allclose(
            record['keypoints'], other['keypoints'][:, order], atol=1e-4)
        np.testing.assert_allclose(
            project(record['keypoints_cam'], record['camera_matrix']),
            record['keypoints'],
            atol=.08)
        assert 30 < record['bone_length'] < 40
        sides.append(record['hand_side'])
    assert sides == ['left', 'left', 'right']


def test_json_labels_lead_back_up_to_the_rounding(real):
    cfg = Config.fromfile(REPO_ROOT / 'configs/lgh_rhd.py')
    dataset = Rhd3DDataset(
        str(SAMPLES), ann_file='test_rhd.json', pipeline=cfg.train_pipeline)
    codec = Hand25DLabel(cfg.codec.input_size)
    for i in range(3):
        assert decoded_error(dataset[i]['data_samples'], codec) < .2


def test_json_that_holds_arrays_as_strings(real, tmp_path):
    for annotation in real['annotations']:
        for key in ('keypoints', 'joint_cam'):
            annotation[key] = json.dumps(annotation[key])
    (tmp_path / 'anno.json').write_text(json.dumps(real))
    dataset = Rhd3DDataset(
        str(tmp_path),
        ann_file='anno.json',
        data_prefix=dict(img='training/color'))
    plain = Rhd3DDataset(str(SAMPLES), ann_file='test_rhd.json')
    for one, other in zip(records(dataset), records(plain)):
        np.testing.assert_array_equal(one['keypoints_cam'],
                                      other['keypoints_cam'])
        assert one['img_path'] == str(tmp_path / 'training/color' /
                                      os.path.basename(other['img_path']))


def json_of(root):
    """The release as mmpose's json has it; the hand is any of the two."""
    images, annotations = [], []
    for i, raw in load(root).items():
        images.append(
            dict(
                id=100 + i,
                file_name=f'{i:05d}.png',
                cam_param=dict(
                    focal=raw['K'].diagonal()[:2].tolist(),
                    princpt=raw['K'][:2, 2].tolist())))
        hand = slice(21 * (i % 2), 21 * (i % 2) + 21)
        annotations.append(
            dict(
                id=50 - i,
                image_id=100 + i,
                keypoints=raw['uv_vis'][hand].tolist(),
                joint_cam=(1000. * raw['xyz'][hand]).tolist(),
                hand_type=('left', 'right')[i % 2]))
    return dict(images=images, annotations=annotations)


def json_dataset(root, content, **kwargs):
    text = content if isinstance(content, str) else json.dumps(content)
    (root / 'anno.json').write_text(text)
    return Rhd3DDataset(
        str(root),
        ann_file='anno.json',
        data_prefix=dict(img='training/color'),
        **kwargs)


def test_json_and_release_give_the_same(own_root):
    release = Rhd3DDataset(
        str(own_root), both_hands=True, min_joints_in_sight=0)
    both = {record['id']: record for record in records(release)}
    dataset = json_dataset(own_root, json_of(own_root))
    assert [record['id'] for record in records(dataset)
            ] == [50 - i for i in reversed(range(NUM))]
    for record in records(dataset):
        i = 50 - record['id']
        other = both[2 * i + i % 2]
        assert record['img_id'] == 100 + i
        assert record['img_path'] == other['img_path']
        assert record['hand_side'] == other['hand_side']
        for key in ('keypoints', 'keypoints_cam', 'camera_matrix', 'bbox',
                    'keypoints_in_sight'):
            np.testing.assert_allclose(record[key], other[key], rtol=1e-6)


@pytest.mark.parametrize('item, key, value, message', [
    ('images', 'id', 'one', r'images\[1\] must have an integer id'),
    ('images', 'id', 100, r'images\[1\] must have an integer id of its own'),
    ('images', 'file_name', 7, 'image 101 has no file_name'),
    ('images', 'cam_param', None, r'image 101 has no cam_param'),
    ('images', 'cam_param', {}, 'focal of image 101 must be 2 numbers'),
    ('images', 'cam_param', dict(focal=[0, 0], princpt=[1, 1]),
     'camera matrix of sample 49 is singular'),
    ('images', 'cam_param', dict(focal=[1, 1], princpt=['a', 1]),
     'princpt of image 101 must be 2 numbers'),
    ('annotations', 'id', True, r'annotations\[1\] must have an integer id'),
    ('annotations', 'id', 10**
     401, r'annotations\[1\] must have an integer id'),
    ('images', 'id', -2**62, r'images\[1\] must have an integer id'),
    ('images', 'cam_param', dict(focal=[10**401, 1], princpt=[1, 1]),
     'focal of image 101 must be 2 numbers'),
    ('annotations', 'image_id', 5, 'annotation 49 has image_id 5'),
    ('annotations', 'image_id', [], 'annotation 49 has image_id'),
    ('annotations', 'hand_type', 'both', 'hand_type of annotation 49'),
    ('annotations', 'hand_type', [], 'hand_type of annotation 49'),
    ('annotations', 'keypoints', [1, 2], 'keypoints of annotation 49 must be '
     '63 numbers'),
    ('annotations', 'keypoints', '[1, 2', 'keypoints of annotation 49'),
    ('annotations', 'keypoints', '[' * 100000, 'keypoints of annotation 49'),
    ('annotations', 'joint_cam', None, 'joint_cam of annotation 49'),
    ('annotations', 'joint_cam', [[1, 2]] * 21, 'joint_cam of annotation 49'),
    ('annotations', 'joint_cam', [float('nan')] * 63,
     '3D joint of sample 49 is not finite'),
    ('annotations', 'keypoints', [float('inf')] * 63,
     '2D joint of sample 49 is not finite'),
])
def test_bad_json_is_named(own_root, item, key, value, message):
    content = json_of(own_root)
    content[item][1][key] = value
    with pytest.raises(ValueError, match=message) as error:
        json_dataset(own_root, content)
    assert str(own_root / 'anno.json') in str(error.value)


@pytest.mark.parametrize('content, message', [
    ('{"images": [', 'not valid json'),
    ([1], "no list 'images'"),
    (dict(images=[]), "no list 'images'"),
    (dict(images=[dict(id=1)]), "no list 'annotations'"),
    (dict(images=[3], annotations=[3]), r'images\[0\] must have'),
])
def test_json_of_another_kind(own_root, content, message):
    with pytest.raises(ValueError, match=message):
        json_dataset(own_root, content)


def test_json_decides_on_the_hands(own_root):
    with pytest.raises(ValueError, match='both_hands'):
        json_dataset(own_root, json_of(own_root), both_hands=True)


def test_missing_json(root):
    with pytest.raises(FileNotFoundError, match='none.json'):
        Rhd3DDataset(str(root), ann_file='none.json')


# -- bad input ----------------------------------------------------------------


def test_missing_data_root_says_where_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        Rhd3DDataset(str(tmp_path / 'none'))
    for text in ('anno_training.pickle', 'RHD v1.1', 'https://',
                 '--layout rhd'):
        assert text in str(error.value)


@pytest.mark.parametrize('name', ['anno_training.pickle', 'color', 'mask'])
def test_missing_part_is_named(own_root, name):
    path = own_root / 'training' / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(FileNotFoundError, match=f'{path} missing'):
        Rhd3DDataset(str(own_root))


class Attack:

    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return os.mkdir, (str(self.victim), )


def test_malicious_pickle_runs_nothing(own_root, tmp_path):
    victim = tmp_path / 'victim'

    def edit(annotations):
        annotations[1]['K'] = Attack(victim)

    change(own_root, edit)
    with pytest.raises(
            ValueError,
            match=rf'anno_training.pickle asks for {os.name}.mkdir'):
        Rhd3DDataset(str(own_root))
    assert not victim.exists()


def test_truncated_pickle_is_told(own_root):
    path = own_root / 'training/anno_training.pickle'
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=f'{path} is not a whole pickle'):
        Rhd3DDataset(str(own_root))


@pytest.mark.parametrize('content', [{}, [1], {'0': {}}, {-1: {}}, {True: {}}])
def test_pickle_of_another_kind(own_root, content):
    change(own_root, lambda annotations: content)
    with pytest.raises(ValueError, match='must hold a dict from the numbers'):
        Rhd3DDataset(str(own_root))


@pytest.mark.parametrize('key, value, message', [
    ('xyz', None, r'xyz of sample 1 must be an array of \(42, 3\)'),
    ('xyz', np.zeros((21, 3)), r'got shape \(21, 3\)'),
    ('xyz', [[0.] * 3] * 42, 'got list'),
    ('K', np.zeros((3, 3), bool), 'bool'),
    ('K', np.zeros((3, 3), complex), 'complex'),
    ('uv_vis', np.zeros((42, 2)), 'uv_vis of sample 1'),
    ('K', np.zeros((3, 3)), 'camera matrix of sample 1 is singular'),
    ('K', np.full((3, 3), np.nan), 'camera matrix of sample 1'),
])
def test_wrong_array_is_named(own_root, key, value, message):
    change(own_root, lambda annotations: annotations[1].update({key: value}))
    with pytest.raises(ValueError, match=message) as error:
        Rhd3DDataset(str(own_root))
    assert 'anno_training.pickle' in str(error.value)


def test_entry_that_is_no_dict(own_root):
    change(own_root, lambda annotations: {**annotations, 1: [1, 2]})
    with pytest.raises(ValueError, match='xyz of sample 1'):
        Rhd3DDataset(str(own_root))


def spoil_joint(annotations, key, index, value):
    annotations[1]['uv_vis'][:, 2] = 1
    annotations[1][key][index] = value


@pytest.mark.parametrize('key, index, value, message', [
    ('xyz', (12, 0), np.nan, '3D joint of sample 1 is not finite'),
    ('uv_vis', (30, 1), np.inf, '2D joint of sample 1 is not finite'),
    ('xyz', (12, 2), -.3, 'joint middle_finger1 of sample 1 .* in front of'),
    ('xyz', (22, 2), 0., 'joint thumb4 of sample 1 is not'),
    ('uv_vis', (5, 0), 9999., 'joint forefinger4 of sample 1 lies .* px off'),
    ('xyz', (1, 0), 3., 'joint thumb4 of sample 1 lies'),
])
def test_wrong_joint_is_named(own_root, key, index, value, message):
    change(own_root, lambda raw: spoil_joint(raw, key, index, value))
    with pytest.raises(ValueError, match=message) as error:
        Rhd3DDataset(str(own_root))
    assert 'anno_training.pickle' in str(error.value)


def test_file_in_millimetres_is_told(own_root):

    def edit(annotations):
        for raw in annotations.values():
            raw['xyz'] = raw['xyz'] * 1000

    change(own_root, edit)
    with pytest.raises(
            ValueError,
            match='the numbers seem to be in mm, they must be in m '):
        Rhd3DDataset(str(own_root))


@pytest.mark.parametrize('factor, unit', [(1e-3, 'm'), (.1, 'cm')])
def test_json_in_another_unit_is_told(own_root, factor, unit):
    content = json_of(own_root)
    for ann in content['annotations']:
        ann['joint_cam'] = (factor * np.array(ann['joint_cam'])).tolist()
    with pytest.raises(
            ValueError,
            match=f'anno.json: .* to be in {unit}, they must be in mm'):
        json_dataset(own_root, content)


def test_json_tells_the_size_and_windows_names(own_root):
    content = json_of(own_root)
    assert 'annotated_size' not in json_dataset(own_root,
                                                content).get_data_info(0)
    for image in content['images']:
        image.update(width=320, height=320)
        image['file_name'] = f'color\\{image["file_name"]}'
    (own_root / 'anno.json').write_text(json.dumps(content))
    record = Rhd3DDataset(
        str(own_root), ann_file='anno.json',
        data_prefix=dict(img='training')).get_data_info(0)
    assert record['annotated_size'] == (320, 320)
    assert os.path.isfile(record['img_path'])


def test_hand_out_of_sight_may_be_behind_the_camera(own_root):

    def edit(annotations):
        annotations[1]['xyz'][:21, 2] *= -1
        annotations[1]['uv_vis'][:21, 2] = 0

    change(own_root, edit)
    write_mask(own_root, 1, _20=9)
    assert Rhd3DDataset(str(own_root)).get_data_info(1)['hand_side'] == 'right'
    write_mask(own_root, 1, _5=9)
    with pytest.raises(ValueError, match='sample 1 .* in front of'):
        Rhd3DDataset(str(own_root)).get_data_info(1)
