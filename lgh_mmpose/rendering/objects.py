"""Things that hands hold: signed distance and closed mesh of each.

An object is a union of solids, each a plane polygon that is turned about an
axis (ball, can, bottle) or pulled along one (box, phone, handle of a cup).
Polygons give exact distances, and meshes that agree with them. Sizes are those
of real things, in millimetres.
"""
from typing import Callable, Dict, NamedTuple, Sequence, Tuple

import numpy as np

from .numba_utils import cached_njit

_SEGMENTS = 40  # around a turned solid
_MAX_CORNERS = 24


class Solid(NamedTuple):
    """A turned or pulled polygon.

    Attributes:
        polygon: (N, 2) corners, counter-clockwise. Of a turned solid radius
            and height from the bottom to the top of the axis.
        depth: Half of the length by which it is pulled along z; 0 if it is
            turned about y instead.
        rotation: (3, 3), solid to object.
        position: (3,) of the solid's origin in the object.
    """
    polygon: np.ndarray
    depth: float = 0.
    rotation: np.ndarray = np.eye(3)
    position: np.ndarray = np.zeros(3)


class Object(NamedTuple):
    """A thing that can be held. Its long axis is y, its thin one z.

    Attributes:
        name: A key of :data:`OBJECTS`.
        solids: What it is made of.
        grip: How it is held: ``power``, ``pinch``, ``tripod`` or ``plate``.
        size: (3,) extent along x, y, z of the part that is gripped, mm.
    """
    name: str
    solids: Tuple[Solid, ...]
    grip: str
    size: np.ndarray


class Mesh(NamedTuple):
    """A closed surface.

    Attributes:
        vertices: (V, 3) float64, mm.
        faces: (F, 3) int32, counter-clockwise seen from outside.
        texture_coordinates: (T, 2) float32 in 0..1.
        texture_faces: (F, 3) int32.
    """
    vertices: np.ndarray
    faces: np.ndarray
    texture_coordinates: np.ndarray
    texture_faces: np.ndarray


class DistanceField(NamedTuple):
    """The solids of an object as arrays, for compiled functions.

    Attributes:
        corners: (S, N, 2); count: (S,) of them that are used; depth: (S,).
        rotation: (S, 3, 3), position: (S, 3), solid to hand or world.
    """
    corners: np.ndarray
    count: np.ndarray
    depth: np.ndarray
    rotation: np.ndarray
    position: np.ndarray


def distance_field(thing: Object, rotation: np.ndarray,
                   position: np.ndarray) -> DistanceField:
    """Place an object.

    Args:
        thing: The object.
        rotation: (3, 3), position: (3,), object to hand or world.
    """
    count = len(thing.solids)
    corners = np.zeros((count, _MAX_CORNERS, 2))
    for row, solid in zip(corners, thing.solids):
        row[:len(solid.polygon)] = solid.polygon
    return DistanceField(
        corners, np.array([len(s.polygon) for s in thing.solids]),
        np.array([float(s.depth) for s in thing.solids]),
        np.stack([rotation @ s.rotation for s in thing.solids]),
        np.stack([rotation @ s.position + position for s in thing.solids]))


@cached_njit
def _polygon_distance(x, y, corners, count, turned):
    """Signed distance in a plane; negative inside.

    Turned polygons are closed along the axis, so the axis itself is never the
    nearest edge of a point inside.
    """
    best = 1e18
    inside = False
    first = 1 if turned else 0
    bx, by = corners[(first - 1) % count]
    for i in range(first, count):
        ax, ay = bx, by
        bx, by = corners[i]
        ex, ey = bx - ax, by - ay
        px, py = x - ax, y - ay
        t = (px * ex + py * ey) / max(ex * ex + ey * ey, 1e-12)
        t = min(max(t, 0.), 1.)
        dx, dy = px - t * ex, py - t * ey
        best = min(best, dx * dx + dy * dy)
        if (ay > y) != (by > y) and x < ax + ex * (y - ay) / ey:
            inside = not inside
    distance = np.sqrt(best)
    return -distance if inside else distance


