"""3D hands in images, films or a webcam, as pictures and JSON Lines.

    lgh-hands photo.jpg  # to the folder hands: photo.jpg and photo.jsonl
    lgh-hands photo.jpg --model EXPORTED --out-dir pictures --json hands.jsonl
    lgh-hands film.mp4 --config CONFIG --checkpoint FILE --out-dir pictures

Output, units and what is assumed where nothing is known of the camera and the
hand: docs/inference.md.
"""
import argparse
import contextlib
import glob
import os
import os.path as osp
import signal
import sys
import time
import warnings
from typing import Any, Iterable, Iterator, List, Optional, Sequence, Union

import cv2
from tqdm import tqdm

from ..fileio import check_not_read, named_errors, try_lock
from . import arguments
from .cameras import load_camera_matrix
from .drawing import draw_hands
from .sources import MEDIA_EXTENSIONS, open_source
from .tracking import Smoothing
from .writing import JsonLinesWriter, PictureWriter

# where answers go if nothing is said of it
OUT_DIR = 'hands'


def parse_args(argv: Optional[Sequence[str]],
               prog: Optional[str]) -> argparse.Namespace:
    """Read the arguments of the command, and check those that can be now."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'input',
        nargs='+',
        metavar='INPUT',
        help='image, folder, pattern, video, or index of a webcam (0)')
    which = parser.add_argument_group('the network')
    arguments.add_network(which)
    where = parser.add_argument_group('where the hands are')
    where.add_argument(
        '--bbox',
        nargs=4,
        type=float,
        action='append',
        metavar=('X1', 'Y1', 'X2', 'Y2'),
        help='box tight round a hand, in px of every image, or of the first '
        'frame of a video; may be given again for more hands')
    arguments.add_detector(where)
    where.add_argument(
        '--bbox-padding',
        type=float,
        metavar='FACTOR',
        help="how much larger the network's input is than a tight box "
        '(default: as the network was trained)')
    where.add_argument(
        '--no-track',
        action='store_true',
        help='take each frame of a video for itself')
    what = parser.add_argument_group('what is known')
    camera = what.add_mutually_exclusive_group()
    camera.add_argument(
        '--camera-matrix',
        metavar='FILE',
        help="camera matrix, px: .json, .npy, text, or OpenCV's .yml or .xml")
    camera.add_argument(
        '--fov',
        type=float,
        metavar='DEG',
        help="angle of view across the images' longer side (default: 60, "
        'assumed)')
    what.add_argument(
        '--bone-length',
        type=bone_length,
        metavar='MM',
        help='length of the reference bone in mm; "none" gives joints '
        'relative to the root in reference bones (default: 44.6, an average)')
    what.add_argument(
        '--hand-side',
        choices=('auto', 'left', 'right'),
        default='auto',
        help='side of the hands (default: auto, told by the network, or by '
        'the scores of both)')
    out = parser.add_argument_group('output')
    out.add_argument(
        '--out-dir',
        help=f'folder for pictures and videos (default, without --json and '
        f'--show: {OUT_DIR})')
    out.add_argument(
        '--json',
        metavar='FILE',
        help='JSON Lines file, one frame a line; - for the standard output '
        f'(default, without --out-dir and --show: {OUT_DIR}/INPUT.jsonl)')
    out.add_argument(
        '--show',
        action='store_true',
        help='show the pictures in a window; q or Esc ends')
    out.add_argument(
        '--color-by',
        choices=('finger', 'group'),
        default='finger',
        help='colours of the joints (default: finger)')
    out.add_argument(
        '--smooth',
        action='store_true',
        help='smooth the joints of a video by One-Euro filters')
    parser.add_argument(
        '--batch-size',
        type=int,
        default=8,
        help='images at once; a tracked video goes frame by frame (default: '
        '8)')
    args = parser.parse_args(argv)
    if not (args.out_dir or args.json or args.show):
        args.out_dir = OUT_DIR
        args.json = osp.join(OUT_DIR, f'{name_of(args.input)}.jsonl')
    # Qt would end the whole process
    if args.show and sys.platform.startswith('linux') and not (
            os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')):
        parser.error('--show needs a display, and there is none (DISPLAY is '
                     'not set); use --out-dir')
    arguments.check(parser, args)
    return args


def name_of(inputs: Sequence[str]) -> str:
    """A name for the answers to some inputs: that of the only one."""
    name = osp.splitext(osp.basename(osp.abspath(inputs[0])))[0]
    return name if len(inputs) == 1 and osp.exists(inputs[0]) else 'hands'


def bone_length(text: str) -> Union[float, str]:
    """Millimetres, or ``'none'``."""
    return text if text == 'none' else float(text)


@contextlib.contextmanager
def open_json(path: str, read: Iterable[Optional[str]]) -> Iterator[Any]:
    """The file for JSON Lines; not atomic: a stopped run keeps its lines.

    Args:
        path (str): The file; emptied. ``-`` is the standard output.
        read (Iterable[str]): What :func:`files_read` takes.

    Yields:
        IO: Text file.

    Raises:
        OSError: If it cannot be written, or another run is at it.
        ValueError: If it is a file that is read.
    """
    if path == '-':
        try:
            yield sys.stdout
        except OSError:
            # or Python tries again at its end, and complains
            sys.stdout = None
            raise
        return
    folder = osp.dirname(osp.abspath(path))
    os.makedirs(folder, exist_ok=True)
    with named_errors(path), open(path, 'a', encoding='utf-8') as file:
        # once more: it may have become a link since the run began
        check_not_read(path, files_read(read), '--json')
        if osp.isfile(path):  # no pipe
            if try_lock(file.fileno()) is False:
                raise OSError(f'another run is writing --json {path}; give '
                              'another file')
            file.truncate(0)
        yield file


def matches(name: str) -> List[str]:
    """What an argument may mean: itself, or as a pattern."""
    return [name, *glob.glob(name, recursive=True)]


def check_out_dir(folder: str, inputs: Iterable[str]) -> None:
    """Complain of ``--out-dir`` before anything is written.

    Args:
        folder (str): Where pictures go; made if absent.
        inputs (Iterable[str]): As given to the command.

    Raises:
        OSError: If it cannot be made or written to.
        ValueError: If it is the folder of an input.
    """
    for path in (path for name in inputs for path in matches(name)):
        if not osp.exists(path) or not osp.isdir(folder):
            continue
        places = [path] if osp.isdir(path) else [
            osp.dirname(path) or '.',
            osp.dirname(osp.realpath(path))
        ]
        if any(osp.samefile(place, folder) for place in places):
            raise ValueError(f'--out-dir {folder} is the folder of {path}, '
                             'whose place a picture might take; give another')
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise OSError(f'cannot make the folder --out-dir {folder}: '
                      f'{error.strerror}') from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(f'--out-dir {folder} is read-only; give another folder')


def files_read(names: Iterable[Optional[str]]) -> Iterator[str]:
    """All files that a run reads.

    Args:
        names (Iterable[str]): Files, folders of images and patterns; what is
            no path, such as the index of a webcam, does not matter.

    Yields:
        str: Paths of files.
    """
    for path in (path for name in filter(None, names)
                 for path in matches(name)):
        if osp.isdir(path):
            # not JSON beside them, which is welcome
            yield from (osp.join(path, name) for name in os.listdir(path)
                        if name.lower().endswith(MEDIA_EXTENSIONS))
        else:
            yield path


class StopRequest:
    """Lets Ctrl+C and ``kill`` end the work between two frames.

    An exception amid a frame could be lost in a callback, or leave a lock of
    the reading or writing thread taken. A second signal raises
    KeyboardInterrupt nevertheless, where a frame does not come to its end.
    """

    def __init__(self) -> None:
        self.made = False

    def __enter__(self) -> 'StopRequest':
        self._before = {
            number: signal.signal(number, self._handle)
            for number in (signal.SIGINT, signal.SIGTERM)
            # ignored in the background of a shell, say
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, *_: Any) -> None:
        if self.made:
            raise KeyboardInterrupt
        self.made = True


def show(picture, wait: bool) -> bool:
    """Show a picture, until a key is pressed if so; False ends."""
    try:
        cv2.imshow('hands', picture)
        key = cv2.waitKey(0 if wait else 1)
    except cv2.error as error:
        raise ValueError('--show needs an OpenCV with windows, which '
                         'opencv-python-headless is not: use --out-dir, or '
                         'pip install --force-reinstall --no-deps '
                         'opencv-python==4.11.0.86') from error
    return key & 0xff not in (ord('q'), 27)


def infer(args: argparse.Namespace) -> bool:
    """Find, write and show; whether all inputs were read to their ends."""
    # of several files, one that cannot be read is named, and the others read
    source = open_source(
        args.input if len(args.input) > 1 else args.input[0],
        skip_unreadable=True)
    camera_matrix = args.camera_matrix and load_camera_matrix(
        args.camera_matrix)
    hand_pose = arguments.open_hand_pose(
        args,
        camera_matrix=camera_matrix,
        fov=args.fov,
        bone_length=args.bone_length,
        hand_side=args.hand_side,
        batch_size=args.batch_size,
        bbox_padding=args.bbox_padding,
        track=not args.no_track,
        smoothing=Smoothing() if args.smooth else None)

    read = [
        *args.input, *hand_pose.files, args.camera_matrix,
        *(args.detector or ())
    ]
    if args.json:
        check_not_read(args.json, files_read(read), '--json')
    if args.out_dir:
        check_out_dir(args.out_dir, args.input)

    def draw(image, frame_dict):
        return draw_hands(image, frame_dict, color_by=args.color_by)

    num_frames = num_hands = 0
    start, start_cpu = time.perf_counter(), time.process_time()
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        json_lines = pictures = None
        if args.out_dir:
            pictures = stack.enter_context(PictureWriter(args.out_dir, draw))
        results = stack.enter_context(
            contextlib.closing(hand_pose.run(source, args.bbox)))
        bar = stack.enter_context(
            tqdm(
                total=source.num_frames,
                unit='frame',
                desc='hands',
                mininterval=.5,
                dynamic_ncols=True))
        for frame, hands in results:
            frame_dict = hands.to_dict()
            # a mistake that shows before the first result must not empty
            # the file of an earlier run
            if args.json and json_lines is None:
                json_lines = JsonLinesWriter(
                    stack.enter_context(open_json(args.json, read)))
            num_frames += 1
            num_hands += len(hands)
            if json_lines:
                json_lines.write(frame_dict)
            if pictures:
                pictures.write(frame, frame_dict)
            bar.update()
            if args.show and not show(
                    draw(frame.image, frame_dict), frame.time is None):
                break
            if stop.made:
                # how a webcam is ended; of a file the rest would be missing
                if not source.live:
                    raise KeyboardInterrupt
                break
    seconds = time.perf_counter() - start
    cpu = time.process_time() - start_cpu
    per_frame = 1000 / max(num_frames, 1)
    print(
        f'{num_frames} frame{"" if num_frames == 1 else "s"}, '
        f'{num_hands} hand{"" if num_hands == 1 else "s"}, {seconds:.1f} s: '
        f'{seconds * per_frame:.1f} ms a frame; CPU time of all threads '
        f'{cpu * per_frame:.1f} ms a frame',
        file=sys.stderr)
    for what, place in ('pictures', args.out_dir), ('numbers', args.json):
        if num_frames and place and place != '-':
            print(f'{what}: {place}', file=sys.stderr)
    return not source.faults


def main(argv: Optional[Sequence[str]] = None,
         prog: Optional[str] = 'lgh-hands') -> None:
    """The command ``lgh-hands``.

    Args:
        argv (Sequence[str], optional): Its arguments. Defaults to those of
            the process.
        prog (str, optional): Its name in messages.
    """
    args = parse_args(argv, prog)
    # mmpose tells that it found its own metainfo file, at every turn
    warnings.filterwarnings('ignore', 'The metainfo config file')
    try:
        if not infer(args):
            raise SystemExit(1)
    except (ValueError, OSError, ImportError) as error:
        raise SystemExit(f'error: {error}') from None
    except KeyboardInterrupt:
        raise SystemExit('stopped') from None
