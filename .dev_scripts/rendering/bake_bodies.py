"""Bake assets/rendering/bodies: whole people without arms, to be lit anew.

``python .dev_scripts/rendering/bake_bodies.py DIR`` needs what
``bake_people.py`` needs.

Each person comes as ``NN_half.webp`` (from the head to the hips) and
``NN_full.webp`` (to the feet). Such a picture has three of the same size one
below the other: colours without light, and coverage; normals (x and y, from
-1 to 1) and, in blue, how open a place is to light from around; and what
covers the body: red an upper garment, green trousers, blue bare skin.
``bodies.json`` tells, for each person, sex and mean colour of the skin, and,
for each picture, how many mm a pixel has and where in it head and shoulders
are.
"""
import json
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

import cv2
import numpy as np
from bake_people import (Bodies, find_irises, of_bones, rotation,
                         sample_bodies, sample_hair_color, sample_looks,
                         sample_skin, vertex_normals)

from lgh_mmpose.rendering.bodies import HEIGHTS
from lgh_mmpose.rendering.rasterizer import Mesh, visible_faces

OUT = Path(__file__).resolve().parents[2] / 'assets/rendering/bodies'
BODIES = 32
SEED = 1
DISTANCES = {'half': 1400., 'full': 2600.}  # mm of the camera
SUPERSAMPLING = 2  # beside that of the rasteriser
ARM_BONES = ('upperarm', 'lowerarm', 'wrist', 'finger', 'metacarpal')
FOOT_BONES = ('foot', 'toe')
STUMP = 30.  # mm of the upper arm that are left at the shoulder
STATURE = (1620., 1750.)  # mm, mean of women and of men
SOFT = .03  # metres over which the coverage at an edge falls from 1 to 0


def sample_clothes(rng: np.random.Generator, bodies: Bodies, index: int,
                   clothes: np.ndarray) -> Tuple[np.ndarray, ...]:
    """Where, (V,) each, an upper garment, trousers or a skirt, and shoes are;
    their edges lie at .5."""
    rest = bodies.rest[index]
    height = {
        name: bodies.heads[index, at][2]
        for at, name in enumerate(bodies.names)
    }
    hip, knee, ankle = (
        height[f'{bone}.R'] for bone in ('upperleg01', 'lowerleg01', 'foot'))
    hem = hip + rng.uniform(-.04, .08)
    end = (hip - .35 * (hip - knee), knee + .05, knee - .5 * (knee - ankle),
           ankle - .02)[rng.choice(4, p=(.08, .17, .05, .7))]
    above_hem = np.clip(.5 + (rest[:, 2] - hem) / SOFT, 0, 1)
    above_end = np.clip(.5 + (rest[:, 2] - end) / SOFT, 0, 1)
    arms = of_bones(bodies, ARM_BONES)
    shoes = of_bones(bodies, FOOT_BONES) * float(rng.random() < .8)
    return (np.minimum(clothes, above_hem),
            np.minimum(1 - above_hem, above_end) * ~arms, shoes)


