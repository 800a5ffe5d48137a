"""Read the skinned mesh of a binary glTF 2.0 file (``.glb``).

Only what a rigged hand needs is supported: one buffer inside the file, plain
(not sparse, not compressed) accessors, one skin. A file comes from outside, so
every offset and index is checked before it is used.
"""
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Tuple, Union

import numpy as np

from lgh_mmpose.reading import reason

_MAGIC = b'glTF'
_CHUNK_JSON = 0x4E4F534A
_CHUNK_BIN = 0x004E4942
_COMPONENT_TYPES = {
    5121: np.dtype('<u1'),
    5123: np.dtype('<u2'),
    5125: np.dtype('<u4'),
    5126: np.dtype('<f4'),
}
_NUM_COMPONENTS = {'SCALAR': 1, 'VEC2': 2, 'VEC3': 3, 'VEC4': 4, 'MAT4': 16}


@dataclass(frozen=True)
class SkinnedMesh:
    """Mesh, skin weights and bind pose of a glTF file, in metres.

    - V vertices, F triangles, J joints

    Attributes:
        vertices: (V, 3) float64, mesh coordinates in the bind pose.
        faces: (F, 3) int64 vertex indices, counter-clockwise from outside.
        joint_indices: (V, 4) int64 indices into ``joint_names``.
        joint_weights: (V, 4) float64, each row sums to 1.
        joint_names: J node names, in the order of the skin.
        inverse_bind_matrices: (J, 4, 4) float64, mesh to joint coordinates.
    """
    vertices: np.ndarray
    faces: np.ndarray
    joint_indices: np.ndarray
    joint_weights: np.ndarray
    joint_names: Tuple[str, ...]
    inverse_bind_matrices: np.ndarray


def read_glb(path: Union[str, Path]) -> SkinnedMesh:
    """Read the first mesh and the first skin of a ``.glb`` file.

    Args:
        path: The file.

    Returns:
        SkinnedMesh: Geometry, weights and bind pose (metres).

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the file is damaged or holds no skinned mesh; the
            message names the file and what is wrong.
    """
    path = Path(path)
    data = path.read_bytes()
    try:
        document, binary = _split_chunks(data)
        return _read_skinned_mesh(document, binary)
    except ValueError as error:
        raise ValueError(
            f'{path}: not a usable glTF hand mesh: {reason(error)}. Restore '
            'the file from the distribution.') from error
    except Exception as error:  # anything may stand in its JSON
        raise ValueError(
            f'{path}: not a usable glTF hand mesh: malformed or missing entry '
            f'({reason(error)}). Restore the file from the distribution.'
        ) from error


def _split_chunks(data: bytes) -> Tuple[dict, bytes]:
    """Return the JSON document and the binary buffer of a GLB container."""
    if len(data) < 20 or data[:4] != _MAGIC:
        raise ValueError('the header is not that of a binary glTF file')
    version, length = struct.unpack_from('<II', data, 4)
    if version != 2:
        raise ValueError(f'glTF version {version}, expected 2')
    if length != len(data):
        raise ValueError(
            f'the header announces {length} bytes, the file has {len(data)}')
    chunks = {}
    offset = 12
    while offset < length:
        if offset + 8 > length:
            raise ValueError('the last chunk header is cut off')
        size, kind = struct.unpack_from('<II', data, offset)
        offset += 8
        if offset + size > length:
            raise ValueError(f'a chunk of {size} bytes exceeds the file')
        chunks.setdefault(kind, data[offset:offset + size])
        offset += size
    if _CHUNK_JSON not in chunks or _CHUNK_BIN not in chunks:
        raise ValueError('the JSON or the binary chunk is missing')
    document = json.loads(chunks[_CHUNK_JSON].decode('utf-8'))
    if not isinstance(document, dict):
        raise ValueError('the JSON chunk is not an object')
    return document, chunks[_CHUNK_BIN]


def _entry(items: list, index: int, what: str) -> dict:
    """Return ``items[index]``; negative indices are errors in glTF."""
    if not isinstance(index, int) or not 0 <= index < len(items):
        raise ValueError(f'{what} {index!r} does not exist')
    return items[index]


