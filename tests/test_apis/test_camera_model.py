import json

import cv2
import numpy as np
import pytest

from lgh_mmpose.apis import load_camera_matrix
from lgh_mmpose.apis.camera_model import camera_suits_image

MATRIX = np.array([[600., 0, 319.5], [0, 610, 239.5], [0, 0, 1]])


def write_opencv(path):
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write('image_width', 640)
    storage.write('camera_matrix', MATRIX)
    storage.release()


@pytest.mark.parametrize('name, write', [
    ('k.json', lambda p: p.write_text(json.dumps(MATRIX.tolist()))),
    ('k.json', lambda p: p.write_text(json.dumps(dict(K=MATRIX.tolist())))),
    ('k.json', lambda p: p.write_text(
        json.dumps(dict(camera_matrix=MATRIX.tolist(), rms=.3)))),
    ('k.npy', lambda p: np.save(p, MATRIX)),
    ('k.txt', lambda p: np.savetxt(p, MATRIX)),
    ('k.yml', write_opencv),
    ('k.xml', write_opencv),
])
def test_kinds_of_files(name, write, tmp_path):
    write(tmp_path / name)
    np.testing.assert_allclose(
        load_camera_matrix(str(tmp_path / name)), MATRIX)


@pytest.mark.parametrize('name, content', [
    ('k.json', '{"focal": 3}'),
    ('k.json', '[[1, 2]'),
    ('k.json', '[[1, 0, 0], [0, "one", 0], [0, 0, 1]]'),
    ('k.json', '[[0, 0, 5], [0, 600, 5], [0, 0, 1]]'),
    ('k.json', '[[NaN, 0, 5], [0, 600, 5], [0, 0, 1]]'),
    ('k.json', '[[600, 0, 5], [0, 600, 5], [0, 0, 2]]'),
    ('k.json', '[[600, 0, 5], [3, 600, 5], [0, 0, 1]]'),
    ('k.txt', '1 2 3'),
    ('k.txt', 'fx = 600'),
    ('k.npy', 'no array'),
    ('k.npy', ''),
    ('k.npy', 'PK\x03\x04'),
    ('k.yml', '%YAML:1.0\n---\nother: 1\n'),
    ('k.yml', 'not: [yaml'),
])
def test_files_without_a_camera_are_named(name, content, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=rf'k\.{name[2:]}'):
        load_camera_matrix(str(tmp_path / name))


def test_pickled_arrays_are_refused(tmp_path):
    path = tmp_path / 'k.npy'
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r'k\.npy.*pickle'):
        load_camera_matrix(str(path))


@pytest.mark.parametrize(
    'centre, size, suits',
    [
        ((112, 112), (224, 224), True),  # FreiHAND
        ((318.5, 250.3), (640, 480), True),  # STB
        ((325, 249), (640, 480), True),  # Dexter+Object
        ((110, 120), (224, 224), True),
        ((112, 112), (1920, 1080), False),  # of a crop
        ((960, 540), (224, 224), False),
        ((640, 360), (1920, 1080), False),  # of another resolution
        ((960, 540), (1280, 720), False),
        ((540, 960), (1920, 1080), False),  # of an upright photo
        ((320, 240), (640, 360), False),  # of one with more at top and bottom
        ((-5, 112), (224, 224), False),
    ])
def test_a_camera_suits_images_of_its_size(centre, size, suits):
    matrix = np.array([[500., 0, centre[0]], [0, 500, centre[1]], [0, 0, 1]])
    assert camera_suits_image(matrix, size) == suits


def test_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r'nothing\.json'):
        load_camera_matrix('nothing.json')
