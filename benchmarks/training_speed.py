"""Measure trainings as tools/train.py runs them, in variants that take turns.

Each run is a launch of its own, by ``torch.distributed.run`` for more than one
process; every process has one thread and reads its data itself. Reported are
medians over all iterations but the first of each run: samples per second of
wall time, which is what more processes are for, and CPU milliseconds per
sample, the better figure on a busy machine.

``fast`` is what the configs give: bf16 where the CPU computes it, else fp32,
in any case channels_last and memory that is kept. ``fp32`` is the plain way:
no autocast, no channels_last, the system's allocator as it is, mmpose's own
preprocessing.

Example::

    python benchmarks/training_speed.py configs/lgh_studiohand.py \
        --data-root DIR --variants fp32 fast
    python benchmarks/training_speed.py configs/lgh_studiohand.py \
        --data-root DIR --processes 1 2
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List

import numpy as np
from mmengine.config import Config, DictAction
from mmengine.hooks import Hook

import lgh_mmpose  # noqa: F401  (registers the components)
from lgh_mmpose.config import merge_cfg_options, set_data_root
from lgh_mmpose.cpu import bf16_instructions, describe_bf16
from lgh_mmpose.fileio import write_json

_FASTER_HOOKS = ('ChannelsLastHook', 'KeepMemoryHook')
_ALLOCATOR = ('MALLOC_MMAP_MAX_', 'MALLOC_TRIM_THRESHOLD_')
_MARK = 'training_speed: '


class StopwatchHook(Hook):
    """Wall and CPU time from the end of an iteration to that of the next."""

    priority = 'LOWEST'

    def __init__(self, warm_up: int) -> None:
        self.warm_up = warm_up
        self.times: List[List[float]] = []

    def after_train_iter(self, *args, **kwargs) -> None:
        self.times.append([time.perf_counter(), time.process_time()])

    def after_run(self, runner) -> None:
        from mmengine.dist import all_gather_object, get_rank
        steps = np.diff(self.times, axis=0)[self.warm_up:]
        everywhere = all_gather_object(steps.tolist())
        if get_rank() == 0:
            print(_MARK + json.dumps(everywhere), flush=True)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('--data-root', help='data set (default: config)')
    parser.add_argument(
        '--variants',
        nargs='+',
        choices=['fp32', 'fast'],
        default=['fast'],
        help='how to compute (default: fast)')
    parser.add_argument(
        '--processes',
        nargs='+',
        type=int,
        default=[1],
        help='numbers of processes (default: 1)')
    parser.add_argument(
        '--batch-size',
        type=int,
        help='samples per process and iteration (default: config)')
    parser.add_argument(
        '--iters', type=int, default=12, help='per run (default: 12)')
    parser.add_argument(
        '--warm-up',
        type=int,
        default=4,
        help='first iterations of a run that do not count (default: 4)')
    parser.add_argument(
        '--rounds', type=int, default=3, help='runs of each (default: 3)')
    parser.add_argument('--json', type=Path, help='file for the figures')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='override settings of the config')
    parser.add_argument('--child', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not 0 < args.warm_up + 1 < args.iters:
        parser.error('--iters must exceed --warm-up by 2 at least, got '
                     f'{args.iters} and {args.warm_up}')
    try:
        args.bf16 = bool(bf16_instructions())
    except ValueError as error:
        parser.error(str(error))
    return args


def run_config(args: argparse.Namespace, variant: str,
               processes: int) -> Config:
    """The config of one run: so many iterations, nothing beside."""
    cfg = Config.fromfile(args.config)
    if args.data_root is not None:
        set_data_root(cfg, args.data_root)
    merge_cfg_options(cfg, args.cfg_options)
    loader = cfg.train_dataloader
    loader.batch_size = args.batch_size or loader.batch_size
    loader.num_workers = 0
    loader.persistent_workers = False
    loader.sampler = dict(type='InfiniteSampler', shuffle=True)
    cfg.train_cfg = dict(by_epoch=False, max_iters=args.iters)
    cfg.param_scheduler = None
    for mode in ('val', 'test'):
        for key in ('cfg', 'dataloader', 'evaluator'):
            cfg[f'{mode}_{key}'] = None
    cfg.visualizer = None
    cfg.default_hooks.checkpoint = dict(
        type='CheckpointHook', interval=-1, by_epoch=False, save_last=False)
    cfg.optim_wrapper.type = 'Bf16OptimWrapper'
    cfg.optim_wrapper.enabled = variant == 'fast' and args.bf16
    if variant == 'fp32':
        cfg.custom_hooks = [
            hook for hook in cfg.custom_hooks if hook.type not in _FASTER_HOOKS
        ]
        cfg.model.data_preprocessor.type = 'PoseDataPreprocessor'
    cfg.launcher = 'pytorch' if processes > 1 else 'none'
    return cfg


def run(args: argparse.Namespace, variant: str,
        processes: int) -> Dict[str, float]:
    """One run.

    Raises:
        SystemExit: If it fails, with the end of its output.
    """
    env = {k: v for k, v in os.environ.items() if k not in _ALLOCATOR}
    env.update(OMP_NUM_THREADS='1')
    with tempfile.TemporaryDirectory() as folder:
        cfg = run_config(args, variant, processes)
        cfg.work_dir = folder
        config = Path(folder) / 'benchmark.py'
        cfg.dump(config)
        launch = []
        if processes > 1:
            launch = [
                '-m', 'torch.distributed.run', '--standalone',
                f'--nproc_per_node={processes}'
            ]
        result = subprocess.run([
            sys.executable, *launch, __file__, '--child', '--iters',
            str(args.iters), '--warm-up',
            str(args.warm_up),
            str(config)
        ],
                                env=env,
                                stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT,
                                text=True)
    lines = result.stdout.splitlines()
    found = [line for line in lines if line.startswith(_MARK)]
    if result.returncode or not found:
        raise SystemExit('\n'.join([*lines[-20:], 'a run failed, see above']))
    # processes x iterations x (wall, CPU)
    steps = np.array(json.loads(found[0][len(_MARK):]))
    samples = cfg.train_dataloader.batch_size * processes
    wall, cpu = np.median(steps, axis=1).T
    return dict(
        samples_per_second=samples / wall.mean(),
        cpu_ms_per_sample=1e3 * cpu.sum() / samples)


def train(args: argparse.Namespace) -> None:
    """What a run does."""
    import torch
    from mmengine.runner import Runner

    from lgh_mmpose.compat import setup_cpu_distributed
    torch.set_num_threads(1)
    cfg = Config.fromfile(args.config)
    setup_cpu_distributed(cfg)
    runner = Runner.from_cfg(cfg)
    runner.register_hook(StopwatchHook(args.warm_up))
    runner.train()


def main() -> None:
    args = parse_args()
    if args.child:
        train(args)
        return
    print(describe_bf16(), flush=True)
    cases = [(v, n) for v in args.variants for n in args.processes]
    results: Dict[str, List[dict]] = {f'{v} x{n}': [] for v, n in cases}
    for _ in range(args.rounds):
        for variant, processes in cases:
            results[f'{variant} x{processes}'].append(
                run(args, variant, processes))
    summary = {
        name: {
            key: float(np.median([r[key] for r in runs]))
            for key in runs[0]
        }
        for name, runs in results.items()
    }
    first = next(iter(summary.values()))
    print(f'{"":10s} {"samples/s":>10s} {"CPU ms/sample":>14s}'
          f'{"wall":>7s}{"CPU":>7s}  as fast as the first')
    for name, row in summary.items():
        wall = row['samples_per_second'] / first['samples_per_second']
        cpu = first['cpu_ms_per_sample'] / row['cpu_ms_per_sample']
        print(f'{name:10s} {row["samples_per_second"]:10.1f} '
              f'{row["cpu_ms_per_sample"]:14.2f}{wall:7.2f}{cpu:7.2f}')
    if args.json is not None:
        write_json(args.json, summary, indent=2)


if __name__ == '__main__':
    main()
