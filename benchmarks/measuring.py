"""From cases to figures, and what the figures depend on."""
import argparse
import contextlib
import os
import platform
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Dict, List, Sequence

import numpy as np
import torch

from lgh_mmpose.cpu import bf16_instructions
from lgh_mmpose.engine.hooks.keep_memory_hook import VARIABLES

from .cases.catalogue import RATIOS, RELEASE_READER
from .processes import ALL_CORES
from .timing import Case, forked, measure, peak_memory


def leave_out(names: Sequence[str], cases: Dict[str, Case]) -> List[str]:
    """Cases, and ratios of them, that make no sense on a CPU without bf16."""
    if bf16_instructions():
        return []
    return [
        *(name for name in names if cases[name].bf16),
        *(name for name, pair in RATIOS.items()
          if 'bf16' in name and set(pair) <= set(names))
    ]


def run(names: Sequence[str], cases: Dict[str, Case], args: argparse.Namespace,
        group_depth: int) -> dict:
    """Measure cases, those of one group by turns.

    Args:
        names (Sequence[str]): Which.
        cases (dict[str, Case]): All cases by name.
        args (argparse.Namespace): The command line.
        group_depth (int): Cases whose names agree up to so many slashes are
            of one group.
    """
    left_out = leave_out(names, cases)
    groups: Dict[str, List[str]] = {}
    for name in names:
        groups.setdefault('/'.join(name.split('/')[:group_depth]),
                          []).append(name)
    result: Dict[str, dict] = dict(
        ms={},
        cpu_ms={},
        per_second={},
        peak_mb={},
        gflops={},
        rounds={},
        difference_px={})
    # before and apart from all else: what this process has freed, its forks
    # would not ask for
    for name in names:
        difference = forked(cases[name].prepare)
        if difference is not None:
            result['difference_px'][name] = difference
    memory = not (args.no_memory or args.quick)
    if memory and not Path('/proc/self/clear_refs').exists():
        print('no memory is measured: that needs Linux', file=sys.stderr)
        memory = False
    for name in names if memory else []:
        if not args.scaling or name.startswith('scaling/samples'):
            print(f'memory of {name}', file=sys.stderr, flush=True)
            result['peak_mb'][name] = peak_memory(cases[name])
    for group, members in groups.items():
        print(f'{group}: {len(members)} cases', file=sys.stderr, flush=True)

        def time_members(members=members) -> dict:
            calls = {name: cases[name].setup() for name in members}
            return {
                name: (*timing, cases[name].gflop())
                for name, timing in measure(calls, args.rounds).items()
            }

        # so that each kind gives its memory back
        for name, (*timing, gflop) in forked(time_members).items():
            wall, cpu = map(np.median, timing)
            result['rounds'][name] = len(timing[0])
            result['ms'][name] = 1e3 * wall
            result['cpu_ms'][name] = 1e3 * cpu
            result['per_second'][name] = cases[name].samples / wall
            if gflop is not None:
                result['gflops'][name] = gflop / cpu
    for key, source in (('ratio', 'ms'), ('cpu_ratio', 'cpu_ms')):
        values = result[source]
        result[key] = {
            name: values[a] / values[b]
            for name, (a, b) in RATIOS.items()
            if a in values and b in values and name not in left_out
        }
        for name, (case, reference) in RELEASE_READER.items():
            if case in values:
                result[key][name] = reference / values[case]
    return result


def environment(args: argparse.Namespace, kept: bool) -> dict:
    """What the figures depend on.

    Args:
        args (argparse.Namespace): The command line.
        kept (bool): Whether the process keeps freed memory.
    """
    versions = {}
    for package in ('torch', 'openvino', 'onnxruntime', 'mmengine', 'mmpose'):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        model = next((line.split(': ', 1)[1]
                      for line in lines if line.startswith('model name')),
                     model)
    return dict(
        command=shlex.join(['benchmarks/run.py', *sys.argv[1:]]),
        cpu=model,
        cores=len(ALL_CORES) or os.cpu_count(),
        instructions=torch.backends.cpu.get_cpu_capability(),
        bf16=bf16_instructions(),
        threads=args.threads,
        python=platform.python_version(),
        versions=versions,
        allocator=' '.join(f'{name}={os.environ[name]}'
                           for name in VARIABLES if name in os.environ)
        or ('memory is kept' if kept else "the system's"))
