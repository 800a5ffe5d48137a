"""Options by which commands take a network and a detector."""
import argparse
import os.path as osp
from typing import Any, Union

from .backends import open_detector
from .pipeline import Detector, HandPose


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add what says which network runs, and where.

    Args:
        parser (ArgumentParser): Of a command that calls
            :func:`open_hand_pose`, or an argument group of it.
    """
    network = parser.add_mutually_exclusive_group()
    network.add_argument(
        '--model',
        metavar='DIR',
        help='what tools/deployment/export.py wrote (default: the network '
        'that ships, with its detector)')
    network.add_argument(
        '--config',
        help='config of a model of mmpose, which must be installed')
    parser.add_argument(
        '--checkpoint', help='weights of the config (default: its load_from)')
    parser.add_argument(
        '--device',
        default='cpu',
        help='where a config and a detector of mmdet run, such as cuda:0 '
        '(default: cpu)')
    parser.add_argument(
        '--threads',
        type=int,
        metavar='N',
        help="threads of the network (default: the engine's choice)")


def add_detector(parser: argparse.ArgumentParser) -> None:
    """Add what says how hands are found, likewise."""
    parser.add_argument(
        '--detector',
        nargs='+',
        metavar='DETECTOR',
        help='what finds the hands: "shipped", "none" (the whole image is one '
        'hand), the directory of an exported detector, or CONFIG CHECKPOINT '
        'of a detector of mmdet, which must be installed (default: shipped '
        'with the network that ships, else none)')
    parser.add_argument(
        '--det-cat-id',
        type=int,
        default=0,
        help='class of hands of a detector of mmdet (default: 0)')
    parser.add_argument(
        '--det-score-thr',
        type=float,
        metavar='SCORE',
        help='least score of a detection (default: as the detector was '
        'exported, or --hand-thr; 0.3 for one of mmdet)')
    parser.add_argument(
        '--hand-thr',
        type=float,
        metavar='CERTAINTY',
        help='least score of a detection times the fourth power of the mean '
        'score of its joints; 0 takes all detections for hands (default: as '
        "the network's config says; of the one that ships 0.42)")


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Complain of options that do not go together."""
    if args.config and not osp.isfile(args.config):
        parser.error(f'config not found: {args.config}')
    if args.checkpoint and not args.config:
        parser.error('--checkpoint belongs to --config; an exported network '
                     'has its weights in it')
    words = args.detector or ()
    if len(words) > 2 or len(words) == 2 and osp.splitext(
            words[0])[1] not in ('.py', '.json', '.yaml', '.yml'):
        parser.error('--detector takes one argument, or CONFIG CHECKPOINT; '
                     'give the other arguments before it')
    if len(words) != 2 and args.det_cat_id:
        parser.error('--det-cat-id belongs to a detector of mmdet')
    if args.det_score_thr is not None:
        if not 0 <= args.det_score_thr <= 1:
            parser.error('--det-score-thr must lie in 0 to 1, not '
                         f'{args.det_score_thr}')
        if words == ['none'] or not words and (args.model or args.config):
            parser.error('--det-score-thr belongs to a detector, and there is '
                         'none: give --detector')
    if args.hand_thr is not None and not 0 <= args.hand_thr <= 1:
        parser.error(f'--hand-thr must lie in 0 to 1, not {args.hand_thr}')
    if args.device != 'cpu' and not args.config and len(words) != 2:
        parser.error('--device belongs to a config or a detector of mmdet; an '
                     'exported network runs where its engine does')


def open_hand_pose(args: argparse.Namespace, **options: Any) -> HandPose:
    """The pipeline that is asked for.

    Args:
        args (Namespace): With the options of :func:`add_network` and
            :func:`add_detector`.
        **options: Further arguments of :class:`HandPose`.

    Returns:
        HandPose: The pipeline; what it raises is named there.
    """
    return HandPose(
        args.model or args.config,
        args.checkpoint,
        # that of a detector is its own
        device=args.device if args.config else 'cpu',
        num_threads=args.threads,
        detector=_detector(args),
        hand_thr=args.hand_thr,
        **options)


def _detector(args: argparse.Namespace) -> Union[str, Detector, None]:
    """As :class:`HandPose` takes it."""
    words = args.detector or ['auto']
    score_thr = args.det_score_thr
    if len(words) == 1:
        if score_thr is not None:
            return open_detector('shipped' if words == ['auto'] else words[0],
                                 args.threads, score_thr)
        return None if words == ['none'] else words[0]
    from .backends.mmdet import HandDetector
    return HandDetector(
        *words,
        args.device,
        cat_id=args.det_cat_id,
        score_thr=.3 if score_thr is None else score_thr)
