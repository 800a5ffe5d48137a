"""Render StudioHand, a data set of synthetic hands, without any download.

Example::

    python tools/dataset_converters/make_studiohand.py data/studiohand \
        --layout freihand --num-train 16000 --num-eval 500 --seed 0 \
        --workers 2 --size 128

    python tools/dataset_converters/make_studiohand.py data/studiohand_rhd \
        --layout rhd --num-train 8000 --num-eval 500 --workers 2

    python tools/dataset_converters/make_studiohand.py data/studiohand_coco \
        --layout coco --num-train 20000 --num-eval 1000 --workers 2

A large one in shards, here or on a cluster. What is interrupted goes on with
the same command; each shard may also be made on its own, on any machine, with
--shard 3/100::

    python tools/dataset_converters/make_studiohand.py data/studiohand \
        --num-train 10000000 --num-eval 10000 --size 128 --shards 100 \
        --workers 8 --executor slurm --executor-options slurm_partition=NAME
"""
import argparse
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Tuple

from mmengine.config import DictAction

from lgh_mmpose.rendering import (DIFFICULTIES, INGREDIENTS, LAYOUTS,
                                  write_shards, write_studiohand)
from lgh_mmpose.shards import parse_shard


def _shard(text: str) -> Tuple[int, int]:
    try:
        return parse_shard(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Render hands and write them as a data set.')
    parser.add_argument('out', help='directory to create')
    parser.add_argument(
        '--layout',
        choices=LAYOUTS,
        default='freihand',
        help='on-disk layout: of FreiHAND v2, one right hand per image, of '
        'RHD v1.1, a left and a right one, or of COCO, whole pictures with '
        'any number of hands, for detectors (default: %(default)s)')
    parser.add_argument(
        '--num-train', type=int, required=True, help='training images')
    parser.add_argument(
        '--num-eval', type=int, required=True, help='evaluation images')
    parser.add_argument(
        '--seed', type=int, default=0, help='seed (default: %(default)s)')
    parser.add_argument(
        '--workers',
        type=int,
        default=1,
        help='processes; the files do not depend on it (default: %(default)s)')
    parser.add_argument(
        '--difficulty',
        choices=DIFFICULTIES,
        default='full',
        help='easy: palm or back towards the camera, fingers up; full: any '
        'rotation (default: %(default)s)')
    parser.add_argument(
        '--size',
        type=int,
        help='side of the images in pixels, 16 to 4096 (default: 224 for '
        'freihand, 320 for rhd and coco)')
    parser.add_argument(
        '--fill',
        type=float,
        nargs=2,
        metavar=('LOW', 'HIGH'),
        help='share of the image that a hand spans; with --layout freihand '
        '(default: 0.5 0.85)')
    parser.add_argument(
        '--depth',
        action='store_true',
        help='write depth maps too; with --layout rhd')
    parser.add_argument(
        '--backgrounds',
        metavar='DIR',
        help='folder of pictures, without people, to put behind the hands')
    parser.add_argument(
        '--without',
        nargs='+',
        choices=INGREDIENTS,
        default=(),
        metavar='INGREDIENT',
        help='what to leave out, to see what it is worth: '
        f'{", ".join(INGREDIENTS)}')
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace a StudioHand data set that is already there')
    parser.add_argument(
        '--quiet', action='store_true', help='show no progress')
    shards = parser.add_mutually_exclusive_group()
    shards.add_argument(
        '--shards',
        type=int,
        metavar='N',
        help='make the data set in N parts, out/shard-0001-of-N and so on, '
        'which training reads as one; those that are there are kept')
    shards.add_argument(
        '--shard',
        type=_shard,
        metavar='I/N',
        help='make part I, from 1 on, of N only')
    parser.add_argument(
        '--executor',
        choices=('local', 'slurm', 'debug'),
        default='local',
        help='what makes the shards: this machine, jobs of a slurm cluster '
        'with --workers cores each, or, to try that out, such jobs one after '
        'the other in this process (default: %(default)s)')
    parser.add_argument(
        '--executor-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help="submitit's parameters, such as slurm_partition=NAME "
        'timeout_min=600')
    args = parser.parse_args()
    if args.executor != 'local' and args.shards is None:
        parser.error(f'--executor {args.executor} needs --shards N, each of '
                     'which becomes a job')
    if args.executor == 'local' and args.executor_options:
        parser.error('--executor-options are for --executor slurm')
    return args


def render(args: argparse.Namespace) -> bool:
    """Do what the command line asks for; whether anything was to be done."""
    parameters = {
        name: getattr(args, name)
        for name in ('num_train', 'num_eval', 'seed', 'size', 'difficulty',
                     'workers', 'overwrite', 'quiet', 'layout', 'depth',
                     'backgrounds', 'without', 'fill')
    }
    if args.shards is None:
        return write_studiohand(args.out, shard=args.shard, **parameters)
    if args.executor == 'local':
        return write_shards(args.out, args.shards, **parameters) > 0
    from lgh_mmpose.cluster import make_executor
    logs = Path(args.out) / '.jobs'
    executor = make_executor(
        args.executor,
        logs.resolve(),
        extra='cluster',
        # a day, if the partition has no other opinion
        **{
            'timeout_min': 60 * 24,
            'cpus_per_task': args.workers,
            **args.executor_options
        })
    written = write_shards(args.out, args.shards, executor, **parameters)
    shutil.rmtree(logs, ignore_errors=True)  # of no use without a failure
    return written > 0


def _interrupt(signum, frame) -> None:
    raise KeyboardInterrupt


def main() -> int:
    args = parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    started = time.monotonic()
    try:
        written = render(args)
    except KeyboardInterrupt:
        kept = 'the same command goes on' if args.shards is not None else \
            f'{args.out} was not written'
        print(f'interrupted, {kept}', file=sys.stderr)
        return 130
    except (OSError, ValueError, RuntimeError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    part = '' if args.shard is None else 'shard {}/{} of '.format(*args.shard)
    if not written:
        print(f'{part}{args.out} is already there, with the same parameters')
        return 0
    seconds = time.monotonic() - started
    print(f'{args.out}: {part}{args.num_train} training and {args.num_eval} '
          f'evaluation images in {seconds:.1f} s'
          f'{speed(args, seconds)}')
    return 0


def speed(args: argparse.Namespace, seconds: float) -> str:
    """Images a second, where all of them were made just now."""
    if args.shard is not None or args.shards is not None:
        return ''
    return f', {(args.num_train + args.num_eval) / seconds:.0f} images/s'


if __name__ == '__main__':
    sys.exit(main())
