"""Learnable joint groups for 3D hand pose, as a plugin of mmpose 1.x.

``custom_imports=dict(imports=['lgh_mmpose'])`` in a config registers every
component in mmpose's own registries.
"""
# ruff: noqa: E402
from . import compat

compat.install()  # before anything of mmpose is imported

from . import codecs, datasets, engine, evaluation, models, visualization
from .apis.mmpose_inferencers import adapt_mmpose_inferencers
from .version import __version__

adapt_mmpose_inferencers()

__all__ = [
    '__version__', 'codecs', 'compat', 'datasets', 'engine', 'evaluation',
    'models', 'visualization'
]
