"""The pipeline that ships beside MediaPipe's: accuracy, speed, memory, start.

MediaPipe wants other versions of packages than mmpose, so it runs in an
environment of its own, which is made once:

    python3.11 -m venv mediapipe
    mediapipe/bin/pip install mediapipe==0.10.21 'numpy<2'
    python benchmarks/compare_pipelines.py PHOTOS --mediapipe-python \\
        mediapipe/bin/python --json OUT

Both run whole, from a picture in memory or a film in a file to joints, in
processes of their own that are held to one core, in turns on the same pictures
and film. The folder
has labelled hands and pictures in the format of
docs/how_to/score_on_photographs.md and docs/detector.md. A hand is found where
the box of its joints overlaps that of the label's by an IoU of 0.5, a hand of
``whole.json`` likewise. The film is the camera's way over one of the pictures.
Ratios over 1 mean that ours is faster.
"""
import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Union

import numpy as np

PIPELINES = 'ours', 'mediapipe'
MAX_HANDS = 4
MIN_IOU = .5
FRAMES = 120
FRAME_SIZE = 640, 480  # px


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'photos', type=Path, help='holds hands.json and whole.json')
    parser.add_argument(
        '--mediapipe-python',
        required=True,
        metavar='PYTHON',
        help="Python of MediaPipe's environment")
    parser.add_argument(
        '--model', help='exported network (default: the one that ships)')
    parser.add_argument(
        '--detector', help='exported detector (default: the one that ships)')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--json', type=Path, help='file to write')
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error('--rounds must be at least 1')
    return args


# -- in a process of its own, MediaPipe's without anything of this package ---


def ours(model: str, detector: str) -> Callable:
    """What says of pictures or of the frames of a film what is on them."""
    import logging

    from lgh_mmpose import HandPose
    logging.getLogger('lgh_mmpose').setLevel(logging.ERROR)

    hand_pose = HandPose(
        model or None, detector=detector or 'auto', num_threads=1)

    def look(pictures: Any, film: bool) -> Iterator[List[dict]]:
        found = hand_pose(pictures) if film else (next(hand_pose(picture))
                                                  for picture in pictures)
        for hands in found:
            yield [
                dict(joints=joints.tolist(), world=world.tolist(), side=side)
                for joints, world, side in zip(
                    hands.keypoints, hands.keypoints_cam, hands.hand_sides)
            ]

    return look


def mediapipe() -> Callable:
    """Likewise, of MediaPipe."""
    from mediapipe.python.solutions.hands import Hands

    def open_hands(film: bool) -> Hands:
        return Hands(
            static_image_mode=not film,
            max_num_hands=MAX_HANDS,
            model_complexity=1)

    of_pictures = open_hands(False)

    def look(pictures: Any, film: bool) -> Iterator[List[dict]]:
        hands = open_hands(True) if film else of_pictures
        for picture in frames_of(pictures) if film else pictures:
            found = hands.process(np.ascontiguousarray(picture[..., ::-1]))
            size = picture.shape[1::-1]
            yield [
                dict(
                    joints=[[p.x * size[0], p.y * size[1]]
                            for p in joints.landmark],
                    world=[[1e3 * p.x, 1e3 * p.y, 1e3 * p.z]
                           for p in world.landmark],
                    # it takes pictures for those of a mirror
                    side='left'
                    if side.classification[0].label == 'Right' else 'right')
                for joints, world, side in zip(
                    found.multi_hand_landmarks or (),
                    found.multi_hand_world_landmarks or (),
                    found.multi_handedness or ())
            ]

    return look


def frames_of(file: str) -> Iterator[np.ndarray]:
    import cv2
    film = cv2.VideoCapture(file)
    while True:
        there, frame = film.read()
        if not there:
            return
        yield frame


def work(pipeline: str, *models: str) -> None:
    """Answer each line of stdin, the files of pictures, with what is on them.

    A line is a json: the file of a film, or a list of those of pictures.
    """
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import cv2
    look = dict(ours=ours, mediapipe=mediapipe)[pipeline](*models)
    for line in sys.stdin:
        given = json.loads(line)
        film = isinstance(given, str)
        pictures = given if film else [cv2.imread(file) for file in given]
        hands, cpu, wall = [], [], []
        clock = time.process_time(), time.perf_counter()
        for found in look(pictures, film):
            now = time.process_time(), time.perf_counter()
            hands.append(found)
            cpu.append(1e3 * (now[0] - clock[0]))
            wall.append(1e3 * (now[1] - clock[1]))
            clock = time.process_time(), time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(
            json.dumps(dict(hands=hands, cpu=cpu, wall=wall, peak=peak)),
            flush=True)


