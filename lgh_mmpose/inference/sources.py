"""Images, folders, videos and webcams as one stream of frames."""
import glob
import logging
import os
import os.path as osp
import queue
import re
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import (Any, Callable, Iterable, Iterator, List, NamedTuple,
                    Optional, Sequence, Tuple)

import cv2
import numpy as np

from .film_tracks import find_mirrored_orientation
from .images import (IMAGE_EXTENSIONS, ImageError, check_image_size,
                     count_pictures, decode_image, from_pillow, image_size,
                     looks_like_image, name_image_error, read_bytes, to_bgr)

# mmengine's logger writes to the standard output, where JSON may go
_LOGGER = logging.getLogger(__name__)

VIDEO_EXTENSIONS = ('.3g2', '.3gp', '.avi', '.flv', '.m2ts', '.m4v', '.mkv',
                    '.mov', '.mp4', '.mpeg', '.mpg', '.mts', '.ogv', '.webm',
                    '.wmv')
"""What names of videos end in."""
# pictures that cannot be read; of a folder they are named, not passed over
_OTHER_PICTURES = ('.arw', '.cr2', '.cr3', '.dng', '.exr', '.hdr', '.jxl',
                   '.nef', '.orf', '.psd', '.raf', '.rw2', '.svg', '.tga')
MEDIA_EXTENSIONS = IMAGE_EXTENSIONS + VIDEO_EXTENSIONS + _OTHER_PICTURES
"""What names of files end in that are looked at in a folder."""
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
# what a list may hold without being one itself
_BYTES = (bytes, bytearray, memoryview)


