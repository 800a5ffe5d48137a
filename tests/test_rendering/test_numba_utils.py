import os

import numba.core.caching
import pytest

from lgh_mmpose.rendering.numba_utils import cached_njit


def double(x):
    return 2 * x


def test_compiles():
    assert cached_njit(double)(3) == 6


def test_works_where_nothing_can_be_cached(monkeypatch):
    """As in read-only site-packages of a user without a home."""

    def refuse(self):
        raise OSError('read-only file system')

    for name in dir(numba.core.caching):
        if name.endswith('CacheLocator'):
            monkeypatch.setattr(
                getattr(numba.core.caching, name),
                'ensure_cache_path',
                refuse,
                raising=False)
    monkeypatch.delenv('NUMBA_CACHE_DIR', raising=False)
    with pytest.raises(RuntimeError, match='cannot cache'):
        numba.njit(cache=True)(double)
    assert cached_njit(double)(os.getpid()) == 2 * os.getpid()