# -- here --------------------------------------------------------------------


class Worker:
    """A pipeline in a process of its own.

    Raises:
        SystemExit: If the process ends early, with what it printed.
    """

    def __init__(self, python: str, *arguments: str) -> None:
        self.errors = tempfile.TemporaryFile('w+')
        try:
            self.process = subprocess.Popen(
                [python, __file__, '--work', *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                text=True)
        except OSError as error:
            raise SystemExit(f'--mediapipe-python: {error}') from error

    def __call__(self, pictures: Union[str, List[str]]) -> dict:
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(pictures), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            raise SystemExit('the process of a pipeline has ended:\n'
                             f'{self.errors.read()[-2000:]}')
        return json.loads(line)

    def close(self) -> None:
        self.process.communicate()
        self.errors.close()


def open_worker(args: argparse.Namespace, pipeline: str) -> Worker:
    if pipeline == 'ours':
        return Worker(sys.executable, pipeline, args.model or '', args.detector
                      or '')
    return Worker(args.mediapipe_python, pipeline)


def start_up(args: argparse.Namespace, pipeline: str, file: str) -> float:
    """Seconds from nothing to the first answer."""
    begin = time.perf_counter()
    worker = open_worker(args, pipeline)
    worker([file])
    seconds = time.perf_counter() - begin
    worker.close()
    return seconds


def write_film(picture: np.ndarray, file: str) -> None:
    """A film of a camera that goes over a picture."""
    import cv2
    film = cv2.VideoWriter(file, cv2.VideoWriter_fourcc(*'mp4v'), 25,
                           FRAME_SIZE)
    height, width = picture.shape[:2]
    for i in range(FRAMES):
        turn = 2 * np.pi * i / FRAMES
        scale = FRAME_SIZE[1] / height * (1 + .15 * np.sin(turn))
        warp = cv2.getRotationMatrix2D((width / 2, height / 2),
                                       8 * np.sin(2 * turn), scale)
        warp[:, 2] += np.array(FRAME_SIZE) / 2 - [width / 2, height / 2]
        warp[:, 2] += 30 * np.cos(turn), 20 * np.sin(turn)
        frame = cv2.warpAffine(
            picture,
            warp,
            FRAME_SIZE,
            flags=cv2.INTER_AREA,
            borderMode=cv2.BORDER_REFLECT)
        film.write(frame)
    film.release()


def box_of(joints: Any) -> np.ndarray:
    joints = np.asarray(joints)
    return np.concatenate([joints.min(axis=0), joints.max(axis=0)])


def score_hands(photos: Path, answers: List[List[dict]]) -> Dict[str, Any]:
    """Figures of true labels: of each the found hand that overlaps it most."""
    from lgh_mmpose.evaluation.photographs import (PhotoPrediction,
                                                   read_photos, score_photos)
    from lgh_mmpose.inference.tracking import box_iou
    hands = read_photos(photos)
    predictions = []
    for hand, found in zip(hands, answers):
        overlaps = [box_iou(box_of(f['joints']), hand.box) for f in found]
        best = int(np.argmax(overlaps)) if found else 0
        if not found or overlaps[best] < MIN_IOU:
            predictions.append(None)
            continue
        predictions.append(
            PhotoPrediction(
                np.array(found[best]['joints']),
                np.array(found[best]['world']), found[best]['side']))
    scores = score_photos(hands, predictions)
    return dict(scores['true'], intervals=scores['intervals']['true'])


def score_whole(photos: Path, answers: List[List[dict]]) -> Dict[str, Any]:
    """Hands of whole pictures that were found, and false ones."""
    from lgh_mmpose.evaluation.hand_detection import (read_whole_photos,
                                                      score_detections)
    from lgh_mmpose.inference.detections import Detections
    labels = read_whole_photos(photos)
    found = [
        Detections(
            np.array([box_of(f['joints']) for f in hands]).reshape(-1, 4),
            np.ones(len(hands)), np.array([f['side'] for f in hands]),
            np.full((len(hands), 2), np.nan)) for hands in answers
    ]
    scores = score_detections(labels, found)
    return {
        key: scores[key]
        for key in ('hands', 'recall', 'false_per_picture', 'side_right')
    }


def compare(args: argparse.Namespace) -> Dict[str, Any]:
    from lgh_mmpose.evaluation.hand_detection import read_whole_photos
    from lgh_mmpose.evaluation.photographs import read_photos
    from lgh_mmpose.inference.images import read_image
    cut_outs = [hand.image for hand in read_photos(args.photos)]
    whole = [labels.image for labels in read_whole_photos(args.photos)]
    result: Dict[str, Any] = {}
    times: Dict[str, Dict[str, list]] = {
        name: dict(picture=[], frame=[], start=[])
        for name in PIPELINES
    }
    with tempfile.TemporaryDirectory() as folder:
        film = str(Path(folder) / 'film.mp4')
        write_film(read_image(whole[0]), film)
        workers = {name: open_worker(args, name) for name in PIPELINES}
        for turn in range(args.rounds):
            for name, worker in workers.items():
                answer = worker(whole)
                times[name]['picture'] += answer['cpu']
                if not turn:
                    result[name] = dict(
                        whole=score_whole(args.photos, answer['hands']),
                        true=score_hands(args.photos,
                                         worker(cut_outs)['hands']))
                answer = worker(film)
                times[name]['frame'] += answer['cpu']
                result[name]['peak_mb'] = answer['peak']
                result[name]['hands_per_frame'] = float(
                    np.mean([len(hands) for hands in answer['hands']]))
        for worker in workers.values():
            worker.close()
        for _ in range(args.rounds):
            for name in PIPELINES:
                times[name]['start'].append(start_up(args, name, whole[0]))
    for name in PIPELINES:
        result[name].update(
            picture_cpu_ms=float(np.median(times[name]['picture'])),
            frame_cpu_ms=float(np.median(times[name]['frame'])),
            start_s=float(np.median(times[name]['start'])))
    result['ratio'] = {
        key: result['mediapipe'][key] / result['ours'][key]
        for key in ('picture_cpu_ms', 'frame_cpu_ms', 'start_s', 'peak_mb')
    }
    return result


def table(result: Dict[str, Any]) -> str:
    """What both reach, as Markdown; empty where nothing was found."""

    def row(name: str, form: Callable[[dict], str]) -> str:
        cells = ' | '.join(form(result[pipeline]) for pipeline in PIPELINES)
        return f'| {name} | {cells} |'

    def figure(part: str, key: str, form: str, scale: float = 1.) -> Callable:

        def text(figures: dict) -> str:
            value = figures[part].get(key)
            return '' if value is None else form.format(scale * value)

        return text

    def error(figures: dict) -> str:
        interval = figures['true']['intervals']['error']
        if not interval:
            return ''
        low, high = (100 * value for value in interval)
        return (f'{100 * figures["true"]["error"]:.1f} % '
                f'({low:.1f} to {high:.1f})')

    return '\n'.join([
        '| | lgh-hands | MediaPipe 0.10.21 |', '|---|---|---|',
        row('hands with true labels that are found',
            lambda f: f'{f["true"]["found"]} of {f["true"]["count"]}'),
        row("their error, of the hand's size", error),
        row('median', figure('true', 'median', '{:.1f} %', 100)),
        row('PA, mm', figure('true', 'pa_mm', '{:.1f}')),
        row('side right', figure('true', 'side_right', '{:.0f} %', 100)),
        row('hands of whole pictures that are found',
            figure('whole', 'recall', '{:.0f} %', 100)),
        row('false hands a picture',
            figure('whole', 'false_per_picture', '{:.2f}')),
        row('a picture, ms of CPU time',
            lambda f: f'{f["picture_cpu_ms"]:.1f}'),
        row('a frame of a film, ms of CPU time',
            lambda f: f'{f["frame_cpu_ms"]:.1f}'),
        row('first answer after, s', lambda f: f'{f["start_s"]:.1f}'),
        row('memory at most, MB', lambda f: f'{f["peak_mb"]:.0f}')
    ])


def main() -> None:
    args = parse_args()
    result = compare(args)
    print(table(result))
    if args.json:
        from lgh_mmpose.fileio import atomic_write
        with atomic_write(args.json) as file:
            text = json.dumps(result, indent=2, allow_nan=False)
            file.write((text + '\n').encode())


if __name__ == '__main__':
    # this file also runs in MediaPipe's environment
    if sys.argv[1:2] == ['--work']:
        work(*sys.argv[2:])
    else:
        main()
