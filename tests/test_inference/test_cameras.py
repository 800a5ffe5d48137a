import io
import json
import lzma
import random
import warnings

import cv2
import numpy as np
import pytest

from lgh_mmpose import apis
from lgh_mmpose.inference import command
from lgh_mmpose.inference.cameras import (check_camera_matrix,
                                          load_camera_matrix)

MATRIX = [[600., 0, 319.5], [0, 610.25, 239.5], [0, 0, 1]]


def by_opencv(name, distortion=None):
    """What OpenCV's calibration writes."""
    storage = cv2.FileStorage(name,
                              cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY)
    storage.write('calibration_time', 'Mon 30 Nov 2026 [UTC]')
    storage.write('image_width', 640)
    storage.write('camera_matrix', np.array(MATRIX))
    if distortion is not None:
        storage.write('distortion_coefficients', np.array([distortion]).T)
    storage.write('extrinsics', np.zeros((2, 6)))
    return storage.releaseAndGetString().encode()


def by_numpy(array):
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def by_ros(distortion='0., 0., 0., 0., 0.'):
    return f'''image_width: 640
camera_name: head
camera_matrix:
  rows: 3
  cols: 3
  data: [600., 0., 319.5, 0., 610.25,
         239.5, 0., 0., 1.]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [{distortion}]
'''.encode()


TEXT = '\n'.join(' '.join(map(str, row)) for row in MATRIX)


@pytest.mark.parametrize('name, content', [
    ('k.json', json.dumps(MATRIX)),
    ('k.json', json.dumps(dict(K=MATRIX))),
    ('k.json', json.dumps(dict(camera_matrix=MATRIX, K=None, rms=.3))),
    ('k.json', '\ufeff' + json.dumps(MATRIX)),
    ('k.json', by_opencv('.json')),
    ('k.npy', by_numpy(np.array(MATRIX))),
    ('k.npy', by_numpy(np.array(MATRIX, 'f2'))),
    ('k.txt', TEXT),
    ('k', '# fx 0 cx\n\n' + TEXT.replace('\n', ' # px\r\n')),
    ('k.yml', by_opencv('.yml')),
    ('K.YAML', by_opencv('.yml').replace(b'\n', b'\r\n')),
    ('k.yaml', by_ros()),
    ('k.xml', by_opencv('.xml')),
])
def test_kinds_of_files(name, content, tmp_path):
    content = content.encode() if isinstance(content, str) else content
    (tmp_path / name).write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        matrix = load_camera_matrix(str(tmp_path / name))
    assert matrix.dtype == np.float64
    np.testing.assert_allclose(
        matrix, MATRIX, atol=.5 if 'f2' in repr(content) else 0)


def test_all_doors_have_one_reader():
    assert apis.load_camera_matrix is load_camera_matrix
    assert command.load_camera_matrix is load_camera_matrix


def header(descr, shape, order=False):
    text = str(dict(descr=descr, fortran_order=order, shape=shape))
    return (b'\x93NUMPY\x01\x00' + (len(text) + 1).to_bytes(2, 'little') +
            text.encode() + b'\n')


def nested_xml(depth):
    return ('<opencv_storage>' + '<a>' * depth + '</a>' * depth +
            '</opencv_storage>')


HUGE = '9' * 401


