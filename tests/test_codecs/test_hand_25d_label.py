from functools import partial

import cv2
import numpy as np
import pytest
from geometry_strategies import bone_sine, cameras, floats, hands
from helpers import toy_hand
from hypothesis import assume, given
from hypothesis import strategies as st
from mmpose.datasets.transforms import GenerateTarget, KeypointConverter
from mmpose.registry import KEYPOINT_CODECS

from lgh_mmpose.codecs import Hand25DLabel
from lgh_mmpose.geometry.camera import project, warp_points

SIZE = (128, 160)
CAMERA = np.array([[500., 0., 112.], [0., 510., 110.], [0., 0., 1.]])
HAND = toy_hand(np.random.default_rng(3)) * 1000
BONE = np.linalg.norm(HAND[9] - HAND[10])
CODEC = Hand25DLabel(SIZE)


def exact_labels(hand, camera, bone_length, warp=None):
    """What ``encode`` gives, in float64."""
    uv = project(hand, camera)
    if warp is not None:
        uv = warp_points(uv, warp)
    depth = (hand[:, 2] - hand[9, 2]) / bone_length
    return np.concatenate([uv, depth[:, None]], axis=-1)[None]


@st.composite
def warps(draw):
    """Crop, rotation, scale and mirror as one matrix, (3, 3)."""
    warp = np.eye(3)
    warp[:2] = cv2.getRotationMatrix2D(
        (draw(floats(0, 600)), draw(floats(0, 600))), draw(floats(-180, 180)),
        draw(floats(.3, 4.)))
    warp[:2, 2] += [draw(floats(-300, 300)), draw(floats(-300, 300))]
    if draw(st.booleans()):
        warp = np.array([[-1., 0., SIZE[0] - 1], [0., 1., 0.], [0., 0., 1.]
                         ]) @ warp
    return warp


def test_is_built_from_mmpose_registry():
    codec = KEYPOINT_CODECS.build(dict(type='Hand25DLabel', input_size=SIZE))
    assert codec.root_index == 9
    assert codec.reference_indices == (9, 10)


def test_encode_known_answers():
    keypoints = np.arange(42.).reshape(1, 21, 2)
    keypoints_cam = np.zeros((1, 21, 3))
    keypoints_cam[..., 2] = 600. + np.arange(21)
    keypoints_cam[0, 9] = 0, 0, 700
    keypoints_cam[0, 10] = 30, 0, 740  # the reference bone is 50 mm
    encoded = CODEC.encode(keypoints, keypoints_cam=keypoints_cam)

    labels = encoded['keypoint_labels']
    assert labels.shape == (1, 21, 3) and labels.dtype == np.float32
    np.testing.assert_array_equal(labels[..., :2], keypoints)
    assert labels[0, 9, 2] == 0
    assert labels[0, 10, 2] == pytest.approx(.8)
    assert labels[0, 0, 2] == pytest.approx(-2.)


def test_bone_length_of_the_data_set_goes_before_that_of_the_joints():
    keypoints = project(HAND, CAMERA)[None]
    own = CODEC.encode(keypoints, keypoints_cam=HAND[None])
    given = CODEC.encode(
        keypoints, keypoints_cam=HAND[None], bone_length=2 * BONE)
    np.testing.assert_allclose(given['keypoint_labels'][..., 2] * 2,
                               own['keypoint_labels'][..., 2])


def test_occluded_and_outside_joints_are_supervised_unannotated_are_not():
    keypoints = np.full((1, 21, 2), -500.)  # outside the input
    visible = np.ones((1, 21), dtype=np.float32)
    visible[0, 4] = 0
    weights = CODEC.encode(keypoints, visible, HAND[None])['keypoint_weights']
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(weights, visible)


def test_a_hand_without_3d_joints_teaches_pixels_alone():
    keypoints = project(HAND, CAMERA)[None]
    encoded = CODEC.encode(keypoints)
    np.testing.assert_allclose(
        encoded['keypoint_labels'][..., :2], keypoints, rtol=1e-6)
    assert (encoded['keypoint_weights'] == 1).all()
    assert (encoded['depth_weights'] == 0).all()
    assert encoded['depth_weights'].dtype == np.float32


def test_depths_without_their_root_teach_nothing():
    visible = np.ones((1, 21))
    visible[0, 9] = 0
    encoded = CODEC.encode(
        project(HAND, CAMERA)[None], visible, HAND[None], bone_length=BONE)
    np.testing.assert_array_equal(encoded['keypoint_weights'], visible)
    assert (encoded['depth_weights'] == 0).all()


