import json
import pickle

import cv2
import numpy as np
import pytest
import torch
from helpers import write_freihand
from mmengine.dataset import ConcatDataset, pseudo_collate
from mmengine.registry import DefaultScope
from mmpose.datasets import CombinedDataset, FreiHandDataset
from mmpose.registry import DATASETS

from lgh_mmpose.codecs import Hand25DLabel
from lgh_mmpose.datasets import FreiHand3DDataset
from lgh_mmpose.geometry.camera import project

CODEC = dict(type='Hand25DLabel', input_size=(64, 48))
META_KEYS = ('id', 'img_id', 'img_path', 'ori_shape', 'input_size',
             'input_center', 'input_scale', 'flip', 'flip_indices', 'warp_mat',
             'camera_matrix', 'bone_length', 'root_depth', 'hand_side')
PIPELINE = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomBBoxTransform'),
    dict(type='TopdownAffineCamera', input_size=CODEC['input_size']),
    dict(type='CanonicalizeHandSide'),
    dict(type='GenerateTarget', encoder=CODEC),
    dict(type='PackPoseInputs', meta_keys=META_KEYS),
]
TEST_PIPELINE = [
    transform for transform in PIPELINE
    if transform['type'] not in ('RandomBBoxTransform', 'GenerateTarget')
]


@pytest.fixture(autouse=True)
def mmpose_scope():
    with DefaultScope.overwrite_default_scope('mmpose'):
        yield


@pytest.fixture(scope='module')
def four_versions(tmp_path_factory):
    """5 unique samples in all 4 versions; read only."""
    return write_freihand(
        tmp_path_factory.mktemp('freihand_v'), num_train=5, versions=4)


@pytest.fixture
def own_root(tmp_path):
    """A data set that the test may break."""
    return write_freihand(tmp_path, num_train=4, num_eval=2)


def ids(dataset):
    return [dataset.get_data_info(i)['id'] for i in range(len(dataset))]


def raw(root, name):
    return np.array(json.loads((root / name).read_text()))


# -- records -----------------------------------------------------------------


def test_record(freihand_root):
    dataset = FreiHand3DDataset(data_root=str(freihand_root))
    assert len(dataset) == 8
    record = dataset.get_data_info(3)
    assert record['id'] == record['img_id'] == record['sample_idx'] == 3
    assert record['img_path'] == str(freihand_root / 'training' / 'rgb' /
                                     '00000003.jpg')
    assert record['hand_side'] == 'right'
    for key, shape, dtype in (('bbox', (1, 4),
                               np.float32), ('bbox_score', (1, ), np.float32),
                              ('keypoints', (1, 21, 2), np.float32),
                              ('keypoints_visible', (1, 21), np.float32),
                              ('keypoints_cam', (1, 21, 3), np.float64),
                              ('camera_matrix', (3, 3), np.float64)):
        assert (record[key].shape, record[key].dtype) == (shape, dtype), key


def test_record_is_in_millimetres_and_pixels(freihand_root):
    dataset = FreiHand3DDataset(data_root=str(freihand_root))
    xyz = raw(freihand_root, 'training_xyz.json')
    for i in (0, 5):
        record = dataset.get_data_info(i)
        np.testing.assert_allclose(record['keypoints_cam'][0], xyz[i] * 1000)
        assert record['root_depth'] == pytest.approx(xyz[i, 9, 2] * 1000)
        assert record['bone_length'] == pytest.approx(
            1000 * np.linalg.norm(xyz[i, 9] - xyz[i, 10]))
        np.testing.assert_allclose(
            record['keypoints'][0],
            project(xyz[i],
                    raw(freihand_root, 'training_K.json')[i]),
            atol=1e-4)
        assert (record['keypoints_visible'] == 1).all()


def test_records_do_not_share_memory_with_the_index(freihand_root):
    dataset = FreiHand3DDataset(data_root=str(freihand_root))
    first = dataset.get_data_info(0)
    for key in ('keypoints_cam', 'camera_matrix', 'keypoints'):
        first[key][:] = 0
    again = dataset.get_data_info(0)
    for key in ('keypoints_cam', 'camera_matrix', 'keypoints'):
        assert again[key].any(), key


