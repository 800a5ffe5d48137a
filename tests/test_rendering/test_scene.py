import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree

from lgh_mmpose.geometry.camera import project
from lgh_mmpose.rendering import scene as module
from lgh_mmpose.rendering.hand_body import HandBody
from lgh_mmpose.rendering.hand_model import (FINGER_JOINTS, FOREARM_PART,
                                             JOINT_INDEX, JOINT_NAMES)
from lgh_mmpose.rendering.lighting import load_environments
from lgh_mmpose.rendering.poses import sample_pose
from lgh_mmpose.rendering.rasterizer import Surface
from lgh_mmpose.rendering.scene import (DIFFICULTIES, INGREDIENTS,
                                        LEFT_HAND_ID, PERSON_ID, RIGHT_HAND_ID,
                                        Hand, SceneGenerator, place_hand,
                                        uniform_rotation, upright_rotation)
from lgh_mmpose.rendering.skins import hand_surface

SIZE = 96
COUNT = 30
TIPS = [4, 8, 12, 16, 20]
KNUCKLES = [5, 9, 13, 17]
THUMB_IDS = [RIGHT_HAND_ID + i for i in range(3)]
LITTLE_IDS = [RIGHT_HAND_ID + 12 + i for i in range(3)]
PALM_VIEW = np.array([[-1., 0, 0], [0, 0, 1], [0, 1, 0]])
BACK_VIEW = np.array([[1., 0, 0], [0, 0, 1], [0, -1, 0]])
CAMERA = np.array([[200., 0, 48], [0, 200, 48], [0, 0, 1]])


class Recorder(SceneGenerator):
    """Keeps the hands that it has rendered."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.scenes = []

    def render(self, rng, hands, camera_matrix):
        self.scenes.append((hands, camera_matrix))
        return super().render(rng, hands, camera_matrix)

    def draw(self, count, method='sample'):
        samples = [getattr(self, method)(i) for i in range(count)]
        return [(sample, *scene)
                for sample, scene in zip(samples, self.scenes[-count:])]


def generator(**kwargs):
    return Recorder(**{'seed': 0, 'size': SIZE, **kwargs})


@pytest.fixture(scope='module')
def full():
    return generator()


@pytest.fixture(scope='module')
def plain():
    """Bare hands, whose pictures hold nothing that is drawn at random."""
    return generator(without=INGREDIENTS)


@pytest.fixture(scope='module')
def drawn(full):
    """Samples, their hands and cameras."""
    return full.draw(COUNT)


@pytest.fixture(scope='module')
def drawn_plainly(plain):
    return plain.draw(COUNT)


@pytest.fixture(scope='module')
def drawn_easily():
    return generator(difficulty='easy', without=INGREDIENTS).draw(COUNT)


@pytest.fixture(scope='module')
def pairs(full):
    return full.draw(COUNT // 2, 'sample_both_hands')


@pytest.fixture(scope='module')
def touching(full):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, '_TOUCHING', 1.)
        return full.draw(COUNT // 2, 'sample_both_hands')


class Unrendered(SceneGenerator):

    def render(self, rng, hands, camera_matrix):
        return np.stack([hand.keypoints for hand in hands]), camera_matrix


@pytest.fixture(scope='module')
def apart():
    """Key points and cameras of many pairs that do not touch."""
    scenes = Unrendered(7, size=SIZE, without=INGREDIENTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, '_TOUCHING', 0.)
        return [scenes.sample_both_hands(i) for i in range(300)]


def bare_hand(scenes, pose=None, subject=None):
    """A hand in its own frame, by default open and the mean one."""
    model = scenes.model
    pose = np.zeros((len(JOINT_NAMES), 3)) if pose is None else pose
    vertices, keypoints = model.deform(pose, subject or model.mean_subject)
    skin = scenes._skins.plain(np.random.default_rng(0))
    return Hand([hand_surface(model, vertices, skin)], keypoints)


def show(scenes, *hands, camera=CAMERA):
    return scenes.render(np.random.default_rng(0), hands, camera)


def fist():
    pose = np.zeros((len(JOINT_NAMES), 3))
    for joints in FINGER_JOINTS[1:]:
        for name, flexion in zip(joints[1:4], (85, 100, 65)):
            pose[JOINT_INDEX[name], 0] = flexion
    return pose


def board(corners):
    """A square that faces the camera."""
    low, high = np.asarray(corners, float)
    x, y = (low[:2], high[:2])
    vertices = np.array([[x[0], x[1], low[2]], [x[0], y[1], low[2]],
                         [y[0], y[1], low[2]], [y[0], x[1], low[2]]])
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    texture = np.full((4, 4, 3), .5, np.float32)
    return Surface(vertices, faces, np.zeros((4, 2), np.float32), faces,
                   texture, np.full(2, module._OBJECT_PART, np.uint8))


def pixels(sample, hand=0):
    return np.rint(project(sample.keypoints_cam[hand],
                           sample.camera_matrix)).astype(int)


def silhouette(sample):
    return cv2.dilate(np.uint8(sample.part_mask > 0), np.ones((3, 3)))


def inner(sample):
    """Pixels off the hand's edge, which may belong to what is beside it."""
    hand = np.uint8(sample.part_mask > 0)
    kernel = np.ones((3, 3))
    return cv2.dilate(hand, kernel) == cv2.erode(hand, kernel)


