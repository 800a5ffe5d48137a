import cv2
import numpy as np
import pytest

from lgh_mmpose.geometry.camera import project
from lgh_mmpose.synthesis.pose_sampler import sample_pose, sample_shape
from lgh_mmpose.synthesis.rig import JOINT_NAMES
from lgh_mmpose.synthesis.scene import (LEFT_HAND_ID, PERSON_ID, RIGHT_HAND_ID,
                                        PlacedHand, SceneGenerator, place_hand,
                                        uniform_rotation, upright_rotation)

SIZE = 96
TIPS = [4, 8, 12, 16, 20]
THUMB_IDS = [RIGHT_HAND_ID + i for i in range(3)]
LITTLE_IDS = [RIGHT_HAND_ID + 12 + i for i in range(3)]


def generator(difficulty='full', occluder_prob=0., **kwargs):
    kwargs = {'seed': 0, 'num_backgrounds': 4, 'size': SIZE, **kwargs}
    return SceneGenerator(
        difficulty=difficulty, occluder_prob=occluder_prob, **kwargs)


@pytest.fixture(scope='module', params=['easy', 'full'])
def samples(request):
    """40 samples without occluders, of either difficulty."""
    scenes = generator(request.param)
    return [scenes.sample(i) for i in range(40)]


def pixels(sample, hand=0):
    return np.rint(project(sample.keypoints_cam[hand],
                           sample.camera_matrix)).astype(int)


def hit_rate(samples, silhouettes, shift=0):
    """Share of key points whose pixel lies in the silhouette."""
    hits = []
    for sample, silhouette in zip(samples, silhouettes):
        u, v = (pixels(sample) + shift).clip(0, SIZE - 1).T
        hits.append(silhouette[v, u] > 0)
    return np.mean(hits)


def test_sample_is_well_formed(samples):
    for sample in samples:
        assert sample.image.shape == (SIZE, SIZE, 3)
        assert sample.image.dtype == sample.part_mask.dtype == np.uint8
        assert sample.keypoints_cam.shape == (1, 21, 3)
        assert sample.keypoints_cam[..., 2].min() > 150
        assert sample.sides == ('right', )
        assert set(np.unique(sample.part_mask)) <= {
            0, PERSON_ID, *range(RIGHT_HAND_ID, RIGHT_HAND_ID + 16)
        }


