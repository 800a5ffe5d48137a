"""Labels to learn from: what looks agree on, and files of 2D joints."""
import json

import cv2
import numpy as np
import pytest
from dataset_writers import FREIHAND_NAMES, RHD_NAMES, write_hands_2d
from helpers import toy_hand
from mmpose.utils import register_all_modules

from lgh_mmpose.adaptation import labels as labels_module
from lgh_mmpose.adaptation.consensus import Consensus
from lgh_mmpose.adaptation.labels import (MAX_DOUBT, MAX_JOINT_DOUBT, MAX_SIDE,
                                          choose, read_labels, write_hands,
                                          write_labels)
from lgh_mmpose.datasets import Hand2DDataset, Hand3DJsonDataset
from lgh_mmpose.geometry.camera import project
from lgh_mmpose.inference.images import read_image

CAMERA = np.array([[500., 0., 100.], [0., 500., 100.], [0., 0., 1.]])
SIZE = 200, 200


def consensus(seed=0, **changes):
    joints = 1000 * toy_hand(np.random.default_rng(seed))
    return Consensus(
        np.zeros(4), 'left', 1., project(joints, CAMERA), joints, CAMERA,
        np.zeros(21))._replace(**changes)


def with_short_bone():
    """Joints whose reference bone is next to nothing, as in a foreshortened
    finger: in its lengths the hand is a giant's."""
    joints = consensus().keypoints_cam
    joints[10] = .9 * joints[9] + .1 * joints[10]
    return joints


def doubts(**joints):
    doubt = np.zeros(21)
    for name, value in joints.items():
        doubt[FREIHAND_NAMES.index(name)] = value
    return doubt


# -- what looks agree on -----------------------------------------------------


def test_a_hand_that_looks_agree_on_is_learned_from():
    hand = choose(consensus(), 'a.png', SIZE)
    assert hand.known.all() and hand.hand_side == 'left'


def test_joints_in_doubt_are_left_out():
    doubt = doubts(thumb4=1.1 * MAX_JOINT_DOUBT, wrist=.9 * MAX_JOINT_DOUBT)
    hand = choose(consensus(doubt=doubt), 'a.png', SIZE)
    np.testing.assert_array_equal(
        np.flatnonzero(~hand.known), [FREIHAND_NAMES.index('thumb4')])


@pytest.mark.parametrize('changes', [
    dict(doubt=np.full(21, 1.01 * MAX_DOUBT)),
    dict(side_share=4 / 7),
    dict(doubt=doubts(middle_finger2=1.)),
    dict(keypoints=consensus().keypoints + 1000),
    dict(keypoints_cam=consensus().keypoints_cam * [1, 1, 0]),
    dict(keypoints_cam=with_short_bone()),
])
def test_hands_in_doubt_are_left_out(changes):
    assert choose(consensus(**changes), 'a.png', SIZE) is None


@pytest.mark.parametrize('zoom', [1, 8])
def test_what_is_learned_is_read_as_it_was_written(tmp_path, zoom):
    """From a photograph, of a telephone, say, the hand is cut out."""
    size = 200 * zoom, 300 * zoom
    camera = np.diag([zoom, zoom, 1]) @ CAMERA
    hands = []
    for seed in range(2):
        joints = 1000 * toy_hand(np.random.default_rng(seed))
        image = np.zeros((size[1], size[0], 3), np.uint8)
        keypoints = project(joints, camera)
        tip = FREIHAND_NAMES.index('forefinger4')
        cv2.circle(image,
                   np.round(keypoints[tip]).astype(int).tolist(), 3 * zoom,
                   (255, 255, 255), -1)
        path = tmp_path / f'{seed}.png'
        cv2.imwrite(str(path), image)
        hand = consensus(
            seed,
            doubt=doubts(thumb4=.5),
            keypoints=keypoints,
            camera_matrix=camera)
        hands.append(choose(hand, str(path), size))
    write_hands(tmp_path / 'hands.json', hands)
    dataset = Hand3DJsonDataset(
        str(tmp_path), 'hands.json', bbox_mode='keypoints')
    assert len(dataset) == 2
    for i, hand in enumerate(hands):
        record = dataset.get_data_info(i)
        assert record['hand_side'] == 'left'
        np.testing.assert_array_equal(record['keypoints_visible'][0],
                                      hand.known)
        known = hand.known
        np.testing.assert_allclose(
            record['keypoints_cam'][0][known],
            hand.keypoints_cam[known],
            atol=1e-3)
        # of which the camera makes the pixels
        piece = read_image(record['img_path'])
        rows, columns = np.nonzero(piece[..., 0] > 128)
        np.testing.assert_allclose((columns.mean(), rows.mean()),
                                   record['keypoints'][0, tip],
                                   atol=.6)
        left, top, right, bottom = record['bbox'][0]
        assert max(right - left, bottom - top) <= MAX_SIDE + 1
        assert max(piece.shape) < 3 * MAX_SIDE + 3


