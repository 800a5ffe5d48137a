import errno
import os
import re
import stat
import subprocess
import sys

import cv2
import numpy as np
import pytest
from helpers import full_disk
from hypothesis import given
from hypothesis import strategies as st

from lgh_mmpose import fileio
from lgh_mmpose.fileio import (atomic_write, check_not_read, claim, fit_name,
                               list_files, put_in_place, unfinished_directory,
                               write_image, write_json)

LONG = 250 * 'n' + '.png'  # 254 bytes; file systems take 255


def test_file_appears_only_when_whole(tmp_path):
    path = tmp_path / 'new' / 'scores.npz'
    with atomic_write(path) as file:
        file.write(b'half')
        file.flush()
        assert not path.exists()
        file.write(b' and half')
    assert path.read_bytes() == b'half and half'
    assert os.listdir(path.parent) == ['scores.npz']


def test_json_has_finite_numbers_only(tmp_path):
    path = tmp_path / 'new' / 'scores.json'
    write_json(path, dict(a=[1, 2.5]))
    assert path.read_text() == '{"a": [1, 2.5]}\n'
    write_json(path, dict(a=1), indent=2)
    assert path.read_text() == '{\n  "a": 1\n}\n'
    with pytest.raises(ValueError, match='not JSON compliant'):
        write_json(path, dict(a=float('nan')))
    assert path.read_text() == '{\n  "a": 1\n}\n'


@pytest.mark.parametrize('error', [RuntimeError, KeyboardInterrupt])
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / 'scores.npz'
    path.write_bytes(b'old')
    with pytest.raises(error):
        with atomic_write(path) as file:
            file.write(b'half')
            raise error
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['scores.npz']


def test_permissions_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        with atomic_write(tmp_path / 'file') as file:
            file.write(b'x')
    finally:
        os.umask(old)
    mode = stat.S_IMODE((tmp_path / 'file').stat().st_mode)
    assert mode == 0o640


def test_folder_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError, match='give a file name'):
        with atomic_write(tmp_path):
            pass


def test_image_keeps_its_colours(tmp_path):
    image = np.zeros((4, 6, 3), np.uint8)
    image[..., 0] = 200  # red
    write_image(image, tmp_path / 'red.png')
    read = cv2.imread(str(tmp_path / 'red.png'))[..., ::-1]
    np.testing.assert_array_equal(read, image)


@pytest.mark.parametrize('name', ['picture', 'picture.npz', 'a.\udcff'])
def test_unknown_image_format_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match='not the extension of an image'):
        write_image(np.zeros((4, 4, 3), np.uint8), tmp_path / name)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize('write', [
    lambda path: write_image(noise(), path),
    lambda path: np_savez(path),
])
def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path, write):
    path = tmp_path / 'scores.png'
    path.write_bytes(b'old')
    with full_disk(4000), pytest.raises(
            OSError, match=f'cannot write {path}: '):
        write(path)
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['scores.png']


def noise(size=64):
    return np.random.default_rng(0).integers(
        0, 255, (size, size, 3), dtype=np.uint8)


def np_savez(path):
    with atomic_write(path) as file:
        np.savez_compressed(file, errors=noise())


def test_the_longest_name_is_written(tmp_path):
    write_image(noise(), tmp_path / LONG)
    assert os.listdir(tmp_path) == [LONG]


def test_a_name_that_is_too_long_is_known_before_the_work(tmp_path):
    with pytest.raises(OSError, match='cannot write .*: File name too long'):
        with atomic_write(tmp_path / f'a{2 * LONG}'):
            pytest.fail('the work was begun')
    assert not os.listdir(tmp_path)


@given(st.text(max_size=300), st.sampled_from(['', '.jpg', '_2.mp4']))
def test_names_are_cut_to_what_fits(stem, suffix):
    name = fit_name(stem, suffix)
    assert name.endswith(suffix) and len(os.fsencode(name)) <= 255
    kept = name[:len(name) - len(suffix)]
    assert stem.startswith(kept)
    longer = stem[:len(kept) + 1] + suffix
    assert kept == stem or len(os.fsencode(longer)) > 255


