"""Reading pickles that hold arrays, without running what they hold.

A pickle is a program that may call any function, and set the state of any
object that it holds. The unpickler here knows numbers, strings, the builtin
containers and numeric NumPy arrays; of a file that asks for anything else,
nothing is run but what it takes to say so. NumPy believes what a pickle says
of an array's memory, so arrays and their types are stand-ins until the whole
pickle is read, and NumPy gets checked sizes and types only.
"""
import io
import pickle
from typing import Any, Callable, Dict, Iterable, NoReturn, Tuple

import numpy as np

from ..pickled_arrays import (NumericArray, NumericDtype, encode_latin1,
                              numeric_scalar)
from ..reading import reason

# keys of dicts and elements of sets
_PLAIN = (str, bytes, int, float, np.generic, type(None))


def _empty_array(subtype: type, shape: tuple, code: bytes) -> NumericArray:
    """What ``_reconstruct`` makes, to be filled from the array's state."""
    if subtype is not NumericArray:
        raise pickle.UnpicklingError('it holds an array of a foreign class')
    return NumericArray()


def _array_from_buffer(buffer: bytes, dtype: NumericDtype,
                       shape: Tuple[int, ...], order: str) -> NumericArray:
    array = NumericArray()
    array.fill(buffer, dtype, shape, order)
    return array


def _no_bytes() -> bytes:
    """The bytes of an array without elements."""
    return b''


def _set(items: list) -> set:
    return set(_plain(items))


def _frozenset(items: list) -> frozenset:
    return frozenset(_plain(items))


def _plain(items: Iterable) -> Iterable:
    """Check keys of a dict, or elements of a set.

    Python's hash of a deeply nested tuple overruns the stack.
    """
    for item in items:
        if not isinstance(item, _PLAIN):
            raise pickle.UnpicklingError(
                f'it holds a {type(item).__name__} as a key, only numbers and '
                'texts are read')
    return items


_ADMITTED = {
    ('_codecs', 'encode'): encode_latin1,
    ('numpy', 'ndarray'): NumericArray,
    ('numpy', 'dtype'): NumericDtype,
}
for _core in ('numpy.core', 'numpy._core'):  # before and since NumPy 2
    _ADMITTED.update({
        (f'{_core}.multiarray', '_reconstruct'): _empty_array,
        (f'{_core}.multiarray', 'scalar'): numeric_scalar,
        (f'{_core}.numeric', '_frombuffer'): _array_from_buffer,
    })
for _builtins in ('builtins', '__builtin__'):  # Python 3 and 2
    _ADMITTED.update({
        (_builtins, 'set'): _set,
        (_builtins, 'frozenset'): _frozenset,
        (_builtins, 'bytes'): _no_bytes,
    })
_FUNCTIONS = frozenset(_ADMITTED.values())


