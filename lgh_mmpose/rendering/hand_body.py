"""A subject's hand as capsules: kinematics, self-contact and reaching.

Poses are drawn much faster than meshes are skinned. Each phalanx and each
metacarpal is a tapered capsule whose radii are measured on the subject's
mesh. A solver moves the joints until nothing runs through anything else and
chosen points touch. It works on joint angles, one contact after the other
(projected Gauss-Seidel), within microseconds.

Legend: J = 26 joints, C = 20 capsules, P pairs, T touches. Angles are degrees
outside of this module's compiled functions and radians inside.
"""
from functools import lru_cache
from typing import NamedTuple, Sequence, Tuple

import numpy as np

from .hand_model import (FINGER_JOINTS, FOREARM, JOINT_INDEX, PALM_PART,
                         PARENTS, WRIST, HandModel, Subject)
from .numba_utils import cached_njit

_SLAB = 4.  # mm, half the thickness of the slabs in which radii are measured


class Capsule(NamedTuple):
    """Which part of the hand a capsule stands for.

    Attributes:
        finger: 0 (thumb) to 4.
        level: 0 metacarpal, 1 proximal, 2 intermediate, 3 distal phalanx. The
            thumb has no intermediate one.
        joint: Index of the joint that moves it.
        child: Index of the joint at its far end.
    """
    finger: int
    level: int
    joint: int
    child: int


class Touch(NamedTuple):
    """Two places of the skin that are to touch.

    Attributes:
        first, second: (finger, level, along, angle) as
            :meth:`HandBody.skin_point` has them.
        slack: How far from these points in mm the skin may touch instead.
        sideways: Only spreading and closing the fingers may bring it about.
    """
    first: tuple
    second: tuple
    slack: float = 7.
    sideways: bool = False


def _list_capsules() -> Tuple[Capsule, ...]:
    capsules = []
    for finger, joints in enumerate(FINGER_JOINTS):
        levels = (0, 1, 3) if finger == 0 else (0, 1, 2, 3)
        for level, name, child in zip(levels, joints, joints[1:]):
            capsules.append(
                Capsule(finger, level, JOINT_INDEX[name], JOINT_INDEX[child]))
    return tuple(capsules)


CAPSULES = _list_capsules()
"""The C capsules."""

CAPSULE_INDEX = {(c.finger, c.level): i for i, c in enumerate(CAPSULES)}
"""Index of the capsule of (finger, level)."""


def _may_collide(a: Capsule, b: Capsule) -> bool:
    """Whether two capsules can be apart at all."""
    if a.finger == b.finger:  # a finger reaches its own palm and base
        return a.finger > 0 and {a.level, b.level} in ({0, 3}, {1, 3})
    levels = {a.level, b.level}
    if levels == {0}:
        return False
    if 0 not in (a.finger, b.finger):
        # The bases of the fingers grow out of the palm.
        return levels != {0, 1}
    thumb, other = (a, b) if a.finger == 0 else (b, a)
    # The first web joins the thumb to the index finger.
    return thumb.level > 0 or other.level > 1


PAIRS = np.array([(i, j) for i, a in enumerate(CAPSULES)
                  for j, b in enumerate(CAPSULES)
                  if i < j and _may_collide(a, b)])
# Neighbouring fingers mostly give way to each other by spreading.
_NEIGHBOURS = np.array([
    min(CAPSULES[i].finger, CAPSULES[i].level, CAPSULES[j].level) > 0
    and CAPSULES[j].finger == CAPSULES[i].finger + 1 for i, j in PAIRS
])


def _softness(a: Capsule, b: Capsule) -> float:
    """mm by which flesh gives way where two capsules meet."""
    if a.finger == 0 and a.level == 1 and b.level == 0:
        return 6.5  # the ball of the thumb
    if a.finger > 0 and a.level == b.level == 1:
        return 5.  # the bases of neighbouring fingers
    return 1.5


_PAIR_SOFTNESS = np.array(
    [_softness(CAPSULES[i], CAPSULES[j]) for i, j in PAIRS])

# Where on its bone a capsule starts: the webs between the fingers belong to
# two of them, so proximal phalanges start beyond.
_START = np.array([{0: .25, 1: .4}.get(c.level, .05) for c in CAPSULES])
_START[CAPSULE_INDEX[0, 1]] = .1
CAPSULE_JOINTS = np.array([c.joint for c in CAPSULES])
_CHILDREN = np.array([c.child for c in CAPSULES])
_FLAT = np.array([c.finger > 0 and c.level == 0 for c in CAPSULES])
_TIPS = np.array([c.level == 3 for c in CAPSULES])


