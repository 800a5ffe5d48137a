"""Results files: one json object a line, only ever added to."""
import fcntl
import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple, Union

_LARGEST = sys.float_info.max

# what the report reads of a result, and its type
_FIELDS = dict(
    plan=str,
    variant=str,
    seed=int,
    settings=str,
    budget=dict,
    data=dict,
    samples=int,
    mpjpe_mm=float,
    pa_mpjpe_mm=float,
    joint_names=list,
    joint_mpjpe_mm=list,
    groups=list,
    probabilities=list,
    learned=bool,
    curve=list,
    train_curve=list,
    params=int,
    gmacs=float,
    cpu_seconds=float,
    wall_seconds=float)


@contextmanager
def locked(path: Union[str, Path], wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a file, made if absent, which dies with its process.

    Args:
        path (str | Path): The file.
        wait (bool): Whether to wait for it. Defaults to ``True``.

    Yields:
        bool: Whether the lock is held; always if it was waited for.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'a+b') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


def append_result(path: Union[str, Path], result: Dict[str, Any]) -> None:
    """Add a result to a file, whole or not at all.

    Several processes may do so at once. What is left of a write that was
    interrupted is taken away first.

    Args:
        path (str | Path): The file, made if absent.
        result (dict): See :func:`read_results`.

    Raises:
        ValueError: If the result lacks a field, or a number is not finite.
    """
    _check(result, str(path))
    line = (json.dumps(result, allow_nan=False) + '\n').encode()
    # not the file itself: git and editors replace it
    with locked(Path(path).with_name(f'.{Path(path).name}.lock')):
        with open(path, 'a+b') as file:
            file.seek(0)
            whole, tail = _split_tail(file.read())
            # a whole line that lacks its end only gets it
            file.truncate(len(whole) + len(tail))
            file.write((b'\n' if tail else b'') + line)
            file.flush()
            os.fsync(file.fileno())


def read_results(path: Union[str, Path]) -> List[Dict[str, Any]]:
    """Read a results file.

    Args:
        path (str | Path): The file; one that is absent has no results.

    Returns:
        list[dict]: The results in the order in which they came: ``plan``,
        ``variant``, ``seed``, ``settings`` (see :meth:`Plan.settings`),
        ``budget``, ``data`` (see :func:`.running.describe_data`),
        ``samples`` (trained on), ``mpjpe_mm`` and
        ``pa_mpjpe_mm`` (of the last weights), ``joint_names`` (K,),
        ``joint_mpjpe_mm`` (K,), ``groups`` (group of each joint, K,),
        ``probabilities`` (of each group, (K, G)), ``learned`` (whether the
        groups were), ``curve`` (samples and ``mpjpe_mm`` of each validation),
        ``train_curve`` (samples and 2D error in px of the network input),
        ``params``, ``gmacs`` (10^9 multiply-adds of an image),
        ``cpu_seconds`` and ``wall_seconds`` of the training, and more for
        people.

    Raises:
        ValueError: Naming the file and the line that is damaged.
    """
    path = Path(path)
    if not path.is_file():
        return []
    results = []
    content = b''.join(_split_tail(path.read_bytes()))
    for number, line in enumerate(content.splitlines(), 1):
        try:
            result = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f'{path}, line {number} is not json: {error}; '
                             'remove the line') from None
        _check(result, f'{path}, line {number}')
        results.append(result)
    return results


def _split_tail(content: bytes) -> Tuple[bytes, bytes]:
    """Whole lines, and the last one if it lacks nothing but its end.

    A line without end is otherwise what an interrupted write has left.
    """
    end = content.rfind(b'\n') + 1
    whole, tail = content[:end], content[end:]
    try:
        json.loads(tail)
    except (ValueError, RecursionError):
        return whole, b''
    return whole, tail


def _is_number(value: Any) -> bool:
    """Whether float64 holds it; json may have more digits, or NaN."""
    return type(value) in (int, float) and abs(value) <= _LARGEST


def _check(result: Any, where: str) -> None:
    if not isinstance(result, dict):
        raise ValueError(f'{where}: a result is a json object')
    for name, kind in _FIELDS.items():
        value = result.get(name)
        good = type(value) is kind or (kind is float and type(value) is int)
        if not good or (kind in (int, float) and not _is_number(value)):
            raise ValueError(f'{where}: {name} must be a {kind.__name__}, got '
                             f'{repr(value)[:100]}')
    joints = len(result['joint_names'])
    if not joints:
        raise ValueError(f'{where}: joint_names is empty')
    for name, good in (('joint_names', lambda v: isinstance(v, str)),
                       ('joint_mpjpe_mm',
                        _is_number), ('groups', lambda v: type(v) is int)):
        if len(result[name]) != joints or not all(map(good, result[name])):
            raise ValueError(f'{where}: {name} must have one entry for each '
                             f'of the {joints} joints')
    tables = dict(probabilities=None, curve=2, train_curve=2)
    for name, columns in tables.items():
        rows = result[name]
        if not all(isinstance(row, list) for row in rows) or len({
                columns or len(rows[0]), *map(len, rows)
        }) > 1 or not all(_is_number(v) for row in rows for v in row):
            raise ValueError(f'{where}: {name} must be a table of numbers')
    if len(result['probabilities']) != joints:
        raise ValueError(f'{where}: probabilities must have a row for each of '
                         f'the {joints} joints')
