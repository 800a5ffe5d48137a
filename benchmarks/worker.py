"""A process that answers json lines, for code of another environment.

The standard library alone: this is imported there, too.
"""
import json
import subprocess
import sys
import tempfile
from typing import Any, Iterator


class Worker:
    """A script that runs in a process of its own.

    Args:
        python (str): The Python that runs it.
        *arguments (str): The script and its arguments. For each line of json
            that it reads it writes one.

    Raises:
        SystemExit: If there is no such Python, or the process ends early,
            with what it printed.
    """

    def __init__(self, python: str, *arguments: str) -> None:
        self._errors = tempfile.TemporaryFile('w+')
        try:
            self._process = subprocess.Popen([python, *arguments],
                                             stdin=subprocess.PIPE,
                                             stdout=subprocess.PIPE,
                                             stderr=self._errors,
                                             text=True)
        except OSError as error:
            raise SystemExit(f'error: {python}: {error.strerror}') from error

    def __enter__(self) -> 'Worker':
        return self

    def __exit__(self, *_: Any) -> None:
        try:
            self._process.communicate()
        except BrokenPipeError:
            self._process.wait()
        self._errors.close()

    def __call__(self, question: Any) -> Any:
        """The answer to a question, both what json can hold."""
        try:
            print(json.dumps(question), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ''
        if line:
            return json.loads(line)
        self._process.wait()
        self._errors.seek(0)
        raise SystemExit('error: the process of '
                         f'{" ".join(map(str, self._process.args))} has '
                         f'ended:\n{self._errors.read()[-2000:]}')


def questions() -> Iterator[Any]:
    """What a worker is asked, in its process."""
    for line in sys.stdin:
        yield json.loads(line)


def answer(value: Any) -> None:
    """Answer the last question."""
    print(json.dumps(value), flush=True)
