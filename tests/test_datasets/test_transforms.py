import cv2
import numpy as np
import pytest
from geometry_strategies import bone_sine, cameras, floats, hands
from helpers import REPO_ROOT
from hypothesis import assume, given
from hypothesis import strategies as st
from mmengine.config import Config
from mmpose.datasets.transforms import TopdownAffine
from mmpose.registry import TRANSFORMS

from lgh_mmpose.codecs import Hand25DLabel
from lgh_mmpose.datasets import (CanonicalizeHandSide, FreiHand3DDataset,
                                 MirrorHands, TopdownAffineCamera, TurnUpright)
from lgh_mmpose.geometry.camera import project

CODEC = Hand25DLabel((96, 128))


def make_results(img=None, **changes):
    results = dict(
        id=17,
        img_path='rgb/00000017.jpg',
        img=np.zeros((20, 20, 3), np.uint8) if img is None else img,
        bbox_center=np.array([[100., 90.]], np.float32),
        bbox_scale=np.array([[80., 60.]], np.float32),
        bbox_rotation=np.array([0.], np.float32),
        hand_side='right')
    results.update(changes)
    return results


def blob(center, size=(200, 220)):
    """Grey image (h, w) with one soft dot at a sub-pixel place."""
    y, x = np.mgrid[:size[0], :size[1]]
    distance = np.square(x - center[0]) + np.square(y - center[1])
    return (255 * np.exp(-distance / 50.)).astype(np.uint8)


def centre_of_mass(img):
    y, x = np.mgrid[:img.shape[0], :img.shape[1]]
    weight = img.astype(float)
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


@pytest.mark.parametrize('rotation', [0., 33., -120.])
@pytest.mark.parametrize('use_udp', [False, True])
def test_topdown_affine_camera_gives_what_topdown_affine_gives(
        rotation, use_udp):
    rng = np.random.default_rng(0)
    img = rng.integers(0, 255, (200, 220, 3), dtype=np.uint8)
    keypoints = rng.uniform(0, 200, (1, 21, 2)).astype(np.float32)
    both = []
    for transform in (TopdownAffine, TopdownAffineCamera):
        both.append(
            transform((96, 128), use_udp=use_udp)(make_results(
                img,
                keypoints=keypoints.copy(),
                bbox_rotation=np.array([rotation], np.float32))))
    theirs, ours = both
    # TopdownAffine turns degrees into radians in float32
    assert np.abs(ours['img'] - theirs['img'].astype(int)).mean() < .01
    np.testing.assert_allclose(
        ours['transformed_keypoints'],
        theirs['transformed_keypoints'],
        atol=1e-3)
    for key in ('bbox_scale', 'input_size', 'input_center', 'input_scale'):
        np.testing.assert_array_equal(ours[key], theirs[key])
    assert ours['warp_mat'].shape == (3, 3)
    assert ours['warp_mat'].dtype == np.float64


@pytest.mark.parametrize('hand_side', ['right', 'left'])
@pytest.mark.parametrize('rotation', [0., 40.])
def test_keypoints_stay_on_their_pixels(hand_side, rotation):
    keypoint = np.array([110.3, 95.8])
    results = make_results(
        blob(keypoint),
        keypoints=keypoint[None, None],
        bbox_rotation=np.array([rotation]),
        hand_side=hand_side)
    results = TopdownAffineCamera((96, 128))(results)
    results = CanonicalizeHandSide()(results)
    np.testing.assert_allclose(
        centre_of_mass(results['img']),
        results['transformed_keypoints'][0, 0],
        atol=.05)


@given(hands(), cameras(high=1000.), floats(-180, 180), floats(.5, 2.5),
       st.tuples(floats(-.3, .3), floats(-.3, .3)),
       st.sampled_from(['left', 'right']), st.booleans())
