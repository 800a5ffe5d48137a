import copy
import json
import os.path as osp

import numpy as np
import pytest
from dataset_writers import (FREIHAND_NAMES, RHD_NAMES, hand3d_json,
                             write_hand3d_json, write_image)
from mmpose.registry import DATASETS
from xtcocotools.coco import COCO

from lgh_mmpose.datasets import Hand3DJsonDataset


@pytest.fixture(scope='module')
def own_data(tmp_path_factory):
    """Folder and content of hands.json; read only."""
    root = tmp_path_factory.mktemp('own')
    return root, write_hand3d_json(root)


def build(root, **kwargs):
    return Hand3DJsonDataset(
        data_root=str(root),
        ann_file='hands.json',
        data_prefix=dict(img='images'),
        **kwargs)


def build_content(folder, content, **kwargs):
    (folder / 'hands.json').write_text(json.dumps(content))
    return build(folder, **kwargs)


def test_records(own_data):
    root, content = own_data
    dataset = build(root)
    assert len(dataset) == 4
    for i, ann in enumerate(content['annotations']):
        record = dataset.get_data_info(i)
        assert record['id'] == ann['id'] == 10 * i + 5
        assert record['img_id'] == 100 + i
        assert record['img_path'] == str(root / 'images' / f'{i}.png')
        assert record['hand_side'] == ann['hand_side'] == ('left',
                                                           'right')[i % 2]
        np.testing.assert_allclose(record['keypoints_cam'][0],
                                   ann['keypoints_cam'])
        np.testing.assert_allclose(
            record['keypoints'][0],
            np.reshape(ann['keypoints'], (21, 3))[:, :2],
            atol=1e-3)
        x, y, w, h = ann['bbox']
        np.testing.assert_allclose(
            record['bbox'], [[x, y, x + w, y + h]], rtol=1e-6)
        np.testing.assert_array_equal(record['camera_matrix'],
                                      ann['camera_matrix'])
        joints = np.array(ann['keypoints_cam'])
        assert record['bone_length'] == pytest.approx(
            np.linalg.norm(joints[9] - joints[10]))
        assert record['root_depth'] == joints[9, 2]


def test_annotations_in_any_order_and_with_any_ids(tmp_path):
    content = hand3d_json()
    for ann, new_id in zip(content['annotations'], (7, 2**40, 0, 3)):
        ann['id'] = new_id
    dataset = build_content(tmp_path, content)
    records = [dataset.get_data_info(i) for i in range(4)]
    assert [r['id'] for r in records] == [0, 3, 7, 2**40]
    assert [r['img_id'] for r in records] == [102, 103, 100, 101]
    np.testing.assert_allclose(records[3]['keypoints_cam'][0],
                               content['annotations'][1]['keypoints_cam'])


def test_two_hands_of_one_image(tmp_path):
    content = hand3d_json()
    content['annotations'][1]['image_id'] = 100
    dataset = build_content(tmp_path, content)
    first, second = dataset.get_data_info(0), dataset.get_data_info(1)
    assert first['img_path'] == second['img_path']
    assert (first['hand_side'], second['hand_side']) == ('left', 'right')


def test_weights_travel_with_their_joints(own_data, tmp_path):
    content = copy.deepcopy(own_data[1])
    first, second, third, _ = content['annotations']
    pixels, depths = np.linspace(0, 1, 21), np.linspace(2, 0, 21)
    first.update(
        keypoint_weights=pixels.tolist(), depth_weights=depths.tolist())
    second['keypoint_weights'] = pixels.tolist()
    third['depth_weights'] = [0] * 21
    dataset = build_content(
        tmp_path,
        content,
        metainfo=dict(from_file='configs/_base_/datasets/rhd2d.py'))
    order = [FREIHAND_NAMES.index(name) for name in RHD_NAMES]
    expected = [(pixels, depths), (pixels, pixels), (np.ones(21), 0 * depths),
                (np.ones(21), np.ones(21))]
    for i, (uv, z) in enumerate(expected):
        record = dataset.get_data_info(i)
        np.testing.assert_allclose(
            record['keypoint_weights'], [uv[order]], rtol=1e-6)
        np.testing.assert_allclose(
            record['depth_weights'], [z[order]], rtol=1e-6)


