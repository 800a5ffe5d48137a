import json

import numpy as np
import pytest
from dataset_writers import write_photos
from hand_pictures import write_hand_pictures, write_whole_photos

from lgh_mmpose.evaluation.hand_detection import (HandLabels, detect_all,
                                                  detections_table,
                                                  read_labels,
                                                  read_without_hands,
                                                  score_detections)
from lgh_mmpose.inference.detections import Detections

NO_HANDS = Detections(
    np.zeros((0, 4)), np.zeros(0), np.zeros(0, str), np.zeros((0, 2)))


def detections(rows):
    """Of (box, score, side, degrees)."""
    boxes, scores, sides, degrees = zip(*rows)
    radians = np.radians(degrees)
    return Detections(
        np.array(boxes, float), np.array(scores), np.array(sides),
        np.stack([np.cos(radians), np.sin(radians)], 1))


def labels(boxes, sides=None, degrees=None, ignored=None):
    one = HandLabels.of(
        'a.jpg', boxes, sides or ['left'] * len(boxes), ignored=ignored)
    if degrees is not None:
        radians = np.radians(degrees)
        one = one._replace(
            directions=np.stack(
                [np.cos(radians), np.sin(radians)], 1))
    return one


A, B, C = [0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]


def test_figures_of_two_pictures():
    truth = [labels([A, B], ['left', 'right'], [0, 90]), labels([A], ['left'])]
    found = [
        detections([(A, .9, 'left', 10), ([21, 0, 31, 10], .8, 'left', 60),
                    (C, .7, 'left', 0), (A, .2, 'left', 0)]), NO_HANDS
    ]
    scores = score_detections(truth, found, .3)
    assert scores['pictures'] == 2 and scores['hands'] == 3
    assert scores['recall'] == pytest.approx(2 / 3)
    assert scores['false_per_picture'] == .5
    assert scores['false_share'] == pytest.approx(1 / 3)
    assert scores['side_right'] == .5
    assert scores['direction_error'] == pytest.approx(20)
    # precision is 1 up to a recall of 2/3, and 0 beyond
    assert scores['AP'] == pytest.approx(2 / 3)
    by_threshold = {row['score_thr']: row for row in scores['curve']}
    assert by_threshold[.85]['recall'] == pytest.approx(1 / 3)
    assert by_threshold[.85]['false_share'] == 0
    assert by_threshold[.05]['false_per_picture'] == 1
    json.dumps(scores, allow_nan=False)


def test_precision_falls_with_what_is_false_before_it():
    truth = [labels([A, B])]
    found = [
        detections([(A, .9, 'left', 0), (C, .8, 'left', 0),
                    (B, .7, 'left', 0)])
    ]
    assert score_detections(truth,
                            found)['AP'] == pytest.approx(.5 + .5 * 2 / 3)
    better = [
        detections([(A, .9, 'left', 0), (C, .6, 'left', 0),
                    (B, .7, 'left', 0)])
    ]
    assert score_detections(truth, better)['AP'] == 1


def test_a_hand_is_found_once_and_by_half_its_area():
    twice = [detections([(A, .9, 'left', 0), (A, .8, 'left', 0)])]
    scores = score_detections([labels([A])], twice)
    assert scores['recall'] == 1 and scores['false_per_picture'] == 1
    for right, recall in ((20, 1), (20.5, 0)):
        large = [detections([([0, 0, right, 10], .9, 'left', 0)])]
        assert score_detections([labels([A])], large)['recall'] == recall


def test_of_two_overlapping_hands_each_box_takes_its_own():
    near = [2, 0, 12, 10]
    found = [detections([(near, .9, 'right', 0), (A, .8, 'left', 0)])]
    scores = score_detections([labels([A, near], ['left', 'right'])], found)
    assert scores['recall'] == scores['side_right'] == 1


def test_an_ignored_hand_is_neither_found_nor_missed():
    truth = [labels([A, B], ignored=[True, False])]
    for found in (NO_HANDS, detections([(A, .9, 'left', 0)])):
        scores = score_detections(truth, [found])
        assert scores['hands'] == 1 and scores['recall'] == 0
        assert scores['false_per_picture'] == scores['AP'] == 0
        assert scores['side_right'] is None


def test_what_is_not_known_is_not_scored():
    scores = score_detections([labels([A], [None])],
                              [detections([(A, .9, 'left', 0)])])
    assert scores['recall'] == 1
    assert scores['side_right'] is scores['direction_error'] is None


def test_directions_turn_the_short_way_round():
    scores = score_detections([labels([A], degrees=[175])],
                              [detections([(A, .9, 'left', -175)])])
    assert scores['direction_error'] == pytest.approx(10)


def test_pictures_without_hands_tell_false_ones(tmp_path):
    write_hand_pictures(tmp_path, 2, 2)
    pictures = read_without_hands(tmp_path / 'training')
    assert len(pictures) == 2

    def detector(image):
        assert image.shape == (80, 96, 3)
        return detections([(A, .9, 'left', 0)])

    scores = score_detections(pictures, detect_all(detector, pictures))
    assert scores['false_per_picture'] == scores['false_share'] == 1
    assert scores['recall'] is scores['AP'] is None
    assert 'false/picture' in detections_table(dict(none=scores))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='empty holds no pictures'):
        read_without_hands(tmp_path / 'empty')


def test_labels_of_each_kind_are_read(tmp_path):
    write_hand_pictures(tmp_path, 1, 4)
    coco = read_labels(tmp_path)
    assert list(coco) == ['evaluation']
    assert [len(one.boxes) for one in coco['evaluation']] == [1, 2, 1, 0]
    for one in coco['evaluation']:
        assert np.linalg.norm(one.directions, axis=1) == pytest.approx(1)
        perfect = Detections(one.boxes, np.ones(len(one.boxes)),
                             np.array(one.sides), one.directions)
        scores = score_detections([one], [perfect])
        assert scores['recall'] in (1, None)
        assert scores['side_right'] in (1, None)
    photos = tmp_path / 'photos'
    write_photos(photos, 4)
    write_whole_photos(photos)
    sets = read_labels(photos)
    assert list(sets) == ['whole', 'hands']
    assert sum(len(one.boxes) for one in sets['hands']) == 4
    whole, = sets['whole']
    assert whole.boxes.tolist() == [[1, 2, 30, 40], [5, 5, 9, 9]]
    assert whole.sides == ('left', None)
    assert np.isnan(whole.directions).all()


def test_a_folder_of_nothing_known_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='holds neither .*whole.json'):
        read_labels(tmp_path)


@pytest.mark.parametrize('content', [
    [],
    {},
    [3],
    [dict(image='a.jpg')],
    [dict(image='a.jpg', hands=[dict(box=[0, 0, 1])])],
    [dict(image='a.jpg', hands=[dict(box=[0, 0, 1, float('nan')])])],
    [dict(image='a.jpg', hands=[dict(box=[5, 0, 1, 9])])],
    [dict(image='a.jpg', hands=[dict(box=[0, 0, 1, 1], hand_side='up')])],
    [dict(image=3, hands=[])],
])
def test_a_bad_file_of_whole_photos_is_named(tmp_path, content):
    (tmp_path / 'whole.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'whole\.json'):
        read_labels(tmp_path)


def test_a_missing_photo_is_named(tmp_path):
    (tmp_path / 'whole.json').write_text('[{"image": "b.jpg", "hands": []}]')
    with pytest.raises(FileNotFoundError, match=r'entry 0.*b\.jpg'):
        read_labels(tmp_path)
