import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lgh_mmpose.synthesis.gltf import read_glb
from lgh_mmpose.synthesis.rig import hand_mesh_path

DATA = hand_mesh_path().read_bytes()


def split(data):
    size = struct.unpack_from('<I', data, 12)[0]
    return json.loads(data[20:20 + size]), data[28 + size:]


def join(document, binary):
    return with_json(json.dumps(document).encode(), binary)


def with_json(text, binary=b''):
    text += b' ' * (-len(text) % 4)
    return b''.join([
        b'glTF',
        struct.pack('<II', 2, 28 + len(text) + len(binary)),
        struct.pack('<II', len(text), 0x4E4F534A), text,
        struct.pack('<II', len(binary), 0x004E4942), binary
    ])


def edited(**paths):
    """The file with entries of its JSON replaced: a__0__b=value."""
    document, binary = split(DATA)
    for path, value in paths.items():
        *keys, last = [int(k) if k.isdigit() else k for k in path.split('__')]
        node = document
        for key in keys:
            node = node[key]
        if value is KeyError:
            del node[last]
        else:
            node[last] = value
    return join(document, binary)


def test_reads_the_embedded_hand():
    mesh = read_glb(hand_mesh_path())
    assert mesh.vertices.shape == (1360, 3)
    assert mesh.faces.shape == (2314, 3)
    assert len(mesh.joint_names) == 25
    assert mesh.inverse_bind_matrices.shape == (25, 4, 4)
    np.testing.assert_allclose(mesh.joint_weights.sum(axis=1), 1)
    # a hand is about 20 cm long
    assert .15 < np.ptp(mesh.vertices, axis=0).max() < .25


def test_repacked_file_reads_the_same(tmp_path):
    path = tmp_path / 'hand.glb'
    path.write_bytes(edited())
    np.testing.assert_array_equal(
        read_glb(path).vertices,
        read_glb(hand_mesh_path()).vertices)


POSITIONS = split(
    DATA)[0]['meshes'][0]['primitives'][0]['attributes']['POSITION']
INDICES = split(DATA)[0]['meshes'][0]['primitives'][0]['indices']
PRIMITIVE = 'meshes__0__primitives__0__'


@pytest.mark.parametrize('data, message', [
    (b'', 'header'),
    (b'GLTF' + DATA[4:], 'header'),
    (DATA[:4] + struct.pack('<I', 1) + DATA[8:], 'version 1'),
    (DATA[:-7], 'bytes'),
    (DATA[:8] + struct.pack('<I', 20 + 9) + DATA[12:29], 'exceeds'),
    (edited(meshes=[]), 'missing entry'),
    (edited(skins=KeyError), 'missing entry'),
    (edited(**{PRIMITIVE + 'mode': 1}), 'triangles'),
    (edited(**{PRIMITIVE + 'indices': 999}), 'accessor 999'),
    (edited(**{PRIMITIVE + 'indices': -1}), 'accessor -1'),
    (edited(**{f'accessors__{POSITIONS}__count': 10**9}), 'beyond'),
    (edited(**{f'accessors__{POSITIONS}__count': -1}), 'negative'),
    (edited(**{f'accessors__{POSITIONS}__count': '7'}), 'non-integer'),
    (edited(**{f'accessors__{POSITIONS}__byteOffset': 10**9}), 'beyond'),
    (edited(**{f'accessors__{POSITIONS}__componentType': 5120}),
     'unsupported type'),
    (edited(**{f'accessors__{POSITIONS}__type': 'VEC2'}), '2 components'),
    (edited(**{f'accessors__{POSITIONS}__count': 100}), 'vertex'),
    (edited(**{f'accessors__{INDICES}__count': 100}), 'triangles'),
    (edited(**{f'accessors__{POSITIONS}__sparse': {}}), 'sparse'),
    (edited(bufferViews__0__buffer=1), 'embedded buffer'),
    (edited(bufferViews__0=[]), 'malformed'),
    (edited(bufferViews__0='x'), 'malformed'),
    (edited(bufferViews__0=None), 'malformed'),
    (edited(bufferViews={}), 'malformed|does not exist'),
    (edited(**{f'accessors__{POSITIONS}': []}), 'malformed|sparse'),
    (edited(**{f'accessors__{POSITIONS}__componentType': []}), 'malformed'),
    (edited(**{f'accessors__{POSITIONS}__type': {}}), 'malformed'),
    (edited(**{f'accessors__{POSITIONS}__count': 10**401}), 'beyond'),
    (edited(**{PRIMITIVE + 'attributes': []}), 'malformed'),
    (edited(meshes__0__primitives=[[]]), 'malformed'),
    (edited(skins=[3]), 'malformed'),
    (edited(nodes=3), 'malformed'),
    (with_json(b'[' * 10**5), 'RecursionError'),
    (with_json(b'1' * 5000), '4300 digits'),
    (with_json(b'\xff'), 'utf-8'),
    (with_json(b'[]'), 'not an object'),
])
def test_damaged_file_is_named(tmp_path, data, message):
    path = tmp_path / 'damaged.glb'
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f'damaged.glb.*{message}'):
        read_glb(path)


def test_values_that_are_no_numbers_are_refused(tmp_path):
    document, binary = split(DATA)
    accessor = document['accessors'][POSITIONS]
    view = document['bufferViews'][accessor['bufferView']]
    offset = view.get('byteOffset', 0) + accessor.get('byteOffset', 0)
    binary = binary[:offset] + struct.pack('<f', np.nan) + binary[offset + 4:]
    path = tmp_path / 'nan.glb'
    path.write_bytes(join(document, binary))
    with pytest.raises(ValueError, match='nan.glb.*not finite'):
        read_glb(path)


@settings(max_examples=60, deadline=None)
@given(
    at=st.integers(0,
                   len(DATA) - 1),
    value=st.integers(0, 255),
    length=st.one_of(st.just(len(DATA)), st.integers(0, len(DATA))))
def test_any_damage_reads_or_raises_valueerror(tmp_path_factory, at, value,
                                               length):
    data = bytearray(DATA)
    data[at] = value
    path = tmp_path_factory.mktemp('glb') / 'hand.glb'
    path.write_bytes(data[:length])
    try:
        mesh = read_glb(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert np.isfinite(mesh.vertices).all()
        assert mesh.faces.max() < len(mesh.vertices)
