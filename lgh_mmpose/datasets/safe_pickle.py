"""Reading pickles that hold arrays, without running what they hold.

A pickle is a program that may call any function. The unpickler here knows
numbers, strings, the builtin containers and numeric NumPy arrays; of a file
that asks for anything else, nothing is run but what it takes to say so.
"""
import io
import pickle
from typing import Any, Callable, Tuple, Type

import numpy as np


class _NumericArray:
    """Stands for ``numpy.ndarray`` inside a pickle; never instantiated."""


def _numeric_dtype(code: str, align: bool = False, copy: bool = False):
    # a copy always: what follows in the pickle may change its state
    dtype = np.dtype(code, copy=True) if isinstance(code, str) else None
    if dtype is None or dtype.kind not in 'biufc':
        raise pickle.UnpicklingError(f'it holds an array of type {code!r}, '
                                     'only numbers are read')
    return dtype


def _empty_array(subtype: Type, shape: tuple, code: bytes) -> np.ndarray:
    """What ``_reconstruct`` makes, to be filled from the array's state."""
    if subtype is not _NumericArray:
        raise pickle.UnpicklingError('it holds an array of a foreign class')
    return np.empty(0, dtype='b')


def _array_from_buffer(buffer: bytes, dtype: np.dtype, shape: Tuple[int, ...],
                       order: str) -> np.ndarray:
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


def _scalar(dtype: np.dtype, data: bytes) -> np.generic:
    value, = np.frombuffer(_encode(data, 'latin1'), dtype)
    return value


def _encode(text: str, encoding: str) -> bytes:
    # how pickles for Python 2 hold bytes
    if encoding != 'latin1':
        raise pickle.UnpicklingError(f'it holds bytes as {encoding!r}')
    return text.encode('latin1') if isinstance(text, str) else text


_ADMITTED = {
    ('_codecs', 'encode'): _encode,
    ('numpy', 'ndarray'): _NumericArray,
    ('numpy', 'dtype'): _numeric_dtype,
}
for _core in ('numpy.core', 'numpy._core'):  # before and since NumPy 2
    _ADMITTED.update({
        (f'{_core}.multiarray', '_reconstruct'): _empty_array,
        (f'{_core}.multiarray', 'scalar'): _scalar,
        (f'{_core}.numeric', '_frombuffer'): _array_from_buffer,
    })
for _builtins in ('builtins', '__builtin__'):  # Python 3 and 2
    _ADMITTED.update({
        (_builtins, 'set'): set,
        (_builtins, 'frozenset'): frozenset,
        (_builtins, 'bytes'): lambda: b'',  # of an array without elements
    })


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickler of containers, numbers and arrays of numbers."""

    forbidden: str = ''

    def find_class(self, module: str, name: str) -> Callable:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            self.forbidden = f'{module}.{name}'
            raise pickle.UnpicklingError(self.forbidden) from None


def load_array_pickle(path: str) -> Any:
    """Load a pickle of containers, numbers and arrays of numbers.

    Those that Python 2 or an older NumPy wrote are read as well.

    Args:
        path (str): The file.

    Returns:
        Any: What it holds.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it asks for any class or function besides those,
            which is named and not run, or if it is not a whole pickle.
    """
    with open(path, 'rb') as file:
        # read at once: a truncated file raises here or there otherwise
        content = io.BytesIO(file.read())
    unpickler = _ArrayUnpickler(content, encoding='latin1')
    try:
        return unpickler.load()
    except Exception as e:  # a damaged pickle may raise anything
        if unpickler.forbidden:
            raise ValueError(
                f'{path} asks for {unpickler.forbidden}, which was not run: '
                'a pickle of annotations holds arrays and containers only. '
                'Do not trust this file; get it from its authors') from None
        raise ValueError(
            f'{path} is not a whole pickle of arrays of numbers, perhaps an '
            'incomplete download or extraction; fetch it again '
            f'({type(e).__name__}: {e})') from None
