"""Comparing a written model with the one it was made of."""
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.model import BaseModel

from ..codecs.hand_25d_label import HAND_BONE_LENGTHS
from ..evaluation.functional import align, keypoint_errors, mpjpe
from ..models.layers import peak_mass
from .hand_pose_runner import Network

_BATCH_SIZE = 16


class Tolerance(NamedTuple):
    """Differences to accept.

    Attributes:
        px (float): Of the joints in pixels of the network input.
        mm (float): Of the joints in the camera frame, at the same root depth.
        scores (float): Of the joints' scores.
        mpjpe (float): By how much of itself MPJPE may grow where the samples
            are annotated.
        judged (str): Which difference the first three limit, over all joints
            of all samples: the largest, ``'max'``, or what 99 % of the joints
            keep, ``'p99'``. Defaults to ``'max'``.
    """
    px: float
    mm: float
    scores: float
    mpjpe: float
    judged: str = 'max'

    @classmethod
    def of(cls, precision: str) -> 'Tolerance':
        """What a precision is expected to keep, see docs/deployment.md."""
        return _TOLERANCES[precision]


_TOLERANCES = dict(
    fp32=Tolerance(1e-3, 1e-3, 1e-4, 1e-4),
    fp16=Tolerance(0.1, 0.2, 5e-3, 2e-3),
    bf16=Tolerance(1., 3., 0.05, 0.02),
    # where a heat map has two peaks, little decides between them: a joint in
    # some hundreds goes far, which says nothing of the others
    int8=Tolerance(4., 12., 0.1, 0.03, judged='p99'))


def verify(model: BaseModel, network: Network, samples: Sequence[dict],
           tolerance: Tolerance) -> Dict[str, Any]:
    """Compare a written model with its original on samples of a data set.

    Args:
        model (BaseModel): The original; runs in evaluation mode.
        network (Network): The written one.
        samples (Sequence[dict]): ``inputs`` (3, H, W), uint8, and
            ``data_samples`` with the metainfo that decoding needs.
        tolerance (Tolerance): Differences to accept.

    Returns:
        dict: ``num_samples``; ``px``, ``mm`` and ``scores`` with ``max``,
        ``p99`` (what 99 % of the joints keep) and ``mean`` of the
        differences, mm at the original's root depth;
        ``mm_own_root``, each with the root depth that itself leads to, which
        is what a user sees and an ill-posed pose makes large; ``tolerance``;
        and, where the samples are annotated, ``MPJPE`` and ``PA-MPJPE`` in mm
        of both (``original``, ``exported``).

    Raises:
        RuntimeError: If a difference, or the growth of MPJPE, exceeds the
            tolerance or is not finite.
    """
    original = _Results.of(_run_model(model, samples))
    exported = _Results.of(_run_network(network, samples))
    decoded = [
        _decode(model, sample['data_samples'], *joints)
        for sample, *joints in zip(samples, original.joints, exported.joints)
    ]
    truth, reference, same_root, own_root = zip(*decoded)

    def difference(a: Any, b: Any) -> Dict[str, float]:
        distance = np.asarray(a, dtype=np.float64) - np.asarray(b)
        if distance.ndim == 3:
            distance = np.linalg.norm(distance, axis=-1)
        distance = np.abs(distance)
        return dict(
            max=float(distance.max()),
            p99=float(np.quantile(distance, 0.99)),
            mean=float(distance.mean()))

    report = dict(
        num_samples=len(samples),
        px=difference(exported.joints[..., :2], original.joints[..., :2]),
        mm=difference(same_root, reference),
        mm_own_root=difference(own_root, reference),
        scores=difference(exported.scores, original.scores),
        tolerance=tolerance._asdict())
    annotated = [i for i, gt in enumerate(truth) if gt is not None]
    if annotated:
        gt = np.stack([truth[i] for i in annotated])
        mask = np.isfinite(gt).all(-1)
        for name, alignment in (('MPJPE', 'root'), ('PA-MPJPE', 'procrustes')):
            report[name] = {
                kind:
                mpjpe(
                    keypoint_errors(
                        align(
                            np.stack([joints[i]
                                      for i in annotated]), gt, alignment,
                            mask, model.head.decoder.root_index), gt, mask))
                for kind, joints in (('original', reference), ('exported',
                                                               own_root))
            }
    _judge(report, tolerance)
    return report


