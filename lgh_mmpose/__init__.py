"""3D hand pose from a picture, and learnable joint groups for mmpose 1.x.

Without mmpose, this is the pipeline alone: :class:`HandPose`, which needs
NumPy, OpenCV and ONNX Runtime. With it,
``custom_imports=dict(imports=['lgh_mmpose'])`` in a config registers every
component in mmpose's own registries.
"""
import importlib.util
from typing import Any, List

from . import absent_modules
from .version import __version__

__all__ = ['HandPose', 'Hands', '__version__']

# imported when they are asked for, with all that they need
_LATER = {'HandPose': '.inference.pipeline', 'Hands': '.inference.results'}
# never by trying: a broken installation of mmpose tells its own error
_HAS_MMPOSE = importlib.util.find_spec('mmpose') is not None

absent_modules.install(_HAS_MMPOSE)
if _HAS_MMPOSE:
    from . import compat
    compat.install()  # before anything of mmpose is imported

    from . import (checkpoint, codecs, datasets, engine, evaluation, models,
                   visualization)
    from .apis.mmpose_inferencers import adapt_mmpose_inferencers
    adapt_mmpose_inferencers()
    __all__ += [
        'checkpoint', 'codecs', 'compat', 'datasets', 'engine', 'evaluation',
        'models', 'visualization'
    ]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        value = getattr(importlib.import_module(_LATER[name], __name__), name)
        globals()[name] = value
        return value
    sentence = None
    if not _HAS_MMPOSE:
        sentence = absent_modules.why_absent(f'{__name__}.{name}', __path__)
    raise AttributeError(sentence
                         or f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> List[str]:
    return sorted({*globals(), *_LATER})
