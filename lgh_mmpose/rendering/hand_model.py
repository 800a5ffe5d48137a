"""The hand of StudioHand: mesh, subjects, kinematics and skinning.

All quantities are millimetres in the hand frame of the right hand: origin at
the wrist joint, -z towards the fingers, +y out of the back of the hand, -x
towards the thumb. A left hand is the mirror image of a right one.

Legend: J = 26 joints, V vertices, F triangles, K = 21 key points.
"""
from pathlib import Path
from typing import NamedTuple, Optional, Tuple, Union

import numpy as np

from .assets import asset_path, foreign_file, load_arrays
from .numba_utils import cached_njit

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

ASSET = {
    'mean': ('f', ('points', 3)),
    'components': ('i', ('components', 'coordinates')),
    'component_steps': ('f', ('components', )),
    'finger_lengths': ('i', (len(FINGERS), 'coordinates')),
    'finger_length_steps': ('f', (len(FINGERS), )),
    'coefficients': ('f', ('subjects', 'components')),
    'male': ('i', ('subjects', )),
    'age': ('f', ('subjects', )),
    'influences': ('i', ('vertices', 'influences')),
    'weights': ('i', ('vertices', 'influences')),
    'faces': ('i', ('faces', 3)),
    'texture_coordinates': ('i', ('texels', 2)),
    'texture_faces': ('i', ('faces', 3)),
    'dorsal': ('f', (len(JOINT_NAMES), 3)),
    'tip_vertices': ('i', (len(FINGERS), 3)),
    'tip_weights': ('f', (len(FINGERS), 3)),
}


class Subject(NamedTuple):
    """A person's right hand at rest.

    Attributes:
        vertices: (V, 3) float32 in mm.
        joints: (J, 3) float32 positions of the joints in mm.
        male: 0 (female) to 1 (male).
        age: Years.
        centres: (V, 3) float32 centres of rotation of the vertices in mm.
    """
    vertices: np.ndarray
    joints: np.ndarray
    male: float
    age: float
    centres: np.ndarray


class HandGeometry(NamedTuple):
    """A posed hand in millimetres.

    Attributes:
        vertices: (V, 3) float32.
        keypoints: (K, 3) float32 in FreiHAND's order, finger tips on the skin.
    """
    vertices: np.ndarray
    keypoints: np.ndarray


def mirror(points: np.ndarray) -> np.ndarray:
    """Turn (..., 3) points of a right hand into those of a left hand.

    The triangles of a mirrored mesh are to be reversed as well.
    """
    return points * np.array([-1, 1, 1], points.dtype)


def hand_length(joints: np.ndarray) -> float:
    """Length in mm of the stretched middle finger and its metacarpal."""
    chain = joints[[WRIST] + [JOINT_INDEX[j] for j in FINGER_JOINTS[2][1:]]]
    return float(np.linalg.norm(np.diff(chain, axis=0), axis=1).sum())


CHILDREN = np.arange(len(JOINT_NAMES))
"""(J,) joint at the other end of each bone; -1 where there is no bone, the
joint itself at the tips, which continue the last bone."""
CHILDREN[[WRIST, FOREARM]] = -1
for _joints in FINGER_JOINTS:
    for _parent, _child in zip(_joints, _joints[1:]):
        CHILDREN[JOINT_INDEX[_parent]] = JOINT_INDEX[_child]

_IN_LINE = np.zeros(len(JOINT_NAMES), bool)
"""Joints whose zero is the straight finger; the others' is the rest pose."""
for _joints in FINGER_JOINTS[1:]:
    for _name in _joints[1:]:
        _IN_LINE[JOINT_INDEX[_name]] = True

