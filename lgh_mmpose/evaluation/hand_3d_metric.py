"""The metric that mmengine's evaluator runs."""
import io
import logging
from collections import Counter
from itertools import zip_longest
from typing import Any, Dict, List, Optional, Sequence, Union

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmpose.registry import METRICS

from lgh_mmpose.fileio import atomic_write
from lgh_mmpose.geometry.camera import SOLVED_STATUSES
from lgh_mmpose.geometry.hand import SIDES
from lgh_mmpose.models.losses.biomechanics_loss import shares_beyond_limits

from .functional import (PROTOCOLS, align, auc, epe, joint_epe,
                         keypoint_errors, mpjpe, pck_curve)

# alignment -> prefix of its scores
_PREFIXES = {
    'none': '',
    'root': 'root-',
    'procrustes': 'PA-',
    'freihand': 'aligned-',
}

# alignment -> name under which the field knows the mean of all errors
_MPJPE_NAMES = {'root': 'MPJPE', 'procrustes': 'PA-MPJPE'}

# (frame, units) of the predictions -> alignments that make sense of them
_FRAME_ALIGNMENTS = {
    ('camera', 'mm'): {'none', 'root', 'procrustes', 'freihand'},
    ('root', 'mm'): {'root', 'procrustes', 'freihand'},
    ('camera', 'reference bones'): {'procrustes', 'freihand'},
    ('root', 'reference bones'): {'procrustes', 'freihand'},
}


