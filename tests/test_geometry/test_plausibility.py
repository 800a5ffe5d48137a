"""Which hands, cameras and boxes there are, and the unit that was meant."""
import json

import numpy as np
import pytest
from dataset_writers import FREIHAND_NAMES
from helpers import REPO_ROOT, toy_hand
from hypothesis import given
from hypothesis import strategies as st

from lgh_mmpose.apis import camera_of_fov
from lgh_mmpose.geometry import plausibility as P

BONE = ('middle_finger1', 'middle_finger2')


@pytest.mark.parametrize(
    'length',
    [
        44.6,  # an adult
        44.6 - 3 * 3.8,
        44.6 + 3 * 3.8,
        44.6 * 6.5 / 19,  # a newborn
        44.6 * 32 / 19,  # the longest hand measured
        34.6,  # RHD
        25.,
    ])
def test_hands_of_all_sizes_are_hands(length):
    assert P.find_bone_fault(length, BONE) is None
    assert P.find_bone_fault(length) is None


@given(
    length=st.floats(26., 78.),
    meant=st.sampled_from(sorted(P.UNITS)),
    taken=st.sampled_from(sorted(P.UNITS)))
def test_the_unit_that_was_meant_is_told(length, meant, taken):
    """Of all hands from a child of two to the largest."""
    number = length / P.UNITS[meant]
    wrong = number * P.UNITS[taken]
    fault = P.find_bone_fault(wrong, BONE, taken)
    if meant == taken:
        assert fault is None
    else:
        assert f'seem to be in {meant}, they must be in {taken}' in fault


@pytest.mark.parametrize(
    'length',
    [0, -1, float('nan'),
     float('inf'), 1e300, 5e-324,
     float(10**300)])
def test_what_is_no_length_has_no_unit(length):
    assert 'lengths are in mm' in P.find_bone_fault(length, BONE)
    assert P.probable_unit(length / 46.9) is None


def test_a_bone_the_other_way_round_and_a_longer_one():
    assert P.find_bone_fault(10., BONE[::-1]) is not None
    assert P.find_bone_fault(190., ('wrist', 'middle_finger1')) is None
    assert P.find_bone_fault(190., BONE) is not None
    # of a hand of another make, where any bone may be
    assert P.find_bone_fault(190., ('a', 'b')) is None
    assert 'in cm' in P.find_bone_fault(4.5, ('a', 'b'))


def test_size_of_a_hand_is_that_of_its_bones():
    hands = 1000 * np.stack(
        [toy_hand(np.random.default_rng(i)) for i in range(4)])
    sizes = P.hand_sizes(hands, FREIHAND_NAMES)
    assert ((sizes > .8) & (sizes < 1.3)).all()
    np.testing.assert_allclose(
        P.hand_sizes(hands / 10, FREIHAND_NAMES), sizes / 10)
    # in any order, and a joint that is off changes little
    order = np.random.default_rng(0).permutation(21)
    np.testing.assert_allclose(
        P.hand_sizes(hands[:, order], [FREIHAND_NAMES[i] for i in order]),
        sizes)
    hands[:, 4] += 1000
    assert (abs(P.hand_sizes(hands, FREIHAND_NAMES) - sizes) < .1).all()


def test_joints_without_annotation_do_not_count():
    hand = 1000 * np.stack([toy_hand(np.random.default_rng(0))] * 3)
    visible = np.ones((3, 21), bool)
    visible[1, 9:13] = False
    visible[2, 4:] = False
    expected = P.hand_sizes(hand[:1], FREIHAND_NAMES)[0]
    wild = np.where(visible[..., None], hand, 1e5)
    sizes = P.hand_sizes(wild, FREIHAND_NAMES, visible)
    assert sizes[0] == expected
    assert sizes[1] == pytest.approx(expected, rel=.1)
    # four bones are no hand
    assert np.isnan(sizes[2])


