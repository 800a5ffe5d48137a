"""The pipeline that ships beside MediaPipe's: accuracy, speed, memory, start.

MediaPipe wants other versions of packages than mmpose, and users of ours have
no torch, so both run in environments of their own, made once:

    python3.11 -m venv mediapipe
    mediapipe/bin/pip install mediapipe==0.10.21 'numpy<2'
    python3.11 -m venv ours
    ours/bin/pip install .
    python benchmarks/compare_pipelines.py PHOTOS --python ours/bin/python \\
        --mediapipe-python mediapipe/bin/python --json OUT

Both run whole, from a picture in memory or a video in a file to joints, held
to one core, in turns on the same pictures. PHOTOS has labelled hands and
pictures in the format of docs/how_to/score_on_photographs.md and
docs/detector.md; accuracy is that on hands with true labels. MediaPipe (full)
may find as many hands in a picture as the labels have at most, and in the
video as many as are in it: it looks for more in each frame until it follows
that many. The video is a camera's way over the picture with the largest hand.
Times are CPU times; ratios over 1 mean that ours is faster, or smaller.
"""
import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import numpy as np
from worker import Worker, answer, questions

PIPELINES = 'ours', 'MediaPipe'
FRAMES = 120
FRAME_SIZE = 640, 480  # px
RATE = 25
Look = Callable[[Any], Iterator[List[dict]]]


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
        '--python',
        default=sys.executable,
        help='Python of an environment with this package (default: this one, '
        'whose torch and mmpose count for memory and start)')
    parser.add_argument(
        '--model', help='exported network (default: the one that ships)')
    parser.add_argument(
        '--detector',
        default='shipped',
        help='exported detector (default: shipped)')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--json', type=Path, help='file to write')
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error('--rounds must be at least 1')
    return args


# -- in processes of their own -----------------------------------------------


def open_ours(model: Optional[str], detector: str, num_hands: int,
              video: bool) -> Tuple[Look, str]:
    """Our pipeline, and its version.

    Returns:
        tuple: What yields, for pictures (a list of BGR uint8 arrays, or the
        file of a video), the hands of each: a dict each with ``names`` of the
        joints, ``joints`` (21, 2), px, ``world`` (21, 3), mm, and ``side``.
    """
    import logging

    from lgh_mmpose import HandPose, __version__
    logging.getLogger('lgh_mmpose').setLevel(logging.ERROR)
    hand_pose = HandPose(model, detector=detector, num_threads=1)
    names = list(hand_pose.info.skeleton.joint_names)

    def look(pictures: Any) -> Iterator[List[dict]]:
        found = hand_pose(pictures) if video else (next(hand_pose(picture))
                                                   for picture in pictures)
        for hands in found:
            yield [
                dict(
                    names=names,
                    joints=joints.tolist(),
                    world=world.tolist(),
                    side=side) for joints, world, side in zip(
                        hands.keypoints, hands.keypoints_cam, hands.hand_sides)
            ]

    return look, __version__


