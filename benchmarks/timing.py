"""How a case is timed, and what memory it takes."""
import gc
import math
import multiprocessing
import re
import time
import traceback
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

from lgh_mmpose.engine.hooks.keep_memory_hook import trim_memory

_ROUND_SECONDS = 0.05  # shorter calls are repeated within a round
_CASE_SECONDS = 60.  # a case that has taken so long has no further rounds
_GROUP_SECONDS = 100.  # nor has a group of cases, but for the first three


class Case(NamedTuple):
    """Something to time."""
    setup: Callable[[], Callable[[], object]]  # gives what is called
    samples: int = 1  # that one call treats
    gflop: Callable[[], Optional[float]] = lambda: None  # of one call
    # writes the files it reads; tells by how many px an export is off
    prepare: Callable[[], Optional[float]] = lambda: None
    bf16: bool = False  # whether it computes in it


class Timing(NamedTuple):
    """Seconds of one call, in each round."""
    wall: List[float]
    cpu: List[float]


def measure(calls: Dict[str, Callable[[], object]],
            rounds: int,
            round_seconds: float = _ROUND_SECONDS,
            group_seconds: float = _GROUP_SECONDS) -> Dict[str, Timing]:
    """Time functions by turns.

    Args:
        calls (dict[str, Callable]): The functions, by name.
        rounds (int): How often each has its turn, at most.
        round_seconds (float): A turn lasts so long at least: a function that
            is faster is called several times. Defaults to 0.05.
        group_seconds (float): When all together have taken so long, the third
            round or the present one is the last. Defaults to 100.

    Returns:
        dict[str, Timing]: Seconds per call.
    """
    repeats, timings = {}, {}
    for name, call in calls.items():
        # the first call may compile or allocate
        warm_up = _warm_up(call)
        seconds = max(min(warm_up.wall), 1e-6)
        repeats[name] = max(1, math.ceil(round_seconds / seconds))
        # of the longest no other call is made
        timings[name] = warm_up if seconds > _CASE_SECONDS else Timing([], [])
    start = time.perf_counter()
    for number in range(rounds):
        if number >= 3 and time.perf_counter() - start > group_seconds:
            break
        for name, call in calls.items():
            if sum(timings[name].wall) * repeats[name] > _CASE_SECONDS:
                continue
            gc.collect()
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(repeats[name]):
                call()
            timings[name].cpu.append(
                (time.process_time() - cpu) / repeats[name])
            timings[name].wall.append(
                (time.perf_counter() - wall) / repeats[name])
    return timings


def _warm_up(call: Callable[[], object]) -> Timing:
    """Call twice, or once if it takes long."""
    timing = Timing([], [])
    while len(timing.wall) < 2 and sum(timing.wall) < 5:
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        timing.cpu.append(time.process_time() - cpu)
        timing.wall.append(time.perf_counter() - wall)
    return timing


def peak_memory(case: Case) -> float:
    """MB by which a case raises the peak of its process's memory.

    What the case holds while it runs counts, its network for one; what only
    getting ready for it took does not, nor do the files mapped into memory,
    such as libraries. Measured in a forked process, on Linux.
    """

    def run() -> float:
        # what this process has freed before is no memory of the case
        gc.collect()
        trim_memory()
        before = _memory('RssAnon', 'RssShmem')
        call = case.setup()
        gc.collect()
        trim_memory()
        Path('/proc/self/clear_refs').write_text('5')  # the peak, says Linux
        # the second training step has the optimizer's state beside it
        _warm_up(call)
        return _memory('VmHWM') - _memory('RssFile') - before

    return forked(run)


def _memory(*names: str) -> float:
    """Sum of entries of this process's status, MB."""
    status = Path('/proc/self/status').read_text()
    return sum(
        int(re.search(fr'^{name}:\s+(\d+) kB', status, re.M)[1])
        for name in names) / 1024


def forked(function: Callable[[], object]) -> object:
    """What a function returns in a process of its own.

    Raises:
        RuntimeError: If it fails there.
    """
    context = multiprocessing.get_context('fork')
    receiver, sender = context.Pipe(duplex=False)

    def run() -> None:
        try:
            sender.send((function(), None))
        except Exception:
            sender.send((None, traceback.format_exc()))

    process = context.Process(target=run)
    process.start()
    sender.close()
    try:
        result, error = receiver.recv()
    except EOFError:
        process.join()
        raise RuntimeError('a case ended its process with exit code '
                           f'{process.exitcode}') from None
    except BaseException:
        process.terminate()
        raise
    finally:
        process.join()
    if error is not None:
        raise RuntimeError(f'a case failed in its process:\n{error}')
    return result