@cached_njit
def point_distance(x, y, z, corners, count, depth, rotation, position):
    """Signed distance of a point to the union of solids, see
    :func:`signed_distance`."""
    best = 1e18
    for s in range(len(count)):
        a, b, c = x - position[s, 0], y - position[s, 1], z - position[s, 2]
        m = rotation[s]
        u = m[0, 0] * a + m[1, 0] * b + m[2, 0] * c
        v = m[0, 1] * a + m[1, 1] * b + m[2, 1] * c
        w = m[0, 2] * a + m[1, 2] * b + m[2, 2] * c
        if depth[s] == 0.:
            distance = _polygon_distance(
                np.sqrt(u * u + w * w), v, corners[s], count[s], True)
        else:
            across = _polygon_distance(u, v, corners[s], count[s], False)
            along = abs(w) - depth[s]
            if across > 0. and along > 0.:
                distance = np.sqrt(across * across + along * along)
            else:
                distance = max(across, along)
        best = min(best, distance)
    return best


@cached_njit
def signed_distance(points, corners, count, depth, rotation, position):
    """Distance of (N, 3) points to a :class:`DistanceField`'s surface in mm,
    negative inside.

    The rest of the arguments are the field's arrays. Inside of a union of
    several solids it is a lower bound of the depth.
    """
    out = np.empty(len(points))
    for i in range(len(points)):
        out[i] = point_distance(points[i, 0], points[i, 1], points[i, 2],
                                corners, count, depth, rotation, position)
    return out


def _turn_mesh(polygon: np.ndarray) -> Mesh:
    """Surface of a polygon that is turned about y."""
    rings, top = polygon[1:-1], len(polygon) - 2
    angle = np.arange(_SEGMENTS) * (2 * np.pi / _SEGMENTS)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    body = np.empty((top, _SEGMENTS, 3))
    body[..., 0] = rings[:, :1] * circle[:, 0]
    body[..., 1] = rings[:, 1:]
    body[..., 2] = rings[:, :1] * circle[:, 1]
    vertices = np.concatenate(
        [body.reshape(-1, 3), [[0, polygon[0, 1], 0], [0, polygon[-1, 1], 0]]])
    along = np.append(
        0, np.cumsum(np.linalg.norm(np.diff(polygon, axis=0), axis=1)))
    along /= along[-1]
    columns = np.arange(_SEGMENTS + 1) / _SEGMENTS
    texture = np.stack(
        np.broadcast_arrays(columns, 1 - along[:, None]), axis=-1)
    i = np.arange(_SEGMENTS)
    j = (i + 1) % _SEGMENTS
    row = np.arange(top - 1)[:, None] * _SEGMENTS
    a, b, c, d = row + i, row + j, row + _SEGMENTS + i, row + _SEGMENTS + j
    low, high = top * _SEGMENTS, top * _SEGMENTS + 1
    last = (top - 1) * _SEGMENTS
    faces = [
        np.stack([a, c, b], -1).reshape(-1, 3),
        np.stack([b, c, d], -1).reshape(-1, 3),
        np.stack([i, j, np.full_like(i, low)], -1),
        np.stack(
            [last + j, last + i, np.full_like(i, high)], -1)
    ]
    width = _SEGMENTS + 1
    row = np.arange(1, top)[:, None] * width
    a, b, c, d = row + i, row + i + 1, row + width + i, row + width + i + 1
    last = top * width
    texture_faces = [
        np.stack([a, c, b], -1).reshape(-1, 3),
        np.stack([b, c, d], -1).reshape(-1, 3),
        np.stack([width + i, width + i + 1, i], -1),
        np.stack([last + i + 1, last + i, last + width + i], -1)
    ]
    return Mesh(vertices,
                np.concatenate(faces).astype(np.int32),
                texture.reshape(-1, 2).astype(np.float32),
                np.concatenate(texture_faces).astype(np.int32))


