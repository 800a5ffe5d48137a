"""Score a submission to FreiHAND's server offline, as the server does.

Prints the figures of the data set's own score script, under its names: mean
errors in cm, areas under the PCK curve from 0 to 5 cm, and, where the
submission holds a mesh and the release's evaluation_verts.json is there, mesh
errors and F-scores at 5 and 15 mm.
"""
import argparse
import os.path as osp

import numpy as np


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'pred', help="pred.json, or a zip of it; anybody's, not ours alone")
    parser.add_argument(
        'gt_dir', help='folder of FreiHAND, which holds evaluation_xyz.json')
    parser.add_argument('--out', help='json file to save the figures to')
    args = parser.parse_args()
    for path in (args.pred, osp.join(args.gt_dir, 'evaluation_xyz.json')):
        if not osp.isfile(path):
            parser.error(f'file not found: {path}')
    return args


def score(args: argparse.Namespace) -> None:
    # after the arguments are known to be good: these take seconds to import
    from lgh_mmpose.datasets.base_hand3d import (check_hand_sizes,
                                                 load_json_array)
    from lgh_mmpose.datasets.freihand3d import FREIHAND_JOINTS
    from lgh_mmpose.evaluation.freihand_submission import (NUM_VERTICES,
                                                           read_submission,
                                                           score_submission)
    from lgh_mmpose.fileio import check_not_read, write_json

    if args.out:
        truth = [
            osp.join(args.gt_dir, f'evaluation_{name}.json')
            for name in ('xyz', 'verts')
        ]
        check_not_read(args.out, [args.pred, *truth], '--out')

    def load_truth(name: str, num_points: int):
        path = osp.join(args.gt_dir, f'evaluation_{name}.json')
        truth = load_json_array(path, (None, num_points, 3)) * 1000
        if not np.isfinite(truth).all():
            raise ValueError(f'{path} holds a number that is not finite')
        return truth

    gt_xyz = load_truth('xyz', 21)
    check_hand_sizes(
        gt_xyz,
        osp.join(args.gt_dir, 'evaluation_xyz.json'),
        FREIHAND_JOINTS,
        unit='m')
    xyz, verts = read_submission(args.pred, len(gt_xyz))
    gt_verts = None
    if verts is None:
        print(f"{args.pred} holds no mesh of FreiHAND's {NUM_VERTICES} "
              'vertices: scoring the joints alone')
    elif osp.isfile(osp.join(args.gt_dir, 'evaluation_verts.json')):
        gt_verts = load_truth('verts', NUM_VERTICES)
    else:
        print(f'{args.gt_dir} holds no evaluation_verts.json: scoring the '
              'joints alone')
    scores = score_submission(xyz, gt_xyz, verts, gt_verts)
    print(f'{len(xyz)} samples')
    for name, value in scores.items():
        unit = ' cm' if name.endswith('mean3d') else ''
        print(f'{name:18s}{value:10.6f}{unit}')
    if args.out:
        write_json(args.out, scores, indent=2)


def main() -> None:
    args = parse_args()
    try:
        score(args)
    except (OSError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None


if __name__ == '__main__':
    main()
