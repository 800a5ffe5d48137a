"""What a camera makes of a scene.

Colours are RGB from 0 to 255 with the gamma of a screen. Light is the 2.2th
power of them, so that a gain of light is a gain of them, too.
"""
import functools
from typing import Optional, Tuple

import cv2
import numpy as np

from .numba_utils import cached_njit

GAMMA = 2.2
_CURVE_STEPS = 512  # of the tone curve, from black to twice white
_NOISE_SIDE = 512
_TRIES = 5  # to take a picture that shows its subject
_EXPOSED = .6  # share of it that is neither black nor burnt out
_CONTRAST = 6.  # standard deviation of its grey values
_INTERPOLATIONS = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_NEAREST,
                   cv2.INTER_CUBIC)


def apply_camera(rng: np.random.Generator,
                 image: np.ndarray,
                 subject: Optional[np.ndarray] = None) -> np.ndarray:
    """Take a picture of an image, with the faults of cameras.

    Two fifths of the pictures are nearly clean, every ninth is bad: dark or
    burnt out, blurred, noisy or coarse.

    Args:
        rng: Source of randomness.
        image: (S, S, 3) float32, left as it is.
        subject: (S, S) mask of what is to be seen: where nearly all of it is
            black, burnt out or without contrast the picture is taken again.

    Returns:
        np.ndarray: (S, S, 3) uint8.
    """
    for _ in range(_TRIES):
        picture = _take(rng, image)
        if subject is None or _shows(picture, image, subject):
            break
    return picture


def _shows(picture: np.ndarray, image: np.ndarray,
           subject: np.ndarray) -> bool:
    """Whether a picture shows the subject of an image."""
    at = np.flatnonzero(subject)[::4]
    if not len(at):
        return True
    before, after = (
        values.reshape(-1, 3)[at] @ np.full(3, 1 / 3, np.float32)
        for values in (image, picture))
    exposed = (after >= 8) & (after <= 245)
    return (exposed.mean() >= _EXPOSED
            and after.std() >= min(_CONTRAST, .5 * before.std()))


