"""How cost grows: with groups, input, batch, samples and processes."""
import argparse
import sys
from pathlib import Path
from typing import Dict

import numpy as np

from ..networks import Network
from ..processes import num_cores, run_processes
from ..timing import Case
from .indexing import index
from .inference import eager
from .scoring import metric
from .training import training_step


def scaling_cases(root: Path, args: argparse.Namespace) -> Dict[str, Case]:
    """How cost grows: cases ``scaling/<what>/<series>/<value>``."""
    size = args.input_size
    base = Network('lgh_freihand', size=size)
    cases = {}

    def add(what: str, value: int, network: Network) -> None:
        prefix = f'scaling/{what}'
        cases[f'{prefix}/infer/{value}'] = eager(network)
        cases[f'{prefix}/step/{value}'] = training_step(
            network._replace(batch=network.batch if what == 'batch' else 8))

    for groups in range(1, 8):
        add('groups', groups, base._replace(groups=groups))
    for side in (128, 192, 256, 320, 384):
        add('size', side, base._replace(size=side))
    for batch in (1, 2, 4, 8, 16, 32):
        add('batch', batch, base._replace(batch=batch))
    for exponent in range(3, args.max_exponent + 1):
        number = 10**exponent
        # as many as COCO's json fits into memory while it is written
        kinds = ('ours', 'coco') if exponent <= 5 else ('ours', )
        for kind in kinds:
            cases[f'scaling/samples/index_{kind}/{number}'] = index(
                kind, root, number)
        cases[f'scaling/samples/metric/{number}'] = metric(number)
    return cases


def process_throughput(args: argparse.Namespace) -> Dict[str, dict]:
    """Images per second of wall time that N processes train on together.

    Each trains its own copy on one thread and, where there are enough, on a
    core of its own; nothing is exchanged. ``infer`` is inference. All numbers
    of processes have their turn in each round; the median over the rounds.
    """
    result = {}
    network = Network('lgh_freihand', 8, size=args.input_size)
    cases = dict(
        step=training_step(network), infer=eager(network._replace(batch=1)))
    counts = range(1, 2 * num_cores() + 1)
    for name, case in cases.items():
        print(f'{name} by up to {counts[-1]} processes', file=sys.stderr)
        rates = [[run_processes(case, n) for n in counts]
                 for _ in range(args.rounds)]
        medians = np.median(rates, axis=0)
        result[name] = dict(zip(map(str, counts), medians.tolist()))
    return result