def _ancestry() -> np.ndarray:
    """(J, 6) joints that move each joint, from itself to the palm, then -1."""
    chains = np.full((len(PARENTS), 6), -1)
    for j in range(len(PARENTS)):
        i, k = 0, j
        while k not in (WRIST, FOREARM):
            chains[j, i] = k
            i, k = i + 1, PARENTS[k]
    return chains


_CHAINS = _ancestry()


@cached_njit
def forward(order, angles, local_rotation, local_offset, roll, parents,
            rotation, position, axes):
    """Forward kinematics of the joints in ``order``, parents first.

    The hand stays where it is, so the wrist's row is ignored. Fills rotation
    (J, 3, 3), position (J, 3) and the axes of flexion, abduction and twist,
    (J, 3, 3) rows.
    """
    base = np.empty((3, 3))
    for j in order:
        p = parents[j]
        if p == j:
            rotation[j] = local_rotation[j]
            position[j] = local_offset[j]
            axes[j] = 0.
            continue
        for r in range(3):
            position[j, r] = position[p, r]
            for c in range(3):
                position[j, r] += rotation[p, r, c] * local_offset[j, c]
                base[r, c] = 0.
                for k in range(3):
                    base[r, c] += rotation[p, r, k] * local_rotation[j, k, c]
        cf, sf = np.cos(angles[j, 0]), np.sin(angles[j, 0])
        ca, sa = np.cos(angles[j, 1]), np.sin(angles[j, 1])
        twist = angles[j, 2] + roll[j]
        ct, st = np.cos(twist), np.sin(twist)
        for r in range(3):
            bx, by, bz = base[r, 0], base[r, 1], base[r, 2]
            axes[j, 1, r] = by
            ax = ca * bx - sa * bz  # abduction turns z towards x
            az = sa * bx + ca * bz
            axes[j, 0, r] = -ax
            fy = cf * by - sf * az  # flexion turns z towards y
            fz = sf * by + cf * az
            axes[j, 2, r] = fz
            rotation[j, r, 0] = ct * ax + st * fy
            rotation[j, r, 1] = -st * ax + ct * fy
            rotation[j, r, 2] = fz


@cached_njit
def place_points(rotation, position, joints, points, out):
    """Points (N, 3) in the frames of ``joints`` (N,) to the hand frame."""
    for i in range(len(points)):
        j = joints[i]
        for r in range(3):
            out[i, r] = position[j, r] + (
                rotation[j, r, 0] * points[i, 0] + rotation[j, r, 1] *
                points[i, 1] + rotation[j, r, 2] * points[i, 2])


@cached_njit
def _closest(a0, a1, b0, b1):
    """Fractions along two segments of their closest points (Ericson, 2004)."""
    aa = ab = bb = ar = br = 0.
    for c in range(3):
        d1, d2, r = a1[c] - a0[c], b1[c] - b0[c], a0[c] - b0[c]
        aa += d1 * d1
        bb += d2 * d2
        ab += d1 * d2
        ar += d1 * r
        br += d2 * r
    denominator = aa * bb - ab * ab
    s = 0.
    if denominator > 1e-9:
        s = min(max((ab * br - ar * bb) / denominator, 0.), 1.)
    t = (ab * s + br) / max(bb, 1e-9)
    if t < 0.:
        t = 0.
        s = min(max(-ar / max(aa, 1e-9), 0.), 1.)
    elif t > 1.:
        t = 1.
        s = min(max((ab - ar) / max(aa, 1e-9), 0.), 1.)
    return s, t


@cached_njit
def capsule_gap(i, j, start, end, radius, other_start, other_end, other_radius,
                point, other_point):
    """Distance between the surfaces of two capsules, with the points on their
    axes where they are closest."""
    s, t = _closest(start[i], end[i], other_start[j], other_end[j])
    square = 0.
    for c in range(3):
        point[c] = start[i, c] + s * (end[i, c] - start[i, c])
        other_point[c] = other_start[j, c] + t * (
            other_end[j, c] - other_start[j, c])
        square += (point[c] - other_point[c])**2
    reach = (1 - s) * radius[i, 0] + s * radius[i, 1]
    reach += (1 - t) * other_radius[j, 0] + t * other_radius[j, 1]
    return np.sqrt(square) - reach


@cached_njit
def _deepest(start, end, radius, pairs, softness):
    point, other = np.empty(3), np.empty(3)
    deepest = 0.
    for p in range(len(pairs)):
        gap = capsule_gap(pairs[p, 0], pairs[p, 1], start, end, radius, start,
                          end, radius, point, other)
        deepest = max(deepest, -gap - softness[p])
    return deepest