def draw_body(rng: np.random.Generator, bodies: Bodies, index: int,
              skins: List[Path]) -> Tuple[Dict[str, np.ndarray], dict]:
    """Draw one of the bodies.

    Returns:
        tuple: (3 H, W, 4) uint8 BGR and coverage, by size, and what is told
        of it.
    """
    faces = bodies.faces
    # of usual height, like the hands
    scale = STATURE[int(bodies.male[index])] * np.exp(rng.normal(
        0, .03)) / np.ptp(bodies.rest[index][:, 2])
    vertices = bodies.vertices[index] * scale
    joints = {
        name: bodies.joints[index, at] * scale
        for at, name in enumerate(bodies.names)
    }
    eyes = of_bones(bodies, ('eye', ))
    normals = vertex_normals(vertices, faces)
    clothes, hair, thickness = sample_looks(rng, bodies, index)
    while not hair.any() and not (bodies.male[index] and rng.random() < .3):
        clothes, hair, thickness = sample_looks(rng, bodies, index)
    clothes, trousers, shoes = sample_clothes(rng, bodies, index, clothes)
    dressed = np.maximum(np.maximum(clothes, trousers), shoes)
    vertices = vertices + normals * (8 * (dressed > .4) +
                                     scale * thickness * hair)[:, None]
    arms = of_bones(bodies, ARM_BONES) * 1.
    for side in 'LR':
        joint, elbow = joints[f'upperarm01.{side}'], joints[
            f'lowerarm01.{side}']
        along = (elbow - joint) / np.linalg.norm(elbow - joint)
        upper = of_bones(bodies, (f'upperarm01.{side}', ))
        arms[upper] = np.clip(
            .5 + ((vertices[upper] - joint) @ along - STUMP) / 20, 0, 1)
    covers = np.stack([
        clothes, trousers, shoes, hair,
        find_irises(bodies, index), eyes, arms
    ], 1)

    yaw = np.clip(rng.normal(0, .38), -.8, .8)
    skin = cv2.imread(str(sample_skin(rng, bodies, index, skins)))
    skin = (skin.astype(np.float32) / 255)**2.2
    hair_color = (sample_hair_color(rng) / 255)**2.2
    shoe_color = np.full(3, rng.choice([.01, .03, .3, .6]))

    # to the camera's frame: x right, y down, z forward; neck at the origin
    turn = np.array([[1., 0, 0], [0, 0, -1], [0, 1, 0]]) @ rotation(
        2, yaw)[:3, :3]
    middle = joints['neck01']
    vertices = (vertices - middle) @ turn.T
    joints = {name: turn @ (at - middle) for name, at in joints.items()}
    normals = vertex_normals(vertices, faces)
    kept = (arms < 1)[faces].any(axis=1)
    stump = of_bones(bodies, ('upperarm01.R', ))
    along = joints['lowerarm01.R'] - joints['upperarm01.R']
    length = np.linalg.norm(along)
    spokes = np.cross(vertices[stump] - joints['upperarm01.R'], along / length)
    told = {
        'male': bool(bodies.male[index]),
        'yaw': round(float(yaw), 4),
        'age': round(float(bodies.age[index]), 3),
        'upper_arm': round(float(length), 1),
        'arm_radius':
        round(float(np.median(np.linalg.norm(spokes, axis=1))), 1),
    }
    pictures = {}
    for kind, height in HEIGHTS.items():
        pictures[kind], told[kind] = draw_layers(vertices, normals, joints,
                                                 bodies, kept, covers, skin,
                                                 hair_color, shoe_color,
                                                 height, DISTANCES[kind],
                                                 kind == 'half')
    colors, masks = np.split(pictures['half'], 3)[0::2]
    bare = (masks[..., 0] > 200) & (colors[..., 3] > 250)
    told['tone'] = np.round(
        ((colors[bare][:, 2::-1] / 255.)**2.2).mean(axis=0), 4).tolist()
    return pictures, told


