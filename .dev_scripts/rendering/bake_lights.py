"""Bake environment maps: ``python .dev_scripts/rendering/bake_lights.py DIR``.

DIR holds equirectangular Radiance maps (``*.hdr``), 512 x 256: Poly Haven's
from the npm package ``@pmndrs/assets`` 1.7.0 and Blender's from Debian's
``blender-data``, all CC0-1.0. Writes ``assets/rendering/environments/``: a
picture of each map, and ``lights.npz`` with what lights a hand.
"""
import argparse
from pathlib import Path

import cv2
import numpy as np

from lgh_mmpose.rendering.lighting import REFLECTION_SIZE, sh_basis

OUT = Path(__file__).resolve().parents[2] / 'assets/rendering/environments'
WIDTH, HEIGHT = REFLECTION_SIZE

# Convolution with the clamped cosine over pi (Ramamoorthi & Hanrahan, 2001),
# and the norms of the polynomials of `sh_basis`.
_COSINE = np.array([1.] + 3 * [2 / 3] + 5 * [1 / 4])
_NORM = np.array([.282095] + 3 * [.488603] +
                 [1.092548, 1.092548, .315392, 1.092548, .546274])


def directions(width: int, height: int) -> tuple:
    """(H, W, 3) directions of the pixels and their (H, W, 1) solid angles."""
    polar = (np.arange(height) + .5) / height * np.pi
    angle = (np.arange(width) + .5) / width * 2 * np.pi
    y = -np.cos(polar)[:, None] * np.ones(width)
    radius = np.sin(polar)[:, None]
    rays = np.stack([radius * np.sin(angle), y, radius * np.cos(angle)], -1)
    solid = radius * np.ones(width) * (np.pi / height) * (2 * np.pi / width)
    return rays, solid[..., None]


def mend(radiance: np.ndarray) -> np.ndarray:
    """Fill the black holes and rims that some maps have in and round lamps."""
    white = np.percentile(radiance.max(axis=2), 92)
    # Rims: resampling left negative values, cut off at 0.
    fine = (radiance.min(axis=2) > 4e-3 * white).astype(np.float32)
    around = cv2.blur(np.minimum(radiance, white) * fine[..., None], (7, 7))
    share = cv2.blur(fine, (7, 7))[..., None]
    around /= np.maximum(share, 1e-6)
    rim = (fine[..., None] == 0) & (share > .3)
    radiance = np.where(rim, around, radiance)
    closed = cv2.morphologyEx(radiance, cv2.MORPH_CLOSE,
                              np.ones((13, 13), np.uint8))
    around = closed.min(axis=2, keepdims=True)
    hole = (around > 8 * white) & (
        radiance.min(axis=2, keepdims=True) < .1 * around)
    return np.where(hole, closed, radiance)


def bake(radiance: np.ndarray) -> tuple:
    """Return sh, key_direction, key_color, reflection and panorama of a map,
    see :class:`lgh_mmpose.rendering.lighting.Environment`."""
    small = cv2.resize(radiance, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    small = small.astype(np.float64)
    rays, solid = directions(WIDTH, HEIGHT)
    brightness = small.mean(axis=2)
    cap = max(6 * np.median(brightness), np.percentile(brightness, 97))
    share = np.minimum(1, cap / (brightness + 1e-9))[..., None]
    ambient = small * share
    brightest = np.unravel_index(
        cv2.GaussianBlur(brightness, (0, 0), 1).argmax(), brightness.shape)
    key_direction = rays[brightest]
    key_color = (small * (1 - share) * solid).sum(axis=(0, 1)) / np.pi

    basis = sh_basis(rays)
    sh = np.einsum('hwk,hwc->kc', basis, ambient * solid)
    sh *= (_COSINE * _NORM**2)[:, None]
    unit = sh[0].mean()
    white = np.percentile(radiance.max(axis=2), 92)
    exposed = radiance / white
    # a shoulder for the lamps and the sky, as cameras have it
    exposed = np.where(exposed < .7, exposed,
                       .7 + .3 * (1 - np.exp(-(exposed - .7) / .3)))
    panorama = 255 * np.clip(exposed, 0, 1)**(1 / 2.2)
    # The key light lights by itself, so that the mirror image is capped.
    reflection = np.minimum(small, 4 * cap) / unit
    # A sun whose red or green was cut off is white, not blue.
    key_color = np.minimum(key_color, 1.4 * key_color.min())
    return (sh / unit, key_direction, key_color / unit,
            reflection.astype(np.float16), np.rint(panorama).astype(np.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path)
    OUT.mkdir(parents=True, exist_ok=True)
    rows = []
    names = []
    for path in sorted(parser.parse_args().folder.glob('*.hdr')):
        radiance = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1]
        *row, panorama = bake(mend(np.ascontiguousarray(radiance)))
        rows.append(row)
        names.append(path.stem)
        cv2.imwrite(
            str(OUT / f'{path.stem}.jpg'), panorama[..., ::-1],
            [cv2.IMWRITE_JPEG_QUALITY, 92])
    columns = [np.stack(column) for column in zip(*rows)]
    np.savez_compressed(
        OUT / 'lights.npz',
        # ASCII, so that the file holds numbers only
        names=np.array([list(name.ljust(32).encode()) for name in names],
                       np.uint8),
        **dict(
            zip(('sh', 'key_direction', 'key_color', 'reflection'), columns)))


if __name__ == '__main__':
    main()