def is_object(surface):
    return surface.parts.max() > FOREARM_PART


# -- what a sample holds ------------------------------------------------------


def test_sample_is_well_formed(drawn):
    for sample, hands, camera in drawn:
        assert sample.image.shape == (SIZE, SIZE, 3)
        assert sample.image.dtype == sample.part_mask.dtype == np.uint8
        assert sample.keypoints_cam.shape == (1, 21, 3)
        assert sample.keypoints_visible.shape == (1, 21)
        assert sample.keypoints_cam[..., 2].min() > 150
        assert sample.sides == ('right', )
        assert set(np.unique(sample.part_mask)) <= {
            0, PERSON_ID, *range(RIGHT_HAND_ID, RIGHT_HAND_ID + 16)
        }
        np.testing.assert_array_equal(
            np.isfinite(sample.depth), sample.part_mask > 0)
        np.testing.assert_array_equal(sample.keypoints_cam[0],
                                      hands[0].keypoints)
        np.testing.assert_array_equal(sample.camera_matrix, camera)


def test_keypoints_stay_in_the_image(drawn):
    for sample, *_ in drawn:
        assert ((pixels(sample) >= 0) & (pixels(sample) < SIZE)).all()


@pytest.mark.parametrize('fixture', ['drawn_plainly', 'drawn_easily'])
def test_keypoints_project_into_the_rendered_hand(fixture, request):
    """All joints lie in the flesh, so none may leave the silhouette; tips lie
    on its edge, which a pixel of dilation admits."""
    samples = [sample for sample, *_ in request.getfixturevalue(fixture)]

    def hit_rate(shift):
        hits = []
        for sample in samples:
            u, v = (pixels(sample) + shift).clip(0, SIZE - 1).T
            hits.append(silhouette(sample)[v, u] > 0)
        return np.mean(hits)

    assert hit_rate(0) > .995
    # a label that is a tenth of the image off is noticed
    assert hit_rate(SIZE // 10) < .9


@pytest.mark.parametrize('focal, centre', [(200., (48, 48)), (150., (60, 30)),
                                           (90., (20, 70))])
def test_camera_matrix_projects_the_mesh_onto_its_picture(
        plain, focal, centre):
    camera = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0,
                                                                      1]])
    hand = place_hand(bare_hand(plain), BACK_VIEW, np.array([5, -30, 600.]))
    sample = show(plain, hand, camera=camera)
    parts = plain.model.face_parts
    fingers = plain.model.faces[(parts >= 3) & (parts < 15)]
    uv = project(hand.surfaces[0].vertices[fingers].reshape(-1, 3), camera)
    mask = np.isin(sample.part_mask - RIGHT_HAND_ID, np.arange(3, 15))
    x, y, width, _ = cv2.boundingRect(np.uint8(mask))
    # of the fingers, whose lower ends the hand hides
    assert x == pytest.approx(uv[:, 0].min(), abs=1)
    assert x + width - 1 == pytest.approx(uv[:, 0].max(), abs=1)
    assert y == pytest.approx(uv[:, 1].min(), abs=1)