@pytest.mark.parametrize('name, content', [
    ('k.json', '{"focal": 3}'),
    ('k.json', '[[1, 2]'),
    ('k.json', 'null'),
    ('k.json', '3'),
    ('k.json', '{"K": {"fx": 1}}'),
    ('k.json', '{"K": {"rows": 3, "cols": "3", "data": {}}}'),
    ('k.json', '{"K": {"rows": 3, "cols": 2, "data": [1, 2]}}'),
    ('k.json', '[[1, 0, 0], [0, "one", 0], [0, 0, 1]]'),
    ('k.json', '[["600", 0, 5], [0, 600, 5], [0, 0, 1]]'),
    ('k.json', '[[600, 0, 5], [0, 600, 5], [0, 0, true]]'),
    ('k.json', '[[0, 0, 5], [0, 600, 5], [0, 0, 1]]'),
    ('k.json', '[[NaN, 0, 5], [0, 600, 5], [0, 0, 1]]'),
    ('k.json', '[[1e999, 0, 5], [0, 600, 5], [0, 0, 1]]'),
    ('k.json', '[[1e200, 0, 5], [0, 600, 5], [0, 0, 1]]'),
    ('k.json', '[[600, 0, 5], [0, 1e-200, 5], [0, 0, 1]]'),
    ('k.json', '[[600, 0, 1e308], [0, 600, 5], [0, 0, 1]]'),
    ('k.json', f'[[{HUGE}, 0, 5], [0, 600, 5], [0, 0, 1]]'),
    ('k.json', f'[[{HUGE * 11}, 0, 5], [0, 600, 5], [0, 0, 1]]'),
    ('k.json', '[[600, 0, 5], [0, 600, 5], [0, 0, 2]]'),
    ('k.json', '[[600, 0, 5], [3, 600, 5], [0, 0, 1]]'),
    ('k.json', '[[600, 0], [0, 600, 5], [0, 0, 1]]'),
    ('k.json', '[' * 10**5 + ']' * 10**5),
    ('k.json', b'\xff\xfe['),
    ('k.txt', '1 2 3'),
    ('k.txt', 'fx = 600'),
    ('k.txt', ''),
    ('k.txt', b'\xff\xfe'),
    ('k.txt', TEXT.replace('600.0', HUGE)),
    ('k.npy', 'no array'),
    ('k.npy', ''),
    ('k.npy', 'PK\x03\x04'),
    ('k.npy', by_numpy(np.array(MATRIX))[:-1]),
    ('k.npy', by_numpy(np.array(MATRIX, complex))),
    ('k.npy', by_numpy(np.eye(3, dtype=bool))),
    ('k.npy', by_numpy(np.array(MATRIX, str))),
    ('k.npy', by_numpy(np.zeros((3, 3), [('a', 'f8')]))),
    ('k.npy', by_numpy(np.zeros((3, 3), 'm8[s]'))),
    ('k.npy', by_numpy(np.array(MATRIX)[None])),
    ('k.npy', header('<f8', (10**12, ))),
    ('k.npy', header('|V0', (10**18, ))),
    ('k.npy', header('|S0', (3, 3))),
    ('k.npy', header('<f8', (-1, 3)) + bytes(72)),
    ('k.npy', header('<f8', (3, 3), order=[]) + bytes(72)),
    ('k.npy', header('<f8', ('(' * 500, )) + bytes(72)),
    ('k.npy', header('<f9', (3, 3)) + bytes(72)),
    ('k.npy', b'\x93NUMPY\x01\x00\x05\x00((((\n'),
    ('k.npy', b'\x93NUMPY\x01\x00\x03\x00 {\n'),
    ('k.npy', b'\x93NUMPY\x03\x00\xff\xff\xff\x7f{'),
    ('k.yml', '%YAML:1.0\n---\nother: 1\n'),
    ('k.yml', 'not: [yaml'),
    ('k.yml', '%YAML:1.0\n---\n' + '[' * 10**5),
    ('k.yml', '%YAML:1.0\n---\nK: ' + '{a: ' * 10**5),
    ('k.yml', by_opencv('.yml').replace(b'600.', b'600., 0.')),
    ('k.yml', by_opencv('.yml').replace(b'rows: 3', b'rows: 1')),
    ('k.yml', by_opencv('.yml').replace(b'600.', b'.Nan')),
    ('k.yml', by_opencv('.yml').replace(b' 0., 1. ]', b' 0., .Inf ]')),
    ('k.yml', 'K:\n  rows: 3\n  cols: 3\n  data: [' + '1,' * 10**5),
    ('k.yml', 'K:\n  rows: 3\n' * 10**4),
    ('k.yml', 'K:' + ' ' * 10**6),
    ('k.xml', ''),
    ('k.xml', '<opencv_storage><K/></opencv_storage>'),
    ('k.xml', by_opencv('.xml')[:-20]),
    ('k.xml', nested_xml(10**4)),
    ('k.xml', '<a>' * 10**4),
    ('k.xml', '<!DOCTYPE a [<!ENTITY b "1">]>' + by_opencv('.xml').decode()),
    ('k.xz', lzma.compress(TEXT.encode())),
    ('k.gz', b'\x1f\x8b\x08\x00'),
    ('k.bz2', b'BZh9'),
], ids=lambda value: str(value)[:40])  # yapf: disable
def test_files_without_a_camera_are_named(name, content, tmp_path):
    content = content.encode() if isinstance(content, str) else content
    (tmp_path / name).write_bytes(content)
    with pytest.raises(
            ValueError, match=f'{name}: .*camera_matrix or K.*npy') as error:
        load_camera_matrix(str(tmp_path / name))
    assert len(str(error.value)) < 700 and '\n' not in str(error.value)


