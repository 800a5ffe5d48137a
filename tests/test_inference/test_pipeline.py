"""The pipeline on a network that is no file: only what it is given counts."""
import threading

import numpy as np
import pytest
from dataset_writers import FREIHAND_NAMES

from lgh_mmpose.geometry.crop import Crop
from lgh_mmpose.geometry.hand import HandSkeleton
from lgh_mmpose.inference.detections import Detections
from lgh_mmpose.inference.network import Joints, NetworkInfo
from lgh_mmpose.inference.pipeline import HandPose
from lgh_mmpose.inference.sources import Frame, FrameSource
from lgh_mmpose.inference.tracking import OneEuroFilter, Smoothing

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
    np.testing.assert_array_equal(given.camera_matrix, matrix)
    of_camera = HandPose(Toy(), camera_matrix=matrix, bone_length=40)
    usual, = of_camera(IMAGE)
    assert (usual.camera_source, usual.bone_length) == ('given', 40)
    other, = of_camera(IMAGE, fov=30, bone_length=50)
    assert (other.camera_source, other.bone_length) == ('fov', 50)
    np.testing.assert_array_equal(other.camera_matrix, own.camera_matrix)
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


@pytest.mark.parametrize('part', ['uv', 'depth'])
def test_numbers_that_are_not_finite_are_refused(part):

    class Broken(Toy):

        def __call__(self, images):
            joints = super().__call__(images)
            getattr(joints, part)[0, 3] = np.nan
            return joints

    with pytest.raises(ValueError, match='not finite'):
        next(HandPose(Broken())(IMAGE))


def test_photos_and_films_come_in_their_order():
    photos = [Frame(name, 0, None, IMAGE, None) for name in 'abc']
    film = list(film_of([IMAGE] * 2))
    frames = [*photos[:2], *film, photos[2]]
    hand_pose = HandPose(Toy(), hand_side='right')
    answers = list(hand_pose.run(FrameSource(frames)))
    assert [frame for frame, _ in answers] == frames
    assert [(hands.source, hands.frame, hands.time)
            for _, hands in answers] == [frame[:3] for frame in frames]


def test_of_a_camera_the_newest_frame_is_next():
    answered, all_read = threading.Event(), threading.Event()

    def camera():
        for i in range(6):
            yield Frame('webcam:0', i, i / 30, IMAGE, 30.)
            if i == 0:
                answered.wait(20)
        all_read.set()

    hand_pose = HandPose(Toy(), hand_side='right')
    answers = hand_pose(FrameSource(camera(), live=True))
    assert next(answers).frame == 0
    answered.set()
    assert all_read.wait(20)
    assert [hands.frame for hands in answers] == [5]


# -- sides -------------------------------------------------------------------


class Sided(Toy):
    """Sees a hand that fills its box, right where the left half is lighter."""

    def __init__(self):
        super().__init__(Crop(1.25, 1.25, use_udp=True))

    def __call__(self, images):
        self.batches.append(len(images))
        grid = np.linspace(-1, 1, 21)
        # the hand is as large as the box in the crop, so the box stays
        uv = 15.5 * (1 + np.stack([grid, grid[::-1]], -1) / 1.25)
        left, right = (
            images[:, :, 8:24, columns].mean((1, 2, 3))
            for columns in (slice(6, 12), slice(20, 26)))
        scores = .5 + .02 * (left - right) / 255
        num = len(images)
        return Joints(
            np.repeat(uv[None], num, 0).astype(np.float32),
            np.repeat(grid[None], num, 0).astype(np.float32),
            np.repeat(scores[:, None], 21, 1).astype(np.float32))


