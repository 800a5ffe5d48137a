"""Scores of 3D hand keypoints as pure NumPy functions.

Every function works on whole arrays and keeps no state. Dimension legend:
N samples, K joints, D coordinates (3 for millimetres, 2 for pixels), T
thresholds. Functions that average follow the convention shared by the score
scripts of RHD (Zimmermann & Brox 2017), FreiHAND (Zimmermann et al. 2019) and
Learnable Joint Groups (Li et al. 2021): statistics are taken per joint first
and then averaged over the joints, and a joint without a single sample is left
out.
"""
from typing import NamedTuple, Optional, Sequence, Tuple

import numpy as np
from scipy.spatial import cKDTree

from lgh_mmpose.datasets.dexter_object3d import DEXTER_JOINTS

# The FreiHAND score script adds 1e-8 m to the norms it divides by.
_NORM_EPS_MM = 1e-5


class ScoreProtocol(NamedTuple):
    """What a data set's score script fixes.

    Attributes:
        thresholds (tuple): PCK thresholds in mm as ``(first, last, number)``,
            evenly spaced.
        auc_starts (dict): Name of each area under the PCK curve -> index of
            the threshold it starts from. All end at the last threshold.
        alignments (tuple): Alignments that are scored, see :func:`align`.
        use_visibility (bool): Whether joints that are not annotated as
            visible are left out.
        root_joint (str): Name of the joint for the alignment ``'root'``.
        joints (tuple, optional): Names of the joints that are scored.
            Defaults to ``None``: all.
        thresholds_2d (tuple, optional): PCK thresholds in pixels of the
            original image, where the script scores 2D too.
    """
    thresholds: Tuple[float, float, int]
    auc_starts: dict
    alignments: Tuple[str, ...]
    use_visibility: bool
    root_joint: str = 'middle_finger1'
    joints: Optional[Tuple[str, ...]] = None
    thresholds_2d: Optional[Tuple[float, float, int]] = None

    def threshold_values(self) -> np.ndarray:
        """PCK thresholds in mm, shape (T,)."""
        return np.linspace(*self.thresholds)

    def scored_joints(self, joint_names: Sequence[str]) -> np.ndarray:
        """Which joints are scored.

        Args:
            joint_names (Sequence[str]): Names of the K joints of the samples.

        Returns:
            np.ndarray: Bool, shape (K,).

        Raises:
            ValueError: If a joint that is to be scored is not among them.
        """
        if self.joints is None:
            return np.ones(len(joint_names), dtype=bool)
        missing = sorted(set(self.joints) - set(joint_names))
        if missing:
            raise ValueError(f'the protocol scores the joints {missing}, '
                             'which the data set does not have; it has '
                             f'{list(joint_names)}')
        return np.isin(joint_names, self.joints)


# Twenty thresholds; that of index 8, 21.05 mm, is where the published
# "AUC 20-50" starts.
_TWENTY_TO_50 = dict(
    thresholds=(0., 50., 20), auc_starts={
        'AUC_0-50': 0,
        'AUC_20-50': 8
    })

PROTOCOLS = {
    # Half-millimetre steps, so that 'AUC_20-50' starts at exactly 20 mm.
    'general':
    ScoreProtocol(
        thresholds=(0., 50., 101),
        auc_starts={
            'AUC_0-50': 0,
            'AUC_20-50': 40
        },
        alignments=('none', 'root', 'procrustes'),
        use_visibility=True),
    # Learnable Joint Groups on RHD: camera space with the ground truth's root
    # depth, no alignment, all joints.
    'rhd':
    ScoreProtocol(
        **_TWENTY_TO_50,
        alignments=('none', ),
        use_visibility=False,
        thresholds_2d=(0., 30., 20)),
    # Zimmermann & Brox: relative to the first joint, visible joints.
    'stb':
    ScoreProtocol(
        **_TWENTY_TO_50,
        alignments=('root', ),
        use_visibility=True,
        root_joint='wrist'),
    # The finger tips are all that Dexter+Object annotates.
    'dexter':
    ScoreProtocol(
        thresholds=(0., 100., 20),
        auc_starts={'AUC_0-100': 0},
        alignments=('none', ),
        use_visibility=True,
        joints=DEXTER_JOINTS),
    # FreiHAND's score script: raw and after its similarity alignment.
    'freihand':
    ScoreProtocol(
        thresholds=(0., 50., 100),
        auc_starts={'AUC_0-50': 0},
        alignments=('none', 'freihand'),
        use_visibility=False),
}


