"""Score a detector of hands on labelled pictures, and on such without hands.

Recall at IoU 0.5, AP, false hands per picture, sides and directions, for each
set of the folder. What folders hold and what the figures mean:
docs/detector.md.
"""
import argparse

import numpy as np


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'folder',
        metavar='DIR',
        help="StudioHand in its layout coco, or photographs with whole.json "
        'or hands.json; with --without-hands any pictures')
    parser.add_argument(
        '--without-hands',
        action='store_true',
        help='there is no hand on any picture of the folder: count what is '
        'found all the same')
    parser.add_argument(
        '--model',
        metavar='DIR',
        required=True,
        help='detector that tools/deployment/export.py wrote')
    parser.add_argument(
        '--pose',
        metavar='DIR',
        help='network that tools/deployment/export.py wrote: score what '
        'lgh-hands finds with it, sides and directions being its own')
    parser.add_argument(
        '--threads',
        type=int,
        metavar='N',
        help="threads of the network (default: the engine's choice)")
    parser.add_argument(
        '--score-thr',
        type=float,
        metavar='SCORE',
        help='least score of a hand (default: that of the export, or of '
        'the network)')
    parser.add_argument(
        '--json', required=True, metavar='FILE', help='figures to write')
    args = parser.parse_args()
    if args.score_thr is not None and not 0 <= args.score_thr <= 1:
        parser.error(f'--score-thr must lie in 0 to 1, not {args.score_thr}')
    return args


class _Pipeline:
    """A pipeline as a detector."""

    def __init__(self, hand_pose) -> None:
        self.hand_pose, self.files = hand_pose, hand_pose.files

    def __call__(self, image):
        from lgh_mmpose.geometry.crop import direction_of
        from lgh_mmpose.inference.detections import Detections
        from lgh_mmpose.inference.pipeline import certainty
        hands, = self.hand_pose(image)
        return Detections(
            hands.bboxes,
            np.array([
                certainty(*scores)
                for scores in zip(hands.bbox_scores, hands.scores)
            ]), np.array(hands.hand_sides),
            np.array([
                direction_of(joints, hands.joint_names)
                for joints in hands.keypoints
            ]).reshape(-1, 2))


def score(args: argparse.Namespace) -> None:
    # after the arguments are known to be good: these take seconds to import
    from lgh_mmpose import HandPose
    from lgh_mmpose.evaluation.hand_detection import (detect_all,
                                                      detections_table,
                                                      read_labels,
                                                      read_without_hands,
                                                      score_detections)
    from lgh_mmpose.fileio import check_not_read, write_json
    from lgh_mmpose.inference.backends.exported_detector import \
        ExportedDetector

    if args.without_hands:
        sets = {'without hands': read_without_hands(args.folder)}
    else:
        sets = read_labels(args.folder)
    if args.pose is None:
        detector = ExportedDetector(args.model, args.threads)
        score_thr = detector.score_thr if args.score_thr is None else \
            args.score_thr
        # so that AP and the curve have all of it
        detector.score_thr = min(.02, score_thr)
    else:
        detector = _Pipeline(
            HandPose(
                args.pose,
                detector=args.model,
                num_threads=args.threads,
                hand_thr=args.score_thr))
        score_thr = 0.  # what it leaves out is no hand
    check_not_read(args.json, [
        *detector.files, *(labels.image for pictures in sets.values()
                           for labels in pictures)
    ], '--json')
    scores = {
        name: score_detections(pictures, detect_all(detector, pictures),
                               score_thr)
        for name, pictures in sets.items()
    }
    write_json(args.json, scores, indent=2)
    print(detections_table(scores))


def main() -> None:
    args = parse_args()
    try:
        score(args)
    except (OSError, ValueError, ImportError) as error:
        raise SystemExit(f'error: {error}') from None


if __name__ == '__main__':
    main()
