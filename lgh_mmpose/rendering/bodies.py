"""Whole people without arms, to be lit anew and to get arms of their own."""
import functools
import json
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from .assets import asset_path, foreign_file, read_picture
from .lighting import Light
from .numba_utils import cached_njit
from .shading import to_srgb

HEIGHTS = {'half': 320, 'full': 448}
"""Heights in px of the pictures: from the head to the hips, or to the feet."""

_POINTS = ('neck', 'head', 'left_shoulder', 'right_shoulder', 'hips')
_CLOTH = .8  # albedo of white cloth in the pictures
_TILE = 90.  # mm of a repeat of cloth
_GAINS = .35, 2.5  # of the colour of the skin


class Cutout(NamedTuple):
    """Picture of a body, and its halves.

    Attributes:
        colors: Of each (H, W, 4) uint8, colours without light times
            coverage, and coverage.
        shape: Of each (H, W, 3) uint8: x and y of the normal, and how open a
            place is to light from around.
        covers: Of each (H, W, 3) uint8: upper garment, trousers, bare skin.
        mm_per_px: Of the first, in the plane of the neck.
        points: Places of :data:`_POINTS`, (3,) each: px of the first,
            and mm behind the neck.
    """
    colors: List[np.ndarray]
    shape: List[np.ndarray]
    covers: List[np.ndarray]
    mm_per_px: float
    points: Dict[str, np.ndarray]


class Body(NamedTuple):
    """A person without arms.

    Attributes:
        male: Whether it is a man.
        tone: (3,) mean linear albedo of the skin.
        upper_arm: Length in mm from shoulder to elbow.
        arm_radius: mm, at the shoulder.
        bare: Whether the chest is bare.
        cutouts: By the names of :data:`HEIGHTS`.
    """
    male: bool
    tone: np.ndarray
    upper_arm: float
    arm_radius: float
    bare: bool
    cutouts: Dict[str, Cutout]


class Outfit(NamedTuple):
    """Colours of a person.

    Attributes:
        top: (N, N, 3) float32, linear, cloth that is repeated.
        relief: (N, N) float32 of it, mm.
        trousers: (3,) linear.
        skin: (3,) mean linear albedo of the skin.
    """
    top: np.ndarray
    relief: np.ndarray
    trousers: np.ndarray
    skin: np.ndarray


@functools.lru_cache(maxsize=None)
def load_bodies() -> Tuple[Body, ...]:
    """Load the bodies that ship with the package.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged.
    """
    path = asset_path('bodies/bodies.json')
    try:
        told = list(map(_check, json.loads(path.read_text())))
    except (KeyError, TypeError, ValueError) as error:
        raise foreign_file(path, repr(error)) from error
    return tuple(_load(index, about) for index, about in enumerate(told))


def _check(about: dict) -> dict:
    """What ``bodies.json`` tells of a body, in arrays of the right form."""

    def numbers(value: Any, shape: Tuple[int, ...]) -> np.ndarray:
        array = np.array(value, np.float64)
        if array.shape != shape or not np.isfinite(array).all():
            raise ValueError(f'{value!r} stands for {shape or "a"} numbers')
        return array

    return {
        'male': bool(about['male']),
        'tone': numbers(about['tone'], (3, )),
        **{
            name: float(numbers(about[name], ()))
            for name in ('upper_arm', 'arm_radius')
        },
        **{
            kind: {
                'mm_per_px': float(numbers(about[kind]['mm_per_px'], ())),
                'points': {
                    name: numbers(about[kind][name], (3, ))
                    for name in _POINTS
                }
            }
            for kind in HEIGHTS
        }
    }