def test_metainfo_is_mmposes(freihand_root):
    dataset = FreiHand3DDataset(data_root=str(freihand_root))
    theirs = FreiHandDataset(lazy_init=True).metainfo
    np.testing.assert_equal(dataset.metainfo, theirs)
    record = dataset.get_data_info(0)
    for key in ('dataset_name', 'upper_body_ids', 'lower_body_ids',
                'flip_pairs', 'dataset_keypoint_weights', 'flip_indices',
                'skeleton_links'):
        np.testing.assert_equal(record[key], theirs[key])


def test_boxes(freihand_root):
    image = FreiHand3DDataset(data_root=str(freihand_root)).get_data_info(0)
    np.testing.assert_array_equal(image['bbox'], [[0, 0, 64, 64]])
    given = FreiHand3DDataset(
        data_root=str(freihand_root), image_size=(224, 200)).get_data_info(0)
    np.testing.assert_array_equal(given['bbox'], [[0, 0, 224, 200]])
    tight = FreiHand3DDataset(
        data_root=str(freihand_root), bbox_mode='keypoints').get_data_info(0)
    uv = tight['keypoints'][0]
    np.testing.assert_array_equal(tight['bbox'][0], [*uv.min(0), *uv.max(0)])
    with pytest.raises(ValueError, match="bbox_mode .* 'hand'"):
        FreiHand3DDataset(data_root=str(freihand_root), bbox_mode='hand')


@pytest.mark.parametrize('factor', [.5, 2])
def test_images_that_were_all_resized_are_refused(factor, tmp_path):
    write_freihand(tmp_path)
    for path in tmp_path.glob('*/rgb/*.jpg'):
        image = cv2.imread(str(path))
        cv2.imwrite(str(path), cv2.resize(image, None, fx=factor, fy=factor))
    with pytest.raises(ValueError, match='were the images resized after'):
        FreiHand3DDataset(data_root=str(tmp_path))


# -- which samples -----------------------------------------------------------


def test_all_versions_on_disk_share_annotations(four_versions):
    dataset = FreiHand3DDataset(data_root=str(four_versions))
    assert ids(dataset) == list(range(20))
    for version in range(4):
        record = dataset.get_data_info(5 * version + 2)
        assert record['img_path'].endswith(f'{5 * version + 2:08d}.jpg')
        np.testing.assert_array_equal(
            record['keypoints_cam'],
            dataset.get_data_info(2)['keypoints_cam'])


@pytest.mark.parametrize('versions, expected', [
    (['gs'], [0, 1, 2, 3, 4]),
    (['auto', 'hom'], [15, 16, 17, 18, 19, 5, 6, 7, 8, 9]),
    ([2], [10, 11, 12, 13, 14]),
])
def test_chosen_versions(four_versions, versions, expected):
    dataset = FreiHand3DDataset(
        data_root=str(four_versions), image_versions=versions)
    assert ids(dataset) == expected


def test_version_that_is_not_on_disk(freihand_root):
    with pytest.raises(FileNotFoundError) as error:
        FreiHand3DDataset(
            data_root=str(freihand_root), image_versions=['gs', 'hom'])
    assert "'hom'" in str(error.value)
    assert '00000008.jpg is missing' in str(error.value)
    assert "on disk: ['gs']" in str(error.value)


@pytest.mark.parametrize('versions', [['hum'], [4], [-1]])
def test_unknown_version(freihand_root, versions):
    with pytest.raises(ValueError, match='unknown image version'):
        FreiHand3DDataset(
            data_root=str(freihand_root), image_versions=versions)


@pytest.mark.parametrize('versions', [[], ['gs', 0]])
def test_no_version_or_one_twice(freihand_root, versions):
    with pytest.raises(ValueError, match='none twice'):
        FreiHand3DDataset(
            data_root=str(freihand_root), image_versions=versions)


def test_sample_ids(four_versions, tmp_path):
    (tmp_path / 'ids.txt').write_text('4\n1\n')
    (tmp_path / 'ids.json').write_text('[4, 1]')
    for sample_ids in ([4, 1], str(tmp_path / 'ids.txt'),
                       str(tmp_path / 'ids.json')):
        dataset = FreiHand3DDataset(
            data_root=str(four_versions),
            image_versions=['gs', 'sample'],
            sample_ids=sample_ids)
        assert ids(dataset) == [4, 1, 14, 11]