def test_geometry_survives_the_pipeline(hand, camera, rotation, size, shift,
                                        hand_side, use_udp):
    """Encode to float32 labels and back: a thousandth of a millimetre."""
    if hand_side == 'left':
        hand = hand * [-1, 1, 1]
    uv = project(hand, camera)
    extent = np.ptp(uv, axis=0)
    results = make_results(
        hand_side=hand_side,
        keypoints=uv[None],
        bbox_center=(uv.min(0) + extent * (.5 + np.array(shift)))[None],
        bbox_scale=extent[None] * size,
        bbox_rotation=np.array([rotation]))
    results = TopdownAffineCamera((96, 128), use_udp=use_udp)(results)
    results = CanonicalizeHandSide()(results)

    # the input has a camera of its own, and the joints did not move
    np.testing.assert_allclose(
        results['transformed_keypoints'][0],
        project(hand, results['warp_mat'] @ camera),
        atol=1e-7)
    # right hands keep their orientation, left hands are mirrored
    assert (np.linalg.det(results['warp_mat']) > 0) == (hand_side == 'right')

    bone = np.linalg.norm(hand[9] - hand[10])
    labels = CODEC.encode(
        results['transformed_keypoints'],
        keypoints_cam=hand[None],
        bone_length=bone)['keypoint_labels']
    known = CODEC.decode(labels, results['warp_mat'], camera, bone, hand[9, 2])
    np.testing.assert_allclose(known['keypoints_cam'][0], hand, atol=1e-3)

    # the solved depth divides by the bone's length in pixels, so float32
    # labels cost it some hundredths of a millimetre; float64 ones nothing
    assume(bone_sine(hand) > .5)
    solved = CODEC.decode(labels, results['warp_mat'], camera, bone)
    # rare hands so close that weak perspective is off by a factor of 2
    assume(solved['root_depth_status'] != ['IMPLAUSIBLE'])
    assert solved['root_depth_status'] == ['SOLVED']
    np.testing.assert_allclose(solved['keypoints_cam'][0], hand, atol=.1)
    labels = np.concatenate([
        results['transformed_keypoints'][0], (hand[:, 2:] - hand[9, 2]) / bone
    ],
                            axis=-1)[None]
    solved = CODEC.decode(labels, results['warp_mat'], camera, bone)
    np.testing.assert_allclose(solved['keypoints_cam'][0], hand, atol=1e-3)


@pytest.mark.parametrize('change', [
    dict(bbox_scale=np.zeros((1, 2))),
    dict(bbox_scale=np.array([[50., 0.]])),
    dict(bbox_scale=np.array([[50., np.nan]])),
    dict(bbox_center=np.array([[np.inf, 0.]])),
    dict(bbox_rotation=np.array([np.nan])),
])
def test_box_without_area_names_the_sample(change):
    with pytest.raises(ValueError, match='no area or is not finite') as error:
        TopdownAffineCamera((96, 128))(make_results(**change))
    assert 'sample 17 (rgb/00000017.jpg)' in str(error.value)


def test_several_boxes_are_refused():
    results = make_results(
        bbox_center=np.ones((2, 2)), bbox_scale=np.ones((2, 2)))
    with pytest.raises(ValueError, match='one box per sample'):
        TopdownAffineCamera((96, 128))(results)


def test_images_without_keypoints_are_cropped():
    results = TopdownAffineCamera((96, 128))(make_results(hand_side='left'))
    results = CanonicalizeHandSide()(results)
    assert results['img'].shape == (128, 96, 3)
    assert 'transformed_keypoints' not in results


def test_transforms_are_in_mmpose_registry():
    for config in (dict(type='TopdownAffineCamera', input_size=(96, 128)),
                   dict(type='CanonicalizeHandSide', side='left')):
        assert config['type'] in repr(TRANSFORMS.build(config))


# -- CanonicalizeHandSide ----------------------------------------------------


def test_mirror_known_answers():
    img = np.arange(12, dtype=np.uint8).reshape(3, 4)
    results = dict(
        img=img,
        hand_side='left',
        warp_mat=np.eye(3),
        transformed_keypoints=np.array([[[0., 2.], [3., 1.], [1.25, 0.]]]))
    results = CanonicalizeHandSide()(results)
    np.testing.assert_array_equal(results['img'], img[:, ::-1])
    np.testing.assert_array_equal(results['transformed_keypoints'],
                                  [[[3., 2.], [0., 1.], [1.75, 0.]]])
    np.testing.assert_array_equal(results['warp_mat'],
                                  [[-1, 0, 3], [0, 1, 0], [0, 0, 1]])
    assert results['flip'] and results['flip_direction'] == 'horizontal'
    assert results['hand_side'] == 'left'  # that of the original image


@pytest.mark.parametrize('side', ['left', 'right'])
def test_hands_of_the_canonical_side_stay_as_they_are(side):
    img = np.arange(12, dtype=np.uint8).reshape(3, 4)
    results = dict(img=img, hand_side=side, warp_mat=np.eye(3))
    results = CanonicalizeHandSide(side)(results)
    np.testing.assert_array_equal(results['img'], img)
    np.testing.assert_array_equal(results['warp_mat'], np.eye(3))
    assert not results['flip'] and results['flip_direction'] is None


def test_unknown_side():
    with pytest.raises(ValueError, match="side must be one of .* 'both'"):
        CanonicalizeHandSide('both')
    for hand_side in ('Right', None):
        results = make_results(hand_side=hand_side, warp_mat=np.eye(3))
        with pytest.raises(ValueError, match='sample 17 .* hand_side'):
            CanonicalizeHandSide()(results)