def test_keypoints_project_into_the_rendered_hand(samples):
    """All joints lie in the flesh, so none may leave the silhouette; tips lie
    on its edge, which a pixel of dilation admits."""
    silhouettes = [
        cv2.dilate(np.uint8(sample.part_mask > 0), np.ones((3, 3)))
        for sample in samples
    ]
    assert hit_rate(samples, silhouettes) > .998
    # A label that is a tenth of the image off is noticed.
    assert hit_rate(samples, silhouettes, shift=SIZE // 10) < .9


def test_visible_keypoints_lie_on_their_own_finger(samples):
    hits = []
    for sample in samples:
        at = pixels(sample)
        for k in np.flatnonzero(sample.keypoints_visible[0]):
            finger, joint = divmod(k - 1, 4)
            if k == 0 or joint == 0:  # where palm and finger meet
                continue
            u, v = at[k]
            near = sample.part_mask[max(v - 1, 0):v + 2, max(u - 1, 0):u + 2]
            first = RIGHT_HAND_ID + 3 * finger
            hits.append(((near >= first) & (near < first + 3)).any())
    assert len(hits) > 200
    assert np.mean(hits) > .97


def test_hidden_keypoints_have_another_surface_before_them():
    """Of a fist seen from its back only the finger tips are hidden."""
    scenes = generator()
    rng = np.random.default_rng(0)
    unit = np.ones((len(JOINT_NAMES), 3))
    pose = sample_pose(rng, 'fist')
    pose[0] = 0  # wrist
    geometry = scenes.rig.deform(pose, unit)
    back = np.array([[1., 0, 0], [0, 0, 1], [0, -1, 0]])
    camera = np.array([[200., 0, 48], [0, 200, 48], [0, 0, 1]])
    hand = place_hand(geometry, back, np.array([0, 0, 500.]))
    visible = scenes.render(rng, [hand], camera).keypoints_visible[0]
    assert visible[[0, 5, 9, 13, 17]].all()
    assert not visible[[8, 12, 16, 20]].any()


def test_open_hand_shows_all_joints():
    scenes = generator()
    rng = np.random.default_rng(0)
    pose = np.zeros((len(JOINT_NAMES), 3))
    geometry = scenes.rig.deform(pose, np.ones_like(pose))
    back = np.array([[1., 0, 0], [0, 0, 1], [0, -1, 0]])
    camera = np.array([[200., 0, 48], [0, 200, 48], [0, 0, 1]])
    hand = place_hand(geometry, back, np.array([0, 0, 500.]))
    assert scenes.render(rng, [hand], camera).keypoints_visible.sum() >= 20
    aside = place_hand(geometry, back, np.array([5000., 0, 500]))
    assert not scenes.render(rng, [aside], camera).keypoints_visible.any()


def test_keypoints_span_half_to_85_percent_of_the_image():
    scenes = generator('easy')
    spans = [
        np.ptp(pixels(scenes.sample(i)), axis=-2).max() / SIZE
        for i in range(40)
    ]
    assert .49 < min(spans) < .6
    assert .75 < max(spans) < .86


def test_keypoints_stay_in_the_image(samples):
    for sample in samples:
        assert ((pixels(sample) >= 0) & (pixels(sample) < SIZE)).all()


def test_thumb_is_on_the_right_side_of_a_right_hand():
    """Palm towards the camera, fingers up: the thumb is on the right."""
    scenes = generator()
    rng = np.random.default_rng(0)
    views = {
        1: np.array([[-1., 0, 0], [0, 0, 1], [0, 1, 0]]),
        -1: np.array([[1., 0, 0], [0, 0, 1], [0, -1, 0]])
    }
    camera = np.array([[200., 0, 48], [0, 200, 48], [0, 0, 1]])
    for sign, view in views.items():
        geometry = scenes.rig.deform(
            sample_pose(rng, 'open'), sample_shape(rng))
        hand = place_hand(geometry, view, np.array([0, 0, 500.]))
        mask = scenes.render(rng, [hand], camera).part_mask
        thumb, little = (
            np.nonzero(np.isin(mask, ids)) for ids in (THUMB_IDS, LITTLE_IDS))
        assert sign * (thumb[1].mean() - little[1].mean()) > 20
        uv = project(hand.keypoints, camera)
        assert sign * (uv[4, 0] - uv[20, 0]) > 20
        assert (uv[TIPS[1:], 1] < uv[0, 1]).all()


def test_left_hand_is_the_mirror_image():
    scenes = generator()
    rng = np.random.default_rng(3)
    geometry = scenes.rig.deform(
        sample_pose(rng, 'relaxed'), sample_shape(rng))
    rotation = uniform_rotation(rng)
    flip = np.diag([-1., 1, 1])
    place = np.array([20., -10, 400])
    camera = np.array([[200., 0, 40], [0, 210, 50], [0, 0, 1]])
    mirrored = camera.copy()
    mirrored[0, 2] = SIZE - 1 - camera[0, 2]
    right = place_hand(geometry, rotation, place)
    left = place_hand(geometry, flip @ rotation @ flip, flip @ place, 'left')
    assert right.side == 'right' and left.side == 'left'
    np.testing.assert_allclose(left.keypoints, right.keypoints @ flip)
    a = scenes.render(rng, [right], camera)
    b = scenes.render(rng, [left], mirrored)
    expected = a.part_mask[:, ::-1].astype(int)
    expected[expected > PERSON_ID] -= RIGHT_HAND_ID - LEFT_HAND_ID
    assert (expected > PERSON_ID).sum() > 500
    assert np.mean(expected != b.part_mask) < .002
    np.testing.assert_array_equal(a.keypoints_visible, b.keypoints_visible)


def test_two_hands_hide_each_other():
    scenes = generator()
    rng = np.random.default_rng(0)
    pose = np.zeros((len(JOINT_NAMES), 3))
    geometry = scenes.rig.deform(pose, np.ones_like(pose))
    back = np.array([[1., 0, 0], [0, 0, 1], [0, -1, 0]])
    camera = np.array([[200., 0, 48], [0, 200, 48], [0, 0, 1]])
    near = place_hand(geometry, back, np.array([0, 0, 400.]), 'left')
    far = place_hand(geometry, back, np.array([0, 0, 600.]), 'right')
    sample = scenes.render(rng, [far, near], camera)
    assert sample.sides == ('right', 'left')
    assert sample.keypoints_visible[1].sum() >= 20
    assert sample.keypoints_visible[0].sum() < 10
    left = (sample.part_mask >= LEFT_HAND_ID) & (
        sample.part_mask < RIGHT_HAND_ID)
    assert left.sum() > (sample.part_mask >= RIGHT_HAND_ID).sum()


def test_unknown_side_is_refused():
    scenes = generator()
    pose = np.zeros((len(JOINT_NAMES), 3))
    geometry = scenes.rig.deform(pose, np.ones_like(pose))
    with pytest.raises(ValueError, match="'up'"):
        place_hand(geometry, np.eye(3), np.zeros(3), 'up')


def test_occluder_clears_the_mask_and_hides_joints():
    free, covered = generator(), generator(occluder_prob=1.)
    hidden = 0
    for i in range(12):
        a, b = free.sample(i), covered.sample(i)
        np.testing.assert_array_equal(a.keypoints_cam, b.keypoints_cam)
        cleared = a.part_mask != b.part_mask
        assert cleared.any()
        assert not b.part_mask[cleared].any()
        u, v = pixels(a).T
        under = cleared[v, u]
        assert not b.keypoints_visible[0, under].any()
        assert not (b.keypoints_visible & ~a.keypoints_visible).any()
        kept = ~under & (a.part_mask[v, u] > 0)
        np.testing.assert_array_equal(a.keypoints_visible[0, kept],
                                      b.keypoints_visible[0, kept])
        hidden += under.sum()
    assert hidden > 5


def test_forearm_that_passes_the_camera_is_cut_off():
    """An arm that reaches behind the camera leaves the hand as it is."""
    scenes = generator()
    pose = np.zeros((len(JOINT_NAMES), 3))
    geometry = scenes.rig.deform(pose, np.ones_like(pose))
    forward = np.diag([1., -1., -1.])  # fingers away from the camera
    camera = np.array([[60., 0, 48], [0, 60, 48], [0, 0, 1]])
    hand = place_hand(geometry, forward, np.array([60., 60, 200.]))
    assert hand.vertices[:, 2].min() < -50
    sample = scenes.render(np.random.default_rng(0), [hand], camera)
    share = np.mean(sample.part_mask == PERSON_ID)
    assert .01 < share < .9
    # Compare with an arm that is so fine that its faces need no cutting.
    behind = hand.vertices[:, 2] < 51
    rays = hand.vertices[~behind] @ camera.T
    u, v = np.rint(rays[:, :2] / rays[:, 2:]).astype(int).T
    inside = (u > 0) & (u < SIZE - 1) & (v > 0) & (v < SIZE - 1)
    silhouette = cv2.dilate(np.uint8(sample.part_mask > 0), np.ones((3, 3)))
    assert silhouette[v[inside], u[inside]].all()


def test_easy_hands_point_upwards_and_full_ones_anywhere():
    angles = {}
    for difficulty in ('easy', 'full'):
        scenes = generator(difficulty)
        wrist, root = np.stack(
            [scenes.sample(i).keypoints_cam[0][[0, 9]] for i in range(60)], 1)
        up = (root - wrist)[:, 1] / np.linalg.norm(root - wrist, axis=1)
        angles[difficulty] = np.degrees(np.arccos(-up))
    assert np.median(angles['easy']) < 50
    assert angles['easy'].max() < 110
    assert np.mean(angles['full'] > 90) > .3


def test_rotations_are_rotations():
    rng = np.random.default_rng(0)
    for draw in (uniform_rotation, upright_rotation):
        for _ in range(20):
            rotation = draw(rng)
            np.testing.assert_allclose(
                rotation @ rotation.T, np.eye(3), atol=1e-12)
            assert np.linalg.det(rotation) > 0


def test_sample_depends_on_seed_split_and_index_only():
    scenes = generator(occluder_prob=.3)
    for i in (3, 0, 5):
        scenes.sample(i)
    a, b = scenes.sample(1), generator(occluder_prob=.3).sample(1)
    np.testing.assert_array_equal(a.image, b.image)
    np.testing.assert_array_equal(a.keypoints_cam, b.keypoints_cam)
    for other in (generator(seed=1).sample(1),
                  generator(split='evaluation').sample(1), scenes.sample(2)):
        assert np.abs(other.keypoints_cam - a.keypoints_cam).max() > 1


def test_evaluation_has_backgrounds_of_its_own():
    pools = [
        generator(split=split, num_backgrounds=6).backgrounds
        for split in ('training', 'evaluation')
    ]
    images = [pool[i].tobytes() for pool in pools for i in range(6)]
    assert len(set(images)) == 12


def test_pictures_vary():
    scenes = generator()
    means = np.array([scenes.sample(i).image.mean((0, 1)) for i in range(10)])
    assert (means.std(axis=0) > 10).all()


@pytest.mark.parametrize('arguments, message', [
    ({
        'split': 'test'
    }, "split is 'test'"),
    ({
        'difficulty': 'hard'
    }, "difficulty is 'hard'"),
    ({
        'seed': -1
    }, 'seed is -1'),
    ({
        'size': 8
    }, 'size is 8'),
    ({
        'num_backgrounds': 0
    }, 'num_backgrounds'),
])
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        SceneGenerator(**{'seed': 0, **arguments})


def test_placed_hand_keeps_its_shape():
    scenes = generator()
    rng = np.random.default_rng(0)
    geometry = scenes.rig.deform(sample_pose(rng, 'open'), sample_shape(rng))
    hand = place_hand(geometry, uniform_rotation(rng), np.array([1., 2, 500]))
    assert isinstance(hand, PlacedHand)
    np.testing.assert_allclose(hand.keypoints[9], [1, 2, 500])
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(hand.keypoints, axis=0), axis=1),
        np.linalg.norm(np.diff(geometry.keypoints, axis=0), axis=1))
