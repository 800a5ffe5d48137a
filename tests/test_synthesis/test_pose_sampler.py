import numpy as np
import pytest

from lgh_mmpose.synthesis.pose_sampler import (POSE_KINDS, POSE_LIMITS,
                                               CollisionTest, sample_hand,
                                               sample_pose, sample_shape)
from lgh_mmpose.synthesis.rig import (FINGER_JOINTS, JOINT_INDEX, JOINT_NAMES,
                                      HandRig)

J = len(JOINT_NAMES)
UNIT = np.ones((J, 3))


@pytest.fixture(scope='module')
def rig():
    return HandRig()


def test_probabilities_sum_to_one():
    assert sum(POSE_KINDS.values()) == pytest.approx(1)


@pytest.mark.parametrize('kind', POSE_KINDS)
def test_poses_keep_the_anatomical_limits(kind):
    rng = np.random.default_rng(0)
    poses = np.stack([sample_pose(rng, kind) for _ in range(200)])
    assert poses.shape == (200, J, 3)
    assert (poses >= POSE_LIMITS[..., 0]).all()
    assert (poses <= POSE_LIMITS[..., 1]).all()


def test_joints_that_cannot_move_do_not():
    for name in ('thumb-tip', 'index-finger-metacarpal', 'ring-finger-tip',
                 'forearm'):
        assert not POSE_LIMITS[JOINT_INDEX[name]].any()


def test_kinds_look_like_their_names():
    rng = np.random.default_rng(0)
    pip = [
        JOINT_INDEX[f'{finger}-finger-phalanx-intermediate']
        for finger in ('index', 'middle', 'ring', 'pinky')
    ]
    for _ in range(50):
        assert (sample_pose(rng, 'open')[pip, 0] < 35).all()
        assert (sample_pose(rng, 'fist')[pip, 0] > 55).all()
        point = sample_pose(rng, 'point')[pip, 0]
        assert point[0] < 35 and (point[1:] > 55).all()


def test_bent_fingers_are_not_spread():
    rng = np.random.default_rng(0)
    mcp = JOINT_INDEX['pinky-finger-phalanx-proximal']
    poses = np.stack([sample_pose(rng, 'random') for _ in range(1000)])
    flexion, abduction = poses[:, mcp, 0], np.abs(poses[:, mcp, 1])
    assert abduction[flexion > 70].max() < .7 * abduction[flexion < 20].max()


def test_shapes_vary_about_the_mesh():
    rng = np.random.default_rng(0)
    scales = np.stack([sample_shape(rng) for _ in range(300)])
    assert scales.shape == (300, J, 3)
    assert scales.min() > .55 and scales.max() < 1.6
    assert scales.mean() == pytest.approx(.98, abs=.03)
    assert .05 < scales[:, 0, 2].std() < .12


def test_crossed_fingers_collide_and_an_open_hand_does_not(rig):
    collides = CollisionTest()
    pose = np.zeros((J, 3))
    assert not collides(rig.joint_frames(pose, UNIT)[1])
    pose[JOINT_INDEX['index-finger-phalanx-proximal'], 1] = -18
    pose[JOINT_INDEX['middle-finger-phalanx-proximal'], 1] = 18
    assert collides(rig.joint_frames(pose, UNIT)[1])


def test_finger_in_the_palm_collides(rig):
    pose = np.zeros((J, 3))
    mcp, pip = (JOINT_INDEX[name] for name in FINGER_JOINTS[1][1:3])
    pose[[mcp, pip], 0] = 80, 80
    assert not CollisionTest()(rig.joint_frames(pose, UNIT)[1])
    pose[[mcp, pip], 0] = 110, 110
    assert CollisionTest()(rig.joint_frames(pose, UNIT)[1])


def test_distances_scale_with_the_hand(rig):
    rng = np.random.default_rng(1)
    collides = CollisionTest()
    answers = []
    for _ in range(30):
        pose = sample_pose(rng, 'fist')
        answer = collides(rig.joint_frames(pose, UNIT)[1])
        assert collides(rig.joint_frames(pose, .8 * UNIT)[1], .8) == answer
        answers.append(answer)
    assert 0 < sum(answers) < 30


def test_sampled_hands_do_not_collide(rig):
    rng = np.random.default_rng(0)
    collides = CollisionTest()
    for _ in range(60):
        pose, bone_scale = sample_hand(rng, rig, collides)
        size = bone_scale[0].prod()**(1 / 3)
        assert not collides(rig.joint_frames(pose, bone_scale)[1], size)


def test_a_test_that_rejects_everything_is_reported(rig):
    with pytest.raises(RuntimeError, match='3 tries'):
        sample_hand(
            np.random.default_rng(0), rig, lambda *args: True, max_tries=3)