def test_weights_of_pixels_and_depths_go_their_own_ways():
    pixels, depths = np.linspace(0, 1, 21)[None], np.linspace(2, 0, 21)[None]
    visible = np.ones((1, 21))
    visible[0, 4] = 0
    encode = partial(CODEC.encode,
                     project(HAND, CAMERA)[None], visible, HAND[None])
    both = encode(keypoint_weights=pixels, depth_weights=depths)
    np.testing.assert_allclose(both['keypoint_weights'], visible * pixels)
    np.testing.assert_allclose(both['depth_weights'], visible * depths)
    one = encode(keypoint_weights=pixels)
    np.testing.assert_allclose(one['depth_weights'], visible * pixels)


@pytest.mark.parametrize('weights', [
    np.full((1, 21), -.1),
    np.full((1, 21), np.nan),
    np.ones((1, 20)),
    np.ones(21),
])
@pytest.mark.parametrize('name', ['keypoint_weights', 'depth_weights'])
def test_bad_weights_are_named(name, weights):
    with pytest.raises(ValueError, match=f'{name} must be finite'):
        CODEC.encode(
            project(HAND, CAMERA)[None],
            keypoints_cam=HAND[None],
            **{name: weights})


def test_generate_target_hands_over_what_encode_needs():
    results = dict(
        transformed_keypoints=project(HAND, CAMERA)[None],
        keypoints_visible=np.ones((1, 21), dtype=np.float32),
        keypoints_cam=HAND[None],
        bone_length=2 * BONE)
    transform = GenerateTarget(dict(type='Hand25DLabel', input_size=SIZE))
    labels = transform(results)['keypoint_labels']
    expected = exact_labels(HAND, CAMERA, 2 * BONE)
    np.testing.assert_allclose(labels, expected, rtol=1e-6)


@pytest.mark.parametrize('argument, value', [
    ('root_joint', 'middle_finger'),
    ('reference_bone', ('wrist', 'elbow')),
])
def test_unknown_joint_names(argument, value):
    unknown = value if isinstance(value, str) else value[1]
    with pytest.raises(ValueError) as error:
        Hand25DLabel(SIZE, **{argument: value})
    assert f'{unknown!r} in {argument}' in str(error.value)
    assert 'middle_finger1' in str(error.value)


def test_reference_bone_needs_two_joints():
    with pytest.raises(ValueError, match='two different joints'):
        Hand25DLabel(SIZE, reference_bone=('wrist', 'wrist'))


def test_other_joint_orders_are_understood_by_name():
    rhd = Hand25DLabel(
        SIZE, metainfo=dict(from_file='configs/_base_/datasets/rhd2d.py'))
    assert rhd.root_index == 12
    assert rhd.reference_indices == (12, 11)
    to_freihand = [0] + [4 * f + i for f in range(5) for i in (4, 3, 2, 1)]
    labels = np.empty((1, 21, 3))
    labels[:, to_freihand] = exact_labels(HAND, CAMERA, BONE)
    decoded = rhd.decode(labels, camera_matrix=CAMERA, bone_length=BONE)
    np.testing.assert_allclose(
        decoded['keypoints_cam'][0, to_freihand], HAND, atol=1e-6)


# -- decode: exact geometry --------------------------------------------------


@given(hands(), cameras(), warps(), floats(.5, 2.))
def test_decode_returns_to_the_camera_frame(hand, camera, warp, bone_factor):
    # bone_factor: the data set's bone length need not be that of its joints
    bone = np.linalg.norm(hand[9] - hand[10]) * bone_factor
    decoded = CODEC.decode(
        exact_labels(hand, camera, bone, warp), warp, camera, bone, hand[9, 2])
    assert (decoded['units'], decoded['frame']) == ('mm', 'camera')
    assert decoded['root_depth_status'] is None
    np.testing.assert_allclose(
        decoded['keypoints'][0], project(hand, camera), atol=1e-7)
    np.testing.assert_allclose(decoded['keypoints_cam'][0], hand, atol=1e-6)


@given(hands(), cameras(), warps())
def test_decode_solves_the_root_depth(hand, camera, warp):
    assume(bone_sine(hand) > .5)
    bone = np.linalg.norm(hand[9] - hand[10])
    decoded = CODEC.decode(
        exact_labels(hand, camera, bone, warp), warp, camera, bone)
    # rare hands so close that weak perspective is off by a factor of 2
    assume(decoded['root_depth_status'] != ['IMPLAUSIBLE'])
    assert decoded['root_depth_status'] == ['SOLVED']
    np.testing.assert_allclose(decoded['keypoints_cam'][0], hand, atol=1e-3)


@given(hands(), cameras(high=1000.))
def test_float32_labels_keep_a_thousandth_of_a_millimetre(hand, camera):
    bone = np.linalg.norm(hand[9] - hand[10])
    # a crop around the hand, as in training
    uv = project(hand, camera)
    scale = SIZE[0] / np.ptp(uv, axis=0).max()
    warp = np.diag([scale, scale, 1.])
    warp[:2, 2] = -scale * uv.min(0)
    labels = CODEC.encode(
        warp_points(uv, warp)[None],
        keypoints_cam=hand[None],
        bone_length=bone)['keypoint_labels']
    decoded = CODEC.decode(labels, warp, camera, bone, hand[9, 2])
    np.testing.assert_allclose(decoded['keypoints_cam'][0], hand, atol=1e-3)


