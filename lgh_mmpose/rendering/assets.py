"""The files that the renderer needs: ``assets/rendering``."""
import contextlib
import zipfile
import zlib
from pathlib import Path
from typing import Dict, Mapping, Optional, Sequence, Tuple

import cv2
import numpy as np

from lgh_mmpose.inference.images import find_image_fault

ASSETS = Path('assets', 'rendering')


def asset_path(name: str) -> Path:
    """Return the path of a file or folder in ``assets/rendering``.

    Args:
        name: Path below ``assets/rendering``.

    Raises:
        FileNotFoundError: If neither the installed package nor the source
            tree holds it.
    """
    package = Path(__file__).resolve().parents[1]
    candidates = [
        root / ASSETS / name for root in (package / '.mim', package.parent)
    ]
    for path in candidates:
        if path.exists():
            return path
    raise FileNotFoundError(
        f'{name}, which StudioHand needs, is missing; looked for '
        f'{" and ".join(map(str, candidates))}. Reinstall lgh_mmpose or '
        f'restore {ASSETS.as_posix()} from the source tree.')


def load_arrays(
        path: Path,
        expected: Mapping[str, Tuple[str, tuple]]) -> Dict[str, np.ndarray]:
    """Read the arrays of an ``.npz`` file and check their form.

    Args:
        path: The file.
        expected: Per array its kind (``'f'`` for floating point, ``'i'`` for
            integers) and shape; a name in the shape stands for a number that
            is the same wherever the name is.

    Returns:
        dict: The arrays by name.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or not what it should be.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in expected}
    except FileNotFoundError:
        raise
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile,
            zlib.error) as error:
        raise foreign_file(path, str(error)) from error
    sizes: Dict[str, int] = {}
    for name, (kind, shape) in expected.items():
        array = arrays[name]
        kinds = {'f': 'f', 'i': 'iu'}[kind]
        ok = array.dtype.kind in kinds and array.ndim == len(shape)
        if ok:
            for size, wanted in zip(array.shape, shape):
                if isinstance(wanted, str):
                    wanted = sizes.setdefault(wanted, size)
                ok &= size == wanted
        if ok and kind == 'f':
            ok = bool(np.isfinite(array).all())
        if not ok:
            raise foreign_file(
                path,
                f'array {name!r} is {array.dtype} of shape {array.shape}')
    return arrays


def read_picture(path: Path, shape: Sequence[Optional[int]]) -> np.ndarray:
    """Read a picture and check its form.

    Args:
        path: The file.
        shape: That of its pixels; None stands for any number.

    Returns:
        np.ndarray: uint8, grey, RGB or RGB with coverage, as it is stored.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or not what it should be.
    """
    content = path.read_bytes()
    fault, picture = find_image_fault(content), None
    if fault is None:
        with contextlib.suppress(cv2.error):
            picture = cv2.imdecode(
                np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise foreign_file(path, fault or 'OpenCV cannot decode it')
    if picture.dtype != np.uint8 or len(picture.shape) != len(shape) or any(
            wanted not in (None, found)
            for wanted, found in zip(shape, picture.shape)):
        raise foreign_file(
            path, f'it is a picture of {picture.dtype} of shape '
            f'{picture.shape}')
    if picture.ndim == 2:
        return picture
    order = cv2.COLOR_BGRA2RGBA if picture.shape[2] == 4 \
        else cv2.COLOR_BGR2RGB
    return cv2.cvtColor(picture, order)


def foreign_file(path: Path, reason: str) -> ValueError:
    """The error of a file that is damaged or of another origin."""
    return ValueError(
        f'{path} is damaged or not a file of this version of lgh_mmpose: '
        f'{reason}. Reinstall lgh_mmpose or restore {ASSETS.as_posix()} from '
        'the source tree.')