@pytest.mark.parametrize('shape, name', [((2, 70000, 3), 'a.jpg'),
                                         ((2, 20000, 3), 'a.webp')])
def test_an_image_that_its_format_does_not_take_is_refused(
        tmp_path, shape, name):
    with pytest.raises(ValueError, match=f'{shape[1]} x 2 px cannot be writt'):
        write_image(np.zeros(shape, np.uint8), tmp_path / name)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize('link', [os.link, os.symlink, None])
def test_no_input_is_overwritten_by_any_name(tmp_path, link):
    own, other = tmp_path / 'photo.jpg', tmp_path / 'hands.jsonl'
    own.write_text('photo')
    if link is None:
        other = tmp_path / 'folder/../photo.jpg'
        (tmp_path / 'folder').mkdir()
    else:
        link(own, other)
    read = [None, 'nothing.jpg', tmp_path, own]
    with pytest.raises(ValueError, match='--json .* would overwrite .*photo'):
        check_not_read(other, read, '--json')
    check_not_read(tmp_path / 'absent', read, '--json')
    (tmp_path / 'same content').write_text('photo')
    check_not_read(tmp_path / 'same content', read, '--json')


# -- folders -----------------------------------------------------------------


def test_a_folder_appears_only_when_whole(tmp_path):
    target = tmp_path / 'new/data'
    with unfinished_directory(target) as folder:
        (folder / 'a').write_text('whole')
        assert folder.parent == target.parent and not target.exists()
        put_in_place(folder, target)
        assert (target / 'a').read_text() == 'whole'
    assert os.listdir(target.parent) == ['data']


@pytest.mark.parametrize('write', [atomic_write, unfinished_directory])
@pytest.mark.parametrize('place, reason', [
    ('locked', 'Permission denied'),
    ('file', '.*file is no folder'),
    ('file/in', 'Not a directory'),
])
def test_where_nothing_can_be_written_the_target_is_named(
        tmp_path, monkeypatch, write, place, reason):
    (tmp_path / 'file').touch()

    def refuse(path, *args, **kwargs):  # root may write everywhere
        raise PermissionError(errno.EACCES, 'Permission denied', str(path))

    if place == 'locked':
        monkeypatch.setattr(os, 'open', refuse)
    path = tmp_path / place / 'data'
    with pytest.raises(OSError) as error:
        with write(path):
            pass
    assert re.fullmatch(f'cannot write {path}: {reason}', str(error.value))


@pytest.mark.parametrize('name', ['data', LONG])
def test_a_failure_leaves_no_folder(tmp_path, name):
    with pytest.raises(KeyboardInterrupt):
        with unfinished_directory(tmp_path / name) as folder:
            (folder / 'a').write_text('half')
            raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('name', ['data', LONG])
def test_the_second_of_two_runs_is_refused_at_once(tmp_path, name):
    target = tmp_path / name
    with unfinished_directory(target) as folder:
        (folder / 'a').write_text('first')
        with pytest.raises(
                FileExistsError,
                match=f'another run is writing .*process {os.getpid()}'):
            with unfinished_directory(target):
                pytest.fail('two runs at once')
        put_in_place(folder, target)
    assert (target / 'a').read_text() == 'first'
    assert os.listdir(tmp_path) == [name]


def kill_in(folder, lines):
    """Run a program that kills itself with an unfinished folder."""
    program = (
        'import os, runpy, signal\n'
        # without the rest of the package, which takes seconds to import
        f'globals().update(runpy.run_path({fileio.__file__!r}))\n'
        'with unfinished_directory("data") as folder:\n'
        '    (folder / "a").write_text("half")\n'
        f'    {lines}\n'
        '    os.kill(os.getpid(), signal.SIGKILL)\n')
    result = subprocess.run([sys.executable, '-c', program], cwd=folder)
    assert result.returncode == -9


def test_what_a_killed_run_has_left_does_not_hinder_the_next(tmp_path):
    kill_in(tmp_path, '')
    assert sorted(os.listdir(tmp_path)) == ['.data.lock', '.data.partial']
    with unfinished_directory(tmp_path / 'data') as folder:
        assert os.listdir(folder) == []
        put_in_place(folder, tmp_path / 'data')
    assert os.listdir(tmp_path) == ['data']


