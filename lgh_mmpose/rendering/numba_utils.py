"""Numba, with its on-disk cache where there is a place for it."""
from typing import Callable

from numba import njit


def cached_njit(function: Callable) -> Callable:
    """Compile ``function`` in nopython mode and cache the machine code."""
    try:
        return njit(cache=True)(function)
    except RuntimeError:
        # Numba raises where neither the package nor the user's home can be
        # written; the function is then compiled once per process.
        return njit(function)
