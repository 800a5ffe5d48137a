"""Score a network on a folder of labelled photographs.

Predictions go through ``lgh_mmpose.HandPose``. Errors are shares of the hand's
size, the longer side of the box of its labelled joints. The format of the
folder, what is given to the network and what the figures mean:
docs/how_to/score_on_photographs.md.
"""
import argparse
import logging
import os.path as osp
import warnings

from lgh_mmpose.inference import arguments


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('photos', metavar='DIR', help='holds hands.json')
    arguments.add_network(parser)
    parser.add_argument(
        '--boxes',
        choices=('given', 'upright', 'found'),
        default='given',
        help='given: boxes, and sides that the network does not tell, are '
        'those of the labels; upright: and where the hands point; found: by '
        'the detector (default: given)')
    arguments.add_detector(parser)
    parser.add_argument(
        '--padding',
        type=float,
        metavar='FACTOR',
        help='how much larger the crop is than the box (default: as the '
        'network was trained)')
    parser.add_argument(
        '--json', required=True, metavar='FILE', help='figures to write')
    parser.add_argument(
        '--predictions',
        metavar='FILE',
        help='json file to write the predictions to, for compare_photos.py')
    parser.add_argument(
        '--sheet',
        metavar='FILE',
        help='picture to write: best, median and worst predictions beside '
        'their labels')
    args = parser.parse_args()
    arguments.check(parser, args)
    if args.boxes == 'found' and not args.detector and (args.model
                                                        or args.config):
        parser.error('--boxes found needs a detector of hands: give '
                     '--detector, such as --detector shipped')
    return args


def score(args: argparse.Namespace) -> None:
    from lgh_mmpose.evaluation.photographs import (HANDS_FILE, photos_table,
                                                   predict_photos, read_photos,
                                                   score_photos,
                                                   write_predictions)
    from lgh_mmpose.fileio import check_not_read, write_json

    hands = read_photos(args.photos)
    # it says of each camera that it was cut out, and what is assumed of size
    # and distance, which no figure depends on
    logging.getLogger('lgh_mmpose.inference').setLevel(logging.ERROR)
    hand_pose = arguments.open_hand_pose(args, bbox_padding=args.padding)
    read = [
        osp.join(args.photos, HANDS_FILE), *(hand.image for hand in hands),
        *hand_pose.files, *(args.detector or ())
    ]
    for option in ('json', 'predictions', 'sheet'):
        path = getattr(args, option)
        if path:
            check_not_read(path, read, f'--{option}')

    predictions = predict_photos(hand_pose, hands, args.boxes)
    if args.predictions:
        write_predictions(predictions, args.predictions)
    scores = score_photos(hands, predictions)
    scores['protocol'] = dict(
        boxes=args.boxes,
        padding=hand_pose.info.crop.padding,
        input_size=list(hand_pose.info.input_size))
    write_json(args.json, scores, indent=2)
    print(photos_table(scores))
    if args.sheet:
        from lgh_mmpose.visualization.figures import contact_sheet_of_photos
        contact_sheet_of_photos(hands, predictions, args.sheet)


def main() -> None:
    # mmpose tells that it found its own metainfo file
    warnings.filterwarnings('ignore', 'The metainfo config file')
    args = parse_args()
    try:
        score(args)
    except (OSError, ValueError, ImportError) as error:
        raise SystemExit(f'error: {error}') from None


if __name__ == '__main__':
    main()