KEYPOINT_SHIFTS = np.zeros(len(KEYPOINT_JOINTS))
"""(K,) how far a key point lies from its joint towards the finger's tip, as
a fraction of the hand's length: what brings the joints' definition to that of
FreiHAND, see ``docs/rendered_hands/key_points.md``."""
KEYPOINT_SHIFTS[[2, 3]] = -.013, -.029  # thumb: MCP, IP
KEYPOINT_SHIFTS[[9, 11]] = .027, -.009  # middle finger: MCP, DIP
KEYPOINT_SHIFTS[[13, 14, 15]] = .020, -.012, -.024  # ring finger
KEYPOINT_SHIFTS[19] = -.010  # little finger: DIP

# Length of the right hand from the wrist to the tip of the middle finger, mean
# and standard deviation in mm of 150 men and 150 women: Ibeachu et al., Asian
# Journal of Medical Sciences 3 (2011).
_MEN_LENGTH, _WOMEN_LENGTH = (190.2, 9.8), (176.2, 8.6)
# Of a finger's length, beside what all fingers share: the ratio of index and
# ring finger, for one, deviates by .03 among adults (Manning et al. 1998).
_FINGER_DEVIATION = .025
# Children's relative to adults', rough: ages in years and fractions.
_BOYS_GROWTH, _GIRLS_GROWTH = ((12, 17), (.85, 1)), ((12, 15), (.92, 1))


@cached_njit
def _rest_rotations(joints, dorsal, parents, children):
    """(J, 3, 3) joint frames of a hand at rest, see HandModel."""
    rotations = np.zeros((len(joints), 3, 3))
    for j in range(len(joints)):
        c = children[j]
        if c < 0:
            rotations[j] = np.eye(3)
        elif c == j:
            rotations[j] = rotations[parents[j]]
        else:
            z = joints[j].astype(np.float64) - joints[c]
            z /= np.sqrt((z * z).sum())
            y = dorsal[j] - z * (z * dorsal[j]).sum()
            y /= np.sqrt((y * y).sum())
            rotations[j, :, 0] = np.cross(y, z)
            rotations[j, :, 1] = y
            rotations[j, :, 2] = z
    return rotations


@cached_njit
def _motion(flexion, abduction, twist):
    """Ry(abduction) Rx(-flexion) Rz(twist), angles in radians."""
    cf, sf = np.cos(flexion), np.sin(flexion)
    ca, sa = np.cos(abduction), np.sin(abduction)
    ct, st = np.cos(twist), np.sin(twist)
    return np.array(
        [[ca * ct - sa * sf * st, -ca * st - sa * sf * ct, sa * cf],
         [cf * st, cf * ct, sf],
         [-sa * ct - ca * sf * st, sa * st - ca * sf * ct, ca * cf]])


@cached_njit
def _forward(joints, rest, pose, parents, in_line):
    """Rotations (J, 3, 3) and positions (J, 3) of a posed hand."""
    rotations = np.empty_like(rest)
    positions = np.zeros((len(joints), 3))
    for j in range(len(joints)):
        p = parents[j]
        flexion, abduction, twist = np.radians(pose[j])
        motion = _motion(flexion, abduction, twist)
        if p == j:
            # The hand is the root, so its motion moves the arm, inversely.
            rotations[j] = rest[j]
            continue
        if j == len(joints) - 1:
            flexion, abduction, twist = np.radians(pose[p])
            motion = _motion(flexion, abduction, twist).T.copy()
        neutral = rest[p].T.copy() @ rest[j]
        if in_line[j]:
            # of the rest pose, only the turn about the bone
            roll = np.arctan2(neutral[1, 0], neutral[1, 1])
            rotations[j] = rotations[p] @ motion @ _motion(0., 0., roll)
        else:
            rotations[j] = rotations[p] @ neutral @ motion
        offset = (joints[j] - joints[p]).astype(np.float64)
        positions[j] = positions[p] + rotations[p] @ (
            rest[p].T.copy() @ offset)
    return rotations, positions