def check_keypoints(pred: np.ndarray,
                    gt: np.ndarray,
                    mask: Optional[np.ndarray] = None) -> None:
    """Check that predictions and ground truth can be compared.

    Args:
        pred (np.ndarray): Predictions, shape (N, K, D).
        gt (np.ndarray): Ground truth, shape (N, K, D).
        mask (np.ndarray, optional): Joints to compare, bool (N, K). Values
            outside it may be anything, NaN included.

    Raises:
        ValueError: If the shapes differ or a compared value is not finite;
            the first such sample and joint are named.
    """
    if pred.ndim != 3 or pred.shape != gt.shape:
        raise ValueError('predictions and ground truth must share one shape '
                         f'(N, K, D), got {pred.shape} and {gt.shape}')
    if mask is not None and mask.shape != pred.shape[:2]:
        raise ValueError(f'the mask must have shape {pred.shape[:2]}, '
                         f'got {mask.shape}')
    for name, points in (('prediction', pred), ('ground truth', gt)):
        bad = ~np.isfinite(points).all(axis=-1)
        if mask is not None:
            bad &= mask.astype(bool)
        if bad.any():
            sample, joint = np.argwhere(bad)[0]
            raise ValueError(f'{name} of sample {sample}, joint {joint} is '
                             f'not finite: {points[sample, joint].tolist()}')


def _prepare(pred: np.ndarray, gt: np.ndarray,
             mask: Optional[np.ndarray]) -> Tuple[np.ndarray, ...]:
    """Checked float64 arrays with zeros outside the mask, and the mask."""
    pred = np.asarray(pred, dtype=np.float64)
    gt = np.asarray(gt, dtype=np.float64)
    mask = None if mask is None else np.asarray(mask).astype(bool)
    check_keypoints(pred, gt, mask)
    if mask is None:
        return pred, gt, np.ones(pred.shape[:2], dtype=bool)
    inside = mask[..., None]
    return np.where(inside, pred, 0.), np.where(inside, gt, 0.), mask


def keypoint_errors(pred: np.ndarray,
                    gt: np.ndarray,
                    mask: Optional[np.ndarray] = None) -> np.ndarray:
    """End-point error: Euclidean distance of each joint to the ground truth.

    Args:
        pred (np.ndarray): Predictions, shape (N, K, D).
        gt (np.ndarray): Ground truth in the same unit, shape (N, K, D).
        mask (np.ndarray, optional): Joints to compare, (N, K).

    Returns:
        np.ndarray: Errors in the unit of the input, shape (N, K); NaN
        outside the mask.

    Raises:
        ValueError: See :func:`check_keypoints`.
    """
    pred, gt, mask = _prepare(pred, gt, mask)
    return np.where(mask, np.linalg.norm(pred - gt, axis=-1), np.nan)


def joint_epe(errors: np.ndarray, statistic: str = 'mean') -> np.ndarray:
    """Mean or median error of each joint.

    Args:
        errors (np.ndarray): Errors, shape (N, K); NaN where not compared.
        statistic (str): ``'mean'`` or ``'median'``.

    Returns:
        np.ndarray: Shape (K,), in the unit of the errors; NaN for joints
        without a sample.

    Raises:
        ValueError: If the statistic is unknown or no joint has a sample.
    """
    reduce = {'mean': np.nanmean, 'median': np.nanmedian}.get(statistic)
    if reduce is None:
        raise ValueError(
            f"statistic must be 'mean' or 'median', got {statistic!r}")
    seen = _joints_with_samples(errors)
    out = np.full(errors.shape[1], np.nan)
    out[seen] = reduce(errors[:, seen], axis=0)
    return out


def _joints_with_samples(errors: np.ndarray) -> np.ndarray:
    """Bool (K,): joints with at least one compared sample."""
    if errors.ndim != 2:
        raise ValueError(f'errors must have shape (N, K), got {errors.shape}')
    seen = ~np.isnan(errors).all(axis=0) if len(errors) else np.zeros(
        errors.shape[1], dtype=bool)
    if not seen.any():
        raise ValueError('there is nothing to score: no sample has a joint '
                         'that is compared')
    return seen


def epe(errors: np.ndarray, statistic: str = 'mean') -> float:
    """End-point error averaged over joints.

    Args:
        errors (np.ndarray): Errors, shape (N, K); NaN where not compared.
        statistic (str): ``'mean'`` or ``'median'``: what is taken per joint.
            The score scripts report the mean of the per-joint medians, which
            is not the median of all errors.

    Returns:
        float: In the unit of the errors.
    """
    return float(np.nanmean(joint_epe(errors, statistic)))


