"""The rigged hand: joints, kinematics and linear blend skinning.

The mesh is the WebXR "generic hand" (``assets/generic-hand``). All quantities
are millimetres in the frame of the right hand's wrist: -z towards the fingers,
+y out of the back of the hand, -x towards the thumb. Every joint frame has -z
along its bone and +y dorsal. A left hand is the mirror image of a right one.

Legend: J = 26 joints, V vertices, F triangles, K = 21 key points.
"""
from pathlib import Path
from typing import NamedTuple, Optional, Tuple, Union

import numpy as np

from ..rendering.numba_utils import cached_njit
from .gltf import read_glb

FINGERS = ('thumb', 'index-finger', 'middle-finger', 'ring-finger',
           'pinky-finger')


def _chain(finger: str) -> Tuple[str, ...]:
    """Names of a finger's joints from the palm to the tip."""
    names = [
        'metacarpal', 'phalanx-proximal', 'phalanx-intermediate',
        'phalanx-distal', 'tip'
    ]
    if finger == 'thumb':
        names.remove('phalanx-intermediate')
    return tuple(f'{finger}-{name}' for name in names)


FINGER_JOINTS = tuple(_chain(finger) for finger in FINGERS)
"""Joint names of the five fingers, each from the palm to the tip."""

JOINT_NAMES = ('wrist', *sum(FINGER_JOINTS, ()), 'forearm')
"""The 25 joints of WebXR and the forearm, parents before children."""

JOINT_INDEX = {name: i for i, name in enumerate(JOINT_NAMES)}
WRIST = JOINT_INDEX['wrist']
FOREARM = JOINT_INDEX['forearm']

PARENTS = np.zeros(len(JOINT_NAMES), np.int64)
"""Parent of each joint; the wrist is its own."""
for _joints in FINGER_JOINTS:
    for _parent, _child in zip(('wrist', ) + _joints, _joints):
        PARENTS[JOINT_INDEX[_child]] = JOINT_INDEX[_parent]

KEYPOINT_JOINTS = np.array(
    [WRIST] +
    [JOINT_INDEX[name] for joints in FINGER_JOINTS for name in joints[-4:]])
"""(K,) joint of each key point in FreiHAND's order. The metacarpals of the
four fingers are no key points; tips are moved on to the skin."""

PALM_PART = 15
FOREARM_PART = 16
"""Part of a face: 3 f + 0 (tip), 1, 2 (base) for finger f, palm, forearm."""

FOREARM_RINGS = ((30., 1.00, 1.02), (40., 1.01, 1.05), (50., 1.03, 1.09),
                 (62., 1.06, 1.14), (76., 1.10, 1.22), (92., 1.15, 1.32),
                 (110., 1.20, 1.44), (135., 1.27, 1.58), (165., 1.34, 1.70),
                 (200., 1.40, 1.80))
"""Cross-sections of the forearm: distance from the wrist in mm, width and
height relative to the wrist's."""
_WRIST_BLEND = (-18., 26.)  # z range in mm over which hand turns to forearm


class HandGeometry(NamedTuple):
    """A posed hand in millimetres.

    Attributes:
        vertices: (V, 3) float64.
        keypoints: (K, 3) float64 in FreiHAND's order, finger tips on the skin.
    """
    vertices: np.ndarray
    keypoints: np.ndarray


def hand_mesh_path() -> Path:
    """Return the path of the right hand's mesh.

    Raises:
        FileNotFoundError: If neither the installed package nor the source
            tree holds it.
    """
    package = Path(__file__).resolve().parents[1]
    candidates = [
        root / 'assets' / 'generic-hand' / 'right.glb'
        for root in (package / '.mim', package.parent)
    ]
    for path in candidates:
        if path.is_file():
            return path
    raise FileNotFoundError(
        'The hand mesh of SynthHand is missing, looked for '
        f'{" and ".join(map(str, candidates))}. Reinstall lgh_mmpose or '
        'restore assets/generic-hand from the source tree.')


def rotation_x(angle: np.ndarray) -> np.ndarray:
    """Return (..., 3, 3) rotations about x by (...) angles in radians."""
    return _axis_rotation(angle, 1, 2)


def rotation_y(angle: np.ndarray) -> np.ndarray:
    """Return (..., 3, 3) rotations about y by (...) angles in radians."""
    return _axis_rotation(angle, 2, 0)