@METRICS.register_module()
class HandKeypoint3DMetric(BaseMetric):
    """3D keypoint errors of one hand per sample, in millimetres.

    For every alignment of ``align`` the metric reports ``EPE``,
    ``EPE_median`` and areas under the PCK curve such as ``AUC_0-50``, with
    the alignment's prefix before each:

    ============ ============ ==============================
    alignment    prefix       besides
    ============ ============ ==============================
    'none'
    'root'       ``root-``    ``MPJPE``
    'procrustes' ``PA-``      ``PA-MPJPE``
    'freihand'   ``aligned-``
    ============ ============ ==============================

    Means, medians and PCK are taken per joint first and then averaged over
    the joints, as the data sets' score scripts do; ``MPJPE`` and
    ``PA-MPJPE`` are the mean over all compared joints, the root included,
    which is the same where no joint is left out. ``EPE_2d_px`` is the 2D
    error in pixels of the original image, and ``side_accuracy`` the share of
    sides told right, of a network that tells them.

    Protocols:

    - ``'general'``: camera space, root-aligned and Procrustes-aligned scores
      over the annotated joints; 101 thresholds from 0 to 50 mm,
      ``AUC_20-50`` starts at 20 mm.
    - ``'rhd'``: Learnable Joint Groups on RHD (Li et al. 2021, section 4).
      Camera space without alignment, all joints, 20 thresholds from 0 to
      50 mm, ``AUC_20-50`` over the last 12, the first of which is 21.05 mm.
      The published figures take the root's depth from the ground truth.
      In 2D ``EPE_2d_px_median`` and ``AUC_2d_0-30`` (pixels) too.
    - ``'stb'``: score script of Zimmermann & Brox 2017, whose figures STB's
      are compared with: the thresholds of ``'rhd'``, annotated joints,
      **root-aligned** at the wrist. Papers differ in the alignment:
      ``align='none'`` scores camera space as for RHD, and ``root_joint``
      sets another root.
    - ``'dexter'``: Dexter+Object. The annotated finger tips, camera space
      without alignment, 20 thresholds from 0 to 100 mm.
    - ``'freihand'``: score script of FreiHAND (Zimmermann et al. 2019). All
      joints, 100 thresholds from 0 to 50 mm, raw and after a similarity
      alignment that allows reflections. The script prints centimetres.

    Args:
        protocol (str): ``'general'``, ``'rhd'``, ``'stb'``, ``'dexter'`` or
            ``'freihand'``. Defaults to ``'general'``.
        align (str | Sequence[str], optional): Alignments to score. An empty
            list scores the 2D error alone, for data without 3D annotation.
            Defaults to ``None``: those of the protocol.
        root_joint (str, optional): Name of the joint for ``align='root'``.
            Defaults to ``None``: that of the protocol, ``'wrist'`` for
            ``'stb'`` and else ``'middle_finger1'``.
        limits (bool): Whether to report how often predictions are no hands:
            ``beyond_limits`` is the share of the measures of
            :func:`~lgh_mmpose.models.losses.biomechanics_loss.measure_hands`
            beyond their limits, ``beyond_lengths``, ``beyond_palm`` and
            ``beyond_angles`` that of each kind. Defaults to ``False``.
        per_joint (bool): Whether to report the mean error of each joint too,
            as ``MPJPE/wrist`` and the like. Defaults to ``False``.
        dump_file (str, optional): ``.npz`` to write the predictions, ground
            truth, per-joint errors and PCK curves to, see :meth:`dump`.
            Defaults to ``None``.
        collect_device (str): ``'cpu'`` or ``'gpu'``, see mmengine's
            ``BaseMetric``. Defaults to ``'cpu'``.
        prefix (str, optional): Prefix of the score names. Defaults to
            ``None``, which means ``'hand'``.
        collect_dir (str, optional): See mmengine's ``BaseMetric``.

    Raises:
        ValueError: If an argument is unknown, or a sample cannot be scored;
            the sample is named.
    """

    default_prefix = 'hand'

    def __init__(self,
                 protocol: str = 'general',
                 align: Optional[Union[str, Sequence[str]]] = None,
                 root_joint: Optional[str] = None,
                 limits: bool = False,
                 per_joint: bool = False,
                 dump_file: Optional[str] = None,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None,
                 collect_dir: Optional[str] = None) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        if protocol not in PROTOCOLS:
            raise ValueError(f'protocol must be one of {sorted(PROTOCOLS)}, '
                             f'got {protocol!r}')
        self.protocol_name = protocol
        self.protocol = PROTOCOLS[protocol]
        if align is None:
            align = self.protocol.alignments
        self.align = [align] if isinstance(align, str) else list(align)
        unknown = [name for name in self.align if name not in _PREFIXES]
        if unknown:
            raise ValueError(f'align must be of {sorted(_PREFIXES)}, '
                             f'got {unknown}')
        if dump_file is not None and not dump_file.endswith('.npz'):
            raise ValueError(
                f'dump_file must end with .npz, got {dump_file!r}')
        self.root_joint = root_joint or self.protocol.root_joint
        self.limits = limits
        self.per_joint = per_joint
        self.dump_file = dump_file

    def _joint_names(self, num_joints: int) -> List[str]:
        needs_names = 'root' in self.align or self.protocol.joints is not None
        if self.dataset_meta is None and not needs_names:
            # as in BadCaseAnalysisHook, which sets no metainfo
            return [str(i) for i in range(num_joints)]
        names = (self.dataset_meta or {}).get('keypoint_id2name', {})
        if len(names) != num_joints:
            raise ValueError(
                f'the samples have {num_joints} joints, but dataset_meta '
                f'names {len(names)}: the metainfo of the data set must '
                'describe the same joints')
        return [names[i] for i in range(num_joints)]

    def _root_index(self, joint_names: List[str]) -> Optional[int]:
        if 'root' not in self.align:
            return None
        if self.root_joint not in joint_names:
            raise ValueError(f'root_joint {self.root_joint!r} is not a joint '
                             f'of the data set, these are: {joint_names}')
        return joint_names.index(self.root_joint)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep what the scores need of one batch.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict]): Data samples as dicts with
                ``pred_instances`` (``keypoints`` (1, K, 2) px of the original
                image, ``keypoints_cam`` (1, K, 3) mm, ``frame`` and ``units``
                of the latter, (1,), camera and mm where absent) and
                ``gt_instances`` (``keypoints``, ``keypoints_cam`` and
                ``keypoints_visible`` (1, K)); optionally
                ``root_depth_status`` (1,) of the prediction and
                ``keypoint_names``, the joints of the prediction, which are
                compared with the data set's.

        Raises:
            ValueError: If a sample lacks a field, has a value that is not
                finite or a prediction in a frame that cannot be aligned as
                asked for.
        """
        for sample in data_samples:
            # one entry per sample: mmengine restores order by counting them
            self.results.append(self._extract(sample))

    def _extract(self, sample: dict) -> Dict[str, Any]:
        name = describe_sample(sample)
        pred, gt = (sample[k] for k in ('pred_instances', 'gt_instances'))
        keys = ['keypoints'] + (['keypoints_cam'] if self.align else [])
        for side, fields in (('prediction', pred), ('ground truth', gt)):
            for key in keys:
                if key not in fields:
                    raise ValueError(f'{side} of {name} has no {key}: '
                                     f'{self._mend(side, key)}')
        visible = _one_hand(gt.get('keypoints_visible'), name, 'visibility')
        if visible.ndim == 2:  # mmpose's (1, K, 2): visibility and weight
            visible = visible[:, 0]
        result = dict(
            id=int(sample.get('id', -1)),
            img_path=str(sample.get('img_path', '')),
            annotated=visible > 0)
        if 'right_scores' in pred and sample.get('hand_side') in SIDES:
            told = 'right' if float(pred['right_scores'][0]) >= .5 else 'left'
            result['side_right'] = told == sample['hand_side']
        if self.limits:
            if not self.align or sample.get('hand_side') not in SIDES:
                raise ValueError(f'limits need 3D joints and hand_side, which '
                                 f'{name} lacks')
            # OfficialRhdCrop's camera sees left hands as right ones
            mirrors = sample.get('camera_matrix') is not None and \
                np.linalg.det(sample['camera_matrix']) < 0
            result['right'] = (sample['hand_side'] == 'right') != mirrors
        if 'root_depth_status' in pred:
            result['root_depth_status'] = str(pred['root_depth_status'][0])
        if self.align:
            frame = str(np.ravel(pred.get('frame', 'camera'))[0])
            units = str(np.ravel(pred.get('units', 'mm'))[0])
            possible = _FRAME_ALIGNMENTS.get((frame, units), set())
            bad = [a for a in self.align if a not in possible]
            if bad:
                raise ValueError(
                    f'the prediction of {name} is in {units} in the {frame} '
                    f'frame, which cannot be scored with align={bad}: give '
                    'the sample a camera_matrix and a bone_length, or choose '
                    f'from align={sorted(possible)}')
        names = self._joint_names(len(visible))
        if self.dataset_meta is not None:
            check_predicted_joints(sample, names)
        root = self._root_index(names)
        if root is not None and not result['annotated'][root]:
            raise ValueError(f'{name} cannot be root-aligned: its '
                             f'{self.root_joint} is not annotated')
        mask = self._mask(result['annotated'], names)
        for key in keys:
            for side, fields in (('pred', pred), ('gt', gt)):
                points = _one_hand(fields[key], name, key)
                dims = 3 if key == 'keypoints_cam' else 2
                if points.shape != (len(visible), dims):
                    raise ValueError(f'{side} {key} of {name} must have shape '
                                     f'{(1, len(visible), dims)}, '
                                     f'got {(1, *points.shape)}')
                wrong = ~np.isfinite(points).all(axis=-1)
                if mask is not None:
                    wrong &= mask
                if wrong.any():
                    joint = int(np.flatnonzero(wrong)[0])
                    raise ValueError(f'{side} {key} of {name}, joint '
                                     f'{names[joint]}, is not finite: '
                                     f'{points[joint].tolist()}')
                result[f'{side}_{key}'] = points
        return result

    def _mask(self, annotated: np.ndarray,
              joint_names: List[str]) -> Optional[np.ndarray]:
        """Joints to compare, as ``annotated`` (..., K); None for all."""
        if not self.protocol.use_visibility:
            return None
        return annotated & self.protocol.scored_joints(joint_names)

    @staticmethod
    def _mend(side: str, key: str) -> str:
        if side == 'prediction':
            return ('the head must predict it' if key == 'keypoints' else
                    'the head must predict it; align=[] scores the 2D error '
                    'alone')
        if key == 'keypoints':
            return ('the split has no annotation, or PackPoseInputs does not '
                    'pack it; to predict without a score, give tools/test.py '
                    '--dump FILE or --submission FILE with --cfg-options '
                    'test_evaluator=[], and to train, --no-validate')
        return ('the split has no 3D annotation, or PackPoseInputs does not '
                'pack it; align=[] scores the 2D error alone')

    def compute_metrics(self, results: List[dict]) -> Dict[str, float]:
        """Scores of all samples.

        Args:
            results (list[dict]): What :meth:`process` kept.

        Returns:
            dict[str, float]: Scores in mm (pixels for ``EPE_2d_px``), areas
            in [0, 1].
        """
        if not results:
            raise ValueError('there is no sample to score: the data set or '
                             'its indices are empty')
        data = {
            key: np.stack([result[key] for result in results])
            for key in results[0] if key not in ('id', 'img_path')
        }
        self._tell_unsolved(data.get('root_depth_status', ()))
        joint_names = self._joint_names(data['annotated'].shape[1])
        mask = self._mask(data['annotated'], joint_names)
        thresholds = self.protocol.threshold_values()
        scores: Dict[str, float] = {}
        for alignment in self.align:
            pred = align(data['pred_keypoints_cam'], data['gt_keypoints_cam'],
                         alignment, mask, self._root_index(joint_names))
            errors = keypoint_errors(pred, data['gt_keypoints_cam'], mask)
            curve = pck_curve(errors, thresholds)
            prefix = _PREFIXES[alignment]
            mean_name = _MPJPE_NAMES.get(alignment, f'{prefix}EPE')
            if alignment in _MPJPE_NAMES:
                scores[mean_name] = mpjpe(errors)
            scores[f'{prefix}EPE'] = epe(errors)
            scores[f'{prefix}EPE_median'] = epe(errors, 'median')
            for name, start in self.protocol.auc_starts.items():
                scores[prefix + name] = auc(curve[start:], thresholds[start:])
            if self.per_joint:
                for name, value in zip(joint_names, joint_epe(errors)):
                    if np.isfinite(value):  # NaN: no sample has this joint
                        scores[f'{mean_name}/{name}'] = float(value)
            data[f'errors_{alignment}'] = errors
            data[f'pck_{alignment}'] = curve
        errors = keypoint_errors(data['pred_keypoints'], data['gt_keypoints'],
                                 mask)
        scores['EPE_2d_px'] = epe(errors)
        if self.limits:
            scores.update(
                shares_beyond_limits(data['pred_keypoints_cam'], data['right'],
                                     joint_names))
        if 'side_right' in data:
            scores['side_accuracy'] = float(data['side_right'].mean())
        data['errors_2d'] = errors
        if self.protocol.thresholds_2d is not None:
            thresholds_2d = np.linspace(*self.protocol.thresholds_2d)
            curve = pck_curve(errors, thresholds_2d)
            scores['EPE_2d_px_median'] = epe(errors, 'median')
            scores['AUC_2d_0-30'] = auc(curve, thresholds_2d)
            data.update(pck_2d=curve, thresholds_2d=thresholds_2d)
        if self.dump_file is not None:
            self.dump(
                dict(
                    data,
                    id=np.array([r['id'] for r in results]),
                    img_path=np.array([r['img_path'] for r in results]),
                    joint_names=np.array(joint_names),
                    protocol=np.array(self.protocol_name),
                    root_joint=np.array(self.root_joint),
                    thresholds=thresholds))
        return scores

    @staticmethod
    def _tell_unsolved(status: Sequence[str]) -> None:
        """Say how many hands stand where weak perspective puts them."""
        counts = Counter(str(name) for name in status)
        unsolved = {
            name: count
            for name, count in counts.items() if name not in SOLVED_STATUSES
        }
        if unsolved:
            told = ', '.join(f'{n} {k}' for k, n in sorted(unsolved.items()))
            print_log(
                f'the root depth of {sum(unsolved.values())} of {len(status)} '
                'samples could not be solved from the bone length and is that '
                f'of weak perspective: {told}', 'current', logging.WARNING)

    def dump(self, arrays: Dict[str, np.ndarray]) -> None:
        """Write ``dump_file``.

        The archive loads without pickle and holds, for N samples: ``id``,
        ``img_path`` (N,), ``annotated`` (N, K), ``{pred,gt}_keypoints``
        (N, K, 2) px, ``{pred,gt}_keypoints_cam`` (N, K, 3) mm,
        ``errors_2d`` and ``errors_<alignment>`` (N, K), NaN where not
        compared, ``pck_<alignment>`` (T,) over ``thresholds`` (T,) mm,
        ``pck_2d`` over ``thresholds_2d`` px where the protocol has it,
        ``root_depth_status`` (N,) where the root's depth was solved, and
        ``joint_names`` (K,), ``protocol`` and ``root_joint``.

        Args:
            arrays (dict[str, np.ndarray]): What to write.
        """
        # not into the file: on a full disk NumPy adds a traceback
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)
        with atomic_write(self.dump_file) as file:
            file.write(content.getbuffer())
        print_log(f'wrote the predictions to {self.dump_file}', 'current')


def describe_sample(sample: dict) -> str:
    """Name a data sample in an error message."""
    return (f'sample {sample.get("id", "?")} '
            f'({sample.get("img_path", "no img_path")})')


def check_predicted_joints(sample: dict, joint_names: Sequence[str]) -> None:
    """Check that a prediction has the joints of its data set, in order.

    Args:
        sample (dict): Data sample with ``keypoint_names``, the joints of the
            prediction; without them nothing is compared.
        joint_names (Sequence[str]): Joints of the data set.

    Raises:
        ValueError: Naming the sample and the first joint that differs.
    """
    predicted = sample.get('keypoint_names')
    if predicted is None:
        return
    for i, (theirs, ours) in enumerate(zip_longest(predicted, joint_names)):
        if theirs != ours:
            raise ValueError(
                f'joint {i} of the prediction of {describe_sample(sample)} '
                f'is {theirs or "absent"}, but {ours or "absent"} in the '
                'metainfo of the data set: give the data set and the codec of '
                'the head the same metainfo')


def _one_hand(value: Any, name: str, what: str) -> np.ndarray:
    """The only instance of a (1, ...) array or tensor, as float64."""
    if value is None:
        raise ValueError(f'{name} has no {what}')
    value = value.cpu().numpy() if hasattr(value, 'cpu') else value
    value = np.asarray(value, dtype=np.float64)
    if value.ndim < 2 or len(value) != 1:
        raise ValueError(f'{what} of {name} must hold one hand, (1, K, ...), '
                         f'got shape {value.shape}')
    return value[0]