class Frame(NamedTuple):
    """One image of a stream.

    Attributes:
        source (str): Path of the file, ``'webcam:0'``, or ``'array'`` for
            what is given in memory.
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
            on each video that ended before its end, and on each file of
            several that was left out since it cannot be read.
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


def open_source(inputs: Any, skip_unreadable: bool = False) -> FrameSource:
    """Open anything that holds images.

    Of a folder all images and videos are read, in the order of their names;
    files of other kinds are passed over, which is logged. What of a folder or
    a pattern cannot be read is named in ``faults``, and logged, while the
    others are read.

    Args:
        inputs: The path of an image, a video or a folder of them, a glob
            pattern, the index of a webcam (``0``, ``'0'``, ``'webcam:0'``),
            an image in memory, or a list or any other iterable of these. An
            image in memory is an array as
            :func:`~lgh_mmpose.inference.images.to_bgr` takes it (uint8
            (H, W, 3), BGR, say), an image of Pillow, or the
            content of an image's file: bytes, or an open binary file. What a
            list holds is opened when its turn comes.
        skip_unreadable (bool): Whether files of a list, too, are named and
            left out if they cannot be read, instead of raising. Defaults to
            ``False``.

    Returns:
        FrameSource: Its frames.

    Raises:
        FileNotFoundError: If there is no such file, or no image in a folder
            or of a pattern.
        ValueError: If a file is neither image nor video, a webcam cannot be
            opened, an array is no image, or nothing of a folder or pattern
            can be read. Files in the middle of a stream are read, and
            complained of, when their turn comes.
    """
    if isinstance(inputs, FrameSource):
        return inputs
    if isinstance(inputs, (str, Path)):
        return _open_path(str(inputs))
    if isinstance(inputs, (int, np.integer)):
        return _open_webcam(int(inputs))
    image = _in_memory(inputs)
    if image is not None:
        return FrameSource([Frame('array', 0, None, image)], num_frames=1)
    if isinstance(inputs, (list, tuple)):
        return _chain(inputs, _count(inputs), skip_unreadable)
    if isinstance(inputs, Iterable):
        return _chain(inputs, skip_unreadable=skip_unreadable)
    raise ValueError('inputs must be a path, a pattern, the index of a '
                     'webcam, an image (array, of Pillow, or the bytes of a '
                     'file), or an iterable of these, not '
                     f'{type(inputs).__name__}')


def _in_memory(item: Any) -> Optional[np.ndarray]:
    """The pixels of what is one image in memory; None of all else."""
    if isinstance(item, np.ndarray):
        return _named('the array', to_bgr, item)
    if type(item).__module__.split('.')[0] == 'torch':
        raise ValueError(
            'a tensor does not tell the order of its axes and colours: give '
            'an array, of (3, H, W) in RGB tensor.permute(1, 2, 0).flip(2)'
            '.cpu().numpy()')
    if _is_of_pillow(item):
        return _named("Pillow's image", from_pillow, item)
    if hasattr(item, 'read'):
        item = item.read()
        if not isinstance(item, _BYTES):
            raise ValueError("an open file must give bytes: open it with 'rb'")
    if isinstance(item, _BYTES):
        return _named('the bytes of the image', _decode, bytes(item))
    return None


def _is_of_pillow(item: Any) -> bool:
    """Whether it is an image of Pillow, which need not be installed."""
    pillow = sys.modules.get('PIL.Image')
    return pillow is not None and isinstance(item, pillow.Image)


def _named(name: str, read: Callable, *args: Any) -> np.ndarray:
    try:
        return read(*args)
    except ImageError as error:
        raise ImageError(f'cannot read {name}: {error}') from error


def _decode(content: bytes, name: str = 'the image') -> np.ndarray:
    image, pictures = decode_image(content), count_pictures(content)
    if pictures > 1:
        _LOGGER.warning(f'{name} holds {pictures} pictures, of which the '
                        'first is read')
    return image


def _chain(items: Iterable,
           num_frames: Optional[int] = None,
           skip_unreadable: bool = False) -> FrameSource:
    faults: List[str] = []

    def read() -> Iterator[Frame]:
        arrays = frames = 0
        for item in items:
            try:
                source = open_source(item)
                for frame in source:
                    if frame.source == 'array':
                        frame = frame._replace(index=arrays)
                        arrays += 1
                    frames += 1
                    yield frame
                faults.extend(source.faults)
            except (ImageError, OSError) as error:
                if not skip_unreadable:
                    raise
                _LOGGER.warning(f'{error}; the others are read')
                faults.append(str(error))
        if faults and not frames:
            raise ImageError(faults[0] if len(faults) == 1 else
                             f'none of {len(faults)} files can be read, the '
                             f'first since: {faults[0]}')

    return FrameSource(read(), num_frames, faults=faults)


def _open_path(path: str) -> FrameSource:
    if osp.isdir(path):
        return _open_folder(path)
    if osp.isfile(path):
        return _open_file(path)
    webcam = _WEBCAM.fullmatch(path)
    if webcam and path:
        return _open_webcam(int(webcam[1] or 0))
    if glob.has_magic(path):
        files = sorted(filter(osp.isfile, glob.glob(path, recursive=True)))
        if not files:
            raise FileNotFoundError(f'no file matches the pattern {path}')
        return _chain(files, _count(files), skip_unreadable=True)
    raise FileNotFoundError(f'no such file, folder or pattern: {path}')


def _open_folder(path: str) -> FrameSource:
    files = sorted(osp.join(path, name) for name in _list_files(path))
    chosen = [
        file for file in files if file.lower().endswith(MEDIA_EXTENSIONS)
    ]
    if not chosen:
        raise FileNotFoundError(
            f'no image or video in the folder {path} (looked for by name: '
            f'{", ".join(IMAGE_EXTENSIONS + VIDEO_EXTENSIONS)})')
    if len(chosen) < len(files):
        others = {osp.splitext(file)[1] for file in {*files} - {*chosen}}
        number = len(files) - len(chosen)
        _LOGGER.warning(
            f'{number} file{"s" if number > 1 else ""} in {path} '
            f'{"are" if number > 1 else "is"} passed over, by name neither '
            'image nor video '
            f'({", ".join(sorted(others)[:5]) or "without extension"})')
    return _chain(chosen, _count(chosen), skip_unreadable=True)


def _list_files(folder: str) -> Iterator[str]:
    for path in Path(folder).iterdir():
        # hidden files are other programs', such as macOS' "._x.jpg"
        if path.is_file() and not path.name.startswith('.'):
            yield path.name


def _count(items: Sequence) -> Optional[int]:
    """The number of frames, if all are in memory or, by name, images."""
    stills = all(
        isinstance(item, (np.ndarray, *_BYTES)) or _is_of_pillow(item) or (
            isinstance(item, (str, Path)) and osp.isfile(item)
            and str(item).lower().endswith(IMAGE_EXTENSIONS)
            and not str(item).lower().endswith('.gif')) for item in items)
    return len(items) if stills else None


def _open_file(path: str) -> FrameSource:
    with open(path, 'rb') as file:
        start = file.read(512)
    # FFmpeg would take a damaged image for a video without frames
    if not looks_like_image(start) and not path.lower().endswith(
            IMAGE_EXTENSIONS + _OTHER_PICTURES):
        return _open_video(path)
    if start.startswith(b'GIF8') and _count_pictures(path) > 1:
        return _open_video(path)
    return _open_image(path)


def _count_pictures(path: str) -> int:
    try:
        return count_pictures(read_bytes(path))
    except ImageError:  # told when it is read
        return 1


def _open_image(path: str) -> FrameSource:
    try:
        content = read_bytes(path)
        image_size(content)  # complains before anything else is done
    except ImageError as error:
        raise name_image_error(error, path) from error

    def read() -> Iterator[Frame]:
        try:
            image = _decode(content, path)
        except ImageError as error:
            raise name_image_error(error, path) from error
        yield Frame(path, 0, None, image)

    return FrameSource(read(), num_frames=1)


def _open_video(path: str) -> FrameSource:
    capture = _open_capture(path)
    if not capture.isOpened():
        raise ImageError(f'cannot read {path}: neither an image nor a video '
                         'that OpenCV knows, or damaged')
    # upright, as the file says: by default some builds of OpenCV are not
    turn = capture.get(cv2.CAP_PROP_ORIENTATION_META)
    if not capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1) and turn:
        raise ImageError(f'cannot read {path}: it is turned by {turn:g} '
                         'degrees, which this build of OpenCV cannot undo; '
                         'encode it upright')
    mirrored = find_mirrored_orientation(path)
    if mirrored is not None:
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
    try:
        check_image_size(
            int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    except ImageError as error:
        raise ImageError(f'cannot read the video {path}: {error}') from error
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    fps = _frame_rate(capture)
    # without a frame rate the number would be reckoned from nothing
    known = count > 0 and fps == capture.get(cv2.CAP_PROP_FPS)
    num_frames = count if known else None
    faults: List[str] = []
    return FrameSource(
        _read_capture(capture, path, fps, _film_times(capture, fps),
                      num_frames, faults, mirrored or 1),
        num_frames,
        video=True,
        faults=faults)


def _open_capture(path: str) -> cv2.VideoCapture:
    """Open a video under a name that OpenCV can take."""
    try:
        path.encode()
    except UnicodeEncodeError:  # it would end the process
        with tempfile.TemporaryDirectory() as folder:
            link = osp.join(folder, 'video')
            os.symlink(osp.abspath(path), link)
            return cv2.VideoCapture(link)
    # the whole path, or FFmpeg takes what stands before a colon for a protocol
    return cv2.VideoCapture(osp.abspath(path))


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
                  faults: Optional[List[str]] = None,
                  orientation: int = 1) -> Iterator[Frame]:
    try:
        index, seconds = 0, 0.
        while True:
            got, image = capture.read()
            if not got:
                break
            seconds = next(times)
            yield Frame(source, index, seconds, to_bgr(image, orientation),
                        fps)
            index += 1
        if index == 0:
            raise ImageError(f'cannot read {source}: it gives no frames')
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