def rotation_z(angle: np.ndarray) -> np.ndarray:
    """Return (..., 3, 3) rotations about z by (...) angles in radians."""
    return _axis_rotation(angle, 0, 1)


def _axis_rotation(angle: np.ndarray, i: int, j: int) -> np.ndarray:
    """Rotation that turns axis i towards axis j."""
    angle = np.asarray(angle, np.float64)
    matrix = np.zeros(angle.shape + (3, 3))
    matrix[...] = np.eye(3)
    matrix[..., i, i] = matrix[..., j, j] = np.cos(angle)
    matrix[..., j, i] = np.sin(angle)
    matrix[..., i, j] = -matrix[..., j, i]
    return matrix


def mirror(points: np.ndarray) -> np.ndarray:
    """Turn (..., 3) points of a right hand into those of a left hand.

    The triangles of a mirrored mesh are to be reversed as well.
    """
    return points * np.array([-1., 1., 1.])


@cached_njit
def _skin(vertices, influences, weights, transforms):
    """Linear blend skinning; transforms (J, 3, 4) act on rest vertices."""
    out = np.empty_like(vertices)
    blend = np.empty((3, 4))
    for v in range(len(vertices)):
        blend[:] = 0.
        for i in range(influences.shape[1]):
            weight, j = weights[v, i], influences[v, i]
            if weight > 0.:
                for r in range(3):
                    for c in range(4):
                        blend[r, c] += weight * transforms[j, r, c]
        x, y, z = vertices[v]
        for r in range(3):
            out[v, r] = (
                blend[r, 0] * x + blend[r, 1] * y + blend[r, 2] * z +
                blend[r, 3])
    return out


