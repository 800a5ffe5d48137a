"""The mean pose of the training set, as an answer to every image."""
import numpy as np
from mmengine.config import Config

from lgh_mmpose.evaluation import breakdown as B
from lgh_mmpose.evaluation import functional as F

from .data import Dump


def mean_pose_errors(cfg: Config, dump: Dump) -> tuple:
    """Errors of always answering the mean pose of the training set.

    Args:
        cfg (Config): Config of the training.
        dump (dict[str, np.ndarray]): Predictions of the N samples that are
            answered.

    Returns:
        tuple: Alignment -> errors in mm (N, K); and, where there are none,
        why.
    """
    from mmpose.registry import DATASETS

    import lgh_mmpose  # noqa: F401  (registers the data sets)
    from lgh_mmpose.datasets.base_hand3d import BaseHand3DDataset

    root = dump['root_joint'].item()
    names = dump['joint_names'].tolist()
    if root not in names:
        return {}, f'the root joint {root} is not among the joints'
    loader = cfg.get('train_dataloader')
    if loader is None:
        return {}, 'the config has no training set'
    try:
        dataset = DATASETS.build(dict(loader.dataset, pipeline=[]))
    except (OSError, ValueError) as error:
        return {}, f'the training set cannot be read ({error})'
    if not isinstance(dataset, BaseHand3DDataset):
        return {}, 'the training set is a mixture'
    if list(dataset.keypoint_names) != names:
        return {}, 'the training set has other joints'
    if len({dataset.get_hand_side(i) for i in dataset._sorted_ids}) > 1:
        return {}, 'the training set has left and right hands'
    index = names.index(root)
    pose = B.mean_pose(dataset.annotations.keypoints_cam, index,
                       dataset.annotations.keypoints_visible)
    gt = dump['gt_keypoints_cam']
    mask = ~np.isnan(dump[f'errors_{B.scored_alignments(dump)[0]}'])
    if np.isnan(pose[mask.any(axis=0)]).any():
        return {}, 'the training set lacks joints that are compared'
    pose = np.broadcast_to(np.nan_to_num(pose), gt.shape)
    errors = {}
    for alignment in B.scored_alignments(dump):
        if alignment != 'none':  # a pose is nowhere in the camera's frame
            aligned = F.align(pose, gt, alignment, mask, index)
            errors[alignment] = F.keypoint_errors(aligned, gt, mask)
    return errors, ('' if errors else
                    'the scores are of the place of the hand too, which a '
                    'pose does not have')