def test_without_weights_records_have_none(own_data):
    record = build(own_data[0]).get_data_info(0)
    assert not {'keypoint_weights', 'depth_weights'} & set(record)


@pytest.mark.parametrize('seed', range(5))
def test_joint_order_is_understood_by_name(tmp_path, seed):
    order = np.random.default_rng(seed).permutation(21)
    names = [FREIHAND_NAMES[i] for i in order]
    expected = build_content(tmp_path, hand3d_json(num=1)).get_data_info(0)
    got = build_content(tmp_path, hand3d_json(num=1,
                                              names=names)).get_data_info(0)
    assert got['keypoint_names'] == expected['keypoint_names']
    for key in ('keypoints', 'keypoints_cam', 'bone_length', 'root_depth'):
        np.testing.assert_allclose(got[key], expected[key], rtol=1e-6)


def test_records_have_the_metainfos_order(tmp_path):
    content = hand3d_json()
    record = build_content(
        tmp_path,
        content,
        metainfo=dict(
            from_file='configs/_base_/datasets/rhd2d.py')).get_data_info(0)
    assert list(record['keypoint_names']) == RHD_NAMES
    order = [FREIHAND_NAMES.index(name) for name in RHD_NAMES]
    np.testing.assert_allclose(
        record['keypoints_cam'][0],
        np.array(content['annotations'][0]['keypoints_cam'])[order])


@pytest.mark.parametrize('nothing', [0, None])
def test_joints_without_annotation(tmp_path, nothing):
    content = hand3d_json()
    ann = content['annotations'][2]
    ann['keypoints'][3 * 4:3 * 5] = [nothing, nothing, 0]
    ann['keypoints_cam'][4] = [nothing] * 3
    ann['keypoints'][3 * 8 + 2] = 1  # occluded, but annotated
    record = build_content(tmp_path, content).get_data_info(2)
    expected = np.ones((1, 21), np.float32)
    expected[0, 4] = 0
    np.testing.assert_array_equal(record['keypoints_visible'], expected)
    assert np.isfinite(record['keypoints_cam']).all()
    assert np.isfinite(record['keypoints']).all()


def test_no_root_depth_without_the_root(tmp_path):
    content = hand3d_json()
    ann = content['annotations'][0]
    ann['keypoints'][3 * 9:3 * 10] = [0, 0, 0]
    with pytest.raises(ValueError, match='bone_length of annotation 5 is abs'):
        build_content(tmp_path, content)
    ann['bone_length'] = 33.5
    record = build_content(tmp_path, content, test_mode=True).get_data_info(0)
    assert record['bone_length'] == 33.5
    assert 'root_depth' not in record


def test_training_needs_the_root_of_every_hand(tmp_path):
    content = hand3d_json()
    for ann in content['annotations'][1:3]:
        ann['keypoints'][3 * 9:3 * 10] = [0, 0, 0]
        ann['bone_length'] = 33.5
    with pytest.raises(
            ValueError,
            match=r'sample 15 \(.*images/1\.png\) has no annotation of the '
            r'root joint middle_finger1.* \(2 such samples\); annotate it'):
        build_content(tmp_path, content)
    # unless another joint is the root
    assert len(build_content(tmp_path, content, root_joint='wrist')) == 4


def test_another_reference_bone(own_data):
    root, content = own_data
    joints = np.array(content['annotations'][0]['keypoints_cam'])
    dataset = build(root, reference_bone=('wrist', 'middle_finger1'))
    assert dataset.get_data_info(0)['bone_length'] == pytest.approx(
        np.linalg.norm(joints[0] - joints[9]))


def test_boxes_of_images(tmp_path):
    content = hand3d_json()
    record = build_content(
        tmp_path, content, bbox_mode='image').get_data_info(0)
    np.testing.assert_array_equal(record['bbox'], [[0, 0, 96, 80]])
    content['images'][1]['width'] = 100
    with pytest.raises(ValueError, match='one size, these have 2'):
        build_content(tmp_path, content, bbox_mode='image')


