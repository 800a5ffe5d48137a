"""Render hands, train on them, test and draw: ``make demo``.

Every step is one of the package's own commands, run with
``configs/lgh_studiohand.py``:

1. ``tools/dataset_converters/make_studiohand.py``: StudioHand, hands turned
   any way
2. ``tools/train.py``: as many images as fit into ``--minutes``, in one or
   two processes, whichever is faster here
3. ``tools/test.py``: with the root depth given and with it solved; where
   there are labelled photographs, ``tools/analysis_tools/score_photos.py``
4. pictures, ``report.html`` and ``summary.json``
"""
import argparse
import json
import os
import os.path as osp
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import needs_mmpose  # noqa: F401
import numpy as np
import torch
from mmengine.config import Config
from torch import nn
from tqdm import tqdm

from lgh_mmpose.config import set_data_root
from lgh_mmpose.cpu import bf16_instructions, describe_bf16
from lgh_mmpose.fileio import claim, write_json
from lgh_mmpose.visualization.plotly_hand import import_plotly

# where mmpose's users keep data; what is there is scored
PHOTOS = Path('data/photos')
REPO = Path(__file__).resolve().parents[1]
TOOLS = REPO / 'tools'
CONFIG = REPO / 'configs' / 'lgh_studiohand.py'
# what the steps after the training take, with room to spare
RESERVED_SECONDS = 60
PROBE_ITERS = 40
# of the planned time of an iteration over the measured one
MARGIN = 1.15


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Train and test on rendered hands, in minutes')
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument(
        '--minutes',
        type=float,
        default=19.3,
        help='wall time of the whole demo (default: 19.3)')
    parser.add_argument('--num-train', type=int, default=16000)
    parser.add_argument('--num-eval', type=int, default=500)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--processes',
        type=int,
        default=min(2,
                    os.cpu_count() or 1),
        help='at most so many processes, one core each (default: 2 or the '
        'number of cores)')
    parser.add_argument(
        '--max-epochs',
        type=int,
        help="at most so many epochs (default: the config's)")
    parser.add_argument(
        '--photos',
        type=Path,
        metavar='DIR',
        help='labelled photographs to score, as in '
        f'docs/how_to/score_on_photographs.md (default: {PHOTOS} if it is '
        'there)')
    args = parser.parse_args()
    if args.photos is None and PHOTOS.is_dir():
        args.photos = PHOTOS
    return args


def environment() -> Dict[str, str]:
    """One thread per process; ``KeepMemoryHook`` does the rest."""
    return dict(os.environ, OMP_NUM_THREADS='1')


def run(title: str, command: List, log_file: Optional[Path] = None) -> None:
    """Run a command; with a log file, its output goes there.

    Raises:
        SystemExit: If it fails, with the end of its log.
    """
    command = [str(part) for part in command]
    if log_file is None:
        failed = subprocess.run(command, env=environment()).returncode
    else:
        with open(log_file, 'w') as log:
            failed = subprocess.run(
                command,
                env=environment(),
                stdout=log,
                stderr=subprocess.STDOUT).returncode
    if failed:
        fail(title, log_file)


def fail(title: str, log_file: Optional[Path]) -> None:
    if log_file is not None:
        print(''.join(log_file.read_text().splitlines(True)[-20:]))
    raise SystemExit(f'demo: {title} failed'
                     f'{f"; its output is in {log_file}" if log_file else ""}')


def training_command(config: Path, work_dir: Path, processes: int) -> List:
    launch, launcher = [], 'none'
    if processes > 1:
        launch = [
            '-m', 'torch.distributed.run', '--standalone',
            f'--nproc_per_node={processes}'
        ]
        launcher = 'pytorch'
    return [
        sys.executable, *launch, TOOLS / 'train.py', config, '--work-dir',
        work_dir, '--launcher', launcher
    ]