@pytest.mark.parametrize('sample_ids, message', [
    ([0, 7], 'holds 7, .* samples 0 to 4'),
    ([-1], 'holds -1'),
    ([2, 2], 'twice'),
    ([], 'not empty'),
    ([0.5], 'integers'),
    (['0'], 'integers'),
])
def test_bad_sample_ids(four_versions, sample_ids, message):
    with pytest.raises(ValueError, match=message):
        FreiHand3DDataset(data_root=str(four_versions), sample_ids=sample_ids)


@pytest.mark.parametrize('name, text', [('ids.txt', '1\ntwo\n'),
                                        ('ids.json', '[1, '),
                                        ('ids.json', '[' * 10**5),
                                        ('ids.json', f'[{"9" * 401}]'),
                                        ('ids.json', '\udcff'),
                                        ('ids.txt', '\udcff'),
                                        ('ids.txt', '9' * 401),
                                        ('ids.json', '{"ids": [1]}')])
def test_bad_sample_id_file_is_named(four_versions, tmp_path, name, text):
    (tmp_path / name).write_bytes(text.encode(errors='surrogateescape'))
    with pytest.raises(ValueError, match=name):
        FreiHand3DDataset(
            data_root=str(four_versions), sample_ids=str(tmp_path / name))


# -- mmengine's and mmpose's machinery ---------------------------------------


@pytest.mark.parametrize('serialize_data', [True, False])
def test_indices_and_subsets(freihand_root, serialize_data):
    options = dict(data_root=str(freihand_root), serialize_data=serialize_data)
    assert ids(FreiHand3DDataset(indices=3, **options)) == [0, 1, 2]
    assert ids(FreiHand3DDataset(indices=[5, 2], **options)) == [5, 2]
    dataset = FreiHand3DDataset(**options)
    subset = dataset.get_subset([6, 1])
    assert ids(subset) == [6, 1] and len(dataset) == 8
    assert subset.annotations is dataset.annotations
    dataset.get_subset_([7])
    assert ids(dataset) == [7]


def test_lazy_init(freihand_root):
    dataset = FreiHand3DDataset(
        data_root=str(freihand_root), lazy_init=True, pipeline=PIPELINE)
    assert not hasattr(dataset, 'annotations')
    assert dataset.metainfo['dataset_name'] == 'freihand'
    dataset.full_init()
    assert dataset[0]['inputs'].shape == (3, 48, 64)


def test_concat_and_combined_dataset(freihand_root, four_versions):
    configs = [
        dict(type='FreiHand3DDataset', data_root=str(root))
        for root in (freihand_root, four_versions)
    ]
    concat = ConcatDataset([DATASETS.build(config) for config in configs])
    assert len(concat) == 28
    assert concat.get_data_info(9)['id'] == 1

    combined = CombinedDataset(
        metainfo=FreiHand3DDataset.METAINFO,
        datasets=configs,
        pipeline=PIPELINE)
    assert len(combined) == 28
    assert combined[27]['data_samples'].metainfo['id'] == 19


def test_pickled_dataset_gives_the_same_records(freihand_root):
    dataset = FreiHand3DDataset(
        data_root=str(freihand_root), pipeline=TEST_PIPELINE)
    copy = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_equal(copy.get_data_info(2), dataset.get_data_info(2))
    torch.testing.assert_close(copy[2]['inputs'], dataset[2]['inputs'])


def test_data_loader_workers_deliver_every_sample(freihand_root):
    dataset = FreiHand3DDataset(
        data_root=str(freihand_root), pipeline=TEST_PIPELINE)
    loader = torch.utils.data.DataLoader(
        dataset,
        batch_size=3,
        num_workers=2,
        multiprocessing_context='fork',
        collate_fn=pseudo_collate)
    batches = list(loader)
    assert [len(batch['inputs']) for batch in batches] == [3, 3, 2]
    inputs = [img for batch in batches for img in batch['inputs']]
    for i, img in enumerate(inputs):
        torch.testing.assert_close(img, dataset[i]['inputs'])


