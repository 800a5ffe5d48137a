"""What lies behind the hands.

Environment maps, photographs, plain walls and tables, drawn patterns and
clutter, collages of them, and people; all of it sharp or out of focus.
Colours are RGB from 0 to 255 with the gamma of a screen.
"""
import functools
import os
import warnings
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple, Union

import cv2
import numpy as np

from lgh_mmpose.inference.images import (ImageError, decode_reduced,
                                         image_size, list_pictures, read_bytes)

from .assets import asset_path, foreign_file, read_picture
from .rotations import axis_rotation

PHOTOGRAPHS = ('bowl', 'brushes', 'dandelions', 'dogs', 'gradient', 'meadow',
               'mountains', 'room', 'stream', 'sunset')
"""Photographs that ship with the package; none shows people."""
MAX_PICTURES = 400
"""How many pictures of a user's folder are kept, 0.4 MB each at most."""
PEOPLE = 40
"""Cut-outs of people that ship with the package, without hands."""
PEOPLE_HEIGHT = 256
"""Their height, px."""
HEAD_SHARES = (.62, .34)
"""Height of the head in heights of the cut-out: of those with even numbers
(head and shoulders) and with odd ones (down to the hips)."""
SKIN_TONES = np.array(
    [[255, 224, 200], [243, 202, 168], [228, 180, 140], [205, 150, 108],
     [172, 116, 80], [130, 84, 58], [92, 60, 44]], np.float64)

_PHOTOGRAPH_SIDE = 720  # longer side of the shipped ones
_POOL_SIDE = 384  # longer side of a user's pictures, reduced
_SMALLEST_PICTURE = 32  # shorter side of a usable picture
_TEXTURE_SIDE = 384
_WARMTH = np.array([1, .1, -1])  # rooms are warmer than grey

PathLike = Union[str, Path]


def sample_skin_tone(rng: np.random.Generator) -> np.ndarray:
    """Return a (3,) colour between two neighbours of SKIN_TONES."""
    t = rng.uniform(0, len(SKIN_TONES) - 1)
    i = min(int(t), len(SKIN_TONES) - 2)
    return SKIN_TONES[i] + (t - i) * (SKIN_TONES[i + 1] - SKIN_TONES[i])


# -- pictures ----------------------------------------------------------------