def _read_accessor(document: dict, binary: bytes, index: int) -> np.ndarray:
    """Return an accessor's data as (count, components)."""
    accessor = _entry(document['accessors'], index, 'accessor')
    if 'sparse' in accessor or 'bufferView' not in accessor:
        raise ValueError(f'accessor {index} is sparse, which is unsupported')
    view = _entry(document['bufferViews'], accessor['bufferView'],
                  'buffer view')
    if view.get('buffer') != 0:
        raise ValueError(f'accessor {index} is not in the embedded buffer')
    dtype = _COMPONENT_TYPES.get(accessor['componentType'])
    components = _NUM_COMPONENTS.get(accessor['type'])
    if dtype is None or components is None:
        raise ValueError(f'accessor {index} has the unsupported type '
                         f'{accessor["componentType"]!r} {accessor["type"]!r}')
    count = accessor['count']
    item_size = dtype.itemsize * components
    view_offset = view.get('byteOffset', 0)
    offset = accessor.get('byteOffset', 0)
    stride = view.get('byteStride', item_size)
    numbers = (count, view_offset, offset, stride, view['byteLength'])
    if not all(isinstance(n, int) and n >= 0 for n in numbers):
        raise ValueError(f'accessor {index} has a negative or non-integer '
                         'count, offset or length')
    if count == 0 or stride < item_size:
        raise ValueError(f'accessor {index} is empty or its stride is short')
    end = offset + stride * (count - 1) + item_size
    if end > view['byteLength'] or \
            view_offset + view['byteLength'] > len(binary):
        raise ValueError(f'accessor {index} reaches beyond its buffer')
    return np.ndarray((count, components),
                      dtype,
                      binary,
                      offset=view_offset + offset,
                      strides=(stride, dtype.itemsize)).copy()


def _read_skinned_mesh(document: dict, binary: bytes) -> SkinnedMesh:
    primitive = document['meshes'][0]['primitives'][0]
    attributes = primitive['attributes']
    skin = document['skins'][0]
    if primitive.get('mode', 4) != 4:
        raise ValueError('the mesh is not made of triangles')

    def read(accessor: int, width: int) -> np.ndarray:
        array = _read_accessor(document, binary, accessor)
        if array.shape[1] != width:
            raise ValueError(f'accessor {accessor} has {array.shape[1]} '
                             f'components, expected {width}')
        return array

    vertices = read(attributes['POSITION'], 3).astype(np.float64)
    joint_indices = read(attributes['JOINTS_0'], 4).astype(np.int64)
    weights = read(attributes['WEIGHTS_0'], 4)
    indices = read(primitive['indices'], 1).astype(np.int64)
    inverse_bind = read(skin['inverseBindMatrices'], 16).astype(np.float64)
    names = tuple(
        str(_entry(document['nodes'], node, 'node')['name'])
        for node in skin['joints'])

    if len(indices) % 3:
        raise ValueError(f'{len(indices)} indices do not make triangles')
    if indices.max() >= len(vertices):
        raise ValueError(f'a triangle names vertex {indices.max()} of '
                         f'{len(vertices)}')
    if not len(vertices) == len(joint_indices) == len(weights):
        raise ValueError('positions, joints and weights differ in number')
    if joint_indices.max() >= len(names) or len(inverse_bind) != len(names):
        raise ValueError(f'the skin names joints beyond its {len(names)}')
    if weights.dtype.kind == 'u':  # normalised integers, glTF 2.0 section 3.7
        weights = weights / np.iinfo(weights.dtype).max
    weights = weights.astype(np.float64)
    if not all(
            np.isfinite(a).all() for a in (vertices, weights, inverse_bind)):
        raise ValueError('a position, weight or bind matrix is not finite')
    total = weights.sum(axis=1, keepdims=True)
    if (weights < 0).any() or np.abs(total - 1).max() > 1e-2:
        raise ValueError('the skin weights of a vertex do not sum to 1')
    # glTF stores matrices by column.
    inverse_bind = inverse_bind.reshape(-1, 4, 4).transpose(0, 2, 1)
    if np.abs(np.linalg.det(inverse_bind)).min() < 1e-9:
        raise ValueError('a bind matrix is singular')
    return SkinnedMesh(
        vertices=vertices,
        faces=indices.reshape(-1, 3),
        joint_indices=joint_indices,
        joint_weights=weights / total,
        joint_names=names,
        inverse_bind_matrices=inverse_bind)
