"""Render SynthHand, a data set of synthetic hands, without any download.

Example::

    python tools/dataset_converters/make_synthhand.py data/synthhand \
        --layout freihand --num-train 16000 --num-eval 500 --seed 0 \
        --workers 2 --difficulty easy --size 128

    python tools/dataset_converters/make_synthhand.py data/synthhand_rhd \
        --layout rhd --num-train 8000 --num-eval 500 --workers 2
"""
import argparse
import signal
import sys
import time

from lgh_mmpose.synthesis import DIFFICULTIES, LAYOUTS, write_synthhand


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Render hands and write them as a data set.')
    parser.add_argument('out', help='directory to create')
    parser.add_argument(
        '--layout',
        choices=LAYOUTS,
        default='freihand',
        help='on-disk layout: of FreiHAND v2, one right hand per image, or of '
        'RHD v1.1, a left and a right one (default: %(default)s)')
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
        help='side of the images in pixels (default: 224 for freihand, 320 '
        'for rhd)')
    parser.add_argument(
        '--depth',
        action='store_true',
        help='write depth maps too; with --layout rhd')
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace a SynthHand data set that is already there')
    parser.add_argument(
        '--quiet', action='store_true', help='show no progress')
    return parser.parse_args()


def _interrupt(signum, frame) -> None:
    raise KeyboardInterrupt


def main() -> int:
    args = parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    started = time.monotonic()
    try:
        written = write_synthhand(
            args.out,
            num_train=args.num_train,
            num_eval=args.num_eval,
            seed=args.seed,
            size=args.size,
            difficulty=args.difficulty,
            workers=args.workers,
            overwrite=args.overwrite,
            quiet=args.quiet,
            layout=args.layout,
            depth=args.depth)
    except KeyboardInterrupt:
        print(f'interrupted, {args.out} was not written', file=sys.stderr)
        return 130
    except (OSError, ValueError, RuntimeError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    if not written:
        print(f'{args.out} is already there, with the same parameters')
        return 0
    seconds = time.monotonic() - started
    count = args.num_train + args.num_eval
    print(f'{args.out}: {args.num_train} training and {args.num_eval} '
          f'evaluation images in {seconds:.1f} s, {count / seconds:.0f} '
          'images/s')
    return 0


if __name__ == '__main__':
    sys.exit(main())