def test_is_plain_coco(own_data):
    # other COCO tools read the file too
    coco = COCO(str(own_data[0] / 'hands.json'))
    assert coco.getAnnIds(imgIds=[101]) == [15]
    assert DATASETS.build(
        dict(
            type='CocoWholeBodyHandDataset',
            data_root=str(own_data[0]),
            ann_file='hands.json',
            lazy_init=True)) is not None


# -- bad files ---------------------------------------------------------------


def change(path, value):
    """A change of the content at a path such as ('images', 0, 'id')."""

    def apply(content):
        node = content
        for key in path[:-1]:
            node = node[key]
        if value is KeyError:
            del node[path[-1]]
        else:
            node[path[-1]] = value

    return apply


def annotation(field, value, index=2):
    return change(('annotations', index, field), value)


@pytest.mark.parametrize('edit, message', [
    (change(('images', ), []), 'images must be a list that is not empty'),
    (change(('annotations', ), KeyError), 'annotations must be a list'),
    (change(('categories', ), dict()), 'categories must be a list'),
    (change(('images', 1), 3), r'images\[1\] is no object'),
    (change(('images', 1, 'id'), KeyError), 'images, index 1: id is missing'),
    (change(('images', 1, 'file_name'), 7), 'images, id 101: file_name must'),
    (change(('images', 1, 'width'), 0), 'images, id 101: width must be a pos'),
    (change(('images', 1, 'width'), 10**400), 'width must be a positive whol'),
    (change(('images', 1, 'height'), '9'), 'images, id 101: height must be'),
    (change(('images', 1, 'id'), 100), 'images has id 100 twice'),
    (change(('categories', 0, 'keypoints'),
            KeyError), 'categories, id 1: keypoints is missing'),
    (change(('categories', 0, 'keypoints', 3), 'thumb2'),
     'categories, id 1: keypoints must be a list of different names'),
    (annotation('id', KeyError), 'annotations, index 2: id is missing'),
    (annotation('id', 15), 'annotations has id 15 twice'),
    (annotation('id', True), 'id must be a whole number'),
    (annotation('id', -1), 'id must be a whole number'),
    (annotation('id', 2**70), 'id must be a whole number'),
    (annotation('image_id', 5), 'id 25: image_id 5 is none of the images'),
    (annotation('category_id', 2), 'id 25: category_id 2 is none of the cat'),
    (annotation('hand_side', 'both'), "id 25: hand_side must be 'left' or"),
    (annotation('hand_side', KeyError), 'id 25: hand_side is missing'),
    (annotation('bbox', KeyError), 'id 25: bbox is missing'),
    (annotation('bbox', [1, 2, 3]), 'bbox of annotation 25 must be 4 num'),
    (annotation('bbox', [1, 2, 3, 0]), 'bbox of annotation 25 must be .x, y'),
    (annotation('bbox', [1, 2, float('nan'), 2]), 'bbox of annotation 25'),
    (annotation('keypoints', '[1, 2, 3]'), 'id 25: keypoints must be a list'),
    (annotation('keypoints', [1., 2., 2] * 20),
     'keypoints of annotation 25 must be 63 numbers, got 60'),
    (annotation('keypoints', [[1, 2], [3]]),
     'keypoints of annotation 25 must be 63 numbers, got something else'),
    (annotation('keypoints', [1., 2., 3] * 21),
     'keypoints of annotation 25 has a visibility that is not 0, 1 or 2'),
    (annotation('keypoints', [1., 2., 0] * 21),
     'keypoints of annotation 25 has no annotated joint'),
    (annotation('keypoints', [None, 2., 2] * 21),
     'keypoints of annotation 25 has null or NaN for wrist, but visib'),
    (annotation('keypoints_cam', KeyError), 'id 25: keypoints_cam is missing'),
    (annotation('keypoints_cam', [[1, 2, 3]] * 20),
     'keypoints_cam of annotation 25 must be 21x3 numbers, got 20x3'),
    (annotation('keypoints_cam', [[1, 2, -3]] * 21),
     'field keypoints_cam .*: joint wrist of sample 25 is not'),
    (annotation('keypoints_cam', [[1, 2, None]] * 21),
     'field keypoints_cam .*: joint wrist of sample 25 is not'),
    (annotation('keypoints', ['26.05', '1', '2'] * 21),
     'keypoints of annotation 25 must be 63 numbers, got something else'),
    (annotation('keypoints_cam', [[1, 2, '26.05']] * 21),
     'keypoints_cam of annotation 25 must be 21x3 numbers, got something'),
    (annotation('keypoints_cam', [[None, 2, '26.05']] * 21),
     'keypoints_cam of annotation 25 must be 21x3 numbers, got something'),
    (annotation('camera_matrix', [[None, 0, '4'], [0, 1, 0], [0, 0, 1]]),
     'camera_matrix of annotation 25 must be 3x3 numbers, got something'),
    (annotation('camera_matrix', [1, 2, 3]),
     'camera_matrix of annotation 25 must be 3x3 numbers, got 3'),
    (annotation('camera_matrix', [[0, 0, 0]] * 3),
     'field camera_matrix .*: the camera matrix of sample 25 is singular'),
    (annotation('depth_weights', [-1.] + [1.] * 20),
     'depth_weights of annotation 25 must be finite numbers, 0 or more'),
    (annotation('keypoint_weights', [1.] * 20),
     'keypoint_weights of annotation 25 must be 21 numbers'),
    (annotation('bone_length',
                '30'), 'bone_length of annotation 25 must be a number'),
    (annotation('bone_length', 0), 'field bone_length .* of sample 25 is 0'),
])
def test_errors_name_field_and_annotation(tmp_path, edit, message):
    content = hand3d_json()
    edit(content)
    with pytest.raises(ValueError, match=message) as error:
        build_content(tmp_path, content)
    assert 'hands.json' in str(error.value)