@pytest.mark.parametrize('box', [(-50, -50, -20, -20), (90, 90, 400, 300),
                                 (10, 20, 10.5, 20.5)])
def test_boxes_at_the_edge_cut_something_out(box):
    image = np.random.default_rng(0).integers(0, 256, (100, 120, 3), np.uint8)
    piece = labels_module._cut_out(image, np.array(box, float))
    assert min(piece.image.shape[:2]) >= 1
    assert np.isfinite(piece.warp_mat).all()


# -- files -------------------------------------------------------------------


def labels(root, **changes):
    """Three hands, the content of whose file may be changed."""
    joints = write_hands_2d(root, 'OneHand10KDataset')
    path = root / 'hands.json'
    content = json.loads(path.read_text())
    for key, change in changes.items():
        change(content[key])
    path.write_text(json.dumps(content))
    return path, joints


def test_labels_without_names_are_in_freihands_order(tmp_path):
    path, joints = labels(tmp_path)
    hands = read_labels(path, tmp_path)
    assert [hand.image for hand in hands
            ] == [str(tmp_path / f'{i}.png') for i in range(3)]
    for hand, points in zip(hands, joints):
        np.testing.assert_allclose(hand.keypoints, points)
        assert hand.seen.all() and hand.hand_side is None


def test_labels_come_by_name(tmp_path):
    joints = write_hands_2d(tmp_path, 'OneHand10KDataset', RHD_NAMES)
    path = tmp_path / 'hands.json'
    content = json.loads(path.read_text())
    content['categories'][0].update(keypoints=RHD_NAMES, name='right_hand')
    path.write_text(json.dumps(content))
    hands = read_labels(path, tmp_path)
    np.testing.assert_allclose(hands[2].keypoints, joints[2])
    assert hands[0].hand_side == 'right'


def test_the_side_of_an_annotation_goes_before_its_category(tmp_path):
    path, _ = labels(
        tmp_path,
        annotations=lambda entries: entries[1].update(hand_side='left'),
        categories=lambda entries: entries[0].update(name='right_hand'))
    sides = [hand.hand_side for hand in read_labels(path, tmp_path)]
    assert sides == ['right', 'left', 'right']
    path, _ = labels(
        tmp_path,
        annotations=lambda entries: entries[1].update(hand_side='unknown'))
    assert read_labels(path, tmp_path)[1].hand_side is None


def hide(annotation, **changes):
    """Take the label off the last joint."""
    annotation['keypoints'][-1] = 0
    annotation.update(changes)


def test_a_hand_that_is_labelled_in_part_has_the_box_it_is_given(tmp_path):

    def change(entries):
        for entry in entries[:2]:
            hide(entry)
        entries[0]['bbox'] = [1, 2, 60, 50]
        entries[1].pop('bbox', None)
        entries[2]['bbox'] = [1, 2, 60, 50]

    path, joints = labels(tmp_path, annotations=change)
    first, second, whole = read_labels(path, tmp_path)
    np.testing.assert_allclose(first.box[:2],
                               np.minimum(joints[0].min(0), (1, 2)))
    assert (first.box[2:] >= (61, 52)).all()
    for hand, points in ((second, joints[1][:-1]), (whole, joints[2])):
        np.testing.assert_allclose(hand.box, [*points.min(0), *points.max(0)])