def test_training_batch_through_the_whole_pipeline(freihand_root):
    dataset = FreiHand3DDataset(
        data_root=str(freihand_root), pipeline=PIPELINE)
    batch = pseudo_collate([dataset[i] for i in range(4)])
    assert all(img.shape == (3, 48, 64) for img in batch['inputs'])
    codec = Hand25DLabel(CODEC['input_size'])
    for sample in batch['data_samples']:
        labels = sample.gt_instance_labels
        assert labels.keypoint_labels.shape == (1, 21, 3)
        assert labels.keypoint_labels.dtype == torch.float32
        assert (labels.keypoint_weights == 1).all()
        truth, meta = sample.gt_instances, sample.metainfo
        decoded = codec.decode(labels.keypoint_labels.numpy(),
                               meta['warp_mat'], meta['camera_matrix'],
                               meta['bone_length'], meta['root_depth'])
        np.testing.assert_allclose(
            decoded['keypoints_cam'], truth.keypoints_cam, atol=1e-3)
        np.testing.assert_allclose(
            decoded['keypoints'], truth.keypoints, atol=1e-3)
        assert truth.bboxes.shape == (1, 4)
        assert truth.bbox_scores.shape == (1, )


# -- evaluation --------------------------------------------------------------


def test_evaluation_split_with_published_joints(freihand_root):
    dataset = FreiHand3DDataset(
        data_root=str(freihand_root),
        split='evaluation',
        test_mode=True,
        pipeline=TEST_PIPELINE)
    assert len(dataset) == 4
    assert dataset.get_data_info(0)['img_path'] == str(
        freihand_root / 'evaluation' / 'rgb' / '00000000.jpg')
    assert 'keypoints_cam' in dataset[0]['data_samples'].gt_instances


def test_evaluation_split_without_published_joints(tmp_path):
    root = write_freihand(tmp_path, evaluation_xyz=False)
    dataset = FreiHand3DDataset(
        data_root=str(root),
        split='evaluation',
        test_mode=True,
        pipeline=TEST_PIPELINE)
    record = dataset.get_data_info(1)
    assert not {'keypoints', 'keypoints_cam', 'root_depth'} & record.keys()
    assert record['bone_length'] == pytest.approx(
        1000 * raw(root, 'evaluation_scale.json')[1])
    sample = dataset[1]['data_samples']
    assert 'keypoints_cam' not in sample.gt_instances
    assert sample.metainfo['camera_matrix'].shape == (3, 3)

    for options, message in ((dict(), 'evaluation_xyz.json missing'),
                             (dict(test_mode=True, bbox_mode='keypoints'),
                              "bbox_mode='keypoints' needs joints")):
        with pytest.raises((FileNotFoundError, ValueError), match=message):
            FreiHand3DDataset(
                data_root=str(root), split='evaluation', **options)


def test_unknown_split(freihand_root):
    with pytest.raises(ValueError, match="split .* 'val'"):
        FreiHand3DDataset(data_root=str(freihand_root), split='val')


# -- bad annotations ---------------------------------------------------------


def test_missing_data_root_says_where_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        FreiHand3DDataset(data_root=str(tmp_path / 'nowhere'))
    message = str(error.value)
    assert str(tmp_path / 'nowhere') in message
    assert 'https://lmb.informatik.uni-freiburg.de/projects/freihand/' in (
        message)
    assert 'configs/lgh_studiohand.py' in message


@pytest.mark.parametrize(
    'name', ['training_K.json', 'training_scale.json', 'training_xyz.json'])
def test_missing_file_is_named(own_root, name):
    (own_root / name).unlink()
    with pytest.raises(FileNotFoundError, match=f'{name} missing'):
        FreiHand3DDataset(data_root=str(own_root))


def test_no_images(own_root):
    for path in (own_root / 'training' / 'rgb').iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match='00000000.jpg'):
        FreiHand3DDataset(data_root=str(own_root))


@pytest.mark.parametrize('content, message', [
    (b'[[1.0, 2.0', 'not valid json, perhaps an incomplete'),
    (b'\xff\xfe', 'not valid json'),
    (b'[' * 100000, 'not valid json'),
    (b'{"a": 1}', 'numbers of shape'),
    (b'[[[1, 2, 3], [4, 5]]]', 'ragged or not numbers'),
    (b'[["a"]]', 'ragged or not numbers'),
    (b'[["1.5"]]', 'ragged or not numbers'),
    (b'[[true]]', 'ragged or not numbers'),
    (b'[[' + b'1' * 401 + b']]', 'ragged or not numbers'),
    (b'[]', r'shape \(N, 21, 3\), got \(0,\)'),
    (b'[[[1, 2, 3], [4, 5, 6]]]', r'shape \(N, 21, 3\), got \(1, 2, 3\)'),
])
def test_broken_json_is_named(own_root, content, message):
    (own_root / 'training_xyz.json').write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        FreiHand3DDataset(data_root=str(own_root))
    assert 'training_xyz.json' in str(error.value)


