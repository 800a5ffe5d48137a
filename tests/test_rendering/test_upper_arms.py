import cv2
import numpy as np
import pytest

from lgh_mmpose.rendering import scene as module
from lgh_mmpose.rendering.hand_model import FOREARM_PART
from lgh_mmpose.rendering.scene import (INGREDIENTS, PERSON_ID, Hand,
                                        SceneGenerator, place_hand)
from lgh_mmpose.rendering.skins import hand_surface
from lgh_mmpose.rendering.upper_arms import arm_to_shoulder, upper_arm

SIZE = 96
UPRIGHT = np.array([[1., 0, 0], [0, 0, 1], [0, -1, 0]])


@pytest.fixture(scope='module')
def scenes():
    return SceneGenerator(3, size=SIZE, without=INGREDIENTS)


def hand_at(scenes, place, side='right', rotation=UPRIGHT):
    model = scenes.model
    vertices, keypoints = model.deform(np.zeros((26, 3)), model.mean_subject)
    skin = scenes._skins.plain(np.random.default_rng(0))
    hand = Hand([hand_surface(model, vertices, skin)], keypoints)
    return place_hand(hand, rotation, np.array(place, float), side)


def arm_of(scenes, hand, focal):
    camera = np.array([[focal, 0, SIZE / 2], [0, focal, SIZE / 2], [0, 0, 1]])
    return camera, upper_arm(
        np.random.default_rng(0), hand.surfaces, hand.keypoints[0],
        scenes.elbow_of(hand), camera, SIZE, hand.keypoints)


def ends_within(mask):
    """Number of pieces of a mask that do not reach the picture's border."""
    mask = cv2.dilate(np.uint8(mask), np.ones((3, 3)))
    count, labels = cv2.connectedComponents(mask)
    border = np.concatenate(
        [labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return count - len(set(border) | {0})


def test_no_arm_ends_within_the_picture():
    # people of all lengths of arm
    scenes = SceneGenerator(
        3, size=SIZE, without=set(INGREDIENTS) - {'subjects'})
    for i in range(60):
        sample = scenes.sample_both_hands(i)
        assert ends_within(sample.part_mask > 0) == 0, i


@pytest.mark.parametrize('side', ['left', 'right'])
def test_arm_goes_on_until_it_leaves_the_picture(scenes, side):
    hand = hand_at(scenes, (0, -100, 900), side)
    camera, arm = arm_of(scenes, hand, 100.)
    assert (arm.parts == FOREARM_PART).all()
    bare = scenes.render(np.random.default_rng(0), [hand], camera)
    assert ends_within(bare.part_mask > 0) == 1
    whole = scenes.render(
        np.random.default_rng(0),
        [hand._replace(surfaces=[*hand.surfaces, arm])], camera)
    assert ends_within(whole.part_mask > 0) == 0
    added = (bare.part_mask == 0) & (whole.part_mask > 0)
    assert added.sum() > 30
    assert (whole.part_mask[added] == PERSON_ID).all()
    assert np.isfinite(whole.depth[added]).all()
    # the hand itself is as it was
    is_hand = bare.part_mask > PERSON_ID
    np.testing.assert_array_equal(whole.part_mask[is_hand],
                                  bare.part_mask[is_hand])
    np.testing.assert_array_equal(whole.keypoints_visible,
                                  bare.keypoints_visible)


def test_arm_begins_within_the_forearm(scenes):
    hand = hand_at(scenes, (0, -100, 900))
    _, arm = arm_of(scenes, hand, 100.)
    skin = hand.surfaces[0].vertices
    first = arm.vertices[:32]
    assert first[:, 1].mean() < skin[:, 1].max() - 20
    gap = np.linalg.norm(first[:, None] - skin, axis=-1).min(axis=1)
    assert gap.max() < 20


def test_arm_that_leaves_the_picture_needs_no_more(scenes):
    _, arm = arm_of(scenes, hand_at(scenes, (0, 0, 500)), 200.)
    assert arm is None


def test_clothed_arm_stays_clothed(monkeypatch):
    """A sleeve continues over the elbow."""
    scenes = SceneGenerator(3, size=SIZE)
    arms = []

    def record(rng, surfaces, *args):
        arm = upper_arm(rng, surfaces, *args)
        arms.append((surfaces, arm))
        return arm

    monkeypatch.setattr(module, 'upper_arm', record)
    for i in range(30):
        scenes.sample_both_hands(i)
    seen = set()
    for surfaces, arm in arms:
        if arm is None:
            continue
        sleeves = [
            s for s in surfaces[1:]
            if (s.parts == FOREARM_PART).all() and s.relief is not None
        ]
        seen.add(bool(sleeves))
        if sleeves:
            assert any(arm.texture is s.texture for s in sleeves)
        else:
            assert arm.translucency == surfaces[0].translucency
    assert seen == {False, True}


@pytest.mark.parametrize('side', ['left', 'right'])
@pytest.mark.parametrize('way', [(90, -200, 60), (-40, -260, 0), (0, 60, 90),
                                 (5, -30, 20)])
def test_arm_leads_to_a_shoulder_and_ends_there(scenes, side, way):
    hand = hand_at(scenes, (0, -100, 900), side)
    elbow = scenes.elbow_of(hand)
    shoulder = elbow + way
    arm = arm_to_shoulder(
        np.random.default_rng(0), hand.surfaces, hand.keypoints[0], elbow,
        shoulder, 50.)
    assert (arm.parts == FOREARM_PART).all()
    rings = arm.vertices.reshape(-1, 32, 3)
    centres = rings.mean(axis=1)
    radii = np.linalg.norm(rings - centres[:, None], axis=2).mean(axis=1)
    assert np.linalg.norm(centres[0] - elbow) < 90  # within the forearm
    assert radii[-1] < 2  # closed
    if np.linalg.norm(way) > 150:
        assert np.linalg.norm(centres[-1] - shoulder) < 50 * .6
        at = np.linalg.norm(centres - shoulder, axis=1).argmin()
        assert radii[at - 1] == pytest.approx(50, rel=.12)
    steps = np.diff(centres, axis=0)
    assert (np.linalg.norm(steps, axis=1) < 120).all()  # no gap