class _ArrayUnpickler(pickle._Unpickler):
    """Unpickler of containers, numbers and stand-ins of arrays.

    It is Python's own, but the one in Python: that in C cannot be told what
    an opcode may do, and allocates as much as an index or a length says.

    Args:
        content (bytes): The pickle.
    """

    dispatch = dict(pickle._Unpickler.dispatch)

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding='latin1')
        self.forbidden = ''
        # bytes may be encoded first, then become an array
        self._budget = 2 * len(content)

    def find_class(self, module: str, name: str) -> Callable:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            self.forbidden = ' '.join(f'{module}.{name}'.split())[:200]
            raise pickle.UnpicklingError(self.forbidden) from None

    def _charge(self, item: Any) -> None:
        """Count what was made of bytes that a pickle may name repeatedly."""
        if isinstance(item, NumericArray):
            self._budget -= 0 if item.array is None else item.array.nbytes
        elif isinstance(item, (bytes, set, frozenset)):
            self._budget -= len(item)
        if self._budget < 0:
            raise pickle.UnpicklingError('its arrays are larger than the file')

    def _top(self, kind: type) -> Any:
        """The item that an opcode changes."""
        if type(self.stack[-1]) is not kind:
            raise pickle.UnpicklingError(
                f'it treats a {type(self.stack[-1]).__name__} as a '
                f'{kind.__name__}')
        return self.stack[-1]

    def _reduce(self) -> None:
        arguments = self.stack.pop()
        function = self.stack[-1]
        if type(arguments) is not tuple or not callable(
                function) or function not in _FUNCTIONS:
            raise pickle.UnpicklingError('it calls what is no function')
        self.stack[-1] = function(*arguments)
        self._charge(self.stack[-1])

    def _build(self) -> None:
        state = self.stack.pop()
        item = self.stack[-1]
        if type(item) not in (NumericArray, NumericDtype):
            raise pickle.UnpicklingError('it sets the state of a '
                                         f'{type(item).__name__}')
        item.__setstate__(state)
        self._charge(item)

    def _append(self) -> None:
        item = self.stack.pop()
        self._top(list).append(item)

    def _append_all(self) -> None:
        items = self.pop_mark()
        self._top(list).extend(items)

    def _set_item(self) -> None:
        self._set_items_of([self.stack.pop(), self.stack.pop()][::-1])

    def _set_items(self) -> None:
        self._set_items_of(self.pop_mark())

    def _dict(self) -> None:
        items = self.pop_mark()
        self.stack.append({})
        self._set_items_of(items)

    def _set_items_of(self, items: list) -> None:
        if len(items) % 2:
            raise pickle.UnpicklingError('it holds a key without a value')
        self._top(dict).update(zip(_plain(items[::2]), items[1::2]))

    def _add_items(self) -> None:
        items = self.pop_mark()
        self._top(set).update(_plain(items))

    def _make_frozenset(self) -> None:
        items = self.pop_mark()
        self.stack.append(_frozenset(items))

    def _instance(self) -> None:
        # names the class, unlike the other ways to make an object
        module, name = (self.readline()[:-1].decode('utf-8') for _ in 'mn')
        self.find_class(module, name)
        self._object()

    def _object(self) -> NoReturn:
        raise pickle.UnpicklingError('it makes an object')

    dispatch.update({
        pickle.REDUCE[0]:
        _reduce,
        pickle.BUILD[0]:
        _build,
        pickle.APPEND[0]:
        _append,
        pickle.APPENDS[0]:
        _append_all,
        pickle.SETITEM[0]:
        _set_item,
        pickle.SETITEMS[0]:
        _set_items,
        pickle.DICT[0]:
        _dict,
        pickle.ADDITEMS[0]:
        _add_items,
        pickle.FROZENSET[0]:
        _make_frozenset,
        pickle.INST[0]:
        _instance,
        # nothing that may change once it has been looked at
        pickle.BYTEARRAY8[0]:
        pickle._Unpickler.load_binbytes8,
    })
    dispatch.update(
        dict.fromkeys(
            (opcode[0]
             for opcode in (pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX,
                            pickle.EXT1, pickle.EXT2, pickle.EXT4,
                            pickle.PERSID, pickle.BINPERSID,
                            pickle.NEXT_BUFFER, pickle.READONLY_BUFFER)),
            _object))


def _replace_stand_ins(item: Any, done: Dict[int, tuple]) -> Any:
    """Put the arrays in the place of their stand-ins.

    Args:
        item (Any): What the unpickler made.
        done (dict): Containers by their id, with what became of them: they
            may be shared, or hold themselves.

    Returns:
        Any: The same lists and dicts, new tuples.
    """
    if isinstance(item, NumericArray):
        if item.array is None:
            raise pickle.UnpicklingError('it holds an array without content')
        return item.array
    if isinstance(item, NumericDtype):
        return item.dtype
    # what sets hold has been looked at
    if isinstance(item, _PLAIN + (set, frozenset)):
        return item
    if not isinstance(item, (dict, list, tuple)):
        raise pickle.UnpicklingError(f'it holds a {type(item).__name__}')
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

    Those that Python 2 or an older NumPy wrote are read as well. Keys of
    dicts and elements of sets are numbers, texts or bytes; a bytearray comes
    as bytes.

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
        unpickler = _ArrayUnpickler(file.read())
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
            f'({reason(e)})') from None