def test_mirror_before_the_crop_is_refused():
    with pytest.raises(ValueError, match='after TopdownAffineCamera'):
        CanonicalizeHandSide()(make_results())


def test_crop_is_what_opencv_makes_of_the_stored_matrix():
    img = np.random.default_rng(0).integers(0, 255, (200, 220, 3), np.uint8)
    results = make_results(
        img, bbox_rotation=np.array([25.]), hand_side='left')
    results = CanonicalizeHandSide()(TopdownAffineCamera((96, 128))(results))
    expected = cv2.warpAffine(img, results['warp_mat'][:2], (96, 128))
    # OpenCV interpolates with 1/32 px, so mirrored weights differ a little
    difference = np.abs(results['img'].astype(int) - expected)
    assert difference.mean() < 2


# -- what keeps image and camera together ------------------------------------


@pytest.fixture(scope='module')
def pipeline_config():
    cfg = Config.fromfile(REPO_ROOT / 'configs/lgh_freihand.py')
    return cfg.train_dataloader.dataset.pipeline


@pytest.mark.parametrize(
    'after, prob, pack',
    [
        *((*case, pack) for pack in ('PackHandInputs', 'PackPoseInputs')
          for case in (
              ('LoadHandImage', 0.),
              ('LoadHandImage', 1.),
              ('TopdownAffineCamera', 0.),
              ('TopdownAffineCamera', 1.),
              ('CanonicalizeHandSide', 1.),
          )),
        # mmpose's own packing, the last step then, looks at nothing
        ('GenerateTarget', 1., 'PackHandInputs'),
    ])
def test_a_flip_that_leaves_the_camera_is_refused(freihand_root,
                                                  pipeline_config, after, prob,
                                                  pack):
    steps = [dict(step) for step in pipeline_config]
    at = [step['type'] for step in steps].index(after)
    steps.insert(at + 1, dict(type='RandomFlip', prob=prob))
    steps[-1]['type'] = pack
    dataset = FreiHand3DDataset(str(freihand_root), pipeline=steps)
    with pytest.raises(ValueError, match='RandomFlip does; leave it out'):
        dataset[0]


def test_a_flip_in_a_test_pipeline_is_refused(freihand_root):
    cfg = Config.fromfile(REPO_ROOT / 'configs/lgh_freihand.py')
    steps = cfg.test_dataloader.dataset.pipeline
    steps.insert(2, dict(type='RandomFlip', prob=1.))
    dataset = FreiHand3DDataset(
        str(freihand_root), split='evaluation', pipeline=steps, test_mode=True)
    with pytest.raises(ValueError, match='RandomFlip does; leave it out'):
        dataset[0]


@pytest.mark.parametrize('load', ['LoadHandImage', 'LoadImage'])
def test_an_image_that_was_resized_before_the_crop_is_refused(
        freihand_root, pipeline_config, load):
    steps = [dict(step) for step in pipeline_config]
    at = [step['type'] for step in steps].index('LoadHandImage')
    steps[at] = dict(type=load)
    steps.insert(at + 1, dict(type='mmcv.Resize', scale=(32, 32)))
    dataset = FreiHand3DDataset(str(freihand_root), pipeline=steps)
    with pytest.raises(
            ValueError, match='64 x 64 px one of 32 x 32, but left the cam'):
        dataset[0]


def test_an_input_that_was_resized_after_the_crop_is_refused(
        freihand_root, pipeline_config):
    steps = [dict(step) for step in pipeline_config]
    steps.insert(-2, dict(type='mmcv.Resize', scale=(32, 32)))
    dataset = FreiHand3DDataset(str(freihand_root), pipeline=steps)
    with pytest.raises(ValueError, match='input of .* px one of .32, 32.; le'):
        dataset[0]


@pytest.mark.parametrize('size', [(320, 240), (50, 60)])
def test_an_image_of_another_size_than_annotated_is_refused(size):
    results = make_results(np.zeros((480, 640, 3), np.uint8))
    crop = TopdownAffineCamera((96, 96))
    crop(dict(results, annotated_size=(640, 480)))
    with pytest.raises(
            ValueError,
            match='640 x 480 px, its annotation says '
            f'{size[0]} x {size[1]}'):
        crop(dict(results, annotated_size=size))