def test_a_run_killed_between_two_renames_loses_nothing(tmp_path):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/old').write_text('old')
    kill_in(tmp_path, 'os.rename("data", ".data.former")')
    with pytest.raises(ArithmeticError):
        with unfinished_directory(tmp_path / 'data'):
            assert (tmp_path / 'data/old').read_text() == 'old'
            raise ArithmeticError
    assert os.listdir(tmp_path) == ['data']


def test_two_folders_after_a_killed_run_are_both_left_alone(tmp_path):
    for name in ('data', '.data.former'):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
    with pytest.raises(FileExistsError, match='.data.former is what'):
        with unfinished_directory(tmp_path / 'data'):
            pytest.fail('the work was begun')
    assert sorted(os.listdir(tmp_path)) == ['.data.former', 'data']


def test_without_locks_a_claim_still_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr(fileio, 'fcntl', None)
    with claim(tmp_path / 'data'):
        with pytest.raises(FileExistsError, match='remove .*.data.lock'):
            with claim(tmp_path / 'data'):
                pytest.fail('two at once')
    assert os.listdir(tmp_path) == []


def test_a_lock_that_was_taken_away_is_missed_by_nobody(tmp_path):
    lock = tmp_path / '.data.lock'
    with claim(tmp_path / 'data'):
        lock.unlink()
        with claim(tmp_path / 'data'):  # of another, who was told to
            pass
    with claim(tmp_path / 'data'):
        lock.unlink()
        lock.write_text('of another')
    assert lock.read_text() == 'of another'


def make_folder(target):
    target.mkdir(exist_ok=True)
    (target / 'notes.txt').write_text('mine')


def make_file(target):
    target.write_text('mine')


def make_link(target):
    (target.parent / 'elsewhere').mkdir()
    target.symlink_to(target.parent / 'elsewhere')


def change_file(target):
    (target / 'deep/old').write_text('changed by me')


def add_file(target):
    (target / 'deep/notes.txt').write_text('mine')


def replace_folder(target):
    target.rename(target.with_name('moved'))
    make_folder(target)


@pytest.mark.parametrize('change, replaces', [
    (make_folder, False),
    (make_file, False),
    (make_link, False),
    (change_file, True),
    (add_file, True),
    (replace_folder, True),
])
def test_what_came_meanwhile_stays_and_the_result_too(tmp_path, change,
                                                      replaces):
    target, former = tmp_path / 'data', None
    # taken already
    (tmp_path / 'data_2').mkdir()
    if replaces:
        (target / 'deep').mkdir(parents=True)
        (target / 'deep/old').write_text('old')
        former = list_files(target)
    with pytest.raises(FileExistsError) as error:
        with unfinished_directory(target) as folder:
            (folder / 'result').write_text('whole')
            change(target)
            before = list_files(target)
            put_in_place(folder, target, former)
    assert f'{target} is left alone' in str(error.value)
    assert str(error.value).endswith(f'is whole, in {target}_3')
    assert list_files(target) == before
    assert (tmp_path / 'data_3/result').read_text() == 'whole'
    assert not [name for name in os.listdir(tmp_path) if name[0] == '.']


def test_a_folder_that_was_looked_at_is_replaced(tmp_path):
    target = tmp_path / 'data'
    make_folder(target)
    with unfinished_directory(target) as folder:
        (folder / 'result').write_text('whole')
        put_in_place(folder, target, list_files(target))
    assert os.listdir(target) == ['result']
    assert os.listdir(tmp_path) == ['data']


def test_a_folder_that_vanished_meanwhile_is_no_hindrance(tmp_path):
    target = tmp_path / 'data'
    make_folder(target)
    former = list_files(target)
    with unfinished_directory(target) as folder:
        target.rename(tmp_path / 'moved')
        put_in_place(folder, target, former)
    assert sorted(os.listdir(tmp_path)) == ['data', 'moved']
