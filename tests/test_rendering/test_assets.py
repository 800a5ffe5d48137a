import re
import shutil

import numpy as np
import pytest

from lgh_mmpose.rendering import assets
from lgh_mmpose.rendering.assets import asset_path
from lgh_mmpose.rendering.hand_model import HandModel


def arrays():
    with np.load(asset_path('hand.npz')) as data:
        return dict(data)


def test_finds_files_and_names_their_licences():
    path = asset_path('hand.npz')
    assert path.is_file()
    licences = asset_path('LICENCES.md').read_text(encoding='utf-8')
    for file in path.parent.iterdir():
        if not file.name.startswith('LICEN'):
            assert f'`{file.name}' in licences, f'{file.name}: no licence'
    for name in re.findall(r'`(LICENSE[^`]*)`', licences):
        assert asset_path(name).is_file()


def test_names_a_missing_file(monkeypatch, tmp_path):
    package = tmp_path / 'site-packages' / 'lgh_mmpose' / 'rendering'
    monkeypatch.setattr(assets, '__file__', str(package / 'assets.py'))
    with pytest.raises(FileNotFoundError, match='hand.npz') as error:
        HandModel()
    assert 'Reinstall lgh_mmpose' in str(error.value)
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize('place', ['lgh_mmpose/.mim', '.'])
def test_finds_files_of_installed_package_and_source_tree(
        monkeypatch, tmp_path, place):
    monkeypatch.setattr(
        assets, '__file__',
        str(tmp_path / 'lgh_mmpose' / 'rendering' / 'assets.py'))
    folder = tmp_path / place / 'assets' / 'rendering'
    folder.mkdir(parents=True)
    shutil.copy(__file__, folder / 'a.txt')
    assert asset_path('a.txt') == folder / 'a.txt'


def write_truncated(path):
    whole = asset_path('hand.npz').read_bytes()
    path.write_bytes(whole[:len(whole) // 2])


def write_flipped_bytes(path):
    whole = bytearray(asset_path('hand.npz').read_bytes())
    for i in range(2000, len(whole) - 20000, 1000):
        whole[i] ^= 255
    path.write_bytes(bytes(whole))


def write_foreign(path):
    np.savez(path, other=np.zeros(3))


def write_picture(path):
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + bytes(100))


def write_pickled(path):
    np.savez(path, **{**arrays(), 'male': np.array([{}], object)})


def write_other_shape(path):
    data = arrays()
    np.savez(path, **{**data, 'male': data['male'][:-1]})


def write_floats_for_indices(path):
    data = arrays()
    np.savez(path, **{**data, 'faces': data['faces'].astype(float)})


def write_nan(path):
    data = arrays()
    data['mean'][3, 1] = np.nan
    np.savez(path, **data)


def write_face_of_nowhere(path):
    data = arrays()
    data['faces'][5, 1] = 60000
    np.savez(path, **data)


@pytest.mark.parametrize('write', [
    write_truncated, write_flipped_bytes, write_foreign, write_picture,
    write_pickled, write_other_shape, write_floats_for_indices, write_nan,
    write_face_of_nowhere
])
def test_names_a_damaged_or_foreign_file(tmp_path, write):
    path = tmp_path / 'hand.npz'
    write(path)
    with pytest.raises(ValueError, match=r'hand\.npz') as error:
        HandModel(path)
    assert 'Reinstall lgh_mmpose' in str(error.value)


def test_names_a_missing_file_of_a_given_path(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere.npz'):
        HandModel(tmp_path / 'nowhere.npz')
