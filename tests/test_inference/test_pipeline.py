"""The pipeline on a network that is no file: only what it is given counts."""
import numpy as np
import pytest
from dataset_writers import FREIHAND_NAMES

from lgh_mmpose.geometry.crop import Crop
from lgh_mmpose.geometry.hand import HandSkeleton
from lgh_mmpose.inference.network import Joints, NetworkInfo
from lgh_mmpose.inference.pipeline import HandPose

BONE = ('middle_finger1', 'middle_finger2')
SKELETON = HandSkeleton.usual(FREIHAND_NAMES, BONE[0], BONE)
IMAGE = np.zeros((60, 80, 3), np.uint8)


class Toy:
    """Sees a spread hand in the middle of each crop, surer of light ones."""
    files = ()

    def __init__(self, crop=Crop(1.25, 1.)):  # noqa: B008
        self.info = NetworkInfo((32, 32), crop, SKELETON, (0, ) * 21)
        self.batches = []

    def __call__(self, images):
        self.batches.append(len(images))
        generator = np.random.default_rng(0)
        uv = np.repeat(generator.uniform(4, 28, (1, 21, 2)), len(images), 0)
        depth = np.repeat(generator.uniform(-1, 1, (1, 21)), len(images), 0)
        scores = images.reshape(len(images), -1).mean(-1, keepdims=True) / 255
        return Joints(
            uv.astype(np.float32), depth.astype(np.float32),
            np.repeat(scores, 21, 1).astype(np.float32))


def test_what_a_call_says_comes_before_the_pipeline():
    hand_pose = HandPose(Toy(), hand_side='right', fov=60)
    own, = hand_pose(IMAGE, fov=30, hand_side='left')
    assert (own.camera_source, own.hand_sides) == ('fov', ('left', ))
    assert own.camera_matrix[0, 0] == pytest.approx(40 / np.tan(np.pi / 12))
    before, = hand_pose(IMAGE)
    assert before.hand_sides == ('right', )
    assert before.camera_matrix[0, 0] == pytest.approx(40 * 3**.5)
    matrix = np.array([[70., 0, 40], [0, 70, 30], [0, 0, 1]])
    given, = hand_pose(IMAGE, camera_matrix=matrix)
    assert given.camera_source == 'given'
    for wrong, message in ((dict(fov=200), 'fov must lie'),
                           (dict(hand_side='both'), 'hand_side must be'),
                           (dict(fov=30, camera_matrix=matrix), 'not both')):
        with pytest.raises(ValueError, match=message):
            next(hand_pose(IMAGE, **wrong))


def test_frames_without_hands_keep_their_place():
    found = iter([2, 0, 1, 0])

    def detector(image):
        num = next(found)
        return np.tile([10., 10, 50, 40], (num, 1)), np.linspace(1, .5, num)

    network = Toy()
    hand_pose = HandPose(
        network, detector=detector, hand_side='right', batch_size=2)
    answers = list(hand_pose([IMAGE] * 4))
    assert [len(hands) for hands in answers] == [2, 0, 1, 0]
    assert [hands.frame for hands in answers] == [0, 1, 2, 3]
    assert answers[0].bbox_scores == (1., .5)
    assert network.batches == [2, 1]


@pytest.mark.parametrize('boxes, scores, expected', [
    ([[5, 5, 5, 5], [1, 2, 30, 40]], [.9, .8], [[1, 2, 30, 40]]),
    ([[np.nan, 0, 9, 9], [-9, -9, 20, 20]], [.9, .8], [[0, 0, 20, 20]]),
    ([[90, 5, 99, 20]], [.9], []),
    ([], [], []),
])
def test_what_a_detector_gives_is_cleaned(boxes, scores, expected):
    hands, = HandPose(
        Toy(), detector=lambda image: (boxes, scores), hand_side='left')(
            IMAGE)
    np.testing.assert_array_equal(hands.bboxes, np.reshape(expected, (-1, 4)))


def test_a_detector_of_another_kind_is_named():
    hand_pose = HandPose(Toy(), detector=lambda image: ([[1, 2, 3]], [1]))
    with pytest.raises(ValueError, match=r'boxes \(N, 4\) and scores \(N,\)'):
        next(hand_pose(IMAGE))


def test_a_padding_of_ones_own_leaves_the_network_alone():
    network = Toy()
    wide = HandPose(network, bbox_padding=2., hand_side='right')
    usual = HandPose(network, hand_side='right')
    box = [20, 10, 60, 50]
    (a, ), (b, ) = (p(IMAGE, box) for p in (wide, usual))
    sizes = [np.ptp(hands.keypoints[0], axis=0) for hands in (a, b)]
    np.testing.assert_allclose(sizes[0], sizes[1] * 2 / 1.25)
    assert network.info.crop.padding == 1.25
    with pytest.raises(ValueError, match='checkpoint belongs to a config'):
        HandPose(network, 'weights.pth')


def test_the_side_is_unknown_where_the_network_sees_both_alike():
    network = Toy(Crop(hand_side=None))
    hands, = HandPose(network)(IMAGE)
    assert (hands.hand_sides, hands.hand_side_source) == ((None, ), 'unknown')
    assert network.batches == [1]
    hands, = HandPose(network, hand_side='left')(IMAGE)
    assert (hands.hand_sides, hands.hand_side_source) == (('left', ), 'given')


def test_numbers_that_are_not_finite_are_refused():
    network = Toy()
    answer = network.__call__

    class Broken(Toy):

        def __call__(self, images):
            joints = answer(images)
            joints.uv[0, 3, 0] = np.nan
            return joints

    with pytest.raises(ValueError, match='not finite'):
        next(HandPose(Broken())(IMAGE))
