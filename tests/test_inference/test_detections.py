import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgh_mmpose.inference.detections import nms, select_hands
from lgh_mmpose.inference.tracking import box_iou

BOXES = np.float32([[0, 0, 10, 10], [1, 0, 11, 10], [30, 0, 40, 10],
                    [0, 0, 10, 5]])


def select(scores, boxes=BOXES, **kwargs):
    directions = np.tile(np.float32([3, -4]), (len(boxes), 1))
    return select_hands(boxes, np.float32(scores), directions, **kwargs)


@pytest.mark.parametrize(
    'iou_thr, kept',
    [
        (.9, [0, 1, 2, 3]),
        (.6, [0, 2, 3]),  # 1 overlaps 0 by 90 / 110
        (.5, [0, 2, 3]),  # 3 overlaps 0 by 0.5, which is not more
        (.49, [0, 2]),
        (0, [0, 2]),
    ])
def test_boxes_that_overlap_a_better_one_go(iou_thr, kept):
    assert nms(BOXES, iou_thr).tolist() == kept


def test_what_overlaps_only_one_that_has_gone_stays():
    chain = np.float32([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]])
    assert nms(chain, .3).tolist() == [0, 2]


def test_no_box_is_none():
    assert nms(np.zeros((0, 4), np.float32), .5).tolist() == []
    found = select(np.zeros((4, 2)))
    assert found.boxes.shape == (0, 4) and found.directions.shape == (0, 2)
    assert found.scores.shape == found.sides.shape == (0, )


@given(
    st.lists(
        st.tuples(*[st.integers(0, 40)] * 2, *[st.integers(1, 40)] * 2),
        max_size=12), st.sampled_from([.2, .5, .8]))
def test_those_that_stay_do_not_overlap_and_cover_the_others(rows, iou_thr):
    boxes = np.array(rows, float).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    kept = nms(boxes, iou_thr).tolist()
    assert kept == sorted(kept) and (not rows or kept[0] == 0)
    for i in range(len(boxes)):
        overlaps = [box_iou(boxes[i], boxes[j]) for j in kept if j < i]
        assert (i in kept) == all(o <= iou_thr for o in overlaps)


def test_the_scores_of_both_sides_make_the_hand():
    found = select([[.1, .7], [.45, .4], [.2, .1], [0, .05]], iou_thr=1)
    np.testing.assert_allclose(found.scores, [.85, .8, .3], rtol=1e-6)
    assert found.sides.tolist() == ['left', 'right', 'left']
    np.testing.assert_array_equal(found.boxes, BOXES[[1, 0, 2]])
    np.testing.assert_allclose(found.directions, [[.6, -.8]] * 3, rtol=1e-6)
    for part in (found.boxes, found.scores, found.directions):
        assert part.dtype == np.float64


def test_a_left_and_a_right_box_of_one_hand_are_one_hand():
    found = select([[.9, 0], [0, .8], [.5, 0], [0, 0]])
    assert found.sides.tolist() == ['left', 'left']
    np.testing.assert_array_equal(found.boxes, BOXES[[0, 2]])


def test_scores_end_at_one_and_boxes_have_an_area():
    turned = BOXES[:, [2, 1, 0, 3]]
    assert not len(select(np.ones((4, 2)), boxes=turned).boxes)
    assert select(np.ones((4, 2))).scores.max() == 1


def test_only_so_many_hands_are_given():
    found = select([[.5, 0], [0, 0], [.9, 0], [0, 0]], max_hands=1)
    np.testing.assert_array_equal(found.boxes, BOXES[[2]])


def test_a_hand_at_the_threshold_is_found():
    scores = [[.25, .25], [0, 0], [.25, .125], [0, 0]]
    assert len(select(scores, score_thr=.5).boxes) == 1
    assert len(select(scores, score_thr=.375).boxes) == 2
    assert len(select(scores, score_thr=.51).boxes) == 0