class HandRig:
    """Rigged right hand with a forearm.

    The end of the mesh at the wrist is opened and continued by a forearm
    that shares the rim's vertices, so that surface and shading run through.

    Args:
        path: ``.glb`` file of the right hand. Default: the embedded one.

    Attributes:
        vertices: (V, 3) float64, rest pose.
        faces: (F, 3) int32, counter-clockwise seen from outside.
        face_parts: (F,) uint8, see :data:`FOREARM_PART`.
        weights: (V, J) float64 skin weights.
        rest_position: (J, 3), rest_rotation: (J, 3, 3), joint frames at rest.

    Raises:
        FileNotFoundError: If the mesh is missing.
        ValueError: If it is damaged or lacks a joint.
    """

    def __init__(self, path: Optional[Union[str, Path]] = None):
        path = hand_mesh_path() if path is None else Path(path)
        mesh = read_glb(path)
        missing = set(JOINT_NAMES[:-1]) - set(mesh.joint_names)
        if missing:
            raise ValueError(f'{path}: the mesh has no joint '
                             f'{", ".join(sorted(missing))}')
        order = [mesh.joint_names.index(name) for name in JOINT_NAMES[:-1]]
        bind = np.linalg.inv(mesh.inverse_bind_matrices[order])
        to_wrist = np.linalg.inv(bind[WRIST])
        frames = to_wrist @ bind
        frames = np.concatenate([frames, frames[WRIST:WRIST + 1]])  # forearm
        self.rest_rotation = frames[:, :3, :3]
        self.rest_position = frames[:, :3, 3] * 1000

        # Seams of the texture map hold a vertex twice; normals need it once.
        _, first, inverse = np.unique(
            mesh.vertices.round(6),
            axis=0,
            return_index=True,
            return_inverse=True)
        vertices = mesh.vertices[first] @ to_wrist[:3, :3].T + to_wrist[:3, 3]
        faces = inverse.reshape(-1)[mesh.faces]
        weights = np.zeros((len(first), len(JOINT_NAMES)))
        column = np.full(len(mesh.joint_names), -1)
        column[order] = np.arange(len(order))
        joints = column[mesh.joint_indices[first]]
        if (joints < 0).any():
            raise ValueError(f'{path}: a vertex follows an unknown joint')
        for i in range(joints.shape[1]):
            np.add.at(weights, (np.arange(len(first)), joints[:, i]),
                      mesh.joint_weights[first, i])
        self.vertices, self.faces, self.weights = _attach_forearm(
            vertices * 1000, faces, weights, path)
        self.face_parts = self._label_faces()

        parent_rotation = self.rest_rotation[PARENTS].transpose(0, 2, 1)
        offset = self.rest_position - self.rest_position[PARENTS]
        self._local_rotation = parent_rotation @ self.rest_rotation
        self._local_offset = np.einsum('jab,jb->ja', parent_rotation, offset)
        self._levels = _tree_levels()
        # The widest row of the weights fixes the number of influences.
        count = int((self.weights > 0).sum(axis=1).max())
        self._influences = np.argsort(
            -self.weights, axis=1, kind='stable')[:, :count].copy()
        self._influence_weights = np.take_along_axis(
            self.weights, self._influences, axis=1)
        self._tip_offset = self._skin_tips(path)

    def _label_faces(self) -> np.ndarray:
        part = np.full(len(JOINT_NAMES), PALM_PART)
        part[FOREARM] = FOREARM_PART
        for f, joints in enumerate(FINGER_JOINTS):
            base, middle, distal, tip = [JOINT_INDEX[j] for j in joints[-4:]]
            part[base], part[middle] = 3 * f + 2, 3 * f + 1
            part[distal] = part[tip] = 3 * f
        dominant = self.weights[self.faces].sum(axis=1).argmax(axis=1)
        return part[dominant].astype(np.uint8)

    def _skin_tips(self, path: Path) -> np.ndarray:
        """(5, 3) position of the finger tips' skin in the distal frames."""
        offsets = np.empty((len(FINGERS), 3))
        for f, joints in enumerate(FINGER_JOINTS):
            distal, tip = (JOINT_INDEX[name] for name in joints[-2:])
            origin = self.rest_position[tip]
            direction = -self.rest_rotation[tip][:, 2]
            distance = _ray_distance(origin, direction,
                                     self.vertices[self.faces])
            if not 0 < distance < 15:
                raise ValueError(f'{path}: no skin within 15 mm beyond '
                                 f'{joints[-1]}')
            offsets[f] = self.rest_rotation[distal].T @ (
                origin + distance * direction - self.rest_position[distal])
        return offsets

    def joint_frames(self, pose: np.ndarray,
                     bone_scale: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Forward kinematics.

        Args:
            pose: (J, 3) flexion, abduction, twist in degrees from the rest
                pose: flexion bends towards the palm, abduction towards the
                thumb, twist turns about the bone. The wrist's row moves the
                hand against the forearm; the hand stays where it is.
            bone_scale: (J, 3) scale of each joint's bone and flesh along its
                axes, not inherited by its children.

        Returns:
            tuple: Rotations (J, 3, 3) and positions (J, 3) in mm.
        """
        flexion, abduction, twist = np.radians(pose).T
        motion = rotation_y(abduction) @ rotation_x(-flexion) @ rotation_z(
            twist)
        # The wrist frame is the root, so its motion moves the arm, inversely.
        motion[FOREARM] = motion[WRIST].T
        motion[WRIST] = np.eye(3)
        rotation = self._local_rotation @ motion
        position = bone_scale[PARENTS] * self._local_offset
        for level in self._levels:
            parent = PARENTS[level]
            position[level] = position[parent] + np.einsum(
                'jab,jb->ja', rotation[parent], position[level])
            rotation[level] = rotation[parent] @ rotation[level]
        return rotation, position

    def deform(self, pose: np.ndarray, bone_scale: np.ndarray) -> HandGeometry:
        """Pose the hand; see :meth:`joint_frames` for the arguments.

        Returns:
            HandGeometry: Vertices and key points in mm, wrist frame.
        """
        rotation, position = self.joint_frames(pose, bone_scale)
        scaled = rotation * bone_scale[:, None, :]
        linear = scaled @ self.rest_rotation.transpose(0, 2, 1)
        shift = position - np.einsum('jab,jb->ja', linear, self.rest_position)
        transforms = np.concatenate([linear, shift[..., None]], axis=2)
        vertices = _skin(self.vertices, self._influences,
                         self._influence_weights, transforms)
        keypoints = position[KEYPOINT_JOINTS]
        for f, joints in enumerate(FINGER_JOINTS):
            distal = JOINT_INDEX[joints[-2]]
            keypoints[4 * (f + 1)] = (
                position[distal] + scaled[distal] @ self._tip_offset[f])
        return HandGeometry(vertices, keypoints)


def _tree_levels() -> list:
    """Indices of the joints at depth 1, 2, ... below the wrist."""
    depth = np.zeros(len(PARENTS), int)
    for j in range(1, len(PARENTS)):
        depth[j] = depth[PARENTS[j]] + 1
    return [np.flatnonzero(depth == d) for d in range(1, depth.max() + 1)]


def _ray_distance(origin: np.ndarray, direction: np.ndarray,
                  triangles: np.ndarray) -> float:
    """Distance to the first triangle hit (Moeller & Trumbore), else inf."""
    a, b, c = triangles.transpose(1, 0, 2)
    edge1, edge2 = b - a, c - a
    p = np.cross(direction, edge2)
    det = (edge1 * p).sum(axis=1)
    ok = np.abs(det) > 1e-12
    inv = 1 / np.where(ok, det, 1)
    s = origin - a
    u = (s * p).sum(axis=1) * inv
    q = np.cross(s, edge1)
    v = (q @ direction) * inv
    t = (edge2 * q).sum(axis=1) * inv
    hit = ok & (u >= -1e-9) & (v >= -1e-9) & (u + v <= 1 + 1e-9) & (t > 0)
    return float(t[hit].min()) if hit.any() else np.inf


def _attach_forearm(vertices: np.ndarray, faces: np.ndarray,
                    weights: np.ndarray,
                    path: Path) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Replace the flat end of the mesh at the wrist by a forearm."""
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0],
                       corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    cap = (normals[:, 2] > .7) & (corners[:, :, 2].mean(axis=1) > 5)
    faces = faces[~cap]
    rim = _boundary_loop(faces, path)

    count, start = len(rim), len(vertices)
    centre = vertices[rim].mean(axis=0)
    cross_section = vertices[rim, :2] - centre[:2]
    rings = [vertices[rim]]
    for z, width, height in FOREARM_RINGS:
        # Rings turn from the rim's slant to upright within 60 mm.
        slant = max(0., 1 - (z - FOREARM_RINGS[0][0]) / 60)
        rings.append(
            np.column_stack([
                centre[:2] + cross_section * (width, height),
                z + slant * (vertices[rim, 2] - centre[2])
            ]))
    end = np.array([[centre[0], centre[1], FOREARM_RINGS[-1][0] + 10]])
    ids = np.concatenate([rim, start + np.arange(count * len(FOREARM_RINGS))])
    ids = ids.reshape(-1, count)
    apex = start + count * len(FOREARM_RINGS)
    a, b = ids[:-1], np.roll(ids[:-1], -1, axis=1)
    c, d = ids[1:], np.roll(ids[1:], -1, axis=1)
    last, following = ids[-1], np.roll(ids[-1], -1)
    tube = np.concatenate([
        np.stack([a, b, d], -1).reshape(-1, 3),
        np.stack([a, d, c], -1).reshape(-1, 3),
        np.stack([last, following, np.full(count, apex)], -1)
    ])
    vertices = np.concatenate([vertices, *rings[1:], end])

    low, high = _WRIST_BLEND
    blend = np.clip((vertices[:, 2] - low) / (high - low), 0, 1)
    blend = blend * blend * (3 - 2 * blend)
    weights = np.concatenate(
        [weights, np.zeros((len(vertices) - start, len(JOINT_NAMES)))])
    weights[start:, WRIST] = 1
    weights[:, FOREARM] = weights[:, WRIST] * blend
    weights[:, WRIST] -= weights[:, FOREARM]
    return vertices, np.concatenate([faces, tube]).astype(np.int32), weights


def _boundary_loop(faces: np.ndarray, path: Path) -> np.ndarray:
    """Vertices of the only open edge loop, so that (next, this) is a face's
    edge: a strip that continues the loop keeps the orientation."""
    edges = np.concatenate(
        [faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    known = set(map(tuple, edges.tolist()))
    following = {b: a for a, b in known if (b, a) not in known}
    if len(following) < 3:
        raise ValueError(f'{path}: the mesh has no flat end at the wrist')
    loop = [min(following)]
    while len(loop) <= len(following):
        nxt = following.get(loop[-1])
        if nxt == loop[0]:
            break
        loop.append(nxt)
    if len(loop) != len(following) or None in loop:
        raise ValueError(f'{path}: the wrist end of the mesh is not one loop')
    return np.array(loop)
