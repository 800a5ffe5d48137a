"""What pixels teach where depths are hidden, in a table of the docs.

    python .dev_scripts/models/hidden_depths.py

Of plain rendered hands (no ingredient of StudioHand's) the 3D joints are
known, as of any synthetic set, and of StudioHand, which stands for real
photographs, the pixels alone. The network of
configs/lgh_upright_studiohand.py learns from the first set, from both, from
both with biomechanical constraints, and from both with all 3D joints, and is
scored on StudioHand's test set. The results are kept in
results/hidden_depths; what has one is not done again.
With --report the command only writes the table.
"""
import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from queue import Queue
from typing import Any, Dict, List

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs' / 'lgh_upright_studiohand.py'
RENDER = ROOT / 'tools' / 'dataset_converters' / 'make_studiohand.py'
PAGE = ROOT / 'docs' / 'how_to' / 'train_on_your_own_data.md'
RESULTS = ROOT / 'results' / 'hidden_depths'
MARKS = '<!-- hidden depths -->', '<!-- /hidden depths -->'

# name in files: what the table calls it
ARMS = {
    'plain': '3D of plain hands alone',
    'pixels': 'and pixels of the others',
    'limits': 'and pixels of the others, `BiomechanicsLoss`',
    'full': 'and 3D of the others',
}
SEEDS = 0, 1
IMAGES, TEST_IMAGES, SIZE = 25000, 1000, 128
SAMPLES = 200000


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data-dir', type=Path, default=ROOT / 'data')
    parser.add_argument(
        '--work-dir', type=Path, default=ROOT / 'work_dirs' / 'hidden_depths')
    parser.add_argument('--report', action='store_true', help='run nothing')
    return parser.parse_args()


# -- runs --------------------------------------------------------------------


def render(folder: Path, seed: int, *options: str) -> None:
    """Render a set; nothing happens where it is there."""
    subprocess.run([
        sys.executable, RENDER, folder, '--num-train',
        str(IMAGES), '--num-eval',
        str(TEST_IMAGES), '--size',
        str(SIZE), '--seed',
        str(seed), '--workers',
        str(len(os.sched_getaffinity(0))), *options
    ],
                   cwd=ROOT,
                   check=True)


def write_config(arm: str, seed: int, data_dir: Path, path: Path) -> None:
    """The config of a run."""
    from mmengine.config import Config

    from lgh_mmpose.config import limit_samples
    cfg = Config.fromfile(CONFIG)
    loader = cfg.train_dataloader
    plain, other = (
        dict(loader.dataset, data_root=str(folder))
        for folder in folders(data_dir))
    for name in ('val_dataloader', 'test_dataloader'):
        cfg[name].dataset.data_root = other['data_root']
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[name].update(num_workers=0, persistent_workers=False)
    # all as long as the training on one set
    limit_samples(cfg, SAMPLES, IMAGES)
    loader.dataset.data_root = plain['data_root']
    if arm != 'plain':
        if arm != 'full':
            other = dict(
                type='Hand2DDataset',
                pipeline=other.pop('pipeline'),
                bbox_mode=other['bbox_mode'],
                dataset=other)
        # an epoch goes through both sets
        cfg.max_epochs = cfg.train_cfg.max_epochs = SAMPLES // (2 * IMAGES)
        loader.dataset = dict(
            type='CombinedDataset',
            metainfo=cfg.codec.metainfo,
            datasets=[plain, other])
        loader.sampler = dict(
            type='MultiSourceSampler',
            batch_size=loader.batch_size,
            source_ratio=[1, 1])
    if arm == 'limits':
        cfg.model.head.biomechanics_loss = dict(type='BiomechanicsLoss')
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        evaluator[0].limits = True
    cfg.randomness.seed = seed
    cfg.train_cfg.val_interval = cfg.train_cfg.max_epochs
    cfg.default_hooks.checkpoint = dict(
        type='CheckpointHook', interval=1, max_keep_ckpts=1)
    cfg.dump(path)


def folders(data_dir: Path) -> List[Path]:
    return [data_dir / 'studiohand-plain', data_dir / 'studiohand-other']