def test_depth_agrees_with_the_visible_keypoints(drawn):
    """The skin lies before a joint by no more than the flesh is thick."""
    behind = []
    for sample, *_ in drawn:
        z = sample.keypoints_cam[0, :, 2]
        u, v = pixels(sample).T
        seen = sample.keypoints_visible[0] & (sample.part_mask[v, u] > 0)
        behind.append((z - sample.depth[v, u])[seen])
        assert (behind[-1] <= module._FLESH[seen] + .01).all()
    behind = np.concatenate(behind)
    assert len(behind) > 10 * COUNT
    assert 3 < np.median(behind) < 15
    # at a tip or the hand's edge the pixel may show what is farther away
    assert np.mean(behind > -3) > .95


def test_visible_keypoints_lie_on_their_own_finger(drawn):
    hits = []
    for sample, *_ in drawn:
        at = pixels(sample)
        for k in np.flatnonzero(sample.keypoints_visible[0]):
            finger, joint = divmod(k - 1, 4)
            if k == 0 or joint == 0:  # where palm and finger meet
                continue
            u, v = at[k]
            near = sample.part_mask[max(v - 1, 0):v + 2, max(u - 1, 0):u + 2]
            first = RIGHT_HAND_ID + 3 * finger
            hits.append(((near >= first) & (near < first + 3)).any())
    assert len(hits) > 5 * COUNT
    assert np.mean(hits) > .95


def test_parts_lie_where_the_joints_are(plain):
    """Of an open hand: tip, middle and base of each finger, palm, forearm."""
    hand = place_hand(bare_hand(plain), PALM_VIEW, np.array([0, -50, 600.]))
    sample = show(plain, hand)
    uv = pixels(sample)
    for finger in range(5):
        base, first, second, tip = uv[1 + 4 * finger:5 + 4 * finger]
        for part, (a, b) in enumerate([(second, tip), (first, second),
                                       (base, first)]):
            u, v = np.rint((a + b) / 2).astype(int)
            if part == 2 and finger:  # beside the knuckle it is palm
                u, v = np.rint(.2 * a + .8 * b).astype(int)
            assert sample.part_mask[v, u] == RIGHT_HAND_ID + 3 * finger + part
    u, v = np.rint((uv[0] + uv[9]) / 2).astype(int)
    assert sample.part_mask[v, u] == RIGHT_HAND_ID + 15
    u, v = np.rint(1.4 * uv[0] - .4 * uv[9]).astype(int)
    assert sample.part_mask[v, u] == PERSON_ID


# -- visibility ---------------------------------------------------------------


def test_fist_hides_its_tips_from_behind(plain):
    hand = bare_hand(plain, fist())
    place = np.array([0, 0, 500.])
    visible = show(plain, place_hand(hand, BACK_VIEW,
                                     place)).keypoints_visible[0]
    assert visible[[0, *KNUCKLES]].all()
    assert not visible[TIPS[1:]].any()
    palm = show(plain, place_hand(hand, PALM_VIEW, place)).keypoints_visible[0]
    assert not palm[KNUCKLES].all()
    assert palm[[6, 10, 14, 18]].all()


@pytest.mark.parametrize('view', [BACK_VIEW, PALM_VIEW])
def test_open_hands_show_their_joints(plain, view):
    rng = np.random.default_rng(0)
    place = np.array([0, 0, 500.])
    visible = []
    for _ in range(8):
        subject = plain.model.sample_subject(rng)
        pose = sample_pose(rng, HandBody(plain.model, subject), 'open')
        hand = bare_hand(plain, pose, subject)
        visible.append(
            show(plain, place_hand(hand, view, place)).keypoints_visible[0])
    assert np.mean(visible) > .95
    assert np.array(visible)[:, 5:].mean() > .97  # without the thumb

    hand = bare_hand(plain)
    aside = show(plain, place_hand(hand, view, np.array([5000., 0, 500])))
    assert not aside.keypoints_visible.any()
    assert not aside.part_mask.any()
    behind = show(plain, place_hand(hand, view, np.array([0, 0, -500.])))
    assert not behind.keypoints_visible.any()


