"""Processes that work together."""
import multiprocessing
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from benchmarks import processes
from benchmarks.cases import growth
from benchmarks.timing import Case


def failing_setup():
    raise ValueError('broken')


def test_processes_run_together(monkeypatch):
    # OpenCV at work in this process before, as after other tests
    cv2.warpAffine(
        np.zeros((2000, 2000), np.uint8), np.eye(2, 3), (2000, ) * 2)
    calls = multiprocessing.Value('i')

    def call():
        with calls.get_lock():
            calls.value += 1

    # two seconds pass
    clock = SimpleNamespace(perf_counter=iter((5, 7)).__next__)
    monkeypatch.setattr(processes, 'time', clock)
    case = Case(lambda: call, samples=4)
    assert processes.run_processes(case, count=2, calls=5) == 2 * 5 * 4 / 2
    assert calls.value == 2 * (1 + 5)  # the first one warms up
    with pytest.raises(RuntimeError, match='a process failed'):
        processes.run_processes(Case(failing_setup), count=2)


def test_numbers_of_processes_have_their_turns(monkeypatch):
    counts, rates = [], iter([1, 20, 2, 30, 90, 40, 5, 6, 7, 80, 6, 7])
    monkeypatch.setattr(growth, 'num_cores', lambda: 1)
    monkeypatch.setattr(
        growth, 'run_processes',
        lambda case, count: counts.append(count) or next(rates))
    result = growth.process_throughput(
        SimpleNamespace(input_size=64, rounds=3))
    assert counts == [1, 2] * 3 * 2
    # the middle of three rounds
    assert result == dict(step={'1': 2, '2': 30}, infer={'1': 6, '2': 7})