@pytest.mark.parametrize('text, message', [
    ('[]', 'must be an object with images'),
    ('{"images": [', 'not valid json'),
    ('', 'not valid json'),
])
def test_not_such_a_json(tmp_path, text, message):
    (tmp_path / 'hands.json').write_text(text)
    with pytest.raises(ValueError, match=message):
        build(tmp_path)


def test_missing_file(tmp_path):
    with pytest.raises(
            FileNotFoundError, match='hands.json .*train_on_your_own_data.md'):
        build(tmp_path)


def test_unknown_and_missing_names(tmp_path):
    content = hand3d_json()
    content['categories'][0]['keypoints'][0] = 'palm'
    with pytest.raises(ValueError, match='category 1 names palm in its key'):
        build_content(tmp_path, content)

    content = hand3d_json()
    del content['categories'][0]['keypoints'][20]
    for ann in content['annotations']:
        del ann['keypoints'][60:], ann['keypoints_cam'][20:]
    with pytest.raises(ValueError, match='has no joint pinky_finger4'):
        build_content(tmp_path, content)


def test_several_categories(tmp_path):
    content = hand3d_json()
    content['categories'].append(dict(content['categories'][0], id=2))
    content['annotations'][1]['category_id'] = 2
    with pytest.raises(ValueError, match=r'categories \[1, 2\]; one data set'):
        build_content(tmp_path, content)


def swap_two_joints(ann):
    joints = ann['keypoints_cam']
    joints[4], joints[20] = joints[20], joints[4]


def shorten_focal_length(ann):
    ann['camera_matrix'][0][0] -= 10


@pytest.mark.parametrize('mistake', [swap_two_joints, shorten_focal_length])
def test_pixels_must_agree_with_the_camera(tmp_path, mistake):
    content = hand3d_json()
    mistake(content['annotations'][3])
    with pytest.raises(ValueError, match='keypoints of annotation 35 puts'):
        build_content(tmp_path, content, max_reprojection_error=.005)


