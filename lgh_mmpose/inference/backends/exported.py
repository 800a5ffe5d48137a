"""Networks that ``tools/deployment/export.py`` wrote."""
import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any, Callable, Iterator, Optional, Tuple, Union

import numpy as np

from ...geometry.crop import Crop, find_crop_fault
from ...geometry.hand import HandSkeleton
from ...reading import read_small_file, reason
from ..network import Joints, NetworkInfo, check_images
from .engines import ENGINES, OUTPUTS

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
        model = described['model']
        for name, digest in model['sha256'].items():
            check_file(directory / name, digest, INFO_FILE)
        self.files = tuple(
            str(directory / name) for name in (INFO_FILE, *model['sha256']))
        self._file = directory / model['file']
        with engine_errors(self._file, 'loaded'):
            self._run = ENGINES[model['backend']](
                self._file, model, num_threads,
                output_names(self.info.gives_side))

    def __call__(self, images: np.ndarray) -> Joints:
        check_images(images, self.info.input_size)
        num = len(images), len(self.info.skeleton.joint_names)
        with engine_errors(self._file, 'run'):
            outputs = self._run(np.ascontiguousarray(images))
            shapes = [output.shape for output in outputs]
            expected = [(*num, 2), num, num, num[:1]]
            if shapes != expected[:3 + self.info.gives_side]:
                raise ValueError(f'it gives {shapes}')
        return Joints(*outputs)


@contextlib.contextmanager
def engine_errors(file: Path, what: str) -> Iterator[None]:
    """Let what an engine raises name the file.

    Args:
        file (Path): The file.
        what (str): What it cannot be: ``'loaded'`` or ``'run'``.

    Raises:
        ValueError: Instead of any error but ImportError.
    """
    try:
        yield
    except ImportError:
        raise
    except Exception as error:
        raise ValueError(f'{file} cannot be {what}: {reason(error)};'
                         ' export the model again') from error


def output_names(gives_side: bool) -> Tuple[str, ...]:
    """The outputs of a network that tells the side, or does not."""
    return OUTPUTS if gives_side else OUTPUTS[:-1]


def file_sha256(path: Union[str, Path]) -> str:
    """SHA-256 of a file in hexadecimal digits."""
    with open(path, 'rb') as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_file(path: Path, digest: str, info_file: str) -> None:
    """Check that a file of an export is there, and the one that was written.

    Args:
        path (Path): The file.
        digest (str): Its SHA-256 in hexadecimal digits.
        info_file (str): Name of the file that says so.

    Raises:
        FileNotFoundError: If it is missing.
        ValueError: If it is another.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} is missing: the export is not '
                                'whole, export the model again')
    if file_sha256(path) != digest:
        raise ValueError(f'{path} is not the file that was exported: its '
                         f'SHA-256 is not that in {info_file}; copy the '
                         'whole directory again, or export the model again')


def read_info(directory: Union[str, Path]) -> dict:
    """Read and check ``hand_pose.json``.

    Raises:
        FileNotFoundError: If it is not there.
        ValueError: If it is not of this program's schema.
    """
    return read_json(Path(directory) / INFO_FILE, SCHEMA, _check_info)


def read_json(path: Path, schema: str, check: Callable[[dict], None]) -> dict:
    """Read and check what an export says of itself.

    Args:
        path (Path): The json file.
        schema (str): Its name and version.
        check (Callable): Raises ValueError or KeyError if it is not right.

    Raises:
        FileNotFoundError: If it is not there.
        ValueError: If it is not of this schema, or not right.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} is missing: give the directory that '
                                'tools/deployment/export.py wrote')
    try:
        info = json.loads(read_small_file(path).decode('utf-8'))
        if info['schema'] != schema:
            raise ValueError(f'its schema is {str(info["schema"])[:100]!r}, '
                             f'not {schema!r}: export the model again')
        check(info)
    except Exception as error:  # anything may stand in it
        what = f'it has no {error}' if isinstance(error, KeyError) else \
            reason(error)
        raise ValueError(f'{path} cannot be used: {what}') from error
    return info


def info_from_json(info: dict) -> NetworkInfo:
    """What the pipeline needs of a checked ``hand_pose.json``."""
    skeleton = HandSkeleton(
        tuple(info['joint_names']), info['root_joint'],
        tuple(info['reference_bone']), np.array(info['bones']),
        np.array(info['bone_lengths'], dtype=np.float64))
    return NetworkInfo(
        tuple(info['input_size']), _crop(info), skeleton,
        tuple(info['joint_groups']), info['gives_side'])


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
        gives_side=info.gives_side)


def _crop(info: dict) -> Crop:
    return Crop(**{name: info['crop'][name] for name in Crop._fields})


def _check_info(info: dict) -> None:
    names, model = (info[k] for k in ('joint_names', 'model'))
    for kind, keys in ((dict, ('crop', 'model')),
                       (list, ('input_size', 'joint_names', 'joint_groups',
                               'reference_bone', 'bones', 'bone_lengths'))):
        for key in keys:
            if not isinstance(info[key], kind):
                raise ValueError(f'{key} must be a {kind.__name__}')
    bones = np.asarray(info['bones'])
    checks = {
        'input_size':
        len(info['input_size']) == 2
        and all(type(v) is int and 0 < v <= 4096 for v in info['input_size']),
        'joint_names':
        all(isinstance(name, str)
            for name in names) and len(set(names)) == len(names),
        'joint_groups':
        len(info['joint_groups']) == len(names)
        and all(type(v) is int for v in info['joint_groups']),
        'gives_side':
        isinstance(info['gives_side'], bool),
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
        'model.backend':
        model['backend'] in ENGINES,
        'model.precision':
        isinstance(model['precision'], str),
        'model.inference_precision':
        model['inference_precision'] in ('f32', 'bf16'),
        # beside the json, nowhere else
        'model.file':
        is_name(model['file']),
        'model.sha256':
        isinstance(model['sha256'], dict) and model['file'] in model['sha256']
        and all(
            is_name(name) and isinstance(digest, str)
            for name, digest in model['sha256'].items()),
    }
    bad = [name for name, good in checks.items() if not good]
    fault = find_crop_fault(_crop(info))
    bad += [f'crop.{fault}'] * (fault is not None)
    if bad:
        raise ValueError(f'bad {", ".join(bad)}')


def is_name(name: Any) -> bool:
    """Whether it names a file, without a folder."""
    return Path(name).name == name
