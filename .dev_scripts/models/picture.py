"""Draw what the models that ship see on rendered pictures, for the README.

    python .dev_scripts/models/picture.py data/hands/whole \
        docs/images/lgh_hands.jpg
"""
import argparse
import logging
from pathlib import Path

import cv2
import numpy as np

from lgh_mmpose import HandPose
from lgh_mmpose.inference.drawing import draw_hands

SIDE = 480  # px
COLUMNS, ROWS = 4, 2


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'pictures', type=Path, help='StudioHand in its layout coco')
    parser.add_argument('out', type=Path, help='picture to write')
    parser.add_argument(
        '--first', type=int, default=0, help='number of the first picture')
    args = parser.parse_args()
    logging.getLogger('lgh_mmpose').setLevel(logging.ERROR)
    hand_pose = HandPose(num_threads=1)
    files = sorted((args.pictures / 'evaluation/images').iterdir())
    tiles = []
    for file in files[args.first:]:
        picture = cv2.resize(
            cv2.imread(str(file)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        hands, = hand_pose(picture)
        if len(hands):
            tiles.append(draw_hands(picture, hands))
        if len(tiles) == COLUMNS * ROWS:
            break
    rows = [
        np.hstack(tiles[i:i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)
    ]
    sheet = cv2.resize(
        np.vstack(rows), None, fx=.7, fy=.7, interpolation=cv2.INTER_AREA)
    if not cv2.imwrite(str(args.out), sheet, [cv2.IMWRITE_JPEG_QUALITY, 88]):
        raise SystemExit(f'error: cannot write {args.out}')


if __name__ == '__main__':
    main()
