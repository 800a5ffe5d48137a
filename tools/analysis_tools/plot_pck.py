"""Draw PCK curves of test runs among the published ones.

A run is the .npz that HandKeypoint3DMetric writes with dump_file=..., e.g.

    python tools/test.py CONFIG CHECKPOINT \\
        --cfg-options test_evaluator.1.dump_file=rhd.npz
    python tools/analysis_tools/plot_pck.py rhd.npz --out rhd_pck

(.1 is the evaluator by the data set's own protocol in the configs of RHD and
STB; test_evaluator.dump_file where there is but one). The curve is computed
from the errors of the dump with the thresholds of the data set's protocol. A
dump by another protocol is drawn only where its errors are the same: by the
same alignment, at the same root joint, and of all joints that are scored.
"""
import argparse
import os.path as osp
from typing import List, Tuple

import numpy as np

PROTOCOLS = ('rhd', 'stb', 'dexter')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'runs', nargs='+', metavar='DUMP.npz', help='what the metric wrote')
    parser.add_argument(
        '--protocol',
        choices=PROTOCOLS,
        help="whose published curves to draw (default: the dump's protocol)")
    parser.add_argument(
        '--align',
        help="alignment of the runs (default: the protocol's: none for rhd "
        'and dexter, root for stb)')
    parser.add_argument(
        '--label',
        nargs='+',
        help='names of the runs (default: their file names)')
    parser.add_argument(
        '--out',
        default='pck',
        help='files to write, without the ending: .png and .pdf (default: '
        'pck)')
    args = parser.parse_args()
    for path in args.runs:
        if not osp.isfile(path):
            parser.error(f'file not found: {path}')
    if args.label is None:
        args.label = [osp.splitext(osp.basename(run))[0] for run in args.runs]
    if len(args.label) != len(args.runs):
        parser.error(f'{len(args.runs)} runs, but {len(args.label)} labels')
    if len(set(args.label)) < len(args.label):
        parser.error(f'the runs need different names, got {args.label}; use '
                     '--label')
    return args


def read_dump(path: str, alignment: str,
              root_joint: str) -> Tuple[np.ndarray, List[str]]:
    """Errors in mm, (N, K), and the names of the joints.

    Raises:
        ValueError: If the file is no such dump, lacks the alignment or has it
            about another root joint.
    """
    from lgh_mmpose.evaluation.breakdown import load_dump, scored_alignments

    key = f'errors_{alignment}'
    dump = load_dump(path)
    try:
        if key not in dump:
            raise ValueError(f'it has no errors with alignment {alignment!r}, '
                             f'only {scored_alignments(dump)}; use --align')
        errors = dump[key]
        names = dump['joint_names']
        root = root_joint
        if alignment == 'root':
            root = str(dump['root_joint'])
    except (ValueError, KeyError) as error:
        raise ValueError(f'{path} is not a dump of HandKeypoint3DMetric that '
                         f'can be drawn: {error}') from None
    if (errors.ndim != 2 or errors.dtype.kind != 'f'
            or names.shape != errors.shape[1:]):
        raise ValueError(f'{path}: {key} must be (N, K) numbers and '
                         f'joint_names (K,), got {errors.shape} and '
                         f'{names.shape}')
    if root != root_joint:
        raise ValueError(f'{path} is aligned at {root}, the protocol aligns '
                         f'at {root_joint}: draw the dump of an evaluator '
                         f'with root_joint={root_joint!r}')
    return errors, names.tolist()


def default_protocol(path: str) -> str:
    """The protocol that a dump was scored by.

    Raises:
        ValueError: If it is none that has published curves.
    """
    from lgh_mmpose.evaluation.breakdown import load_dump

    protocol = str(load_dump(path).get('protocol'))
    if protocol not in PROTOCOLS:
        raise ValueError(f'{path} was scored by protocol {protocol!r}, which '
                         f'has no published curves; give --protocol, one of '
                         f'{PROTOCOLS}')
    return protocol


def draw(args: argparse.Namespace) -> None:
    from lgh_mmpose.evaluation import functional as F
    from lgh_mmpose.evaluation.published import (PUBLISHED_DATA_SETS,
                                                 load_published_curves)
    from lgh_mmpose.visualization.figures import plot_pck_curves

    name = args.protocol or default_protocol(args.runs[0])
    protocol = F.PROTOCOLS[name]
    alignment = args.align or protocol.alignments[0]
    thresholds = protocol.threshold_values()
    # the published area is the last one, over the later thresholds
    area, start = list(protocol.auc_starts.items())[-1]

    rows = []
    for path, label in zip(args.runs, args.label):
        errors, joint_names = read_dump(path, alignment, protocol.root_joint)
        errors = errors[:, protocol.scored_joints(joint_names)]
        if not protocol.use_visibility and np.isnan(errors).any():
            raise ValueError(f'{path} leaves out joints, protocol {name!r} '
                             'scores all: draw the dump of an evaluator '
                             'with this protocol')
        curve = F.pck_curve(errors, thresholds)[start:]
        auc = F.auc(curve, thresholds[start:])
        rows.append((auc, label, True, (thresholds[start:], curve)))
    for method, published in load_published_curves(name).items():
        rows.append((published.auc, method, False, (published.thresholds,
                                                    published.pck)))
    rows.sort(key=lambda row: -row[0])

    title = (f'{PUBLISHED_DATA_SETS[name]} (beside the names: '
             f'{area.replace("_", " ")} mm)')
    for auc, label, ours, _ in rows:
        print(f'{auc:.4f}  {label}{"  <- this run" if ours else ""}')
    for suffix in ('.png', '.pdf'):
        plot_pck_curves(
            {
                f'{auc:.3f}  {label}': curve
                for auc, label, _, curve in rows
            },
            args.out + suffix,
            highlight=[
                f'{auc:.3f}  {label}' for auc, label, ours, _ in rows if ours
            ],
            title=title)
        print(f'wrote {args.out}{suffix}')


def main() -> None:
    args = parse_args()
    try:
        draw(args)
    except ValueError as error:
        raise SystemExit(f'error: {error}') from None


if __name__ == '__main__':
    main()
