"""Networks that ``tools/deployment/export.py`` wrote."""
from pathlib import Path
from typing import Optional, Tuple, Union

import numpy as np

from ...geometry.crop import Crop, find_crop_fault
from ...geometry.hand import HandSkeleton
from ..network import Joints, NetworkInfo, check_images
from .engines import OUTPUTS
from .exports import ExportedModel, is_share, model_checks, read_json, refuse

SCHEMA = 'lgh_mmpose/exported_hand_pose/4'
"""Name and version of the format; no other version is read."""
INFO_FILE = 'hand_pose.json'
"""The file of an exported directory that says what is in it."""


class ExportedNetwork:
    """An exported network on NumPy batches, see :class:`Network`.

    Args:
        directory (str | Path): What ``tools/deployment/export.py`` wrote.
        num_threads (int, optional): Threads of one inference. Defaults to
            the engine's choice.

    Raises:
        FileNotFoundError: If a file of the export is missing.
        ValueError: If its json is not one that this program can read, or a
            model file is not the one that was exported.
        ImportError: If the inference engine is not installed.
    """

    def __init__(self,
                 directory: Union[str, Path],
                 num_threads: Optional[int] = None) -> None:
        directory = Path(directory)
        described = read_info(directory)
        self.info = info_from_json(described)
        self._model = ExportedModel(directory, INFO_FILE, described['model'],
                                    output_names(self.info.gives_side),
                                    num_threads)
        self.files = self._model.files

    def __call__(self, images: np.ndarray) -> Joints:
        check_images(images, self.info.input_size)
        num = len(images), len(self.info.skeleton.joint_names)
        with self._model.errors('run'):
            outputs = self._model.run(images)
            shapes = [output.shape for output in outputs]
            expected = [(*num, 2), num, num, num[:1]]
            if shapes != expected[:3 + self.info.gives_side]:
                raise ValueError(f'it gives {shapes}')
        return Joints(*outputs)


def output_names(gives_side: bool) -> Tuple[str, ...]:
    """The outputs of a network that tells the side, or does not."""
    return OUTPUTS if gives_side else OUTPUTS[:-1]


def read_info(directory: Union[str, Path]) -> dict:
    """Read and check ``hand_pose.json``.

    Raises:
        FileNotFoundError: If it is not there.
        ValueError: If it is not of this program's schema.
    """
    return read_json(Path(directory) / INFO_FILE, SCHEMA, _check_info)


def info_from_json(info: dict) -> NetworkInfo:
    """What the pipeline needs of a checked ``hand_pose.json``."""
    skeleton = HandSkeleton(
        tuple(info['joint_names']), info['root_joint'],
        tuple(info['reference_bone']), np.array(info['bones']),
        np.array(info['bone_lengths'], dtype=np.float64))
    return NetworkInfo(
        tuple(info['input_size']), _crop(info), skeleton,
        tuple(info['joint_groups']), info['gives_side'], info.get('hand_thr'))


def info_to_json(info: NetworkInfo) -> dict:
    """The fields of ``hand_pose.json`` that :func:`info_from_json` reads."""
    skeleton = info.skeleton
    return dict(
        input_size=list(info.input_size),
        joint_names=list(skeleton.joint_names),
        joint_groups=list(info.joint_groups),
        root_joint=skeleton.root_joint,
        reference_bone=list(skeleton.reference_bone),
        bones=skeleton.bones.tolist(),
        bone_lengths=skeleton.bone_lengths.tolist(),
        crop=info.crop._asdict(),
        gives_side=info.gives_side,
        hand_thr=info.hand_thr)


def _crop(info: dict) -> Crop:
    return Crop(**{name: info['crop'][name] for name in Crop._fields})


def _check_info(info: dict) -> None:
    names = info['joint_names']
    for kind, keys in ((dict, ('crop', 'model')),
                       (list, ('input_size', 'joint_names', 'joint_groups',
                               'reference_bone', 'bones', 'bone_lengths'))):
        for key in keys:
            if not isinstance(info[key], kind):
                raise ValueError(f'{key} must be a {kind.__name__}')
    bones = np.asarray(info['bones'])
    crop = _crop(info)
    checks = {
        **model_checks(info),
        'joint_names':
        all(isinstance(name, str)
            for name in names) and len(set(names)) == len(names),
        'joint_groups':
        len(info['joint_groups']) == len(names)
        and all(type(v) is int for v in info['joint_groups']),
        'gives_side':
        isinstance(info['gives_side'], bool),
        'hand_thr':
        info.get('hand_thr') is None or is_share(info['hand_thr']),
        'root_joint':
        info['root_joint'] in names,
        'reference_bone':
        len(info['reference_bone']) == len(set(info['reference_bone'])) == 2
        and set(info['reference_bone']) <= set(names),
        'bones':
        bones.ndim == 2 and bones.shape[1] == 2
        and np.issubdtype(bones.dtype, np.integer) and bones.min() >= 0
        and bones.max() < len(names),
        'bone_lengths':
        len(info['bone_lengths']) == len(bones) and all(
            type(v) in (int, float) and 0 < v <= 1e3
            for v in info['bone_lengths']),  # in reference bones
    }
    fault = find_crop_fault(crop)
    if fault is not None:
        checks[f'crop.{fault}'] = False
    refuse(checks)
