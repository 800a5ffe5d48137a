import json

import numpy as np
import pytest

from lgh_mmpose.inference.results import Hands

NAMES = ('wrist', 'thumb1', 'thumb2')


def hands_of(num=2, **changes):
    generator = np.random.default_rng(3)
    fields = dict(
        source='a.jpg',
        frame=0,
        time=None,
        image_size=(64, 48),
        camera_matrix=np.array([[150., 0, 30], [0, 150, 34], [0, 0, 1]]),
        camera_source='given',
        joint_names=NAMES,
        root_joint='wrist',
        reference_bone=('thumb1', 'thumb2'),
        joint_groups=np.array([0, 1, 1]),
        bone_length=40.,
        bone_length_source='given',
        units='mm',
        coordinate_frame='camera',
        bboxes=generator.uniform(1, 9, (num, 4)) + [0, 0, 20, 30],
        bbox_scores=(None, .5)[:num],
        tracks=(None, 3)[:num],
        hand_sides=('left', 'right')[:num],
        hand_side_source='estimated',
        keypoints=generator.uniform(0, 48, (num, 3, 2)),
        scores=generator.uniform(0, 1, (num, 3)),
        keypoints_cam=generator.uniform(100, 400, (num, 3, 3)),
        root_depth_status=('SOLVED', 'AMBIGUOUS')[:num])
    return Hands(**dict(fields, **changes))


@pytest.mark.parametrize('num', [0, 1, 2])
def test_dict_is_json_of_the_same_numbers(num):
    hands = hands_of(num)
    frame = hands.to_dict()
    assert json.loads(json.dumps(frame, allow_nan=False)) == frame
    assert len(hands) == len(frame['hands']) == num
    for i, hand in enumerate(frame['hands']):
        for key in ('keypoints', 'scores', 'keypoints_cam'):
            np.testing.assert_allclose(
                hand[key], getattr(hands, key)[i], atol=1e-4)
        assert hand['hand_side'] == hands.hand_sides[i]
        assert hand['bbox_score'] == hands.bbox_scores[i]
        assert hand['track'] == hands.tracks[i]
        assert hand['root_depth_status'] == hands.root_depth_status[i]
        assert hand['groups'] == [0, 1, 1]
        assert hand['bone_length'] == dict(mm=40., source='given')
    assert hands_of(time=1 / 3).to_dict()['time'] == .333333


def test_coco_reads_them(tmp_path):
    from xtcocotools.coco import COCO
    images = [dict(id=7, file_name='a.jpg', width=64, height=48)]
    (tmp_path / 'gt.json').write_text(
        json.dumps(
            dict(
                images=images,
                annotations=[],
                categories=[dict(id=1, name='hand', keypoints=NAMES)])))
    hands = hands_of()
    results = hands.to_coco(image_id=7)
    coco = COCO(str(tmp_path / 'gt.json')).loadRes(results)
    for i, found in enumerate(coco.loadAnns(coco.getAnnIds())):
        assert found['image_id'] == 7 and found['category_id'] == 1
        triples = np.reshape(found['keypoints'], (3, 3))
        np.testing.assert_allclose(
            triples[:, :2], hands.keypoints[i], atol=1e-4)
        np.testing.assert_allclose(triples[:, 2], hands.scores[i], atol=1e-4)
        assert found['score'] == pytest.approx(hands.scores[i].mean())
    left, top, width, height = results[0]['bbox']
    np.testing.assert_allclose([left, top, left + width, top + height],
                               hands.bboxes[0],
                               atol=1e-3)
    assert hands_of(0).to_coco(7) == []
    assert [found['category_id'] for found in hands.to_coco(7, 3)] == [3, 3]


def test_supervision_draws_them():
    supervision = pytest.importorskip('supervision', reason="needs '.[dev]'")
    hands = hands_of()
    keypoints = hands.to_supervision()
    np.testing.assert_allclose(keypoints.xy, hands.keypoints, rtol=1e-6)
    assert keypoints.class_id.tolist() == [0, 1]
    assert keypoints.data['hand_side'].tolist() == ['left', 'right']
    np.testing.assert_array_equal(keypoints.data['keypoints_cam'],
                                  hands.keypoints_cam)
    blank = np.zeros((48, 64, 3), np.uint8)
    drawn = supervision.VertexAnnotator().annotate(blank.copy(), keypoints)
    assert (drawn != blank).any()
    # one hand of two, with what belongs to it
    assert keypoints[1].data['hand_side'].tolist() == ['right']
    assert len(hands_of(0).to_supervision()) == 0
    name = 'confidence'  # of older ones
    if hasattr(keypoints, 'keypoint_confidence'):
        name = 'keypoint_confidence'
    np.testing.assert_allclose(
        getattr(keypoints, name), hands.scores, rtol=1e-6)
    unknown = hands_of(hand_sides=(None, 'left')).to_supervision()
    assert unknown.class_id.tolist() == [2, 0]


def test_without_supervision_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'supervision', None)
    with pytest.raises(ImportError, match='pip install supervision'):
        hands_of().to_supervision()
