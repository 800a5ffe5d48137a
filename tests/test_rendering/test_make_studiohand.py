import json
import os
import runpy
import shutil
import signal
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import REPO_ROOT, run_command, run_script, start_command

from lgh_mmpose.config import load_config
from lgh_mmpose.rendering import dataset_writer, write_studiohand

SCRIPT = REPO_ROOT / 'tools/dataset_converters/make_studiohand.py'


def command(out, num_train):
    return [
        sys.executable,
        str(SCRIPT),
        str(out), '--layout', 'freihand', '--num-train',
        str(num_train), '--num-eval', '1', '--size', '32', '--difficulty',
        'easy'
    ]


def test_writes_a_data_set_once(tmp_path, monkeypatch, capsys):
    output = run_command(*command(tmp_path / 'data', 3), cwd=tmp_path).stdout
    assert '3 training and 1 evaluation images' in output
    assert 'StudioHand: 4/4' in output  # progress
    assert len(os.listdir(tmp_path / 'data/training/rgb')) == 3

    main = runpy.run_path(str(SCRIPT))['main']
    monkeypatch.setattr(signal, 'signal', lambda *args: None)
    monkeypatch.setattr(sys, 'argv', command(tmp_path / 'data', 3)[1:])
    assert main() == 0
    assert 'already there' in capsys.readouterr().out
    monkeypatch.setattr(sys, 'argv', command(tmp_path / 'data', 4)[1:])
    assert main() == 1
    stderr = capsys.readouterr().err
    assert stderr.startswith('error: ') and '--overwrite' in stderr


def picture_folder(folder, seed):
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for name in ('first.png', 'second.png'):
        picture = rng.integers(0, 255, (40, 60, 3), np.uint8)
        cv2.imwrite(str(folder / name), picture)
    return folder


def test_own_backgrounds_are_among_the_parameters(tmp_path):
    """Other pictures, or other names, make it another data set."""
    parameters = dict(num_train=2, num_eval=0, size=32, quiet=True)
    one = picture_folder(tmp_path / 'one', 1)
    write_studiohand(tmp_path / 'data', backgrounds=one, **parameters)
    recorded = json.loads((tmp_path / 'data/studiohand.json').read_text())
    assert recorded['backgrounds']['files'] == 2
    assert str(tmp_path) not in json.dumps(recorded)
    # the same pictures elsewhere are the same
    copy = shutil.copytree(one, tmp_path / 'copy')
    assert not write_studiohand(
        tmp_path / 'data', backgrounds=copy, **parameters)
    os.rename(copy / 'first.png', copy / 'third.png')
    other = picture_folder(tmp_path / 'other', 2)
    for folder in (copy, other, None):
        with pytest.raises(FileExistsError, match='other parameters'):
            write_studiohand(
                tmp_path / 'data', backgrounds=folder, **parameters)
    write_studiohand(tmp_path / 'plain', **parameters)
    path = 'training/rgb/00000000.jpg'
    assert (tmp_path / 'plain' / path).read_bytes() != (tmp_path / 'data' /
                                                        path).read_bytes()


def test_a_changed_folder_gives_other_pictures(tmp_path):
    """Nothing of it is left over from an earlier call in this process."""
    parameters = dict(num_train=4, num_eval=0, size=32, quiet=True)
    folder = picture_folder(tmp_path / 'own', 1)
    write_studiohand(tmp_path / 'old', backgrounds=folder, **parameters)
    shutil.rmtree(folder)
    picture_folder(folder, 2)
    copy = shutil.copytree(folder, tmp_path / 'copy')
    write_studiohand(
        tmp_path / 'old', backgrounds=folder, overwrite=True, **parameters)
    write_studiohand(tmp_path / 'new', backgrounds=copy, **parameters)
    for path in sorted((tmp_path / 'new').rglob('*.j*')):
        other = tmp_path / 'old' / path.relative_to(tmp_path / 'new')
        assert other.read_bytes() == path.read_bytes(), path.name


def test_only_pictures_of_a_folder_matter(tmp_path):
    """Not what a system leaves there; each is read once for all shards."""
    folder = picture_folder(tmp_path / 'own', 1)
    described = dataset_writer._describe_folder(folder)
    (folder / '.DS_Store').write_bytes(b'of a system')
    (folder / 'lost.png').symlink_to(tmp_path / 'nowhere.png')
    with_broken = dataset_writer._describe_folder(folder)
    assert with_broken['files'] == 3
    (folder / 'lost.png').unlink()
    dataset_writer._hash_file.cache_clear()
    for _ in range(3):
        assert dataset_writer._describe_folder(folder) == described
    assert dataset_writer._hash_file.cache_info().misses == 2
    picture_folder(tmp_path / 'other',
                   2).joinpath('first.png').replace(folder / 'first.png')
    assert dataset_writer._describe_folder(folder) != described