def _pull_mesh(polygon: np.ndarray, depth: float) -> Mesh:
    """Surface of a polygon that is pulled along z.

    The faces at both ends join corner i to corner N - 1 - i, which suits
    convex polygons and those that are bent bands.
    """
    count = len(polygon)
    vertices = np.concatenate([
        np.column_stack([polygon, np.full(count, z)]) for z in (-depth, depth)
    ])
    i = np.arange(count)
    j = (i + 1) % count
    sides = [
        np.stack([i, j, count + j], -1),
        np.stack([i, count + j, count + i], -1)
    ]
    k = np.arange(count // 2 - 1 + count % 2)
    m = count - 1 - k
    front = np.concatenate(
        [np.stack([k, k + 1, m], -1),
         np.stack([k + 1, m - 1, m], -1)])
    front = front[(front[:, 0] != front[:, 1]) & (front[:, 1] != front[:, 2])]
    length = np.append(0,
                       np.cumsum(np.linalg.norm(polygon[j] - polygon, axis=1)))
    length /= length[-1]
    low, extent = polygon.min(axis=0), np.ptp(polygon, axis=0)
    flat = (polygon - low) / extent.max()
    flat[:, 1] = 1 - flat[:, 1]
    texture = np.concatenate([
        np.stack([length, np.zeros(count + 1)], axis=1),
        np.stack([length, np.ones(count + 1)], axis=1), flat
    ])
    width, start = count + 1, 2 * (count + 1)
    texture_faces = [
        np.stack([i, i + 1, width + i + 1], -1),
        np.stack([i, width + i + 1, width + i], -1), start + front[:, ::-1],
        start + front
    ]
    faces = [*sides, front[:, ::-1], count + front]
    return Mesh(vertices,
                np.concatenate(faces).astype(np.int32),
                texture.astype(np.float32),
                np.concatenate(texture_faces).astype(np.int32))


def object_mesh(thing: Object, rotation: np.ndarray,
                position: np.ndarray) -> Mesh:
    """The surface of a placed object; arguments as for
    :func:`distance_field`. Solids that overlap keep their own surfaces."""
    meshes = []
    for solid in thing.solids:
        mesh = (
            _pull_mesh(solid.polygon, solid.depth)
            if solid.depth else _turn_mesh(solid.polygon))
        vertices = mesh.vertices @ solid.rotation.T + solid.position
        meshes.append(mesh._replace(vertices=vertices @ rotation.T + position))
    first = np.cumsum([0] + [len(m.vertices) for m in meshes])
    texel = np.cumsum([0] + [len(m.texture_coordinates) for m in meshes])
    return Mesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.faces + k
                        for m, k in zip(meshes, first)]).astype(np.int32),
        np.concatenate([m.texture_coordinates for m in meshes]),
        np.concatenate([m.texture_faces + k
                        for m, k in zip(meshes, texel)]).astype(np.int32))


def _profile(*points: Sequence[float]) -> np.ndarray:
    """Polygon of a turned solid, centred, from (radius, height) pairs."""
    polygon = np.array(points, float)
    polygon = np.concatenate([[[0, polygon[0, 1]]], polygon,
                              [[0, polygon[-1, 1]]]])
    polygon[:, 1] -= .5 * (polygon[:, 1].min() + polygon[:, 1].max())
    return polygon


def _ellipse(radius: float, half: float, steps: int = 13) -> np.ndarray:
    angle = np.linspace(-np.pi / 2, np.pi / 2, steps)
    return np.stack([radius * np.cos(angle), half * np.sin(angle)], axis=1)


def _rectangle(width: float, height: float, corner: float = 0.) -> np.ndarray:
    """(N, 2) counter-clockwise, with rounded corners."""
    if not corner:
        signs = np.array([[1, -1], [1, 1], [-1, 1], [-1, -1]])
        return .5 * signs * [width, height]
    angle = np.radians(np.arange(4)[:, None] * 90 + [-90, -60, -30, 0])
    centre = np.array([[1, -1], [1, 1], [-1, 1], [-1, -1]
                       ]) * [.5 * width - corner, .5 * height - corner]
    arc = corner * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return (centre[:, None] + arc).reshape(-1, 2)


