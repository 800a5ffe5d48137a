"""Numba, with its on-disk cache where there is a place for it, and Ctrl-C."""
import signal
import threading
from contextlib import contextmanager
from types import FrameType
from typing import Callable, Iterator, List, Optional

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
    """Let Ctrl-C be one, wherever it comes.

    Compiled code makes a SystemError of it, "returned a result with an
    exception set"; NumPy's ``Generator.choice`` loses it, and so may whatever
    else ignores all exceptions. Here what the handlers of SIGINT and SIGTERM
    have raised is raised at the end of the block at the latest.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals come to the main thread alone
        return
    raised: List[BaseException] = []
    handlers = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if callable(handler := signal.getsignal(number))
    }

    def handle(number: int, frame: Optional[FrameType]) -> None:
        try:
            handlers[number](number, frame)
        except BaseException as error:
            raised.append(error)
            raise

    try:
        for number in handlers:
            signal.signal(number, handle)
        yield
    except Exception as error:
        if raised:
            raise raised[0] from error
        raise
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if raised:
        raise raised[0]