@cached_njit
def _quaternion(m):
    """Unit quaternion (w, x, y, z) of a rotation matrix."""
    q = np.empty(4)
    trace = m[0, 0] + m[1, 1] + m[2, 2]
    if trace > 0:
        s = np.sqrt(trace + 1) * 2
        q[0] = s / 4
        q[1] = (m[2, 1] - m[1, 2]) / s
        q[2] = (m[0, 2] - m[2, 0]) / s
        q[3] = (m[1, 0] - m[0, 1]) / s
    else:
        i = 0
        if m[1, 1] > m[0, 0]:
            i = 1
        if m[2, 2] > m[i, i]:
            i = 2
        j, k = (i + 1) % 3, (i + 2) % 3
        s = np.sqrt(1 + m[i, i] - m[j, j] - m[k, k]) * 2
        q[0] = (m[k, j] - m[j, k]) / s
        q[1 + i] = s / 4
        q[1 + j] = (m[j, i] + m[i, j]) / s
        q[1 + k] = (m[k, i] + m[i, k]) / s
    return q


@cached_njit
def _transforms(joints, rest, rotations, positions, parents):
    """(J, 16) float32: rotation from the rest pose row by row, shift and
    quaternion, whose sign agrees with the parent's."""
    out = np.empty((len(joints), 16), np.float32)
    for j in range(len(joints)):
        linear = rotations[j] @ rest[j].T.copy()
        q = _quaternion(linear)
        if j != parents[j]:
            dot = 0.
            for i in range(4):
                dot += q[i] * out[parents[j], 12 + i]
            if dot < 0:
                q = -q
        shift = positions[j] - linear @ joints[j].astype(np.float64)
        for r in range(3):
            for c in range(3):
                out[j, 3 * r + c] = linear[r, c]
            out[j, 9 + r] = shift[r]
        out[j, 12:] = q
    return out


@cached_njit
def _skin(vertices, centres, influences, weights, transforms):
    """Skinning with centres of rotation (Le and Hodgins, SIGGRAPH 2016).

    A vertex turns by the blended quaternion about its centre, which itself
    moves as linear blend skinning would move it.
    """
    out = np.empty_like(vertices)
    blend = np.empty(16, np.float32)
    for v in range(len(vertices)):
        first = influences[v, 0]
        if weights[v, 1] == 0:
            blend[:] = transforms[first]
            cx = cy = cz = np.float32(0)
        else:
            blend[:] = 0
            for i in range(influences.shape[1]):
                weight = weights[v, i]
                if weight == 0:
                    break
                t = transforms[influences[v, i]]
                for k in range(16):
                    blend[k] += weight * t[k]
            cx, cy, cz = centres[v]
        mx = blend[0] * cx + blend[1] * cy + blend[2] * cz + blend[9]
        my = blend[3] * cx + blend[4] * cy + blend[5] * cz + blend[10]
        mz = blend[6] * cx + blend[7] * cy + blend[8] * cz + blend[11]
        w, x, y, z = blend[12], blend[13], blend[14], blend[15]
        s = np.float32(2) / (w * w + x * x + y * y + z * z)
        px, py, pz = (vertices[v, 0] - cx, vertices[v, 1] - cy,
                      vertices[v, 2] - cz)
        # p + s * q x (q x p + w p)
        ax = y * pz - z * py + w * px
        ay = z * px - x * pz + w * py
        az = x * py - y * px + w * pz
        out[v, 0] = mx + px + s * (y * az - z * ay)
        out[v, 1] = my + py + s * (z * ax - x * az)
        out[v, 2] = mz + pz + s * (x * ay - y * ax)
    return out