def open_mediapipe(model: None, detector: str, num_hands: int,
                   video: bool) -> Tuple[Look, str]:
    """MediaPipe's, likewise."""
    import cv2
    import mediapipe
    from mediapipe.python.solutions.hands import Hands
    hands = Hands(
        static_image_mode=not video,
        max_num_hands=num_hands,
        model_complexity=1)

    def look(pictures: Any) -> Iterator[List[dict]]:
        for picture in read_video(pictures) if video else pictures:
            found = hands.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
            height, width = picture.shape[:2]
            yield [
                dict(
                    names=None,  # in FreiHAND's order
                    # from 0 to 1 across the picture, not its pixels' centres
                    joints=[[p.x * width - .5, p.y * height - .5]
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

    return look, mediapipe.__version__


def read_video(file: str) -> Iterator[np.ndarray]:
    """Frames of a video, BGR uint8 (H, W, 3)."""
    import cv2
    video = cv2.VideoCapture(file)
    while True:
        there, frame = video.read()
        if not there:
            return
        yield frame


def peak_memory() -> float:
    """MB that this process had at most; not what its parent had."""
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1]) / 1e3
    raise SystemExit('this needs the /proc of Linux')


def work() -> None:
    """Open a pipeline as the first question says, and answer the others.

    These are lists of files of pictures, or the file of a video.
    """
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import cv2
    asked = questions()
    pipeline, arguments = next(asked)
    open_pipeline = dict(zip(PIPELINES, (open_ours, open_mediapipe)))[pipeline]
    look, version = open_pipeline(**arguments)
    answer(version)
    for pictures in asked:
        if not arguments['video']:
            pictures = [cv2.imread(file) for file in pictures]
        hands, cpu_ms = [], []
        begin = time.process_time()
        for found in look(pictures):
            cpu_ms.append(1e3 * (time.process_time() - begin))
            hands.append(found)
            begin = time.process_time()
        answer(dict(hands=hands, cpu_ms=cpu_ms, peak_mb=peak_memory()))


# -- here --------------------------------------------------------------------


class Pipeline:
    """A pipeline in a process of its own, for pictures or for a video."""

    def __init__(self, args: argparse.Namespace, name: str, num_hands: int,
                 video: bool) -> None:
        python = dict(zip(PIPELINES, (args.python, args.mediapipe_python)))
        self.worker = Worker(python[name], __file__, '--work')
        self.version = self.worker([
            name,
            dict(
                model=args.model,
                detector=args.detector,
                num_hands=num_hands,
                video=video)
        ])


def write_video(picture: np.ndarray, file: str) -> None:
    """A video of a camera that goes over a picture, BGR uint8."""
    import cv2
    video = cv2.VideoWriter(file, cv2.VideoWriter_fourcc(*'mp4v'), RATE,
                            FRAME_SIZE)
    if not video.isOpened():
        raise SystemExit('error: this OpenCV cannot write videos')
    fit = min(np.divide(FRAME_SIZE, picture.shape[1::-1]))
    picture = cv2.resize(
        picture, None, fx=fit, fy=fit, interpolation=cv2.INTER_AREA)
    centre = np.array(picture.shape[1::-1]) / 2
    for i in range(FRAMES):
        turn = 2 * np.pi * i / FRAMES
        warp = cv2.getRotationMatrix2D(centre.tolist(), 8 * np.sin(2 * turn),
                                       1 + .1 * np.sin(turn))
        warp[:, 2] += np.array(FRAME_SIZE) / 2 - centre
        warp[:, 2] += 15 * np.cos(turn), 10 * np.sin(turn)
        video.write(
            cv2.warpAffine(
                picture, warp, FRAME_SIZE, borderValue=(128, 128, 128)))
    video.release()


def in_order(found: dict) -> np.ndarray:
    """Indices of a hand's joints in FreiHAND's order."""
    from lgh_mmpose.evaluation.photographs import FREIHAND_JOINTS
    if found['names'] is None:
        return np.arange(len(FREIHAND_JOINTS))
    return np.array([found['names'].index(name) for name in FREIHAND_JOINTS])


def predictions(labels: list, answers: List[List[dict]]) -> list:
    """Of each labelled hand, the found one that overlaps it most."""
    from lgh_mmpose.evaluation.photographs import MIN_IOU, PhotoPrediction
    from lgh_mmpose.inference.tracking import box_iou, box_of_joints
    predicted = []
    for hand, hands in zip(labels, answers):
        best, most = None, MIN_IOU
        for found in hands:
            order = in_order(found)
            joints = np.array(found['joints'])[order]
            overlap = box_iou(box_of_joints(joints[hand.seen]), hand.box)
            if overlap >= most:
                most = overlap
                best = PhotoPrediction(joints,
                                       np.array(found['world'])[order],
                                       found['side'])
        predicted.append(best)
    return predicted


def score_whole(labels: list, answers: List[List[dict]]) -> Dict[str, Any]:
    """Hands of whole pictures that were found, and false ones."""
    from lgh_mmpose.evaluation.hand_detection import score_detections
    from lgh_mmpose.inference.detections import Detections
    from lgh_mmpose.inference.tracking import box_of_joints
    scores = score_detections(labels, [
        Detections(
            np.array([box_of_joints(np.array(f['joints']))
                      for f in hands]).reshape(-1, 4), np.ones(len(hands)),
            np.array([f['side']
                      for f in hands]), np.full((len(hands), 2), np.nan))
        for hands in answers
    ])
    return {
        key: scores[key]
        for key in ('hands', 'recall', 'false_per_picture', 'side_right')
    }


def compare(args: argparse.Namespace) -> Dict[str, Any]:
    """All figures; times are medians over the rounds of means."""
    from lgh_mmpose.evaluation.hand_detection import read_whole_photos
    from lgh_mmpose.evaluation.photographs import (compare_photos, read_photos,
                                                   score_photos)
    from lgh_mmpose.inference.images import read_image
    hands = [hand for hand in read_photos(args.photos) if hand.label == 'true']
    whole = read_whole_photos(args.photos)
    pictures = [labels.image for labels in whole]
    largest = max(
        whole,
        key=lambda labels: np.ptp(labels.boxes.reshape(-1, 2, 2), 1).max(
            initial=0))
    result: Dict[str, Any] = {}
    predicted = {}
    with tempfile.TemporaryDirectory() as folder:
        video = str(Path(folder) / 'video.mp4')
        write_video(read_image(largest.image), video)
        for name in PIPELINES:
            starts, of_pictures, of_frames = [], [], []
            for turn in range(args.rounds):
                begin = time.perf_counter()
                pipeline = Pipeline(args, name,
                                    max(len(one.boxes) for one in whole),
                                    False)
                with pipeline.worker as worker:
                    worker(pictures[:1])
                    starts.append(time.perf_counter() - begin)
                    answered = worker(pictures)
                    of_pictures.append(np.mean(answered['cpu_ms']))
                    figures = dict(
                        version=pipeline.version,
                        peak_mb=answered['peak_mb'],
                        whole=score_whole(whole, answered['hands']))
                    if not turn:
                        found = worker([hand.image for hand in hands])['hands']
                        predicted[name] = predictions(hands, found)
                with Pipeline(args, name, len(largest.boxes),
                              True).worker as worker:
                    answered = worker(video)
                    # it opens its file within the first one
                    of_frames.append(np.mean(answered['cpu_ms'][1:]))
            scores = score_photos(hands, predicted[name])
            result[name] = dict(
                figures,
                true=dict(
                    scores['true'], intervals=scores['intervals']['true']),
                hands_per_frame=np.mean([len(h) for h in answered['hands']]),
                picture_cpu_ms=np.median(of_pictures),
                frame_cpu_ms=np.median(of_frames),
                start_s=np.median(starts))
    both = compare_photos(
        hands, {name: [predicted[name]]
                for name in reversed(PIPELINES)})['true']['ours']
    result['both'] = {key: both[key] for key in ('count', 'error', 'baseline')}
    ours, other = (result[name] for name in PIPELINES)
    result['ratio'] = {
        key: other[key] / ours[key]
        for key in ('picture_cpu_ms', 'frame_cpu_ms', 'start_s', 'peak_mb')
    }
    return result


def table(result: Dict[str, Any]) -> str:
    """What both reach, as Markdown; empty where nothing was found."""

    def row(name: str, *keys: str, form: str, scale: float = 1.) -> List[str]:
        cells = [name]
        for pipeline in PIPELINES:
            value = result[pipeline]
            for key in keys:
                value = value.get(key)
            cells.append('' if value is None else form.format(scale * value))
        return cells

    ours, other = (result[name] for name in PIPELINES)
    both = result['both']
    share = dict(form='{:.1f} %', scale=100)
    rows = [
        ['', f'lgh-hands {ours["version"]}', f'MediaPipe {other["version"]}'],
        ['---'] * 3,
        row(f'of {ours["true"]["count"]} hands with true labels found',
            'true',
            'found',
            form='{:.0f}'),
        row("their error, of the hand's size", 'true', 'error', **share),
        [
            f'error on the {both["count"]} that both found',
            *('' if both[key] is None else f'{100 * both[key]:.1f} %'
              for key in ('error', 'baseline'))
        ],
        row('median error of a hand', 'true', 'median', **share),
        row('PA error, mm', 'true', 'pa_mm', form='{:.1f}'),
        row('side right', 'true', 'side_right', form='{:.0f} %', scale=100),
        row(f'of {ours["whole"]["hands"]} hands of whole pictures found',
            'whole',
            'recall',
            form='{:.0f}',
            scale=ours['whole']['hands']),
        row('false hands a picture',
            'whole',
            'false_per_picture',
            form='{:.2f}'),
        row('a picture, CPU ms', 'picture_cpu_ms', form='{:.1f}'),
        row('a frame of a video, CPU ms', 'frame_cpu_ms', form='{:.1f}'),
        row('hands found in a frame', 'hands_per_frame', form='{:.2f}'),
        row('first answer after, s', 'start_s', form='{:.1f}'),
        row('memory at most, MB', 'peak_mb', form='{:.0f}'),
    ]
    return '\n'.join(f'| {" | ".join(cells)} |' for cells in rows)


def main() -> None:
    args = parse_args()
    try:
        result = compare(args)
    except (OSError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None
    print(table(result))
    if args.json:
        from lgh_mmpose.fileio import write_json
        write_json(args.json, result, indent=2)


if __name__ == '__main__':
    if sys.argv[1:] == ['--work']:
        work()
    else:
        main()