def demo_config(args: argparse.Namespace, data_root: Path,
                processes: int) -> Config:
    cfg = Config.fromfile(CONFIG)
    set_data_root(cfg, str(data_root))
    # the batch of the config is that of all processes together
    cfg.train_dataloader.batch_size //= processes
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        # the cores are busy training: workers would only take turns
        cfg[name].num_workers = 0
        cfg[name].persistent_workers = False
    cfg.randomness.seed = args.seed
    if args.max_epochs:
        set_epochs(cfg, args.max_epochs)
    return cfg


def plan_epochs(iters: int, iters_per_epoch: int,
                max_epochs: int) -> Tuple[int, int]:
    """Spend ``iters`` iterations on whole epochs.

    Rather one more epoch with a few images fewer than time left over.

    Returns:
        tuple[int, int]: Number of epochs and of iterations in each, at most
        ``iters_per_epoch``.
    """
    epochs = int(np.clip(-(-iters // iters_per_epoch), 1, max_epochs))
    return epochs, int(np.clip(iters // epochs, 1, iters_per_epoch))


def set_epochs(cfg: Config, epochs: int) -> None:
    cfg.max_epochs = cfg.train_cfg.max_epochs = epochs


def read_scalars(work_dir: Path, since: float) -> List[dict]:
    """What a run begun at ``since`` has logged; no half-written last line."""
    records = []
    for path in work_dir.glob('*/vis_data/scalars.json'):
        if path.stat().st_mtime < since:
            continue
        for line in path.read_text().splitlines():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                break
    return records


def seconds_per_iter(args: argparse.Namespace, data_root: Path,
                     processes: int) -> float:
    """Time of a training iteration on this machine, here and now."""
    cfg = demo_config(args, data_root, processes)
    set_epochs(cfg, 1)
    batch = cfg.train_dataloader.batch_size * processes
    iters = min(PROBE_ITERS, -(-args.num_train // batch))
    cfg.train_dataloader.dataset.indices = min(iters * batch, args.num_train)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=-1)
    cfg.default_hooks.logger.interval = max(iters // 4, 1)
    work_dir = args.work_dir / f'probe_{processes}'
    work_dir.mkdir(parents=True, exist_ok=True)
    config = work_dir / CONFIG.name
    cfg.dump(config)
    begin = time.time()
    run('measuring the speed', training_command(config, work_dir, processes),
        work_dir / 'probe.log')
    times = [r['time'] for r in read_scalars(work_dir, begin) if 'loss' in r]
    # each is the mean of all iterations so far: leave out the first quarter,
    # which warms up
    if len(times) > 1:
        return (times[-1] * len(times) - times[0]) / (len(times) - 1)
    return times[0]


def train(cfg: Config, args: argparse.Namespace, processes: int,
          iters: int) -> float:
    """Train with a progress bar; returns the seconds it took."""
    config = args.work_dir / CONFIG.name
    cfg.dump(config)
    log_file = args.work_dir / 'train.log'
    begin = time.time()
    with open(log_file, 'w') as log:
        command = training_command(config, args.work_dir / 'train', processes)
        process = subprocess.Popen([str(part) for part in command],
                                   env=environment(),
                                   stdout=log,
                                   stderr=subprocess.STDOUT)
    try:
        with tqdm(
                total=iters,
                desc='training',
                unit='it',
                mininterval=1 if sys.stderr.isatty() else 30) as bar:
            while process.poll() is None:
                time.sleep(2)
                update_bar(bar, read_scalars(args.work_dir / 'train', begin))
            update_bar(bar, read_scalars(args.work_dir / 'train', begin))
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if process.returncode:
        fail('training', log_file)
    return time.time() - begin


def update_bar(bar: tqdm, records: List[dict]) -> None:
    shown = {}
    for record in records:
        if 'loss' in record:
            bar.update(max(record['iter'] - bar.n, 0))
            shown['loss'] = f'{record["loss"]:.3f}'
        if 'hand/MPJPE' in record:
            shown['MPJPE'] = f'{record["hand/MPJPE"]:.1f} mm'
    bar.set_postfix(shown, refresh=False)


def test(config: Path, checkpoint: Path, args: argparse.Namespace,
         root_depth: str) -> dict:
    """Scores of the checkpoint, with all predictions in an npz beside."""
    out = args.work_dir / f'test_root_{root_depth}.json'
    run(f'testing with the root depth {root_depth}', [
        sys.executable, TOOLS / 'test.py', config, checkpoint, '--work-dir',
        args.work_dir / 'test', '--out', out, '--cfg-options',
        f'model.test_cfg.root_depth={root_depth}',
        f'test_evaluator.0.dump_file={out.with_suffix(".npz")}'
    ], args.work_dir / 'test.log')
    return json.loads(out.read_text())


def score_photos(config: Path, checkpoint: Path,
                 args: argparse.Namespace) -> dict:
    """Figures on the photographs, with a sheet of them beside."""
    out = args.work_dir / 'photos.json'
    run('scoring the photographs', [
        sys.executable, TOOLS / 'analysis_tools' / 'score_photos.py',
        args.photos, '--config', config, '--checkpoint', checkpoint, '--json',
        out, '--sheet',
        out.with_suffix('.jpg'), '--predictions',
        args.work_dir / 'photos_predictions.json', '--threads', 1
    ], args.work_dir / 'photos.log')
    scores = json.loads(out.read_text())
    return {label: scores[label] for label in ('true', 'accepted')}


def mean_pose_mpjpe(cfg: Config, root: int) -> float:
    """Root-aligned error of always answering the training set's mean pose."""
    from lgh_mmpose.datasets import FreiHand3DDataset
    from lgh_mmpose.evaluation.functional import (keypoint_errors, mpjpe,
                                                  root_align)

    def joints(split: str) -> np.ndarray:
        dataset = FreiHand3DDataset(cfg.data_root, split=split, pipeline=[])
        return dataset.annotations.keypoints_cam

    training, evaluation = joints('training'), joints('evaluation')
    mean = (training - training[:, [root]]).mean(0)
    mean = np.broadcast_to(mean, evaluation.shape)
    aligned = root_align(mean, evaluation, root)
    return mpjpe(keypoint_errors(aligned, evaluation))


def images_per_second(model: nn.Module, num_images: int = 256) -> float:
    """The network alone, batches of 32, one thread, in what suits the CPU."""
    torch.set_num_threads(1)
    model.to(memory_format=torch.channels_last)
    width, height = model.head.decoder.input_size
    images = torch.zeros(32, 3, height, width)
    bf16 = bool(bf16_instructions())
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16, enabled=bf16):
        model(images, None, mode='tensor')
        begin = time.perf_counter()
        for _ in range(num_images // 32):
            model(images, None, mode='tensor')
    return num_images / (time.perf_counter() - begin)


def main() -> None:
    # mmpose tells that it found its own metainfo file, at every turn
    warnings.filterwarnings('ignore', 'The metainfo config file')
    args = parse_args()
    # the page comes last: what it lacks should not
    import_plotly()
    try:
        print(describe_bf16(), flush=True)
    except ValueError as error:
        raise SystemExit(f'demo: {error}') from None
    args.work_dir = args.work_dir.resolve()
    if args.photos is not None:
        # a fault in them is better told now than in 20 minutes
        from lgh_mmpose.evaluation.photographs import read_photos
        from lgh_mmpose.inference.images import read_image
        try:
            for hand in read_photos(args.photos):
                read_image(hand.image)
        except (OSError, ValueError) as error:
            raise SystemExit(f'error: {error}') from None
    try:
        args.work_dir.mkdir(parents=True, exist_ok=True)
        # two at once would take each other's checkpoints
        with claim(args.work_dir / 'demo'):
            demo(args)
    except OSError as error:
        raise SystemExit(f'error: {error}') from None


def demo(args: argparse.Namespace) -> None:
    """Render, train, test and draw."""
    begin = time.time()

    def step(number: int, text: str) -> None:
        print(
            f'[{number}/4] {text} ({time.time() - begin:.0f} s so far)',
            flush=True)

    data_root = args.work_dir / (f'studiohand_{args.num_train}_'
                                 f'{args.num_eval}_seed{args.seed}')
    step(1, f'rendering {args.num_train} + {args.num_eval} hands')
    run('rendering', [
        sys.executable, TOOLS / 'dataset_converters' / 'make_studiohand.py',
        data_root, '--layout', 'freihand', '--size', 128, '--num-train',
        args.num_train, '--num-eval', args.num_eval, '--seed', args.seed,
        '--workers', args.processes
    ])

    step(2, f'measuring how much training fits into {args.minutes:g} minutes')
    # a second process is no gain where something else keeps a core busy
    speeds = {
        n: seconds_per_iter(args, data_root, n)
        for n in sorted({1, args.processes})
    }
    processes = min(speeds, key=speeds.get)
    cfg = demo_config(args, data_root, processes)
    left = args.minutes * 60 - (time.time() - begin) - RESERVED_SECONDS
    # validations, checkpoints and a machine that slows down: a bit more
    seconds_per_iteration = MARGIN * speeds[processes]
    epochs, iters_per_epoch = plan_epochs(
        int(left / seconds_per_iteration),
        -(-args.num_train // (cfg.train_dataloader.batch_size * processes)),
        cfg.train_cfg.max_epochs)
    images = min(args.num_train,
                 iters_per_epoch * cfg.train_dataloader.batch_size * processes)
    cfg.train_dataloader.dataset.indices = images
    set_epochs(cfg, epochs)
    iters = epochs * iters_per_epoch
    step(
        2, f'training {epochs} epochs of {images} images in {processes} '
        f'process(es), about {iters * seconds_per_iteration / 60:.0f} minutes')
    train_seconds = train(cfg, args, processes, iters)

    step(3, 'testing')
    config = args.work_dir / CONFIG.name
    checkpoint = args.work_dir / 'train' / f'epoch_{epochs}.pth'
    given = test(config, checkpoint, args, 'given')
    solved = test(config, checkpoint, args, 'solved')
    photos = None
    if args.photos is not None:
        photos = score_photos(config, checkpoint, args)

    step(4, 'drawing')
    from mmpose.apis import init_model
    model = init_model(str(config), str(checkpoint), device='cpu')
    names = list(model.dataset_meta['keypoint_id2name'].values())
    joint_groups = model.head.selector.joint_groups
    pictures = draw(args.work_dir, model, names)
    summary = dict(
        mean_pose_mpjpe_mm=mean_pose_mpjpe(cfg, model.head.decoder.root_index),
        mpjpe_mm=given['hand/MPJPE'],
        pa_mpjpe_mm=given['hand/PA-MPJPE'],
        auc_0_50=given['hand/root-AUC_0-50'],
        epe_2d_px=given['hand/EPE_2d_px'],
        mpjpe_solved_root_mm=solved['hand/MPJPE'],
        epe_solved_root_mm=solved['hand/EPE'],
        cpu=describe_bf16(),
        cpu_bf16=bf16_instructions(),
        epochs=epochs,
        train_images=images,
        train_samples=epochs * images,
        train_images_per_second=epochs * images / train_seconds,
        images_per_second=images_per_second(model),
        groups=[[name for name, k in zip(names, joint_groups) if k == g]
                for g in range(model.head.num_groups)],
        photos=photos,
        seconds_total=time.time() - begin)
    # before the page, which may fail
    write_summary(summary, args.work_dir)
    page = write_page(args.work_dir, config, checkpoint, summary)
    summary['seconds_total'] = time.time() - begin
    out = write_summary(summary, args.work_dir)
    if photos is not None:
        pictures.append(args.work_dir / 'photos.jpg')
    report(summary, [out, page, *pictures, checkpoint])


def draw(work_dir: Path, model: nn.Module, names: List[str]) -> List[Path]:
    from lgh_mmpose.visualization.figures import (contact_sheet_of_predictions,
                                                  plot_selector_matrix,
                                                  plot_training_curve)
    predictions, curve, matrix = (
        work_dir / f'{name}.png'
        for name in ('predictions', 'training_curve', 'selector_matrix'))
    contact_sheet_of_predictions(work_dir / 'test_root_given.npz', predictions,
                                 model.dataset_meta)
    runs = (work_dir / 'train').glob('*/vis_data/scalars.json')
    plot_training_curve(max(runs, key=os.path.getmtime), curve)
    plot_selector_matrix(model.head.selector.probabilities.numpy(), names,
                         matrix)
    return [predictions, curve, matrix]


def samples_text(summary: dict) -> str:
    return (f'{summary["train_samples"]:,} samples, {summary["epochs"]} '
            f'epochs of {summary["train_images"]:,}')


def photo_rows(summary: dict) -> List[Tuple[str, str]]:
    """What is told of the photographs, if there were any."""
    return [(f'photographs, {label} labels',
             f'error {100 * s["error"]:.1f} % of the hand, median '
             f'{100 * s["median"]:.1f} %, PCK@0.05 {s["pck05"]:.3f}; '
             f'{s["found"]} of {s["count"]} hands')
            for label, s in (summary['photos'] or {}).items()
            if s['error'] is not None]


def write_page(work_dir: Path, config: Path, checkpoint: Path,
               summary: dict) -> Path:
    from lgh_mmpose.report import write_report
    predictions = {
        f'root depth {root_depth}': work_dir / f'test_root_{root_depth}.npz'
        for root_depth in ('given', 'solved')
    }
    return write_report(
        work_dir / 'train',
        work_dir / 'report.html',
        checkpoint,
        predictions,
        config,
        command=['python', *sys.argv],
        more_facts={
            'CPU': summary['cpu'],
            'Trained on': samples_text(summary),
            **dict(photo_rows(summary))
        })


def write_summary(summary: dict, work_dir: Path) -> Path:
    out = work_dir / 'summary.json'
    write_json(out, summary, indent=2)
    return out


def report(summary: dict, written: List[Path]) -> None:
    s = summary
    rows = [
        ('mean pose, root-aligned (baseline)',
         f'{s["mean_pose_mpjpe_mm"]:.1f} mm'),
        ('MPJPE, root-aligned, root depth given', f'{s["mpjpe_mm"]:.1f} mm'),
        ('  root depth solved', f'{s["mpjpe_solved_root_mm"]:.1f} mm'),
        ('  root depth solved, nothing aligned',
         f'{s["epe_solved_root_mm"]:.1f} mm'),
        ('PA-MPJPE', f'{s["pa_mpjpe_mm"]:.1f} mm'),
        ('AUC 0-50 mm, root-aligned', f'{s["auc_0_50"]:.3f}'),
        ('2D error', f'{s["epe_2d_px"]:.1f} px of 128'),
        *photo_rows(s),
        ('CPU', s['cpu']),
        (f'network, one core, {"bf16" if s["cpu_bf16"] else "fp32"}',
         f'{s["images_per_second"]:.0f} images/s'),
        ('training', f'{s["train_images_per_second"]:.0f} images/s'),
        ('trained on', samples_text(s)),
        ('whole demo', f'{s["seconds_total"] / 60:.1f} min'),
        *((f'joint group {g}', ', '.join(names) or '(empty)')
          for g, names in enumerate(s['groups'])),
    ]
    width = max(len(name) for name, _ in rows)
    print()
    for name, value in rows:
        print(
            textwrap.fill(
                f'{name:{width}}  {value}',
                width=79,
                subsequent_indent=' ' * (width + 2)))
    print('\nwrote')
    for path in written:
        print(f'  {osp.relpath(path)}')


if __name__ == '__main__':
    main()