@pytest.mark.parametrize('gap', [1., 150.])
def test_board_hides_the_fingers_behind_it(plain, gap):
    """Even one on the skin, which is nearer than the joints lie deep."""
    hand = place_hand(bare_hand(plain), PALM_VIEW, np.array([0, 0, 500.]))
    free = show(plain, hand)
    fingers = np.isin(plain.model.face_parts, np.arange(3, 15))
    nearest = hand.surfaces[0].vertices[plain.model.faces[fingers]][...,
                                                                    2].min()
    # from the PIP joints on, and as wide as the picture
    upper = hand.keypoints[KNUCKLES, 1].min() - 15
    cover = board([[-500, -500, nearest - gap], [500, upper, 0]])
    covered = show(plain, hand._replace(surfaces=[*hand.surfaces, cover]))
    assert free.keypoints_visible[0, [6, 7, 8, 10, 11, 12]].all()
    assert not covered.keypoints_visible[0, [7, 8, 11, 12, 15, 16]].any()
    assert covered.keypoints_visible[0, [0, 9]].all()
    u, v = pixels(free)[TIPS[1:4]].T
    assert not covered.part_mask[v, u].any()
    assert np.isinf(covered.depth[v, u]).all()

    farthest = hand.surfaces[0].vertices[:, 2].max()
    wall = board([[-500, -500, farthest + gap], [500, 500, 0]])
    before = show(plain, hand._replace(surfaces=[*hand.surfaces, wall]))
    np.testing.assert_array_equal(before.keypoints_visible,
                                  free.keypoints_visible)
    # a pixel of the edge belongs to the nearest of what covers it
    np.testing.assert_array_equal(before.part_mask[inner(free)],
                                  free.part_mask[inner(free)])


def test_two_hands_hide_each_other(plain):
    hand = bare_hand(plain)
    near = place_hand(hand, BACK_VIEW, np.array([0, 0, 400.]), 'left')
    far = place_hand(hand, BACK_VIEW, np.array([0, 0, 600.]), 'right')
    sample = show(plain, far, near)
    assert sample.sides == ('right', 'left')
    assert sample.keypoints_visible[1, 5:].all()
    assert sample.keypoints_visible[0].sum() < 12
    left = (sample.part_mask >= LEFT_HAND_ID) & (
        sample.part_mask < RIGHT_HAND_ID)
    assert left.sum() > (sample.part_mask >= RIGHT_HAND_ID).sum()


def test_held_objects_are_background_and_hide(plain, drawn):
    held = [(hands[0], camera) for _, hands, camera in drawn
            if any(map(is_object, hands[0].surfaces))]
    assert len(held) > .15 * COUNT
    cleared, hidden = 0, 0
    for hand, camera in held:
        bare = hand._replace(
            surfaces=[s for s in hand.surfaces if not is_object(s)])
        free, holding = (show(plain, h, camera=camera) for h in (bare, hand))
        changed = (free.part_mask != holding.part_mask) & inner(free)
        assert not holding.part_mask[changed].any()
        assert not (holding.keypoints_visible & ~free.keypoints_visible).any()
        assert np.isinf(holding.depth[changed]).all()
        cleared += changed.sum()
        hidden += (free.keypoints_visible & ~holding.keypoints_visible).sum()
    assert cleared > 50 * len(held) and hidden > 0


def test_what_is_worn_counts_as_what_it_covers(plain, drawn):
    dressed = 0
    for _, hands, camera in drawn:
        worn = [s for s in hands[0].surfaces if not is_object(s)]
        if len(worn) == 1:
            continue
        bare, clothed = (
            show(plain, hands[0]._replace(surfaces=s), camera=camera)
            for s in (worn[:1], worn))
        # cloth is wider than the arm, but shows nothing through
        assert (clothed.part_mask[bare.part_mask > 0] > 0).all()
        dressed += (bare.image != clothed.image).any()
    assert dressed > 0


def test_occluder_clears_the_mask_and_hides_joints(full, monkeypatch):
    hidden = 0
    for i in range(12):
        a, b = (
            _with_occluder(full, monkeypatch, i, share) for share in (0., 1.))
        np.testing.assert_array_equal(a.keypoints_cam, b.keypoints_cam)
        cleared = a.part_mask != b.part_mask
        assert not b.part_mask[cleared].any()
        assert np.isinf(b.depth[cleared]).all()
        u, v = pixels(a).T
        under = cleared[v, u]
        assert not b.keypoints_visible[0, under].any()
        assert not (b.keypoints_visible & ~a.keypoints_visible).any()
        kept = ~under & (a.part_mask[v, u] > 0)
        np.testing.assert_array_equal(a.keypoints_visible[0, kept],
                                      b.keypoints_visible[0, kept])
        hidden += under.sum()
    assert hidden > 5


def _with_occluder(scenes, monkeypatch, index, share):
    monkeypatch.setattr(module, '_OCCLUDER', share)
    return scenes.sample(index)


# -- how hands are placed -----------------------------------------------------