def test_what_was_decoded_at_less_is_as_large_as_annotated():
    results = make_results(
        np.zeros((240, 320, 3), np.uint8),
        img_reduction=2,
        ori_shape=(480, 640),
        annotated_size=(640, 480))
    TopdownAffineCamera((96, 96))(dict(results))
    results['annotated_size'] = 320, 240
    with pytest.raises(ValueError, match='annotation says 320 x 240'):
        TopdownAffineCamera((96, 96))(results)


def test_a_camera_in_millimetres_is_refused():
    results = make_results(
        np.zeros((480, 640, 3), np.uint8),
        camera_matrix=np.diag([4.2, 4.2, 1.]))
    with pytest.raises(ValueError, match='its camera has focal lengths of'):
        TopdownAffineCamera((96, 96))(results)


def pointing(direction, **changes):
    """A sample whose hand points somewhere, the middle of its box known."""
    keypoints = np.random.default_rng(0).uniform(60, 140, (1, 21, 2))
    keypoints[0, 9] = keypoints[0, 0] + direction
    return make_results(
        np.zeros((200, 220, 3), np.uint8),
        keypoints=keypoints,
        keypoint_names=CODEC.keypoint_names,
        **changes)


@pytest.mark.parametrize('direction', [[0, -20], [30, 0], [-12, 9], [3, 40]])
@pytest.mark.parametrize('jitter', [0., 25.])
@pytest.mark.parametrize('prob', [0, 1])
def test_hands_are_turned_until_they_point_up(direction, jitter, prob):
    results = pointing(direction, bbox_rotation=np.float32([jitter]))
    for step in (TurnUpright(), TopdownAffineCamera(
        (96, 96)), MirrorHands(prob)):
        results = step(results)
    wrist, knuckle = results['transformed_keypoints'][0, [0, 9]]
    way = (knuckle - wrist) / np.linalg.norm(knuckle - wrist)
    # a rotation by mmpose's angles turns the picture to the left
    expected = np.radians(-90 - jitter)
    expected = np.array([np.cos(expected), np.sin(expected)])
    if prob:
        expected[0] *= -1
    np.testing.assert_allclose(way, expected, atol=1e-5)
    assert results['flip'] == bool(prob)


def test_a_sample_without_joints_stays_as_it_is():
    assert TurnUpright()(make_results())['bbox_rotation'] == 0


@pytest.mark.parametrize('change, message', [
    (dict(keypoint_names=['a', 'b']), 'has no wrist'),
    (dict(warp_mat=np.eye(3)), 'before TopdownAffineCamera'),
])
def test_what_cannot_be_turned_is_named(change, message):
    with pytest.raises(ValueError, match=f'sample 17 .*{message}'):
        TurnUpright()(dict(pointing([0, 1]), **change))


def test_turning_upright_goes_not_with_udp():
    results = TurnUpright()(pointing([1, 0]))
    with pytest.raises(ValueError, match='use_udp'):
        TopdownAffineCamera((96, 96), use_udp=True)(results)


def test_mirrored_hands_keep_their_geometry():
    keypoint = np.array([110.3, 95.8])
    results = make_results(blob(keypoint), keypoints=keypoint[None, None])
    results = TopdownAffineCamera((96, 128))(results)
    results = MirrorHands(1.)(results)
    assert (results['flip'], results['flip_direction']) == (True, 'horizontal')
    np.testing.assert_allclose(
        centre_of_mass(results['img']),
        results['transformed_keypoints'][0, 0],
        atol=.05)
    assert np.linalg.det(results['warp_mat']) < 0


def test_a_share_of_the_hands_is_mirrored():
    np.random.seed(0)

    def flips(transform, num=400):
        made = (
            transform(dict(id=i, img=np.zeros((4, 4, 3)), warp_mat=np.eye(3)))
            for i in range(num))
        return [results['flip'] for results in made]

    assert 90 < sum(flips(MirrorHands(.3))) < 150
    assert flips(MirrorHands(by_id=True), 4) == [False, True, False, True]
    assert not any(flips(MirrorHands(0.)))
    with pytest.raises(ValueError, match='prob must lie'):
        MirrorHands(1.5)
    with pytest.raises(ValueError, match='after TopdownAffineCamera'):
        MirrorHands()(make_results())


@pytest.mark.parametrize('joint', [0, 9])
def test_joints_that_are_not_annotated_turn_nothing(joint):
    visible = np.ones((1, 21))
    visible[0, joint] = 0
    results = TurnUpright()(pointing([20, 0], keypoints_visible=visible))
    assert results['bbox_rotation'] == 0


def test_without_a_number_nothing_is_mirrored():
    results = dict(img=np.zeros((4, 4, 3)), warp_mat=np.eye(3))
    assert not MirrorHands(by_id=True)(results)['flip']
