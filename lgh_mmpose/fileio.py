"""Writing files and folders that are never seen half-written."""
import errno
import hashlib
import itertools
import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import (Any, BinaryIO, Dict, Iterable, Iterator, Optional,
                    Sequence, Tuple, Union)

import cv2
import numpy as np

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

PathLike = Union[str, Path]
_MAX_NAME = 255  # bytes, of the usual file systems
# what os.rename says of a folder that is to take the place of something
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


@contextmanager
def atomic_write(path: PathLike) -> Iterator[BinaryIO]:
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
        OSError: If it cannot be written, as on a full disk; names ``path``.
    """
    temporary = make_temporary(path)
    try:
        with named_errors(path), open(temporary, 'wb') as file:
            yield file
        replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: PathLike,
               content: Any,
               indent: Optional[int] = None) -> None:
    """Write a json file by :func:`atomic_write`.

    Args:
        path (str | Path): The final name.
        content: What json can hold; NaN and infinity it cannot.
        indent (int, optional): Of its lines. Defaults to one line.

    Raises:
        OSError: As of :func:`atomic_write`.
        ValueError: If a number is not finite; nothing is written.
    """
    text = json.dumps(content, indent=indent, allow_nan=False)
    with atomic_write(path) as file:
        file.write((text + '\n').encode())


def make_temporary(path: PathLike, suffix: str = '.tmp') -> Path:
    """An empty hidden file in the folder of another, which is made if absent.

    Args:
        path (str | Path): The file that it is to become by :func:`replace`.
        suffix (str): How its name ends. Defaults to ``'.tmp'``.

    Returns:
        Path: The temporary file, for whose removal the caller sees.

    Raises:
        IsADirectoryError: If ``path`` is a folder.
        OSError: If there can be no such file; names ``path``.
    """
    path = Path(path)
    if os.path.isdir(path):
        raise IsADirectoryError(
            f'cannot write {path}: it is a folder, give a file name')
    _make_parent(path)
    try:
        # sees a name that is too long before the work is done
        os.lstat(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        # a name of its own: with that of the file it could be too long
        handle, temporary = tempfile.mkstemp(suffix, '.', path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    os.close(handle)
    # mkstemp makes files private; give what open() would have given
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(temporary, 0o666 & ~umask)
    return Path(temporary)


def replace(temporary: Path, path: PathLike) -> None:
    """Give a temporary file its final name.

    Args:
        temporary (Path): What :func:`make_temporary` made, now whole.
        path (str | Path): The name; a file that has it is replaced.

    Raises:
        OSError: If that is impossible; names ``path``.
    """
    try:
        os.replace(temporary, path)
    except OSError as error:
        raise _cannot_write(path, error) from error


@contextmanager
def named_errors(path: PathLike) -> Iterator[None]:
    """Let errors of writing to an open file name what is written.

    The system does not: of a full disk it says no more than that it is full.

    Args:
        path (str | Path): What is written, as the user knows it.
    """
    try:
        yield
    except OSError as error:
        # those of opening a file have its name
        if error.strerror and error.filename is None:
            raise _cannot_write(path, error) from error
        raise


def _make_parent(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(f'cannot write {path}: {path.parent} is no '
                                 'folder') from None
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: PathLike, error: OSError) -> OSError:
    return type(error)(f'cannot write {path}: {error.strerror}')


def fit_name(stem: str, suffix: str) -> str:
    """A file name that is not too long for the usual file systems.

    Args:
        stem (str): Its beginning, cut where the whole would be too long.
        suffix (str): Its end.

    Returns:
        str: The name, of at most 255 bytes.
    """
    room = _MAX_NAME - len(os.fsencode(suffix))
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return stem + suffix


def encode_image(image: np.ndarray,
                 suffix: str,
                 parameters: Sequence[int] = ()) -> bytes:
    """Encode an image; OpenCV's word that it cannot is heeded.

    Args:
        image (np.ndarray): BGR (H, W, 3) or grey (H, W).
        suffix (str): Extension of the format, such as ``'.jpg'``.
        parameters (Sequence[int]): As ``cv2.imencode`` takes them.

    Returns:
        bytes: The content of the image file.

    Raises:
        ValueError: If the format does not take the image.
    """
    try:
        done, encoded = cv2.imencode(suffix, image, parameters)
    except cv2.error:
        done = False
    if not done:
        raise ValueError(f'an image of {image.shape[1]} x {image.shape[0]} '
                         f'px cannot be written as {suffix}')
    return encoded.tobytes()


def write_image(image: np.ndarray, path: PathLike) -> None:
    """Write an image file, whole or not at all.

    Args:
        image (np.ndarray): RGB image, uint8 (H, W, 3).
        path (str | Path): File name; its extension sets the format.

    Raises:
        ValueError: If the extension is of no image format, or the format
            does not take an image of this size.
        OSError: If the file cannot be written.
    """
    path = Path(path)
    # asked first: for an unknown extension OpenCV raises its own error, and
    # one that is no UTF-8 ends the process
    if not (path.suffix.isascii()
            and cv2.haveImageWriter(f'image{path.suffix}')):
        raise ValueError(f'cannot write {path}: {path.suffix!r} is not the '
                         'extension of an image format, use .png or .jpg')
    try:
        encoded = encode_image(image[..., ::-1], path.suffix)
    except ValueError as error:
        raise ValueError(f'cannot write {path}: {error}') from None
    with atomic_write(path) as file:
        file.write(encoded)


def check_not_read(path: PathLike, read: Iterable[Optional[PathLike]],
                   option: str) -> None:
    """Keep an output from taking the place of a file that is read.

    Args:
        path (str | Path): File to be written; it may be absent.
        read (Iterable[str | Path]): Files that are read. What does not exist,
            or is None, does not matter.
        option (str): What the user calls the output, for the error.

    Raises:
        ValueError: If it is one of them, be it by another name: a symbolic or
            hard link.
    """
    try:
        output = os.stat(path)
    except OSError:  # nothing is there to be overwritten
        return
    for other in read:
        try:
            if other is not None and os.path.samestat(output, os.stat(other)):
                raise ValueError(f'{option} {path} would overwrite {other}, '
                                 'which is read; give another file')
        except OSError:
            continue


# -- folders -----------------------------------------------------------------


def try_lock(file: int) -> Optional[bool]:
    """Lock an open file for as long as this process has it open.

    Args:
        file (int): Its descriptor.

    Returns:
        bool | None: Whether it is locked; False if another process has it,
        None if this system or file system has no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextmanager
