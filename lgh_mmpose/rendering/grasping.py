"""Hands that hold things, and hands that touch each other.

A thing is placed as people hold its kind: against the palm, between the pads
of thumb and fingers, or like a pen. Then the fingers close round it: each
bends until its skin touches; joints before the touching phalanx stop, those
beyond go on.

Angles are degrees outside of the compiled functions, radians inside.
"""
from functools import lru_cache
from typing import NamedTuple, Optional, Tuple

import numpy as np
from scipy.spatial import cKDTree

from .hand_body import (CAPSULE_INDEX, CAPSULE_JOINTS, CAPSULES, PAIRS,
                        HandBody, Touch, capsule_gap, forward, place_points)
from .hand_model import (FINGER_JOINTS, JOINT_INDEX, PALM_PART, PARENTS, WRIST,
                         HandModel, Subject, mirror)
from .numba_utils import cached_njit
from .objects import (DistanceField, Mesh, Object, Solid, distance_field,
                      draw_name, object_mesh, point_distance, sample_object,
                      signed_distance)
from .poses import MOBILITY, POSE_LIMITS, bend_wrist, sample_pose

HOLDING = .35
"""Fraction of hands that hold something."""

_THUMB = np.array([JOINT_INDEX[name] for name in FINGER_JOINTS[0][:3]])
_FINGERS = np.array([[JOINT_INDEX[name] for name in joints[1:4]]
                     for joints in FINGER_JOINTS[1:]])
_ALL_JOINTS = np.concatenate([_THUMB[None], _FINGERS])  # (5, 3)

_CONTACT = .7  # mm from the surface at which skin counts as touching
_PATIENCE = 40  # tries before another kind is drawn
_NEAR = 1.5  # mm within which a finger has hold of a thing
_OVERLAP = 6.  # mm by which the skin of two hands may be pressed in
_DEEPEST = 3.  # mm by which skin may be pressed in


class HeldObject(NamedTuple):
    """A thing in a hand, in the right hand's frame.

    Attributes:
        name: A key of :data:`~.objects.OBJECTS`.
        mesh: Its surface.
        field: Its signed distance, see :func:`~.objects.signed_distance`.
    """
    name: str
    mesh: Mesh
    field: DistanceField


class SkinSamples(NamedTuple):
    """Points of a subject's skin that may touch things.

    Attributes:
        joints: (N,) joint that each follows.
        points: (N, 3) in the joint's frame.
        finger: (N,) 0 to 4; 5 for the palm.
        level: (N,) 0 to 2: which of a finger's three moving joints, from the
            palm outwards, moves it first.
    """
    joints: np.ndarray
    points: np.ndarray
    finger: np.ndarray
    level: np.ndarray


