"""Predictions in the form FreiHAND's score server takes, and their scores."""
import json
import logging
import os.path as osp
import zipfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmpose.registry import METRICS

from lgh_mmpose.datasets.base_hand3d import load_json_array
from lgh_mmpose.datasets.freihand3d import FREIHAND_JOINTS
from lgh_mmpose.fileio import atomic_write
from lgh_mmpose.reading import read_small_file, reason

from .functional import (PROTOCOLS, align, auc, epe, f_score, keypoint_errors,
                         pck_curve)
from .hand_3d_metric import check_predicted_joints, describe_sample

PathLike = Union[str, Path]

NUM_VERTICES = 778
# of the server's evaluation set
OFFICIAL_NUM_SAMPLES = 3960
F_THRESHOLDS_MM = (5, 15)

# nothing farther is a hand, and squares of it stay finite
_MAX_METRES = 1e6
# a whole one with all vertices takes a quarter of it, zipped or not
_MAX_BYTES = 2**30


@METRICS.register_module()
class FreiHandSubmission(BaseMetric):
    """Writes the predictions on FreiHAND's evaluation set for its server.

    ``pred.json`` is ``[xyz, verts]``, one entry per evaluation image in their
    order: 21 joints and 778 mesh vertices in metres in the camera frame
    (Zimmermann et al. 2019; ``pred.py`` and ``eval.py`` of the data set's
    toolbox). A keypoint method has no mesh, so all vertices are zero, as in
    the toolbox's own template: the server accepts that, and its mesh scores
    mean nothing. A zip with ``pred.json`` in it, which is what the server
    takes, is written beside it.

    It reports no scores; :func:`score_submission` and
    ``tools/analysis_tools/score_freihand.py`` do.

    Args:
        out_file (str): File to write, ending in ``.json``; the zip has the
            same name but for that.
        data_root (str): Folder of FreiHAND, whose ``evaluation_K.json`` tells
            how many images there are.
        collect_device (str): ``'cpu'`` or ``'gpu'``, see mmengine's
            ``BaseMetric``. Defaults to ``'cpu'``.
        prefix (str, optional): Not used, there are no scores.
        collect_dir (str, optional): See mmengine's ``BaseMetric``.

    Raises:
        ValueError: If a prediction is not in millimetres in the camera frame
            or has other joints than the data set, or an image has no
            prediction or more than one.
    """

    default_prefix = 'submission'

    def __init__(self,
                 out_file: str,
                 data_root: str,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None,
                 collect_dir: Optional[str] = None) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        if not out_file.endswith('.json'):
            raise ValueError(f'out_file must end with .json, got {out_file!r}')
        self.out_file = out_file
        # now, not after the whole test
        self.num_samples = len(
            load_json_array(
                osp.join(data_root, 'evaluation_K.json'), (None, 3, 3)))

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the joints of one batch.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict]): Data samples as dicts with ``id``,
                the number of the image, and ``pred_instances``
                (``keypoints_cam`` (1, 21, 3) mm, ``frame`` and ``units``);
                optionally ``keypoint_names``, the joints of the prediction,
                which are compared with the data set's.
        """
        names = (self.dataset_meta or {}).get('keypoint_id2name', {})
        joints = {name: index for index, name in names.items()}
        if set(joints) != set(FREIHAND_JOINTS):
            raise ValueError("a submission needs FreiHAND's joints "
                             f'{list(FREIHAND_JOINTS)}, the data set has '
                             f'{list(joints)}')
        order = [joints[name] for name in FREIHAND_JOINTS]
        names = [names[i] for i in range(len(names))]
        for sample in data_samples:
            check_predicted_joints(sample, names)
            pred = sample['pred_instances']
            where = f'the prediction of {describe_sample(sample)}'
            kind = tuple(
                str(np.ravel(pred[key])[0]) for key in ('units', 'frame'))
            if kind != ('mm', 'camera'):
                raise ValueError(
                    f'{where} is in {kind[0]} in the {kind[1]} frame, the '
                    'server needs the camera frame: give the sample a '
                    'camera_matrix and a bone_length')
            xyz = np.asarray(pred['keypoints_cam'], dtype=np.float64)
            shape = (1, len(names), 3)
            if xyz.shape != shape or not np.isfinite(xyz).all():
                raise ValueError(f'{where} must be {shape} finite numbers, '
                                 f'got {xyz.tolist()}')
            self.results.append((int(sample['id']), xyz[0, order]))

    def compute_metrics(self, results: List[tuple]) -> Dict[str, float]:
        """Write the files.

        Args:
            results (list[tuple]): What :meth:`process` kept.

        Returns:
            dict: Empty.
        """
        ids = np.array([sample_id for sample_id, _ in results], dtype=int)
        count = np.bincount(ids, minlength=self.num_samples)
        wrong = np.flatnonzero(
            count != (np.arange(len(count)) < self.num_samples))
        if len(wrong):
            raise ValueError(
                'a submission needs one prediction for each of the '
                f'{self.num_samples} evaluation images, but there are '
                f'{count[wrong[0]]} for image {wrong[0]} ({len(wrong)} such '
                'images); test on the whole evaluation set')
        xyz = np.stack([points for _, points in results])[ids.argsort()]
        zip_file = write_submission(xyz, self.out_file)
        print_log(
            f'wrote {len(xyz)} predictions to {self.out_file} and '
            f'{zip_file}', 'current')
        if len(xyz) != OFFICIAL_NUM_SAMPLES:
            print_log(
                f'the server scores {OFFICIAL_NUM_SAMPLES} images; these '
                f'{len(xyz)} are of another set', 'current', logging.WARNING)
        return {}


def write_submission(xyz: np.ndarray, out_file: PathLike) -> Path:
    """Write joints as FreiHAND's server takes them, with zeros as meshes.

    Args:
        xyz (np.ndarray): Joints in FreiHAND's order in mm in the camera
            frame, (N, 21, 3).
        out_file (str | Path): The json file.

    Returns:
        Path: The zip beside it, which holds the same as ``pred.json``.

    Raises:
        ValueError: If a number is not finite.
    """
    no_mesh = json.dumps([[0, 0, 0]] * NUM_VERTICES, separators=(',', ':'))
    joints = json.dumps((xyz / 1000).tolist(), allow_nan=False)
    text = f'[{joints},[{",".join([no_mesh] * len(xyz))}]]'.encode()
    zip_file = Path(out_file).with_suffix('.zip')
    with atomic_write(out_file) as file:
        file.write(text)
    with atomic_write(zip_file) as file:
        with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as archive:
            # a name alone would stamp the file with the time
            info = zipfile.ZipInfo('pred.json')
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, text)
    return zip_file


def read_submission(
        path: PathLike,
        num_samples: int) -> Tuple[np.ndarray, Optional[np.ndarray]]:
    """Read and check a submission of anybody's.

    Args:
        path (str | Path): ``pred.json``, or a zip that holds one json file.
        num_samples (int): Number N of evaluation images.

    Returns:
        tuple:
        - xyz (np.ndarray): Joints in mm, (N, 21, 3)
        - verts (np.ndarray, optional): Vertices in mm, (N, 778, 3); None if
          they are all zero or not those of FreiHAND's mesh, which is the
          only one that this package scores

    Raises:
        ValueError: If the file is not such a submission; list, sample and
            fault are named.
    """
    try:
        if zipfile.is_zipfile(path):
            content = _read_zipped_json(path)
        else:
            content = read_small_file(path, _MAX_BYTES)
        data = json.loads(content)
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged archive may raise anything
        raise ValueError(f'{path} is neither json nor a zip of one json '
                         f'file: {reason(error)}') from None
    if not (isinstance(data, list) and len(data) == 2
            and all(isinstance(part, list) for part in data)):
        raise ValueError(f'{path} must hold two lists, [xyz, verts]')
    for name, part in zip(('xyz', 'verts'), data):
        if len(part) != num_samples:
            raise ValueError(
                f'{path}: {name} has {len(part)} entries, there are '
                f'{num_samples} evaluation images')
    shape = (len(FREIHAND_JOINTS), 3)
    xyz = _to_array(data[0], shape)
    if xyz is None or not _in_reach(xyz).all():
        index = next(i for i, item in enumerate(data[0])
                     if (points := _to_array([item], shape)) is None
                     or not _in_reach(points).all())
        raise ValueError(f'{path}: sample {index} of xyz must be '
                         f'{len(FREIHAND_JOINTS)} x 3 finite numbers, metres')
    verts = _to_array(data[1], (NUM_VERTICES, 3))
    if verts is not None and not _in_reach(verts).all():
        sample, vertex = np.argwhere(~_in_reach(verts))[0, :2]
        raise ValueError(f'{path}: vertex {vertex} of sample {sample} of '
                         'verts must be finite numbers, metres')
    if verts is None or not verts.any():
        return xyz * 1000, None
    return xyz * 1000, verts * 1000


def _read_zipped_json(path: PathLike) -> bytes:
    with zipfile.ZipFile(path) as archive:
        members = [
            info for info in archive.infolist()
            if info.filename.endswith('.json')
            # what macOS adds
            and not info.filename.startswith('__MACOSX/')
        ]
        if len(members) != 1:
            raise ValueError(f'it holds {len(members)} json files, not one: '
                             f'{[info.filename for info in members[:5]]}')
        if members[0].file_size > _MAX_BYTES:
            raise ValueError(f'{members[0].filename} unpacks to '
                             f'{members[0].file_size} bytes, a submission '
                             f'has less than {_MAX_BYTES}')
        return archive.read(members[0])


def _to_array(items: list, shape: Tuple[int, int]) -> Optional[np.ndarray]:
    """Float64 array (N, *shape), or None if these are not such numbers."""
    try:
        array = np.array(items)
    except ValueError:  # ragged
        return None
    # strings and booleans would turn into numbers, too
    if array.dtype.kind not in 'iuf' or array.shape[1:] != shape:
        return None
    return array.astype(np.float64)


def _in_reach(points: np.ndarray) -> np.ndarray:
    return np.abs(points) < _MAX_METRES  # false for NaN, too


def score_submission(
        xyz: np.ndarray,
        gt_xyz: np.ndarray,
        verts: Optional[np.ndarray] = None,
        gt_verts: Optional[np.ndarray] = None) -> Dict[str, float]:
    """The figures of FreiHAND's score script.

    Args:
        xyz (np.ndarray): Predicted joints in mm, (N, 21, 3).
        gt_xyz (np.ndarray): True joints in mm, (N, 21, 3).
        verts (np.ndarray, optional): Predicted vertices in mm, (N, 778, 3).
        gt_verts (np.ndarray, optional): True vertices in mm, (N, 778, 3).
            Without both the mesh is not scored.

    Returns:
        dict[str, float]: By the script's own names: ``xyz_mean3d`` in
        **cm**, ``xyz_auc3d`` (0 to 5 cm), and with ``_al`` after alignment;
        ``mesh_*`` and ``f_score_5``, ``f_al_score_15`` etc. (thresholds in
        mm) where there is a mesh.
    """
    scores = {}
    pairs = [('xyz', xyz, gt_xyz)]
    if verts is not None and gt_verts is not None:
        pairs.append(('mesh', verts, gt_verts))
    protocol = PROTOCOLS['freihand']
    thresholds = protocol.threshold_values()
    for name, pred, gt in pairs:
        for alignment in protocol.alignments:
            aligned = align(pred, gt, alignment)
            errors = keypoint_errors(aligned, gt)
            infix = '' if alignment == 'none' else '_al'
            scores[f'{name}{infix}_mean3d'] = epe(errors) / 10
            scores[f'{name}{infix}_auc3d'] = auc(
                pck_curve(errors, thresholds), thresholds)
            if name == 'mesh':
                f_scores = f_score(aligned, gt, F_THRESHOLDS_MM)[0].mean(0)
                for threshold, value in zip(F_THRESHOLDS_MM, f_scores):
                    scores[f'f{infix}_score_{threshold}'] = float(value)
    return scores
