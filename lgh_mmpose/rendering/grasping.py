"""Hands that hold things, and hands that touch each other.

A thing is placed as people hold its kind: against the palm, between the pads
of thumb and fingers, or like a pen. Then the fingers close round it: each bends
until its skin touches; joints before the touching phalanx stop, those beyond
go on.

Angles are degrees outside of the compiled functions, radians inside.
"""
from typing import NamedTuple, Optional, Tuple

import numpy as np

from .hand_body import CAPSULES, HandBody, HandShape, Touch
from .hand_model import (FINGER_JOINTS, JOINT_INDEX, PALM_PART, PARENTS, WRIST,
                         HandModel, Subject)
from .numba_utils import cached_njit
from .objects import (DistanceField, Mesh, Object, distance_field,
                      object_mesh, point_distance, sample_object)
from .poses import MOBILITY, POSE_LIMITS, sample_pose

HOLDING = .35
"""Fraction of hands that hold something."""

_THUMB = np.array([JOINT_INDEX[name] for name in FINGER_JOINTS[0][:3]])
_FINGERS = np.array([[JOINT_INDEX[name] for name in joints[1:4]]
                     for joints in FINGER_JOINTS[1:]])
_ALL_JOINTS = np.concatenate([_THUMB[None], _FINGERS])  # (5, 3)

_CONTACT = .7  # mm from the surface at which skin counts as touching
_STEP = np.radians(6.)
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


@cached_njit
def _closest_skin(rotation, position, joints, points, finger, level, which,
                  first, corners, count, depth, field_rotation,
                  field_position):
    """Smallest distance of a finger's skin from its level ``first`` on, and
    the level of the skin that is closest."""
    best, where = 1e9, -1
    for i in range(len(points)):
        if finger[i] != which or level[i] < first:
            continue
        r, p = rotation[joints[i]], points[i]
        x = position[joints[i], 0] + (
            r[0, 0] * p[0] + r[0, 1] * p[1] + r[0, 2] * p[2])
        y = position[joints[i], 1] + (
            r[1, 0] * p[0] + r[1, 1] * p[1] + r[1, 2] * p[2])
        z = position[joints[i], 2] + (
            r[2, 0] * p[0] + r[2, 1] * p[1] + r[2, 2] * p[2])
        distance = point_distance(x, y, z, corners, count, depth,
                                  field_rotation, field_position)
        if distance < best:
            best, where = distance, level[i]
    return best, where
