"""Train configs on equal terms and compare what they reach.

Every run is a ``tools/train.py`` of its own, one thread, no workers, no
validation, followed by ``tools/test.py`` with the root depth given. Equal are
either the samples (``--num-samples``) or the CPU time (``--cpu-minutes``): two
short runs beforehand tell what an iteration takes, and how many fit. The CPU
time is that of the whole training process, imports included. Learning rate
and temperature fall over the run, however long it is. All draw from the whole
training set, with one seed in the same order, until their budget is spent.

``bf16`` is how the configs train where the CPU computes it: bf16 autocast,
channels_last and memory that is kept. Other CPUs imitate it, slowly: their
times tell nothing, the errors do. ``fp32`` is PyTorch as it comes: no
autocast, NCHW and the system's allocator as it is; all else is equal.
"""
import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Tuple

from mmengine.config import Config, DictAction

from lgh_mmpose.config import merge_cfg_options, set_data_root
from lgh_mmpose.cpu import bf16_instructions, describe_bf16
from lgh_mmpose.fileio import write_json

TOOLS = Path(__file__).resolve().parents[1]
FASTER_HOOKS = ('ChannelsLastHook', 'KeepMemoryHook')
# would decide for KeepMemoryHook
ALLOCATOR = ('MALLOC_MMAP_MAX_', 'MALLOC_TRIM_THRESHOLD_')
SCORES = ('hand/MPJPE', 'hand/PA-MPJPE', 'hand/EPE_2d_px')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='+', type=Path, help='config files')
    parser.add_argument('--data-root', required=True, help='data set of all')
    parser.add_argument('--work-dir', type=Path, required=True)
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument(
        '--num-samples', type=int, help='training samples of each run')
    budget.add_argument(
        '--cpu-minutes', type=float, help='CPU time of each training')
    parser.add_argument(
        '--precision',
        nargs='+',
        choices=['bf16', 'fp32'],
        help='how to compute (default: bf16 where the CPU does so in '
        'hardware, else fp32)')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0])
    parser.add_argument(
        '--probe-iters',
        nargs=2,
        type=int,
        default=[8, 24],
        metavar=('FEW', 'MORE'),
        help='iterations of the two runs that measure the speed '
        '(default: 8 24)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='override settings of all configs')
    args = parser.parse_args()
    for path in args.configs:
        if not path.is_file():
            parser.error(f'config not found: {path}')
    names = [path.stem for path in args.configs]
    if len(set(names)) < len(names):
        parser.error(f'two configs have the same name: {", ".join(names)}')
    few, more = args.probe_iters
    if not 0 < few < more:
        parser.error('--probe-iters must grow: FEW < MORE, got '
                     f'{few} {more}')
    try:
        default = 'bf16' if bf16_instructions() else 'fp32'
    except ValueError as error:
        parser.error(str(error))
    args.precision = args.precision or [default]
    return args


def run_config(path: Path, args: argparse.Namespace, precision: str,
               seed: int) -> Config:
    cfg = Config.fromfile(path)
    set_data_root(cfg, args.data_root)
    merge_cfg_options(cfg, args.cfg_options)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[name].num_workers = 0
        cfg[name].persistent_workers = False
    cfg.randomness.seed = seed
    cfg.model.test_cfg.root_depth = 'given'
    if precision == 'fp32':
        cfg.custom_hooks = [
            hook for hook in cfg.custom_hooks if hook.type not in FASTER_HOOKS
        ]
        # mmpose's own, which leaves the format of the images as it is
        cfg.model.data_preprocessor.type = 'PoseDataPreprocessor'
    return cfg


def set_iterations(cfg: Config, iterations: int, num_available: int) -> None:
    """Let a training end after so many iterations, within an epoch or not.

    Args:
        cfg (Config): Config to change in place.
        iterations (int): Iterations of whole batches.
        num_available (int): Samples of the training set.

    Raises:
        ValueError: If there is no iteration, or the training set does not
            fill one batch.
    """
    loader = cfg.train_dataloader
    if min(iterations, num_available // loader.batch_size) < 1:
        raise ValueError(
            f'{iterations} iterations with batches of {loader.batch_size} of '
            f'{num_available} samples are no training')
    loader.drop_last = True
    cfg.train_cfg = dict(by_epoch=False, max_iters=iterations)
    warmup, decay = cfg.param_scheduler
    # a short run is not to be over before the learning rate has come up
    warmup.end = min(warmup.end, max(iterations // 10, 1))
    decay.update(by_epoch=False, end=iterations)
    decay.pop('convert_to_iter_based', None)
    cfg.default_hooks.checkpoint = dict(
        type='CheckpointHook', by_epoch=False, interval=iterations)
    cfg.log_processor.by_epoch = False


def run(command: List, log_file: Path) -> float:
    """Run a command, its output into a file; returns its CPU seconds.

    Raises:
        SystemExit: If it fails, with the end of its output.
    """
    env = {k: v for k, v in os.environ.items() if k not in ALLOCATOR}
    env['OMP_NUM_THREADS'] = '1'
    with open(log_file, 'w') as log:
        process = subprocess.Popen([str(part) for part in command],
                                   env=env,
                                   stdout=log,
                                   stderr=subprocess.STDOUT)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if status:
        print(''.join(log_file.read_text().splitlines(True)[-20:]))
        raise SystemExit(f'failed; the whole output is in {log_file}')
    return usage.ru_utime + usage.ru_stime


def train(cfg: Config, work_dir: Path, precision: str) -> Tuple[float, Path]:
    """Train; returns the CPU seconds and the config file it was run with."""
    work_dir.mkdir(parents=True, exist_ok=True)
    config = work_dir / 'config.py'
    cfg.dump(config)
    seconds = run([
        sys.executable, TOOLS / 'train.py', config, '--work-dir', work_dir,
        '--no-validate', '--amp' if precision == 'bf16' else '--no-amp'
    ], work_dir / 'train.log')
    return seconds, config


def samples_in(cpu_seconds: float, path: Path, args: argparse.Namespace,
               precision: str, work_dir: Path, num_available: int) -> int:
    """How many samples a training of so much CPU time sees, measured."""
    seconds = []
    for iters in args.probe_iters:
        cfg = run_config(path, args, precision, args.seeds[0])
        batch = cfg.train_dataloader.batch_size
        set_iterations(cfg, iters, num_available)
        cfg.default_hooks.checkpoint.update(interval=-1, save_last=False)
        seconds.append(train(cfg, work_dir / f'probe_{iters}', precision)[0])
    few, more = args.probe_iters
    per_iter = (seconds[1] - seconds[0]) / (more - few)
    start = seconds[0] - few * per_iter
    if per_iter <= 0 or cpu_seconds < start + per_iter:
        raise SystemExit(
            f'{path}: {cpu_seconds:g} CPU seconds are too few to measure and '
            f'train in: {few} and {more} iterations took {seconds[0]:.1f} and '
            f'{seconds[1]:.1f} s')
    return int((cpu_seconds - start) / per_iter) * batch


def test(config: Path, checkpoint: Path, work_dir: Path) -> Dict[str, float]:
    out = work_dir / 'scores.json'
    run([
        sys.executable, TOOLS / 'test.py', config, checkpoint, '--work-dir',
        work_dir / 'test', '--out', out
    ], work_dir / 'test.log')
    scores = json.loads(out.read_text())
    return {name: scores[name] for name in SCORES}


def compare(path: Path, precision: str, seed: int, num_samples: int,
            num_available: int, args: argparse.Namespace) -> dict:
    """Train and test once."""
    cfg = run_config(path, args, precision, seed)
    batch_size = cfg.train_dataloader.batch_size
    iterations = num_samples // batch_size
    set_iterations(cfg, iterations, num_available)
    num_samples = iterations * batch_size
    work_dir = args.work_dir / f'{path.stem}_{precision}_seed{seed}'
    seconds, config = train(cfg, work_dir, precision)
    scores = test(config, work_dir / f'iter_{iterations}.pth', work_dir)
    return dict(
        config=path.stem,
        precision=precision,
        seed=seed,
        samples=num_samples,
        batch_size=batch_size,
        available=num_available,
        cpu_seconds=seconds,
        samples_per_cpu_second=num_samples / seconds,
        **scores)


def table(results: List[dict]) -> str:
    """The results as a table in Markdown."""
    lines = [
        '| config | precision | seed | samples | CPU s | samples/CPU s | '
        'MPJPE mm | PA-MPJPE mm | 2D px |', '|---' * 9 + '|'
    ]
    for r in results:
        scores = ' | '.join(f'{r[name]:.1f}' for name in SCORES)
        lines.append(f'| {r["config"]} | {r["precision"]} | {r["seed"]} '
                     f'| {r["samples"]} | {r["cpu_seconds"]:.0f} '
                     f'| {r["samples_per_cpu_second"]:.1f} | {scores} |')
    return '\n'.join(lines)


def main() -> None:
    args = parse_args()
    args.work_dir = args.work_dir.resolve()
    args.data_root = os.path.abspath(args.data_root)
    from mmpose.registry import DATASETS
    from mmpose.utils import register_all_modules

    import lgh_mmpose  # noqa: F401
    register_all_modules()

    print(f'training in {" and ".join(args.precision)}: {describe_bf16()}')
    results = []
    out = args.work_dir / 'results.json'
    # the seed outermost: what is compared runs close together
    budgets = {}
    for seed in args.seeds:
        for path in args.configs:
            cfg = run_config(path, args, 'bf16', seed)
            available = len(DATASETS.build(cfg.train_dataloader.dataset))
            for precision in args.precision:
                key = (path, precision)
                if args.num_samples:
                    budgets[key] = args.num_samples
                elif key not in budgets:
                    budgets[key] = samples_in(
                        60 * args.cpu_minutes, path, args, precision,
                        args.work_dir / f'{path.stem}_{precision}_probe',
                        available)
                results.append(
                    compare(path, precision, seed, budgets[key], available,
                            args))
                # a long run: show and keep what there is
                print(table(results[-1:]).splitlines()[-1], flush=True)
                # scores of a diverged training are no numbers, and no json
                known = [{
                    key: None if value != value else value
                    for key, value in result.items()
                } for result in results]
                write_json(out, known, indent=2)
    print('\n' + table(results) + f'\n\nwrote {out}')


if __name__ == '__main__':
    main()