def test_keypoints_span_half_to_85_percent_of_the_image(drawn, drawn_easily):
    spans = [
        np.ptp(pixels(sample), axis=-2).max() / SIZE
        for sample, *_ in drawn + drawn_easily
    ]
    assert .48 < min(spans) < .6
    assert .75 < max(spans) < .87


def test_thumb_is_on_the_right_side_of_a_right_hand(plain):
    """Palm towards the camera, fingers up: the thumb is on the right."""
    rng = np.random.default_rng(0)
    for sign, view in ((1, PALM_VIEW), (-1, BACK_VIEW)):
        subject = plain.model.sample_subject(rng)
        pose = sample_pose(rng, HandBody(plain.model, subject), 'open')
        pose[0] = 0  # wrist
        hand = place_hand(
            bare_hand(plain, pose, subject), view, np.array([0, 0, 500.]))
        mask = show(plain, hand).part_mask
        thumb, little = (
            np.nonzero(np.isin(mask, ids)) for ids in (THUMB_IDS, LITTLE_IDS))
        assert sign * (thumb[1].mean() - little[1].mean()) > 15
        uv = project(hand.keypoints, CAMERA)
        assert sign * (uv[4, 0] - uv[20, 0]) > 15
        assert (uv[TIPS[1:], 1] < uv[0, 1]).all()


def test_left_hand_is_the_mirror_image(plain):
    rng = np.random.default_rng(3)
    subject = plain.model.sample_subject(rng)
    pose = sample_pose(rng, HandBody(plain.model, subject), 'relaxed')
    hand = bare_hand(plain, pose, subject)
    rotation = uniform_rotation(rng)
    flip = np.diag([-1., 1, 1])
    place = np.array([20., -10, 400])
    camera = np.array([[200., 0, 40], [0, 210, 50], [0, 0, 1]])
    mirrored = camera.copy()
    mirrored[0, 2] = SIZE - 1 - camera[0, 2]
    right = place_hand(hand, rotation, place)
    left = place_hand(hand, flip @ rotation @ flip, flip @ place, 'left')
    assert right.side == 'right' and left.side == 'left'
    np.testing.assert_allclose(
        left.keypoints, right.keypoints @ flip, atol=1e-3)
    a = show(plain, right, camera=camera)
    b = show(plain, left, camera=mirrored)
    expected = a.part_mask[:, ::-1].astype(int)
    expected[expected > PERSON_ID] -= RIGHT_HAND_ID - LEFT_HAND_ID
    assert (expected > PERSON_ID).sum() > 500
    assert np.mean(expected != b.part_mask) < .01
    np.testing.assert_array_equal(a.keypoints_visible, b.keypoints_visible)


def test_unknown_side_is_refused(plain):
    with pytest.raises(ValueError, match="'up'"):
        place_hand(bare_hand(plain), np.eye(3), side='up')


@pytest.mark.parametrize('root', [0, 9])
def test_placed_hand_keeps_its_shape(plain, root):
    hand = bare_hand(plain, fist())
    rotation = uniform_rotation(np.random.default_rng(0))
    placed = place_hand(hand, rotation, np.array([1., 2, 500]), root=root)
    np.testing.assert_allclose(placed.keypoints[root], [1, 2, 500])
    for points, there in ((hand.keypoints, placed.keypoints),
                          (hand.surfaces[0].vertices,
                           placed.surfaces[0].vertices)):
        np.testing.assert_allclose(
            np.linalg.norm(points - hand.keypoints[root], axis=1),
            np.linalg.norm(there - placed.keypoints[root], axis=1),
            atol=1e-3)
    moved = placed.moved(np.array([3., 0, 0]))
    np.testing.assert_allclose(moved.keypoints - placed.keypoints,
                               [[3, 0, 0]] * 21)
    np.testing.assert_allclose(
        moved.surfaces[0].vertices - placed.surfaces[0].vertices,
        np.tile([3., 0, 0], (len(placed.surfaces[0].vertices), 1)))


