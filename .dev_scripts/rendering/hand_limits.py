"""Make lgh_mmpose/models/losses/hand_limits.json from rendered hands.

    python tools/dataset_converters/make_studiohand.py data/studiohand-25k \
        --num-train 25000 --num-eval 1000 --size 128
    python .dev_scripts/rendering/hand_limits.py data/studiohand-25k

The limits leave out 1 in 1,000 hands of the training set at either end of each
measure.
"""
import argparse
from pathlib import Path

import numpy as np
import torch

from lgh_mmpose.datasets import FreiHand3DDataset
from lgh_mmpose.fileio import write_json
from lgh_mmpose.geometry.hand import finger_chains
from lgh_mmpose.models.losses.biomechanics_loss import (LIMITS_FILE,
                                                        measure_hands)

SHARE = .001
ROUNDING = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data_root', help="StudioHand in FreiHAND's layout")
    parser.add_argument('--out', type=Path, default=LIMITS_FILE)
    args = parser.parse_args()
    dataset = FreiHand3DDataset(args.data_root, split='training')
    points = torch.from_numpy(dataset.annotations.keypoints_cam)
    bones = torch.from_numpy(dataset.annotations.bone_length)
    measures = measure_hands(
        points / bones[:, None, None],
        torch.ones(len(points), dtype=torch.bool),
        torch.from_numpy(finger_chains(dataset.keypoint_names)))
    limits = {}
    for name, values in measures.items():
        low, high = np.quantile(values.numpy(), [SHARE, 1 - SHARE], axis=0)
        # rounding, of the reference bone above all, leaves nothing out
        limits[name] = [(low - ROUNDING).round(4).tolist(),
                        (high + ROUNDING).round(4).tolist()]
    write_json(
        args.out,
        dict(
            source='StudioHand, hands of the training set: '
            f'{len(points)}',
            share_beyond_each_end=SHARE,
            units='lengths in reference bones, curvature per reference bone, '
            'angles in radians',
            limits=limits),
        indent=1)
    for name, (low, high) in limits.items():
        print(name, *(f'{a:.2f}..{b:.2f}' for a, b in zip(low, high)))


if __name__ == '__main__':
    main()