_TO_Z = np.array([[1., 0, 0], [0, 0, -1], [0, 1, 0]])  # turned about z


def _ball(rng) -> Object:
    radius = rng.uniform(18, 42)
    half = radius * (1 if rng.random() < .6 else rng.uniform(.8, 1.5))
    return Object('ball', (Solid(_ellipse(radius, half)), ), 'power',
                  2 * np.array([radius, half, radius]))


def _can(rng) -> Object:
    radius, height = rng.uniform(24, 35), rng.uniform(80, 170)
    rim = rng.uniform(1, 5)
    solid = Solid(
        _profile((radius - rim, 0), (radius, rim), (radius, height - rim),
                 (radius - rim, height)))
    return Object('can', (solid, ), 'power',
                  np.array([2 * radius, height, 2 * radius]))


def _bottle(rng) -> Object:
    radius, height = rng.uniform(24, 36), rng.uniform(120, 190)
    neck, shoulder = rng.uniform(11, 15), rng.uniform(20, 60)
    solid = Solid(
        _profile((radius - 3, 0), (radius, 4), (radius, height),
                 (.75 * radius + .25 * neck, height + .55 * shoulder),
                 (neck, height + shoulder),
                 (neck, height + shoulder + rng.uniform(15, 50))))
    return Object(
        'bottle',
        (solid._replace(position=np.array([0, rng.uniform(0, 50), 0])), ),
        'power', np.array([2 * radius, height, 2 * radius]))


def _glass(rng) -> Object:
    low, height = rng.uniform(22, 32), rng.uniform(75, 150)
    high = low * rng.uniform(1, 1.35)
    solid = Solid(
        _profile((low, 0), (high, height), (high - 2.5, height),
                 (low - 2.5, 8)))
    return Object('glass', (solid, ), 'power',
                  np.array([low + high, height, low + high]))


def _cup(rng) -> Object:
    radius, height = rng.uniform(33, 43), rng.uniform(75, 105)
    body = Solid(
        _profile((radius - 3, 0), (radius, 4), (radius, height),
                 (radius - 4, height), (radius - 5, 8)))
    angle = np.linspace(-1.5, 1.5, 10)
    arc = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    outer, inner = (np.array([radius - 2, 0]) + arc * (x, y)
                    for x, y in ((32, 32), (24, 24)))
    handle = Solid(
        np.concatenate([outer, inner[::-1]]), rng.uniform(4, 7), np.eye(3),
        np.array([0, rng.uniform(-8, 8), 0]))
    turn = rng.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1., 0],
                         [-np.sin(turn), 0, np.cos(turn)]])
    handle = handle._replace(
        rotation=rotation, position=rotation @ handle.position)
    return Object('cup', (body, handle), 'power',
                  np.array([2 * radius, height, 2 * radius]))


def _box(rng) -> Object:
    size = np.sort(rng.uniform([12, 30, 45], [55, 75, 170]))
    width, height, depth = size[1], size[2], size[0]
    corner = rng.uniform(.5, 6) if rng.random() < .5 else 0.
    return Object('box',
                  (Solid(_rectangle(width, height, corner), .5 * depth), ),
                  'power', np.array([width, height, depth]))


def _phone(rng) -> Object:
    width, height, depth = rng.uniform([62, 128, 7], [78, 165, 11])
    return Object('phone', (Solid(
        _rectangle(width, height, rng.uniform(4, 12)), .5 * depth), ), 'power',
                  np.array([width, height, depth]))


def _stick(rng) -> Object:
    radius, length = rng.uniform(7, 19), rng.uniform(140, 420)
    flare = radius * rng.uniform(.75, 1.1)
    solid = Solid(
        _profile((radius, 0), (flare, .5 * length), (radius, length)))
    shift = rng.uniform(-.3, .3) * length
    return Object('stick',
                  (solid._replace(position=np.array([0, shift, 0])), ),
                  'power', np.array([2 * radius, length, 2 * radius]))


