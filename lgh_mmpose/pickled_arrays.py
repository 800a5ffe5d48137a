"""Arrays of numbers as pickles describe them.

NumPy believes what a pickle says of an array's memory. What stands for arrays
and their types here checks it first.
"""
import math
import operator
import pickle
import re
from typing import Optional, Tuple

import numpy as np

_MAX_DIMS = 32  # NumPy's own limit before 2.0


class NumericDtype:
    """Stands for a ``numpy.dtype`` inside a pickle."""

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


class NumericArray:
    """Stands for a ``numpy.ndarray`` inside a pickle."""

    def __init__(self) -> None:
        self.array: Optional[np.ndarray] = None  # until its state is set

    def __setstate__(self, state: tuple) -> None:
        version, shape, dtype, is_fortran, data = state
        if version != 1:
            raise pickle.UnpicklingError(f'it holds an array of version '
                                         f'{version!r}')
        self.fill(
            encode_latin1(data, 'latin1'), dtype, shape,
            'F' if is_fortran else 'C')
        # in the byte order of the machine, as NumPy makes it
        self.array = self.array.astype(dtype.native, copy=False)

    def fill(self, data: bytes, dtype: NumericDtype, shape: Tuple[int, ...],
             order: str) -> None:
        if not isinstance(dtype, NumericDtype) or type(data) is not bytes:
            raise pickle.UnpicklingError('it holds an array that is not made '
                                         'of a type and bytes')
        shape = tuple(map(operator.index, shape))
        # NumPy takes -1 for any length
        if len(shape) > _MAX_DIMS or min(
                shape, default=0) < 0 or (math.prod(shape) *
                                          dtype.dtype.itemsize != len(data)):
            raise pickle.UnpicklingError(
                f'it holds an array of {len(data)} bytes whose shape is not '
                'of as many')
        # the memory is the array's own
        self.array = np.ndarray(
            shape, dtype.dtype, data, order=order).copy(order)


def numeric_scalar(dtype: NumericDtype, data: bytes) -> np.generic:
    array = NumericArray()
    array.fill(encode_latin1(data, 'latin1'), dtype, (), 'C')
    return array.array[()]


def encode_latin1(text: str, encoding: str) -> bytes:
    # how pickles for Python 2 hold bytes
    if encoding != 'latin1':
        raise pickle.UnpicklingError(f'it holds bytes as {encoding!r}')
    return text.encode('latin1') if isinstance(text, str) else text