def _load(index: int, about: dict) -> Body:
    cutouts = {
        kind:
        _load_cutout(f'bodies/{index:02d}_{kind}.webp', height, **about[kind])
        for kind, height in HEIGHTS.items()
    }
    covers = cutouts['half'].covers[0]
    chest = covers[covers.shape[0] // 2:covers.shape[0] * 3 // 4]
    return Body(about['male'], about['tone'], about['upper_arm'],
                about['arm_radius'],
                bool(chest[..., 2].mean() > chest[..., 0].mean()), cutouts)


def _load_cutout(name: str, height: int, mm_per_px: float,
                 points: Dict[str, np.ndarray]) -> Cutout:
    image = read_picture(asset_path(name), (3 * height, None, 4))
    colors, shape, covers = np.split(image, 3)
    colors = colors.astype(np.float32)
    colors[..., :3] *= colors[..., 3:] / 255

    def halve(picture: np.ndarray) -> List[np.ndarray]:
        levels = [np.ascontiguousarray(picture)]
        while levels[-1].shape[0] > 40:
            rows, columns = levels[-1].shape[:2]
            levels.append(
                cv2.resize(
                    levels[-1], (max(columns // 2, 1), rows // 2),
                    interpolation=cv2.INTER_AREA))
        return levels

    return Cutout(
        halve(np.rint(colors).astype(np.uint8)), halve(shape[..., :3]),
        halve(covers[..., :3]), mm_per_px, points)


class Placed(NamedTuple):
    """A body before the camera.

    Attributes:
        body: The body.
        neck: (3,) mm in the camera frame.
        mirrored: Whether left and right are exchanged.
        roll: Radians, how far it leans to the right in the picture.
    """
    body: Body
    neck: np.ndarray
    mirrored: bool
    roll: float

    def points(self) -> Dict[str, np.ndarray]:
        """Neck, head, shoulders and hips, (3,) mm in the camera frame."""
        cutout = self.body.cutouts['full']
        neck = cutout.points['neck']
        cos, sin = np.cos(self.roll), np.sin(self.roll)
        found = {}
        for name, (u, v, behind) in cutout.points.items():
            x, y = cutout.mm_per_px * (np.array([u, v]) - neck[:2])
            if self.mirrored:
                x = -x
                name = {
                    'left_shoulder': 'right_shoulder',
                    'right_shoulder': 'left_shoulder'
                }.get(name, name)
            # the picture is flat: what is farther would look smaller
            x, y = cos * x - sin * y, sin * x + cos * y
            depth = self.neck[2] + behind
            found[name] = np.array(
                [*(self.neck[:2] + [x, y]) * depth / self.neck[2], depth])
        return found

    def draw(
            self, camera_matrix: np.ndarray, size: int, light: Light,
            outfit: Outfit
    ) -> Optional[Tuple[int, int, np.ndarray, np.ndarray]]:
        """Draw the body.

        Args:
            camera_matrix: (3, 3).
            size: Side of the picture, px.
            light: The light.
            outfit: The colours.

        Returns:
            tuple: Left, top, (H, W, 3) float32 colours from 0 to 255 and
            (H, W) float32 coverage; None if all lies outside.
        """
        focal, centre = camera_matrix[0, 0], camera_matrix[:2, 2]
        place = focal * self.neck[:2] / self.neck[2] + centre
        for kind in ('half', 'full'):
            cutout = self.body.cutouts[kind]
            step = cutout.mm_per_px * focal / self.neck[2]
            cos, sin = step * np.cos(self.roll), step * np.sin(self.roll)
            turn = np.array([[cos, -sin], [sin, cos]])
            if self.mirrored:
                turn[:, 0] *= -1
            neck = cutout.points['neck'][:2]
            height, width = cutout.colors[0].shape[:2]
            corners = np.array([[0, 0], [width, 0], [0, height],
                                [width, height]]) - .5 - neck
            corners = corners @ turn.T + place
            if corners[2:, 1].min() > size:
                break  # the hips lie below the picture
        low = np.clip(np.floor(corners.min(axis=0)), 0, size).astype(int)
        high = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, size).astype(int)
        if (high <= low).any():
            return None
        level = int(
            np.clip(np.log2(max(1 / step, 1)), 0,
                    len(cutout.colors) - 1))
        colors = cutout.colors[level]
        shrink = np.array([width, height]) / colors.shape[1::-1]
        offset = place - turn @ (neck + .5) - low
        # from centres of pixels to centres of pixels
        matrix = np.column_stack(
            [turn * shrink, offset + turn @ (shrink * .5)])
        window = tuple((high - low).tolist())
        colors, shape, covers = (
            cv2.warpAffine(levels[level], matrix, window)
            for levels in cutout[:3])
        gain = np.clip(outfit.skin / self.body.tone, *_GAINS)
        pixel = self.neck[2] / focal
        top = outfit.top
        if pixel > _TILE / 24:
            top = np.ascontiguousarray(top.mean(axis=(0, 1), keepdims=True))
        out = np.zeros(colors.shape[:2] + (3, ), np.float32)
        _shade(colors, shape, covers, top,
               pixel * len(top) / _TILE, outfit.trousers / _CLOTH, gain,
               self.mirrored, self.roll, light.sh, light.key_direction,
               light.key_color, out)
        return (*low.tolist(), to_srgb(out),
                colors[..., 3].astype(np.float32) / 255)


@cached_njit
def _shade(colors, shape, covers, top, texels, trousers, gain, mirrored, roll,
           sh, key, key_color, out):
    height, width = out.shape[:2]
    side = len(top)
    cos, sin = np.cos(roll), np.sin(roll)
    linear = (np.arange(256) / 255.)**2.2
    for y in range(height):
        for x in range(width):
            alpha = colors[y, x, 3] / 255.
            if alpha < .004:
                continue
            nx = shape[y, x, 0] / 127.5 - 1
            ny = shape[y, x, 1] / 127.5 - 1
            if mirrored:
                nx = -nx
            nx, ny = cos * nx - sin * ny, sin * nx + cos * ny
            flat = nx * nx + ny * ny
            nz = -np.sqrt(max(1 - flat, .02))
            norm = np.sqrt(flat + nz * nz)
            nx, ny, nz = nx / norm, ny / norm, nz / norm
            openness = shape[y, x, 2] / 255.
            toward = nx * key[0] + ny * key[1] + nz * key[2]
            direct = max((toward + .1) / 1.21, 0.) * (.4 + .6 * openness)
            worn = min(covers[y, x, 0] / 255. / alpha, 1.)
            below = min(covers[y, x, 1] / 255. / alpha, 1.)
            bare = min(covers[y, x, 2] / 255. / alpha, 1.)
            # hair, eyes and shoes; at seams the three may fall short of 1
            rest = max(1 - 2 * (worn + below + bare), 0.)
            total = worn + below + bare + rest
            v, u = int(y * texels) % side, int(x * texels) % side
            for c in range(3):
                albedo = linear[min(int(colors[y, x, c] / alpha), 255)]
                albedo *= (worn * top[v, u, c] / _CLOTH + below * trousers[c] +
                           bare * gain[c] + rest) / total
                ambient = max(
                    sh[0, c] + sh[1, c] * ny + sh[2, c] * nz + sh[3, c] * nx +
                    sh[4, c] * nx * ny + sh[5, c] * ny * nz + sh[6, c] *
                    (3 * nz * nz - 1) + sh[7, c] * nx * nz + sh[8, c] *
                    (nx * nx - ny * ny), .04 * sh[0, c])
                out[y, x, c] = albedo * (
                    ambient * openness + direct * key_color[c])
