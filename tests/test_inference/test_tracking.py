import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgh_mmpose.apis import HandTracker, OneEuroFilter
from lgh_mmpose.inference.tracking import box_iou, box_of_joints

SIZE = (200, 100)


def hand(x, y, side=30):
    """Joints that fill a square, (21, 2) px."""
    t = np.linspace(0, 1, 21)
    return np.stack([x + side * t, y + side * np.abs(2 * t - 1)], axis=-1)


def started(tracker, *joints, score=.9):
    """Tracks of one frame at these joints."""
    tracks = tracker.start([box_of_joints(uv) for uv in joints])
    for track, uv in zip(tracks, joints):
        assert tracker.update(track, uv, score, SIZE)
    return tracks


def test_a_hand_that_moves_keeps_its_track():
    tracker = HandTracker()
    track, = started(tracker, hand(20, 20))
    for step in range(1, 10):
        uv = hand(20 + 10 * step, 20, side=30 + step)
        assert tracker.update(track, uv, .9, SIZE)
        np.testing.assert_allclose(track.box, box_of_joints(uv))
    assert tracker.tracks == [track] and track.age == 10


@pytest.mark.parametrize('reason, joints, score', [
    ('score', hand(20, 20), .8),
    ('grown', hand(20, 20, side=50), .9),
    ('shrunk', hand(20, 20, side=18), .9),
    ('out of the image', hand(190, 20), .9),
])
def test_a_hand_is_lost_by(reason, joints, score):
    tracker = HandTracker()
    track, = started(tracker, hand(20, 20))
    assert not tracker.update(track, joints, score, SIZE)
    assert tracker.tracks == []
    # and one that is nearly so is not
    track, = started(tracker, hand(20, 20))
    assert tracker.update(track, hand(22, 21, side=40), .85, SIZE)


def test_a_new_hand_may_be_of_another_size_than_its_box_but_not_tiny():
    tracker = HandTracker()
    track, = tracker.start([[0, 0, *SIZE]], whole_image=True)
    assert track.whole_image
    assert tracker.update(track, hand(50, 50, side=20), .9, SIZE)
    assert not track.whole_image
    track, = tracker.start([[150, 0, 200, 50]])
    assert not tracker.update(track, hand(150, 20, side=10), .9, SIZE)


def test_detections_on_a_followed_hand_start_no_second_track():
    tracker = HandTracker()
    first, = started(tracker, hand(20, 20))
    new = tracker.start([[22, 22, 52, 52], [100, 20, 130, 50]], [.9, .8])
    assert [track.id for track in new] == [first.id + 1]
    assert new[0].bbox_score == .8


def test_of_two_tracks_on_one_hand_the_younger_ends():
    tracker = HandTracker()
    old, = started(tracker, hand(20, 20))
    young, = started(tracker, hand(100, 20))
    assert tracker.update(old, hand(20, 20), .9, SIZE)
    assert not tracker.update(young, hand(20, 20), .9, SIZE)
    assert tracker.tracks == [old]


def test_iou_known_answers():
    box = np.array([0., 0, 2, 2])
    assert box_iou(box, box) == 1
    assert box_iou(box, np.array([1., 0, 3, 2])) == pytest.approx(1 / 3)
    assert box_iou(box, np.array([2., 2, 3, 3])) == 0
    assert box_iou(box[[0, 1, 0, 1]], box[[0, 1, 0, 1]]) == 0


# -- One-Euro filter ---------------------------------------------------------


def test_filter_known_answers():
    """Two steps by hand, with beta = 0: an exponential mean."""
    smooth = OneEuroFilter(min_cutoff=1)
    weight = 1 / (1 + 10 / (2 * np.pi))  # 1 Hz at steps of 0.1 s
    assert smooth(0., 0) == 0
    assert smooth(1., .1) == pytest.approx(weight)
    assert smooth(1., .2) == pytest.approx(weight + weight * (1 - weight))


def test_speed_raises_the_cutoff_frequency():
    slow, fast = OneEuroFilter(1, 0), OneEuroFilter(1, 5)
    ramp = np.arange(30.)
    lag = [
        ramp[-1] - [smooth(x, x / 30) for x in ramp][-1]
        for smooth in (slow, fast)
    ]
    assert 0 < lag[1] < lag[0] / 5


def test_filter_calms_noise_at_rest():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(300, 4))
    smooth = OneEuroFilter(1, .01)
    calm = np.array([smooth(x, i / 30) for i, x in enumerate(noise)])
    assert calm[30:].std() < .45 * noise.std()


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20), st.floats(.1, 10),
    st.floats(0, 10), st.floats(-1e3, 1e3))
def test_filter_stays_within_its_input_and_commutes_with_shifts(
        values, min_cutoff, beta, shift):
    plain, shifted = (OneEuroFilter(min_cutoff, beta) for _ in range(2))
    for i, value in enumerate(values):
        result = plain(value, i / 30)
        assert min(values) - 1e-6 <= result <= max(values) + 1e-6
        assert shifted(value + shift, i / 30) == pytest.approx(
            result + shift, abs=1e-6)


def test_the_same_frame_twice_changes_nothing():
    smooth = OneEuroFilter()
    smooth(0., 0)
    before = smooth(1., .1)
    assert smooth(9., .1) == before


def test_parameters_out_of_range():
    with pytest.raises(ValueError, match='must be positive'):
        OneEuroFilter(min_cutoff=0)
    with pytest.raises(ValueError, match='beta not negative'):
        OneEuroFilter(beta=-1)
