"""Compare predictions of networks on the same labelled photographs.

    python tools/analysis_tools/compare_photos.py DIR old=a.json new=b.json

The files are what score_photos.py wrote with --predictions. Each network is
set beside the first. A name that is given again is another seed of the same
network; the errors of seeds are averaged for each photograph. Intervals are
95 % ones of a paired bootstrap: each draw takes the same photographs for both
networks. They tell how far other photographs could move a figure, not how far
another training could. Prints a table in Markdown.
"""
import argparse
import os.path as osp
from typing import Dict, List


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('photos', metavar='DIR', help='holds hands.json')
    parser.add_argument(
        'predictions',
        nargs='+',
        metavar='NAME=FILE',
        help='predictions of a network, the first of which the others are '
        'compared with')
    parser.add_argument('--json', metavar='FILE', help='figures to write')
    args = parser.parse_args()
    args.files = {}
    for text in args.predictions:
        name, equals, path = text.partition('=')
        if not (name and equals and path):
            parser.error(f'{text} is not NAME=FILE')
        args.files.setdefault(name, []).append(path)
    if len(args.files) < 2:
        parser.error('give the predictions of at least two networks')
    return args


def table(figures: Dict[str, dict], seeds: Dict[str, int]) -> str:
    """Markdown: errors in % of the hand's size, and ratios to the first."""
    labels = [
        label for label, some in figures.items()
        if any(one['count'] for one in some.values())
    ]
    head = ['network', 'seeds']
    for label in labels:
        head += [f'{label}: hands', 'error, %', 'of the first']
    lines = [f'| {" | ".join(head)} |', '|---' * len(head) + '|']
    for name, number in seeds.items():
        cells: List[str] = [name, str(number)]
        for label in labels:
            one = figures[label][name]
            cells += [
                str(one['count']),
                with_interval(one['error'], one['error_interval'], 100, 1),
                with_interval(one['ratio'], one['ratio_interval'], 1, 3)
            ]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def with_interval(value: float, interval: List[float], factor: float,
                  digits: int) -> str:
    if value is None:
        return '-'
    low, high = (f'{factor * end:.{digits}f}' for end in interval)
    return f'{factor * value:.{digits}f} ({low} to {high})'


def compare(args: argparse.Namespace) -> None:
    # after the arguments are known to be good: these take seconds to import
    from lgh_mmpose.evaluation.photographs import (HANDS_FILE, compare_photos,
                                                   read_photos,
                                                   read_predictions)
    from lgh_mmpose.fileio import check_not_read, write_json

    hands = read_photos(args.photos)
    if args.json:
        read = [osp.join(args.photos, HANDS_FILE)]
        read += [path for paths in args.files.values() for path in paths]
        check_not_read(args.json, read, '--json')
    figures = compare_photos(
        hands, {
            name: [read_predictions(path, hands) for path in paths]
            for name, paths in args.files.items()
        })
    print(
        table(figures, {
            name: len(paths)
            for name, paths in args.files.items()
        }))
    if args.json:
        write_json(args.json, figures, indent=2)


def main() -> None:
    args = parse_args()
    try:
        compare(args)
    except (OSError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None


if __name__ == '__main__':
    main()
