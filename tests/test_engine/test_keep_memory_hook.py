"""What is asked of the C library's allocator."""
import ctypes
import logging
import platform
from types import SimpleNamespace

import pytest

from lgh_mmpose.engine.hooks import KeepMemoryHook


@pytest.fixture
def calls(monkeypatch):
    """Calls of mallopt, which then does nothing."""
    calls = []

    def mallopt(parameter, value):
        calls.append((parameter, value))
        return 1

    monkeypatch.setattr(ctypes, 'CDLL',
                        lambda name: SimpleNamespace(mallopt=mallopt))
    monkeypatch.setattr(platform, 'libc_ver', lambda: ('glibc', '2.36'))
    for name in ('MALLOC_TRIM_THRESHOLD_', 'MALLOC_MMAP_MAX_'):
        monkeypatch.delenv(name, raising=False)
    return calls


def run():
    logger = logging.getLogger('test_keep_memory')
    KeepMemoryHook().before_run(SimpleNamespace(logger=logger))


def test_memory_is_kept(calls):
    run()
    # M_MMAP_MAX and M_TRIM_THRESHOLD of malloc.h
    assert calls == [(-4, 0), (-1, -1)]


def test_the_environment_of_the_user_wins(calls, monkeypatch):
    monkeypatch.setenv('MALLOC_TRIM_THRESHOLD_', '131072')
    run()
    assert calls == []


def test_other_libraries_are_left_alone(calls, monkeypatch, caplog):
    monkeypatch.setattr(platform, 'libc_ver', lambda: ('', ''))
    with caplog.at_level(logging.INFO, 'test_keep_memory'):
        run()
    assert calls == []
    assert 'not glibc' in caplog.text
