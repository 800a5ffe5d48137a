"""Commands of the server are processes like any other."""
import signal
import sys
import time

import pytest
from helpers import run_command, start_command

SCRIPT = '''
import os, sys
assert 'torch' in sys.modules and 'lgh_mmpose' not in sys.modules
assert __name__ == '__main__' and __file__ == sys.argv[0]
import beside
print(sys.argv[1:], os.getcwd(), os.environ.get('COLOUR'), sys.stdin.read())
'''


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'script.py').write_text(SCRIPT)
    (tmp_path / 'beside.py').write_text('import atexit\n'
                                        'atexit.register(print, "end")\n')
    return tmp_path


def test_has_arguments_folder_environment_and_end_of_its_own(folder):
    result = run_command(
        *(sys.executable, folder / 'script.py', 'a', '--b'),
        cwd='/',
        COLOUR='red')
    assert result.stdout == "['a', '--b'] / red \nend\n"
    result = run_command(sys.executable, folder / 'script.py', cwd=folder)
    assert result.stdout == f'[] {folder} None \nend\n'


@pytest.mark.parametrize('text, code, output', [
    ('raise SystemExit(3)', 3, ''),
    ('raise SystemExit("wrong")', 1, 'wrong\n'),
    ('import os, signal; os.kill(os.getpid(), signal.SIGKILL)',
     -signal.SIGKILL, ''),
])
def test_gives_the_exit_code(text, code, output, tmp_path):
    (tmp_path / 'script.py').write_text(text)
    result = run_command(
        sys.executable, tmp_path / 'script.py', cwd=tmp_path, check=False)
    assert result.returncode == code and result.stdout == output


def test_an_error_has_its_trace(tmp_path):
    (tmp_path / 'module.py').write_text('1 / 0\n')
    result = run_command(
        sys.executable, '-m', 'module', cwd=tmp_path, check=False)
    assert result.returncode == 1
    assert result.stdout.startswith('Traceback')
    assert result.stdout.endswith('ZeroDivisionError: division by zero\n')


def test_ends_by_a_signal(tmp_path):
    (tmp_path / 'script.py').write_text('''
import time
try:
    print('ready', flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print('interrupted')
''')
    with open(tmp_path / 'log', 'w') as log:
        command = start_command(
            sys.executable, tmp_path / 'script.py', cwd=tmp_path, output=log)
        while command.poll() is None and \
                (tmp_path / 'log').read_text() != 'ready\n':
            time.sleep(.01)
        command.send_signal(signal.SIGINT)
        assert command.wait(timeout=60) == 0
    assert (tmp_path / 'log').read_text() == 'ready\ninterrupted\n'