def _take(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    fault = rng.choice(3, p=(.4, .49, .11)) / 2  # 0 clean, 1 bad
    scale = image.shape[0] / 128
    if rng.random() < .02 + .1 * fault:
        image = _shift_colors(rng, image)
    if rng.random() < .1 + .6 * fault:
        image = _blur(rng, image, scale * (.4 + fault))
    balance, exposure = _sample_colors(rng, fault)
    curve = _sample_curve(rng, fault)
    vignetting = rng.uniform(0, .5) if rng.random() < .25 else 0.
    image = _develop(
        np.ascontiguousarray(image, np.float32), balance, curve,
        np.float32(vignetting))
    # Dark scenes are taken with less light, and thus with more noise.
    darkness = float(np.clip(1 / exposure, .7, 1.8))
    noise = darkness * rng.gamma(1.2, .2 + 1.6 * fault)
    _add_noise(rng, image, noise)
    if rng.random() < .15:
        _sharpen(rng, image, scale)
    return _store(rng, image, fault)


def _sample_colors(rng: np.random.Generator,
                   fault: float) -> Tuple[np.ndarray, float]:
    """White balance, saturation and exposure.

    Returns:
        tuple: (3, 3) float32 matrix of colours, and the gain within.
    """
    temperature, tint = rng.normal(0, .035 + .06 * fault, 2) * (1, .5)
    if rng.random() < .04:  # a lamp that the camera does not balance
        temperature, tint = rng.normal(0, .3), rng.normal(0, .15)
    gains = np.exp([temperature + tint / 2, -tint, -temperature + tint / 2])
    exposure = float(np.exp(rng.normal(0, .1 + .25 * fault)))
    saturation = 0. if rng.random() < .04 else rng.normal(1, .1 + .15 * fault)
    luma = np.array([.299, .587, .114])
    mixing = saturation * np.eye(3) + (1 - saturation) * luma
    return (exposure * mixing * gains).astype(np.float32), exposure


def _sample_curve(rng: np.random.Generator, fault: float) -> np.ndarray:
    """Tone curve: contrast round middle grey, shoulder or hard clipping.

    Returns:
        np.ndarray: float32, values from black to twice white.
    """
    tone = np.linspace(0, 2, _CURVE_STEPS)
    contrast = np.exp(rng.normal(0, .08 + .17 * fault))
    pivot = rng.uniform(.35, .6)
    tone = pivot * (tone / pivot)**contrast
    knee = rng.uniform(.6, 1)  # above it highlights are compressed
    if rng.random() < .5 and knee < .98:
        over = np.maximum(tone - knee, 0) / (1 - knee)
        tone = np.minimum(tone, knee) + (1 - knee) * (1 - np.exp(-over))
    black = rng.normal(0, .01 + .03 * fault)  # haze, or crushed shadows
    return (255 * np.clip(black + (1 - black) * tone, 0, 1)).astype(np.float32)


@cached_njit
def _develop(image: np.ndarray, colors: np.ndarray, curve: np.ndarray,
             vignetting: np.float32) -> np.ndarray:
    """Apply a matrix of colours, vignetting and a tone curve."""
    height, width = image.shape[:2]
    out = np.empty_like(image)
    steps = len(curve)
    to_step = np.float32((steps - 1) / 510)
    scale_x, scale_y = np.float32(2 / width), np.float32(2 / height)
    one, zero = np.float32(1), np.float32(0)
    for y in range(height):
        dy = (np.float32(y) + np.float32(.5)) * scale_y - one
        for x in range(width):
            dx = (np.float32(x) + np.float32(.5)) * scale_x - one
            gain = to_step * (
                one - vignetting * np.float32(.5) * (dx * dx + dy * dy))
            r, g, b = image[y, x, 0], image[y, x, 1], image[y, x, 2]
            for c in range(3):
                at = gain * (
                    colors[c, 0] * r + colors[c, 1] * g + colors[c, 2] * b)
                at = min(max(at, zero), np.float32(steps - 1.001))
                step = int(at)
                t = at - np.float32(step)
                out[y, x, c] = curve[step] + t * (
                    curve[step + 1] - curve[step])
    return out


def _shift_colors(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Chromatic aberration: red and blue of another size than green."""
    size = image.shape[0]
    middle = (size - 1) / 2
    out = np.array(image, np.float32)
    for channel, factor in zip((0, 2), rng.uniform(-.012, .012, 2)):
        zoom = np.array([[1 + factor, 0, -factor * middle],
                         [0, 1 + factor, -factor * middle]])
        out[..., channel] = cv2.warpAffine(
            np.ascontiguousarray(out[..., channel]),
            zoom, (size, size),
            borderMode=cv2.BORDER_REPLICATE)
    return out


def _motion_kernel(length: int, angle: float) -> np.ndarray:
    """Line of (length, length) pixels, length odd, that sums to 1."""
    kernel = np.zeros((length, length), np.uint8)
    half = (length - 1) / 2
    step = half * np.array([np.cos(angle), np.sin(angle)])
    # in sixteenths of a pixel, or there would be few directions
    ends = np.rint(16 * (half + np.stack([-step, step]))).astype(int).tolist()
    cv2.line(kernel, ends[0], ends[1], 255, 1, cv2.LINE_AA, 4)
    return kernel.astype(np.float32) / max(kernel.sum(), 1)


def _disc_kernel(radius: float) -> np.ndarray:
    """Disc of a lens out of focus, that sums to 1."""
    half = int(np.ceil(radius))
    across = np.arange(-half, half + 1, dtype=np.float32)
    distance = np.hypot(across, across[:, None])
    kernel = np.clip(radius + .5 - distance, 0, 1)
    return kernel / kernel.sum()


def _blur(rng: np.random.Generator, image: np.ndarray,
          amount: float) -> np.ndarray:
    """Defocus (a disc or a Gaussian) or motion blur."""
    kind = rng.random()
    border = cv2.BORDER_REFLECT_101
    if kind < .3:
        length = 2 * int(rng.uniform(1, 2 + 2.6 * amount)) + 1
        kernel = _motion_kernel(length, rng.uniform(0, np.pi))
        return cv2.filter2D(image, -1, kernel, borderType=border)
    if kind < .6:
        radius = rng.uniform(.4, .6 + 1.1 * amount)
        return cv2.filter2D(image, -1, _disc_kernel(radius), borderType=border)
    return cv2.GaussianBlur(
        image, (0, 0), rng.uniform(.25, .4 + .8 * amount), borderType=border)


@functools.lru_cache(maxsize=None)
def _noise_tiles() -> Tuple[np.ndarray, ...]:
    """Noise of standard deviation 1 to cut pieces from: of single pixels, as
    demosaicing leaves it, and as denoising does (in blotches of colour).

    Returns:
        tuple: Each (_NOISE_SIDE, _NOISE_SIDE, 3) float32.
    """
    rng = np.random.default_rng(0)
    shape = (_NOISE_SIDE, _NOISE_SIDE, 3)
    white = rng.standard_normal(shape, np.float32)
    tiles = [white]
    for sigma_luma, sigma_color in ((.55, .9), (.9, 2.2)):
        luma = cv2.GaussianBlur(
            rng.standard_normal(shape[:2], np.float32), (0, 0), sigma_luma)
        color = cv2.GaussianBlur(
            rng.standard_normal(shape, np.float32), (0, 0), sigma_color)
        tiles.append(luma[..., None] / luma.std() +
                     color / color.std() * np.float32(.6))
    return tuple(tile / tile.std() for tile in tiles)


def _add_noise(rng: np.random.Generator, image: np.ndarray,
               amount: float) -> None:
    """Add, in place, noise of about ``amount`` in middle grey."""
    size = image.shape[0]
    tile = _noise_tiles()[rng.integers(3)]
    repeat = -(-size // _NOISE_SIDE)
    if repeat > 1:
        tile = np.tile(tile, (repeat + 1, repeat + 1, 1))
    y, x = rng.integers(0, len(tile) - size + 1, 2)
    piece = tile[y:y + size, x:x + size]
    if rng.random() < .5:
        piece = piece[:, ::-1]
    if rng.random() < .5:
        piece = piece.transpose(1, 0, 2)
    _scatter(image, piece, _noise_of_level(amount, rng.uniform(.02, .3)))


def _noise_of_level(amount: float, read: float) -> np.ndarray:
    """(256,) standard deviations: those of the counted light and of reading
    it out, through the gamma; ``amount`` in middle grey, float32."""
    level = np.clip(np.arange(256) / 128, .15, None)
    light = level**GAMMA
    deviation = np.sqrt((1 - read) * light + read) / level**(GAMMA - 1)
    return (amount * deviation).astype(np.float32)


@cached_njit
def _scatter(image: np.ndarray, noise: np.ndarray,
             deviation: np.ndarray) -> None:
    height, width = image.shape[:2]
    for y in range(height):
        for x in range(width):
            for c in range(3):
                level = int(image[y, x, c])
                image[y, x, c] += noise[y, x, c] * deviation[level]


def _sharpen(rng: np.random.Generator, image: np.ndarray,
             scale: float) -> None:
    """Unsharp masking in place, with its halos."""
    amount = rng.uniform(.15, .7)
    soft = cv2.GaussianBlur(image, (0, 0), rng.uniform(.5, 1.3) * scale)
    cv2.addWeighted(image, 1 + amount, soft, -amount, 0, image)


def _store(rng: np.random.Generator, image: np.ndarray,
           fault: float) -> np.ndarray:
    """Round to bytes, at a lower resolution and through JPEG at times."""
    size = image.shape[0]
    image = cv2.convertScaleAbs(np.maximum(image, 0))
    small = size
    if rng.random() < .08 + .5 * fault:
        lowest = .75 - .5 * fault
        small = max(16, int(size * np.exp(rng.uniform(np.log(lowest), 0))))
        image = cv2.resize(
            image, (small, small), interpolation=int(_shrinking(rng)))
    if rng.random() < .3 + .3 * fault:
        quality = int(rng.uniform(75 - 45 * fault, 96))
        coded = cv2.imencode('.jpg', image[..., ::-1],
                             [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = np.ascontiguousarray(
            cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1])
    if small != size:
        way = _INTERPOLATIONS[rng.choice(4, p=(0, .6, .1, .3))]
        image = cv2.resize(image, (size, size), interpolation=way)
    return image


def _shrinking(rng: np.random.Generator) -> int:
    return _INTERPOLATIONS[rng.choice(4, p=(.65, .2, .05, .1))]
