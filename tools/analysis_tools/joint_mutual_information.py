"""Group joints by how much they tell of each other, from a training set.

    python tools/analysis_tools/joint_mutual_information.py \
        configs/lgh_studiohand.py --num-groups 3 --out groups.json

The data-driven grouping of Tang and Wu, "Does Learning Specific Features for
Related Parts Help Human Pose Estimation?", CVPR 2019: mutual information
between the positions of every two joints, then spectral clustering. Positions
are taken after each hand has been moved, turned and scaled onto the mean hand,
so that the camera tells nothing; left hands are mirrored. Two estimators:

knn       of nearest neighbours (Kraskov, Stoegbauer and Grassberger,
          "Estimating mutual information", Phys. Rev. E 69, 2004, the first of
          theirs): no assumption on the distribution
gaussian  as if positions were normally distributed: fast, linear relations

The file is what FileSelector reads, see docs/ablations.md.
"""
import argparse
from pathlib import Path

import numpy as np
from mmengine.config import Config, DictAction
from scipy.spatial import cKDTree
from scipy.special import digamma

ESTIMATORS = ('knn', 'gaussian')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config whose training set is read')
    parser.add_argument('--num-groups', type=int, required=True)
    parser.add_argument(
        '--out', type=Path, required=True, help='json file to write')
    parser.add_argument(
        '--estimator',
        choices=ESTIMATORS,
        default='knn',
        help='of mutual information (default: knn)')
    parser.add_argument(
        '--num-samples',
        type=int,
        default=3000,
        help='hands to draw from the set (default: 3000)')
    parser.add_argument(
        '--seed', type=int, default=0, help='of what is drawn (default: 0)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of the config, e.g. data_root=DIR')
    args = parser.parse_args()
    if not Path(args.config).is_file():
        parser.error(f'config not found: {args.config}')
    return args


def read_hands(dataset, num_samples: int,
               rng: np.random.Generator) -> np.ndarray:
    """Draw whole hands from a data set.

    Args:
        dataset: A data set of this package.
        num_samples (int): Hands to draw; all of a smaller set.
        rng (np.random.Generator): What draws.

    Returns:
        np.ndarray: Right hands in mm, (N, K, 3).

    Raises:
        ValueError: If fewer than 100 are annotated whole.
    """
    hands = []
    for i in rng.permutation(len(dataset))[:num_samples]:
        info = dataset.get_data_info(int(i))
        if 'keypoints_cam' in info and info['keypoints_visible'].all():
            mirror = -1 if info['hand_side'] == 'left' else 1
            hands.append(info['keypoints_cam'][0] * [mirror, 1, 1])
    if len(hands) < 100:
        raise ValueError(f'only {len(hands)} hands with all joints annotated '
                         'in 3D: at least 100 are needed')
    # images of one hand on several backgrounds are one hand
    return np.unique(np.array(hands), axis=0)


def normalize_hands(hands: np.ndarray, iterations: int = 5) -> np.ndarray:
    """Move, turn and scale hands onto their mean (generalised Procrustes).

    Args:
        hands (np.ndarray): (N, K, 3).
        iterations (int): How often the mean is taken anew.

    Returns:
        np.ndarray: In units of the mean hand's size, (N, K, 3).
    """
    from lgh_mmpose.evaluation.functional import align
    mean = hands[0]
    for _ in range(iterations):
        mean = mean - mean.mean(axis=0)
        mean = mean / np.sqrt((mean**2).sum(axis=1).mean())
        aligned = align(hands, np.broadcast_to(mean, hands.shape),
                        'procrustes')
        mean = aligned.mean(axis=0)
    return aligned


def gaussian_information(points: np.ndarray) -> np.ndarray:
    """Mutual information of normally distributed points.

    Args:
        points (np.ndarray): N positions of K joints, (N, K, 3).

    Returns:
        np.ndarray: Nats, (K, K), symmetric, 0 on the diagonal.
    """
    num, joints, dims = points.shape
    covariance = np.cov(points.reshape(num, -1), rowvar=False)

    def log_det(*which: int) -> float:
        rows = np.concatenate(
            [np.arange(k * dims, (k + 1) * dims) for k in which])
        return np.linalg.slogdet(covariance[np.ix_(rows, rows)])[1]

    information = np.zeros((joints, joints))
    for i in range(joints):
        for j in range(i):
            value = (log_det(i) + log_det(j) - log_det(i, j)) / 2
            information[i, j] = information[j, i] = max(value, 0)
    return information


def knn_information(points: np.ndarray, neighbours: int = 5) -> np.ndarray:
    """Mutual information by the distances to nearest neighbours.

    Args:
        points (np.ndarray): N positions of K joints, (N, K, 3).
        neighbours (int): The k-th neighbour's distance is taken.

    Returns:
        np.ndarray: Nats, (K, K), symmetric, 0 on the diagonal.
    """
    num, joints, _ = points.shape
    trees = [cKDTree(points[:, k]) for k in range(joints)]
    information = np.zeros((joints, joints))
    for i in range(joints):
        for j in range(i):
            both = points[:, [i, j]].reshape(num, -1)
            distance = cKDTree(both).query(both, neighbours + 1, p=np.inf)[0]
            # strictly nearer, and the point itself among them
            radius = np.nextafter(distance[:, -1], 0)
            counts = [
                trees[k].query_ball_point(
                    points[:, k], radius, p=np.inf, return_length=True)
                for k in (i, j)
            ]
            value = digamma(neighbours) + digamma(num) - np.mean(
                digamma(counts[0]) + digamma(counts[1]))
            information[i, j] = information[j, i] = max(value, 0)
    return information


def main() -> None:
    args = parse_args()
    from mmengine.registry import DATASETS, init_default_scope

    from lgh_mmpose.clustering import spectral_clusters, write_groups
    from lgh_mmpose.config import merge_cfg_options
    from lgh_mmpose.fileio import check_not_read
    cfg = Config.fromfile(args.config)
    if args.cfg_options is not None:
        merge_cfg_options(cfg, args.cfg_options)
    init_default_scope('mmpose')
    rng = np.random.default_rng(args.seed)
    try:
        check_not_read(args.out, [args.config], '--out')
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        names = list(dataset.keypoint_names)
        hands = read_hands(dataset, args.num_samples, rng)
        points = normalize_hands(hands)
        information = (knn_information
                       if args.estimator == 'knn' else gaussian_information)(
                           points)
        groups = spectral_clusters(information, args.num_groups, rng)
        written = write_groups(
            args.out,
            names,
            groups,
            source=f'mutual information ({args.estimator}) of {len(hands)} '
            f'hands of the training set of {Path(args.config).name}, spectral '
            f'clustering, seed {args.seed}',
            mutual_information_nats=information)
    except (OSError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None
    for g, group in enumerate(written):
        print(f'group {g}: {", ".join(group)}')
    print(f'wrote {args.out}')


if __name__ == '__main__':
    main()
