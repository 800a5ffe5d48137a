"""What directories of exported networks and detectors share."""
import contextlib
import hashlib
import json
from pathlib import Path
from typing import (Any, Callable, Dict, Iterator, Optional, Sequence, Tuple,
                    Union)

import numpy as np

from ...reading import read_small_file, reason
from .engines import ENGINES


class ExportedModel:
    """The model file of an export, open on its engine.

    Args:
        directory (Path): What ``tools/deployment/export.py`` wrote.
        info_file (str): The file of it that says what is in it.
        model (dict): What that says of the model, checked.
        outputs (Sequence[str]): Names of the outputs asked for.
        num_threads (int, optional): Threads of one inference. Defaults to
            the engine's choice.

    Attributes:
        files (tuple[str, ...]): The files that it was read from.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is not the one that was exported, or cannot be
            loaded.
        ImportError: If the inference engine is not installed.
    """

    def __init__(self,
                 directory: Path,
                 info_file: str,
                 model: Dict[str, Any],
                 outputs: Sequence[str],
                 num_threads: Optional[int] = None) -> None:
        for name, digest in model['sha256'].items():
            _check_file(directory / name, digest, info_file)
        self.files = tuple(
            str(directory / name) for name in (info_file, *model['sha256']))
        self._file = directory / model['file']
        with self.errors('loaded'):
            self._run = ENGINES[model['backend']](self._file, model,
                                                  num_threads, outputs)

    def run(self, images: np.ndarray) -> Tuple[np.ndarray, ...]:
        """The outputs for images (B, 3, H, W), uint8."""
        return self._run(np.ascontiguousarray(images))

    @contextlib.contextmanager
    def errors(self, what: str) -> Iterator[None]:
        """Let what is raised within name the file.

        Args:
            what (str): What it cannot be: ``'loaded'`` or ``'run'``.

        Raises:
            ValueError: Instead of any error but ImportError and MemoryError.
        """
        try:
            yield
        except (ImportError, MemoryError):
            raise
        except Exception as error:
            raise ValueError(f'{self._file} cannot be {what}: {reason(error)};'
                             ' export the model again') from error


def file_sha256(path: Union[str, Path]) -> str:
    """SHA-256 of a file in hexadecimal digits."""
    with open(path, 'rb') as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _check_file(path: Path, digest: str, info_file: str) -> None:
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


def model_checks(info: Dict[str, Any]) -> Dict[str, bool]:
    """Whether what an export says of its input and its files can be.

    Args:
        info (dict): From outside, with lists and dicts where they belong.

    Returns:
        dict[str, bool]: By the name of the field.
    """
    size, model = info['input_size'], info['model']
    return {
        'input_size':
        len(size) == 2 and all(type(v) is int and 0 < v <= 4096 for v in size),
        'model.backend':
        model['backend'] in ENGINES,
        'model.precision':
        isinstance(model['precision'], str),
        'model.inference_precision':
        model['inference_precision'] in ('f32', 'bf16'),
        # beside the json, nowhere else
        'model.file':
        _is_name(model['file']),
        'model.sha256':
        isinstance(model['sha256'], dict) and model['file'] in model['sha256']
        and all(
            _is_name(name) and isinstance(digest, str)
            for name, digest in model['sha256'].items()),
    }


def is_share(value: Any) -> bool:
    """Whether what a json holds is a number from 0 to 1."""
    return type(value) in (int, float) and 0 <= value <= 1


def refuse(checks: Dict[str, bool]) -> None:
    """Raise ValueError with the names of the checks that failed."""
    bad = [name for name, good in checks.items() if not good]
    if bad:
        raise ValueError(f'bad {", ".join(bad)}')


def _is_name(name: Any) -> bool:
    """Whether it names a file, without a folder."""
    return name != '..' and Path(name).name == name