@cached_njit
def _centres(influences, weights, face_weights, areas, points, sigma):
    """Centres of rotation of the vertices, for many hands at once.

    Args:
        influences, weights: (V, I), the largest weight first.
        face_weights: (F, J) weights of the triangles.
        areas: (F,) of the triangles.
        points: (F, C) centres of the triangles, C coordinates each.
        sigma: How alike weights must be for a triangle to count.

    Returns:
        np.ndarray: (V, C) centres; zero where one joint holds a vertex alone.
    """
    bits = np.zeros(len(face_weights), np.int64)
    for f in range(len(face_weights)):
        for j in range(face_weights.shape[1]):
            if face_weights[f, j] > 0:
                bits[f] |= 1 << j
    out = np.zeros((len(influences), points.shape[1]))
    for v in range(len(influences)):
        if weights[v, 1] == 0:
            continue
        own = 0
        for i in range(influences.shape[1]):
            if weights[v, i] > 0:
                own |= 1 << influences[v, i]
        total = 0.
        for f in range(len(face_weights)):
            shared = own & bits[f]
            if shared & (shared - 1) == 0:  # not two joints in common
                continue
            similarity = 0.
            for a in range(influences.shape[1]):
                wa = weights[v, a]
                ta = face_weights[f, influences[v, a]]
                for b in range(a):
                    wb = weights[v, b]
                    tb = face_weights[f, influences[v, b]]
                    product = wa * wb * ta * tb
                    if product > 0:
                        difference = (wa * tb - wb * ta) / sigma
                        similarity += product * np.exp(
                            -difference * difference)
            if similarity > 0:
                similarity *= areas[f]
                total += similarity
                out[v] += similarity * points[f]
        out[v] /= total
    return out


@cached_njit
def _combine(mean, coefficients, components):
    """``mean + coefficients @ components``, added up in the same order on
    every machine; the order of BLAS is that of its kernels."""
    out = mean.copy()
    for i in range(len(coefficients)):
        for j in range(len(out)):
            out[j] += coefficients[i] * components[i, j]
    return out