@cached_njit
def _push(angles, change, axes, position, chains, joint, point, direction,
          amount, mobility):
    """Add to ``change`` what moves a point of a joint's frame.

    Returns the sum of squared weighted derivatives when ``amount`` is 0.
    """
    total = 0.
    for c in range(chains.shape[1]):
        k = chains[joint, c]
        if k < 0:
            break
        for d in range(3):
            weight = mobility[k, d]
            if weight == 0.:
                continue
            ax, ay, az = axes[k, d]
            x = point[0] - position[k, 0]
            y = point[1] - position[k, 1]
            z = point[2] - position[k, 2]
            slope = (
                direction[0] * (ay * z - az * y) + direction[1] *
                (az * x - ax * z) + direction[2] * (ax * y - ay * x))
            if amount == 0.:
                total += weight * slope * slope
            else:
                change[k, d] += weight * slope * amount
    return total


@cached_njit
def _solve(angles, low, high, mobility, local_rotation, local_offset, roll,
           parents, chains, joints, local_start, local_end, radius, pairs,
           neighbours, softness, touches, touch_points, slack, sideways,
           iterations):
    """Move ``angles`` in place; see :meth:`HandBody.solve`."""
    count = len(parents)
    order = np.arange(count)
    rotation, axes = np.empty((count, 3, 3)), np.empty((count, 3, 3))
    position = np.empty((count, 3))
    start, end = np.empty_like(local_start), np.empty_like(local_end)
    spots = np.empty((2, 3))
    side_mobility = mobility.copy()
    side_mobility[:, 0] *= .1
    change = np.empty((count, 3))
    point, other, direction = np.empty(3), np.empty(3), np.empty(3)
    deepest = error = 0.
    for iteration in range(iterations + 1):
        forward(order, angles, local_rotation, local_offset, roll, parents,
                rotation, position, axes)
        place_points(rotation, position, joints, local_start, start)
        place_points(rotation, position, joints, local_end, end)
        change[:] = 0.
        deepest = error = 0.
        for p in range(len(pairs)):
            i, j = pairs[p]
            gap = capsule_gap(i, j, start, end, radius, start, end, radius,
                              point, other)
            deepest = max(deepest, -gap - softness[p])
            depth = -gap - softness[p]
            if depth > .05:
                _point_away(point, other, direction)
                _exchange(angles, change, axes, position, chains, joints[i],
                          joints[j], point, other, direction, depth,
                          side_mobility if neighbours[p] else mobility)
        for t in range(len(touches)):
            i, j = touches[t]
            gap = capsule_gap(i, j, start, end, radius, start, end, radius,
                              point, other)
            place_points(rotation, position, joints[i:i + 1],
                         touch_points[t, :1], spots[:1])
            place_points(rotation, position, joints[j:j + 1],
                         touch_points[t, 1:], spots[1:])
            length = 0.
            for c in range(3):
                length += (spots[0, c] - spots[1, c])**2
            miss = np.sqrt(length) - slack[t]
            if miss > gap:  # first the spots, then the skin
                point[:], other[:] = spots[0], spots[1]
            else:
                miss = gap
            if not sideways[t]:
                error = max(error, miss)
            if miss > .1:
                _point_away(point, other, direction)
                _exchange(angles, change, axes, position, chains, joints[i],
                          joints[j], point, other, direction, -miss,
                          side_mobility if sideways[t] else mobility)
        if (deepest <= .5 and error < .7) or (iteration == iterations):
            break
        for j in range(count):
            for d in range(3):
                step = min(max(.7 * change[j, d], -.12), .12)
                angles[j, d] = min(
                    max(angles[j, d] + step, low[j, d]), high[j, d])
    return deepest, error


@cached_njit
def _point_away(point, other, direction):
    """Put the unit vector from ``other`` to ``point`` into ``direction``."""
    length = 1e-9
    for c in range(3):
        direction[c] = point[c] - other[c]
        length += direction[c]**2
    direction /= np.sqrt(length)


@cached_njit
def _exchange(angles, change, axes, position, chains, joint, other_joint,
              point, other, direction, amount, mobility):
    """Move two points apart along ``direction`` by ``amount`` (mm)."""
    total = _push(angles, change, axes, position, chains, joint, point,
                  direction, 0., mobility)
    total += _push(angles, change, axes, position, chains, other_joint, other,
                   direction, 0., mobility)
    if total < 1.:  # mm^2 per rad^2: nothing that moves them
        return
    share = amount / (total + 20.)
    _push(angles, change, axes, position, chains, joint, point, direction,
          share, mobility)
    _push(angles, change, axes, position, chains, other_joint, other,
          direction, -share, mobility)