def draw_layers(vertices: np.ndarray, normals: np.ndarray,
                joints: Dict[str,
                             np.ndarray], bodies: Bodies, kept: np.ndarray,
                covers: np.ndarray, skin: np.ndarray, hair_color: np.ndarray,
                shoe_color: np.ndarray, height: int, distance: float,
                half: bool) -> Tuple[np.ndarray, Dict[str, Any]]:
    """Draw the layers of a body's picture, see the module."""
    faces = bodies.faces[kept]
    used = np.unique(faces)
    level = 150.  # mm below the neck: height of the camera
    places = vertices - [0, level, 0] + [0, 0, distance]
    rays = places[:, :2] / places[:, 2:]
    top = rays[used, 1].min()
    bottom = rays[used, 1].max()
    if half:
        hips = joints['upperleg01.R']
        bottom = (hips[1] - level) / (hips[2] + distance)
    margin = 2
    focal = (height - 2 * margin) / (bottom - top)
    if half:
        focal = (height - margin) / (bottom - top)
    camera = np.array([[focal, 0, height / 2 - .5],
                       [0, focal, margin - focal * top - .5], [0, 0, 1]])
    scale = SUPERSAMPLING
    large = np.diag([scale, scale, 1.]) @ camera
    large[:2, 2] += (scale - 1) / 2
    size = scale * height
    mesh = Mesh(
        np.ascontiguousarray(places), faces.astype(np.int32),
        np.zeros(len(faces), np.uint8), np.array([0, len(faces)]))
    face, inverse = visible_faces(mesh, large, size)
    rows, columns = np.nonzero(face >= 0)
    owner = face[rows, columns]
    samples = 2
    at = (np.stack([columns, rows], 1) - (samples - 1) / 2) / samples
    z = 1 / inverse[rows, columns].astype(np.float64)
    points = np.column_stack([(at - large[:2, 2]) / large[0, 0],
                              np.ones(len(at))]) * z[:, None]
    a, b, c = (places[faces[owner, i]] for i in range(3))
    cross = np.cross(b - a, c - a)
    area = (cross**2).sum(axis=1)
    v = (np.cross(points - a, c - a) * cross).sum(axis=1) / area
    w = (np.cross(b - a, points - a) * cross).sum(axis=1) / area
    weights = np.clip(np.stack([1 - v - w, v, w], 1), 0, 1)[..., None]

    def blend(values: np.ndarray, corners: np.ndarray) -> np.ndarray:
        return (weights * values[corners[owner]]).sum(axis=1)

    normal = blend(normals, faces)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    uv = blend(
        bodies.texture_coordinates.astype(np.float64),
        bodies.texture_faces[kept])
    side = len(skin)
    column = np.clip((uv[:, 0] * side).astype(int), 0, side - 1)
    row = np.clip(((1 - uv[:, 1]) * side).astype(int), 0, side - 1)
    color = skin[row, column].astype(np.float64)
    clothes, trousers, shoes, hair, iris, eyes, arms = (blend(covers, faces)
                                                        > .5).T
    strand = .6 + .8 * ((column * 7919 + row // 6 * 104729) % 97) / 97
    color[hair] = (strand[:, None] * hair_color)[hair]
    color[eyes] = .65
    color[iris & eyes] = .012
    trousers &= ~hair
    clothes &= ~hair & ~trousers
    shoes &= ~trousers
    color[clothes | trousers] = .8
    color[shoes] = shoe_color
    bare = ~(clothes | trousers | shoes | hair | eyes)
    openness = _openness(1 / np.maximum(inverse, 1e-6), face >= 0,
                         samples * large[0, 0] / distance)[rows, columns]

    n = samples * size
    layers = np.zeros((n, n, 10), np.float32)
    layers[rows, columns] = np.column_stack([
        color, normal[:, :2], openness, clothes, trousers, bare,
        np.ones(len(rows))
    ]) * ~arms[:, None]
    layers = np.dstack([
        cv2.resize(
            np.ascontiguousarray(layers[..., k:k + 2]), (height, height),
            interpolation=cv2.INTER_AREA) for k in range(0, 10, 2)
    ])
    alpha = layers[..., 9:]
    layers = layers / np.maximum(alpha, 1e-3)
    filled = alpha > 0
    full = np.full_like(alpha, 255)
    picture = np.vstack([
        np.dstack([255 * layers[..., :3]**(1 / 2.2), 255 * alpha]),
        np.dstack([
            255 * layers[..., 5:6], 127.5 * (1 + layers[..., 4:5] * filled),
            127.5 * (1 + layers[..., 3:4] * filled), full
        ]),
        np.dstack([255 * layers[..., 8:5:-1], full])
    ])
    occupied = np.flatnonzero(filled.any(axis=0)[:, 0])
    first, last = occupied[0], occupied[-1] + 1
    picture = np.rint(np.clip(picture[:, first:last], 0, 255))

    def locate(point: np.ndarray) -> List[float]:
        x, y, depth = point - [0, level, 0] + [0, 0, distance]
        u = focal * x / depth + camera[0, 2] - first
        v = focal * y / depth + camera[1, 2]
        return np.round([u, v, point[2]], 1).tolist()

    head = (joints['eye.L'] + joints['eye.R']) / 2
    head[2] = joints['head'][2]
    return picture.astype(np.uint8), {
        'mm_per_px': round(distance / focal, 4),
        'neck': locate(np.zeros(3)),
        'head': locate(head),
        'left_shoulder': locate(joints['upperarm01.L']),
        'right_shoulder': locate(joints['upperarm01.R']),
        'hips': locate((joints['upperleg01.L'] + joints['upperleg01.R']) / 2),
    }


def _openness(depth: np.ndarray, filled: np.ndarray,
              px_per_mm: float) -> np.ndarray:
    """(N, N) from 0 to 1, how little of the sky what is around hides."""
    depth = np.where(filled, depth, 1e5).astype(np.float32)
    hidden = np.zeros(depth.shape, np.float32)
    count = 0
    for radius in (12., 30., 60.):
        for angle in np.arange(0, 2 * np.pi, np.pi / 4) + radius:
            shift = radius * px_per_mm * np.array(
                [np.cos(angle), np.sin(angle)])
            moved = cv2.warpAffine(
                depth,
                np.array([[1, 0, shift[0]], [0, 1, shift[1]]]),
                depth.shape[::-1],
                borderValue=1e5)
            rise = (depth - moved) / radius
            hidden += np.clip(rise - .15, 0, 1) * (rise < 5)
            count += 1
    return np.clip(1 - 1.6 * hidden / count, 0, 1)


def main(skin_folder: Path) -> None:
    """Draw and store all bodies."""
    rng = np.random.default_rng(SEED)
    bodies = sample_bodies(rng, BODIES, legs=True)
    skins = sorted(skin_folder.glob('*_diffuse*.png'))
    OUT.mkdir(parents=True, exist_ok=True)
    told = []
    for index in range(BODIES):
        pictures, about = draw_body(rng, bodies, index, skins)
        for kind, picture in pictures.items():
            cv2.imwrite(
                str(OUT / f'{index:02d}_{kind}.webp'), picture,
                [cv2.IMWRITE_WEBP_QUALITY, 80])
        told.append(about)
    with open(OUT / 'bodies.json', 'w') as file:
        json.dump(told, file, indent=1)
        file.write('\n')


if __name__ == '__main__':
    main(Path(sys.argv[1]))
