"""Writing files that are never seen half-written."""
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Iterator, Union

import cv2
import numpy as np


@contextmanager
def atomic_write(path: Union[str, Path]) -> Iterator[BinaryIO]:
    """Open a file that appears under its name only when it is whole.

    The data goes to a temporary file in the same folder, made if absent,
    which replaces ``path`` when the block ends. If the block raises, the
    temporary file is removed and whatever was at ``path`` stays.

    Args:
        path (str | Path): The final name.

    Yields:
        BinaryIO: File to write bytes to.

    Raises:
        IsADirectoryError: If ``path`` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(
            f'cannot write {path}: it is a folder, give a file name')
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(
        dir=path.parent, prefix=f'.{path.name}.', suffix='.tmp')
    try:
        with os.fdopen(handle, 'wb') as file:
            yield file
        # mkstemp makes files private; give what open() would have given
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_image(image: np.ndarray, path: Union[str, Path]) -> None:
    """Write an image file, whole or not at all.

    Args:
        image (np.ndarray): RGB image, uint8 (H, W, 3).
        path (str | Path): File name; its extension sets the format.

    Raises:
        ValueError: If the extension is of no image format.
    """
    path = Path(path)
    # asked first: for an unknown extension OpenCV raises its own error
    if not cv2.haveImageWriter(f'image{path.suffix}'):
        raise ValueError(f'cannot write {path}: {path.suffix!r} is not the '
                         'extension of an image format, use .png or .jpg')
    encoded = cv2.imencode(path.suffix, image[..., ::-1])[1]
    with atomic_write(path) as file:
        file.write(encoded)