@given(st.integers(0, 2**21 - 1))
def test_median_of_the_annotated_bones(bits):
    visible = np.array([[bits >> i & 1 for i in range(21)]], bool)
    hand = 1000 * toy_hand(np.random.default_rng(1))
    ratios = []
    for bone, length in P.HAND_BONE_LENGTHS.items():
        a, b = map(FREIHAND_NAMES.index, bone)
        if visible[0, a] and visible[0, b]:
            ratios.append(np.linalg.norm(hand[a] - hand[b]) / length)
    size, = P.hand_sizes(hand[None], FREIHAND_NAMES, visible)
    if len(ratios) < 5:
        assert np.isnan(size)
    else:
        assert size == pytest.approx(np.median(ratios))


def test_hands_of_rhd_are_hands():
    path = REPO_ROOT.parent / 'shared/samples/rhd/test_rhd.json'
    if not path.is_file():
        pytest.skip('no samples of RHD beside the repository')
    content = json.loads(path.read_text())
    order = [0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19,
             18, 17]  # yapf: disable
    hands = np.array([ann['joint_cam'] for ann in content['annotations']])
    sizes = P.hand_sizes(hands[:, order], FREIHAND_NAMES)
    assert ((sizes > .5) & (sizes < 1.5)).all()


# -- cameras -----------------------------------------------------------------


@pytest.mark.parametrize('focal, size', [
    (822.8, (640, 480)),
    (299, (320, 320)),
    (480, (224, 224)),
    (3500, (200, 150)),
    (-600, (640, 480)),
    (140, (640, 480)),
])
def test_cameras_of_all_kinds(focal, size):
    assert P.find_camera_fault(np.diag([focal, focal, 1.]), size) is None


@pytest.mark.parametrize('focal, advice', [
    (.9, 'shares of the image size'),
    (4.25, 'in pixels'),
    (50, 'in pixels'),
    (.00425, 'in pixels'),
    (1e9, 'in pixels'),
    (1e200, 'in pixels'),
    (float('nan'), 'in pixels'),
])
def test_focal_lengths_that_are_not_in_pixels(focal, advice):
    fault = P.find_camera_fault(np.diag([focal, focal, 1.]), (640, 480))
    assert advice in fault and '640 x 480' in fault


def test_a_principal_point_beyond_all_measure():
    matrix = np.array([[600., 0, -5000], [0, 600, 9000], [0, 0, 1]])
    assert P.find_camera_fault(matrix, (640, 480)) is None  # of a crop
    matrix[0, 2] = 1e308
    assert 'principal point of 1e+308' in P.find_camera_fault(
        matrix, (640, 480))


@pytest.mark.parametrize('fov', [1, 60, 135])
def test_cameras_of_an_angle_of_view(fov):
    """All that the inferencer takes."""
    for size in ((640, 480), (1, 1), (32766, 9)):
        assert P.find_camera_fault(camera_of_fov(size, fov), size) is None


# -- images and boxes --------------------------------------------------------


def test_sizes_must_agree():
    assert P.find_size_fault((640, 480), (640, 480)) is None
    assert '320 x 240 px, its annotation says 640 x 480' in P.find_size_fault(
        (640, 480), (320, 240))
    assert 'EXIF' in P.find_size_fault((640, 480), (480, 640))


@pytest.mark.parametrize('bbox, joint, fault', [
    ([10, 10, 50, 50], (20, 20), None),
    ([-40, -40, 1, 1], (0, 0), None),
    ([90, 70, 300, 300], (99.4, 79.4), None),
    ([100, 10, 150, 50], (20, 20), 'the box from 100, 10 to 150, 50 lies out'),
    ([10, 80, 50, 90], (20, 20), 'lies outside of the image of 100 x 80 px'),
    ([-50, 10, 0, 50], (20, 20), 'lies outside'),
    ([10, 10, 50, 50], (100, 20), 'no joint lies in the image of 100 x 80'),
    ([10, 10, 50, 50], (20, -1), 'no joint lies'),
    ([10, 10, np.nan, 50], (20, 20), 'lies outside'),
])
def test_boxes_and_joints_outside(bbox, joint, fault):
    found = P.find_placement_fault((100, 80), bbox, np.array([joint]))
    assert found is None if fault is None else fault in found


