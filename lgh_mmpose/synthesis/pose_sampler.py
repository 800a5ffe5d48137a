"""Random hand poses and hand shapes within anatomical limits."""
from typing import Optional, Tuple

import numpy as np

from .rig import (FINGER_JOINTS, FOREARM, JOINT_INDEX, JOINT_NAMES, PARENTS,
                  WRIST, HandRig)

_METACARPAL, _PROXIMAL, _INTERMEDIATE, _DISTAL = np.array(
    [[JOINT_INDEX[name] for name in joints[:4]]
     for joints in FINGER_JOINTS[1:]]).T
_THUMB = [JOINT_INDEX[name] for name in FINGER_JOINTS[0][:3]]


def _pose_limits() -> np.ndarray:
    limits = np.zeros((len(JOINT_NAMES), 3, 2))
    # Ulnar deviation (away from the thumb) reaches further than radial.
    limits[WRIST] = (-45, 55), (-25, 15), (0, 0)
    cmc, mcp, ip = _THUMB
    limits[cmc] = (-15, 35), (-25, 25), (-15, 25)
    limits[mcp] = (-10, 55), (-8, 8), (0, 0)
    limits[ip] = (-15, 75), (0, 0), (0, 0)
    limits[_PROXIMAL, 0] = -20, 85
    limits[_PROXIMAL, 1] = (-14, 16), (-10, 10), (-14, 10), (-22, 12)
    limits[_INTERMEDIATE, 0] = -5, 105
    limits[_DISTAL, 0] = -8, 75
    limits[_METACARPAL, 0] = (0, 0), (0, 0), (0, 6), (0, 12)  # cupping
    return limits


POSE_LIMITS = _pose_limits()
"""(J, 3, 2) lowest and highest flexion, abduction and twist in degrees from
the mesh's rest pose."""

POSE_KINDS = {
    'open': .13,
    'relaxed': .14,
    'fist': .09,
    'point': .09,
    'count': .13,
    'pinch': .11,
    'grasp': .13,
    'thumb_up': .06,
    'random': .12,
}
"""Kinds of pose and their probabilities."""

# Fractions of the range of thumb CMC flexion, abduction, twist, MCP, IP.
_THUMB_FREE = np.array([[.1, .8], [.3, .8], [.2, .8], [0, .5], [.1, .5]])
_THUMB_FOLDED = np.array([[.3, 1], [.2, .7], [.3, .9], [.2, 1], [.2, 1]])
_THUMB_OPPOSED = np.array([[.4, 1], [.4, 1], [.4, 1], [0, .6], [0, .7]])
_THUMB_OUT = np.array([[0, .4], [.3, .8], [.2, .8], [0, .35], [0, .35]])
_THUMB_UP = np.array([[0, .35], [.5, 1], [0, .35], [0, .35], [0, .35]])
_THUMB_ANY = np.array([[0., 1.]] * 5)
_FAN = np.array([12., 3., -6., -14.])  # abduction per unit of spread


def _uniform(rng: np.random.Generator, ranges: np.ndarray) -> np.ndarray:
    return rng.uniform(ranges[..., 0], ranges[..., 1])


