"""Show which joints disturb each other in the feature that all share.

    python tools/analysis_tools/show_conflicts.py work_dirs/lgh_studiohand

reads what GradientConflictHook has measured beside a training, and draws it:
cosines between the gradients of all joints, of uv and depth, early and late,
and their norms. With --num-groups it also writes groups of joints that pull
in the same direction, for a FileSelector.
"""
import argparse
from pathlib import Path

import numpy as np


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('run', type=Path, help='work dir of a training')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('conflicts.png'),
        help='picture to write (default: conflicts.png)')
    parser.add_argument('--num-groups', type=int, help='groups to write')
    parser.add_argument(
        '--groups', type=Path, metavar='OUT.json', help='file of the groups')
    args = parser.parse_args()
    if (args.num_groups is None) != (args.groups is None):
        parser.error('--num-groups and --groups go together')
    return args


def show(args: argparse.Namespace) -> None:
    from lgh_mmpose.clustering import spectral_clusters, write_groups
    from lgh_mmpose.fileio import check_not_read
    from lgh_mmpose.visualization.conflicts import (plot_conflicts,
                                                    read_conflicts)
    for path in filter(None, (args.out, args.groups)):
        check_not_read(path, [args.run], '--out')
    conflicts = read_conflicts(args.run)
    names = conflicts.joint_names
    cosines = conflicts.between_joints()
    first, second = np.triu_indices(len(names), 1)
    pairs = cosines[first, second]
    later = conflicts.norms[len(conflicts.steps) // 2:].mean(axis=(0, 2))
    print(f'{len(conflicts.steps)} measurements; in the second half '
          f'{np.mean(pairs < 0):.0%} of {len(pairs)} pairs of joints pull '
          f'against each other, mean cosine {pairs.mean():.3f}; depth pulls '
          f'{later[1] / later[0]:.2f} times as hard as uv')
    for k in np.argsort(pairs)[:5]:
        print(f'  {pairs[k]:6.3f}  {names[first[k]]}, {names[second[k]]}')
    plot_conflicts(conflicts, args.out, args.run.resolve().name)
    print(f'wrote {args.out}')
    if args.groups is not None:
        groups = spectral_clusters((1 + cosines) / 2, args.num_groups,
                                   np.random.default_rng(0))
        written = write_groups(
            args.groups,
            names,
            groups,
            source='cosines between the gradients of the joints in the second '
            f'half of {args.run.resolve().name}, spectral clustering, seed 0',
            mean_cosines=cosines)
        for g, group in enumerate(written):
            print(f'group {g}: {", ".join(group)}')
        print(f'wrote {args.groups}')


def main() -> None:
    args = parse_args()
    try:
        show(args)
    except (OSError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None


if __name__ == '__main__':
    main()