def result_file(arm: str, seed: int) -> Path:
    return RESULTS / f'{arm}_seed{seed}.json'


def run(arm: str, seed: int, folder: Path, cores: 'Queue[int]') -> None:
    """Train and score on one core, by the config in a folder."""
    from lgh_mmpose.fileio import write_json
    from lgh_mmpose.visualization.figures import read_run
    core = cores.get()
    try:
        print(f'{folder.name}: begins', flush=True)
        with open(folder / 'output.log', 'a') as log:
            subprocess.run([
                'taskset', '-c',
                str(core), sys.executable, ROOT / 'tools' / 'train.py',
                folder / 'config.py', '--work-dir', folder, '--resume'
            ],
                           cwd=ROOT,
                           check=True,
                           stdout=log,
                           stderr=subprocess.STDOUT,
                           env=dict(os.environ, OMP_NUM_THREADS='1'))
    finally:
        cores.put(core)
    scores = [r for r in read_run(folder) if 'hand/MPJPE' in r][-1]
    RESULTS.mkdir(parents=True, exist_ok=True)
    write_json(
        result_file(arm, seed),
        dict(
            arm=arm,
            seed=seed,
            samples=SAMPLES,
            scores={
                key: value
                for key, value in scores.items() if key.startswith('hand/')
            }),
        indent=1)
    print(f'{folder.name}: done', flush=True)


# -- report ------------------------------------------------------------------


def table() -> str:
    """The arms beside each other, means over the seeds and their range."""
    found: Dict[str, List[Dict[str, Any]]] = {
        arm: [
            json.loads(path.read_text())['scores']
            for path in sorted(RESULTS.glob(f'{arm}_seed*.json'))
        ]
        for arm in ARMS
    }
    lines = [
        '| learns from | seeds | MPJPE, mm | won back | PA-MPJPE, mm | won '
        'back | 2D error, px | beyond limits, % |', '|' + '---|' * 8
    ]
    for arm, name in ARMS.items():
        scores = found[arm]
        cells = [name, str(len(scores))]
        for key in ('hand/MPJPE', 'hand/PA-MPJPE'):
            values = [s[key] for s in scores]
            most, least = (
                np.mean([s[key] for s in found[end]])
                for end in ('plain', 'full'))
            part = (most - np.mean(values)) / (most - least)
            cells += [
                f'{np.mean(values):.1f} ({min(values):.1f} to '
                f'{max(values):.1f})', f'{100 * part:.0f} %'
            ]
        cells.append(f'{np.mean([s["hand/EPE_2d_px"] for s in scores]):.1f}')
        beyond = np.mean([s['hand/beyond_limits'] for s in scores])
        cells.append(f'{100 * beyond:.1f}')
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def main() -> None:
    args = parse_args()
    if not args.report:
        from lgh_mmpose.rendering import INGREDIENTS
        plain, other = folders(args.data_dir)
        render(plain, 1, '--without', *INGREDIENTS)
        render(other, 0)
        cores: 'Queue[int]' = Queue()
        for core in sorted(os.sched_getaffinity(0)):
            cores.put(core)
        runs = []
        for seed, arm in product(SEEDS, ARMS):
            if not result_file(arm, seed).is_file():
                folder = args.work_dir / f'{arm}_seed{seed}'
                folder.mkdir(parents=True, exist_ok=True)
                # not in the threads: mmengine reads one config at a time
                write_config(arm, seed, args.data_dir, folder / 'config.py')
                runs.append((arm, seed, folder))
        with ThreadPoolExecutor(cores.qsize()) as pool:
            futures = [pool.submit(run, *one, cores) for one in runs]
            for future in futures:
                future.result()
    text = PAGE.read_text()
    before, found, rest = text.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not found or not end:
        raise SystemExit(f'error: {PAGE} lacks the marks {MARKS[0]} and '
                         f'{MARKS[1]}')
    from lgh_mmpose.fileio import atomic_write
    lines = table()
    print(lines)
    with atomic_write(PAGE) as file:
        file.write(
            f'{before}{MARKS[0]}\n\n{lines}\n\n{MARKS[1]}{after}'.encode())


if __name__ == '__main__':
    main()