@lru_cache(maxsize=2)
def _sample_vertices(model: HandModel) -> SkinSamples:
    """Which vertices stand for the skin; ``points`` holds their indices."""
    rest = model.rest_rotations(model.mean_subject)
    vertices, positions = model.mean_subject[:2]
    rows = []
    for finger, joints in enumerate(_ALL_JOINTS):
        for level, joint in enumerate(joints):
            part = 3 * finger + 2 - level
            ids = np.unique(model.faces[model.face_parts == part])
            local = (vertices[ids] - positions[joint]) @ rest[joint]
            # The web between two fingers moves with both.
            from_joint = -local[:, 2] > (12 if level == 0 else 1)
            ids = ids[from_joint & (local[:, 1] < 3)]
            ids = ids[::max(1, round(len(ids) / (26, 26, 55)[level]))]
            rows += [(joint, v, finger, level) for v in ids]
    ids = np.unique(model.faces[model.face_parts == PALM_PART])
    ids = ids[(vertices[ids, 1] < -5) & (vertices[ids, 2] < -15)]
    rows += [(WRIST, v, 5, 0) for v in ids[::max(1, len(ids) // 90)]]
    joint, vertex, finger, level = np.array(rows).T
    return SkinSamples(joint, vertex, finger, level)


def sample_skin(model: HandModel, subject: Subject) -> SkinSamples:
    """The points of a subject's skin that may touch things."""
    samples = _sample_vertices(model)
    rest = model.rest_rotations(subject)[samples.joints]
    offset = subject.vertices[samples.points] - subject.joints[samples.joints]
    return samples._replace(points=np.einsum('nba,nb->na', rest, offset))


@cached_njit
def _clearance(rotation, position, skin_joints, points, finger, level, which,
               first, corners, count, depth, field_rotation, field_position):
    """Smallest distance of a finger's skin from its level ``first`` on, and
    the level of the skin that is closest."""
    best, where = 1e9, -1
    for i in range(len(points)):
        if finger[i] != which or level[i] < first:
            continue
        r, p, o = rotation[skin_joints[i]], points[i], position[skin_joints[i]]
        distance = point_distance(
            o[0] + r[0, 0] * p[0] + r[0, 1] * p[1] + r[0, 2] * p[2],
            o[1] + r[1, 0] * p[0] + r[1, 1] * p[1] + r[1, 2] * p[2],
            o[2] + r[2, 0] * p[0] + r[2, 1] * p[1] + r[2, 2] * p[2], corners,
            count, depth, field_rotation, field_position)
        if distance < best:
            best, where = distance, level[i]
    return best, where


@cached_njit
def _approach(direction, rotation, position, skin_joints, points, finger,
              level, corners, count, depth, field_rotation, field_position):
    """Move a field until the palm or the base of a finger touches it."""
    gaps = np.full(len(points), 0.)
    for _ in range(40):
        closest = 1e9
        for i in range(len(points)):
            if level[i] > 0 or gaps[i] > 150.:
                continue
            r, p = rotation[skin_joints[i]], points[i]
            o = position[skin_joints[i]]
            gaps[i] = point_distance(
                o[0] + r[0, 0] * p[0] + r[0, 1] * p[1] + r[0, 2] * p[2],
                o[1] + r[1, 0] * p[0] + r[1, 1] * p[1] + r[1, 2] * p[2],
                o[2] + r[2, 0] * p[0] + r[2, 1] * p[1] + r[2, 2] * p[2],
                corners, count, depth, field_rotation, field_position)
            closest = min(closest, gaps[i])
        if closest < .4:
            return closest > -1.
        field_position += max(closest, .2) * direction
    return False


@cached_njit
def _close(angles, joints, rates, high, order, body_rotation, body_offset,
           roll, parents, rotation, position, axes, skin_joints, points,
           finger, level, which, corners, count, depth, field_rotation,
           field_position, capsule_joints, capsule_levels, start, end, radius,
           pairs, world_start, world_end):
    """Bend one finger until it touches; frames are left up to date.

    Args:
        joints: (3,) that bend; rates: (3, 3) in what proportion; high: (J, 3)
            how far.
        order: Joints of the finger, parents first.
        pairs: Capsules that are not to meet.

    Returns:
        int: Levels whose skin touches the object, as bits 0 to 2; bit 3 if
        the finger came to rest on another.
    """
    first, touched = 0, 0
    point, other = np.empty(3), np.empty(3)
    step, last, falls = 0., 0., 0.
    bent = np.empty((3, 3))
    for _ in range(60):
        forward(order, angles, body_rotation, body_offset, roll, parents,
                rotation, position, axes)
        for k in range(len(capsule_joints)):
            if capsule_levels[k, which] >= 0:
                place_points(rotation, position, capsule_joints[k:k + 1],
                             start[k:k + 1], world_start[k:k + 1])
                place_points(rotation, position, capsule_joints[k:k + 1],
                             end[k:k + 1], world_end[k:k + 1])
        gap, where = _clearance(rotation, position, skin_joints, points,
                                finger, level, which, first, corners, count,
                                depth, field_rotation, field_position)
        on_object, on_finger = True, False
        for p in range(len(pairs)):
            i, j = pairs[p]
            own = max(capsule_levels[i, which], capsule_levels[j, which])
            if own < first:
                continue
            free = 1. + capsule_gap(i, j, world_start, world_end, radius,
                                    world_start, world_end, radius, point,
                                    other)
            if free < gap:
                gap, where, on_object = free, own, False
                on_finger = min(capsule_levels[i].max(),
                                capsule_levels[j].max()) >= 0
        if gap < -.5 and step > .002:  # too far: go back by a part
            for k in range(3):
                angles[joints[k]] -= .6 * bent[k]
            bent *= .4
            step *= .4
            continue
        if gap < _CONTACT:
            if on_object:
                touched |= 1 << where
            elif on_finger:
                touched |= 8
            first = where + 1
            step = 0.
            if first > 2:
                break
            continue
        # As far as the last step's approach makes safe, at first carefully.
        if step > 0. and last - gap > .05:
            falls = (last - gap) / step
            step = min(.9 * gap / falls, 2.5 * step, .25)
        else:
            step = gap / 150. if step == 0. else min(2. * step, .25)
        step = max(step, .004)
        last = gap
        moved = False
        for k in range(3):
            for d in range(3):
                bent[k, d] = 0.
                if k < first:
                    continue
                angle = angles[joints[k], d]
                bent[k, d] = min(step * rates[k, d],
                                 max(high[joints[k], d] - angle, 0.))
                moved |= bent[k, d] != 0.
                angles[joints[k], d] = angle + bent[k, d]
        if not moved:
            break
    return touched


def _moving_levels() -> np.ndarray:
    """(C, 5) which joint of a finger, counted from the palm, is the first to
    move a capsule; -1 if none does."""
    levels = np.full((len(CAPSULES), 5), -1)
    for row, capsule in zip(levels, CAPSULES):
        joints = _ALL_JOINTS[capsule.finger].tolist()
        if capsule.joint in joints:
            row[capsule.finger] = joints.index(capsule.joint)
    return levels


def _stopping_pairs() -> Tuple[np.ndarray, ...]:
    """Pairs of capsules that stop each finger. Neighbours give way, and so
    does the ball of the thumb."""
    return tuple(
        np.array([(i, j) for i, j in PAIRS
                  if which in (CAPSULES[i].finger, CAPSULES[j].finger) and (
                      CAPSULES[i].finger in (0, CAPSULES[j].finger))
                  and {CAPSULES[i].level, CAPSULES[j].level} != {0, 1}])
        for which in range(5))


_MOVING_LEVELS = _moving_levels()
_STOPPING_PAIRS = _stopping_pairs()
_ORDER = tuple(
    np.array([JOINT_INDEX[name] for name in joints])
    for joints in FINGER_JOINTS)
_HIGH = np.radians(POSE_LIMITS[..., 1])

# How fast the joints bend: MCP, PIP, DIP; of the thumb CMC, MCP, IP.
_CURL = np.zeros((3, 3))
_CURL[:, 0] = 1, 1, .6
_THUMB_CURL = np.zeros((3, 3))
_THUMB_CURL[:, 0] = 1, .7, .6
_THUMB_CURL[0, 1:] = -.1, .4
_PRESS = _CURL * [[1], [.25], [.1]]
_THUMB_PRESS = _THUMB_CURL * [[1], [.3], [.2]]

_SPREADING = np.zeros_like(MOBILITY)
_SPREADING[_FINGERS[:, 0], 1] = 1


class _Grasp:
    """The state of a hand that closes round an object.

    Args:
        body: The subject.
        skin: Its skin.
        pose: (J, 3) degrees, the open hand.
        field: The object.
    """

    def __init__(self, body: HandBody, skin: SkinSamples, pose: np.ndarray,
                 field: DistanceField):
        self.body, self.skin, self.field = body, skin, field
        self.angles = np.radians(pose)
        count = len(PARENTS)
        self.rotation, self.axes = np.empty((2, count, 3, 3))
        self.position = np.empty((count, 3))
        self.world = np.empty((2, len(CAPSULES), 3))
        self._update(np.arange(count))
        place_points(self.rotation, self.position, CAPSULE_JOINTS, body.start,
                     self.world[0])
        place_points(self.rotation, self.position, CAPSULE_JOINTS, body.end,
                     self.world[1])
        self.thumb_on_fingers = False

    def _update(self, order: np.ndarray) -> None:
        forward(order, self.angles, self.body.local_rotation,
                self.body.local_offset, self.body.roll, PARENTS, self.rotation,
                self.position, self.axes)

    def approach(self, direction: np.ndarray) -> bool:
        """Move the object until it touches the palm."""
        return _approach(direction, self.rotation, self.position, *self.skin,
                         *self.field)

    def open(self, finger: int, rates: np.ndarray, level: int = 0) -> bool:
        """Stretch a finger until it is free of the object from a level on."""
        joints = _ALL_JOINTS[finger]
        for _ in range(25):
            gap, _ = _clearance(self.rotation, self.position, *self.skin,
                                finger, level, *self.field)
            if gap > 2 * _CONTACT:
                return True
            step = np.clip((2.5 - gap) / 60, .03, .2)
            self.angles[joints] -= step * rates
            if (np.degrees(self.angles[joints]) < POSE_LIMITS[joints, :,
                                                              0]).any():
                return False
            self._update(_ORDER[finger])
        return False

    def close(self, finger: int, rates: np.ndarray) -> int:
        """Bend a finger until it touches; see :func:`_close`."""
        body = self.body
        return _close(self.angles, _ALL_JOINTS[finger], rates, _HIGH,
                      _ORDER[finger], body.local_rotation, body.local_offset,
                      body.roll, PARENTS, self.rotation, self.position,
                      self.axes, *self.skin, finger, *self.field,
                      CAPSULE_JOINTS, _MOVING_LEVELS, body.start, body.end,
                      body.radius, _STOPPING_PAIRS[finger], *self.world)

    @property
    def pose(self) -> np.ndarray:
        """(J, 3) degrees."""
        return np.degrees(self.angles)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _frame(long: np.ndarray, thin: np.ndarray) -> np.ndarray:
    """Rotation whose y is ``long`` and whose z is about ``thin``."""
    y = _unit(long)
    z = _unit(thin - y * (thin @ y))
    return np.stack([np.cross(y, z), y, z], axis=1)


def _palm(body: HandBody) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Middle of the knuckles, direction along the fingers, out of the palm."""
    knuckles = body.frames(np.zeros((len(PARENTS), 3)))[1][_FINGERS[:, 0]]
    along = _unit(knuckles[1] + knuckles[2])
    out = _unit(np.cross(knuckles[3] - knuckles[0], along))
    return knuckles.mean(axis=0), along, out if out[1] < 0 else -out


def _set(pose: np.ndarray, mcp, pip, dip, thumb) -> np.ndarray:
    pose[_FINGERS[:, 0], 0], pose[_FINGERS[:, 1], 0] = mcp, pip
    pose[_FINGERS[:, 2], 0] = dip
    pose[_THUMB[0]] = thumb[:3]
    pose[_THUMB[1:], 0] = thumb[3:]
    return pose


def _hold_in_palm(rng: np.random.Generator, body: HandBody, skin: SkinSamples,
                  thing: Object) -> Optional[_Grasp]:
    """Power grip: the thing lies in the palm, all fingers close round it."""
    knuckles, along, out = _palm(body)
    across = np.cross(out, along)
    pose = np.zeros((len(PARENTS), 3))
    _set(pose, rng.uniform(-20, 0), rng.uniform(0, 10), 0,
         (-15, rng.uniform(15, 28), rng.uniform(10, 25), 0, 0))
    pose[_FINGERS[:, 0], 1] = rng.uniform(-.3, .5) * np.array([9, 2, -5, -12])
    # A handle runs from the base of the index finger to the heel of the hand.
    tilt = np.radians(rng.normal(20, 15))
    axis = np.cos(tilt) * across - np.sin(tilt) * along
    if rng.random() < .5:
        axis = -axis
    rotation = _frame(axis, out)
    turned = thing.solids[0].depth == 0
    if turned:
        spin = rng.uniform(0, 2 * np.pi)
        c, s = np.cos(spin), np.sin(spin)
        rotation = rotation @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    radius = .5 * thing.size[0]
    place = knuckles + along * rng.normal(min(.25 * radius, 8) - 6, 5)
    place = place + axis * rng.normal(0, .06) * min(thing.size[1], 120)
    place = place + out * (.6 * thing.size[2] + 70)
    field = distance_field(thing, rotation, place)
    grasp = _Grasp(body, skin, pose, field)
    before = grasp.field.position[0].copy()
    if not grasp.approach(-out) or not grasp.open(0, _THUMB_CURL, 1):
        return None
    grasp.rigid = rotation, place + grasp.field.position[0] - before
    for finger in (1, 2, 3, 4):
        grasp.close(finger, _CURL * rng.uniform([[.8]] * 3, [[1.2]] * 3))
    touched = grasp.close(0,
                          _THUMB_CURL * rng.uniform([[.8]] * 3, [[1.2]] * 3))
    grasp.thumb_on_fingers = bool(touched & 8)
    return grasp


def _hold_between_tips(rng: np.random.Generator, body: HandBody,
                       skin: SkinSamples, thing: Object) -> Optional[_Grasp]:
    """Precision grips: a small thing, a pen or the rim of a plate between the
    pads of the thumb and of one to four fingers."""
    pose = np.zeros((len(PARENTS), 3))
    if thing.grip == 'plate':
        fingers = (1, 2, 3, 4)
        mcp, pip = rng.uniform([45, 10], [65, 35])
    elif thing.grip == 'tripod':
        fingers = (1, )
        mcp, pip = rng.uniform([45, 35], [60, 50])
    else:
        fingers = (1, 2, 3)[:rng.integers(1, 4)]
        mcp, pip = rng.uniform([35, 25], [60, 50])
    _set(pose, mcp, pip, .5 * pip, (12, 20, 25, 15, 15))
    free = [f - 1 for f in range(1, 5) if f not in fingers]
    pose[_FINGERS[free, 0], 0] = rng.uniform(0, 75)
    pose[_FINGERS[free, 1], 0] = rng.uniform(5, 80)
    pose[_FINGERS[:, 0], 1] = rng.uniform(-.2, .5) * np.array([9, 2, -5, -12])
    pose[:, 0] += rng.normal(0, 2, len(pose)) * (pose[:, 0] != 0)
    if thing.grip == 'tripod':  # the middle finger lies below
        pose[_FINGERS[1, :2], 0] = mcp + 10, pip + 8
    mark = 2 if len(fingers) > 2 else 1
    pad = (0, 3, .7, 0)
    touches = [Touch(pad, (mark, 3, .6, 0), 9.)]
    pose, depth, miss = body.solve(pose, POSE_LIMITS, MOBILITY, touches)
    if depth > 1.5 or miss > 2:
        return None
    rotation, position = body.frames(pose)
    tips = []
    for finger in (0, mark):
        capsule = CAPSULE_INDEX[finger, 3]
        joint = CAPSULE_JOINTS[capsule]
        tips.append(position[joint] +
                    rotation[joint] @ (.4 * body.start[capsule] +
                                       .6 * body.end[capsule]))
    middle = .5 * (tips[0] + tips[1])
    thin = _unit(tips[1] - tips[0])
    outward = -rotation[_FINGERS[mark - 1, 2]][:, 2]
    outward = _unit(outward - thin * (outward @ thin))
    if thing.grip == 'tripod':
        # The shaft leans on the base of the index finger.
        base = position[_FINGERS[0, 0]] + rotation[_FINGERS[0, 0]] @ np.array(
            [-19. - .5 * thing.size[0], 8, -10])
        shaft = base - middle
        shaft = shaft - .8 * thin * (shaft @ thin)
        frame = _frame(shaft, thin)
        length = .5 * thing.size[1] - rng.uniform(22, 42)
        place = middle + length * frame[:, 1]
    elif thing.grip == 'plate':
        turn = np.radians(rng.normal(0, 25))
        side = np.cross(thin, outward)
        away = np.cos(turn) * outward + np.sin(turn) * side
        frame = _frame(away, thin)
        place = middle + away * (.5 * thing.size[1] - rng.uniform(12, 30))
    else:
        turn = rng.uniform(0, 2 * np.pi)
        side = np.cross(thin, outward)
        frame = _frame(np.cos(turn) * outward + np.sin(turn) * side, thin)
        place = middle + rng.normal(0, 1.5, 3)
    grasp = _Grasp(body, skin, pose, distance_field(thing, frame, place))
    grasp.rigid = frame, place
    for finger in range(5):
        curl = _THUMB_PRESS if finger == 0 else _PRESS
        if not grasp.open(finger, curl, int(thing.grip == 'tripod')):
            return None
    for finger in (*fingers, 0):
        grasp.close(finger, _THUMB_PRESS if finger == 0 else _PRESS)
    return grasp


@lru_cache(maxsize=2)
def _hand_vertices(model: HandModel) -> Tuple[np.ndarray, np.ndarray]:
    """Vertices of the fingers and the palm, and the finger of each (5: the
    palm)."""
    owner = np.full(len(model.mean_subject.vertices), 6)
    for part in range(PALM_PART + 1):
        owner[model.faces[model.face_parts == part]] = part // 3
    ids = np.flatnonzero(owner < 6)
    return ids, owner[ids]


def contacts(model: HandModel, vertices: np.ndarray,
             field: DistanceField) -> np.ndarray:
    """(6,) distance in mm of the five fingers and the palm from an object;
    negative where skin runs into it."""
    ids, owner = _hand_vertices(model)
    distance = signed_distance(vertices[ids], *field)
    closest = np.full(6, np.inf)
    np.minimum.at(closest, owner, distance)
    return closest


def hold(rng: np.random.Generator, model: HandModel, subject: Subject,
         body: HandBody, thing: Object) -> Optional[tuple]:
    """Try to hold a thing.

    Returns:
        tuple: (J, 3) pose and :class:`HeldObject`, or None if the hand cannot
        hold it this way.
    """
    skin = sample_skin(model, subject)
    way = _hold_in_palm if thing.grip == 'power' else _hold_between_tips
    grasp = way(rng, body, skin, thing)
    if grasp is None:
        return None
    pose = grasp.pose
    if body.depth(pose) > 1.5:  # fingers that came together side by side
        pose, depth, _ = body.solve(pose, POSE_LIMITS, _SPREADING)
        if depth > 1.5:
            return None
    bend_wrist(rng, pose)
    gaps = contacts(model, model.deform(pose, subject).vertices, grasp.field)
    fingers = (gaps[1:5] < _NEAR).sum()
    enough = 1 if thing.grip in ('pinch', 'tripod') else 2
    thumb = gaps[0] < _NEAR or grasp.thumb_on_fingers
    if gaps.min() < -_DEEPEST or not thumb or fingers < enough:
        return None
    mesh = object_mesh(thing, *grasp.rigid)
    return pose, HeldObject(thing.name, mesh, grasp.field)


def sample_grasp(rng: np.random.Generator,
                 model: HandModel,
                 subject: Subject,
                 body: Optional[HandBody] = None,
                 name: str = '',
                 max_tries: int = 400) -> Tuple[np.ndarray, HeldObject]:
    """Draw a hand that holds something.

    Args:
        rng: Source of randomness.
        model: The hand model.
        subject: The person.
        body: The person's :class:`HandBody`, if there is one already.
        name: What is held, a key of :data:`~.objects.OBJECTS`; by default it
            is drawn.
        max_tries: Things and ways to try.

    Returns:
        tuple: (J, 3) pose in degrees, :class:`HeldObject`.

    Raises:
        RuntimeError: If nothing can be held.
        ValueError: If there is nothing of this name.
    """
    body = body or HandBody(model, subject)
    drawn = name
    for attempt in range(max_tries):
        if not name and attempt % _PATIENCE == 0:
            drawn = draw_name(rng)
        held = hold(rng, model, subject, body, sample_object(rng, drawn))
        if held is not None:
            return held
    raise RuntimeError(f'No way to hold a {drawn} in {max_tries} tries')


def sample_hand(
        rng: np.random.Generator,
        model: HandModel,
        subject: Subject,
        objects: bool = True) -> Tuple[np.ndarray, Optional[HeldObject]]:
    """Draw the pose of a hand, and what it holds.

    Args:
        rng: Source of randomness.
        model: The hand model.
        subject: The person.
        objects: Whether :data:`HOLDING` of the hands hold something; otherwise
            none does.

    Returns:
        tuple: (J, 3) pose in degrees, :class:`HeldObject` or None.
    """
    body = HandBody(model, subject)
    if objects and rng.random() < HOLDING:
        return sample_grasp(rng, model, subject, body)
    return sample_pose(rng, body), None


PAIR_KINDS = {
    'apart': .4,
    'palms': .12,
    'stacked': .1,
    'tips': .1,
    'point': .1,
    'clasp': .18,
}
"""How two hands meet, and the probabilities: not at all; palm on palm; palm on
back; at the finger tips; one points into the other's palm; one holds the
other."""


def _turn(axis: int, angle: float) -> np.ndarray:
    """(3, 3) rotation about x, y or z (0, 1, 2) by an angle in radians."""
    matrix = np.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[j, i] = np.sin(angle)
    matrix[i, j] = -matrix[j, i]
    return matrix


_MIRROR = np.diag([-1., 1., 1.])


class HandPair(NamedTuple):
    """A right and a left hand.

    Attributes:
        right, left: (J, 3) poses in degrees.
        rotation: (3, 3), position: (3,) in mm that take points of the left
            hand (see :func:`~.hand_model.mirror`) into the right hand's frame.
    """
    right: np.ndarray
    left: np.ndarray
    rotation: np.ndarray
    position: np.ndarray


@cached_njit
def _hands_gap(start, end, radius, other_start, other_end, other_radius):
    point, other = np.empty(3), np.empty(3)
    gap = 1e9
    for i in range(len(start)):
        for j in range(len(other_start)):
            gap = min(
                gap,
                capsule_gap(i, j, start, end, radius, other_start, other_end,
                            other_radius, point, other))
    return gap


@cached_njit
def _meet(start, end, radius, other_start, other_end, other_radius, direction):
    """How far the other hand moves along ``direction`` until they touch; -1
    if it misses."""
    travel = 0.
    for _ in range(60):
        gap = _hands_gap(start, end, radius, other_start + travel * direction,
                         other_end + travel * direction, other_radius)
        if gap < .5:
            return travel if gap > -2. else -1.
        travel += gap
        if travel > 500.:
            break
    return -1.


def _with_forearm(body: HandBody, pose: np.ndarray) -> tuple:
    """Starts, ends and radii of a hand's capsules and of its forearm's."""
    start, end = body.capsules(pose)
    flexion, abduction = np.radians(pose[WRIST, :2])
    turn = (_turn(1, abduction) @ _turn(0, -flexion)).T
    thickness = body.radius[CAPSULE_INDEX[2, 0], 0]
    return (np.concatenate([start, [turn @ [0, 0, 25.]]]),
            np.concatenate([end, [turn @ [0, 0, 230.]]]),
            np.concatenate([body.radius, [[1.2 * thickness] * 2]]))


def _capsule_field(start: np.ndarray, end: np.ndarray,
                   radius: np.ndarray) -> DistanceField:
    """A hand as an object that another can hold."""
    solids = []
    for a, b, (r0, r1) in zip(start, end, radius):
        length = np.linalg.norm(b - a)
        angle = np.linspace(0, np.pi / 2, 4)
        arc = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        polygon = np.concatenate([
            r0 * arc[::-1] * [1, -1] - [0, .5 * length],
            r1 * arc + [0, .5 * length]
        ])
        axis = (b - a) / length
        aside = np.eye(3)[np.abs(axis).argmin()]
        solids.append(Solid(polygon, 0., _frame(axis, aside), .5 * (a + b)))
    thing = Object('hand', tuple(solids), 'power', np.zeros(3))
    return distance_field(thing, np.eye(3), np.zeros(3))


def _overlap(model: HandModel, subject: Subject, pair: HandPair) -> float:
    """How deep in mm the left hand's skin lies in the right hand."""
    right = model.deform(pair.right, subject).vertices
    left = mirror(model.deform(pair.left, subject).vertices)
    left = left @ pair.rotation.T + pair.position
    corners = right[model.faces]
    face_normals = np.cross(corners[:, 1] - corners[:, 0],
                            corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(right)
    for i in range(3):
        np.add.at(normals, model.faces[:, i], face_normals)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    distance, nearest = cKDTree(right).query(left, distance_upper_bound=15)
    near = np.isfinite(distance)
    nearest = nearest[near]
    depth = ((right[nearest] - left[near]) * normals[nearest]).sum(axis=1)
    return depth.max(initial=0.)


def _draw_turn(rng: np.random.Generator, spread: float) -> np.ndarray:
    """A small rotation about any axis; ``spread`` in degrees."""
    x, y, z = np.radians(rng.normal(0, spread, 3))
    return _turn(0, x) @ _turn(1, y) @ _turn(2, z)


def _clasp(rng: np.random.Generator, model: HandModel, subject: Subject,
           body: HandBody) -> Optional[HandPair]:
    """The left hand holds the right one."""
    right = sample_pose(rng, body,
                        str(rng.choice(['fist', 'flat', 'relaxed', 'point'])))
    start, end, radius = _with_forearm(body, right)
    knuckles, along, out = _palm(body)
    across = np.cross(out, along)
    # The held hand's back, palm or side lies in the palm, across or along.
    turn = _turn(2,
                 rng.choice([0, .5, 1, -.5]) * np.pi) @ _turn(
                     1, rng.uniform(-2.2, 2.2)) @ _draw_turn(rng, 10)
    middle = body.frames(right)[1][_FINGERS[1, 0]] + [0, 0, 15.]
    place = knuckles + 160 * out - along * rng.uniform(0, 20)
    place = place - turn @ _MIRROR @ middle
    start, end = (p @ (turn @ _MIRROR).T + place for p in (start, end))
    left = np.zeros((len(PARENTS), 3))
    _set(left, rng.uniform(-20, 5), rng.uniform(0, 15), 0,
         (-15, rng.uniform(10, 28), rng.uniform(5, 25), 0, 0))
    left[_FINGERS[:, 0],
         1] = rng.uniform(-.3, .5) * across[0] * np.array([9, 2, -5, -12])
    bend_wrist(rng, left)
    own = _with_forearm(body, left)
    travel = _meet(*own, start, end, radius, -out)
    if travel < 0:
        return None
    place, start, end = (p - travel * out for p in (place, start, end))
    grasp = _Grasp(body, sample_skin(model, subject), left,
                   _capsule_field(start, end, radius))
    if not all(
            grasp.open(f, _THUMB_CURL if f == 0 else _CURL) for f in range(5)):
        return None
    for finger in (1, 2, 3, 4, 0):
        grasp.close(finger, _CURL if finger else _THUMB_CURL)
    left = grasp.pose
    if body.depth(left) > 1.5 or _hands_gap(*_with_forearm(body, left), start,
                                            end, radius) < -_DEEPEST:
        return None
    back = _MIRROR @ turn.T
    return HandPair(right, left, back @ _MIRROR, -back @ place)


def _put_together(rng: np.random.Generator, body: HandBody,
                  kind: str) -> Optional[HandPair]:
    """Move the left hand towards the right one until they touch."""
    kinds = {
        'apart': (None, None),
        'palms': ('flat', 'flat'),
        'stacked': ('flat', str(rng.choice(['flat', 'relaxed']))),
        'tips': ('claw', 'claw'),
        'point': ('point', str(rng.choice(['flat', 'open', 'relaxed']))),
    }[kind]
    right, left = (sample_pose(rng, body, k) for k in kinds)
    if kind in ('palms', 'tips'):
        mirrored = rng.random() < .7  # mostly both do the same
        left = right.copy() if mirrored else left
    hands = _with_forearm(body, right)
    start, end, radius = _with_forearm(body, left)
    knuckles, along, out = _palm(body)
    if kind == 'apart':
        turn = _draw_turn(rng, 40)
        offset = rng.normal(size=3) * [1, .6, .6]
        offset *= rng.uniform(130, 350) / np.linalg.norm(offset)
        start, end = (p @ (turn @ _MIRROR).T + offset for p in (start, end))
        if _hands_gap(*hands, start, end, radius) < 3:
            return None
        return HandPair(right, left, turn, offset)
    half = _turn(2, np.pi)  # palm to palm
    if kind == 'palms':
        turn, direction = half @ _draw_turn(rng, 12), out
    elif kind == 'stacked':
        turn = _draw_turn(rng, 12) @ _turn(1, rng.uniform(-1.3, 1.3))
        direction = out if rng.random() < .5 else -out
    elif kind == 'tips':
        # Both lean towards each other.
        lean = np.radians(rng.uniform(15, 50))
        turn = _turn(0, 2 * lean) @ half @ _draw_turn(rng, 8)
        direction = _turn(0, lean) @ out
    else:
        tip = body.capsules(right)[1][CAPSULE_INDEX[1, 3]]
        rotation, _ = body.frames(right)
        forward_axis = -rotation[_FINGERS[0, 2]][:, 2]
        # The palm faces the finger that comes.
        turn = _frame(
            np.cross(forward_axis, rng.normal(size=3)), -forward_axis)
        turn = np.stack([turn[:, 0], turn[:, 2], -turn[:, 1]], axis=1)
        if (turn @ (_MIRROR @ out)) @ forward_axis > 0:
            turn = turn @ half
        turn = turn @ _draw_turn(rng, 10)
        direction = forward_axis
    middle = turn @ _MIRROR @ (knuckles - 25 * along)
    target = knuckles - 25 * along
    if kind == 'tips':
        middle = turn @ _MIRROR @ body.capsules(left)[1][CAPSULE_INDEX[2, 3]]
        target = body.capsules(right)[1][CAPSULE_INDEX[2, 3]]
    elif kind == 'point':
        target = tip
    offset = target + 200 * direction - middle + rng.normal(0, 8, 3)
    start, end = (p @ (turn @ _MIRROR).T + offset for p in (start, end))
    travel = _meet(*hands, start, end, radius, -direction)
    if travel < 0:
        return None
    return HandPair(right, left, turn, offset - travel * direction)


def sample_hand_pair(rng: np.random.Generator,
                     model: HandModel,
                     subject: Subject,
                     kind: Optional[str] = None,
                     max_tries: int = 200) -> HandPair:
    """Draw both hands of a person, apart or touching.

    Args:
        rng: Source of randomness.
        model: The hand model.
        subject: The person.
        kind: One of :data:`PAIR_KINDS`; by default it is drawn.
        max_tries: Pairs to try.

    Returns:
        HandPair: Poses, and where the left hand is.

    Raises:
        RuntimeError: If no pair comes about.
    """
    body = HandBody(model, subject)
    drawn = kind
    for attempt in range(max_tries):
        if kind is None and attempt % _PATIENCE == 0:
            drawn = str(
                rng.choice(list(PAIR_KINDS), p=list(PAIR_KINDS.values())))
        if drawn == 'clasp':
            pair = _clasp(rng, model, subject, body)
        else:
            pair = _put_together(rng, body, drawn)
        if pair is not None and _overlap(model, subject, pair) < _OVERLAP:
            return pair
    raise RuntimeError(f'No {drawn!r} pair of hands in {max_tries} tries')
