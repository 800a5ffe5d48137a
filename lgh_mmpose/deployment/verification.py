"""Comparing a written model with the one it was made of."""
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from mmengine.model import BaseModel

from ..evaluation.functional import align, keypoint_errors, mpjpe
from ..geometry.camera import warp_points
from ..geometry.crop import crop_matrix, direction_of, upright_rotation
from ..inference.backends.torch import estimate
from ..inference.network import Joints, Network, NetworkInfo

_BATCH_SIZE = 16
# between two crops, px of the input: what float32 makes of small boxes
_CROP_TOLERANCE = 0.05


class ExportError(RuntimeError):
    """A model that cannot be shipped, or that cannot be verified here."""


class Tolerance(NamedTuple):
    """Differences to accept.

    Attributes:
        px (float): Of the joints in pixels of the network input.
        mm (float): Of the joints in the camera frame, at the same root depth,
            where the samples have camera and bone length.
        bones (float): Of the joints' depths in lengths of the reference bone,
            where they have not: millimetres would be of unknown scale.
        scores (float): Of the joints' scores, and of the probability of a
            right hand.
        mpjpe (float): By how much of itself MPJPE may grow where the samples
            are annotated.
        judged (str): Which difference the first four limit, over all joints
            of all samples: the largest, ``'max'``, or what 99 % of the joints
            keep, ``'p99'``. Defaults to ``'max'``.
    """
    px: float
    mm: float
    bones: float
    scores: float
    mpjpe: float
    judged: str = 'max'

    @classmethod
    def of(cls, precision: str) -> 'Tolerance':
        """What a precision keeps, see docs/how_to/ship_a_model.md."""
        return _TOLERANCES[precision]


