import os
import runpy
import signal
import sys
import time
from pathlib import Path

import pytest
from helpers import REPO_ROOT, run_command, start_command

from lgh_mmpose.rendering import write_studiohand

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
