"""How often HandInferencer's hand_side='auto' finds the right side.

Runs it on the images of a test set of right hands in FreiHAND's layout, and on
their mirror images, which are left hands:

    python tools/analysis_tools/measure_hand_side.py CONFIG CHECKPOINT \\
        data/synthhand
"""
import argparse
from pathlib import Path

import cv2
import numpy as np


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of the model')
    parser.add_argument('checkpoint', help='its weights')
    parser.add_argument('data_root', help="data set in FreiHAND's layout")
    parser.add_argument(
        '--num-images',
        type=int,
        default=500,
        help='take so many images (default: 500)')
    parser.add_argument('--device', default='cpu')
    return parser.parse_args()


def measure(args: argparse.Namespace) -> None:
    from lgh_mmpose.apis import HandInferencer
    files = sorted(Path(args.data_root, 'evaluation/rgb').glob('*.jpg'))
    files = files[:args.num_images]
    if not files:
        raise ValueError(f'no images in {args.data_root}/evaluation/rgb')
    inferencer = HandInferencer(
        args.config, args.checkpoint, args.device, fov=60, batch_size=25)
    hits = {}
    for side in ('right', 'left'):
        images = (cv2.imread(str(file)) for file in files)
        if side == 'left':
            images = (np.ascontiguousarray(image[:, ::-1]) for image in images)
        found = [
            frame['hands'][0]['hand_side'] for frame in inferencer(images)
        ]
        hits[side] = np.mean([name == side for name in found])
        print(f'{side} hands called {side}: {100 * hits[side]:.1f} % of '
              f'{len(found)}')
    print(f'both: {50 * sum(hits.values()):.1f} %')


def main() -> None:
    args = parse_args()
    try:
        measure(args)
    except (ValueError, OSError) as error:
        raise SystemExit(f'error: {error}') from None


if __name__ == '__main__':
    main()
