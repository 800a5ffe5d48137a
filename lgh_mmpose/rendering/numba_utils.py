"""Numba, with its on-disk cache where there is a place for it, and Ctrl-C."""
from contextlib import contextmanager
from typing import Callable, Iterator, Optional

from numba import njit


def cached_njit(function: Callable) -> Callable:
    """Compile ``function`` in nopython mode and cache the machine code."""
    try:
        return njit(cache=True)(function)
    except RuntimeError:
        # Numba raises where neither the package nor the user's home can be
        # written; the function is then compiled once per process.
        return njit(function)


@contextmanager
def heed_interrupts() -> Iterator[None]:
    """Let Ctrl-C be one within compiled code, too.

    There it becomes a SystemError: "returned a result with an exception set".
    """
    try:
        yield
    except Exception as error:
        cause: Optional[BaseException] = error
        while cause is not None:
            if isinstance(cause, KeyboardInterrupt):
                raise KeyboardInterrupt from error
            cause = cause.__cause__ or cause.__context__
        raise
