"""Sleeves, rings, watches and bracelets, which follow the posed hand."""
import functools
from typing import List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

from .hand_model import (FINGER_JOINTS, FOREARM, FOREARM_PART, JOINT_INDEX,
                         PALM_PART, HandModel, Subject)
from .rasterizer import Surface

METALS = np.array([[.95, .70, .32], [.90, .88, .84], [.93, .62, .48],
                   [.55, .55, .56], [.12, .12, .13]])
"""Linear colours of gold, silver, rose gold, steel and black steel."""

AROUND = 32  # corners of a cross-section
_CLEARANCE = .8  # mm between the arm and its sleeve
_BEHIND_BEND = .8  # mm per degree that a sleeve begins behind a bent wrist


class Section(NamedTuple):
    """Cross-section of a limb at a place along its z axis.

    Attributes:
        centre: (2,) x and y in mm.
        radii: (32,) mm, at angles from x towards y.
    """
    centre: np.ndarray
    radii: np.ndarray


_ANGLES = np.arange(AROUND) * 2 * np.pi / AROUND
CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1)
_BEFORE, _AFTER = (np.roll(np.arange(AROUND), step) for step in (1, -1))


def cut_limb(points: np.ndarray, z: float, half: float) -> Optional[Section]:
    """Cut a limb.

    Args:
        points: (N, 3) skin in the limb's frame.
        z: Place of the cut.
        half: Points this far from it count.
    """
    distance = np.abs(points[:, 2] - z)
    for reach in (half, 2 * half):  # the arm's mesh is coarse
        flat = points[distance < reach, :2]
        if len(flat) >= 10:
            break
    else:
        return None
    centre = (flat.min(axis=0) + flat.max(axis=0)) / 2
    offset = flat - centre
    angle = np.arctan2(offset[:, 1], offset[:, 0]) % (2 * np.pi)
    order = np.argsort(angle, kind='stable')
    radii = np.interp(
        _ANGLES,
        angle[order],
        np.linalg.norm(offset, axis=1)[order],
        period=2 * np.pi)
    radii = np.maximum(radii, (radii[_BEFORE] + radii[_AFTER]) / 2)
    radii = np.maximum(radii, .99 * np.maximum(radii[_BEFORE], radii[_AFTER]))
    return Section(centre, (2 * radii + radii[_BEFORE] + radii[_AFTER]) / 4)


@functools.lru_cache(maxsize=256)
def _grid(rows: int, columns: int, closed: bool) -> Tuple[np.ndarray, ...]:
    """Triangles of a grid that is closed along its second axis.

    Args:
        rows: R; the outside is to the left of the way along the first axis if
            the second turns anticlockwise about it.
        columns: A.
        closed: Whether the last row meets the first.

    Returns:
        tuple: Faces (F, 3) of R A vertices, texture coordinates
        ((R + 1) (A + 1), 2) from 0 to 1 and texture faces (F, 3).
    """
    last = rows if closed else rows - 1
    i, j = np.mgrid[:last, :columns]
    down, right = (i + 1) % rows, (j + 1) % columns

    def triangles(a, b, c, d):
        return np.concatenate([
            np.stack([a, b, d], -1).reshape(-1, 3),
            np.stack([a, d, c], -1).reshape(-1, 3)
        ]).astype(np.int32)

    faces = triangles(i * columns + j, i * columns + right, down * columns + j,
                      down * columns + right)
    n = columns + 1
    texture_faces = triangles(i * n + j, i * n + j + 1, (i + 1) * n + j,
                              (i + 1) * n + j + 1)
    v, u = np.mgrid[:rows + 1, :n]
    places = np.stack([u / columns, v / max(last, 1)], -1).reshape(-1, 2)
    return faces, places, texture_faces


def _band(section: Section, z: float, width: float, thickness: float,
          gap: float, bulge: float) -> np.ndarray:
    """(32, 8, 3) surface of a band about a limb, closed both ways.

    Args:
        bulge: 0 for a flat band, 1 for a round one.
    """
    turn = np.arange(8) * 2 * np.pi / 8
    profile = np.stack([np.cos(turn), np.sin(turn)], 1)
    power = 1 - .6 * (1 - bulge)
    profile = np.sign(profile) * np.abs(profile)**power
    radial = gap + thickness * (.5 + .5 * profile[:, 0])
    along = .5 * width * profile[:, 1]
    radii = section.radii[:, None] + radial
    points = np.empty((AROUND, 8, 3))
    points[..., :2] = section.centre + radii[..., None] * CIRCLE[:, None]
    points[..., 2] = z + along
    return points[:, ::-1]