def _judge(report: Dict[str, Any], tolerance: Tolerance) -> None:
    """Raise RuntimeError if a report exceeds the tolerance."""
    on = f'on {report["num_samples"]} samples'
    for key, what in (('px', 'px'), ('mm', 'mm'), ('scores', 'in the scores')):
        difference, limit = report[key], getattr(tolerance, key)
        worst = difference[tolerance.judged]
        # a NaN is smaller than nothing
        if not (worst <= limit and np.isfinite(difference['max'])):
            share = ' (99 % of the joints)' * (tolerance.judged == 'p99')
            raise RuntimeError(
                f'the written model differs from the original by {worst:.3g} '
                f'{what}{share} {on}, more than the tolerance of {limit:g}: '
                'nothing was exported')
    if 'MPJPE' in report:
        before, after = (
            report['MPJPE'][kind] for kind in ('original', 'exported'))
        if not after <= before * (1 + tolerance.mpjpe):
            raise RuntimeError(
                f'MPJPE is {after:.3f} mm with the written model and '
                f'{before:.3f} mm with the original {on}, more than the '
                f'tolerance of {tolerance.mpjpe:.4g} times the latter above '
                'it: nothing was exported')


class _Results(NamedTuple):
    joints: np.ndarray  # u, v in input px and depth in bones (N, K, 3)
    scores: np.ndarray  # (N, K)

    @classmethod
    def of(cls, batches: List[Tuple[np.ndarray, ...]]) -> '_Results':
        uv, depth, scores = (
            np.concatenate(part).astype(np.float64) for part in zip(*batches))
        return cls(np.concatenate([uv, depth[..., None]], -1), scores)


def _batches(samples: Sequence[dict]) -> List[Sequence[dict]]:
    return [
        samples[i:i + _BATCH_SIZE] for i in range(0, len(samples), _BATCH_SIZE)
    ]


@torch.no_grad()
def _run_model(model: BaseModel,
               samples: Sequence[dict]) -> List[Tuple[np.ndarray, ...]]:
    training = model.training
    model.eval()
    head, results = model.head, []
    for batch in _batches(samples):
        data = model.data_preprocessor(
            dict(
                inputs=[sample['inputs'] for sample in batch],
                data_samples=[sample['data_samples'] for sample in batch]))
        estimates = head.estimate(model.extract_feat(data['inputs']))
        assignment = head.selector()
        heatmaps = head._mix(estimates.heatmaps, assignment)
        outputs = (head._mix(estimates.uv, assignment),
                   head._mix(estimates.depth, assignment), peak_mass(heatmaps))
        results.append(tuple(output.cpu().numpy() for output in outputs))
    model.train(training)
    return results


def _run_network(network: Network,
                 samples: Sequence[dict]) -> List[Tuple[np.ndarray, ...]]:
    # one by one, as it will be used
    return [network(np.asarray(sample['inputs'])[None]) for sample in samples]


def _decode(
    model: BaseModel, sample: Any, original: np.ndarray, exported: np.ndarray
) -> Tuple[Optional[np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """Joints in mm (K, 3): truth, original, exported at its root, own root."""
    codec, meta = model.head.decoder, sample.metainfo
    bone_length = meta.get('bone_length')
    if bone_length is None:
        # any length would do: it is but a unit for the differences
        bone_length = HAND_BONE_LENGTHS.get(codec.reference_bone, 40.)
    common = dict(
        warp_mat=meta.get('warp_mat'),
        camera_matrix=meta.get('camera_matrix'),
        bone_length=bone_length)
    given = model.test_cfg.get('root_depth', 'solved') == 'given'
    root_depth = meta.get('root_depth') if given else None

    def decode(joints: np.ndarray, root_depth: Optional[float]) -> np.ndarray:
        return codec.decode(
            joints[None], root_depth=root_depth, **common)['keypoints_cam'][0]

    reference = decode(original, root_depth)
    own_root = same_root = decode(exported, root_depth)
    if common['camera_matrix'] is not None:
        # keypoints_cam is depth + root depth
        root = codec.root_index
        same_root = decode(
            exported, reference[root, 2] - original[root, 2] * bone_length)
    truth = None
    gt = sample.get('gt_instances')
    if gt is not None and 'keypoints_cam' in gt:
        visible = np.asarray(gt.keypoints_visible)
        visible = visible.reshape(len(reference), -1)[:, 0] > 0
        truth = np.asarray(gt.keypoints_cam, dtype=np.float64)[0]
        truth = np.where(visible[:, None], truth, np.nan)
    return truth, reference, same_root, own_root
