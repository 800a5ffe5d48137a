"""Cores, and processes that work on them together."""
import multiprocessing
import os
import threading
import time

import cv2
import torch

from .timing import Case

# for processes that run together; one that was killed would be waited for
_PROCESS_SECONDS = 900

ALL_CORES = os.sched_getaffinity(0) if hasattr(os, 'sched_getaffinity') else ()


def num_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def pin(threads: int, first: int = 0) -> None:
    """Keep this process on so many cores, where the system can do so."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    if hasattr(os, 'sched_setaffinity'):
        cores = sorted(ALL_CORES)
        os.sched_setaffinity(
            0, {cores[(first + i) % len(cores)]
                for i in range(threads)})


def run_processes(case: Case, count: int, calls: int = 3) -> float:
    """Samples per second of wall time that processes treat together.

    Each calls as often as the others; the last one to finish counts.

    Raises:
        RuntimeError: If one of them fails.
    """
    context = multiprocessing.get_context('fork')
    barrier = context.Barrier(count + 1)

    def run(number: int) -> None:
        pin(1, number)
        try:
            call = case.setup()
            call()
            barrier.wait()
            for _ in range(calls):
                call()
            barrier.wait()
        except BaseException:
            barrier.abort()  # or the others would wait for this process
            raise

    processes = [
        context.Process(target=run, args=(i, ), daemon=True)
        for i in range(count)
    ]
    for process in processes:
        process.start()
    try:
        barrier.wait(_PROCESS_SECONDS)
        start = time.perf_counter()
        barrier.wait(_PROCESS_SECONDS)
        seconds = time.perf_counter() - start
    except threading.BrokenBarrierError:
        raise RuntimeError('a process failed, see above') from None
    for process in processes:
        process.join()
    return count * calls * case.samples / seconds