def _plain_texture(color: np.ndarray) -> np.ndarray:
    texture = np.empty((4, 4, 3), np.float32)
    texture[:] = color
    return texture


def tube(rings: np.ndarray,
         part: int,
         texture: np.ndarray,
         repeat: Sequence[float] = (1, 1),
         closed: bool = False,
         **material) -> Surface:
    """A grid of points as a surface.

    Args:
        rings: (R, A, 3), each ring anticlockwise about the way along them.
        part: What it covers.
        texture: See :class:`Surface`, as for ``material``.
        repeat: How often the texture is repeated round and along.
        closed: Whether the last ring meets the first.
    """
    faces, places, texture_faces = _grid(*rings.shape[:2], closed)
    return Surface(
        rings.reshape(-1, 3), faces, places * repeat, texture_faces, texture,
        np.full(len(faces), part, np.uint8), **material)


def _surface(points: np.ndarray,
             rotation: np.ndarray,
             position: np.ndarray,
             closed: bool,
             part: int,
             texture: np.ndarray,
             repeat=(1, 1),
             **material) -> Surface:
    """A grid of a limb's frame as a surface of the hand's frame."""
    return tube(points @ rotation.T + position, part, texture, repeat, closed,
                **material)


def _sample_cloth(rng: np.random.Generator) -> np.ndarray:
    """(3,) linear colour of cloth: grey, dark, pale or bright."""
    kind = rng.random()
    value = np.exp(rng.uniform(np.log(.012), np.log(.75)))
    if kind < .35:
        return value * np.exp(rng.normal(0, .06, 3))
    hue = rng.uniform(0, 6)
    pure = np.clip(np.abs((hue + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    if kind < .6:  # blue as of jeans and shirts
        pure = np.array([.08, .2, .6])
    saturation = rng.uniform(.2, .95)
    return value * (1 - saturation + saturation * (.05 + pure))


def cloth_texture(rng: np.random.Generator) -> Tuple[np.ndarray, np.ndarray]:
    """Draw cloth that may be repeated.

    Returns:
        tuple: (64, 64, 3) float32 linear albedo and (64, 64) float32 relief
        in mm.
    """
    size = 64
    color, other = _sample_cloth(rng), _sample_cloth(rng)
    y, x = np.mgrid[:size, :size] / size
    share = np.zeros((size, size))
    kind = rng.random()
    if kind < .15:  # stripes, along or across
        across = x if rng.random() < .5 else y
        share = np.mod(across * rng.integers(1, 5), 1) < rng.uniform(.1, .6)
    elif kind < .25:  # checks
        count = rng.integers(1, 4)
        share = .5 * (np.mod(x * count, 1) < .4) + .5 * (
            np.mod(y * count, 1) < .4)
    elif kind < .32:  # a print
        noise = cv2.GaussianBlur(
            np.tile(rng.normal(size=(size, size)), (3, 3)), (0, 0),
            rng.uniform(2, 6))[size:2 * size, size:2 * size]
        share = noise > noise.std() * rng.uniform(-.3, 1)
    weave = rng.integers(8, 20)
    relief = np.sin(2 * np.pi * weave * x) * np.sin(2 * np.pi * weave * y)
    height = rng.uniform(0, .12)
    if rng.random() < .3:  # knitted
        stitches = rng.integers(4, 9)
        relief = np.abs(np.sin(np.pi * (stitches * x))) * (.7 + .3 * np.sin(
            2 * np.pi *
            (stitches * y + np.abs(2 * np.mod(stitches * x, 1) - 1))))
        height = rng.uniform(.2, .7)
    texture = color + share[..., None] * (other - color)
    texture = texture * np.exp(
        rng.normal(0, rng.uniform(.02, .2), (size, size, 1)))
    texture = texture * (1 + rng.uniform(0, .35) * relief[..., None])
    return (np.clip(texture, .004, .85).astype(np.float32),
            (height * relief).astype(np.float32))


def _noise(rng: np.random.Generator, rows: int, cells: Tuple[int, int]):
    """(rows, 32) smooth noise that is periodic along the second axis."""
    coarse = rng.normal(size=cells)
    coarse = np.concatenate([coarse[:, -2:], coarse, coarse[:, :2]], 1)
    step = AROUND // cells[1]
    fine = cv2.resize(
        coarse, (coarse.shape[1] * step, rows), interpolation=cv2.INTER_CUBIC)
    return fine[:, 2 * step:2 * step + AROUND]


def _cover(radii: np.ndarray, z: np.ndarray, centre: np.ndarray,
           points: np.ndarray) -> None:
    """Widen, in place, (R, 32) radii at (R,) evenly spaced places about
    (R, 2) centres so that they hold (N, 3) points."""
    row = (points[:, 2] - z[0]) / (z[1] - z[0])
    inside = (row > -1) & (row < len(z))
    points, row = points[inside], row[inside]
    offset = points[:, :2] - np.stack(
        [np.interp(points[:, 2], z, c) for c in centre.T], 1)
    radius = np.sqrt((offset**2).sum(axis=1)) + _CLEARANCE
    column = np.arctan2(offset[:, 1], offset[:, 0]) / (2 * np.pi) * AROUND
    for down in range(2):
        for right in range(2):
            at = np.clip(np.floor(row).astype(int) + down, 0,
                         len(z) -
                         1), (np.floor(column).astype(int) + right) % AROUND
            np.maximum.at(radii, at, radius)


def _sleeve(rng: np.random.Generator, points: np.ndarray, skin: np.ndarray,
            start: float, rotation: np.ndarray,
            position: np.ndarray) -> Optional[Surface]:
    """A sleeve from ``start`` mm behind the wrist to the elbow's end, shaped
    after the (N, 3) points of an arm, that holds (M, 3) more of its skin."""
    end = points[:, 2].max() - 4
    coarse = np.arange(start, end, 20.)
    sections = [cut_limb(points, z, 12) for z in coarse]
    if len(coarse) < 2 or any(s is None for s in sections):
        return None
    rows = int((end - start) / 6) + 2
    z = np.linspace(start, coarse[-1], rows)
    grid = np.stack([np.concatenate([s.centre, s.radii]) for s in sections])
    grid = np.stack([np.interp(z, coarse, c) for c in grid.T], 1)
    centre, radii = grid[:, :2], grid[:, 2:]
    gap = rng.uniform(1.5, 7)
    # cloth hangs rounder than the arm, least so at the hem
    round_off = np.interp(z - start, [0, 50], [.78, .92])[:, None]
    radii = np.maximum(radii, round_off * radii.max(axis=1, keepdims=True))
    folds = rng.uniform(.1, .5) * gap
    cells = max(rows // int(rng.integers(2, 6)), 2)
    radii = radii + gap + np.clip(
        folds * _noise(rng, rows, (cells, 4)) +
        .6 * folds * _noise(rng, rows, (cells, 8)), -.75 * gap, 2 * gap)
    cuff = rng.random()
    near_hem = np.exp(-((z - start) / 22)**6)[:, None]
    if cuff < .4:  # tight cuff
        radii -= near_hem * .5 * gap
    elif cuff < .6:  # folded back
        radii += near_hem * rng.uniform(1.5, 4)
    _cover(radii, z, centre, skin)
    thickness = rng.uniform(.8, 2.5)
    points = np.empty((rows + 4, AROUND, 3))
    points[3:-1, :, :2] = centre[:, None] + radii[..., None] * CIRCLE
    points[3:-1, :,
           2] = z[:, None] + folds * .4 * near_hem * _noise(rng, 2, (2, 4))[:1]
    # the hem is turned in: outside, edge, inside
    for row, depth, inner in ((2, .3, .35), (1, .4, 1.), (0, 26., 1.)):
        points[row] = points[3]
        points[row, :, :2] -= (inner * thickness * CIRCLE)
        points[row, :, 2] += depth - .8 * (row > 0)
    points[-1, :, :2] = centre[-1]
    points[-1, :, 2] = end + 12
    texture, relief = cloth_texture(rng)
    repeat = (float(rng.integers(2, 7)), (end - start) / rng.uniform(30, 90))
    return _surface(
        points,
        rotation,
        position,
        False,
        FOREARM_PART,
        texture,
        repeat,
        relief=relief,
        gloss=float(rng.uniform(.1, .5)),
        roughness=float(rng.uniform(.6, .95)),
        fuzz=float(rng.uniform(0, .5)))


def _disc(centre: np.ndarray, normal: np.ndarray, along: np.ndarray,
          half: Tuple[float,
                      float], height: float, square: float) -> np.ndarray:
    """(6, 32, 3) a low cylinder or rounded box with its top at the end."""
    across = np.cross(along, normal)
    outline = np.sign(CIRCLE) * np.abs(CIRCLE)**(1 - .65 * square)
    rows = []
    for scale, level in ((0, 0), (1, 0), (1, .8), (.93, 1), (.85, 1), (0, 1)):
        flat = outline * half * scale
        rows.append(centre + height * level * normal + flat[:, :1] * across +
                    flat[:, 1:] * along)
    return np.stack(rows)


def _dial(rng: np.random.Generator) -> np.ndarray:
    """(64, 64, 3) linear face of a watch in polar coordinates."""
    face = rng.choice([.01, .03, .6, .75, .2]) * np.ones(3)
    if rng.random() < .3:
        face = _sample_cloth(rng)
    ink = np.full(3, .8 if face.mean() < .3 else .01)
    dial = np.empty((64, 64, 3), np.float32)
    dial[:] = face
    if rng.random() < .8:
        step = rng.choice([4, 5, 16])
        for mark in range(0, 64, step):
            dial[44:50, mark] = ink
    for _ in range(2):
        angle, reach = rng.integers(64), rng.integers(8, 18)
        dial[-reach:, angle] = ink
    return dial


def _watch(rng: np.random.Generator, section: Section, z: float,
           rotation: np.ndarray, position: np.ndarray) -> List[Surface]:
    metal = METALS[rng.choice(len(METALS), p=[.15, .3, .1, .25, .2])]
    width = rng.uniform(14, 22)
    thickness = rng.uniform(1.6, 3)
    linked = rng.random() < .4
    strap = dict(
        texture=_plain_texture(metal), metallic=1.,
        roughness=.3) if linked else dict(
            texture=_plain_texture(_sample_cloth(rng)),
            roughness=float(rng.uniform(.35, .7)))
    if linked:
        links = np.ones((32, 32, 3), np.float32) * metal
        links[::8] *= .35
        strap['texture'] = links.astype(np.float32)
    points = _band(section, z, width, thickness, .3, .2)
    surfaces = [
        _surface(
            points,
            rotation,
            position,
            True,
            FOREARM_PART,
            repeat=(1, 8),
            **strap)
    ]
    turn = np.pi / 2 + rng.normal(0, .2)
    if rng.random() < .06:
        turn += np.pi
    normal = np.array([np.cos(turn), np.sin(turn), 0])
    radius = np.interp(
        turn % (2 * np.pi), _ANGLES, section.radii, period=2 * np.pi)
    middle = np.array([*section.centre, z]) + (radius - .5) * normal
    square = float(rng.random() < .35)
    half = rng.uniform(14, 21) * np.array([1., 1.])
    if square:
        half *= (.85, 1.)
    height = rng.uniform(6, 12)
    case = _disc(middle, normal, np.array([0, 0, 1.]), half, height, square)
    surfaces.append(
        _surface(
            case[:4],
            rotation,
            position,
            False,
            FOREARM_PART,
            _plain_texture(metal),
            metallic=1.,
            roughness=float(rng.uniform(.15, .4))))
    surfaces.append(
        _surface(
            case[3:],
            rotation,
            position,
            False,
            FOREARM_PART,
            _dial(rng),
            roughness=.12,
            gloss=1.3))
    return surfaces


def _bracelets(rng: np.random.Generator, points: np.ndarray, z: float,
               rotation: np.ndarray, position: np.ndarray) -> List[Surface]:
    surfaces = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        section = cut_limb(points, z, 7)
        if section is None:
            break
        width = rng.uniform(1.5, 8)
        thick = min(width, rng.uniform(1.2, 5))
        band = _band(section, z, width, thick, rng.uniform(.2, 3),
                     rng.random())
        kind = rng.random()
        tilt = rng.normal(0, .08, 2)
        band[..., 2] += (band[..., :2] - section.centre) @ tilt
        if kind < .45:
            look = dict(
                texture=_plain_texture(METALS[rng.integers(len(METALS))]),
                metallic=1.,
                roughness=float(rng.uniform(.12, .35)))
        else:
            beads = np.ones((16, 32, 1)) * np.stack([
                _sample_cloth(rng), _sample_cloth(rng)
            ])[np.arange(32) // 4 % 2][:, None, :][:16]
            look = dict(
                texture=np.ascontiguousarray(beads, np.float32)
                if kind < .7 else _plain_texture(_sample_cloth(rng)),
                roughness=float(rng.uniform(.25, .8)))
        surfaces.append(
            _surface(
                band,
                rotation,
                position,
                True,
                FOREARM_PART,
                repeat=(1., 1.),
                **look))
        z += width + rng.uniform(1, 5)
    return surfaces


class Accessories:
    """Dresses hands.

    Args:
        model: The hand model.
    """

    def __init__(self, model: HandModel):
        self._model = model
        part = np.full(len(model.mean_subject.vertices), PALM_PART)
        part[model.faces.T] = model.face_parts
        self._base = [np.flatnonzero(part == 3 * f + 2) for f in range(5)]
        depth = model.mean_subject.vertices[:, 2]
        self._arm = np.flatnonzero((part >= PALM_PART) & (depth > -55))
        self._is_forearm = depth[self._arm] > -8
        edges = np.sort(model.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2))
        edges = np.unique(edges, axis=0)
        self._edges = edges[(depth[edges] > 0).all(axis=1)].T

    def sample(self, rng: np.random.Generator, subject: Subject,
               pose: np.ndarray, vertices: np.ndarray) -> List[Surface]:
        """Draw what a hand wears.

        Args:
            rng: Source of randomness.
            subject: The person.
            pose: (J, 3) pose of the hand.
            vertices: (V, 3) of the posed hand, hand frame, mm.

        Returns:
            list: Surfaces in the hand's frame. Their parts are those that
            they cover, numbered as the model's ``face_parts``.
        """
        rotations, positions = self._model.joint_frames(pose, subject)
        rotation, position = rotations[FOREARM], positions[FOREARM]
        arm = (vertices[self._arm] - position) @ rotation
        # A cut through the hand itself is no tube: sections end at the wrist.
        bend = abs(pose[0]).max()
        surfaces = []
        bare = 500.
        if rng.random() < .45:
            place = rng.random()
            if place < .12 and bend < 25:
                bare = rng.uniform(-22, -5)  # over the heel of the hand
            elif place < .7:
                bare = rng.uniform(0, 30)
            else:
                bare = rng.uniform(30, 200)
            if bend >= 25:
                bare = max(bare, _BEHIND_BEND * bend)
            # a bent hand lies beside the forearm, not within its sleeve
            limb = arm if bare < 0 else arm[self._is_forearm]
            # the mesh is coarse
            middles = vertices[self._edges].mean(axis=0)
            skin = np.concatenate([limb, (middles - position) @ rotation])
            sleeve = _sleeve(rng, limb, skin, bare, rotation, position)
            if sleeve is not None:
                surfaces.append(sleeve)
        female = subject.male < .5
        at = rng.uniform(16, 34) + .6 * bend
        arm = arm[self._is_forearm]
        kind = rng.random()
        if kind < .18 and at + 28 < bare:
            section = cut_limb(arm, at, 8)
            if kind < .1 and section is not None:
                surfaces += _watch(rng, section, at, rotation, position)
            elif kind >= .1:
                surfaces += _bracelets(rng, arm, at, rotation, position)
        if rng.random() < (.17 if female else .08):
            for _ in range(1 if rng.random() < .75 else 2):
                surfaces += self._ring(rng, vertices, rotations, positions)
        return surfaces

    def _ring(self, rng: np.random.Generator, vertices: np.ndarray,
              rotations: np.ndarray, positions: np.ndarray) -> List[Surface]:
        """A ring, perhaps with a stone."""
        f = rng.choice(5, p=[.06, .14, .2, .5, .1])
        names = FINGER_JOINTS[f][-4:]
        joint, child = JOINT_INDEX[names[0]], JOINT_INDEX[names[1]]
        rotation, position = rotations[joint], positions[joint]
        length = np.linalg.norm(positions[child] - position)
        z = -length * rng.uniform(.58, .72)
        points = (vertices[self._base[f]] - position) @ rotation
        section = cut_limb(points, z, 5)
        if section is None:
            return []
        metal = METALS[rng.choice(len(METALS), p=[.4, .35, .1, .1, .05])]
        width = rng.uniform(1.6, 6)
        look = dict(metallic=1., roughness=float(rng.uniform(.1, .35)))
        part = 3 * int(f) + 2
        band = _band(section, z, width, rng.uniform(1., 2.), -.25,
                     rng.random())
        surfaces = [
            _surface(band, rotation, position, True, part,
                     _plain_texture(metal), **look)
        ]
        if rng.random() < .3:
            top = section.radii[AROUND // 4]
            middle = np.array([*section.centre, z]) + [0, top, 0]
            half = rng.uniform(2, 4.5) * np.array([1, rng.uniform(.8, 1.3)])
            stone = _disc(middle, np.array([0, 1., 0]), np.array([0, 0, 1.]),
                          half, rng.uniform(2, 4.5), 0.)
            surfaces.append(
                _surface(
                    stone,
                    rotation,
                    position,
                    False,
                    part,
                    _plain_texture(rng.uniform(.02, .8, 3)),
                    roughness=.08,
                    gloss=2.))
        return surfaces
