"""Reading pickles that hold arrays, without running what they hold.

A pickle is a program that may call any function, and set the state of any
object that it holds. The unpickler here knows numbers, strings, the builtin
containers and numeric NumPy arrays; of a file that asks for anything else,
nothing is run but what it takes to say so. NumPy believes what a pickle says
of an array's memory, so arrays and their types are stand-ins until the whole
pickle is read, and NumPy gets checked sizes and types only.
"""
import io
import math
import pickle
import re
from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np


class _NumericDtype:
    """Stands for a ``numpy.dtype`` inside a pickle."""

    __hash__ = None  # no key of a dict or element of a set

    def __init__(self, code: str, align: bool = False, copy: bool = False):
        if not (isinstance(code, str)
                and re.fullmatch(r'[biufc]\d{1,2}', code)):
            raise pickle.UnpicklingError(f'it holds an array of type {code!r},'
                                         ' only numbers are read')
        self.dtype = self.native = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        version, order, *rest = state
        # subarray, names, fields, size, alignment and flags; version 4 adds
        # metadata, which tell nothing of the numbers
        if version not in (3, 4) or order not in ('<', '>', '|', '=') or (
                rest[:6] != [None, None, None, -1, -1, 0]):
            raise pickle.UnpicklingError('it holds an array of a type that is '
                                         'more than a number')
        self.dtype = self.dtype.newbyteorder(order)


class _NumericArray:
    """Stands for a ``numpy.ndarray`` inside a pickle."""

    __hash__ = None

    def __init__(self) -> None:
        self.array: Optional[np.ndarray] = None  # until its state is set

    def __setstate__(self, state: tuple) -> None:
        version, shape, dtype, is_fortran, data = state
        if version != 1:
            raise pickle.UnpicklingError(f'it holds an array of version '
                                         f'{version!r}')
        self.fill(
            _encode(data, 'latin1'), dtype, shape, 'F' if is_fortran else 'C')
        # a copy, in the byte order of the machine, as NumPy makes it
        self.array = self.array.astype(dtype.native)

    def fill(self, data: bytes, dtype: _NumericDtype, shape: Tuple[int, ...],
             order: str) -> None:
        if not (isinstance(dtype, _NumericDtype)
                and isinstance(data, (bytes, bytearray))):
            raise pickle.UnpicklingError('it holds an array that is not made '
                                         'of a type and bytes')
        # NumPy takes -1 for any length
        if min(
                shape, default=0) < 0 or (math.prod(shape) *
                                          dtype.dtype.itemsize != len(data)):
            raise pickle.UnpicklingError(
                f'it holds an array of {len(data)} bytes whose shape is not '
                'of as many')
        self.array = np.ndarray(shape, dtype.dtype, data, order=order)


def _empty_array(subtype: type, shape: tuple, code: bytes) -> _NumericArray:
    """What ``_reconstruct`` makes, to be filled from the array's state."""
    if subtype is not _NumericArray:
        raise pickle.UnpicklingError('it holds an array of a foreign class')
    return _NumericArray()


def _array_from_buffer(buffer: bytes, dtype: _NumericDtype,
                       shape: Tuple[int, ...], order: str) -> _NumericArray:
    array = _NumericArray()
    array.fill(buffer, dtype, shape, order)
    return array


def _scalar(dtype: _NumericDtype, data: bytes) -> np.generic:
    array = _NumericArray()
    array.fill(_encode(data, 'latin1'), dtype, (), 'C')
    return array.array[()]  # immutable: NumPy ignores a state


def _encode(text: str, encoding: str) -> bytes:
    # how pickles for Python 2 hold bytes
    if encoding != 'latin1':
        raise pickle.UnpicklingError(f'it holds bytes as {encoding!r}')
    return text.encode('latin1') if isinstance(text, str) else text


_ADMITTED = {
    ('_codecs', 'encode'): _encode,
    ('numpy', 'ndarray'): _NumericArray,
    ('numpy', 'dtype'): _NumericDtype,
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
    """Unpickler of containers, numbers and stand-ins of arrays."""

    forbidden: str = ''

    def find_class(self, module: str, name: str) -> Callable:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            self.forbidden = f'{module}.{name}'
            raise pickle.UnpicklingError(self.forbidden) from None


def _replace_stand_ins(item: Any, done: Dict[int, tuple]) -> Any:
    """Put the arrays in the place of their stand-ins.

    Args:
        item (Any): What the unpickler made.
        done (dict): Containers by their id, with what became of them: they
            may be shared, or hold themselves.

    Returns:
        Any: The same lists and dicts, new tuples.
    """
    if isinstance(item, _NumericArray):
        if item.array is None:
            raise pickle.UnpicklingError('it holds an array without content')
        return item.array
    if isinstance(item, _NumericDtype):
        return item.dtype
    # sets hold none, for stand-ins have no hash
    if not isinstance(item, (dict, list, tuple)):
        return item
    if id(item) in done:
        return done[id(item)][1]
    # the item itself is kept, so that its id stays its own
    if isinstance(item, tuple):
        result = tuple([_replace_stand_ins(part, done) for part in item])
        done[id(item)] = item, result
        return result
    done[id(item)] = item, item
    for key, part in (item.items()
                      if isinstance(item, dict) else enumerate(item)):
        item[key] = _replace_stand_ins(part, done)
    return item


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
        return _replace_stand_ins(unpickler.load(), {})
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
