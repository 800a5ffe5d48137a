"""Train configs on equal terms and compare what they reach.

Every run is a ``tools/train.py`` of its own, one thread, no workers, no
validation, followed by ``tools/test.py`` with the root depth given. Equal are
either the samples (``--num-samples``) or the CPU time (``--cpu-minutes``): two
short runs beforehand tell what an iteration takes, and how many fit. The CPU
time is that of the whole training process, imports included. Learning rate
and temperature fall over the run, however long it is.

``bf16`` is how the configs train where the CPU can: bf16 autocast,
channels_last and memory that is kept. ``fp32`` is PyTorch as it comes: no
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

from lgh_mmpose.config import limit_samples, merge_cfg_options, set_data_root
from lgh_mmpose.fileio import atomic_write

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
        default=['bf16'],
        help='how to compute (default: bf16)')
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
               precision: str, work_dir: Path) -> int:
    """How many samples a training of so much CPU time sees, measured."""
    seconds = []
    for iters in args.probe_iters:
        cfg = run_config(path, args, precision, args.seeds[0])
        batch = cfg.train_dataloader.batch_size
        limit_samples(cfg, iters * batch, iters * batch)
        cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=-1)
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
    limit_samples(cfg, num_samples, num_available)
    epochs = cfg.train_cfg.max_epochs
    num_samples = epochs * cfg.train_dataloader.dataset.indices
    work_dir = args.work_dir / f'{path.stem}_{precision}_seed{seed}'
    seconds, config = train(cfg, work_dir, precision)
    scores = test(config, work_dir / f'epoch_{epochs}.pth', work_dir)
    return dict(
        config=path.stem,
        precision=precision,
        seed=seed,
        samples=num_samples,
        batch_size=cfg.train_dataloader.batch_size,
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
                        args.work_dir / f'{path.stem}_{precision}_probe')
                results.append(
                    compare(path, precision, seed, budgets[key], available,
                            args))
                # a long run: show and keep what there is
                print(table(results[-1:]).splitlines()[-1], flush=True)
                with atomic_write(out) as file:
                    file.write((json.dumps(results, indent=2) + '\n').encode())
    print('\n' + table(results) + f'\n\nwrote {out}')


if __name__ == '__main__':
    main()
