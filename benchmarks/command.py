"""What everything costs, each beside what it is to be compared with.

Cases that are compared run by turns in one process, round by round, on the
same cores, so that whatever disturbs one of them disturbs all. Reported are
medians over the rounds: wall time, CPU time of the process (the better figure
on a busy machine) and, measured in a process of its own, by how much the case
raises the peak of the memory. Networks have random weights and their joints
spread evenly over the groups. All cases keep freed memory, the baselines too,
as :class:`KeepMemoryHook` does; set ``MALLOC_MMAP_MAX_`` or
``MALLOC_TRIM_THRESHOLD_`` in the environment to decide yourself.

Example::

    python benchmarks/run.py --json bench.json
    python benchmarks/run.py --only g3_vs_g1_step infer/lite --rounds 20
    python benchmarks/run.py --scaling --json scaling.json

The json holds ``ms`` and ``cpu_ms`` per call by case, ``peak_mb``, ``gflops``
(reached, in 10^9 floating-point operations per second of CPU), which of the
cases compute in ``bf16`` and which were ``left_out`` for want of it, and
``ratio``: by how many times the first is faster, but for ``g3_vs_g1_*``, which
say how many times as much three groups cost as one. ``cpu_ratio`` has the same
from the CPU times. On a CPU without bf16 the exported networks and the steps
of training run in fp32, as the package runs them there, and what is about bf16
is left out. ``difference_px`` says how far a joint of an exported network lies
at most from that of the network in PyTorch, in fp32, on noise.
"""
import argparse
import os
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Dict, Optional, Sequence

from mmengine.registry import init_default_scope

from lgh_mmpose.cpu import describe_bf16
from lgh_mmpose.engine.hooks.keep_memory_hook import keep_memory
from lgh_mmpose.fileio import write_json

from .cases.catalogue import RATIOS, all_cases
from .cases.growth import process_throughput, scaling_cases
from .cases.indexing import NUM_VERSIONS
from .cases.reading import pipeline_stages
from .measuring import environment, leave_out, run
from .processes import ALL_CORES, num_cores, pin
from .table import SCHEMA, table
from .timing import Case


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--only',
        nargs='+',
        metavar='NAME',
        help='cases (infer/lite), all of a kind (infer, infer16, step, part, '
        'conv, pipeline, index, metric, rendering, limit) or ratios '
        '(g3_vs_g1_step)')
    parser.add_argument(
        '--scaling',
        action='store_true',
        help='instead of the table, how cost grows with groups, input size, '
        'batch, number of samples and processes')
    parser.add_argument('--json', metavar='OUT', help='write the figures here')
    parser.add_argument(
        '--rounds',
        type=int,
        help='rounds, of which the median counts; slow cases have fewer, but '
        'three (default: 11; with --quick or --scaling 3)')
    parser.add_argument(
        '--quick',
        action='store_true',
        help='few rounds, small indices, no memory: a first look')
    parser.add_argument(
        '--threads',
        type=int,
        default=1,
        help='threads, and cores that they are pinned to (default: 1)')
    parser.add_argument(
        '--no-memory',
        action='store_true',
        help='do not measure the memory, for which cases run once more')
    parser.add_argument(
        '--input-size',
        type=int,
        metavar='PX',
        help="input of our networks (default: each config's)")
    parser.add_argument(
        '--batch',
        type=int,
        help='images of a training step (default: 8, studiohand 48)')
    parser.add_argument(
        '--index-samples',
        type=int,
        help="samples of the index (default: 130240, FreiHAND's; with "
        '--quick 8000)')
    parser.add_argument(
        '--metric-samples',
        type=int,
        default=1000,
        help='samples that are scored (default: 1000)')
    parser.add_argument(
        '--max-exponent',
        type=int,
        default=6,
        choices=range(3, 7),
        help='--scaling goes to so many powers of ten of samples (default: 6)')
    args = parser.parse_args(argv)
    if args.rounds is None:
        args.rounds = 3 if args.quick or args.scaling else 11
    if args.index_samples is None:
        args.index_samples = 8000 if args.quick else 130240
    for name in ('rounds', 'threads', 'metric_samples', 'batch'):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f'--{name.replace("_", "-")} must be at least 1, got '
                         f'{getattr(args, name)}')
    if args.index_samples < 1 or args.index_samples % NUM_VERSIONS:
        parser.error(f'--index-samples must be a multiple of {NUM_VERSIONS}, '
                     f'got {args.index_samples}')
    if args.threads > num_cores():
        parser.error(f'--threads {args.threads} needs as many cores, there '
                     f'are {num_cores()}')
    return args


def select(names: Optional[Sequence[str]], cases: Dict[str, Case]) -> list:
    """Cases that ``--only`` names, in their usual order.

    Raises:
        ValueError: If a name is no case, no kind of cases and no ratio.
    """
    if not names:
        return list(cases)
    kinds = {case.split('/')[0] for case in cases}
    wanted = set()
    for name in names:
        chosen = [c for c in cases if c == name or c.startswith(f'{name}/')]
        if chosen:
            wanted.update(chosen)
        elif name in RATIOS and set(RATIOS[name]) <= set(cases):
            wanted.update(RATIOS[name])
        else:
            known = sorted(kinds) + sorted(cases) + sorted(RATIOS)
            raise ValueError(f'--only: there is no {name!r}; choose from '
                             f'{", ".join(known)}')
    return [name for name in cases if name in wanted]


def main() -> None:
    args = parse_args()
    # ends the processes too, which would wait for each other for ever
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('terminated'))
    # mmpose finds its own file in another place
    warnings.filterwarnings('ignore', 'The metainfo config file')
    init_default_scope('mmpose')
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make, depth = (scaling_cases, 3) if args.scaling else (all_cases, 1)
        try:
            cases = make(root, args)
            names = select(args.only, cases)
        except ValueError as error:
            sys.exit(f'error: {error}')
        left_out = leave_out(names, cases)
        names = [name for name in names if name not in left_out]
        if left_out:
            print(
                f'{describe_bf16()}; left out are {", ".join(left_out)}',
                file=sys.stderr)
        if not names:
            sys.exit('error: nothing is left to measure')
        kept = keep_memory()
        started = time.perf_counter()
        cores = ALL_CORES
        processes = {}
        if args.scaling and not args.only:
            processes = process_throughput(args)
        pin(args.threads)
        try:
            result = run(names, cases, args, depth)
            stages = {
                name: pipeline_stages(root, name, args.rounds)
                for kind, name in (case.split('/', 1) for case in names)
                if kind == 'pipeline'
            }
        finally:
            if cores:
                os.sched_setaffinity(0, cores)
    result.update(
        schema=SCHEMA,
        seconds=time.perf_counter() - started,
        left_out=left_out,
        bf16=[name for name in names if cases[name].bf16],
        environment=environment(args, kept))
    for key, value in (('stages', stages), ('processes', processes)):
        if value:
            result[key] = value
    print(table(result))
    if args.json:
        write_json(args.json, result, indent=1)
