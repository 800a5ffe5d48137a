"""Pictures, videos and JSON Lines of what was found."""
import json
import os.path as osp
import threading
from pathlib import Path
from typing import IO, Any, Callable, Optional

import cv2
import numpy as np

from ..fileio import (fit_name, make_temporary, named_errors, replace,
                      write_image)
from .sources import Frame, FrameQueue


class JsonLinesWriter:
    """One frame dict a line, written out at once.

    A run that is stopped leaves the lines of all frames before.

    Args:
        file (IO): Text file to write to.
    """

    def __init__(self, file: IO) -> None:
        self._file = file

    def write(self, frame_dict: dict) -> None:
        """Add a line.

        Args:
            frame_dict (dict): What :meth:`Hands.to_dict` gives.

        Raises:
            ValueError: If a number is not finite, for which JSON has no word.
            OSError: If it cannot be written; names the file.
        """
        line = json.dumps(frame_dict, allow_nan=False) + '\n'
        with named_errors(getattr(self._file, 'name', 'the JSON Lines')):
            self._file.write(line)
            self._file.flush()


class PictureWriter:
    """Draw and write pictures in a thread, a bounded number behind.

    Still images become ``<name>.jpg``, the frames of a video one
    ``<name>.mp4``, names that are too long cut. Both appear under their names
    only when whole; a video, which is read again first, when the next one
    begins or at :meth:`close`. Frames keep their times: for those that a
    camera dropped the next one is repeated. Use it in a ``with`` block, which
    discards an unfinished video if it raises.

    Args:
        out_dir (str | Path): Folder; made if absent.
        draw (Callable): Makes a picture of an image and its frame dict, BGR.
        size (int): So many frames wait at most, fewer where they are large,
            see :class:`FrameQueue`. Defaults to 16.
    """

    def __init__(self,
                 out_dir: str,
                 draw: Callable[[np.ndarray, dict], np.ndarray],
                 size: int = 16) -> None:
        self.out_dir = Path(out_dir)
        self.out_dir.mkdir(parents=True, exist_ok=True)
        self._draw = draw
        self._queue = FrameQueue(size)
        self._error: Optional[BaseException] = None
        self._names = set()
        self._video: Optional[_Video] = None
        self._discard = False
        self._thread = threading.Thread(
            target=self._work, name='write pictures', daemon=True)
        self._thread.start()

    def __enter__(self) -> 'PictureWriter':
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        self._discard = kind is not None
        self.close()

    def write(self, frame: Frame, frame_dict: dict) -> None:
        """Draw a frame; waits where too many wait already.

        Args:
            frame (Frame): The frame.
            frame_dict (dict): What was found in it.

        Raises:
            OSError: If an earlier picture could not be written.
            ValueError: If the frame's file lies in the folder of the
                pictures, which might take the place of this or another input.
        """
        self._raise_error()
        self._check_folder(frame)
        self._queue.put((frame, frame_dict))

    def _check_folder(self, frame: Frame) -> None:
        if not osp.isfile(frame.source):
            return
        # where the name lies, and where the file, if it is a link
        if any(
                self.out_dir.samefile(osp.dirname(path) or '.')
                for path in (frame.source, osp.realpath(frame.source))):
            raise ValueError(
                f'{frame.source} lies in the folder for the pictures: one of '
                'them might take its place; name another folder')

    def close(self) -> None:
        """Wait for all pictures.

        Raises:
            OSError: If one could not be written.
        """
        self._queue.put((None, None))
        self._thread.join()
        if not self._discard:
            self._raise_error()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while True:
            frame, frame_dict = self._queue.get()
            if frame is None:
                break
            if self._error is None:
                try:
                    self._write(frame, frame_dict)
                except Exception as error:  # raised where frames come from
                    self._error = error
        if self._video is not None:
            try:
                self._video.close(self._discard or self._error is not None)
            except Exception as error:
                self._error = error

    def _write(self, frame: Frame, frame_dict: dict) -> None:
        picture = self._draw(frame.image, frame_dict)
        if frame.time is None:
            path = self._path(frame, '.jpg')
            write_image(picture[..., ::-1], path)
            return
        if self._video is None or frame.index == 0 or \
                self._video.source != frame.source:
            if self._video is not None:
                self._video.close(discard=False)
            self._video = _Video(frame, self._path(frame, '.mp4'),
                                 picture.shape[1::-1])
        self._video.write(picture, frame.time)

    def _path(self, frame: Frame, suffix: str) -> Path:
        """A name that no other frame of this run has."""
        if frame.source == 'array':
            stem = f'array_{frame.index:06d}'
        elif frame.source.startswith('webcam:'):
            stem = frame.source.replace(':', '_')
        else:
            stem = osp.splitext(osp.basename(frame.source))[0]
        name, count = fit_name(stem, suffix), 1
        while name in self._names:
            count += 1
            name = fit_name(stem, f'_{count}{suffix}')
        self._names.add(name)
        return self.out_dir / name


class _Video:
    """A video under a temporary name until it is whole."""

    def __init__(self, first: Frame, path: Path, size: tuple) -> None:
        self.source = first.source
        self._path, self._size = path, tuple(size)
        self._start, self._fps = first.time, first.fps or 30.
        self._written = 0
        try:
            osp.abspath(path.parent).encode()
        except UnicodeEncodeError:  # OpenCV would end the process
            raise ValueError(f'cannot write the video {path}: the name of its '
                             'folder is no UTF-8; name another one') from None
        self._temporary = make_temporary(path, path.suffix)
        self._writer = cv2.VideoWriter(
            str(self._temporary), cv2.VideoWriter_fourcc(*'mp4v'), self._fps,
            self._size)
        if not self._writer.isOpened():
            self._temporary.unlink(missing_ok=True)
            raise OSError(f'cannot write the video {path}: OpenCV has no '
                          'MPEG-4 encoder here, {0} x {1} px are too large '
                          'for it, or the disk is full'.format(*self._size))

    def write(self, picture: np.ndarray, time: float) -> None:
        if picture.shape[1::-1] != self._size:
            picture = cv2.resize(picture, self._size)
        due = round((time - self._start) * self._fps) + 1
        while self._written < due:
            self._writer.write(picture)
            self._written += 1

    def close(self, discard: bool) -> None:
        self._writer.release()
        try:
            if not discard:
                self._check()
                replace(self._temporary, self._path)
        finally:
            self._temporary.unlink(missing_ok=True)

    def _check(self) -> None:
        """Read it again, for the encoder tells nothing of a full disk."""
        capture = cv2.VideoCapture(str(self._temporary))
        try:
            count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
            whole = count == self._written and capture.read()[0]
            if whole and count > 1:
                capture.set(cv2.CAP_PROP_POS_FRAMES, count - 1)
                whole = capture.read()[0]
        finally:
            capture.release()
        if not whole:
            raise OSError(f'cannot write the video {self._path}: of '
                          f'{self._written} frames {max(count, 0)} can be '
                          'read again; is the disk full?')
