"""Which shards a data set has, and where its samples lie."""
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgh_mmpose.shards import (Parts, find_shards, list_shards, parse_shard,
                               shard_name, shard_range)


def write_shards(root, count, skip=(), num_eval=2, last=()):
    """Shards without images; the last may have other parameters."""
    for index in range(1, count + 1):
        if index in skip:
            continue
        folder = root / shard_name(index, count)
        folder.mkdir(parents=True)
        parameters = dict(num_train=7, num_eval=num_eval, shard=[index, count])
        parameters.update(last if index == count else ())
        (folder / 'studiohand.json').write_text(json.dumps(parameters))


@given(st.integers(0, 1000), st.integers(1, 50))
def test_every_sample_is_in_one_shard(num, count):
    ranges = [shard_range(num, i, count) for i in range(1, count + 1)]
    assert [k for part in ranges for k in part] == list(range(num))
    sizes = [len(part) for part in ranges]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize('text, expected', [('1/1', (1, 1)),
                                            ('3/10', (3, 10))])
def test_a_shard_is_read(text, expected):
    assert parse_shard(text) == expected


@pytest.mark.parametrize('text', [
    '0/3', '4/3', '-1/3', '1/0', '1', '1/', '/3', '1/2/3', 'a/b', '1.0/3', '',
    ' 1/3', '1/9999999999999', '١/٣'
])
def test_nonsense_is_no_shard(text):
    with pytest.raises(ValueError, match='I from 1 to N'):
        parse_shard(text)


def test_a_folder_without_shards_has_its_own_files(tmp_path):
    parts = Parts(str(tmp_path), 'training')
    assert parts.folders == [str(tmp_path)]
    assert parts.locate(12) == (str(tmp_path), 12)
    assert find_shards(tmp_path / 'nowhere') == []


def test_files_are_found_in_their_shards(tmp_path):
    write_shards(tmp_path, 3)
    parts = Parts(str(tmp_path), 'training')
    names = [shard_name(i, 3) for i in (1, 2, 3)]
    assert parts.folders == [str(tmp_path / name) for name in names]
    located = [parts.locate(i) for i in range(7)]
    assert located == [(str(tmp_path / name), number)
                       for name, size in zip(names, (2, 2, 3))
                       for number in range(size)]
    # a second version of the first sample
    assert parts.locate(7) == (str(tmp_path / names[0]), 2)
    # the first shard has no evaluation sample
    parts = Parts(str(tmp_path), 'evaluation')
    assert parts.folders == [str(tmp_path / name) for name in names[1:]]
    parts.check_sizes([1, 1])
    with pytest.raises(ValueError, match='0003-of-0003 must have 1 sample'):
        parts.check_sizes([1, 2])


@pytest.mark.parametrize('skip, message', [
    ((2, ), 'shard-0002-of-0004 missing; .*--shard 2/4'),
    ((2, 4), 'shard-0002-of-0004 and 1 more missing; .*--shards 4'),
])
def test_a_missing_shard_is_named(tmp_path, skip, message):
    write_shards(tmp_path, 4, skip=skip)
    with pytest.raises(
            ValueError, match=f'{tmp_path} is not whole: {message}'):
        Parts(str(tmp_path), 'training')


@pytest.mark.parametrize('change, message', [
    (dict(seed=1), '0003-of-0003 is of another data set than .*0001-of-0003: '
     'seed is 1, not None'),
    (dict(num_train=8), 'num_train is 8, not 7'),
    (dict(shard=[2, 3]), r'0003-of-0003 is not what its name says: .* \[2, 3'),
    (dict(shard=None), 'not what its name says'),
    (dict(num_eval='2'), '0003-of-0003 is no shard of a rendered data set'),
])
def test_a_foreign_shard_is_named(tmp_path, change, message):
    write_shards(tmp_path, 3, last=change)
    with pytest.raises(ValueError, match=message):
        find_shards(tmp_path)


def test_a_shard_without_parameters_is_named(tmp_path):
    write_shards(tmp_path, 2)
    (tmp_path / 'shard-0002-of-0002/studiohand.json').write_text('{')
    with pytest.raises(ValueError, match='0002-of-0002 is no shard'):
        find_shards(tmp_path)


def test_shards_of_two_sets_are_no_set(tmp_path):
    write_shards(tmp_path, 2)
    write_shards(tmp_path, 3, skip=(1, 2))
    with pytest.raises(ValueError, match='two data sets, such as .*-of-0003'):
        find_shards(tmp_path)


def test_other_folders_are_no_shards(tmp_path):
    for name in ('shard-0000-of-0002', 'shard-0003-of-0002', 'shard-1-of-2',
                 '.shard-0001-of-0002.partial', 'shard-00001-of-0002'):
        (tmp_path / name).mkdir()
    assert list_shards(tmp_path) == []
    # nor is anything counted that is not there
    (tmp_path / 'shard-0001-of-9999999999').mkdir()
    with pytest.raises(ValueError, match='0002-of-9999999999 and 9999999997'):
        find_shards(tmp_path)


def test_a_split_without_samples_is_told(tmp_path):
    write_shards(tmp_path, 2, num_eval=0)
    with pytest.raises(ValueError, match='have no evaluation samples'):
        Parts(str(tmp_path), 'evaluation')