class HandModel:
    """Rigged right hand with a forearm, in many people's shapes.

    Every joint frame has -z along its bone and +y dorsal. The angles of MCP,
    PIP and DIP joints of the four fingers are anatomical: at 0 a bone is in
    line with the one before, and the finger a straight continuation of its
    metacarpal. All other joints are at 0 as in the mesh's rest pose: the hand
    in line with the forearm, the palm flat, and the thumb relaxed beside it,
    its nail at right angles to theirs, its MCP joint bent by 15 degrees.

    Args:
        path: The baked hand. Default: the one that ships.

    Attributes:
        faces: (F, 3) int32, counter-clockwise seen from outside.
        texture_coordinates: (T, 2) float32 in 0..1 of the skin's atlas, the
            second downwards as rows of an image are.
        texture_faces: (F, 3) int32, rows of ``texture_coordinates``.
        face_parts: (F,) uint8, see :data:`FOREARM_PART`.
        mean_subject: The mean of all bodies.

    Raises:
        FileNotFoundError: If the baked hand is missing.
        ValueError: If it is damaged.
    """

    def __init__(self, path: Optional[Union[str, Path]] = None):
        path = asset_path('hand.npz') if path is None else Path(path)
        data = load_arrays(path, ASSET)
        count = len(data['weights'])
        for name, limit in (('faces', count), ('tip_vertices', count),
                            ('influences', len(JOINT_NAMES)),
                            ('texture_faces',
                             len(data['texture_coordinates']))):
            if data[name].max() >= limit:
                raise foreign_file(path, f'array {name!r} points beyond its '
                                   'end')
        if len(data['mean']) != count + len(JOINT_NAMES) or 3 * len(
                data['mean']) != data['components'].shape[1]:
            raise foreign_file(path, 'its hands are of other sizes')
        self.faces = data['faces'].astype(np.int32)
        self.texture_coordinates = (data['texture_coordinates'] /
                                    65535).astype(np.float32)
        self.texture_faces = data['texture_faces'].astype(np.int32)
        self._influences = data['influences'].astype(np.int32)
        weights = data['weights'].astype(np.float32)
        self._weights = weights / weights.sum(axis=1, keepdims=True)
        self._dorsal = data['dorsal'].astype(np.float64)
        self._tip_vertices = data['tip_vertices'].astype(np.int64)
        self._tip_weights = data['tip_weights'].astype(np.float32)

        mean = data['mean']
        # what makes a finger longer by its own length follows the bodies'
        # principal components
        components = np.concatenate([
            data['components'] * data['component_steps'][:, None],
            data['finger_lengths'] * data['finger_length_steps'][:, None]
        ])
        self._num_vertices = len(self._influences)
        centres = self._find_centres(mean, components)
        self._mean = np.concatenate([mean, centres[0]]).ravel()
        self._components = np.concatenate(
            [components.reshape(len(components), -1, 3), centres[1:]],
            axis=1).reshape(len(components), -1).astype(np.float32)
        self._coefficients = data['coefficients'].astype(np.float32)
        self._male = data['male'] / 255
        self._age = data['age'].astype(np.float64)
        self._neighbours = self._find_neighbours()
        self.mean_subject = self._subject(
            np.zeros(len(components), np.float32), .5, 35.)
        self.face_parts = self._label_faces()

    def _find_centres(self, mean, components):
        """(1 + C, V, 3) centres of rotation of mean and components."""
        hands = np.concatenate(
            [mean[None],
             components.reshape(len(components), -1, 3)])
        hands = hands[:, :self._num_vertices]
        corners = mean[self.faces]
        areas = np.linalg.norm(
            np.cross(corners[:, 1] - corners[:, 0],
                     corners[:, 2] - corners[:, 0]),
            axis=1)
        points = hands[:, self.faces].mean(axis=2).transpose(1, 0, 2)
        centres = _centres(
            self._influences, self._weights.astype(np.float64),
            self._dense_weights()[self.faces].mean(axis=1),
            areas.astype(np.float64),
            points.reshape(len(self.faces), -1).astype(np.float64), .1)
        return centres.reshape(self._num_vertices, -1,
                               3).transpose(1, 0, 2).astype(np.float32)

    def _dense_weights(self) -> np.ndarray:
        """(V, J) float64 skin weights."""
        dense = np.zeros((self._num_vertices, len(JOINT_NAMES)))
        np.put_along_axis(dense, self._influences, self._weights, axis=1)
        return dense

    def _find_neighbours(self) -> np.ndarray:
        """(N, 12) bodies next to each in sex and age."""
        place = np.stack([self._male, self._age / 40], axis=1)
        distance = np.linalg.norm(place[:, None] - place, axis=2)
        return np.argsort(distance, axis=1, kind='stable')[:, 1:13]

    def _label_faces(self) -> np.ndarray:
        part = np.full(len(JOINT_NAMES), PALM_PART)
        part[FOREARM] = FOREARM_PART
        for f, joints in enumerate(FINGER_JOINTS):
            base, middle, distal, tip = [JOINT_INDEX[j] for j in joints[-4:]]
            part[base], part[middle] = 3 * f + 2, 3 * f + 1
            part[distal] = part[tip] = 3 * f
        dominant = self._dense_weights()[self.faces].sum(axis=1).argmax(axis=1)
        return part[dominant].astype(np.uint8)

    def _subject(self, coefficients: np.ndarray, male: float,
                 age: float) -> Subject:
        points = _combine(self._mean, coefficients, self._components)
        vertices, joints, centres = np.split(
            points.astype(np.float32).reshape(-1, 3),
            [self._num_vertices, self._num_vertices + len(JOINT_NAMES)])
        return Subject(vertices, joints, float(male), float(age), centres)

    def sample_subject(self, rng: np.random.Generator) -> Subject:
        """Draw a person.

        The shape lies on the line through two bodies near in sex and age; on
        top of it each finger has a length of its own. The size is that of
        measured people of this sex and age.

        Args:
            rng: Source of randomness.

        Returns:
            Subject: The person's right hand.
        """
        a = rng.integers(len(self._age))
        b = rng.choice(self._neighbours[a])
        # Beyond both ends, too: mixtures alone would be too much alike.
        share = rng.uniform(-.25, 1.25)
        male, age = [
            float(v[a] + np.clip(share, 0, 1) * (v[b] - v[a]))
            for v in (self._male, self._age)
        ]
        shape = self._coefficients[a] + np.float32(share) * (
            self._coefficients[b] - self._coefficients[a])
        fingers = _FINGER_DEVIATION * np.clip(
            rng.normal(size=len(FINGERS)), -2.5, 2.5)
        mean, deviation = (
            np.array(_WOMEN_LENGTH) + male *
            (np.array(_MEN_LENGTH) - _WOMEN_LENGTH))
        growth = np.interp(age,
                           *(_BOYS_GROWTH if male > .5 else _GIRLS_GROWTH))
        length = growth * (mean + deviation * np.clip(rng.normal(), -2.5, 2.5))
        subject = self._subject(
            np.concatenate([shape, fingers.astype(np.float32)]), male, age)
        size = np.float32(length / hand_length(subject.joints))
        return Subject(size * subject.vertices, size * subject.joints, male,
                       age, size * subject.centres)

    def rest_rotations(self, subject: Subject) -> np.ndarray:
        """(J, 3, 3) joint frames of a subject's hand at rest."""
        return _rest_rotations(subject.joints, self._dorsal, PARENTS, CHILDREN)

    def joint_frames(self, pose: np.ndarray,
                     subject: Subject) -> Tuple[np.ndarray, np.ndarray]:
        """Forward kinematics.

        Args:
            pose: (J, 3) flexion, abduction, twist in degrees: flexion bends
                towards the palm, abduction towards the thumb, twist turns
                about the bone. The wrist's row moves the hand against the
                forearm; the hand stays where it is.
            subject: The person.

        Returns:
            tuple: Rotations (J, 3, 3) and positions (J, 3) in mm, float64.
        """
        rest = _rest_rotations(subject.joints, self._dorsal, PARENTS, CHILDREN)
        return _forward(subject.joints, rest, np.asarray(pose, np.float64),
                        PARENTS, _IN_LINE)

    def rest_pose(self, subject: Subject) -> np.ndarray:
        """(J, 3) pose in which ``subject.vertices`` hold, in degrees."""
        rest = _rest_rotations(subject.joints, self._dorsal, PARENTS, CHILDREN)
        motion = rest[PARENTS].transpose(0, 2, 1) @ rest
        pose = np.degrees(
            np.stack([
                np.arcsin(np.clip(motion[:, 1, 2], -1, 1)),
                np.arctan2(motion[:, 0, 2], motion[:, 2, 2]),
                np.zeros(len(motion))
            ],
                     axis=1))
        pose[~_IN_LINE] = 0
        return pose

    def deform(self, pose: np.ndarray, subject: Subject) -> HandGeometry:
        """Pose a person's hand.

        Args:
            pose: (J, 3) in degrees, see :meth:`joint_frames`.
            subject: The person.

        Returns:
            HandGeometry: Vertices and key points in mm, hand frame.
        """
        rest = _rest_rotations(subject.joints, self._dorsal, PARENTS, CHILDREN)
        rotations, positions = _forward(subject.joints, rest,
                                        np.asarray(pose, np.float64), PARENTS,
                                        _IN_LINE)
        transforms = _transforms(subject.joints, rest, rotations, positions,
                                 PARENTS)
        vertices = _skin(subject.vertices, subject.centres, self._influences,
                         self._weights, transforms)
        keypoints = positions[KEYPOINT_JOINTS]
        # halfway between the directions of the two bones that meet
        along = -(
            rotations[KEYPOINT_JOINTS, :, 2] +
            rotations[PARENTS[KEYPOINT_JOINTS], :, 2])
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        keypoints += hand_length(
            subject.joints) * KEYPOINT_SHIFTS[:, None] * along
        keypoints[4::4] = np.einsum('fi,fid->fd', self._tip_weights,
                                    vertices[self._tip_vertices])
        return HandGeometry(vertices, keypoints.astype(np.float32))
