"""Learnable joint groups for 3D hand pose, as a plugin of mmpose 1.x.

``custom_imports=dict(imports=['lgh_mmpose'])`` in a config registers every
component in mmpose's own registries.
"""
from . import compat

compat.install()  # before anything of mmpose is imported

from . import (codecs, datasets, engine, evaluation, models,  # noqa: E402
               visualization)
from .version import __version__  # noqa: E402

__all__ = [
    '__version__', 'codecs', 'compat', 'datasets', 'engine', 'evaluation',
    'models', 'visualization'
]