def _draw_curls(rng: np.random.Generator,
                kind: str) -> Tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """Draw what a kind of pose prescribes, as fractions of the joint ranges.

    Returns:
        tuple: (4,) MCP and (4,) PIP curl of the fingers, their spread, and
        (5,) thumb fractions.
    """
    spread = rng.normal(0, .4)
    thumb = _THUMB_FREE
    if kind in ('relaxed', 'grasp'):  # all fingers curl alike
        if kind == 'relaxed':
            common = rng.uniform(.1, .5)
            pip = common + np.array([0, .05, .1, .15]) + rng.normal(0, .06, 4)
            mcp = .8 * common + .1 + rng.normal(0, .08, 4)
        else:
            pip = rng.uniform(.15, .75) + rng.normal(0, .05, 4)
            mcp = rng.uniform(.3, .8) + rng.normal(0, .06, 4)
            thumb = _THUMB_OPPOSED
    elif kind == 'pinch':
        pip = rng.uniform([.3, 0, 0, 0], [.6, .5, .5, .5])
        mcp = rng.uniform([.4, .1, .1, .1], [.7, .6, .6, .6])
        thumb = _THUMB_OPPOSED
    elif kind == 'random':
        pip, mcp = rng.uniform(0, 1, (2, 4))
        spread = rng.uniform(-1, 1)
        thumb = _THUMB_ANY
    else:  # each finger is either stretched or folded
        stretched = {
            'open': np.ones(4, bool),
            'fist': np.zeros(4, bool),
            'thumb_up': np.zeros(4, bool),
            'point': np.arange(4) == 0,
            'count': rng.random(4) < .5,
        }[kind]
        fold = .55 if kind in ('point', 'count') else .7
        pip = np.where(stretched, rng.uniform(0, .18, 4),
                       rng.uniform(.7, 1, 4))
        mcp = np.where(stretched, rng.uniform(0, .4, 4),
                       rng.uniform(fold, 1, 4))
        thumb = _THUMB_FOLDED
        if kind == 'open':
            spread = rng.uniform(-.2, 1)
            thumb = _THUMB_OUT
        elif kind == 'fist':
            spread *= .2
        elif kind == 'thumb_up':
            thumb = _THUMB_UP
        elif kind == 'count' and rng.random() < .5:
            thumb = _THUMB_OUT
    return mcp, pip, spread, _uniform(rng, thumb)


def sample_pose(rng: np.random.Generator, kind: str) -> np.ndarray:
    """Draw a pose; fingers may still run through each other.

    Args:
        rng: Source of randomness.
        kind: One of :data:`POSE_KINDS`.

    Returns:
        np.ndarray: (J, 3) flexion, abduction and twist in degrees, within
        :data:`POSE_LIMITS`.
    """
    mcp, pip, spread, thumb = _draw_curls(rng, kind)
    mcp = np.clip(mcp + rng.normal(0, .04, 4), 0, 1)
    pip = np.clip(pip + rng.normal(0, .03, 4), 0, 1)
    low, high = POSE_LIMITS[..., 0], POSE_LIMITS[..., 1]

    def bend(joints, fraction: np.ndarray) -> np.ndarray:
        return low[joints, 0] + fraction * (high - low)[joints, 0]

    pose = np.zeros((len(JOINT_NAMES), 3))
    pose[_PROXIMAL, 0] = bend(_PROXIMAL, mcp)
    pose[_INTERMEDIATE, 0] = bend(_INTERMEDIATE, pip)
    # The last two joints of a finger share a tendon.
    pose[_DISTAL, 0] = .67 * pose[_INTERMEDIATE, 0] + rng.normal(0, 6, 4)
    # Bent fingers cannot be spread: the side ligaments tighten.
    looseness = .25 + .75 * np.cos(
        np.radians(np.clip(pose[_PROXIMAL, 0], 0, 90)))
    fan = np.clip(_FAN * spread + rng.normal(0, 3, 4), low[_PROXIMAL, 1],
                  high[_PROXIMAL, 1])
    pose[_PROXIMAL, 1] = fan * looseness
    cupping = np.clip(mcp[2:].mean() + rng.normal(0, .2), 0, 1)
    pose[_METACARPAL, 0] = high[_METACARPAL, 0] * cupping

    base = _THUMB[0]
    pose[_THUMB[1:], 0] = bend(_THUMB[1:], thumb[3:])
    pose[base] = low[base] + thumb[:3] * (high - low)[base]
    pose[_THUMB[1], 1] = rng.normal(0, 3)
    pose[WRIST] = _uniform(rng, POSE_LIMITS[WRIST])
    return np.clip(pose, low, high)


