"""Turns, rounds and memory; how fast anything is, is not tested."""
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from benchmarks.timing import Case, measure, peak_memory


def test_cases_have_their_turns_round_by_round():
    order = []
    timings = measure(
        {name: lambda name=name: order.append(name)
         for name in 'ab'},
        rounds=3,
        round_seconds=0)
    assert order == [*'aabb', *'ab' * 3]  # two calls each warm up
    assert all(len(t.wall) == len(t.cpu) == 3 for t in timings.values())


def test_slow_cases_have_three_rounds():
    for seconds, rounds in ((0, 3), (100, 4)):
        timings = measure(
            dict(a=lambda: None),
            rounds=4,
            round_seconds=0,
            group_seconds=seconds)
        assert len(timings['a'].wall) == rounds


def test_short_calls_are_repeated_within_a_round():
    calls = []

    def call():
        calls.append(0)
        time.sleep(0.001)

    timed = measure({'a': call}, rounds=2, round_seconds=0.02)['a']
    assert len(calls) > 2 + 2
    # per call, and asleep it needs no CPU
    assert min(timed.wall) >= 0.001
    assert max(timed.cpu) < min(timed.wall)


def failing_setup():
    raise ValueError('broken')


def test_failure_of_a_measured_case():
    with pytest.raises(RuntimeError, match=r'in its process:\n(?s:.*)broken'):
        peak_memory(Case(failing_setup))


def peaks(program: str) -> list:
    """What a program prints, in a process of its own.

    The benchmark measures memory before it does anything else. What other
    tests have freed may lie where the C library cannot give it back.
    """
    program = ('import mmap\nimport numpy as np\n'
               'from benchmarks.timing import Case, peak_memory\n' +
               textwrap.dedent(program))
    answer = subprocess.run([sys.executable, '-c', program],
                            cwd=Path(__file__).parents[2],
                            check=True,
                            capture_output=True,
                            text=True)
    return [float(word) for word in answer.stdout.split()]


def test_memory_is_the_growth_of_the_peak():
    pages, nothing = peaks("""
        def setup():

            def call():
                # fresh pages, whatever the allocator has at hand
                with mmap.mmap(-1, 64 * 2**20) as memory:
                    memory[::mmap.PAGESIZE] = b'1' * (
                        64 * 2**20 // mmap.PAGESIZE)

            return call

        print(peak_memory(Case(setup)))
        print(peak_memory(Case(lambda: lambda: None)))
        """)
    assert 60 < pages < 80
    assert nothing < 10


def test_memory_of_getting_ready_does_not_count():
    nothing, kept = peaks("""
        def held(num_bytes):

            def setup():
                np.ones(200 * 2**20, np.uint8)
                # small pieces, which lie in the heap
                pieces = [bytes(1000) for _ in range(100 * 2**10)]
                del pieces
                kept = np.ones(num_bytes, np.uint8)
                return lambda: kept.sum()

            return peak_memory(Case(setup))

        # a hole in the heap of this process, as of what ran in it before
        pieces = [bytes(1000) for _ in range(100 * 2**10)]
        del pieces[:-1]
        print(held(1), held(40 * 2**20))
        """)
    assert -5 < nothing < 20
    assert 30 < kept < 60