def test_mirrored_input_decodes_to_the_left_hand():
    left = HAND * [-1, 1, 1]
    mirror = np.array([[-1., 0., SIZE[0] - 1], [0., 1., 0.], [0., 0., 1.]])
    labels = exact_labels(left, CAMERA, BONE, mirror)
    decoded = CODEC.decode(labels, mirror, CAMERA, BONE, left[9, 2])
    np.testing.assert_allclose(decoded['keypoints_cam'][0], left, atol=1e-9)


def test_instances_have_their_own_warp_camera_bone_and_depth():
    rng = np.random.default_rng(0)
    hands_ = np.stack([toy_hand(rng) * 1000 for _ in range(3)])
    camera = CAMERA + np.diag([1., 1., 0.]) * np.arange(3)[:, None, None]
    warp = np.eye(3) * np.array([1., 2., 3.])[:, None, None]
    warp[:, 2, 2] = 1
    bone = np.linalg.norm(hands_[:, 9] - hands_[:, 10], axis=-1)
    labels = np.concatenate(
        [exact_labels(*each) for each in zip(hands_, camera, bone, warp)])
    for root_depth in (None, hands_[:, 9, 2]):
        decoded = CODEC.decode(labels, warp, camera, bone, root_depth)
        np.testing.assert_allclose(decoded['keypoints_cam'], hands_, atol=1e-6)


# -- decode: what is not known -----------------------------------------------


def test_without_bone_length_the_unit_is_the_bone():
    labels = exact_labels(HAND, CAMERA, BONE)
    decoded = CODEC.decode(labels, camera_matrix=CAMERA)
    assert decoded['units'] == 'reference bones'
    assert decoded['frame'] == 'camera'
    np.testing.assert_allclose(
        decoded['keypoints_cam'][0] * BONE, HAND, atol=1e-6)


@pytest.mark.parametrize('bone_length, units', [(BONE, 'mm'),
                                                (None, 'reference bones')])
def test_without_camera_joints_are_relative_to_the_root(bone_length, units):
    # parallel projection: what weak perspective assumes
    relative = HAND - HAND[9]
    labels = relative[None] * [.5, .5, 1 / BONE] + [60., 70., 0.]
    decoded = CODEC.decode(labels, bone_length=bone_length)
    assert (decoded['units'], decoded['frame']) == (units, 'root')
    assert decoded['root_depth_status'] is None
    np.testing.assert_allclose(
        decoded['keypoints_cam'][0] * (1 if bone_length else BONE),
        relative,
        atol=1e-9)


def test_without_camera_the_warp_is_undone_all_the_same():
    mirror = np.array([[-1., 0., SIZE[0] - 1], [0., 1., 0.], [0., 0., 1.]])
    plain = CODEC.decode(exact_labels(HAND, CAMERA, BONE))
    mirrored = CODEC.decode(
        exact_labels(HAND, CAMERA, BONE, mirror), warp_mat=mirror)
    np.testing.assert_allclose(mirrored['keypoints_cam'],
                               plain['keypoints_cam'])


def test_without_camera_a_bone_pointing_at_it_does_not_set_the_scale():
    labels = (HAND - HAND[9])[None] * [.5, .5, 1 / BONE] + [60., 70., 0.]
    labels[0, 10] = labels[0, 9] + [0., 0., -1.]
    decoded = CODEC.decode(labels, bone_length=BONE)['keypoints_cam'][0]
    size = np.linalg.norm(decoded[5] - decoded[0])
    # the other bones know the scale within human proportions
    assert size == pytest.approx(np.linalg.norm(HAND[5] - HAND[0]), rel=.15)


def test_root_depth_along_a_degenerate_bone_is_that_of_the_whole_hand():
    hand = HAND.copy()
    hand[10] = hand[9] * (1 + BONE / np.linalg.norm(hand[9]))
    decoded = CODEC.decode(
        exact_labels(hand, CAMERA, BONE),
        camera_matrix=CAMERA,
        bone_length=BONE)
    assert decoded['root_depth_status'] == ['FORESHORTENED']
    assert decoded['keypoints_cam'][0, 9, 2] == pytest.approx(
        hand[9, 2], rel=.15)


@given(
    st.lists(
        st.floats(width=32, allow_nan=False, allow_infinity=False),
        min_size=63,
        max_size=63), st.booleans(), st.booleans())
