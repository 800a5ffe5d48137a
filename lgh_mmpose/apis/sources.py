"""Images, folders, videos and webcams as one stream of frames."""
import glob
import logging
import os.path as osp
import queue
import re
import threading
import time
from pathlib import Path
from typing import (Any, Iterable, Iterator, List, NamedTuple, Optional,
                    Sequence, Tuple, Union)

import cv2
import numpy as np

from ..images import find_file_fault as find_image_fault

# mmengine's logger writes to the standard output, where JSON may go
_LOGGER = logging.getLogger(__name__)

IMAGE_EXTENSIONS = ('.bmp', '.jpeg', '.jpg', '.png', '.ppm', '.tif', '.tiff',
                    '.webp')
# of JPEG and PNG
_CHECKED_STARTS = (b'\xff\xd8', b'\x89P')
# what a webcam that does not say gets in a written video
_USUAL_FPS = 30.
# seconds; a film whose next frame is due later has a fault in its time stamps
_LONGEST_PAUSE = 60.
# these count their frames one by one; others tell a duration, maybe that of
# their sound, from which FFmpeg reckons the number
_COUNTING_EXTENSIONS = ('.3gp', '.avi', '.m4v', '.mov', '.mp4')
# frames; a decoder may keep the last one or two
_UNCOUNTED_FRAMES = 2
# seconds by which sound may be longer than the picture
_UNCOUNTED_SECONDS = 1.
MAX_QUEUE_BYTES = 2**26
"""A :class:`FrameQueue` is full when its images hold so many bytes (64 MiB,
11 of 1920 x 1080 px), though they be few."""
_WEBCAM = re.compile(r'(?:webcam:?)?(\d*)', re.IGNORECASE)

InputType = Union[str, Path, int, np.ndarray]


class Frame(NamedTuple):
    """One image of a stream.

    Attributes:
        source (str): Path of the file, ``'webcam:0'``, or ``'array'``.
        index (int): Number within the source, from 0.
        time (float, optional): Seconds since the stream's beginning: of a
            film by its time stamps, of a camera by the clock; None for a
            still image, which has nothing to do with the one before.
        image (np.ndarray): BGR, uint8 (H, W, 3).
        fps (float, optional): Frames per second of the stream.
    """
    source: str
    index: int
    time: Optional[float]
    image: np.ndarray
    fps: Optional[float] = None


class FrameSource:
    """Frames, and what is known of them beforehand.

    Args:
        frames (Iterable[Frame]): The frames; read once, front to back.
        num_frames (int, optional): Their number, where it is known.
        live (bool): Whether they come from a camera, which does not wait.
        video (bool): Whether they are known to follow each other in time.
        faults (list[str], optional): Where reading the frames adds a sentence
            on each video that ended before its end.
    """

    def __init__(self,
                 frames: Iterable[Frame],
                 num_frames: Optional[int] = None,
                 live: bool = False,
                 video: bool = False,
                 faults: Optional[List[str]] = None) -> None:
        self.num_frames = num_frames
        self.live = live
        self.video = video
        self.faults = [] if faults is None else faults
        self._frames = frames

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)


def open_source(inputs: Any) -> FrameSource:
    """Open anything that holds images.

    Args:
        inputs: The path of an image, a video or a folder of images, a glob
            pattern, the index of a webcam (``0``, ``'0'``, ``'webcam:0'``),
            an image in BGR, uint8 (H, W, 3), or a list or any other iterable
            of these. What a list holds is opened when its turn comes.

    Returns:
        FrameSource: Its frames.

    Raises:
        FileNotFoundError: If there is no such file, or no image in a folder
            or of a pattern.
        ValueError: If a file is neither image nor video, a webcam cannot be
            opened, or an array is no image. Files in the middle of a
            stream are read, and complained of, when their turn comes.
    """
    if isinstance(inputs, FrameSource):
        return inputs
    if isinstance(inputs, np.ndarray):
        _check_image(inputs, 'the array')
        return FrameSource([Frame('array', 0, None, inputs)], num_frames=1)
    if isinstance(inputs, (int, np.integer)):
        return _open_webcam(int(inputs))
    if isinstance(inputs, (str, Path)):
        return _open_path(str(inputs))
    if isinstance(inputs, (list, tuple)):
        return _chain(inputs, _count(inputs))
    if isinstance(inputs, Iterable):
        return _chain(inputs)
    raise ValueError('inputs must be a path, a pattern, the index of a '
                     'webcam, an image array, or an iterable of these, not '
                     f'{type(inputs).__name__}')