def test_forearm_that_passes_the_camera_is_cut_off(plain):
    """An arm that reaches behind the camera leaves the hand as it is."""
    forward = np.diag([1., -1., -1.])  # fingers away from the camera
    camera = np.array([[60., 0, 48], [0, 60, 48], [0, 0, 1]])
    hand = place_hand(bare_hand(plain), forward, np.array([60., 60, 200.]))
    vertices = hand.surfaces[0].vertices
    assert vertices[:, 2].min() < 0
    sample = show(plain, hand, camera=camera)
    assert .01 < np.mean(sample.part_mask == PERSON_ID) < .9
    before = vertices[vertices[:, 2] > 51]
    u, v = np.rint(project(before, camera)).astype(int).T
    inside = (u > 0) & (u < SIZE - 1) & (v > 0) & (v < SIZE - 1)
    assert inside.sum() > 100
    assert silhouette(sample)[v[inside], u[inside]].all()


def test_forearms_do_not_point_at_the_camera(drawn, drawn_easily, pairs,
                                             touching, plain):
    """Or they would hide their own hands."""
    elbow = plain.model.mean_subject.vertices[:, 2] > 150
    for _, hands, _ in drawn + drawn_easily + pairs + touching:
        for hand in hands:
            forearm = hand.surfaces[0].vertices[elbow].mean(
                axis=0) - hand.keypoints[0]
            assert forearm[2] > -.8 * np.linalg.norm(forearm)


def test_easy_hands_point_upwards(drawn_easily):
    wrist, root = np.stack(
        [sample.keypoints_cam[0][[0, 9]] for sample, *_ in drawn_easily], 1)
    up = (root - wrist)[:, 1] / np.linalg.norm(root - wrist, axis=1)
    angles = np.degrees(np.arccos(-up))
    assert np.median(angles) < 50
    assert angles.max() < 110


def test_most_hands_turned_any_way_point_upwards():
    rng = np.random.default_rng(0)
    fingers = np.stack(
        [module.any_rotation(rng) @ (0, 0, -1.) for _ in range(1000)])
    # the y axis points down
    assert .65 < np.mean(fingers[:, 1] < -.3) < .9
    assert .08 < np.mean(fingers[:, 1] > .3) < .2


def test_easy_hands_show_palm_or_back(drawn_easily):
    facing = []
    for sample, *_ in drawn_easily:
        wrist, index, little = sample.keypoints_cam[0][[0, 5, 17]]
        normal = np.cross(index - wrist, little - wrist)
        facing.append(normal[2] / np.linalg.norm(normal))
    facing = np.array(facing)
    assert np.median(np.abs(facing)) > .75
    assert .15 < np.mean(facing > 0) < .85


def test_rotations_are_rotations():
    rng = np.random.default_rng(0)
    for draw in (uniform_rotation, upright_rotation, module.any_rotation):
        for _ in range(20):
            rotation = draw(rng)
            np.testing.assert_allclose(
                rotation @ rotation.T, np.eye(3), atol=1e-12)
            assert np.linalg.det(rotation) > 0


# -- two hands ----------------------------------------------------------------


def test_pairs_are_left_and_right(pairs):
    seen = set()
    for sample, hands, _ in pairs:
        assert sample.sides == ('left', 'right')
        assert [hand.side for hand in hands] == ['left', 'right']
        assert sample.keypoints_cam.shape == (2, 21, 3)
        inside = [
            ((pixels(sample, h) >= 0) & (pixels(sample, h) < SIZE)).all()
            for h in range(2)
        ]
        assert any(inside)
        assert sample.keypoints_visible.any()
        seen |= set(np.unique(sample.part_mask))
        for h, first in enumerate((LEFT_HAND_ID, RIGHT_HAND_ID)):
            # on its own or on the other hand
            u, v = pixels(sample, h)[sample.keypoints_visible[h]].T
            parts = sample.part_mask[v, u]
            own = (parts >= first) & (parts < first + 16)
            if len(own) > 5:
                assert own.mean() > .4
    assert seen >= {0, PERSON_ID, LEFT_HAND_ID + 15, RIGHT_HAND_ID + 15}


def test_hands_that_touch_are_in_the_picture(touching):
    gaps = []
    for sample, hands, _ in touching:
        assert sample.sides == ('left', 'right')
        for h in range(2):
            assert ((pixels(sample, h) >= 0) &
                    (pixels(sample, h) < SIZE)).all()
        left, right = (hand.surfaces[0].vertices for hand in hands)
        gaps.append(cKDTree(left).query(right)[0].min())
    assert max(gaps) < 400
    assert np.mean(np.array(gaps) < 6) > .3


