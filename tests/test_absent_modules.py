import importlib
import sys

import pytest

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