def _chain(items: Iterable, num_frames: Optional[int] = None) -> FrameSource:
    faults: List[str] = []

    def read() -> Iterator[Frame]:
        arrays = 0
        for item in items:
            source = open_source(item)
            for frame in source:
                if frame.source == 'array':
                    frame = frame._replace(index=arrays)
                    arrays += 1
                yield frame
            faults.extend(source.faults)

    return FrameSource(read(), num_frames, faults=faults)


def _check_image(image: np.ndarray, name: str) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[
            2] != 3 or not image.size:
        raise ValueError(f'{name} must be an image in BGR, uint8 (H, W, 3), '
                         f'got {image.dtype} {image.shape}')


def _open_path(path: str) -> FrameSource:
    if osp.isdir(path):
        files = sorted(
            osp.join(path, name) for name in _list_files(path)
            if name.lower().endswith(IMAGE_EXTENSIONS))
        if not files:
            raise FileNotFoundError(
                f'no image in the folder {path} ({", ".join(IMAGE_EXTENSIONS)}'
                ' are looked for)')
        return _chain(files, len(files))
    if osp.isfile(path):
        if cv2.haveImageReader(path):
            return FrameSource(_read_image(path), num_frames=1)
        if path.lower().endswith(IMAGE_EXTENSIONS):
            # FFmpeg would take it for a video without frames
            raise _unreadable(path)
        return _open_video(path)
    webcam = _WEBCAM.fullmatch(path)
    if webcam and path:
        return _open_webcam(int(webcam[1] or 0))
    if glob.has_magic(path):
        files = sorted(filter(osp.isfile, glob.glob(path, recursive=True)))
        if not files:
            raise FileNotFoundError(f'no file matches the pattern {path}')
        return _chain(files, _count(files))
    raise FileNotFoundError(f'no such file, folder or pattern: {path}')


def _list_files(folder: str) -> Iterator[str]:
    for path in Path(folder).iterdir():
        # hidden files are other programs', such as macOS' "._x.jpg"
        if path.is_file() and not path.name.startswith('.'):
            yield path.name


def _count(items: Sequence) -> Optional[int]:
    """The number of frames, if all are arrays or, by name, images."""
    stills = all(
        isinstance(item, np.ndarray) or (
            isinstance(item, (str, Path)) and osp.isfile(item)
            and str(item).lower().endswith(IMAGE_EXTENSIONS))
        for item in items)
    return len(items) if stills else None


def _unreadable(path: str, fault: Optional[str] = None) -> ValueError:
    fault = fault or ('it is damaged' if osp.getsize(path) else 'it is empty')
    return ValueError(f'cannot read the image {path}: {fault}; restore it or '
                      'leave it out')