def test_hands_apart_do_not_run_through_each_other(apart):
    for (left, right), camera in apart:
        uv_left, uv_right = (project(xyz, camera) for xyz in (left, right))
        apart_in_image = ((uv_left.max(0) < uv_right.min(0)) |
                          (uv_right.max(0) < uv_left.min(0))).any()
        apart_in_depth = (
            left[:, 2].max() < right[:, 2].min()
            or right[:, 2].max() < left[:, 2].min())
        assert apart_in_image or apart_in_depth


def test_one_of_the_hands_apart_is_in_the_picture(apart):
    for keypoints, camera in apart:
        uv = project(keypoints, camera)
        inside = ((uv > -.5) & (uv < SIZE - .5)).all(axis=(1, 2))
        assert inside.any()


def test_pairs_are_of_one_person(pairs):
    """Both hands have one skin and bones of one length."""
    for sample, hands, _ in pairs:
        lengths = np.linalg.norm(
            sample.keypoints_cam[:, 5] - sample.keypoints_cam[:, 0], axis=1)
        assert lengths[0] == pytest.approx(lengths[1], abs=.01)
        assert hands[0].surfaces[0].texture is hands[1].surfaces[0].texture


# -- chance -------------------------------------------------------------------


def test_sample_depends_on_seed_split_and_index_only(full):
    fresh = generator()
    for method in ('sample', 'sample_both_hands'):
        for i in (3, 0, 5):
            getattr(full, method)(i)
        a, b = (getattr(scenes, method)(1) for scenes in (full, fresh))
        for mine, its in zip(a, b):
            np.testing.assert_array_equal(mine, its)
    c = full.sample(1)
    for other in (generator(seed=1).sample(1),
                  generator(split='evaluation').sample(1), full.sample(2)):
        assert np.abs(other.keypoints_cam - c.keypoints_cam).max() > 1


_sample_light = module.sample_light


def test_splits_share_no_environment(monkeypatch):
    maps = {}

    def sample_light(rng, environments, plain):
        maps[split] = environments
        return _sample_light(rng, environments, plain)

    monkeypatch.setattr(module, 'sample_light', sample_light)
    for split in module.SPLITS:
        scenes = generator(split=split)
        scenes.sample(0)
        # what is seen behind the hands are the same maps
        panoramas = [environment.panorama for environment in maps[split]]
        assert list(map(id, scenes.backgrounds._panoramas)) == list(
            map(id, panoramas))
    training, evaluation = ({environment.name
                             for environment in maps[split]}
                            for split in ('training', 'evaluation'))
    assert not training & evaluation
    assert training | evaluation == {e.name for e in load_environments()}
    assert len(training) > len(evaluation) > 2


def test_pictures_vary(drawn):
    means = np.array([sample.image.mean((0, 1)) for sample, *_ in drawn])
    assert (means.std(axis=0) > 10).all()


# -- what can be left out -----------------------------------------------------


def bone_lengths(samples):
    """Of the index finger's metacarpal, wrist included: it never bends."""
    return np.array([
        np.linalg.norm(sample.keypoints_cam[0, 5] - sample.keypoints_cam[0, 0])
        for sample, *_ in samples
    ])


def test_without_subjects_all_have_one_hand(drawn, drawn_plainly, plain):
    assert np.ptp(bone_lengths(drawn)) > 5
    joints = plain.model.deform(
        np.zeros((len(JOINT_NAMES), 3)), plain.model.mean_subject).keypoints
    np.testing.assert_allclose(
        bone_lengths(drawn_plainly),
        np.linalg.norm(joints[5] - joints[0]),
        atol=.01)


def test_without_skins_a_hand_has_one_colour(drawn, drawn_plainly):
    for samples, is_plain in ((drawn_plainly, True), (drawn, False)):
        colors = set()
        for _, hands, _ in samples:
            skin = hands[0].surfaces[0]
            assert (np.ptp(skin.texture, axis=(0, 1)).max() == 0) == is_plain
            assert (skin.relief is None) == is_plain
            colors.add(skin.texture[0, 0].tobytes())
        assert len(colors) == COUNT  # though people differ


def test_without_accessories_hands_are_bare(drawn, drawn_plainly):
    worn = [
        sum(not is_object(s) for s in hands[0].surfaces) - 1
        for _, hands, _ in drawn
    ]
    assert .3 < np.mean(np.array(worn) > 0) < .9
    for _, hands, _ in drawn_plainly:
        skin = hands[0].surfaces[0]
        assert all(s.texture is skin.texture for s in hands[0].surfaces)


