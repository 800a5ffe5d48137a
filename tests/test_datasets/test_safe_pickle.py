import os
import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lgh_mmpose.datasets import safe_pickle
from lgh_mmpose.datasets.safe_pickle import load_array_pickle

ADMITTED = safe_pickle._ADMITTED
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)

numbers = st.integers() | st.floats(allow_nan=False) | st.booleans()
arrays = hnp.arrays(
    st.sampled_from(['f4', 'f8', '>f8', 'i4', 'u1', '?']),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    elements=st.just(0) | st.just(1))
contents = st.recursive(
    numbers | st.text() | st.binary() | st.none() | arrays,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.text(max_size=5) | st.integers(), inner, max_size=3) | st.tuples(
            inner, inner),
    max_leaves=10)


def same(one, other):
    if isinstance(one, np.ndarray):
        return (type(other) is np.ndarray and one.dtype == other.dtype
                and one.shape == other.shape and bool((one == other).all()))
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(
            same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.fixture(scope='module')
def path(tmp_path_factory):
    return str(tmp_path_factory.mktemp('pickle') / 'anno.pickle')


def dump(content, path, protocol=pickle.DEFAULT_PROTOCOL):
    with open(path, 'wb') as file:
        pickle.dump(content, file, protocol=protocol)


@settings(deadline=None, max_examples=60)
@given(content=contents, protocol=st.sampled_from(PROTOCOLS))
def test_arrays_and_containers_come_back(path, content, protocol):
    dump(content, path, protocol)
    # NumPy gives arrays of foreign byte order back in the native one
    with open(path, 'rb') as file:
        assert same(load_array_pickle(path), pickle.load(file))


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_sets_scalars_and_array_layouts(path, protocol):
    dump((np.float32(.5), np.int64(3), {1, 2}, frozenset('a')), path, protocol)
    assert load_array_pickle(path) == (np.float32(.5), 3, {1,
                                                           2}, frozenset('a'))
    columns = np.asfortranarray(np.arange(6.).reshape(2, 3))
    dump([columns, columns[::2, 1:]], path, protocol)
    one, part = load_array_pickle(path)
    np.testing.assert_array_equal(one, columns)
    np.testing.assert_array_equal(part, columns[::2, 1:])


def test_pickle_of_python_2_and_an_old_numpy(path):
    """Byte by byte, as no Python of today writes it."""
    data = np.array([1., -2.5], 'f4').tobytes()
    with open(path, 'wb') as file:
        file.write(b'\x80\x02}U\x03xyzcnumpy.core.multiarray\n_reconstruct\n'
                   b'(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01K\x02\x85'
                   b'cnumpy\ndtype\n(U\x02f4K\x00K\x01tR(K\x03U\x01<NNNJ\xff'
                   b'\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08' + data +
                   b'tbs.')
    content = load_array_pickle(path)
    assert list(content) == ['xyz'] and content['xyz'].dtype == np.float32
    assert content['xyz'].tolist() == [1., -2.5]


class Attack:
    """Pickles as a call of any function, with a state for what it returns."""

    def __init__(self, function, *arguments, state=None):
        self.call = (function, arguments, state)[:2 if state is None else 3]

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('protocol', PROTOCOLS)
@pytest.mark.parametrize('wrap', [
    lambda attack: attack,
    lambda attack: {0: {'xyz': np.zeros((42, 3)), 'K': attack}},
    lambda attack: np.array([attack, None]),
])  # yapf: disable
def test_malicious_pickle_is_named_and_not_run(path, tmp_path, wrap, protocol):
    victim = tmp_path / 'victim'
    dump(wrap(Attack(os.mkdir, str(victim))), path, protocol)
    with pytest.raises(ValueError) as error:
        load_array_pickle(path)
    assert path in str(error.value)
    # an array of objects is refused before what it holds is looked at
    assert f'{os.name}.mkdir' in str(error.value) or "'O8'" in str(error.value)
    assert not victim.exists()


@pytest.mark.parametrize('module, name', [
    ('os', 'system'),
    ('builtins', 'eval'),
    ('builtins', 'getattr'),
    ('numpy', 'load'),
    ('numpy', 'ndarray.tofile'),
    ('numpy.core.multiarray', 'fromfile'),
    ('lgh_mmpose.datasets.safe_pickle', 'load_array_pickle'),
])
@pytest.mark.parametrize('protocol', [0, 4])
def test_other_functions_are_named(path, module, name, protocol):
    program = f'c{module}\n{name}\n.'.encode()
    if protocol == 4:
        program = b'\x80\x04' + b''.join(
            b'\x8c' + bytes([len(text)]) + text.encode()
            for text in (module, name)) + b'\x93.'
    with open(path, 'wb') as file:
        file.write(program)
    with pytest.raises(ValueError, match=f'asks for {module}.{name}, which'):
        load_array_pickle(path)


@pytest.mark.parametrize('content', [
    np.array(['a']),
    np.array([None]),
    np.zeros(2, [('a', 'f4')]),
    np.zeros(1, 'M8[s]'),
])
def test_arrays_of_other_things_than_numbers(path, content):
    dump(content, path)
    with pytest.raises(ValueError, match='only numbers are read'):
        load_array_pickle(path)


def test_codec_that_is_not_latin1(path):
    with open(path, 'wb') as file:
        file.write(b'c_codecs\nencode\n(Vx\nVzip\ntR.')
    with pytest.raises(ValueError, match="bytes as 'zip'"):
        load_array_pickle(path)


def test_shared_dtype_cannot_be_changed(path):
    """A pickle may set the state of the dtype that it was given."""
    with open(path, 'wb') as file:
        file.write(b'\x80\x02cnumpy\ndtype\n(X\x02\x00\x00\x00f4\x89\x89tR(K'
                   b'\x03X\x01\x00\x00\x00>NNNJ\xff\xff\xff\xffJ\xff\xff\xff'
                   b'\xffK\x00tb.')
    assert load_array_pickle(path) == np.dtype('>f4')
    assert np.dtype('f4').isnative


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_truncated_pickle_is_told(path, protocol):
    whole = pickle.dumps({i: np.arange(5.) for i in range(5)}, protocol)
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        with open(path, 'wb') as file:
            file.write(whole[:length])
        with pytest.raises(ValueError, match='not a whole pickle'):
            load_array_pickle(path)


def crafted_dtype(state):
    return Attack(np.dtype, 'f8', False, True, state=state)


F8 = np.dtype('f8')


def crafted_array(dtype=F8, shape=(1, ), data=b'\0' * 8, version=1):
    reconstruct, arguments, _ = np.zeros(1).__reduce__()
    return Attack(
        reconstruct, *arguments, state=(version, shape, dtype, False, data))


@pytest.mark.parametrize('protocol', PROTOCOLS)
@pytest.mark.parametrize(
    'state',
    [
        (3, '|', None, None, None, -1, -1, 63),  # the bytes are pointers
        (3, '<', None, None, None, 2**30, -1, 0),  # larger than the bytes
        (3, '|', None, ('a', ), dict(a=(np.dtype('f4'), 2**40)), 4, 1, 0),
        (3, '|', (np.dtype('f8'), (2**20, )), None, None, 8, 1, 0),
        (3, '', None, None, None, -1, -1, 0),
        (2, '<', None, None, None, -1, -1, 0),
        (3, '<', None, None),
    ])
@pytest.mark.parametrize('wrap', [
    lambda dtype: dtype,
    lambda dtype: {0: {'xyz': crafted_array(dtype)}},
    lambda dtype: Attack(np.float64(1).__reduce__()[0], dtype, bytes(8)),
])  # yapf: disable
def test_numpy_does_not_see_what_a_pickle_says_of_a_type(
        path, wrap, state, protocol):
    dump(wrap(crafted_dtype(state)), path, protocol)
    with pytest.raises(ValueError, match='a type that is more than a number'):
        load_array_pickle(path)


@pytest.mark.parametrize(
    'content',
    [
        crafted_array(shape=(2, )),
        crafted_array(shape=(), data=bytes(16)),
        crafted_array(shape=(0, ), data=b'x'),
        crafted_array(shape=(-1, )),
        crafted_array(shape=(2**62, 2**62)),
        crafted_array(shape=(1., )),
        crafted_array(data=bytes(7)),
        crafted_array(data=bytes(9)),
        crafted_array(data=[None]),
        crafted_array(data=None),
        crafted_array(dtype=None),
        crafted_array(dtype='f8'),
        crafted_array(version=0),
        Attack(np.zeros(1).__reduce__()[0], np.ndarray,
               (0, ), b'b'),  # no state
    ])
def test_arrays_whose_bytes_are_not_their_shape(path, content):
    dump(content, path)
    with pytest.raises(ValueError, match='not a whole pickle'):
        load_array_pickle(path)


def test_type_with_metadata(path):
    """Version 4 of the state."""
    dump(np.arange(3, dtype=np.dtype('f4', metadata=dict(unit='m'))), path)
    assert same(load_array_pickle(path), np.arange(3, dtype='f4'))


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_arrays_are_plain_wherever_they_are(path, protocol):
    array = np.arange(3.)
    content = dict(a=[(array, (array, {0: array}))], b=array, c=array.dtype)
    content['a'].append(content)
    content['d'] = [content['a']]
    dump(content, path, protocol)
    loaded = load_array_pickle(path)
    first, (second, third) = loaded['a'][0]
    assert type(first) is np.ndarray and first.tolist() == [0, 1, 2]
    # one object stays one
    assert first is second is third[0] is loaded['b']
    assert loaded['a'][1] is loaded and loaded['d'][0] is loaded['a']
    assert loaded['c'] == array.dtype and isinstance(loaded['c'], np.dtype)
    first += 1  # belongs to whoever loaded it


def test_shared_tuples_are_walked_once(path):
    content = (np.zeros(1), )
    for _ in range(100):
        content = (content, content)
    dump(content, path)
    loaded = load_array_pickle(path)
    assert loaded[0] is loaded[1]


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_array_pickle(str(tmp_path / 'none.pickle'))


# -- programs that no pickler writes -----------------------------------------


def array_of(buffer, size):
    """Opcodes of an array of bytes over a buffer."""
    return (b'cnumpy.core.numeric\n_frombuffer\n(' + buffer +
            b'cnumpy\ndtype\n(U\x02u1\x89\x89tR' + pickle.BININT +
            size.to_bytes(4, 'little') + b'\x85' + b'U\x01Ct' + pickle.REDUCE)


BYTEARRAY = pickle.BYTEARRAY8 + (8).to_bytes(8, 'little') + bytes(8)


@pytest.mark.parametrize('program', [
    pytest.param(
        array_of(BYTEARRAY + b'q\x07', 8) + b'h\x07(' + b'K\x01' * 200 +
        pickle.APPENDS + b'\x86',
        id='buffer that grows below an array'),
    pytest.param(b'c_codecs\nencode\n}X\x01\x00\x00\x00aK\x01sb',
                 id='attribute of a function'),
    pytest.param(b'cnumpy\nndarray\n}X\x01\x00\x00\x00aK\x01sb',
                 id='attribute of a class'),
    pytest.param(b'c_codecs\nencode\nN}X\x0c\x00\x00\x00__defaults__)s\x86b',
                 id='defaults of a function'),
    pytest.param(b'c_codecs\nencode\n', id='function'),
    pytest.param(b']cbuiltins\nset\na', id='function in a list'),
    pytest.param(b'}K\x00cnumpy\ndtype\ns', id='function in a dict'),
    pytest.param(b'c_codecs\nencode\n\x85', id='function in a tuple'),
    pytest.param(b'cbuiltins\nset\n]c_codecs\nencode\na\x85R',
                 id='function in a set'),
    pytest.param(b'(c_codecs\nencode\n\x91', id='function in a frozenset'),
    pytest.param(b'}' + b')' + b'\x85' * (2 * 10**5) + b'K\x00s',
                 id='key whose hash overruns the stack'),
    pytest.param(b'\x8f()' + b'\x85' * (2 * 10**5) + pickle.ADDITEMS,
                 id='element whose hash overruns the stack'),
    pytest.param(b'(i_codecs\nencode\n', id='instance of a function'),
    pytest.param(b')\x81', id='object of no class'),
    pytest.param(b'U\x01ahR', id='call of a text'),
    pytest.param(b'K\x01]a', id='list appended to a number'),
    pytest.param(b']K\x00K\x01s', id='item of a list'),
    pytest.param(b'(K\x00d', id='key without a value'),
    pytest.param(BYTEARRAY + pickle.READONLY_BUFFER, id='view of a buffer'),
    pytest.param(b'L' + b'9' * 5000 + b'L\n', id='number of 5000 digits'),
    pytest.param(b']' * 10**4 + b'a' * (10**4 - 1), id='nesting'),
])  # yapf: disable
def test_program_that_no_pickler_writes_is_refused(path, program):
    with open(path, 'wb') as file:
        file.write(b'\x80\x05' + program + b'.')
    before = {key: vars(value).copy() for key, value in ADMITTED.items()}
    defaults = [getattr(f, '__defaults__', None) for f in ADMITTED.values()]
    with pytest.raises(ValueError, match='not a whole pickle') as error:
        load_array_pickle(path)
    assert len(str(error.value)) < 500
    assert before == {key: vars(value) for key, value in ADMITTED.items()}
    assert defaults == [
        getattr(f, '__defaults__', None) for f in ADMITTED.values()
    ]


def test_arrays_of_one_buffer_are_no_larger_than_the_file(path):
    """A few bytes each, which name the same megabyte."""
    size = 10**6
    first = array_of(
        b'B' + size.to_bytes(4, 'little') + bytes(size) + b'q\x07', size)
    again = array_of(b'h\x07', size)
    for number, refused in ((1, False), (10, True)):
        with open(path, 'wb') as file:
            file.write(b'\x80\x05(' + first + again * number + b'l.')
        if refused:
            with pytest.raises(ValueError, match='larger than the file'):
                load_array_pickle(path)
        else:
            one, other = load_array_pickle(path)
            one[0] = 1
            assert other[0] == 0  # memory of its own


@pytest.mark.parametrize('program, result', [
    (b'K\x01r' + (10**8).to_bytes(4, 'little') + b'.', 1),
    (b'K\x01p100000000\n.', 1),
    (pickle.BYTEARRAY8 + (2**28).to_bytes(8, 'little') + b'x.', None),
])
def test_index_or_length_takes_no_memory(path, program, result):
    with open(path, 'wb') as file:
        file.write(b'\x80\x05' + program)
    tracemalloc.start()
    try:
        if result is None:
            with pytest.raises(ValueError, match='not a whole pickle'):
                load_array_pickle(path)
        else:
            assert load_array_pickle(path) == result
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_damaged_pickle_is_read_or_refused(path, protocol):
    rng = np.random.default_rng(protocol)
    whole = pickle.dumps(
        {i: dict(xyz=np.ones((2, 3)), K=[1, 2.5, 'a', {3}]) for i in range(2)},
        protocol)  # yapf: disable
    for _ in range(50):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), rng.integers(1, 4)):
            damaged[place] = rng.integers(0, 256)
        with open(path, 'wb') as file:
            file.write(damaged)
        try:
            pickle.dumps(load_array_pickle(path))
        except ValueError as error:
            assert path in str(error)
