"""Upper arms, for forearms that end within the picture.

The mesh of the hand ends at the elbow. On photographs no arm does.
"""
import math
from typing import NamedTuple, Optional, Sequence

import numpy as np

from .accessories import CIRCLE, Section, cut_limb, tube
from .hand_model import FOREARM_PART
from .rasterizer import NEAR, Surface

_DIRECTIONS = 24
_BEND = 100.  # degrees, the largest at the elbow
_STEP, _LONGEST = 40., 1200.  # mm
_USUAL = 330.  # mm from elbow to shoulder
_WIDEST = 80.  # mm, radius of a ball that holds any elbow
_NEAREST = 150.  # mm before the camera
# Where the atlas shows the arm before the elbow: rows and columns, fractions.
_SKIN_ROWS, _SKIN_COLUMNS = (.06, .17), (.07, .28)


def upper_arm(rng: np.random.Generator, surfaces: Sequence[Surface],
              wrist: np.ndarray, elbow: np.ndarray, camera_matrix: np.ndarray,
              size: int, keypoints: np.ndarray) -> Optional[Surface]:
    """Continue an arm whose end would be seen until it leaves the picture.

    Args:
        rng: Source of randomness.
        surfaces: Of a hand in the camera frame, mm; first the skin.
        wrist: (3,) its joint.
        elbow: (3,) the end of the mesh.
        camera_matrix: (3, 3).
        size: Side of the picture in pixels.
        keypoints: (N, 3) of all hands, which it had better not hide.

    Returns:
        Surface: A part of the forearm, clothed as it is, or None if the
        forearm leaves the picture itself.
    """
    length = np.linalg.norm(elbow - wrist)
    axis = (elbow - wrist) / length
    if _outside((elbow - 20 * axis)[None], _WIDEST, camera_matrix, size)[0]:
        return None
    forearm = _measure(surfaces, wrist, elbow)
    if forearm is None:
        return None
    joint, radius = forearm.joint, forearm.radius
    if _outside(joint[None], radius, camera_matrix, size)[0]:
        return None
    direction, length = _choose(rng, forearm.frame, joint, radius,
                                camera_matrix, size, keypoints)
    further = np.arange(50., length + 100, 50.)
    return _continue(rng, forearm, direction, further)


def arm_to_shoulder(rng: np.random.Generator, surfaces: Sequence[Surface],
                    wrist: np.ndarray, elbow: np.ndarray, shoulder: np.ndarray,
                    radius: float) -> Optional[Surface]:
    """Continue an arm to a shoulder.

    Args:
        rng: Source of randomness.
        surfaces: Of a hand in the camera frame, mm; first the skin.
        wrist: (3,) its joint.
        elbow: (3,) the end of the mesh.
        shoulder: (3,) where the arm ends.
        radius: mm, that of the arm there.

    Returns:
        Surface: A part of the forearm, clothed as it is; None if the mesh of
        the forearm cannot be measured.
    """
    forearm = _measure(surfaces, wrist, elbow)
    if forearm is None:
        return None
    direction = shoulder - forearm.joint
    length = float(np.linalg.norm(direction))
    # as many rings for every length; the last ones close it
    straight = max(length - forearm.radius, 40.)
    further = np.append(
        np.linspace(0, straight, 7)[1:],
        straight + radius * np.array([.3, .5, .55]))
    grown = radius / forearm.radius / 1.13
    widths = np.concatenate([
        np.ones(6),
        np.linspace(1, grown, 6), grown * np.array([.87, .53, .02])
    ])
    return _continue(rng, forearm, direction / length, further, widths)


class _Forearm(NamedTuple):
    """End of a forearm.

    Attributes:
        skin: Surface of the hand.
        outside: That or a sleeve.
        frame: (3, 3) rows: two directions across the forearm, and along it.
        points: (N, 3) of the outside in that frame, from the wrist on.
        section: Cross-section near the elbow.
        joint: (3,) its middle at the elbow.
        radius: mm, its mean.
    """
    skin: Surface
    outside: Surface
    frame: np.ndarray
    points: np.ndarray
    section: Section
    joint: np.ndarray
    radius: float


def sleeves_of(surfaces: Sequence[Surface], wrist: np.ndarray,
               elbow: np.ndarray) -> Sequence[Surface]:
    """Those surfaces of a hand that cover its forearm up to the elbow."""
    length = np.linalg.norm(elbow - wrist)
    axis = (elbow - wrist) / length
    return [
        s for s in surfaces[1:] if (s.parts == FOREARM_PART).all() and (
            (s.vertices - wrist) @ axis).max() > .8 * length
    ]


def _measure(surfaces: Sequence[Surface], wrist: np.ndarray,
             elbow: np.ndarray) -> Optional[_Forearm]:
    skin = surfaces[0]
    axis = (elbow - wrist) / np.linalg.norm(elbow - wrist)
    worn = sleeves_of(surfaces, wrist, elbow)
    outside = worn[-1] if worn else skin

    frame = _frame(axis)
    points = (outside.vertices - wrist) @ frame.T
    end = points[:, 2].max()
    section = cut_limb(points, end - 35, 14.)
    if section is None:
        return None
    joint = wrist + np.array([*section.centre, end - 12]) @ frame
    return _Forearm(skin, outside, frame, points, section, joint,
                    float(section.radii.mean()))