@cached_njit
def _measure(vertices, rest_rotation, rest_position, joints, members, origin,
             flat, centre, radius):
    """Centres and radii of cross-sections.

    Args:
        members: (C, 2, M) vertices in the slab at each end, padded with -1.
        origin: (C, 2, 3) points on the bones in their joints' frames.
        flat: (C,) bool, the palm's capsules: they are as thick as the palm.
        centre: (C, 2, 3), radius: (C, 2), filled.
    """
    low, high = np.empty(2), np.empty(2)
    for i in range(len(joints)):
        j = joints[i]
        for e in range(2):
            low[:], high[:] = 1e9, -1e9
            for m in range(members.shape[2]):
                v = members[i, e, m]
                if v < 0:
                    break
                for c in range(2):
                    x = 0.
                    for r in range(3):
                        x += rest_rotation[j, r, c] * (
                            vertices[v, r] - rest_position[j, r])
                    low[c], high[c] = min(low[c], x), max(high[c], x)
            centre[i, e] = origin[i, e]
            centre[i, e, 1] = .5 * (low[1] + high[1])
            radius[i, e] = .5 * (high[1] - low[1])
            if not flat[i]:
                centre[i, e, 0] = .5 * (low[0] + high[0])
                radius[i, e] = .25 * (high[0] - low[0]) + .5 * radius[i, e]


@lru_cache(maxsize=2)
def _slabs(model: HandModel) -> np.ndarray:
    """(C, 2, M) vertices around each capsule's ends, padded with -1."""
    vertices, position = model.mean_subject[:2]
    rotation = model.rest_rotations(model.mean_subject)
    slabs = []
    for i, (finger, level, joint, child) in enumerate(CAPSULES):
        part = PALM_PART
        if finger == 0 or level > 0:
            part = 3 * finger + {0: 2, 1: 2, 2: 1, 3: 0}[level]
            if finger == 0 and level == 1:
                part = 1
        ids = np.unique(model.faces[model.face_parts == part])
        local = (vertices[ids] - position[joint]) @ rotation[joint]
        if part == PALM_PART:
            ids, local = (x[np.abs(local[:, 0]) < 7] for x in (ids, local))
        length = np.linalg.norm(position[child] - position[joint])
        for fraction in (max(_START[i], .25), .75):
            off = np.abs(local[:, 2] + fraction * length)
            near = np.argsort(off, kind='stable')
            count = max(8, int((off < _SLAB).sum()))
            slabs.append(ids[near[:count]])
    table = np.full((len(slabs), max(map(len, slabs))), -1)
    for row, ids in zip(table, slabs):
        row[:len(ids)] = ids
    return table.reshape(len(CAPSULES), 2, -1)


