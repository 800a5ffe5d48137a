"""Light from environment maps: spherical harmonics and a key light.

Directions are in a frame with x right, y down and z forward. The panoramas
are equirectangular: the middle row is the horizon, column ``u`` looks along
the angle ``2 pi u / W`` from z towards x.
"""
from functools import lru_cache
from typing import NamedTuple, Optional, Sequence

import numpy as np

from .assets import asset_path, load_arrays, read_picture
from .rotations import axis_rotation

REFLECTION_SIZE = (64, 32)
"""Width and height of the maps that shiny surfaces mirror."""
PANORAMA_SHAPE = (256, 512, 3)
"""Height, width and channels of the maps as a camera shows them."""

_LIGHTS = {
    'names': ('i', ('maps', 'letters')),
    'sh': ('f', ('maps', 9, 3)),
    'key_direction': ('f', ('maps', 3)),
    'key_color': ('f', ('maps', 3)),
    'reflection': ('f', ('maps', *REFLECTION_SIZE[::-1], 3)),
}


class Environment(NamedTuple):
    """The surroundings of a hand.

    Attributes:
        name: Name of the environment map.
        sh: (9, 3) float64, light from all sides without the key light: a
            white matt surface with unit normal n returns
            ``sh_basis(n) @ sh``. Its mean over all n is 1.
        key_direction: (3,) unit vector towards the brightest lamp, sun or
            window.
        key_color: (3,) float64, what a white matt surface that faces it
            returns of its light, 0 where no part of the map stands out.
        reflection: (32, 64, 3) float32, the map in the units of ``sh``.
        panorama: (256, 512, 3) uint8, sRGB, the map as a camera shows it.
    """
    name: str
    sh: np.ndarray
    key_direction: np.ndarray
    key_color: np.ndarray
    reflection: np.ndarray
    panorama: np.ndarray


class Light(NamedTuple):
    """What lights a scene, in the camera frame.

    Attributes:
        sh: (9, 3) float64, as in :class:`Environment`.
        key_direction: (3,) unit vector towards the key light.
        key_color: (3,) float64, may be 0.
        key_softness: Tangent of the key light's angular radius: 0 throws hard
            shadows.
        reflection: (32, 64, 3) float32.
        rotation: (3, 3), from the camera frame to that of ``reflection`` and
            of the environment's panorama.
        environment: Index of the environment, None for plain light.
    """
    sh: np.ndarray
    key_direction: np.ndarray
    key_color: np.ndarray
    key_softness: float
    reflection: np.ndarray
    rotation: np.ndarray
    environment: Optional[int]


def sh_basis(directions: np.ndarray) -> np.ndarray:
    """Return the (..., 9) polynomials of (..., 3) unit vectors.

    They span the spherical harmonics up to the second order.
    """
    x, y, z = np.moveaxis(np.asarray(directions, np.float64), -1, 0)
    return np.stack([
        np.ones_like(x), y, z, x, x * y, y * z, 3 * z * z - 1, x * z,
        x * x - y * y
    ], -1)


def _sphere(count: int) -> np.ndarray:
    """(count, 3) unit vectors, spread evenly (Fibonacci)."""
    i = np.arange(count) + .5
    y = 1 - 2 * i / count
    angle = np.pi * (1 + 5**.5) * i
    radius = np.sqrt(1 - y * y)
    return np.stack([radius * np.cos(angle), y, radius * np.sin(angle)], -1)


_DIRECTIONS = _sphere(24)
_FRONT = _DIRECTIONS[_DIRECTIONS[:, 2] < -.4]  # what faces the camera
_FIT = np.linalg.pinv(sh_basis(_DIRECTIONS))