def halves(difference, size=64):
    """An image whose left half is lighter by so much."""
    image = np.full((size, size, 3), 120, np.uint8)
    image[:, :size // 2] += np.uint8(max(difference, 0))
    image[:, size // 2:] += np.uint8(max(-difference, 0))
    return image


def film_of(images):
    return FrameSource([
        Frame('film', i, i / 30, image, 30.) for i, image in enumerate(images)
    ])


def test_the_evidence_of_a_track_decides_its_side():
    differences = [100, -30, -30, -30, -30, -30, 30]
    answers = HandPose(Sided())(film_of(map(halves, differences)))
    # by the sign of 100, 70, 40, 10, -20, -50, -20
    assert [hands.hand_sides
            for hands in answers] == [('right', )] * 4 + [('left', )] * 3


@pytest.mark.parametrize('difference, side', [(10, 'right'), (-10, 'left')])
def test_the_side_is_settled_after_15_frames(difference, side):
    images = [halves(difference)] * 15 + [halves(-10 * difference)] * 3
    network = Sided()
    answers = list(HandPose(network)(film_of(images)))
    assert {hands.hand_sides for hands in answers} == {(side, )}
    assert {hands.tracks for hands in answers} == {(0, )}
    assert {hands.hand_side_source for hands in answers} == {'estimated'}
    assert network.batches == [2] * 15 + [1] * 3


def test_each_hand_of_a_batch_has_its_own_side():
    differences = [[50, -80, 20], [-40, 70, -30]]
    images = [np.concatenate([*map(halves, row)], 1) for row in differences]
    boxes = [[64 * i, 0, 64 * (i + 1) - 1, 63] for i in range(3)]
    network = Sided()
    hand_pose = HandPose(network, batch_size=5)
    together = list(hand_pose(images, boxes))
    assert [hands.hand_sides
            for hands in together] == [('right', 'left', 'right'),
                                       ('left', 'right', 'left')]
    # 12 crops
    assert network.batches == [5, 5, 2]
    for hands, image, row in zip(together, images, differences):
        for i, box in enumerate(boxes):
            alone, = hand_pose(image, box)
            for key in ('bboxes', 'keypoints', 'scores', 'keypoints_cam'):
                np.testing.assert_allclose(
                    getattr(hands, key)[i], getattr(alone, key)[0], rtol=1e-6)
        assert np.argsort(hands.scores.mean(1)).tolist() == np.argsort(
            np.abs(row)).tolist()


# -- smoothing ---------------------------------------------------------------


class Shaky(Toy):
    """The lighter the image, the deeper the hand."""

    def __call__(self, images):
        joints = super().__call__(images)
        light = images.reshape(len(images), -1).mean(-1, keepdims=True) / 255
        return joints._replace(
            depth=(joints.depth * (.5 + light)).astype(np.float32),
            scores=np.full_like(joints.scores, .5))


def shaky(**options):
    images = [np.full_like(IMAGE, v) for v in (90, 200, 60, 255, 120, 30)]
    hand_pose = HandPose(Shaky(), fov=60, hand_side='right', **options)
    answers = list(hand_pose(film_of(images)))
    assert {hands.tracks for hands in answers} == {(0, )}
    return np.stack([hands.keypoints_cam[0] for hands in answers])


def test_depths_are_smoothed_on_the_scale_of_a_hand():
    raw = shaky(bone_length=40)
    smooth = shaky(bone_length=40, smoothing=Smoothing())
    # a hand is as long as four reference bones
    one_euro = OneEuroFilter(*Smoothing())
    expected = [
        one_euro(xyz[:, 2:], i / 30, 160.)[:, 0] for i, xyz in enumerate(raw)
    ]
    np.testing.assert_allclose(smooth[..., 2], expected)
    assert np.abs(smooth - raw).max() > 1
    # which does not depend on the unit
    bones = shaky(bone_length='none', smoothing=Smoothing())
    root = SKELETON.root_index
    np.testing.assert_allclose(
        40 * bones, smooth - smooth[:, [root]], atol=1e-6)


class Telling(Toy):
    """Sees a hand that points up in its crop, the more likely a right one the
    lighter the right half is than the left one; surer the lighter the upper
    half is than the lower one."""

    def __init__(self, **crop):
        super().__init__(Crop(1.25, 1.25, hand_side=None, **crop))
        self.info = self.info._replace(gives_side=True)
        self.crops = []

    def __call__(self, images):
        self.batches.append(len(images))
        self.crops += list(images)
        num = len(images)
        # as large as the box in the crop, so that the box stays
        u = np.linspace(3.2, 28.8, 21)
        v = np.linspace(28.8, 3.2, 21)
        u[9], v[9] = u[0], v[0] - 12
        upper, lower = (
            images[:, :, rows, 8:24].mean((1, 2, 3)) / 255
            for rows in (slice(4, 12), slice(20, 28)))
        scores = .5 + .3 * (upper - lower)
        left, right = (
            images[:, :, 12:20, columns].mean((1, 2, 3)) / 255
            for columns in (slice(8, 16), slice(16, 24)))
        return Joints(
            np.tile(np.stack([u, v], -1)[None], (num, 1, 1)).astype('f4'),
            np.zeros((num, 21), 'f4'),
            np.repeat(scores[:, None], 21, 1).astype('f4'),
            (.5 + (right - left) / 2).astype('f4'))


def leaning(difference):
    """An image whose right half is so much lighter than the left one."""
    image = np.full((64, 64, 3), 127, np.uint8)
    image[:, 32:] += np.uint8(difference % 256)
    return image


@pytest.mark.parametrize('difference, side', [(90, 'right'), (-60, 'left')])
def test_a_network_that_tells_the_side_looks_into_the_mirror(difference, side):
    network = Telling()
    image = leaning(difference)
    hands, = HandPose(network)(image)
    assert (hands.hand_sides, hands.hand_side_source) == ((side, ),
                                                          'estimated')
    assert network.batches == [1, 1]
    np.testing.assert_array_equal(network.crops[0][..., ::-1],
                                  network.crops[1])
    # and takes the mean: the toy's joints lie otherwise in the mirror
    np.testing.assert_allclose(
        hands.keypoints[0, :, 0], hands.keypoints[0, 0, 0], atol=1e-6)
    given, = HandPose(network, hand_side='left')(image)
    assert (given.hand_sides, given.hand_side_source) == (('left', ), 'given')


@pytest.mark.parametrize('given', [False, True])
def test_the_second_look_is_at_the_joints_of_a_detection(given):
    network = Telling()
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    box = np.array([[10., 10, 50, 40]])
    hand_pose = HandPose(
        network,
        bbox_padding=1.5,  # the toy's joints are 1.2 times the box
        detector=lambda image: (box, [1.]))
    next(hand_pose(image, bboxes=box if given else None))
    first, second = network.crops
    assert np.array_equal(first[..., ::-1], second) is given


def test_the_side_of_a_film_is_that_of_its_frames_together():
    left, right = leaning(-60), leaning(30)
    sides = [
        hands.hand_sides[0]
        for hands in HandPose(Telling())(film_of([left] * 3 + [right] * 2))
    ]
    assert sides == ['left'] * 5


def pointing_to(direction):
    """An image that grows lighter in a direction."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    value = 127 + 80 * (x * direction[0] + y * direction[1])
    return np.repeat(value[..., None], 3, 2).astype(np.uint8)


WAYS = [(0., -1.), (1., 0.), (0., 1.), (-1., 0.)]


def direction_of(hands):
    way = hands.keypoints[0, 9] - hands.keypoints[0, 0]
    return way / np.linalg.norm(way)


@pytest.mark.parametrize('way', WAYS)
def test_a_hand_of_unknown_direction_is_looked_at_from_all_sides(way):
    network = Telling(upright=True)
    hands, = HandPose(network)(pointing_to(way), bboxes=[12, 12, 52, 52])
    assert network.batches == [4, 1]
    np.testing.assert_allclose(direction_of(hands), way, atol=1e-6)


@pytest.mark.parametrize('way', WAYS + [(.6, -.8)])
def test_a_known_direction_is_taken(way):
    network = Telling(upright=True)
    hands, = HandPose(network)(
        IMAGE, bboxes=[12, 12, 52, 52], directions=[3 * np.array(way)])
    assert network.batches == [1, 1]
    np.testing.assert_allclose(direction_of(hands), way, atol=1e-6)


@pytest.mark.parametrize('boxes', [None, [[10, 10, 50, 50]]])
def test_the_detector_tells_the_direction(boxes):

    def detector(image):
        return Detections(
            np.array([[60., 60, 70, 70], [12, 12, 52, 52]]),
            np.array([.9, .8]), ('left', 'right'),
            np.array([[0., 1], [.6, -.8]]))

    network = Telling(upright=True)
    image = np.zeros((80, 80, 3), np.uint8)
    hands, = HandPose(network, detector=detector)(image, bboxes=boxes)
    way = hands.keypoints[-1, 9] - hands.keypoints[-1, 0]
    np.testing.assert_allclose(way / np.linalg.norm(way), [.6, -.8])
    if boxes is not None:  # 12 px of 32 for 1.25 times the box of 40 px
        np.testing.assert_allclose(np.linalg.norm(way), 12 * 50 / 32)
    # a look along it, to both sides, and one along what the best says
    assert network.batches == [len(hands), 2 * len(hands), len(hands)]


def test_a_sure_network_looks_to_no_side():
    found = Detections(
        np.array([[12., 12, 52, 52]]), np.ones(1), None, np.array([[0., -1]]))
    image = np.zeros((64, 64, 3), np.uint8)

    class Sure(Telling):

        def __call__(self, images):
            joints = super().__call__(images)
            return joints._replace(scores=np.full_like(joints.scores, .98))

    network = Sure(upright=True)
    hands, = HandPose(network, detector=lambda image: found)(image)
    assert network.batches == [1, 1]
    np.testing.assert_allclose(hands.scores, .98, atol=1e-6)


def unsure_of(boxes, hand_thr):
    """A network that doubts of what is dark, and a detector that does not."""
    network = Telling()
    network.info = network.info._replace(hand_thr=hand_thr)

    def detector(image):
        return Detections(np.array(boxes, float), np.full(len(boxes), .9))

    return network, detector


# a hand by the toy's measure, whose upper half is light, and another thing
SCENE = np.zeros((64, 128, 3), np.uint8)
SCENE[:32, :64] = 255
SCENE_BOXES = [[12, 12, 52, 52], [76, 12, 116, 52]]


def test_what_the_network_doubts_of_is_no_hand():
    network, detector = unsure_of(SCENE_BOXES, .3)
    hands, = HandPose(network, detector=detector)(SCENE)
    np.testing.assert_array_equal(hands.bboxes, SCENE_BOXES[:1])
    assert .9 * hands.scores.mean()**4 > .3
    # unless it is to believe the detector, or somebody says where hands are
    for options, boxes in ((dict(hand_thr=0), None), (dict(), SCENE_BOXES)):
        hands, = HandPose(
            network, detector=detector, **options)(
                SCENE, bboxes=boxes)
        assert len(hands.bboxes) == 2
    none, = HandPose(network, detector=detector, hand_thr=.95)(SCENE)
    assert not len(none.bboxes)


def test_what_is_hopeless_is_looked_at_once():
    network = Telling(upright=True)
    network.info = network.info._replace(hand_thr=.3)
    found = Detections(
        np.array([[12., 12, 52, 52]]), np.ones(1), None, np.array([[0., -1]]))
    hands, = HandPose(network, detector=lambda image: found)(SCENE[:, 64:])
    assert not len(hands.bboxes) and network.batches == [1]


def test_what_the_network_doubts_of_is_not_followed():
    network, detector = unsure_of(SCENE_BOXES, .3)
    for hands in HandPose(network, detector=detector)(film_of([SCENE] * 3)):
        assert hands.tracks == (0, )


def test_a_network_that_cannot_doubt_believes_the_detector():
    network, detector = unsure_of(SCENE_BOXES, None)
    hands, = HandPose(network, detector=detector)(SCENE)
    assert len(hands.bboxes) == 2


def test_a_threshold_out_of_range_is_named():
    with pytest.raises(ValueError, match='hand_thr must lie in 0 to 1'):
        HandPose(Toy(), hand_thr=1.5)


@pytest.mark.parametrize('degrees', [-30, 30])
def test_a_rough_direction_is_mended_by_the_best_look(degrees):
    way = np.array([.6, -.8])
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    found = Detections(
        np.array([[12., 12, 52, 52]]), np.ones(1), None,
        np.array([[cos * .6 + sin * .8, sin * .6 - cos * .8]]))
    hands, = HandPose(
        Telling(upright=True), detector=lambda image: found)(
            pointing_to(way))
    np.testing.assert_allclose(direction_of(hands), way, atol=1e-6)


def test_in_a_film_the_frame_before_tells_the_direction():
    network = Telling(upright=True)
    image = pointing_to((1., 0.))
    answers = list(HandPose(network)(film_of([image] * 3)))
    # looked at from all sides once
    assert network.batches[:2] == [4, 1] and set(network.batches[2:]) == {1}
    for hands in answers:
        np.testing.assert_allclose(direction_of(hands), [1, 0], atol=1e-6)


@pytest.mark.parametrize(
    'directions', [[[1, 0]], [[0, 0], [0, 1]], 'up', [[1, 0], [np.nan, 1]]])
def test_directions_that_are_none_are_refused(directions):
    with pytest.raises(ValueError, match='directions must be'):
        HandPose(Telling(upright=True))(
            IMAGE, bboxes=[[5, 5, 40, 40]] * 2,
            directions=directions).__next__()
    with pytest.raises(ValueError, match='directions must be'):
        next(HandPose(Toy())(IMAGE, directions=[[1, 0]]))


def test_directions_of_another_shape_are_named():

    def detector(image):
        return Detections(
            np.array([[5., 5, 40, 40]]), np.ones(1), None, np.ones((2, 2)))

    with pytest.raises(ValueError, match=r'directions \(N, 2\)'):
        next(HandPose(Telling(upright=True), detector=detector)(IMAGE))


def test_a_side_that_is_told_settles():
    left, right = leaning(-10), leaning(120)
    sides = [
        hands.hand_sides[0]
        for hands in HandPose(Telling())(film_of([left] * 16 + [right] * 8))
    ]
    assert sides == ['left'] * 24


def test_a_detector_corrects_the_direction_of_a_track():
    """A network that knows upright hands alone believes what it is shown."""
    ways = iter([(0., 1.)] + [(0., -1.)] * 9)

    def detector(image):
        return Detections(
            np.array([[12., 12, 52, 52]]), np.ones(1), None,
            np.array([next(ways)]))

    image = np.full((64, 64, 3), 100, np.uint8)
    answers = list(
        HandPose(Telling(upright=True), detector=detector,
                 det_interval=1)(film_of([image] * 4)))
    np.testing.assert_allclose(direction_of(answers[0]), [0, 1], atol=1e-6)
    np.testing.assert_allclose(direction_of(answers[-1]), [0, -1], atol=1e-6)


@pytest.mark.parametrize('answer', [None, (1, ), 'hands'])
def test_a_detector_that_gives_something_else_is_named(answer):
    with pytest.raises(ValueError, match='the detector must give'):
        next(HandPose(Toy(), detector=lambda image: answer)(IMAGE))


def test_a_detector_that_does_not_know_the_way_is_not_believed():
    network = Telling(upright=True)
    found = Detections(
        np.array([[12., 12, 52, 52]]), np.ones(1), None, np.zeros((1, 2)))
    hands, = HandPose(
        network, detector=lambda image: found)(
            pointing_to((1., 0.)))
    np.testing.assert_allclose(direction_of(hands), [1, 0], atol=1e-6)


def test_upright_networks_need_joints_that_point():
    network = Telling(upright=True)
    names = tuple(name.upper() for name in FREIHAND_NAMES)
    network.info = network.info._replace(
        skeleton=network.info.skeleton._replace(joint_names=names))
    with pytest.raises(ValueError, match='has no joint wrist'):
        HandPose(network)
