import contextlib
import os
import signal
import threading

import numba.core.caching
import pytest

from lgh_mmpose.rendering.numba_utils import cached_njit, heed_interrupts


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


def interrupt():
    signal.raise_signal(signal.SIGINT)


def lose():
    """As NumPy's ``Generator.choice`` does."""
    with contextlib.suppress(BaseException):
        interrupt()


def disguise():
    """As compiled code does."""
    try:
        interrupt()
    except KeyboardInterrupt as error:
        raise SystemError('returned a result with an exception set') from error


@pytest.mark.usefixtures('interruptible')
@pytest.mark.parametrize('work', [interrupt, lose, disguise])
def test_interrupts_are_heeded_wherever_they_come(work):
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        with heed_interrupts():
            work()
    assert signal.getsignal(signal.SIGINT) is handler


def test_errors_stay_what_they_are():
    with pytest.raises(ZeroDivisionError):
        with heed_interrupts():
            raise ZeroDivisionError


def test_a_handler_that_raises_nothing_is_no_interrupt():
    calls = []
    former = signal.signal(signal.SIGTERM, lambda *args: calls.append(args))
    try:
        with heed_interrupts():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, former)
    assert len(calls) == 1


def test_other_threads_are_not_interrupted():
    results = []

    def work():
        with heed_interrupts():
            results.append(double(4))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [8]