def joint_pck(errors: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Share of each joint's samples within each threshold (``<=``).

    Args:
        errors (np.ndarray): Errors, shape (N, K); NaN where not compared.
        thresholds (np.ndarray): Thresholds in the same unit, shape (T,).

    Returns:
        np.ndarray: Shape (K, T), in [0, 1]; NaN for joints without a sample.
    """
    seen = _joints_with_samples(errors)
    out = np.full((errors.shape[1], len(thresholds)), np.nan)
    for joint in np.flatnonzero(seen):
        values = np.sort(errors[:, joint][~np.isnan(errors[:, joint])])
        # Sorting and searching needs no (N, K, T) array.
        within = np.searchsorted(values, thresholds, side='right')
        out[joint] = within / len(values)
    return out


def pck_curve(errors: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """PCK curve averaged over joints.

    Args:
        errors (np.ndarray): Errors, shape (N, K); NaN where not compared.
        thresholds (np.ndarray): Thresholds in the same unit, shape (T,).

    Returns:
        np.ndarray: Shape (T,), in [0, 1].
    """
    return np.nanmean(joint_pck(errors, thresholds), axis=0)


def auc(curve: np.ndarray, thresholds: np.ndarray) -> float:
    """Normalised area under a PCK curve (trapezoid rule).

    Args:
        curve (np.ndarray): PCK values, shape (T,).
        thresholds (np.ndarray): Increasing thresholds, shape (T,).

    Returns:
        float: In [0, 1]; 1 where the curve is 1 throughout.

    Raises:
        ValueError: If the shapes differ or the thresholds do not increase.
    """
    curve = np.asarray(curve, dtype=np.float64)
    thresholds = np.asarray(thresholds, dtype=np.float64)
    if curve.ndim != 1 or curve.shape != thresholds.shape:
        raise ValueError('curve and thresholds must share one shape (T,), '
                         f'got {curve.shape} and {thresholds.shape}')
    steps = np.diff(thresholds)
    if not len(steps) or (steps <= 0).any():
        raise ValueError('an area needs at least two, increasing thresholds')
    # Written out: np.trapz is gone from NumPy 2, np.trapezoid new in it.
    area = ((curve[1:] + curve[:-1]) / 2 * steps).sum()
    return float(area / (thresholds[-1] - thresholds[0]))


def mpjpe(errors: np.ndarray) -> float:
    """Mean per-joint position error: the mean of all compared errors.

    Equal to :func:`epe` where every joint has the same number of samples.

    Args:
        errors (np.ndarray): Errors, shape (N, K); NaN where not compared.

    Returns:
        float: In the unit of the errors.
    """
    _joints_with_samples(errors)
    return float(np.nanmean(errors))


def root_align(pred: np.ndarray, gt: np.ndarray,
               root_index: int) -> np.ndarray:
    """Translate each prediction so that its root joint meets the true one.

    Args:
        pred (np.ndarray): Predictions, shape (N, K, D).
        gt (np.ndarray): Ground truth, shape (N, K, D).
        root_index (int): Index of the root joint.

    Returns:
        np.ndarray: Translated predictions, shape (N, K, D).
    """
    root = slice(root_index, root_index + 1)
    return pred - pred[:, root] + gt[:, root]


def procrustes_align(pred: np.ndarray,
                     gt: np.ndarray,
                     mask: Optional[np.ndarray] = None,
                     allow_reflection: bool = False) -> np.ndarray:
    """Similarity alignment of each prediction to its ground truth.

    Translation, scale and rotation by orthogonal Procrustes analysis. With
    ``allow_reflection`` this is ``align_w_scale`` of FreiHAND's score script,
    under which a mirrored hand scores as well as the hand itself; without it
    (PA-MPJPE) the rotation is proper.

    Args:
        pred (np.ndarray): Predictions in mm, shape (N, K, D).
        gt (np.ndarray): Ground truth in mm, shape (N, K, D).
        mask (np.ndarray, optional): Joints that determine the alignment,
            (N, K). All joints are transformed.
        allow_reflection (bool): Whether the orthogonal matrix may be a
            reflection.

    Returns:
        np.ndarray: Aligned predictions, shape (N, K, D). A prediction
        without extent, all joints in one point, becomes the centre of the
        ground truth.

    Raises:
        ValueError: See :func:`check_keypoints`.
    """
    every_pred = np.asarray(pred, dtype=np.float64)
    pred, gt, mask = _prepare(pred, gt, mask)
    weight = mask[..., None]
    count = np.maximum(weight.sum(axis=1, keepdims=True), 1)
    pred_mean = pred.sum(axis=1, keepdims=True) / count
    gt_mean = gt.sum(axis=1, keepdims=True) / count
    pred_centred = (pred - pred_mean) * weight
    gt_centred = (gt - gt_mean) * weight
    pred_norm, gt_norm = (
        np.linalg.norm(x, axis=(1, 2), keepdims=True) + _NORM_EPS_MM
        for x in (pred_centred, gt_centred))

    covariance = np.einsum('nki,nkj->nij', gt_centred / gt_norm,
                           pred_centred / pred_norm)
    u, singular, vt = np.linalg.svd(covariance)
    if not allow_reflection:
        mirrored = np.linalg.det(u @ vt) < 0
        u[mirrored, :, -1] *= -1
        singular[mirrored, -1] *= -1
    rotation = u @ vt
    scale = singular.sum(axis=-1)[:, None, None] * gt_norm
    aligned = (every_pred - pred_mean) / pred_norm
    return np.einsum('nki,nji->nkj', aligned, rotation) * scale + gt_mean


def align(pred: np.ndarray,
          gt: np.ndarray,
          alignment: str,
          mask: Optional[np.ndarray] = None,
          root_index: Optional[int] = None) -> np.ndarray:
    """Align predictions with the ground truth by the name of the alignment.

    Args:
        pred (np.ndarray): Predictions in mm, shape (N, K, 3).
        gt (np.ndarray): Ground truth in mm, shape (N, K, 3).
        alignment (str): ``'none'``; ``'root'``, see :func:`root_align`;
            ``'procrustes'``, see :func:`procrustes_align`; ``'freihand'``,
            the same with reflections allowed.
        mask (np.ndarray, optional): Joints that are compared, (N, K).
        root_index (int, optional): Index of the root joint, for ``'root'``.

    Returns:
        np.ndarray: Aligned predictions in mm, shape (N, K, 3).

    Raises:
        ValueError: If the alignment is unknown or lacks its root joint.
    """
    if alignment == 'none':
        return pred
    if alignment == 'root':
        if root_index is None:
            raise ValueError("alignment 'root' needs root_index")
        return root_align(pred, gt, root_index)
    if alignment in ('procrustes', 'freihand'):
        return procrustes_align(
            pred, gt, mask, allow_reflection=alignment == 'freihand')
    raise ValueError("alignment must be 'none', 'root', 'procrustes' or "
                     f"'freihand', got {alignment!r}")


def f_score(
        pred: np.ndarray, gt: np.ndarray, thresholds: Sequence[float]
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """F-scores of two point sets, as FreiHAND scores meshes.

    A point counts when its *nearest* neighbour in the other set is closer
    than the threshold (``<``). Officially this is for the 778 vertices of a
    mesh; on keypoints it ignores which joint is which.

    Args:
        pred (np.ndarray): Predicted points, shape (N, P, D).
        gt (np.ndarray): True points, shape (N, Q, D).
        thresholds (Sequence[float]): T distances in the unit of the points.

    Returns:
        tuple[np.ndarray]: F-score, precision (share of predicted points near
        a true one) and recall (share of true points near a predicted one),
        each of shape (N, T).

    Raises:
        ValueError: If the shapes do not fit or a value is not finite.
    """
    pred = np.asarray(pred, dtype=np.float64)
    gt = np.asarray(gt, dtype=np.float64)
    if (pred.ndim != 3 or gt.ndim != 3 or len(pred) != len(gt)
            or pred.shape[2] != gt.shape[2]):
        raise ValueError('point sets must have shapes (N, P, D) and '
                         f'(N, Q, D), got {pred.shape} and {gt.shape}')
    for name, points in (('prediction', pred), ('ground truth', gt)):
        bad = np.argwhere(~np.isfinite(points))
        if len(bad):
            raise ValueError(f'{name} of sample {bad[0, 0]}, point '
                             f'{bad[0, 1]} is not finite')
    thresholds = np.asarray(thresholds, dtype=np.float64)
    precision = np.empty((len(pred), len(thresholds)))
    recall = np.empty((len(pred), len(thresholds)))
    for i, (p, g) in enumerate(zip(pred, gt)):
        for share, points, others in ((precision, p, g), (recall, g, p)):
            distance = cKDTree(others).query(points)[0]
            share[i] = (distance[:, None] < thresholds).mean(axis=0)
    total = precision + recall
    score = 2 * precision * recall / np.where(total > 0, total, 1)
    return score, precision, recall