def test_whatever_a_network_answers_has_a_place(numbers, camera, bone):
    encoded = np.array(numbers, np.float32).reshape(1, 21, 3)
    decoded = CODEC.decode(
        encoded,
        warp_mat=np.diag([.01, .01, 1.]),
        camera_matrix=CAMERA if camera else None,
        bone_length=45. if bone else None)
    assert np.isfinite(decoded['keypoints']).all()
    assert np.isfinite(decoded['keypoints_cam']).all()


# -- decode: bad input -------------------------------------------------------


@pytest.mark.parametrize('change, message', [
    (dict(encoded=np.zeros((1, 20, 3))), r'\(N, 21, 3\)'),
    (dict(encoded=np.full((1, 21, 3), np.nan)), 'joint 0 of instance 0'),
    (dict(camera_matrix=np.diag([0., 500., 1.])), 'camera_matrix is singular'),
    (dict(camera_matrix=np.eye(2)), 'camera_matrix must'),
    (dict(warp_mat=np.zeros((3, 3))), 'warp_mat is singular'),
    (dict(bone_length=0.), 'bone_length must be positive'),
    (dict(bone_length=1e200), 'bone_length must be positive, a number from'),
    (dict(bone_length=10**401), 'bone_length must be positive'),
    (dict(bone_length='45'), 'bone_length must be positive'),
    (dict(root_depth=1e300), 'root_depth must be positive'),
    (dict(camera_matrix=np.diag([1e200, 1e200, 1.])), 'size of a pixel'),
    (dict(bone_length=np.ones(2)), 'bone_length must be one number'),
    (dict(root_depth=-700.), 'root_depth must be positive'),
    (dict(root_depth=700., camera_matrix=None), 'only of use together'),
])
def test_senseless_input_is_refused(change, message):
    arguments = dict(
        encoded=exact_labels(HAND, CAMERA, BONE),
        warp_mat=np.eye(3),
        camera_matrix=CAMERA,
        bone_length=BONE)
    arguments.update(change)
    with pytest.raises(ValueError, match=message):
        CODEC.decode(**arguments)


# -- joint order -------------------------------------------------------------

RHD = dict(from_file='configs/_base_/datasets/rhd2d.py')


def test_joints_of_another_order_are_named():
    names = list(CODEC.keypoint_names)
    assert names[9:11] == ['middle_finger1', 'middle_finger2']
    CODEC.check_keypoint_names(names)
    inputs = dict(
        keypoints=project(HAND, CAMERA)[None], keypoints_cam=HAND[None])
    CODEC.encode(**inputs, keypoint_names=names)
    rhd = Hand25DLabel(SIZE, metainfo=RHD).keypoint_names
    assert sorted(rhd) == sorted(names)  # counting would not tell
    with pytest.raises(ValueError, match='joint 1 is thumb4 .* but thumb1'):
        CODEC.encode(**inputs, keypoint_names=rhd)
    with pytest.raises(ValueError, match='joint 20 is absent in the data set'):
        CODEC.encode(**inputs, keypoint_names=names[:-1])


def test_names_of_the_sample_reach_the_codec():
    results = dict(
        transformed_keypoints=project(HAND, CAMERA)[None],
        keypoints_visible=np.ones((1, 21), dtype=np.float32),
        keypoints_cam=HAND[None],
        keypoint_names=('palm', *CODEC.keypoint_names[1:]))
    target = GenerateTarget(dict(type='Hand25DLabel', input_size=SIZE))
    with pytest.raises(ValueError, match='joint 0 is palm .* but wrist'):
        target(results)


def test_keypoint_converter_is_refused():
    results = dict(
        keypoints=project(HAND, CAMERA)[None].astype(np.float32),
        keypoints_visible=np.ones((1, 21), dtype=np.float32),
        keypoints_cam=HAND[None])
    order = [0, 4, 3, 2, 1, *range(5, 21)]
    results = KeypointConverter(21, list(zip(order, range(21))))(results)
    target = GenerateTarget(dict(type='Hand25DLabel', input_size=SIZE))
    with pytest.raises(ValueError, match='KeypointConverter .* metainfo'):
        target(results)


@pytest.mark.parametrize('hand_side, flip, right', [
    ('right', False, 1),
    ('right', None, 1),
    ('right', True, 0),
    ('left', False, 0),
    ('left', True, 1),
])
def test_the_side_is_that_in_the_input(hand_side, flip, right):
    labels = CODEC.encode(
        project(HAND, CAMERA)[None],
        keypoints_cam=HAND[None],
        hand_side=hand_side,
        flip=flip,
        warp_mat=np.diag([-1. if flip else 1., 1, 1]))['side_labels']
    assert labels.dtype == np.float32
    np.testing.assert_array_equal(labels, [right])


def test_an_unknown_side_has_no_label():
    encoded = CODEC.encode(
        project(HAND, CAMERA)[None], keypoints_cam=HAND[None])
    assert 'side_labels' not in encoded