def test_without_objects_nothing_is_held_or_stands_before(
        drawn_plainly, full, monkeypatch):
    for _, hands, _ in drawn_plainly:
        assert not any(map(is_object, hands[0].surfaces))

    def refuse(*_):
        raise AssertionError('an occluder')

    monkeypatch.setattr(module, 'sample_occluder', refuse)
    monkeypatch.setattr(module, '_OCCLUDER', 1.)
    generator(without=['objects']).sample(0)
    with pytest.raises(AssertionError, match='an occluder'):
        full.sample(0)


@pytest.mark.parametrize('without', [[], ['environment_light']])
def test_without_environment_light_it_is_white(without, monkeypatch):
    lights = []

    def sample_light(*args, **kwargs):
        lights.append(_sample_light(*args, **kwargs))
        return lights[-1]

    monkeypatch.setattr(module, 'sample_light', sample_light)
    generator(without=without).draw(6)
    for light in lights:
        assert (light.environment is None) == bool(without)
        assert (np.ptp(light.sh, axis=1).max() < 1e-6) == bool(without)
        if without:
            assert np.ptp(light.key_color) == 0 < light.key_color[0]


def test_without_photographs_backgrounds_are_drawn(full):
    """No photograph, no environment map and nobody is behind the hand."""
    backgrounds = generator(without=['photographs']).backgrounds
    assert not backgrounds.people and full.backgrounds.people
    kinds = [{
        name
        for name in ('_draw_panorama', '_draw_photograph')
        if _is_used(pool, name)
    } for pool in (backgrounds, full.backgrounds)]
    assert kinds == [set(), {'_draw_panorama', '_draw_photograph'}]


def _is_used(backgrounds, name):
    """Whether a kind of background is among 40 of them."""
    calls = []
    original = getattr(backgrounds, name)
    setattr(backgrounds, name,
            lambda *args: calls.append(1) or original(*args))
    rng = np.random.default_rng(0)
    for _ in range(40):
        backgrounds.sample(rng, 32, 0, np.eye(3))
    delattr(backgrounds, name)
    return bool(calls)


def test_without_camera_the_picture_is_as_rendered(full, monkeypatch):
    developed = []

    def apply_camera(rng, image, subject):
        developed.append(image.copy())
        return np.zeros(image.shape, np.uint8)

    monkeypatch.setattr(module, 'apply_camera', apply_camera)
    bare = generator(without=['camera'])
    for i in range(4):
        assert not full.sample(i).image.any()
        np.testing.assert_array_equal(
            bare.sample(i).image,
            np.rint(np.clip(developed[i], 0, 255)).astype(np.uint8))
    assert len(developed) == 4


@pytest.mark.parametrize('ingredient', INGREDIENTS)
def test_each_ingredient_changes_the_picture(full, ingredient):
    scenes = generator(without=[ingredient])
    assert any((full.sample(i).image != scenes.sample(i).image).any()
               for i in range(12))


# -- arguments ----------------------------------------------------------------


@pytest.mark.parametrize('arguments, message', [
    ({
        'split': 'test'
    }, "split is 'test'"),
    ({
        'difficulty': 'hard'
    }, f"difficulty is 'hard'.*{DIFFICULTIES[0]}"),
    ({
        'seed': -1
    }, 'seed is -1'),
    ({
        'size': 8
    }, 'size is 8'),
    ({
        'without': ['camera', 'cameras']
    }, "'cameras' cannot be left out.*environment_light"),
    ({
        'without': ['photographs'],
        'backgrounds': '.'
    }, 'of no use without photographs'),
])
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        SceneGenerator(**{'seed': 0, **arguments})


def test_folder_of_photographs_is_behind_the_hands(tmp_path):
    """A picture of one bright colour, which no other background has."""
    for i in range(2):
        cv2.imwrite(
            str(tmp_path / f'{i}.png'),
            np.full((64, 64, 3), (0, 255, 0), np.uint8))
    (tmp_path / 'empty').mkdir()
    scenes = generator(backgrounds=tmp_path, without=['camera'])
    images = [scenes.sample(i).image for i in range(8)]
    green = [
        np.mean((image[..., 1] > 200) & (image[..., [0, 2]] < 60).all(axis=-1))
        for image in images
    ]
    assert max(green) > .2
    with pytest.raises(ValueError, match='empty'):
        generator(backgrounds=tmp_path / 'empty')