class HandBody:
    """The capsules and the kinematics of a subject.

    Args:
        model: The hand model.
        subject: The subject.

    Attributes:
        start, end: (C, 3) ends of the capsules' axes in the frames of their
            joints, mm.
        radius: (C, 2) radii at both ends, mm.
    """

    def __init__(self, model: HandModel, subject: Subject):
        rotation, position = model.joint_frames(
            np.zeros((len(PARENTS), 3)), subject)
        inverse = rotation[PARENTS].transpose(0, 2, 1)
        self.local_rotation = inverse @ rotation
        self.local_offset = np.einsum('jab,jb->ja', inverse,
                                      position - position[PARENTS])
        # Where only a roll about the bone is left, it comes after the motion.
        local = self.local_rotation
        in_line = local[:, 2, 2] > 1 - 1e-9
        self.roll = np.where(in_line, np.arctan2(local[:, 1, 0], local[:, 0,
                                                                       0]), 0)
        local[in_line] = np.eye(3)
        self.local_rotation[WRIST] = rotation[WRIST]
        self.local_offset[WRIST] = position[WRIST]
        bone = self.local_offset[_CHILDREN]
        length = np.linalg.norm(bone, axis=1)
        fractions = np.stack(
            [np.maximum(_START, .25),
             np.full(len(bone), .75)])
        origin = (fractions[:, :, None] * bone).transpose(1, 0, 2)
        centre = np.empty_like(origin)
        radius = np.empty(origin.shape[:2])
        _measure(subject.vertices,
                 model.rest_rotations(subject), subject.joints, CAPSULE_JOINTS,
                 _slabs(model), origin, _FLAT, centre, radius)
        # From the two measured sections to the ends of the bone.
        run = fractions[1] - fractions[0]
        slope = (radius[:, 1] - radius[:, 0]) / run
        first = radius[:, 0] + slope * (_START - fractions[0])
        last = radius[:, 1] + slope * (1 - fractions[1])
        self.radius = np.clip(
            np.stack([first, last], 1), .6 * radius, 1.25 * radius)
        axis = (centre[:, 1] - centre[:, 0]) / run[:, None]
        stop = np.where(_TIPS, 1 - .85 * self.radius[:, 1] / length, 1.)
        self.start = centre[:, 0] + axis * (_START - fractions[0])[:, None]
        self.end = centre[:, 0] + axis * (stop - fractions[0])[:, None]
        # Thick fingers press each other flat where they lie side by side.
        pressed = self.depth(np.zeros((len(PARENTS), 3)))
        if pressed > 0:
            self.radius = np.maximum(self.radius - .75 * pressed,
                                     .6 * self.radius)

    def frames(self, pose: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Rotations (J, 3, 3) and positions (J, 3) as ``joint_frames`` of the
        hand model has them, but for the forearm, which stays."""
        count = len(PARENTS)
        rotation, axes = np.empty((2, count, 3, 3))
        position = np.empty((count, 3))
        forward(
            np.arange(count), np.radians(pose), self.local_rotation,
            self.local_offset, self.roll, PARENTS, rotation, position, axes)
        return rotation, position

    def capsules(self, pose: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """(C, 3) starts and ends of the capsules' axes in the hand frame."""
        rotation, position = self.frames(pose)
        start, end = np.empty((2, len(CAPSULES), 3))
        place_points(rotation, position, CAPSULE_JOINTS, self.start, start)
        place_points(rotation, position, CAPSULE_JOINTS, self.end, end)
        return start, end

    def depth(self, pose: np.ndarray) -> float:
        """How far the hand runs through itself in mm, beyond what flesh gives
        way; 0 if it does not."""
        start, end = self.capsules(pose)
        return _deepest(start, end, self.radius, PAIRS, _PAIR_SOFTNESS)

    def skin_point(self, finger: int, level: int, along: float,
                   angle: float) -> np.ndarray:
        """A point on the skin of a capsule, (3,), in its joint's frame.

        Args:
            finger: 0 (thumb) to 4.
            level: 0 metacarpal to 3 distal phalanx.
            along: 0 at the near end, 1 at the far end.
            angle: Degrees from the palmar side (0) towards the thumb's side
                (90); 180 is the back.
        """
        i = CAPSULE_INDEX[finger, level]
        centre = (1 - along) * self.start[i] + along * self.end[i]
        radius = (1 - along) * self.radius[i, 0] + along * self.radius[i, 1]
        turn = np.radians(angle)
        return centre - radius * np.array([np.sin(turn), np.cos(turn), 0])

    def solve(self,
              pose: np.ndarray,
              limits: np.ndarray,
              mobility: np.ndarray,
              touches: Sequence[Touch] = (),
              iterations: int = 30,
              crossed: bool = False) -> Tuple[np.ndarray, float, float]:
        """Move joints until nothing collides and what should touch touches.

        Args:
            pose: (J, 3) where to start, degrees.
            limits: (J, 3, 2) lowest and highest angles, degrees.
            mobility: (J, 3) how readily each angle changes; 0 fixes it.
            touches: What is to touch.
            iterations: Most steps.
            crossed: Neighbouring fingers may pass over each other; otherwise
                they are parted by spreading them.

        Returns:
            tuple: (J, 3) pose, depth in mm by which the hand still runs
            through itself (see :meth:`depth`), largest distance in mm that a
            touch still lacks, those between sides of fingers apart.
        """
        angles = np.radians(pose)
        low, high = np.ascontiguousarray(np.radians(limits).transpose(2, 0, 1))
        count = len(touches)
        capsules = np.empty((count, 2), np.int64)
        points, slack = np.zeros((count, 2, 3)), np.empty(count)
        sideways = np.empty(count, np.bool_)
        for t, touch in enumerate(touches):
            for e, spot in enumerate((touch.first, touch.second)):
                capsules[t, e] = CAPSULE_INDEX[spot[:2]]
                points[t, e] = self.skin_point(*spot)
            slack[t], sideways[t] = touch.slack, touch.sideways
        depth, error = _solve(angles, low, high, mobility, self.local_rotation,
                              self.local_offset, self.roll, PARENTS, _CHAINS,
                              CAPSULE_JOINTS, self.start, self.end,
                              self.radius, PAIRS, _NEIGHBOURS & (not crossed),
                              _PAIR_SOFTNESS, capsules, points, slack,
                              sideways, iterations)
        return np.degrees(angles), depth, error
