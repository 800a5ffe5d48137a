"""The former place of :mod:`lgh_mmpose.report`, for scripts that name it."""
from lgh_mmpose.report import local_paths, write_report

__all__ = ['local_paths', 'write_report']
