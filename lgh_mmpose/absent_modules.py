"""Sentences on modules of this package that cannot be imported.

Those that need torch and mmpose, where mmpose is not installed, and those
that have moved. Nothing of other packages is touched.
"""
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Optional, Sequence

_PACKAGE = __name__.rpartition('.')[0]

BASE_MODULES = ('absent_modules', 'adaptation', 'cpu', 'fileio', 'geometry',
                'inference', 'pickled_arrays', 'reading', 'version')
"""What is imported without torch and mmpose; all else needs them."""
ABOVE = ('adaptation.adapting', 'adaptation.labels', 'adaptation.training',
         'inference.backends.mmdet', 'inference.backends.torch')
"""What of these needs them all the same."""

_MOVED = {
    'apis.camera_model': 'inference.cameras',
    'apis.checkpoint': 'checkpoint',
    'apis.detection': 'inference.backends.mmdet',
    'apis.drawing': 'inference.drawing',
    'apis.film_tracks': 'inference.film_tracks',
    'apis.hand_crop': 'apis.config_crop',
    'apis.sources': 'inference.sources',
    'apis.tracking': 'inference.tracking',
    'apis.writing': 'inference.writing',
    'camera': 'geometry.camera',
    'camera_files': 'inference.cameras',
    'deployment.hand_pose_runner': 'inference.pipeline',
    'images': 'inference.images',
    'plausibility': 'geometry.plausibility',
    'synthesis': 'rendering',
}


class _Finder(MetaPathFinder):
    """Finds nothing, but tells why where it knows.

    Args:
        has_mmpose (bool): Whether mmpose is installed.
    """

    def __init__(self, has_mmpose: bool) -> None:
        self.has_mmpose = has_mmpose

    def find_spec(self,
                  fullname: str,
                  path: Optional[Sequence[str]] = None,
                  target: Optional[ModuleType] = None) -> None:
        """Raise ModuleNotFoundError for what is absent."""
        package, _, name = fullname.partition('.')
        if package != _PACKAGE:
            return
        if name in _MOVED:
            raise ModuleNotFoundError(
                f'{fullname} is now {_PACKAGE}.{_MOVED[name]}')
        if not self.has_mmpose:
            sentence = why_absent(fullname, path)
            if sentence is not None:
                raise ModuleNotFoundError(sentence, name='mmpose')


def why_absent(fullname: str,
               path: Optional[Sequence[str]] = None) -> Optional[str]:
    """Say what a module of this package needs that is not installed.

    To be asked where mmpose is not.

    Args:
        fullname (str): The module, with its package's name.
        path (Sequence[str], optional): Folders to look for it in.

    Returns:
        str | None: The sentence; None if the module needs neither torch nor
        mmpose, or does not exist.
    """
    name = fullname.partition('.')[2]
    if name.partition('.')[0] in BASE_MODULES and name not in ABOVE:
        return None
    if PathFinder.find_spec(fullname, path) is None:
        return None
    return (f'{fullname} needs torch and mmpose, which are not installed: '
            f"pip install '{_PACKAGE}[openmmlab]' (Python 3.9 to 3.11)")


def install(has_mmpose: bool) -> None:
    """Explain absent modules from now on, wherever they are imported.

    Args:
        has_mmpose (bool): Whether mmpose is installed.
    """
    sys.meta_path[:] = [
        _Finder(has_mmpose),
        *(finder
          for finder in sys.meta_path if type(finder).__module__ != __name__)
    ]