def rotate_sh(sh: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Return the coefficients after a change of frame.

    Args:
        sh: (9, 3) in the old frame.
        rotation: (3, 3), from the old frame to the new one.

    Returns:
        np.ndarray: (9, 3), so that ``sh_basis(rotation @ n) @ result`` equals
        ``sh_basis(n) @ sh``.
    """
    return _FIT @ (sh_basis(_DIRECTIONS @ rotation) @ sh)


@lru_cache(maxsize=None)
def load_environments() -> Sequence[Environment]:
    """Load the environment maps that ship with the package.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged.
    """
    arrays = load_arrays(asset_path('environments/lights.npz'), _LIGHTS)
    environments = []
    for letters, *values, reflection in zip(*arrays.values()):
        name = letters.astype(np.uint8).tobytes().decode().strip()
        panorama = read_picture(
            asset_path(f'environments/{name}.jpg'), PANORAMA_SHAPE)
        environments.append(
            Environment(name, *values, reflection.astype(np.float32),
                        panorama))
    return tuple(environments)


def plain_light(rng: np.random.Generator) -> Light:
    """White light from all sides and one white lamp on the camera's side."""
    direction = rng.normal(size=3)
    direction[2] = -abs(direction[2]) - .2
    sh = np.zeros((9, 3))
    ambient, key = rng.uniform(.25, .55), rng.uniform(.4, .8)
    exposure = min(1., 1.15 / (ambient + key))
    sh[0] = exposure * ambient
    width, height = REFLECTION_SIZE
    return Light(
        sh=sh,
        key_direction=direction / np.linalg.norm(direction),
        key_color=np.full(3, exposure * key),
        key_softness=.05,
        reflection=np.full((height, width, 3), sh[0], np.float32),
        rotation=np.eye(3),
        environment=None)


def sample_light(rng: np.random.Generator,
                 environments: Sequence[Environment],
                 plain: bool = False) -> Light:
    """Light a scene by a random environment.

    The map is turned about the vertical and tilted a little, as a camera is
    held; colour, contrast and strength vary, and the key light may be another
    than the map's: a lamp, a window or a flash.

    Args:
        rng: Source of randomness.
        environments: The maps to choose from.
        plain: White light from all sides and one lamp instead.
    """
    if plain:
        return plain_light(rng)
    index = int(rng.integers(len(environments)))
    source = environments[index]
    tilt = np.degrees(rng.normal(0, .25, 2))
    to_camera = (
        axis_rotation(2, tilt[1]) @ axis_rotation(0, tilt[0]) @ axis_rotation(
            1, rng.uniform(0, 360)))
    if rng.random() < .12:  # lying down, or a camera that looks up or down
        pitch = np.degrees(rng.uniform(-1.4, 1.4))
        to_camera = axis_rotation(0, pitch) @ to_camera
    sh = rotate_sh(source.sh, to_camera)
    key_direction = to_camera @ source.key_direction

    strength = np.exp(rng.uniform(np.log(.12), np.log(2.5)))
    tint = np.ones(3)
    if source.key_color.mean() > .02:
        tint = np.clip(source.key_color / source.key_color.mean(), .6, 1.6)
    if rng.random() < .5 or source.key_color.mean() <= .02:
        # a lamp of its own, mostly above and on the camera's side
        key_direction = rng.normal(0, [1., .8, .8]) - [0, .7, .6]
        key_direction /= np.linalg.norm(key_direction)
        tint = np.exp(rng.normal(0, .22) * np.array([1., .15, -1.2]))
    if rng.random() < .12:  # dull day, or light from everywhere
        strength = 0.
    softness = np.exp(rng.uniform(np.log(.02), np.log(.3)))

    saturation = rng.uniform(.15, 1)
    contrast = rng.uniform(.5, 1.1)
    reflection = source.reflection
    sh = saturation * sh + (1 - saturation) * sh.mean(axis=1, keepdims=True)
    grey = reflection.mean(axis=2, keepdims=True)
    reflection = np.float32(saturation) * reflection + np.float32(
        1 - saturation) * grey
    sh[1:] *= contrast
    key_color = strength * (saturation * tint + 1 - saturation)
    # The camera balances white, more or less,
    balance = (sh[0] / sh[0].mean())**rng.uniform(.2, 1)
    sh, key_color = sh / balance, key_color / np.sqrt(balance)
    # and its exposure follows what it sees, more or less.
    front = (sh_basis(_FRONT) @ sh).mean()
    front += strength * (.15 + .6 * max(-key_direction[2], 0))
    exposure = .78 * np.exp(rng.normal(0, .22)) / max(front, .3)**.8
    reflection = reflection * np.float32(exposure) / balance.astype(np.float32)
    return Light(
        sh=exposure * sh,
        key_direction=key_direction,
        key_color=exposure * key_color,
        key_softness=float(softness),
        reflection=reflection,
        rotation=to_camera.T,
        environment=index)