def test_a_folder_without_pictures_is_an_error(tmp_path):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'empty/notes.txt').write_text('none')
    with pytest.raises(ValueError, match='empty'):
        write_studiohand(
            tmp_path / 'data', 1, 0, backgrounds=tmp_path / 'empty')
    assert os.listdir(tmp_path) == ['empty']


def test_what_is_left_out_is_among_the_parameters(tmp_path):
    parameters = dict(num_train=1, num_eval=0, size=32, quiet=True)
    write_studiohand(
        tmp_path / 'data', without=['objects', 'objects'], **parameters)
    recorded = json.loads((tmp_path / 'data/studiohand.json').read_text())
    assert recorded['without'] == ['objects']
    assert not write_studiohand(
        tmp_path / 'data', without=('objects', ), **parameters)
    with pytest.raises(FileExistsError, match='other parameters'):
        write_studiohand(tmp_path / 'data', **parameters)
    with pytest.raises(ValueError, match="'fingers'"):
        write_studiohand(tmp_path / 'data', without=['fingers'], **parameters)


def test_the_former_names_say_what_to_use(tmp_path):
    result = run_script(
        SCRIPT.with_name('make_synthhand.py'), cwd=tmp_path, check=False)
    assert 'make_studiohand.py, with the same options' in str(
        result.returncode)
    for name in ('lgh_synthhand', 'lgh_lite_synthhand',
                 'lgh_synthhand_test-freihand2d'):
        new = name.replace('synth', 'studio')
        with pytest.raises(FileNotFoundError, match=f'SynthHand: {new}.py'):
            load_config(REPO_ROOT / f'configs/{name}.py')
        assert (REPO_ROOT / f'configs/{new}.py').is_file()
    own = tmp_path / 'own.py'
    base = REPO_ROOT / 'configs/_base_/datasets/synthhand3d.py'
    own.write_text(f'_base_ = [{str(base)!r}]\n')
    with pytest.raises(ValueError, match='SynthHand: studiohand3d.py'):
        load_config(own)


@pytest.mark.parametrize('quiet', [False, True])
def test_compiling_is_told_before_the_progress(tmp_path, monkeypatch, capsys,
                                               quiet):
    monkeypatch.setattr(dataset_writer, '_PATIENCE', 0)
    monkeypatch.setattr(dataset_writer, '_warm', set())
    parameters = dict(num_train=1, num_eval=0, size=32, quiet=quiet)
    for name in ('one', 'two'):
        write_studiohand(tmp_path / name, **parameters)
    error = capsys.readouterr().err
    assert error.count('compiling') == (not quiet)  # once
    if not quiet:
        assert error.index('compiling') < error.index('images')


def descendants(pid):
    """Process ids of the children of a process and of theirs."""
    children = {}
    for stat in Path('/proc').glob('[0-9]*/stat'):
        try:
            parent = stat.read_text().rpartition(')')[2].split()[1]
        except OSError:  # ended meanwhile
            continue
        children.setdefault(int(parent), []).append(int(stat.parent.name))
    found = []
    for child in children.get(pid, []):
        found += [child, *children.get(child, [])]
    return found


def is_running(pid):
    try:
        stat = Path(f'/proc/{pid}/stat').read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(')')[2].split()[0] != 'Z'


def wait_until(condition, seconds=180):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, 'waited in vain'
        time.sleep(.05)


@pytest.mark.skipif(not Path('/proc/self/stat').exists(), reason='needs /proc')
@pytest.mark.parametrize('signum, workers', [(signal.SIGINT, 2),
                                             (signal.SIGTERM, 1),
                                             (signal.SIGKILL, 2)])
def test_interrupted_run_leaves_no_data_set(tmp_path, tmp_path_factory, signum,
                                            workers):
    log = tmp_path_factory.mktemp('log') / 'log'
    with open(log, 'w') as file:
        process = start_command(
            *command(tmp_path / 'data', 10**5),
            *('--workers', workers, '--quiet'),
            cwd=log.parent,
            output=file)
    try:
        wait_until(lambda: any(tmp_path.glob('.*/training/rgb/*.jpg')) or
                   process.poll() is not None)
        processes = descendants(process.pid)
        process.send_signal(signum)
        process.wait(timeout=180)
    finally:
        process.kill()
    assert not (tmp_path / 'data').exists()
    assert len(processes) >= workers if workers > 1 else not processes
    wait_until(lambda: not any(map(is_running, processes)))
    if signum == signal.SIGKILL:  # nobody is left to clean up
        assert process.returncode == -signum
        assert write_studiohand(tmp_path / 'data', 1, 0, size=32, quiet=True)
        assert os.listdir(tmp_path) == ['data']
    else:
        assert process.returncode == 130
        output = log.read_text()
        assert 'interrupted' in output and 'Traceback' not in output
        assert os.listdir(tmp_path) == []