def test_categories_that_no_hand_has_may_be_of_anything(tmp_path):
    path, _ = labels(
        tmp_path,
        categories=lambda entries: entries.append(
            dict(id='dog', name='dog', keypoints=['nose', 'tail'])))
    assert len(read_labels(path, tmp_path)) == 3


def test_crowds_and_hands_without_joints_are_left_out(tmp_path):

    def change(entries):
        entries[0]['iscrowd'] = 1
        entries[1].pop('keypoints')

    path, joints = labels(tmp_path, annotations=change)
    hand, = read_labels(path, tmp_path)
    np.testing.assert_allclose(hand.keypoints, joints[2])


@pytest.mark.parametrize('changes, match', [
    (dict(categories=lambda c: c[0].update(keypoints=['wrist'])),
     'category 0 has no joint thumb1'),
    (dict(annotations=lambda a: a[1].update(keypoints=[1, 2, 3])),
     'annotation 1: keypoints must be'),
    (dict(annotations=lambda a: a[1].update(keypoints='?')),
     'annotation 1: keypoints must be'),
    (dict(annotations=lambda a: a[2].update(image_id=99)),
     'annotation 2 belongs to no image'),
    (dict(annotations=lambda a: a[2].update(hand_side='both')),
     'annotation 2: hand_side must be one of'),
    (dict(annotations=lambda a: a[0]['keypoints'].__setitem__(0, None)),
     'annotation 0: the keypoints must be finite'),
    (dict(images=lambda a: a[1].update(width=4000)), 'image 1: .*4000'),
    (dict(images=lambda a: a[0].pop('file_name')), 'image 0 has no file_name'),
    (dict(images=lambda a: a[0].update(id=[0])), 'image 0 has no id'),
    (dict(categories=lambda a: a[0].update(id={})), 'category 0 has no id'),
    (dict(annotations=lambda a: a[0].update(image_id=[0])),
     'annotation 0 belongs to no image'),
    (dict(annotations=lambda a: hide(a[1], bbox=[0, 0, -1, 5])),
     'annotation 1: bbox must be'),
    (dict(annotations=lambda a: hide(a[1], bbox='all')),
     'annotation 1: bbox must be'),
    (dict(annotations=lambda a: a.clear()), 'labels no hand'),
])
def test_bad_labels_are_named(tmp_path, changes, match):
    path, _ = labels(tmp_path, **changes)
    with pytest.raises(ValueError, match=match):
        read_labels(path, tmp_path)


@pytest.mark.parametrize('text', ['[]', '{}', '{"images": []}', '{'])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / 'labels.json'
    path.write_text(text)
    with pytest.raises(ValueError, match='labels.json'):
        read_labels(path, tmp_path)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='labels.json is missing'):
        read_labels(tmp_path / 'labels.json', tmp_path)
    path, _ = labels(tmp_path)
    (tmp_path / '1.png').unlink()
    with pytest.raises(FileNotFoundError, match='annotation 1.*1.png'):
        read_labels(path, tmp_path)


def test_labels_are_read_as_they_were_written(tmp_path):
    register_all_modules()
    path, joints = labels(tmp_path)
    hands = read_labels(path, tmp_path)
    write_labels(tmp_path / 'out.json', hands)
    dataset = Hand2DDataset(
        dict(
            type='OneHand10KDataset',
            data_root=str(tmp_path),
            ann_file='out.json'))
    for i, points in enumerate(joints):
        np.testing.assert_allclose(
            dataset.get_data_info(i)['keypoints'][0], points, atol=1e-4)