def sample_shape(rng: np.random.Generator) -> np.ndarray:
    """Draw a subject: size, palm, thickness and lengths of the fingers.

    Returns:
        np.ndarray: (J, 3) bone scales for :meth:`HandRig.deform`.
    """

    def normal(mean: float, std: float, low: float, high: float) -> float:
        return float(np.clip(rng.normal(mean, std), low, high))

    size = normal(.98, .07, .8, 1.15)
    thickness = normal(1, .07, .85, 1.2)
    palm_width = normal(1, .05, .88, 1.12)
    palm_length = normal(1, .04, .9, 1.1)
    palm_height = .5 * (palm_width + 1) * thickness**.5

    scale = np.ones((len(JOINT_NAMES), 3))
    # The forearm follows the wrist, or the surface would break there.
    scale[[WRIST, FOREARM]] = palm_width, palm_height, palm_length
    for f, joints in enumerate(FINGER_JOINTS):
        finger_length = normal(1, .05, .88, 1.12)
        for i, name in enumerate(joints):
            in_palm = i == 0
            width = .5 * (thickness + palm_width) if in_palm else thickness
            if in_palm and f > 0:
                length = palm_length
            else:
                length = finger_length * normal(1, .02, .95, 1.05)
            scale[JOINT_INDEX[name]] = width, width, length
    return size * scale


class CollisionTest:
    """Tells whether two fingers, or a finger and the palm, interpenetrate.

    Points along the bones of different fingers must stay a finger's thickness
    apart, those of the outer phalanges also from the palm's bones.

    Args:
        finger_distance: Smallest distance between bones in mm.
        palm_distance: Smallest distance from the palm's bones in mm.
    """

    def __init__(self,
                 finger_distance: float = 9.5,
                 palm_distance: float = 20.):
        child, fraction, finger, in_palm, outer = [], [], [], [], []
        for f, joints in enumerate(FINGER_JOINTS):
            for i, name in enumerate(joints[1:], start=1):
                for u in (.25, .6, 1.):
                    child.append(JOINT_INDEX[name])
                    fraction.append(u)
                    finger.append(f)
                    in_palm.append(f > 0 and i == 1)
                    outer.append(i > (1 if f == 0 else 2))
        self._child = np.array(child)
        self._parent = PARENTS[self._child]
        self._fraction = np.array(fraction)[:, None]
        finger, in_palm = np.array(finger), np.array(in_palm)
        other = finger[:, None] != finger
        both_free = ~in_palm[:, None] & ~in_palm
        limit = np.zeros(other.shape)
        limit[other & both_free] = finger_distance
        limit[np.array(outer)[:, None] & in_palm] = palm_distance
        self._squared_limit = limit**2

    def __call__(self, position: np.ndarray, size: float = 1.) -> bool:
        """Test a pose.

        Args:
            position: (J, 3) joint positions in mm.
            size: Scale of the hand, which scales the distances.

        Returns:
            bool: True if the hand runs through itself.
        """
        start, end = position[self._parent], position[self._child]
        points = start + self._fraction * (end - start)
        squared = ((points[:, None] - points)**2).sum(axis=2)
        return bool((squared < self._squared_limit * size**2).any())


def sample_hand(
        rng: np.random.Generator,
        rig: HandRig,
        collides: CollisionTest,
        max_tries: int = 1000,
        bone_scale: Optional[np.ndarray] = None
) -> Tuple[np.ndarray, np.ndarray]:
    """Draw a subject and a pose of it without self-penetration.

    The kind of pose is drawn once, so that rejecting poses does not change
    the mixture.

    Args:
        rng: Source of randomness.
        rig: The hand.
        collides: The test that rejects poses.
        max_tries: Poses to try.
        bone_scale: (J, 3), the subject; by default one is drawn.

    Returns:
        tuple: (J, 3) pose in degrees, (J, 3) bone scale.

    Raises:
        RuntimeError: If no pose passes.
    """
    if bone_scale is None:
        bone_scale = sample_shape(rng)
    kind = rng.choice(list(POSE_KINDS), p=list(POSE_KINDS.values()))
    size = float(bone_scale[WRIST].prod()**(1 / 3))
    for _ in range(max_tries):
        pose = sample_pose(rng, kind)
        if not collides(rig.joint_frames(pose, bone_scale)[1], size):
            return pose, bone_scale
    raise RuntimeError(f'No {kind!r} pose without self-penetration in '
                       f'{max_tries} tries')