def test_one_joint_in_the_image_is_enough():
    joints = np.array([[200., 200.], [50., 50.]])
    assert P.find_placement_fault((100, 80), [0, 0, 50, 50], joints) is None


def test_a_box_holds_a_joint():
    fault = P.find_placement_fault((100, 80), [0, 0, 9, 9], np.full((2, 2),
                                                                    50.))
    assert fault == 'no joint lies in the box from 0, 0 to 9, 9'


@given(st.integers(0, 1000), st.floats(1., 2.), st.integers(1, 20))
def test_corners_are_told_from_sizes(seed, padding, num):
    rng = np.random.default_rng(seed)
    size = np.array([640, 480])
    side = rng.uniform(40, 120, (num, 2))
    low = rng.uniform(60, size - side - 60, (num, 2))
    half = side / 2 * padding
    centre = low + side / 2
    corners = np.concatenate([centre - half, centre + half], 1)
    corners = np.clip(corners, 0, np.tile(size, 2))
    sizes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]],
                           1)
    joints = np.concatenate([low, low + side], 1)
    sizes_of_images = np.tile(size, (num, 1))
    assert P.find_boxes_fault(sizes, joints, sizes_of_images) is None
    shares = sizes / np.tile(size, 2)
    assert 'shares' in P.find_boxes_fault(shares, joints, sizes_of_images)
    centred = np.concatenate([centre, 2 * half], 1)
    assert '[centre x' in P.find_boxes_fault(centred, joints, sizes_of_images)
    # unless they were cut at the border, the joints are in their middle
    if (corners > 0).all() and (corners[:, 2:] < size).all():
        assert '[left' in P.find_boxes_fault(corners, joints, sizes_of_images)


@pytest.mark.parametrize('boxes', [[3, 4, 8.5, 12], [[3, 4, 8.5, 12]],
                                   np.array([[3, 4, 8.5, 12]], np.float32)])
def test_boxes_may_be_one_or_several(boxes):
    np.testing.assert_array_equal(P.check_boxes(boxes), [[3, 4, 8.5, 12]])


@pytest.mark.parametrize(
    'boxes',
    [[0, 0, 0, 5], [5, 5, 1, 9], [0, 0, 1], [0, 0, float('nan'), 5],
     [0, 0, 1e30, 9], [0, 0, 10**401, 9], ['0', '0', '9', '9'], None, 'box', 5,
     [], [[[0, 0, 9, 9]]], [[0, 0, 9, 9], [0, 0]]],
    ids=range(13))
def test_what_is_no_box_is_refused(boxes):
    with pytest.raises(
            ValueError, match='bboxes must be .N, 4. or .4,.: left'):
        P.check_boxes(boxes)


@pytest.mark.parametrize('box',
                         [[.2, .3, .7, .8], [0, 0, 1, 1], [10, 10, 11.5, 60]])
def test_boxes_that_can_hold_no_hand_are_refused(box):
    with pytest.raises(ValueError, match='not in shares of the image'):
        P.check_boxes([[0, 0, 9, 9], box])


@pytest.mark.parametrize(
    'centre, size, suits',
    [
        ((112, 112), (224, 224), True),  # FreiHAND
        ((318.5, 250.3), (640, 480), True),  # STB
        ((325, 249), (640, 480), True),  # Dexter+Object
        ((110, 120), (224, 224), True),
        ((112, 112), (1920, 1080), False),  # of a crop
        ((960, 540), (224, 224), False),
        ((640, 360), (1920, 1080), False),  # of another resolution
        ((960, 540), (1280, 720), False),
        ((540, 960), (1920, 1080), False),  # of an upright photo
        ((320, 240), (640, 360), False),  # of one with more at top and bottom
        ((-5, 112), (224, 224), False),
    ])
def test_a_camera_suits_images_of_its_size(centre, size, suits):
    matrix = np.array([[500., 0, centre[0]], [0, 500, centre[1]], [0, 0, 1]])
    assert P.camera_suits_image(matrix, size) == suits
