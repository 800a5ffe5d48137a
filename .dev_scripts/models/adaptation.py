"""What adaptations of the network that ships came to, in a table of the docs.

    lgh-adapt ../shared/real/pool -o mine_0 --rounds 3
    python .dev_scripts/models/adaptation.py mine_0 --photos ../shared/real

scores what lgh-adapt wrote, with one seed or several, beside the network that
ships: on labelled hands from the sources of the photographs that it was
adapted to (--pool names them) and on those of other sources, boxes given.
"""
import argparse
import json
from pathlib import Path
from typing import Dict, List

import numpy as np

from lgh_mmpose import HandPose
from lgh_mmpose.evaluation.photographs import (PhotoHand, draw_photos,
                                               interval, measure_photos,
                                               predict_photos, read_photos,
                                               weighted)
from lgh_mmpose.fileio import atomic_write

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs' / 'how_to' / 'adapt_to_your_photographs.md'
MARKS = '<!-- adaptation -->', '<!-- /adaptation -->'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'models', type=Path, nargs='+', help='what lgh-adapt wrote')
    parser.add_argument(
        '--photos', type=Path, required=True, help='folder of photographs')
    parser.add_argument(
        '--pool',
        type=Path,
        help='list of the photographs adapted to, each with its "source" '
        '(default: pool.json in --photos)')
    parser.add_argument('--page', type=Path, default=PAGE)
    return parser.parse_args()


def measure(hands: List[PhotoHand], pose: HandPose) -> Dict[str, np.ndarray]:
    return measure_photos(hands, predict_photos(pose, hands))


def row(name: str, hands: List[PhotoHand], some: np.ndarray,
        before: Dict[str, np.ndarray], after: List[Dict[str,
                                                        np.ndarray]]) -> str:
    """A line of the table: some hands, errors averaged over the seeds."""
    images = [hand.image for hand, one in zip(hands, some) if one]
    draws = np.concatenate([np.ones((1, len(images))), draw_photos(images, 0)])
    first = weighted(before['error'][some], draws)
    second = weighted(
        np.mean([values['error'] for values in after], 0)[some], draws)
    low, high = interval((second / first)[1:])
    sides = [
        100 * np.nanmean(values['side_right'][some])
        for values in (before, *after)
    ]
    return (f'| {name} | {len(images)} | {100 * first[0]:.1f} | '
            f'{100 * second[0]:.1f} | {second[0] / first[0]:.2f} ({low:.2f} '
            f'to {high:.2f}) | {sides[0]:.0f} | {np.mean(sides[1:]):.0f} |')


def table(args: argparse.Namespace) -> str:
    hands = read_photos(args.photos)
    pool = json.loads((args.pool or args.photos / 'pool.json').read_text())
    adapted = np.isin([hand.source for hand in hands],
                      [entry['source'] for entry in pool])
    true = np.array([hand.label == 'true' for hand in hands])
    before = measure(hands, HandPose())
    after = [
        measure(hands, HandPose(path, detector='shipped'))
        for path in args.models
    ]
    lines = [
        '| labelled hands | number | error before, % | after | ratio | side '
        'right before, % | after |', '|' + '---|' * 7
    ]
    for name, some in (('sources adapted to, accepted labels',
                        adapted & ~true), ('other sources, accepted labels',
                                           ~adapted & ~true),
                       ('other sources, true labels', ~adapted & true)):
        lines.append(row(name, hands, some, before, after))
    reports = [
        json.loads((path / 'adaptation.json').read_text())
        for path in args.models
    ]
    first, second = (
        np.mean([report['rendered'][key] for report in reports])
        for key in ('before_mm', 'after_mm'))
    lines.append(f'| rendered hands, MPJPE in mm | 500 | {first:.1f} | '
                 f'{second:.1f} | {second / first:.2f} | | |')
    return '\n'.join(lines)


def main() -> None:
    args = parse_args()
    text = args.page.read_text()
    before, found, rest = text.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not found or not end:
        raise SystemExit(f'error: {args.page} lacks the marks {MARKS[0]} and '
                         f'{MARKS[1]}')
    lines = table(args)
    print(lines)
    with atomic_write(args.page) as file:
        file.write(
            f'{before}{MARKS[0]}\n\n{lines}\n\n{MARKS[1]}{after}'.encode())


if __name__ == '__main__':
    main()