def test_wrong_unit_is_noticed(tmp_path):
    content = hand3d_json()
    ann = content['annotations'][3]
    ann['keypoints_cam'] = (1000 * np.array(ann['keypoints_cam'])).tolist()
    with pytest.raises(
            ValueError,
            match='hand of sample 35 has .* seem to be in um, they must be in '
            'mm'):
        build_content(tmp_path, content)


def test_reprojection_error_allowed(tmp_path):
    content = hand3d_json()
    content['annotations'][3]['keypoints'][12] += 1.5
    build_content(tmp_path, copy.deepcopy(content))
    with pytest.raises(ValueError, match='annotation 35 puts thumb4 1.5 px'):
        build_content(tmp_path, content, max_reprojection_error=1)


# -- units and numbers -------------------------------------------------------


@pytest.mark.parametrize('factor, unit', [(1e-3, 'm'), (.1, 'cm'),
                                          (1e3, 'um')])
def test_joints_in_another_unit_are_refused(tmp_path, factor, unit):
    """In all hands alike, bones included, which no projection tells."""
    content = hand3d_json()
    for ann in content['annotations']:
        joints = factor * np.array(ann['keypoints_cam'])
        ann['keypoints_cam'] = joints.tolist()
        ann['bone_length'] = float(np.linalg.norm(joints[9] - joints[10]))
    with pytest.raises(
            ValueError,
            match=f'keypoints_cam .* hand of sample 5 .* seem to be in {unit},'
            r' they must be in mm \(4 such samples\)'):
        build_content(tmp_path, content)


@pytest.mark.parametrize('length, message', [
    (4.4, 'is 4.4 mm, .* seem to be in cm, they must be in mm'),
    (.044, 'is 0.044 mm, .* seem to be in m, they must be in mm'),
    (90., 'is 90 mm, but 44 mm by the joints; both must be of the bone midd'),
    (25., 'is 25 mm, but 44 mm by the joints'),
    (1e300, r'is 1e\+300 mm, while those of hands are'),
])
def test_bone_lengths_that_are_not_those_of_the_joints(tmp_path, length,
                                                       message):
    content = hand3d_json()
    content['annotations'][2]['bone_length'] = length
    with pytest.raises(
            ValueError, match=f'bone_length .* of sample 25 {message}'):
        build_content(tmp_path, content)


def test_a_bone_that_was_measured_by_hand_may_differ(tmp_path):
    content = hand3d_json()
    content['annotations'][2]['bone_length'] = 50.
    record = build_content(tmp_path, content).get_data_info(2)
    assert record['bone_length'] == 50.


def test_hands_of_children_and_giants(tmp_path):
    for factor in (.4, 1.7):
        content = hand3d_json()
        for ann in content['annotations']:
            joints = np.array(ann['keypoints_cam'])
            ann['keypoints_cam'] = (factor * joints).tolist()
        build_content(tmp_path, content)


def test_joints_at_the_lens_are_refused(tmp_path):
    content = hand3d_json(num=1)
    ann = content['annotations'][0]
    ann['keypoints_cam'][4] = [.1, .1, 2.]
    ann['keypoints'][12:15] = [47 + 200 * .1 / 2, 40 + 205 * .1 / 2, 2]
    with pytest.raises(
            ValueError, match='thumb4 of sample 5 lies at .* 2.0. '):
        build_content(tmp_path, content)