_TOLERANCES = dict(
    # bones: the mm of a bone of 40 mm
    fp32=Tolerance(1e-3, 1e-3, 2.5e-5, 1e-4, 1e-4),
    fp16=Tolerance(0.1, 0.5, 0.0125, 5e-3, 2e-3),
    bf16=Tolerance(1., 3., 0.075, 0.05, 0.02),
    # where a heat map has two peaks, little decides between them: a joint in
    # some hundreds goes far, which says nothing of the others
    int8=Tolerance(4., 12., 0.3, 0.1, 0.03, judged='p99'))


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
        dict: ``num_samples``; ``px``, ``scores`` and what follows with
        ``max``, ``p99`` (what 99 % of the joints keep) and ``mean`` of the
        differences; of samples with camera and bone length ``mm``, at the
        true root depth or, where it is not annotated, the original's, and
        ``mm_own_root``, each with the root depth that itself leads to, which
        is what a user sees and an ill-posed pose makes large; of the other
        samples ``bones``, the depths in lengths of the reference bone, and
        ``bones_own_scale``, the joints in the same unit, each at the scale
        that itself leads to; ``tolerance``; and, where samples with camera
        and bone length are annotated, ``MPJPE`` and ``PA-MPJPE`` in mm of
        both (``original``, ``exported``).

    Raises:
        ExportError: If a number of an output is not finite, or a difference,
            or the growth of MPJPE, exceeds the tolerance.
    """
    original = _Results.of(_run_model(model, samples))
    exported = _Results.of(_run_network(network, samples))
    # before the joints are lifted, which takes finite ones only
    _check_finite('original', original)
    _check_finite('written', exported)
    report = dict(
        num_samples=len(samples),
        px=_difference(exported.joints[..., :2], original.joints[..., :2]),
        scores=_difference(exported.scores, original.scores),
        tolerance=tolerance._asdict())
    if original.right is not None:
        report['right'] = _difference(exported.right, original.right)
    # what is far off need not be lifted
    _judge(report, tolerance)
    metric = np.array(
        [_is_metric(sample['data_samples']) for sample in samples])
    decoded = [
        _decode(model, sample['data_samples'], *joints)
        for sample, *joints in zip(samples, original.joints, exported.joints)
    ]
    if metric.any():
        truth, before, after, *at_one_depth = zip(
            *(decoded[i] for i in metric.nonzero()[0]))
        report.update(
            mm=_difference(*at_one_depth),
            mm_own_root=_difference(after, before))
        report.update(
            _scores(model, truth, dict(original=before, exported=after)))
    if not metric.all():
        rest = (~metric).nonzero()[0]
        report.update(
            bones=_difference(exported.joints[rest, :, 2],
                              original.joints[rest, :, 2]),
            bones_own_scale=_difference(*([decoded[i][k] for i in rest]
                                          for k in (1, 2))))
    _judge(report, tolerance)
    return report


def _check_finite(name: str, results: '_Results') -> None:
    """Raise ExportError if an output of a model is not finite."""
    outputs = dict(
        uv=results.joints[..., :2],
        depth=results.joints[..., 2],
        scores=results.scores)
    if results.right is not None:
        outputs['right'] = results.right
    for output, values in outputs.items():
        finite = np.isfinite(values).reshape(len(values), -1).all(1)
        if not finite.all():
            raise ExportError(
                f'the {name} model gives {output} that is not finite on '
                f'{(~finite).sum()} of {len(finite)} samples: nothing was '
                'exported')


def _difference(a: Any, b: Any) -> Dict[str, float]:
    """Of numbers (N, K), or lengths of those of vectors (N, K, D)."""
    distance = np.asarray(a, dtype=np.float64) - np.asarray(b)
    if distance.ndim == 3:
        distance = np.linalg.norm(distance, axis=-1)
    distance = np.abs(distance)
    return dict(
        max=float(distance.max()),
        p99=float(np.quantile(distance, 0.99)),
        mean=float(distance.mean()))


def _scores(model: BaseModel, truth: Sequence[Optional[np.ndarray]],
            joints: Dict[str, Sequence[np.ndarray]]) -> Dict[str, dict]:
    """MPJPE and PA-MPJPE, mm, of those samples that are annotated."""
    annotated = [i for i, gt in enumerate(truth) if gt is not None]
    if not annotated:
        return {}
    gt = np.stack([truth[i] for i in annotated])
    mask = np.isfinite(gt).all(-1)

    def score(predictions: Sequence[np.ndarray], alignment: str) -> float:
        aligned = align(
            np.stack([predictions[i] for i in annotated]), gt, alignment, mask,
            model.head.decoder.root_index)
        return mpjpe(keypoint_errors(aligned, gt, mask))

    return {
        name: {
            kind: score(j, alignment)
            for kind, j in joints.items()
        }
        for name, alignment in (('MPJPE', 'root'), ('PA-MPJPE', 'procrustes'))
    }


def _judge(report: Dict[str, Any], tolerance: Tolerance) -> None:
    """Raise ExportError if what a report holds exceeds the tolerance."""
    on = f'on {report["num_samples"]} samples'
    for key, what in (('px', 'px'), ('mm', 'mm'),
                      ('bones', 'lengths of the reference bone'),
                      ('scores', 'in the scores'),
                      ('right', 'in the probability of a right hand')):
        if key not in report:
            continue
        difference = report[key]
        limit = getattr(tolerance, 'scores' if key == 'right' else key)
        worst = difference[tolerance.judged]
        # a NaN is smaller than nothing
        if not (worst <= limit and np.isfinite(difference['max'])):
            share = ' (99 % of the joints)' * (tolerance.judged == 'p99')
            raise ExportError(
                f'the written model differs from the original by {worst:.3g} '
                f'{what}{share} {on}, more than the tolerance of {limit:g}: '
                'nothing was exported')
    if 'MPJPE' in report:
        before, after = (
            report['MPJPE'][kind] for kind in ('original', 'exported'))
        if not after <= before * (1 + tolerance.mpjpe):
            raise ExportError(
                f'MPJPE is {after:.3f} mm with the written model and '
                f'{before:.3f} mm with the original {on}, more than the '
                f'tolerance of {tolerance.mpjpe:.4g} times the latter above '
                'it: nothing was exported')


def verify_crop(info: NetworkInfo,
                samples: Sequence[dict]) -> Optional[Dict[str, Any]]:
    """Compare the crop that is written down with that of the test pipeline.

    The warp from the original image to the input must be that which the
    pipeline has left in ``warp_mat``.

    Args:
        info (NetworkInfo): What the written model takes.
        samples (Sequence[dict]): With ``record``, as :func:`select_samples`
            gives them: ``bbox`` and, if known, ``hand_side``.

    Returns:
        dict: ``num_samples`` and ``px``, the largest distance between the
        places in the input that both crops give to a corner of it. None if no
        sample has a record: nothing was compared.

    Raises:
        ExportError: If they differ by more than 0.05 px, or a sample has no
            ``warp_mat``.
    """
    worst, compared = 0., 0
    for sample in samples:
        record = sample.get('record')
        if record is None:
            continue
        warp_mat = sample['data_samples'].metainfo.get('warp_mat')
        if warp_mat is None:
            raise ExportError(
                'the samples of the test set have no warp_mat, so that the '
                'crop cannot be compared: crop by TopdownAffineCamera, and '
                'have warp_mat in meta_keys')
        crop = info.crop
        side = record.get('hand_side') or crop.hand_side
        mirror = crop.hand_side not in (None, side)
        flip = sample['data_samples'].metainfo.get('flip')
        if info.gives_side and flip is not None:  # as MirrorHands had it
            mirror = bool(flip)
        # the pipeline pads its boxes as it pads a whole image, whatever it
        # was trained on
        warp = crop_matrix(
            np.reshape(record['bbox'], -1),
            info.input_size,
            crop.whole_image_padding,
            crop.use_udp,
            mirror=mirror,
            rotation=_rotation(record) if crop.upright else 0.)
        distance = _corner_distance(info.input_size, warp, warp_mat)
        if not distance <= _CROP_TOLERANCE:
            raise ExportError(
                f'the crop of {record.get("img_path", "an image")} is '
                f'{distance:.3g} px of the input off that of the test '
                f'pipeline, more than {_CROP_TOLERANCE:g}: inference can pad '
                'a box and mirror, as GetBBoxCenterScale, TopdownAffineCamera '
                'and CanonicalizeHandSide do, and no more; test with such a '
                'pipeline, or give the padding of the boxes it will be run on '
                '(--padding): nothing was exported')
        worst, compared = max(worst, distance), compared + 1
    return dict(num_samples=compared, px=worst) if compared else None


def _rotation(record: dict) -> float:
    """What ``TurnUpright`` makes of the annotated joints, degrees."""
    if record.get('keypoints') is None:
        return 0.
    names = record['keypoint_names']
    visible = record.get('keypoints_visible')
    direction = direction_of(
        record['keypoints'][0, :, :2], names,
        None if visible is None else visible[0].reshape(len(names), -1)[:, 0])
    return 0. if direction is None else upright_rotation(direction)


def _corner_distance(input_size: Tuple[int, int], warp: np.ndarray,
                     expected: np.ndarray) -> float:
    """Largest distance of two crops at the corners of the input, px."""
    width, height = input_size
    corners = np.array(
        [[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]],
        float)
    places = warp_points(corners, warp @ np.linalg.inv(expected))
    return float(np.linalg.norm(places - corners, axis=-1).max())


class _Results(NamedTuple):
    joints: np.ndarray  # u, v in input px and depth in bones (N, K, 3)
    scores: np.ndarray  # (N, K)
    right: Optional[np.ndarray]  # (N,)

    @classmethod
    def of(cls, batches: List[Tuple[np.ndarray, ...]]) -> '_Results':
        parts = zip(*(Joints(*batch) for batch in batches))
        uv, depth, scores, right = (None if part[0] is None else
                                    np.concatenate(part).astype(np.float64)
                                    for part in parts)
        return cls(np.concatenate([uv, depth[..., None]], -1), scores, right)


def _batches(samples: Sequence[dict]) -> List[Sequence[dict]]:
    return [
        samples[i:i + _BATCH_SIZE] for i in range(0, len(samples), _BATCH_SIZE)
    ]


def _run_model(model: BaseModel, samples: Sequence[dict]) -> List[Joints]:
    training = model.training
    model.eval()
    results = [
        estimate(model,
                 np.stack([np.asarray(sample['inputs']) for sample in batch]))
        for batch in _batches(samples)
    ]
    model.train(training)
    return results


def _run_network(network: Network,
                 samples: Sequence[dict]) -> List[Tuple[np.ndarray, ...]]:
    # one by one, as it will be used
    return [network(np.asarray(sample['inputs'])[None]) for sample in samples]


def _is_metric(sample: Any) -> bool:
    """Whether joints in the camera frame come out in mm."""
    return all(
        sample.metainfo.get(key) is not None
        for key in ('camera_matrix', 'bone_length'))


def _decode(model: BaseModel, sample: Any, original: np.ndarray,
            exported: np.ndarray) -> Tuple[Optional[np.ndarray], ...]:
    """Joints (K, 3): truth; original and exported; both at one root depth.

    In mm in the camera frame where camera and bone length are known, else in
    lengths of the reference bone, without truth or root depth.
    """
    codec, meta = model.head.decoder, sample.metainfo
    metric = _is_metric(sample)
    given = model.test_cfg.get('root_depth', 'solved') == 'given'

    def decode(joints: np.ndarray, root_depth: Optional[float]) -> np.ndarray:
        return codec.decode(
            joints[None],
            warp_mat=meta.get('warp_mat'),
            camera_matrix=meta.get('camera_matrix'),
            bone_length=meta['bone_length'] if metric else None,
            root_depth=root_depth)['keypoints_cam'][0]

    annotated = meta.get('root_depth') if metric else None
    own = [
        decode(joints, annotated if given else None)
        for joints in (original, exported)
    ]
    if not metric:
        return None, *own, *own
    # the true one where it is known: joints of an untrained network may lie as
    # those of a hand 30 m away, where pixels are millimetres
    depth = annotated
    if depth is None:
        # keypoints_cam is depth + root depth
        root = codec.root_index
        depth = own[0][root, 2] - original[root, 2] * meta['bone_length']
    truth = None
    gt = sample.get('gt_instances')
    if gt is not None and 'keypoints_cam' in gt:
        truth = np.asarray(gt.keypoints_cam, dtype=np.float64)[0]
        visible = np.asarray(gt.keypoints_visible)
        visible = visible.reshape(len(truth), -1)[:, 0] > 0
        truth = np.where(visible[:, None], truth, np.nan)
    return truth, *own, decode(original, depth), decode(exported, depth)