def _pyramid(image: np.ndarray) -> List[np.ndarray]:
    """The picture and its halves, down to 48 px or so."""
    levels = [np.ascontiguousarray(image)]
    while min(levels[-1].shape[:2]) >= 96:
        height, width = levels[-1].shape[:2]
        levels.append(
            cv2.resize(
                levels[-1], (width // 2, height // 2),
                interpolation=cv2.INTER_AREA))
    return levels


def _cut_view(rng: np.random.Generator, levels: Sequence[np.ndarray],
              size: int, smallest: float) -> np.ndarray:
    """Cut a square out of a picture, mirrored and turned at random.

    Args:
        rng: Source of randomness.
        levels: What :func:`_pyramid` gives.
        size: Side of the view, px.
        smallest: Its least share of the picture's shorter side.

    Returns:
        np.ndarray: (size, size, ...) of the picture's type.
    """
    height, width = levels[0].shape[:2]
    side = min(height, width) * np.exp(rng.uniform(np.log(smallest), 0))
    angle = np.clip(rng.normal(0, .12), -.3, .3) if rng.random() < .4 else 0.
    # The turned square lies within the picture.
    side /= abs(np.cos(angle)) + abs(np.sin(angle))
    reach = side * (abs(np.cos(angle)) + abs(np.sin(angle))) / 2
    centre = np.array([
        rng.uniform(reach, max(reach, width - reach)),
        rng.uniform(reach, max(reach, height - reach))
    ])
    level = int(np.clip(np.log2(max(side / size, 1)), 0, len(levels) - 1))
    source = levels[level]
    shrink = np.array([source.shape[1] / width, source.shape[0] / height],
                      np.float64)
    step = side / size
    cos, sin = step * np.cos(angle), step * np.sin(angle)
    if rng.random() < .5:  # mirrored
        turn = np.array([[-cos, -sin], [-sin, cos]])
    else:
        turn = np.array([[cos, -sin], [sin, cos]])
    turns = rng.integers(1, 4) if rng.random() < .3 else 0
    for _ in range(turns):
        turn = turn @ np.array([[0, 1], [-1, 0]])
    offset = centre - turn @ np.full(2, size / 2)
    # from centres of pixels to centres of pixels
    matrix = np.column_stack([turn, offset + turn @ np.full(2, .5)
                              ]) * shrink[:, None]
    matrix[:, 2] -= .5
    return cv2.warpAffine(
        source,
        matrix, (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101)


@functools.lru_cache(maxsize=None)
def _shipped_photographs() -> Tuple[List[np.ndarray], ...]:
    pictures = []
    for name in PHOTOGRAPHS:
        path = asset_path(f'photographs/{name}.jpg')
        picture = read_picture(path, (None, None, 3))
        if max(picture.shape) != _PHOTOGRAPH_SIDE:
            raise foreign_file(
                path, f'its longer side is {max(picture.shape)} '
                f'px, not {_PHOTOGRAPH_SIDE}')
        pictures.append(_pyramid(picture))
    return tuple(pictures)


def load_folder(folder: PathLike,
                max_pictures: int = MAX_PICTURES) -> List[List[np.ndarray]]:
    """Load pictures of a folder and its folders, reduced.

    Which ones of many are kept depends on their names only.

    Args:
        folder: The folder; what no picture is named like is passed over.
        max_pictures: How many are kept.

    Returns:
        list: Of each picture itself, RGB, at most 384 px long, and its
        halves.

    Raises:
        OSError: If the folder cannot be read.
        ValueError: If it has no picture that can be used.
    """
    mend = 'give a folder of photographs without people, such as JPEG files'
    try:
        paths = list_pictures(folder)
    except OSError as error:
        raise type(error)(f'backgrounds: {error}; {mend}') from None
    order = np.random.default_rng(0).permutation(len(paths))
    pictures, faults = [], []
    for at in order:
        if len(pictures) == max_pictures:
            break
        try:
            pictures.append(_pyramid(_read_reduced(paths[at])))
        except (ImageError, OSError) as error:
            reason = getattr(error, 'strerror', None) or str(error)
            name = os.path.relpath(paths[at], folder)
            faults.append(f'{name}: {reason}')
    faults.sort()
    named = '; '.join(faults[:3]) + (' ...' if len(faults) > 3 else '')
    if not pictures:
        found = f'of its {len(faults)} pictures none can be read ({named})' \
            if faults else 'there is no picture in it'
        raise ValueError(f'the folder of backgrounds {folder} cannot be used: '
                         f'{found}; {mend}')
    if faults:
        warnings.warn(
            f'{len(faults)} of the pictures in the folder of backgrounds '
            f'{folder} cannot be read and are left out: {named}',
            stacklevel=2)
    return pictures


def _read_reduced(path: str) -> np.ndarray:
    """Read a picture in RGB, no longer than _POOL_SIDE."""
    content = read_bytes(path)
    width, height = image_size(content)
    if min(height, width) < _SMALLEST_PICTURE:
        raise ImageError(f'it is too small, {width} x {height} px')
    image = decode_reduced(content, max(height, width) / _POOL_SIDE)[0]
    scale = _POOL_SIDE / max(height, width)
    if scale < 1:
        size = max(1, round(scale * width)), max(1, round(scale * height))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return image[..., ::-1]


def _look_into(panorama: np.ndarray, rotation: np.ndarray,
               field_of_view: float, size: int) -> np.ndarray:
    """Perspective view of an equirectangular panorama.

    Args:
        panorama: (H, W, 3); column ``u`` looks along the angle
            ``2 pi u / W`` from z towards x, the first row upwards (-y).
        rotation: (3, 3), from the camera's frame to the panorama's.
        field_of_view: Radians.
        size: Side of the view, px.

    Returns:
        np.ndarray: (size, size, 3) of the panorama's type.
    """
    height, width = panorama.shape[:2]
    across = (np.arange(size, dtype=np.float32) + .5) / size * 2 - 1
    across *= np.float32(np.tan(field_of_view / 2))
    r = rotation.astype(np.float32)
    x, y, z = (
        r[i, 0] * across + (r[i, 1] * across + r[i, 2])[:, None]
        for i in range(3))
    u = cv2.phase(z, x) * np.float32(width / (2 * np.pi))
    # x and y of cv2.phase: from straight up (0) to straight down (pi)
    v = cv2.phase(-y, cv2.magnitude(x, z)) * np.float32(height / np.pi)
    return cv2.remap(
        panorama,
        u - np.float32(.5),
        v - np.float32(.5),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP)


# -- drawn -------------------------------------------------------------------


def _value_noise(rng: np.random.Generator, size: int, cells: Tuple[int, int],
                 octaves: int, gain: float) -> np.ndarray:
    """Octaves of smooth noise, (size, size) float32."""
    noise = np.zeros((size, size), np.float32)
    rows, columns = cells
    for octave in range(octaves):
        grid = rng.random((rows, columns), np.float32) - .5
        noise += np.float32(gain**octave) * cv2.resize(
            grid, (size, size), interpolation=cv2.INTER_CUBIC)
        rows, columns = min(2 * rows, size), min(2 * columns, size)
    return noise


@functools.lru_cache(maxsize=None)
def _textures() -> Tuple[List[np.ndarray], ...]:
    """Grey pictures of matter: clouds, plaster, cloth, wood, tiles, carpet.

    Returns:
        tuple: Pyramids of (384, 384) uint8, full contrast.
    """
    rng = np.random.default_rng(0)
    size = _TEXTURE_SIDE
    y, x = np.mgrid[:size, :size].astype(np.float32) / size
    pictures = []
    for cells in (2, 3, 5, 8, 16, 40):  # clouds to sand
        pictures.append(_value_noise(rng, size, (cells, cells), 5, .55))
    for cells in (3, 6):  # marble, crumpled cloth
        noise = _value_noise(rng, size, (cells, cells), 5, .6)
        pictures.append(np.abs(noise))
    for _ in range(2):  # folds
        noise = _value_noise(rng, size, (2, 6), 3, .4)
        pictures.append(np.sin(14 * noise + 5 * x))
    for rows, columns in ((3, 30), (2, 60)):  # wood
        grain = _value_noise(rng, size, (rows, columns), 3, .8)
        boards = rng.uniform(-1, 1, 6)[(6 * x * .999).astype(int)]
        pictures.append(np.sin(9 * grain) + .4 * grain + .5 * boards)
    rings = np.hypot(x - .5, .2 * y - .4)
    pictures.append(
        np.sin(90 * rings + 3 * _value_noise(rng, size, (3, 3), 3, .5)))
    fine = rng.standard_normal((size, size)).astype(np.float32)
    for sigma in ((.8, .8), (3., .6), (1.5, 1.5)):  # carpet, brushed, felt
        pictures.append(
            cv2.GaussianBlur(fine, (0, 0), sigma[0], sigmaY=sigma[1]))
    for count in (24, 60):  # weave
        weave = np.sin(2 * np.pi * count * x) * np.sin(2 * np.pi * count * y)
        pictures.append(weave + .6 * _value_noise(rng, size, (60, 60), 2, .5))
    for rows, columns in ((5, 5), (14, 5), (8, 16)):  # tiles, bricks, shelves
        row = rows * y
        column = columns * x + .5 * (row.astype(int) % 2) * (rows != columns)
        joint = np.maximum(
            np.abs(row % 1 - .5) / columns,
            np.abs(column % 1 - .5) / rows)
        tone = rng.uniform(-1, 1, (rows, columns + 1))
        picture = tone[row.astype(int), column.astype(int)] - 1.5 * (
            joint > .5 / max(rows, columns) * .9)
        pictures.append(
            cv2.GaussianBlur(picture.astype(np.float32), (0, 0), .8) +
            .3 * _value_noise(rng, size, (20, 20), 3, .6))
    for count in (6, 18):  # stripes of uneven width, checks
        stripes = rng.choice([-1., 0, 1], size=3 * count)
        pictures.append(stripes[(3 * count * x * .999).astype(int)] +
                        .05 * fine)
        pictures.append(stripes[(3 * count * x * .999).astype(int)] +
                        stripes[(3 * count * y * .999).astype(int)])
    leaves = np.zeros((size, size), np.float32)
    for _ in range(500):  # leaves, petals
        centre = rng.integers(0, size, 2).tolist()
        axes = (int(rng.integers(6, 28)), int(rng.integers(3, 10)))
        cv2.ellipse(leaves, centre, axes, rng.uniform(0, 180), 0, 360,
                    rng.uniform(-1, 1), -1, cv2.LINE_AA)
    pictures.append(leaves)
    return tuple(map(_pyramid, map(_full_contrast, pictures)))


def _full_contrast(picture: np.ndarray) -> np.ndarray:
    low, high = np.percentile(picture, (1, 99))
    return np.rint(255 * np.clip(
        (picture - low) / (high - low), 0, 1)).astype(np.uint8)


def _sample_texture(rng: np.random.Generator, size: int) -> np.ndarray:
    """A view of a random texture, (size, size, 1) float32 in 0..1."""
    textures = _textures()
    levels = textures[rng.integers(len(textures))]
    view = _cut_view(rng, levels, size, .15)
    return view.astype(np.float32)[..., None] / 255


def _sample_color(rng: np.random.Generator) -> np.ndarray:
    """A (3,) float32 colour: of walls, of skin, or any."""
    kind = rng.random()
    if kind < .5:  # nearly grey
        color = rng.uniform(15, 250) * (1 + rng.normal(.04, .06) * _WARMTH)
    elif kind < .65:
        color = sample_skin_tone(rng) * rng.uniform(.7, 1.1)
    else:
        color = rng.uniform(0, 255, 3)
    return np.clip(color, 0, 255).astype(np.float32)


def _sample_wall_color(rng: np.random.Generator) -> np.ndarray:
    kind = rng.random()
    if kind < .65:  # white to grey, warm or cold
        color = rng.uniform(120, 250) * (1 + rng.normal(.05, .06) * _WARMTH)
    elif kind < .75:  # dark
        color = rng.uniform(3, 60) * (1 + rng.normal(0, .1, 3))
    else:
        return _sample_color(rng)
    return np.clip(color, 0, 255).astype(np.float32)


def _falloff(rng: np.random.Generator, size: int) -> np.ndarray:
    """Light on a wall: a lamp's falloff and soft shadows, (size, size, 1)."""
    small = 32  # everything is smooth
    y, x = np.ogrid[-1:1:small * 1j, -1:1:small * 1j]
    centre = rng.normal(0, 1, 2)
    reach = rng.uniform(1, 3)
    light = 1 / (1 + ((x - centre[0])**2 +
                      (y - centre[1])**2) / reach**2)**rng.uniform(.1, .9)
    light = light / light.max()
    for _ in range(rng.integers(0, 3)):
        shadow = np.zeros((small, small), np.float32)
        middle = rng.integers(0, small, 2).tolist()
        if rng.random() < .5:
            axes = rng.integers(3, small, 2).tolist()
            cv2.ellipse(shadow, middle, axes, rng.uniform(0, 180), 0, 360, 1,
                        -1)
        else:
            corners = rng.integers(-small // 2, small + small // 2, (4, 2))
            cv2.fillPoly(shadow, [corners.astype(np.int32)], 1)
        shadow = cv2.GaussianBlur(shadow, (0, 0), rng.uniform(.6, 5))
        light = light * (1 - rng.uniform(.05, .5) * shadow)
    light = cv2.resize(
        light.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    return light[..., None]


def _half_plane(rng: np.random.Generator, size: int,
                softness: float) -> np.ndarray:
    """Coverage of one side of a line through the picture, (size, size, 1)."""
    angle = rng.choice(4) * np.pi / 2 + rng.normal(0, .15)
    x, y = np.cos(angle), np.sin(angle)
    across = (np.arange(size, dtype=np.float32) + .5) / size * 2 - 1
    distance = np.float32(x) * across + np.float32(y) * across[:, None]
    distance -= np.float32(rng.uniform(-.8, .8))
    return np.clip(distance * np.float32(size / 2 / softness) + .5, 0, 1)[...,
                                                                          None]


def _soft_edges(shape: Sequence[int], width: float) -> np.ndarray:
    """(H, W, 1) coverage by a rectangle whose edges are some pixels wide."""
    y, x = (
        np.minimum(np.arange(n),
                   np.arange(n)[::-1]) + np.float32(.5) for n in shape[:2])
    edge = np.minimum(y[:, None], x)
    return np.clip(edge / np.float32(max(width, .5)), 0, 1)[..., None]


def _draw_wall(rng: np.random.Generator, size: int) -> np.ndarray:
    """A plain wall or table top, lit unevenly."""
    wall = np.empty((size, size, 3), np.float32)
    wall[:] = _sample_wall_color(rng)
    if rng.random() < .6:
        relief = rng.uniform(0, .12) * (_sample_texture(rng, size) - .5)
        wall *= 1 + relief.astype(np.float32)
    if rng.random() < .3:  # a corner, a door, the edge of a table
        other = np.empty((size, size, 3), np.float32)
        other[:] = _sample_wall_color(
            rng) if rng.random() < .5 else wall[0, 0] * rng.uniform(.5, 1.2)
        if rng.random() < .4:
            other *= .5 + _sample_texture(rng, size) * rng.uniform(.2, .6)
        side = _half_plane(rng, size, rng.uniform(.5, 3))
        wall += side * (other - wall)
    wall *= _falloff(rng, size)
    return wall


def _draw_pattern(rng: np.random.Generator, size: int) -> np.ndarray:
    """Textures in up to three colours, lit unevenly at times."""
    first, second, third = (_sample_color(rng) for _ in range(3))
    contrast = rng.uniform(.2, 1)
    t = _sample_texture(rng, size) * np.float32(contrast)
    picture = first + t * (second - first)
    if rng.random() < .5:
        mask = _sample_texture(rng, size)
        mask = np.clip((mask - np.float32(rng.uniform(.3, .8))) *
                       np.float32(rng.uniform(1, 12)), 0, 1)
        picture += mask * (third - picture)
    if rng.random() < .5:
        picture *= .55 + .9 * np.float32(rng.uniform(.2, 1)) * _sample_texture(
            rng, size)
    if rng.random() < .4:
        picture *= _falloff(rng, size)
    return picture


def _add_clutter(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Draw up to 12 shapes, finger-like strokes and words."""
    size = picture.shape[0]
    # OpenCV smooths edges in bytes only
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    unit = size * 16  # of cv2's points, in sixteenths of a pixel
    for _ in range(rng.integers(1, 13)):
        skin_coloured = rng.random() < .35
        color = sample_skin_tone(rng) * rng.uniform(
            .5, 1.1) if skin_coloured else _sample_color(rng)
        color = np.clip(color, 0, 255).tolist()
        centre = (rng.random(2) * unit).astype(int)
        kind = rng.random()
        if kind < .25:
            axes = (rng.uniform(.015, .25, 2) * unit).astype(int).tolist()
            cv2.ellipse(picture, centre.tolist(), axes, rng.uniform(0, 180), 0,
                        360, color, -1, cv2.LINE_AA, 4)
        elif kind < .45:
            corners = centre + (rng.uniform(-.3, .3, (rng.integers(3, 6), 2)) *
                                unit).astype(int)
            cv2.fillPoly(picture, [corners.astype(np.int32)], color,
                         cv2.LINE_AA, 4)
        elif kind < .6:  # a box with a shaded side
            sides = rng.uniform(.05, .5, 2) * size
            box = cv2.boxPoints(
                ((centre / 16).tolist(), sides.tolist(), rng.uniform(-20, 20)))
            cv2.fillPoly(picture, [np.rint(box * 16).astype(np.int32)], color,
                         cv2.LINE_AA, 4)
            cv2.line(picture, *(np.rint(box[:2] * 16).astype(int).tolist()),
                     [.7 * c for c in color],
                     int(rng.integers(1, max(2, size // 20))), cv2.LINE_AA, 4)
        elif kind < .85:  # sticks and fingers, rounded by a lighter middle
            end = centre + (rng.uniform(-.5, .5, 2) * unit).astype(int)
            width = int(rng.integers(1, max(2, size // 11)))
            for share, gain in ((1., 1.), (.6, 1.08), (.25, 1.14)):
                cv2.line(picture, centre.tolist(), end.tolist(),
                         [min(255, gain * c) for c in color],
                         max(1, int(share * width)), cv2.LINE_AA, 4)
        else:
            words = ''.join(
                map(chr, rng.integers(65, 123, rng.integers(3, 9))))
            cv2.putText(picture, words, (centre // 16).tolist(),
                        int(rng.integers(0, 5)),
                        rng.uniform(.4, 2.5) * size / 224, color,
                        int(rng.integers(1, 4)), cv2.LINE_AA)
    return picture.astype(np.float32)


# -- people ------------------------------------------------------------------


class _Person(NamedTuple):
    """A cut-out of 256 px height and its halves.

    Attributes:
        levels: Of each (H, W, 4) uint8, RGB times coverage, and coverage; the
            clothes are white and shaded.
        clothes: Of each (H, W) uint8, coverage by clothes.
        head: Height of the head, in heights of the cut-out.
    """
    levels: List[np.ndarray]
    clothes: List[np.ndarray]
    head: float


@functools.lru_cache(maxsize=None)
def _people() -> Tuple[_Person, ...]:
    people = []
    for index in range(PEOPLE):
        image = read_picture(
            asset_path(f'people/{index:02d}.webp'),
            (2 * PEOPLE_HEIGHT, None, 4))
        # below the picture lies the mask of its clothes
        colors = image[:PEOPLE_HEIGHT].astype(np.float32)
        colors[..., :3] *= colors[..., 3:] / 255
        people.append(
            _Person(
                _pyramid(np.rint(colors).astype(np.uint8))[:3],
                _pyramid(image[PEOPLE_HEIGHT:, :, 1])[:3],
                HEAD_SHARES[index % 2]))
    return tuple(people)


def sample_person(rng: np.random.Generator,
                  size: int) -> Tuple[np.ndarray, np.ndarray]:
    """Draw a person without visible hands.

    The lower edge, where the body is cut off, lies outside.

    Args:
        rng: Source of randomness.
        size: Side of the picture, px.

    Returns:
        tuple: Colours times coverage, (size, size, 3), and coverage,
        (size, size, 1), float32.
    """
    people = _people()
    person = people[rng.integers(len(people))]
    head = np.exp(rng.uniform(np.log(.3), np.log(1.3)))  # a hand has .7
    height = size * head / person.head
    angle = np.clip(rng.normal(0, .08), -.2, .2)
    # where the upper edge lies while the tilted lower one stays outside
    aspect = person.clothes[0].shape[1] / PEOPLE_HEIGHT
    highest = size - height * (np.cos(angle) - aspect / 2 * abs(np.sin(angle)))
    top = rng.uniform(highest, max(highest, .6 * size))
    middle = rng.uniform(-.1, 1.1) * size
    scale = height / PEOPLE_HEIGHT
    level = min(int(max(0, -np.log2(scale))), len(person.levels) - 1)
    colors, clothes = person.levels[level], person.clothes[level]
    step = height / colors.shape[0]
    cos, sin = step * np.cos(angle), step * np.sin(angle)
    if rng.random() < .5:
        turn = np.array([[-cos, -sin], [-sin, cos]])
    else:
        turn = np.array([[cos, -sin], [sin, cos]])
    # the point that lies at the middle of the upper edge
    matrix = np.column_stack(
        [turn, [middle, top] - turn @ [colors.shape[1] / 2 - .5, 0]])
    colors = cv2.warpAffine(colors, matrix, (size, size)).astype(np.float32)
    clothes = cv2.warpAffine(clothes, matrix,
                             (size, size)).astype(np.float32)[..., None] / 255
    coverage = colors[..., 3:] / 255

    tint = _sample_color(rng) / 255
    if rng.random() < .35:
        pattern = _sample_texture(rng, size)
        other = _sample_color(rng) / 255
        tint = tint + pattern * (other - tint)
    gain = np.exp(rng.normal(0, .2) + rng.normal(0, .05, 3))
    across = np.linspace(-1, 1, size, dtype=np.float32)[:, None]
    light = (1 + np.float32(rng.uniform(-.35, .35)) * across)
    skin = gain.astype(np.float32)
    return colors[..., :3] * light * (skin + clothes * (tint - skin)), coverage


# -- all of them -------------------------------------------------------------


class Backgrounds:
    """Random backgrounds.

    Args:
        folder: Folder of photographs without people, to be used in place of
            those that ship with the package.
        photographs: Whether to use photographs, environment maps and people;
            otherwise all is drawn: plain walls, patterns, clutter.
        panoramas: Environment maps as a camera shows them, each (H, W, 3)
            uint8, equirectangular as those of
            :func:`lgh_mmpose.rendering.lighting.load_environments`.
        max_pictures: How many pictures of the folder are kept in memory.

    Attributes:
        people: Whether there are people.

    Raises:
        OSError: If the folder cannot be read, or a file that ships with the
            package is missing.
        ValueError: If the folder has no picture that can be used, or a file
            that ships with the package is damaged.
    """

    def __init__(self,
                 folder: Optional[PathLike] = None,
                 photographs: bool = True,
                 panoramas: Sequence[np.ndarray] = (),
                 max_pictures: int = MAX_PICTURES):
        self._panoramas = panoramas if photographs else ()
        self.people = photographs
        self._pictures: Sequence[List[np.ndarray]] = ()
        if photographs:
            _people()
            self._pictures = _shipped_photographs() if folder is None else \
                load_folder(folder, max_pictures)
        shares = {
            'panorama': .25 * bool(len(self._panoramas)),
            'photograph': photographs * (.22 if folder is None else .5),
            'wall': .22,
            'pattern': .12
        }
        self._kinds = tuple(shares)
        self._bounds = np.cumsum(list(shares.values()))

    def sample(self,
               rng: np.random.Generator,
               size: int,
               panorama: Optional[int] = None,
               rotation: Optional[np.ndarray] = None,
               people: bool = True) -> np.ndarray:
        """Draw a background.

        Args:
            rng: Source of randomness.
            size: Its side, px.
            panorama: Index of the environment map that lights the scene, to
                be seen where a map lies behind. Default: a random one.
            rotation: (3, 3), from the camera's frame to the map's. Default: a
                random one.
            people: Whether there may be people.

        Returns:
            np.ndarray: (size, size, 3) float32.
        """
        view = panorama, rotation
        if rng.random() < .18:
            picture = self._draw_collage(rng, size, view)
        else:
            picture = self._draw_any(rng, size, view)
        if rng.random() < .12:
            picture = _add_clutter(rng, picture)
        if self.people and people and rng.random() < .15:
            colors, coverage = sample_person(rng, size)
            if rng.random() < .4:
                picture = _defocus(rng, picture)
            picture = picture * (1 - coverage) + colors
        if rng.random() < .2:
            picture = _defocus(rng, picture)
        if rng.random() < .1:
            picture = np.rot90(picture, rng.integers(1, 4))
        return np.ascontiguousarray(np.clip(picture, 0, 255))

    def _draw_any(self, rng: np.random.Generator, size: int,
                  view: tuple) -> np.ndarray:
        at = rng.random() * self._bounds[-1]
        kind = self._kinds[np.searchsorted(self._bounds, at, side='right')]
        if kind == 'panorama':
            return self._draw_panorama(rng, size, *view)
        if kind == 'photograph':
            return self._draw_photograph(rng, size)
        return _draw_wall(rng, size) if kind == 'wall' else _draw_pattern(
            rng, size)

    def _draw_panorama(self, rng: np.random.Generator, size: int,
                       index: Optional[int],
                       rotation: Optional[np.ndarray]) -> np.ndarray:
        if index is None:
            index = int(rng.integers(len(self._panoramas)))
        if rotation is None:
            rotation = _sample_rotation(rng)
        picture = _look_into(self._panoramas[index], rotation,
                             rng.uniform(.7, 1.9), size)
        return _vary_colors(rng, picture)

    def _draw_photograph(self, rng: np.random.Generator,
                         size: int) -> np.ndarray:
        levels = self._pictures[rng.integers(len(self._pictures))]
        return _vary_colors(rng, _cut_view(rng, levels, size, .2))

    def _draw_collage(self, rng: np.random.Generator, size: int,
                      view: tuple) -> np.ndarray:
        """Backgrounds beside and upon each other, as the things of a room."""
        picture = np.array(self._draw_any(rng, size, view))
        if rng.random() < .4:
            second = self._draw_any(rng, size, view)
            picture += _half_plane(rng, size, rng.uniform(.5, 2)) * (
                second - picture)
        soft = np.exp(rng.uniform(np.log(.004), np.log(.03)))
        for _ in range(rng.integers(0, 4)):
            width, height = np.exp(rng.uniform(np.log(.1), np.log(.7),
                                               2)) * size
            x, y = (rng.random(2) * size - [width / 2, height / 2]).astype(int)
            right, bottom = x + int(width) + 1, y + int(height) + 1
            piece = self._draw_any(rng, int(max(width, height)) + 1, view)
            x, y = max(x, 0), max(y, 0)
            place = picture[y:bottom, x:right]
            piece = piece[:place.shape[0], :place.shape[1]]
            place += _soft_edges(place.shape, size * soft) * (piece - place)
        if rng.random() < .5:
            middle = (size - 1) / 2
            turn = cv2.getRotationMatrix2D((middle, middle), rng.normal(0, 9),
                                           rng.uniform(1.1, 1.4))
            picture = cv2.warpAffine(
                picture, turn, (size, size), borderMode=cv2.BORDER_REFLECT_101)
        return picture


def _sample_rotation(rng: np.random.Generator) -> np.ndarray:
    """A camera that looks anywhere, mostly at the horizon and upright."""
    pitch, roll = np.degrees(rng.normal(0, (.4, .15)))
    return axis_rotation(1, rng.uniform(0, 360)) @ axis_rotation(
        0, pitch) @ axis_rotation(2, roll)


def _vary_colors(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Vary brightness, contrast, saturation and tint; float32."""
    contrast = np.exp(rng.normal(-.05, .2))
    saturation = rng.uniform(.5, 1.25)
    gains = np.exp(
        rng.normal(.05, .25) + rng.normal(.04, .06) * _WARMTH +
        rng.normal(0, .03, 3))
    luma = np.array([.299, .587, .114])
    matrix = contrast * (saturation * np.eye(3) +
                         (1 - saturation) * luma) * gains[:, None]
    offset = (1 - contrast) * 110 * gains[:, None]
    return cv2.transform(
        picture.astype(np.float32),
        np.column_stack([matrix, offset]).astype(np.float32))


def _defocus(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Blur a picture that lies behind the plane in focus."""
    size = picture.shape[0]
    sigma = np.exp(rng.uniform(np.log(.004), np.log(.05))) * size
    if sigma < 2:
        return cv2.GaussianBlur(picture, (0, 0), sigma)
    small = cv2.resize(
        picture, (size // 2, size // 2), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / 2)
    return cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)


def cast_shadow(rng: np.random.Generator,
                picture: np.ndarray,
                hand: np.ndarray,
                key_direction: Optional[np.ndarray] = None) -> np.ndarray:
    """Let the shadow of a hand fall on a wall behind it.

    Args:
        rng: Source of randomness.
        picture: (S, S, 3) float32 background, left as it is.
        hand: (S, S) float32 coverage by the hand and what it holds.
        key_direction: (3,) unit vector towards the light, in the camera
            frame. Default: a random one.

    Returns:
        np.ndarray: (S, S, 3) float32.
    """
    size = picture.shape[0]
    if key_direction is None:
        key_direction = rng.normal(size=3)
    x, y, z = key_direction
    distance = np.exp(rng.uniform(np.log(.05), np.log(.5)))  # to the wall
    # light from behind the wall throws a shadow as if it grazed the wall
    shift = -distance * np.array([x, y]) / max(-z, .4)
    shift = size * np.clip(shift, -.35, .35)
    small = max(8, size // 2)
    scale = small / size
    zoom = scale * rng.uniform(.95, 1.25)
    middle = (size - 1) / 2
    matrix = np.array([[zoom, 0, (small - 1) / 2 - zoom * middle],
                       [0, zoom, (small - 1) / 2 - zoom * middle]])
    matrix[:, 2] += scale * shift
    shadow = cv2.warpAffine(hand, matrix, (small, small))
    blur = size * scale * (.006 + distance * rng.uniform(.04, .3))
    shadow = cv2.GaussianBlur(shadow, (0, 0), blur)
    shadow = cv2.resize(shadow, (size, size), interpolation=cv2.INTER_LINEAR)
    return picture * (1 - np.float32(rng.uniform(.1, .55)) * shadow)[..., None]