def _hammer(rng) -> Object:
    radius, length = rng.uniform(11, 17), rng.uniform(180, 300)
    handle = Solid(
        _profile((radius, 0), (.85 * radius, .7 * length),
                 (.8 * radius, length)),
        position=np.array([0, .5 * length - rng.uniform(45, 70), 0]))
    top = handle.position[1] + .5 * length
    head = Solid(
        _rectangle(rng.uniform(80, 130), rng.uniform(20, 32), 4),
        rng.uniform(9, 16), np.eye(3), np.array([0, top, 0]))
    return Object('hammer', (handle, head), 'power',
                  np.array([2 * radius, length, 2 * radius]))


def _knife(rng) -> Object:
    width, depth = rng.uniform([20, 13], [30, 20])
    length, blade = rng.uniform([95, 70], [125, 190])
    handle = Solid(_rectangle(width, length, 6), .5 * depth)
    steel = Solid(
        _rectangle(rng.uniform(8, .9 * width), blade), rng.uniform(.8, 3),
        np.eye(3), np.array([0, .5 * (length + blade) - 3, 0]))
    return Object('knife', (handle, steel), 'power',
                  np.array([width, length, depth]))


def _pen(rng) -> Object:
    radius, length = rng.uniform(3.5, 6), rng.uniform(115, 170)
    solid = Solid(
        _profile((.6, 0), (.8 * radius, 14), (radius, 24), (radius, length)))
    return Object('pen', (solid, ), 'tripod',
                  np.array([2 * radius, length, 2 * radius]))


def _small(rng) -> Object:
    if rng.random() < .5:
        size = rng.uniform(8, 32, 3)
        size[2] = min(size[2], 26)
        solid = Solid(_rectangle(size[0], size[1]), .5 * size[2])
    else:
        radius, half = rng.uniform(8, 18), rng.uniform(6, 26)
        solid = Solid(_ellipse(radius, half))
        size = 2 * np.array([radius, half, radius])
    return Object('small', (solid, ), 'pinch', size)


def _plate(rng) -> Object:
    radius, depth = rng.uniform(45, 130), rng.uniform(2, 10)
    rise = rng.uniform(0, 16)
    solid = Solid(
        _profile((.6 * radius, -rise), (radius, 0), (radius, depth),
                 (.6 * radius, depth - rise)), 0., _TO_Z)
    return Object('plate', (solid, ), 'plate',
                  np.array([2 * radius, 2 * radius, depth]))


def _card(rng) -> Object:
    width, height = rng.uniform([50, 75], [150, 210])
    depth = rng.uniform(.8, 22)
    return Object('card', (Solid(_rectangle(width, height), .5 * depth), ),
                  'plate', np.array([width, height, depth]))


OBJECTS: Dict[str, Tuple[float, Callable[[np.random.Generator], Object]]] = {
    'ball': (.09, _ball),
    'can': (.1, _can),
    'bottle': (.11, _bottle),
    'glass': (.08, _glass),
    'cup': (.08, _cup),
    'box': (.1, _box),
    'phone': (.1, _phone),
    'stick': (.08, _stick),
    'hammer': (.03, _hammer),
    'knife': (.03, _knife),
    'pen': (.07, _pen),
    'small': (.06, _small),
    'plate': (.03, _plate),
    'card': (.04, _card),
}
"""What is held: probability and how to draw one."""


def draw_name(rng: np.random.Generator) -> str:
    """Draw a kind of object."""
    chances = [chance for chance, _ in OBJECTS.values()]
    return list(OBJECTS)[rng.choice(len(OBJECTS), p=chances)]


def sample_object(rng: np.random.Generator, name: str) -> Object:
    """Draw an object of a kind, with sizes as real ones have.

    Raises:
        ValueError: If there is no such kind.
    """
    if name not in OBJECTS:
        raise ValueError(f'there is no object {name!r}; expected one of '
                         f'{", ".join(OBJECTS)}')
    return OBJECTS[name][1](rng)