@pytest.mark.parametrize('name', ['k.json', 'k.npy', 'k.yml', 'k.xml', 'k'])
def test_no_more_is_read_than_makes_sense(name, tmp_path):
    with open(tmp_path / name, 'wb') as file:
        file.truncate(2**40)  # takes no room
    with pytest.raises(ValueError, match=f'{name} has more than 1048576'):
        load_camera_matrix(str(tmp_path / name))


def test_pickled_arrays_are_refused(tmp_path):
    path = tmp_path / 'k.npy'
    path.write_bytes(by_numpy(np.array([{}], dtype=object)))
    with pytest.raises(ValueError, match=r'k\.npy.*pickle'):
        load_camera_matrix(str(path))


def test_missing_file_is_named(tmp_path):
    for path in ('nothing.json', str(tmp_path), 'nothing\0.json'):
        with pytest.raises(FileNotFoundError, match='camera file not found'):
            load_camera_matrix(path)


@pytest.mark.parametrize('name, content', [
    ('k.yml', by_opencv('.yml', [-.3, .1, 0, 0, 0])),
    ('k.xml', by_opencv('.xml', [-.3, .1, 0, 0, 0])),
    ('k.json', by_opencv('.json', [-.3, .1, 0, 0, 0])),
    ('k.json', json.dumps(dict(K=MATRIX, D=[0, 0, 1e-3, 0])).encode()),
    ('k.yaml', by_ros('-0.3, 0.1, 0., 0., 0.')),
])
def test_lens_distortion_is_said_to_be_left_out(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.warns(UserWarning, match=rf'{name} is not used.*cv2.undist'):
        load_camera_matrix(str(tmp_path / name))


@pytest.mark.parametrize('name, content', [
    ('k.yml', by_opencv('.yml', [0.] * 5)),
    ('k.json', json.dumps(dict(K=MATRIX, D=[])).encode()),
])
def test_no_distortion_is_not_warned_of(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        load_camera_matrix(str(tmp_path / name))


@pytest.mark.parametrize('line', [
    'distortion_coefficients: [0.1, 0., 0., 0., 0.]', 'distCoeffs: [0.1]',
    'D: [ .1, -2e-1 ]', 'dist_coeff: [.1]', 'k1: 0.1', 'distortion: [0, 1]'
])
def test_distortion_goes_by_many_names(line, tmp_path):
    plain = by_opencv('k.yml').decode()
    name, _, values = line.partition(': ')
    as_json = json.dumps({
        'K':
        MATRIX,
        name: [float(v) for v in values.strip('[] ').split(',')]
    })
    for file, content in (('k.yml', f'{plain}{line}\n'), ('k.json', as_json)):
        (tmp_path / file).write_text(content)
        with pytest.warns(UserWarning, match='distortion in .* is not used'):
            matrix = load_camera_matrix(str(tmp_path / file))
        np.testing.assert_array_equal(matrix, MATRIX)


def test_distortion_that_is_no_number_is_refused(tmp_path):
    path = tmp_path / 'k.json'
    path.write_text(json.dumps(dict(K=MATRIX, D=['a'])))
    with pytest.raises(ValueError, match='k.json: its distortion'):
        load_camera_matrix(str(path))


@pytest.mark.parametrize('suffix, content', [
    ('.json', by_opencv('.json')),
    ('.npy', by_numpy(np.array(MATRIX))),
    ('.yml', by_opencv('.yml')),
    ('.xml', by_opencv('.xml')),
    ('.txt', TEXT.encode()),
])
def test_damaged_file_is_read_or_refused(suffix, content, tmp_path):
    rng = random.Random(suffix)
    path = tmp_path / f'k{suffix}'
    for _ in range(60):
        damaged = bytearray(content)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged[:rng.choice((None, rng.randrange(200)))])
        try:
            matrix = load_camera_matrix(str(path))
        except ValueError as error:
            assert str(path) in str(error)
        else:
            assert matrix.shape == (3, 3) and np.isfinite(matrix).all()


@pytest.mark.parametrize('matrix', [
    None, 'K', {}, [MATRIX],
    np.array(MATRIX, str),
    np.eye(3, dtype=bool),
    np.array(MATRIX, complex), [[1, 0, 0], [0, 1], [0, 0, 1]],
    np.diag([-600., 600, 1]),
    np.diag([10**401, 1, 1])
])
def test_what_is_no_camera_matrix(matrix):
    with pytest.raises(ValueError, match='^camera_matrix must be'):
        check_camera_matrix(matrix)
