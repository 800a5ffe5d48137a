"""Show which joints a model has put into one group, and how it came to it.

    python tools/analysis_tools/show_groups.py work_dirs/seed0 work_dirs/seed1

For each run: the joints on a drawing of the hand, coloured by group
(groups.png); every probability, their entropy and the joints' switches over
the training (<label>_history.png). For several runs, such as seeds, their
agreement: the adjusted Rand index, 1 for the same groups whatever their
numbers, about 0 for chance (agreement.png).
"""
import argparse
import os.path as osp
from pathlib import Path

import numpy as np


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'runs',
        nargs='+',
        metavar='RUN',
        help='work dir of a training, whose last checkpoint is shown, or a '
        'checkpoint, which has no history')
    parser.add_argument(
        '--label', nargs='+', help='names of the runs (default: their own)')
    parser.add_argument(
        '--out-dir',
        default='groups',
        help='folder to write to (default: groups)')
    args = parser.parse_args()
    for path in args.runs:
        if not osp.exists(path):
            parser.error(f'no such work dir or checkpoint: {path}')
    if args.label is None:
        args.label = [Path(run).resolve().stem for run in args.runs]
    if len(args.label) != len(args.runs):
        parser.error(f'{len(args.runs)} runs, but {len(args.label)} labels')
    if len(set(args.label)) < len(args.label):
        parser.error(f'the runs need different names, got {args.label}; use '
                     '--label')
    if any(osp.basename(label) != label for label in args.label):
        parser.error(f'labels become file names, got {args.label}')
    return args


def show(args: argparse.Namespace) -> None:
    from lgh_mmpose.visualization import groups as G
    from lgh_mmpose.visualization.figures import read_run

    out_dir = Path(args.out_dir)
    written, runs, names = [], [], None
    for path, label in zip(args.runs, args.label):
        path = Path(path)
        checkpoint = G.last_checkpoint(path) if path.is_dir() else path
        facts = G.read_checkpoint(checkpoint)
        if facts.probabilities is None or facts.joint_names is None:
            raise ValueError(f'{checkpoint} has no selector, or no metainfo '
                             'that names the joints: it is no checkpoint of '
                             'a training of this model')
        if names not in (None, facts.joint_names):
            raise ValueError(f'{checkpoint} has other joints, or in another '
                             f'order, than {args.runs[0]}')
        names = facts.joint_names
        runs.append(facts.probabilities)
        print(f'{label} ({checkpoint.name})')
        chosen = facts.probabilities.argmax(axis=1)
        for g in range(facts.probabilities.shape[1]):
            joints = [n for n, k in zip(names, chosen) if k == g]
            print(f'  group {g}: {", ".join(joints) or "(empty)"}')
        if not path.is_dir():
            continue
        history = G.selector_history(read_run(path))
        if history is None:
            print('  its log has no selector/probability/...: no history is '
                  'drawn')
            continue
        print(f'  {int(history.switches.sum())} switches of a joint between '
              f'{len(history.steps)} logs; entropy '
              f'{history.entropy[0]:.3f} to {history.entropy[-1]:.3f} nats')
        written.append(out_dir / f'{label}_history.png')
        G.plot_selector_history(history, written[-1], label)
    written.append(out_dir / 'groups.png')
    G.plot_joint_groups(runs, names, args.label, written[-1])

    if len(runs) > 1:
        chosen = [run.argmax(axis=1) for run in runs]
        agreement = np.array([[G.adjusted_rand_index(a, b) for b in chosen]
                              for a in chosen])
        pairs = agreement[np.triu_indices(len(runs), 1)]
        print(f'adjusted Rand index: mean {pairs.mean():.3f} of '
              f'{len(pairs)} pair(s)')
        for label, row in zip(args.label, agreement):
            print('  ' + '  '.join(f'{v:6.3f}' for v in row) + f'  {label}')
        written.append(out_dir / 'agreement.png')
        G.plot_agreement(agreement, args.label, written[-1])
    for path in written:
        print(f'wrote {path}')


def main() -> None:
    args = parse_args()
    try:
        show(args)
    except (OSError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None


if __name__ == '__main__':
    main()
