"""Python commands in processes forked from one that has imported the rest.

A command of this project imports torch and mmpose for five seconds. The
server imports them once, and forks for each command: a process of its own,
with its own arguments, folder, environment and exit code, that imports
``lgh_mmpose`` itself. It runs no thread, or forking would not be safe.
"""
import atexit
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, List, Optional, Sequence

ROOT = Path(__file__).resolve().parents[1]
POLL_SECONDS = .02


class Command:
    """A running command, as ``subprocess.Popen`` has it.

    Attributes:
        pid (int): Its process id.
        returncode (int, optional): Exit code, negative the signal that ended
            it; None while it runs.
    """

    def __init__(self, server: 'CommandServer', pid: int) -> None:
        self.pid, self.returncode = pid, None
        self._server = server

    def poll(self) -> Optional[int]:
        """The exit code, None while it runs."""
        if self.returncode is None:
            self.returncode = self._server.ask(poll=self.pid)
        return self.returncode

    def wait(self, timeout: Optional[float] = None) -> int:
        """Wait for the end, :data:`POLL_SECONDS` at a time."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(POLL_SECONDS)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class CommandServer:
    """Client of a server process, which starts with the first command."""

    def __init__(self) -> None:
        self._process: Optional[subprocess.Popen] = None

    def start(self, arguments: Sequence[str], cwd: str, env: Dict[str, str],
              output: int) -> Command:
        """Start ``python ARGUMENTS``.

        Args:
            arguments (Sequence[str]): A script or ``-m`` and a module, and
                their arguments.
            cwd (str): Folder to run in.
            env (dict): Its whole environment.
            output (int): Descriptor of a file for both streams.
        """
        output = f'/proc/{os.getpid()}/fd/{output}'
        return Command(
            self,
            self.ask(arguments=arguments, cwd=cwd, env=env, output=output))

    def ask(self, **request: Any) -> Any:
        """Put a request to the server and return its answer."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, __file__],
                env={
                    **os.environ, 'OMP_NUM_THREADS': '1'
                },
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE)
            atexit.register(self._process.communicate)
        self._process.stdin.write(json.dumps(request).encode() + b'\n')
        self._process.stdin.flush()
        reply = self._process.stdout.readline()
        if not reply:
            raise RuntimeError('the server of commands has ended')
        return json.loads(reply)


def _preload() -> None:
    """Import what commands import, but for this project's own modules."""
    # its one file that mmpose needs, without the rest
    package = ModuleType('lgh_mmpose')
    package.__path__ = [str(ROOT / 'lgh_mmpose')]
    sys.modules['lgh_mmpose'] = package
    from lgh_mmpose import compat
    compat.install_mmcv_ext_stub()
    for name in [n for n in sys.modules if n.split('.')[0] == 'lgh_mmpose']:
        del sys.modules[name]
    import cv2
    import matplotlib.pyplot  # noqa: F401
    import mmpose.apis
    import mmpose.datasets
    import mmpose.evaluation
    import mmpose.models
    import mmpose.visualization  # noqa: F401
    import numba  # noqa: F401
    import scipy.optimize  # noqa: F401
    import torchvision  # noqa: F401
    cv2.setNumThreads(0)


def _become(request: dict, output: int) -> List[str]:
    """Turn a forked process into that of a command."""
    # which a suite in the background ignores, and hands on
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.chdir(request['cwd'])
    os.environ.clear()
    os.environ.update(request['env'])
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
        os.set_inheritable(target, True)
    os.close(null)
    os.close(output)
    # as the interpreter opens them for a file
    for name in ('stdin', 'stdout', 'stderr'):
        getattr(sys, name).reconfigure(line_buffering=name == 'stderr')
    return request['arguments']


def _run(arguments: List[str]) -> None:
    """As ``python ARGUMENTS`` does, in this process."""
    if arguments[0] == '-m':
        sys.argv = arguments[1:]
        sys.path[0] = os.getcwd()
        runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)
    else:
        sys.argv = arguments
        sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
        runpy.run_path(arguments[0], run_name='__main__')


def _exit_code(pid: int) -> Optional[int]:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def main() -> None:
    _preload()
    # what a child's collector walks is copied
    gc.freeze()
    replies = os.dup(1)
    for line in iter(sys.stdin.buffer.readline, b''):
        request = json.loads(line)
        if 'poll' in request:
            reply = _exit_code(request['poll'])
        else:
            # now, for the client may close it then
            output = os.open(request['output'], os.O_WRONLY | os.O_APPEND)
            reply = os.fork()
            if not reply:
                os.close(replies)
                arguments = _become(request, output)
                break
            os.close(output)
        os.write(replies, json.dumps(reply).encode() + b'\n')
    else:
        return
    # out of the loop, so that the process ends as every other does
    _run(arguments)


if __name__ == '__main__':
    main()