def _continue(rng: np.random.Generator,
              forearm: _Forearm,
              direction: np.ndarray,
              further: np.ndarray,
              widths: Optional[np.ndarray] = None) -> Surface:
    """A tube round the elbow and on in a direction.

    Args:
        rng: Source of randomness.
        forearm: What it begins at.
        direction: (3,) of the upper arm.
        further: (M,) mm behind the elbow where it has rings.
        widths: (6 + M,) of its rings, over the usual ones.
    """
    skin, outside, frame, points, section, joint, radius = forearm
    axis = frame[2]
    # round the elbow, then straight on
    turn = np.array([0, .2, .4, .6, .8, 1])[:, None]
    first, last = joint - radius * axis, joint + radius * direction
    path = (1 - turn)**2 * first + 2 * turn * (1 -
                                               turn) * joint + turn**2 * last
    path = np.concatenate([path, last + further[:, None] * direction])
    tangents = (1 - turn) * axis + turn * direction
    # it comes out of the forearm, and is thicker and rounder
    row = np.arange(len(path))[:, None]
    width = np.interp(row, [0, 1, 3, 5, 9], [.93, 1., 1.03, 1.04, 1.13])
    radii = width * (
        section.radii + np.interp(row, [2, 7], [0, 1]) *
        (radius - section.radii))
    if widths is not None:
        radii = radii * widths[:, None]
    clothed = outside is not skin
    if clothed:
        radii = radii * (1 + rng.uniform(0, .06) *
                         rng.standard_normal(radii.shape[0])[:, None])
    bases = np.empty((len(path), 2, 3))
    across = frame[0]
    for i, along in enumerate(tangents):  # turned no more than need be
        along = along / math.sqrt(along @ along)
        across = across - along * (along @ across)
        across /= math.sqrt(across @ across)
        bases[i:] = across, along
    bases[:, 1] = np.cross(bases[:, 1], bases[:, 0])
    rings = path[:, None] + (radii[..., None] * CIRCLE) @ bases

    texture, relief = outside.texture, outside.relief
    repeat = np.array([1., .5 * (len(path) - 1) / 3])
    if clothed:
        across, along = np.ptp(outside.texture_coordinates, axis=0)
        repeat = np.array(
            [across, along * 50 * (len(path) - 1) / np.ptp(points[:, 2])])
    else:
        texture, relief = (_arm_of(m) for m in (texture, relief))
    return tube(
        rings,
        FOREARM_PART,
        texture,
        repeat,
        relief=relief,
        gloss=outside.gloss,
        roughness=outside.roughness,
        translucency=outside.translucency,
        fuzz=outside.fuzz)


def _frame(axis: np.ndarray) -> np.ndarray:
    """(3, 3) rows: two directions across an axis, and the axis."""
    across = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
    across /= np.linalg.norm(across)
    return np.stack([across, np.cross(axis, across), axis])


def _outside(points: np.ndarray, radius: float, camera_matrix: np.ndarray,
             size: int) -> np.ndarray:
    """(N,) whether balls about (N, 3) points lie beside the picture."""
    z = np.maximum(points[:, 2], NEAR)
    focal = camera_matrix[0, 0]
    uv = points[:, :2] / z[:, None] * focal + camera_matrix[:2, 2]
    margin = 1.3 * focal * radius / z
    return (uv + margin[:, None] < -.5).any(axis=1) | (uv - margin[:, None]
                                                       > size - .5).any(axis=1)


def _choose(rng, frame, joint, radius, camera_matrix, size, keypoints):
    """Direction and length of an arm that leaves the picture, soon and
    without hiding hands."""
    bend = np.radians(_BEND) * np.sqrt(rng.random(_DIRECTIONS))
    bend[0] = 0
    turn = rng.uniform(0, 2 * np.pi, _DIRECTIONS)
    directions = np.stack([
        np.sin(bend) * np.cos(turn),
        np.sin(bend) * np.sin(turn),
        np.cos(bend)
    ], 1) @ frame
    ways = np.arange(_STEP, _LONGEST, _STEP)
    points = joint + ways[:, None] * directions[:, None]
    left = _outside(points.reshape(-1, 3), radius, camera_matrix,
                    size).reshape(points.shape[:2])
    left &= points[..., 2] > 0
    first = np.where(left.any(axis=1), left.argmax(axis=1), len(ways) - 1)
    cost = np.maximum(ways[first] - _USUAL, 0) + 2000. * ~left.any(axis=1)
    cost += 60 * rng.random(_DIRECTIONS)
    cost += 3. * np.maximum(
        _NEAREST - points[np.arange(_DIRECTIONS), first, 2], 0)
    # key points that lie behind
    rays = keypoints / np.linalg.norm(keypoints, axis=1, keepdims=True)
    some = points[:, :10]
    along = some @ rays.T
    beside = (some**2).sum(axis=-1)[..., None] - along**2
    hides = (beside < (1.3 * radius)**2) & (
        along < np.linalg.norm(keypoints, axis=1))
    hides &= (np.arange(some.shape[1]) <= first[:, None])[..., None]
    cost += 60. * hides.any(axis=1).sum(axis=1)
    best = int(cost.argmin())
    return directions[best], ways[first[best]]


def _arm_of(texture: Optional[np.ndarray]) -> Optional[np.ndarray]:
    """The skin of the arm, so that it can be repeated along it."""
    if texture is None or len(texture) < 64:
        return texture
    top, bottom = (int(len(texture) * v) for v in _SKIN_ROWS)
    left, right = (int(len(texture) * u) for u in _SKIN_COLUMNS)
    piece = texture[top:bottom, left:right]
    piece = np.concatenate([piece[::-1], piece])
    return np.concatenate([piece, piece[:, ::-1]], axis=1)
