"""Adapt the network that ships to photographs of one's own.

    lgh-adapt photos -o mine
    lgh-adapt photos --labels coco.json -o mine
    lgh-hands photo.jpg --model mine --detector shipped

It labels the photographs by what several looks of the network agree on,
trains it on with these labels beside rendered hands, and does so again. With
2D labels of some hands it learns from these too, and tells on others whether
it got better. What it takes and when it helps:
docs/how_to/adapt_to_your_photographs.md.
"""
import argparse
import importlib.util
from pathlib import Path
from typing import Optional, Sequence

_NEEDED = ('mmpose', 'onnx', 'numba', 'scipy')


def parse_args(argv: Optional[Sequence[str]]) -> argparse.Namespace:
    """Read the arguments of the command."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='folder of photographs')
    parser.add_argument(
        '-o',
        '--out',
        type=Path,
        required=True,
        help='directory to write; must not exist')
    parser.add_argument(
        '--labels',
        type=Path,
        metavar='JSON',
        help="2D joints of hands on some of the photographs, COCO's format")
    parser.add_argument(
        '--checkpoint',
        metavar='FILE',
        help='hand_pose.pth of an earlier adaptation, to go on from (default: '
        'the network that ships)')
    parser.add_argument(
        '--rounds',
        type=int,
        default=2,
        help='how often the photographs are labelled and learned from '
        '(default: %(default)s)')
    parser.add_argument(
        '--max-epochs',
        type=int,
        default=3,
        help='length of each training (default: %(default)s)')
    parser.add_argument(
        '--rendered',
        type=Path,
        metavar='DIR',
        help="StudioHand in FreiHAND's layout, to learn from beside the "
        'photographs (default: one rendered into the work dir)')
    parser.add_argument(
        '--work-dir',
        type=Path,
        help='folder for logs, labels and checkpoints (default: '
        'work_dirs/adapt/NAME, NAME being that of --out)')
    parser.add_argument(
        '--workers',
        type=int,
        default=1,
        help='processes that render (default: %(default)s)')
    parser.add_argument(
        '--seed', type=int, default=0, help='(default: %(default)s)')
    args = parser.parse_args(argv)
    for name in ('rounds', 'max_epochs', 'workers'):
        if getattr(args, name) < 1:
            parser.error(f'--{name.replace("_", "-")} must be at least 1, not '
                         f'{getattr(args, name)}')
    return args


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Run the command.

    Args:
        argv (Sequence[str], optional): Its arguments. Defaults to those of
            the process.
    """
    args = parse_args(argv)
    missing = [
        name for name in _NEEDED if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise SystemExit(f'error: this needs {missing[0]}, which is not '
                         'installed: pip install '
                         "'lgh_mmpose[openmmlab,deploy]' (Python 3.9 to 3.11)")
    # after the arguments are known to be good: this takes seconds to import
    from ..deployment import ExportError
    from .adapting import SHIPPED, adapt
    try:
        report = adapt(
            args.folder,
            args.out,
            labels=args.labels,
            checkpoint=args.checkpoint or SHIPPED,
            rounds=args.rounds,
            max_epochs=args.max_epochs,
            seed=args.seed,
            work_dir=args.work_dir,
            rendered=args.rendered,
            workers=args.workers)
    except KeyboardInterrupt:
        raise SystemExit(f'interrupted, {args.out} was not written') from None
    except (OSError, ValueError, ImportError, RuntimeError,
            ExportError) as error:
        raise SystemExit(f'error: {error}') from None
    print(f'{report["verdict"]}\nwritten to {args.out}; to use it: lgh-hands '
          f'PHOTO --model {args.out} --detector shipped')


if __name__ == '__main__':
    main()