@pytest.mark.parametrize('edit, message', [
    (annotation('camera_matrix', [[2., 0, .5], [0, 2.05, .5], [0, 0, 1]]),
     'the camera of sample 25 has focal lengths .* shares of the image size'),
    (annotation('camera_matrix', [[6., 0, 47], [0, 6., 40], [0, 0, 1]]),
     'the camera of sample 25 has .* they must be in pixels'),
    (annotation('camera_matrix', [[1e200, 0, 0], [0, 1e200, 0], [0, 0, 1]]),
     'the camera matrix of sample 25 is singular or no pinhole'),
    (annotation('bbox', [0, 0, 1e308, 1e308]), 'bbox of annotation 25 must'),
    (annotation('bbox', [1e308, 0, 1e308, 5]), 'bbox of annotation 25 must'),
    (annotation('bbox', [0, 0, 1e39, 5]), 'bbox of annotation 25 must'),
    (annotation('bbox', [50, 50, 5e-324, 9]), 'bbox of annotation 25 must'),
    (annotation('bbox', [10**400, 0, 5, 5]),
     'bbox of annotation 25 must be 4 numbers, got something else'),
    (annotation('bone_length', 10**400), 'bone_length of annotation 25 must'),
    (annotation('bone_length', True), 'bone_length of annotation 25 must'),
    (annotation('keypoints_cam', [[1e308] * 3] * 21),
     'hand of sample 25 has|of sample 25 lies at'),
    (annotation('keypoints_cam',
                [[1., 2., 5e-324]] * 21), 'hand of sample 25 has 0 times'),
])
def test_numbers_that_make_no_sense(tmp_path, edit, message):
    content = hand3d_json()
    edit(content)
    with pytest.raises(ValueError, match=message) as error:
        build_content(tmp_path, content)
    assert 'hands.json' in str(error.value)


@pytest.mark.parametrize('field', ['bbox', 'keypoints', 'camera_matrix'])
def test_true_is_no_number_whatever_the_others_are(tmp_path, field):
    """Beside null in another annotation it is an object for NumPy."""
    for null in (False, True):
        content = hand3d_json()
        for index, value in ((2, True), (1, None)):
            node = content['annotations'][index][field]
            if value or null:
                (node[0] if isinstance(node[0], list) else node)[0] = value
        with pytest.raises(
                ValueError, match=f'{field} of annotation 25 must be'):
            build_content(tmp_path, content)


# -- images ------------------------------------------------------------------


def test_an_image_of_another_size_is_named_when_it_is_read(tmp_path):
    content = write_hand3d_json(tmp_path)
    write_image(tmp_path / 'images/2.png', (48, 40))
    dataset = build(
        tmp_path,
        pipeline=[
            dict(type='GetBBoxCenterScale'),
            dict(type='LoadHandImage'),
            dict(type='TopdownAffineCamera', input_size=(32, 32))
        ])
    assert dataset[1]['img'].shape == (32, 32, 3)
    with pytest.raises(
            ValueError,
            match=r'sample 25 \(.*2.png\): the image has 48 x 40 px, its '
            'annotation says 96 x 80; restore the image, or scale'):
        dataset[2]
    assert content['images'][2]['width'] == 96


@pytest.mark.parametrize('convert, meant', [
    (lambda x, y, w, h: [x, y, x + w, y + h], r'\[left, top, right, bottom\]'),
    (lambda x, y, w, h: [x + w / 2, y + h / 2, w, h], r'\[centre x, centre y'),
    (lambda x, y, w, h: [x / 192, y / 160, w / 192, h / 160], 'x, .* shares'),
])
def test_boxes_of_another_kind_are_refused(tmp_path, convert, meant):
    content = hand3d_json(size=(192, 160))
    for ann in content['annotations']:
        ann['camera_matrix'][0][2] += 60
        ann['camera_matrix'][1][2] += 60
        x, y, w, h = ann['bbox']
        ann['bbox'] = [x + 60, y + 60, w, h]
        for i in range(0, 63, 3):
            ann['keypoints'][i] += 60
            ann['keypoints'][i + 1] += 60
    build_content(tmp_path, content)
    for ann in content['annotations']:
        ann['bbox'] = convert(*ann['bbox'])
    with pytest.raises(ValueError, match=f'seems to be {meant}'):
        build_content(tmp_path, content)


def test_file_names_from_windows(tmp_path):
    content = write_hand3d_json(tmp_path)
    for image in content['images']:
        image['file_name'] = f'images\\{image["file_name"]}'
    (tmp_path / 'hands.json').write_text(json.dumps(content))
    dataset = Hand3DJsonDataset(str(tmp_path), 'hands.json')
    assert all(
        osp.isfile(dataset.get_data_info(i)['img_path']) for i in range(4))