def _read_image(path: str) -> Iterator[Frame]:
    with open(path, 'rb') as file:
        start = file.read(2)
    # OpenCV fills up what is missing of these
    fault = find_image_fault(path) if start in _CHECKED_STARTS else None
    if fault is not None:
        raise _unreadable(path, fault)
    try:
        # turned as its EXIF data asks for
        image = cv2.imread(path, cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise _unreadable(
            path, f'OpenCV refuses it ({error.err}), it may be '
            'too large') from error
    if image is None:
        raise _unreadable(path)
    yield Frame(path, 0, None, image)


def _open_video(path: str) -> FrameSource:
    capture = cv2.VideoCapture(path)
    if not capture.isOpened():
        raise ValueError(f'cannot read {path}: neither an image nor a video '
                         'that OpenCV knows, or damaged')
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    fps = _frame_rate(capture)
    # without a frame rate the number would be reckoned from nothing
    known = count > 0 and fps == capture.get(cv2.CAP_PROP_FPS)
    num_frames = count if known else None
    faults: List[str] = []
    return FrameSource(
        _read_capture(capture, path, fps, _film_times(capture, fps),
                      num_frames, faults),
        num_frames,
        video=True,
        faults=faults)


def _open_webcam(index: int) -> FrameSource:
    capture = cv2.VideoCapture(index)
    if not capture.isOpened():
        raise ValueError(f'cannot open webcam {index}: is it plugged in, used '
                         'by another program, or has it another number?')
    return FrameSource(
        _read_capture(capture, f'webcam:{index}', _frame_rate(capture),
                      _clock_times()),
        live=True,
        video=True)


def _frame_rate(capture: cv2.VideoCapture) -> float:
    fps = capture.get(cv2.CAP_PROP_FPS)
    return fps if 0 < fps < 1000 else _USUAL_FPS


def _film_times(capture: cv2.VideoCapture, fps: float) -> Iterator[float]:
    """Seconds since the first frame, of each frame when it has been read.

    By the container's time stamps, whose distances differ in a film of
    variable frame rate. Where one makes no sense (not a number, not later, or
    later by more than a minute) the mean frame rate stands in.
    """
    first, now = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, 0.
    while True:
        yield now
        stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 - first
        now = stamp if 0 < stamp - now <= _LONGEST_PAUSE else now + 1 / fps


def _clock_times() -> Iterator[float]:
    start = time.monotonic()
    while True:
        yield time.monotonic() - start


def _read_capture(capture: cv2.VideoCapture,
                  source: str,
                  fps: float,
                  times: Iterator[float],
                  num_frames: Optional[int] = None,
                  faults: Optional[List[str]] = None) -> Iterator[Frame]:
    try:
        index, seconds = 0, 0.
        while True:
            got, image = capture.read()
            if not got:
                break
            seconds = next(times)
            yield Frame(source, index, seconds, image, fps)
            index += 1
        if index == 0:
            raise ValueError(f'cannot read {source}: it gives no frames')
        if num_frames and _ends_early(source, index, seconds, num_frames, fps):
            fault = (f'{source} says that it has {num_frames} frames, but '
                     f'{index} can be read: it is damaged, or was cut short '
                     'without being encoded anew')
            _LOGGER.warning(fault)
            faults.append(fault)
    finally:
        capture.release()


def _ends_early(path: str, index: int, seconds: float, num_frames: int,
                fps: float) -> bool:
    """Whether a film of ``num_frames`` ends with frame ``index - 1``."""
    if index >= num_frames - _UNCOUNTED_FRAMES:
        return False
    # of variable frame rate a duration tells no number
    return path.lower().endswith(_COUNTING_EXTENSIONS) or \
        seconds < num_frames / fps - _UNCOUNTED_SECONDS


class FrameQueue(queue.Queue):
    """Pairs of a frame, or None, and whatever belongs to it.

    Bounded in number and in bytes: it is full with ``maxsize`` pairs, and with
    images of :data:`MAX_QUEUE_BYTES` together, which the last of them may
    exceed, so that there is room for one of any size.

    Args:
        maxsize (int): Number of pairs.
    """

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._bytes = 0

    def _qsize(self) -> int:
        # what the waiting methods compare with maxsize
        full = self._bytes >= MAX_QUEUE_BYTES
        return self.maxsize if full else super()._qsize()

    def _put(self, item: tuple) -> None:
        super()._put(item)
        self._bytes += _image_bytes(item)

    def _get(self) -> tuple:
        item = super()._get()
        self._bytes -= _image_bytes(item)
        return item


def _image_bytes(item: tuple) -> int:
    return 0 if item[0] is None else item[0].image.nbytes


def prefetch(frames: Iterable[Frame],
             size: int,
             newest: bool = False) -> Iterator[Frame]:
    """Read frames in a thread, a bounded number ahead.

    Args:
        frames (Iterable[Frame]): The frames; read by the thread alone.
        size (int): So many frames are held at most, besides the one that is
            being read; fewer where they are large, see :class:`FrameQueue`.
        newest (bool): Whether to drop the oldest frame where there is no room
            for the next, as a camera demands, which does not wait.

    Yields:
        Frame: The frames in order.

    Raises:
        Exception: What reading raised, once the frames before it are through.
    """
    fifo = FrameQueue(size)
    stop = threading.Event()

    def put(item: Tuple[Optional[Frame], Optional[BaseException]]) -> None:
        while not stop.is_set():
            try:
                return fifo.put(item, timeout=.1)
            except queue.Full:
                pass

    def read() -> None:
        iterator = iter(frames)
        error = None
        try:
            for frame in iterator:
                if newest and fifo.full():
                    try:
                        fifo.get_nowait()
                    except queue.Empty:  # just been taken
                        pass
                put((frame, None))
                if stop.is_set():
                    break
        except BaseException as raised:  # once more, where the frames go
            error = raised
        if hasattr(iterator, 'close'):
            iterator.close()
        put((None, error))

    thread = threading.Thread(target=read, name='read frames', daemon=True)
    thread.start()
    try:
        while True:
            frame, error = fifo.get()
            if error is not None:
                raise error
            if frame is None:
                return
            yield frame
    finally:
        stop.set()
        thread.join()
