import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lgh_mmpose.synthesis import write_synthhand

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / 'tools/dataset_converters/make_synthhand.py'


def command(out, num_train, *options):
    return [
        sys.executable,
        str(SCRIPT),
        str(out), '--layout', 'freihand', '--num-train',
        str(num_train), '--num-eval', '1', '--size', '32', '--difficulty',
        'easy', *options
    ]


def environment():
    path = os.pathsep.join(
        filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    return {**os.environ, 'PYTHONPATH': path}


def test_writes_a_data_set_once(tmp_path, monkeypatch, capsys):
    process = subprocess.run(
        command(tmp_path / 'data', 3),
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True)
    assert process.returncode == 0, process.stderr
    assert '3 training and 1 evaluation images' in process.stdout
    assert 'SynthHand: 4/4' in process.stderr  # progress
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
def test_interrupted_run_leaves_no_data_set(tmp_path, signum, workers):
    process = subprocess.Popen(
        command(tmp_path / 'data', 10**5, '--workers', str(workers),
                '--quiet'),
        env=environment(),
        # a suite in the background ignores SIGINT, which is inherited
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stderr=subprocess.PIPE,
        text=True)
    try:
        wait_until(lambda: any(tmp_path.glob('.*/training/rgb/*.jpg')) or
                   process.poll() is not None)
        processes = descendants(process.pid)
        process.send_signal(signum)
        stderr = process.communicate(timeout=180)[1]
    finally:
        process.kill()
    assert not (tmp_path / 'data').exists()
    assert len(processes) >= workers if workers > 1 else not processes
    wait_until(lambda: not any(map(is_running, processes)))
    if signum == signal.SIGKILL:  # nobody is left to clean up
        assert process.returncode == -signum
        assert write_synthhand(tmp_path / 'data', 1, 0, size=32, quiet=True)
        assert os.listdir(tmp_path) == ['data']
    else:
        assert process.returncode == 130
        assert 'interrupted' in stderr and 'Traceback' not in stderr
        assert os.listdir(tmp_path) == []