def test_files_of_different_length(own_root):
    scale = raw(own_root, 'training_scale.json')[:-1]
    (own_root / 'training_scale.json').write_text(json.dumps(scale.tolist()))
    with pytest.raises(ValueError) as error:
        FreiHand3DDataset(data_root=str(own_root))
    assert 'training_scale.json: 3' in str(error.value)
    assert 'training_xyz.json: 4' in str(error.value)


def change(path, index, value):
    array = raw(path.parent, path.name)
    array[index] = value
    path.write_text(json.dumps(array.tolist()))


@pytest.mark.parametrize('index, value', [((2, 8, 2), np.nan),
                                          ((2, 8, 0), np.inf), ((2, 8, 2), 0.),
                                          ((2, 8, 2), -.5)])
def test_impossible_joint_is_named(own_root, index, value):
    change(own_root / 'training_xyz.json', index, value)
    with pytest.raises(ValueError) as error:
        FreiHand3DDataset(data_root=str(own_root))
    assert 'training_xyz.json' in str(error.value)
    assert 'joint forefinger4 of sample 2' in str(error.value)


@pytest.mark.parametrize('index, value', [((1, 0, 0), 0.), ((1, 1, 1), np.nan),
                                          ((1, 2, 2), 0.), ((1, 2, 0), 1.)])
def test_singular_camera_is_named(own_root, index, value):
    change(own_root / 'training_K.json', index, value)
    with pytest.raises(ValueError) as error:
        FreiHand3DDataset(data_root=str(own_root))
    assert 'training_K.json' in str(error.value)
    assert 'camera matrix of sample 1 is singular' in str(error.value)


@pytest.mark.parametrize('value', [0., -.03, np.nan, 30.])
def test_impossible_bone_length_is_named(own_root, value):
    change(own_root / 'training_scale.json', 3, value)
    with pytest.raises(ValueError) as error:
        FreiHand3DDataset(data_root=str(own_root))
    assert 'training_scale.json' in str(error.value)
    assert 'sample 3' in str(error.value)


def test_joints_in_another_unit_are_found_out(own_root):
    """Their pixels are the same, their depth is not."""
    path = own_root / 'training_xyz.json'
    path.write_text(json.dumps((100 * raw(own_root, path.name)).tolist()))
    with pytest.raises(ValueError) as error:
        FreiHand3DDataset(data_root=str(own_root))
    message = str(error.value)
    assert 'training_xyz.json: the hand of sample 0 has' in message
    assert 'in cm, they must be in m (4 such samples)' in message


def test_a_reference_bone_of_another_length_is_named(own_root):
    path = own_root / 'training_scale.json'
    change(path, 3, 1.2 * raw(own_root, path.name)[3])
    with pytest.raises(ValueError, match=r'sample 3 .* \(1 such sample\)'):
        FreiHand3DDataset(data_root=str(own_root))


def test_unknown_root_joint(freihand_root):
    with pytest.raises(ValueError, match="'palm' in root_joint"):
        FreiHand3DDataset(data_root=str(freihand_root), root_joint='palm')


# -- bad images --------------------------------------------------------------