def claim(path: PathLike) -> Iterator[None]:
    """Be the only one to write a file or folder, or fail at once.

    The claim is a hidden file ``.{name}.lock`` beside it, which holds the
    number of the process. It ends with the block or the process: what a
    killed one has left does not hinder the next.

    Args:
        path (str | Path): What is to be written.

    Raises:
        FileExistsError: If another process has claimed it.
    """
    lock = _hidden(Path(path), '.lock')
    try:
        handle = _open_lock(lock)
    except OSError as error:
        raise _cannot_write(path, error) from error
    if handle is None:
        raise FileExistsError(
            f'another run is writing {path}{_told_process(lock)}; wait for '
            f'its end (if there is none, remove {lock})')
    try:
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        own = _is_open(lock, handle)  # or somebody has removed it
        if fcntl is None:  # Windows removes no open file
            os.close(handle)
        # else before it is let go, or it could be that of the next process
        if own:
            lock.unlink()
        if fcntl is not None:
            os.close(handle)


def _open_lock(lock: Path) -> Optional[int]:
    flags = os.O_RDWR | getattr(os, 'O_NOFOLLOW', 0)
    while True:
        new = True
        try:
            handle = os.open(lock, flags | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            new = False
            try:
                handle = os.open(lock, flags)
            except FileNotFoundError:  # removed just now
                continue
        locked = try_lock(handle)
        # without locks the process that has made it has it
        if not (new if locked is None else locked):
            os.close(handle)
            return None
        if _is_open(lock, handle):
            return handle
        # its owner has removed it meanwhile
        os.close(handle)


def _is_open(path: Path, handle: int) -> bool:
    """Whether a name is that of an open file."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _told_process(lock: Path) -> str:
    try:
        return f' (process {int(lock.read_text())})'
    except (OSError, ValueError):  # gone, or just being written
        return ''


def _hidden(path: Path, suffix: str) -> Path:
    """A hidden name beside a path, always the same."""
    name = f'.{path.name}{suffix}'
    if len(os.fsencode(name)) > _MAX_NAME:
        name = hashlib.sha256(os.fsencode(path.name)).hexdigest()
        name = f'.{name}{suffix}'
    return path.with_name(name)


@contextmanager
def unfinished_directory(path: PathLike) -> Iterator[Path]:
    """A hidden folder that :func:`put_in_place` gives its name when whole.

    No other process may have one for the same path, see :func:`claim`. Unless
    it was put in place it is removed when the block ends. A killed process
    leaves it behind as ``.{name}.partial``, which the next one removes.

    Args:
        path (str | Path): The final name; missing parents are made.

    Yields:
        Path: The folder, empty, in the folder of ``path``.

    Raises:
        FileExistsError: If another process is at it.
    """
    path = Path(path)
    _make_parent(path)
    partial, former = _hidden(path, '.partial'), _hidden(path, '.former')
    with claim(path):
        # killed between the two steps of put_in_place
        if os.path.lexists(former):
            if os.path.lexists(path):
                raise FileExistsError(
                    f'{former} is what {path} was before a run that was '
                    'killed: move or remove it')
            os.rename(former, path)
        if os.path.lexists(partial):
            shutil.rmtree(partial)
        partial.mkdir()
        try:
            with named_errors(path):
                yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def list_files(folder: PathLike) -> Dict[str, Tuple[int, ...]]:
    """What a folder holds, to tell later whether it still does.

    Args:
        folder (str | Path): The folder; what is none holds nothing.

    Returns:
        dict[str, tuple[int]]: By path relative to the folder (``/`` between
        names), of all files and folders: inode, mode, size and time of the
        last change of the content.

    Raises:
        OSError: If it cannot be read.
    """

    def fail(error: OSError) -> None:
        raise error

    found = {}
    if not os.path.isdir(folder):
        return found
    for root, folders, files in os.walk(folder, onerror=fail):
        for name in (*folders, *files):
            path = os.path.join(root, name)
            stat = os.lstat(path)
            name = Path(os.path.relpath(path, folder)).as_posix()
            found[name] = (stat.st_ino, stat.st_mode, stat.st_size,
                           stat.st_mtime_ns)
    return found


def put_in_place(partial: Path,
                 path: PathLike,
                 former: Optional[Dict[str, Tuple[int, ...]]] = None) -> None:
    """Give a folder that is whole its final name.

    Nothing is replaced but an empty folder and, with ``former``, that one.
    What anybody has put there since stays, and the new folder too, under a
    name of its own.

    Args:
        partial (Path): What :func:`unfinished_directory` gave.
        path (str | Path): The name.
        former (dict, optional): What :func:`list_files` told of the folder
            that may be replaced.

    Raises:
        FileExistsError: If something else is there now; tells the name that
            the folder has got instead.
    """
    path = Path(path)
    aside = _hidden(path, '.former')
    why = None
    try:
        # a folder with content cannot be replaced in one step
        if former and os.path.lexists(path):
            os.rename(path, aside)
            # looked at only now: nobody knows it by this name
            if list_files(aside) != former:
                why = 'it has changed since this run began'
        if why is None:
            os.rename(partial, path)
    except OSError as error:
        why = 'it was made after this run began' if error.errno in _TAKEN \
            else error.strerror
    if why is None:
        if os.path.lexists(aside):
            os.rename(aside, partial)  # goes with it
        return
    others = (
        path.with_name(fit_name(path.name, f'_{number}'))
        for number in itertools.count(2))
    if os.path.lexists(aside):
        _move(aside, itertools.chain([path], others))
    kept = _move(partial, others)
    raise FileExistsError(f'{path} is left alone: {why}; what this run has '
                          f'made is whole, in {kept}')


def _move(folder: Path, names: Iterator[Path]) -> Path:
    """Give a folder the first name that nothing has."""
    for name in names:
        if os.path.lexists(name):
            continue
        try:
            os.rename(folder, name)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        else:
            return name
    raise AssertionError('unreachable')
