import importlib
import sys

import pytest

import lgh_mmpose
from lgh_mmpose import absent_modules


@pytest.mark.parametrize('old, new', absent_modules._MOVED.items())
def test_what_moved_is_named(old, new):
    importlib.import_module(f'lgh_mmpose.{new}')
    told = f'^lgh_mmpose.{old} is now lgh_mmpose.{new}$'
    with pytest.raises(ModuleNotFoundError, match=told):
        importlib.import_module(f'lgh_mmpose.{old}')
    # the form that goes on where a module of the name is not found
    package, _, name = f'lgh_mmpose.{old}'.rpartition('.')
    with pytest.raises(ModuleNotFoundError, match=told):
        exec(f'from {package} import {name}')


def test_other_modules_are_left_to_python():
    with pytest.raises(ModuleNotFoundError, match='No module named .nothing'):
        importlib.import_module('nothing')
    with pytest.raises(ModuleNotFoundError, match='No module named'):
        importlib.import_module('lgh_mmpose.nothing')
    assert importlib.util.find_spec('camera') is None


def test_installing_twice_leaves_one_finder(monkeypatch):
    monkeypatch.setattr(sys, 'meta_path', [*sys.meta_path])
    finders = len(sys.meta_path)
    absent_modules.install(True)
    assert len(sys.meta_path) == finders


@pytest.mark.parametrize('name, is_absent', [
    ('geometry', False),
    ('inference.pipeline', False),
    ('inference.backends.exported', False),
    ('inference.backends.torch', True),
    ('inference.backends.mmdet', True),
    ('datasets', True),
    ('nothing', False),
])
def test_without_mmpose_what_needs_it_says_so(name, is_absent):
    fullname = f'lgh_mmpose.{name}'
    path = importlib.import_module(fullname.rpartition('.')[0]).__path__
    sentence = absent_modules.why_absent(fullname, path)
    finder, other = (absent_modules._Finder(has) for has in (False, True))
    assert other.find_spec(fullname, path) is None
    if not is_absent:
        assert sentence is None and finder.find_spec(fullname, path) is None
        return
    assert sentence.startswith(f'{fullname} needs torch and mmpose')
    assert "pip install 'lgh_mmpose[openmmlab]'" in sentence
    with pytest.raises(ModuleNotFoundError) as error:
        finder.find_spec(fullname, path)
    assert (str(error.value), error.value.name) == (sentence, 'mmpose')


def test_the_modules_of_the_base_install_exist():
    for name in (*absent_modules.BASE_MODULES, *absent_modules.ABOVE):
        assert importlib.util.find_spec(f'{lgh_mmpose.__name__}.{name}')