def spoil(path, how):
    content = path.read_bytes()
    if how == 'missing':
        path.unlink()
    elif how == 'empty':
        path.write_bytes(b'')
    elif how == 'truncated':
        path.write_bytes(content[:len(content) // 2])
    elif how == 'no image':
        path.write_bytes(b'<html>404</html>')
    elif how == 'no picture data':
        path.write_bytes(content[:2] + content[-2:])


SPOILT = ['missing', 'empty', 'truncated', 'no image', 'no picture data']


def test_decoder_alone_takes_a_truncated_image_for_whole(own_root):
    # why the data set looks at the end of the file itself
    path = own_root / 'training' / 'rgb' / '00000000.jpg'
    spoil(path, 'truncated')
    assert cv2.imread(str(path)) is not None


@pytest.mark.parametrize('how', SPOILT)
def test_unreadable_image_fails_a_test_run(own_root, how):
    spoil(own_root / 'evaluation' / 'rgb' / '00000001.jpg', how)
    dataset = FreiHand3DDataset(
        data_root=str(own_root),
        split='evaluation',
        test_mode=True,
        pipeline=TEST_PIPELINE)
    dataset[0]
    with pytest.raises(OSError, match='rgb/00000001.jpg: cannot read'):
        dataset[1]


@pytest.mark.parametrize('how', SPOILT)
def test_training_goes_on_without_an_unreadable_image(own_root, how):
    spoil(own_root / 'training' / 'rgb' / '00000002.jpg', how)
    dataset = FreiHand3DDataset(
        data_root=str(own_root), image_size=(64, 64), pipeline=PIPELINE)
    np.random.seed(0)
    got = [dataset[2]['data_samples'].metainfo['id'] for _ in range(5)]
    assert 2 not in got
    assert dataset.num_unreadable_images == 1


def test_png_images_are_checked_likewise(own_root):
    img = cv2.imread(str(own_root / 'training' / 'rgb' / '00000001.jpg'))
    content = cv2.imencode('.png', img)[1].tobytes()
    path = own_root / 'training' / 'rgb' / '00000001.jpg'
    for end, bad in ((len(content), 0), (-200, 1)):
        path.write_bytes(content[:end])
        dataset = FreiHand3DDataset(data_root=str(own_root), pipeline=PIPELINE)
        dataset[1]
        assert dataset.num_unreadable_images == bad


@pytest.mark.parametrize('context, num_workers', [('fork', 2), ('spawn', 1)])
def test_workers_count_different_files_together(own_root, context,
                                                num_workers):
    for i in (1, 2):
        spoil(own_root / 'training' / 'rgb' / f'{i:08d}.jpg', 'truncated')
    dataset = FreiHand3DDataset(data_root=str(own_root), pipeline=PIPELINE)
    loader = torch.utils.data.DataLoader(
        dataset,
        batch_size=1,
        num_workers=num_workers,
        multiprocessing_context=context,
        collate_fn=pseudo_collate)
    for batch in loader:
        assert batch['data_samples'][0].metainfo['id'] in (0, 3)
    assert dataset.num_unreadable_images == 2


def test_each_unreadable_image_is_reported_once(own_root, monkeypatch):
    reports = []
    monkeypatch.setattr('lgh_mmpose.datasets.unreadable.print_log',
                        lambda message, **_: reports.append(message))
    for i in (1, 2):
        spoil(own_root / 'training' / 'rgb' / f'{i:08d}.jpg', 'missing')
    dataset = FreiHand3DDataset(data_root=str(own_root), pipeline=PIPELINE)
    for _ in range(3):
        for i in range(len(dataset)):
            dataset[i]
    assert len(reports) == 2
    assert all(
        any(f'{i:08d}.jpg: cannot read' in report for report in reports)
        for i in (1, 2))


def test_too_many_unreadable_images_stop_the_training(own_root):
    for i in (1, 2):
        spoil(own_root / 'training' / 'rgb' / f'{i:08d}.jpg', 'truncated')
    dataset = FreiHand3DDataset(
        data_root=str(own_root), pipeline=PIPELINE, max_unreadable_images=1)
    with pytest.raises(RuntimeError) as error:
        for _ in range(2):
            dataset[1], dataset[2]
    assert 'max_unreadable_images=1' in str(error.value)
    assert '.jpg: cannot read this image' in str(error.value)


def test_subset_counts_with_the_whole(own_root):
    spoil(own_root / 'training' / 'rgb' / '00000003.jpg', 'missing')
    dataset = FreiHand3DDataset(data_root=str(own_root), pipeline=PIPELINE)
    dataset.get_subset([3, 0])[0]
    assert dataset.num_unreadable_images == 1


def test_faults_of_other_transforms_are_not_taken_for_unreadable_images(
        own_root):

    def fail(results):
        raise KeyError('a bug of mine')

    dataset = FreiHand3DDataset(
        data_root=str(own_root), pipeline=[dict(type='LoadImage'), fail])
    with pytest.raises(KeyError, match='a bug of mine'):
        dataset[0]
    assert dataset.num_unreadable_images == 0


@pytest.mark.parametrize('how', ['missing', 'no image'])
def test_first_image_may_be_the_unreadable_one(own_root, how):
    images = own_root / 'training' / 'rgb'
    spoil(images / '00000000.jpg', how)
    dataset = FreiHand3DDataset(data_root=str(own_root), pipeline=PIPELINE)
    assert dataset[0]['data_samples'].metainfo['id'] != 0

    for path in images.iterdir():
        spoil(path, 'no image')
    with pytest.raises(ValueError, match=r'give image_size=\(w, h\)'):
        FreiHand3DDataset(data_root=str(own_root))
