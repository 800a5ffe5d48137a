"""Scores of a detector of hands.

What folders hold is told in ``docs/detector.md``.
"""
import os.path as osp
from pathlib import Path
from typing import (Any, Callable, Dict, List, NamedTuple, Optional, Sequence,
                    Tuple, Union)

import numpy as np

from ..datasets.base_hand3d import load_json, local_name
from ..datasets.coco_hands import (MIDDLE_KNUCKLE, NUM_JOINTS, WRIST,
                                   read_coco_hands)
from ..geometry.hand import SIDES
from ..inference.detections import Detections
from ..inference.images import list_pictures, read_image
from ..inference.tracking import box_iou
from ..shards import find_shards
from .photographs import HANDS_FILE, read_photos

PathLike = Union[str, Path]

WHOLE_FILE = 'whole.json'
"""The file of a folder of photographs that holds the boxes and sides of the
hands of whole pictures."""
MIN_IOU = .5
"""Least overlap with a label's box for which a box has found that hand."""
THRESHOLDS = tuple(np.round(np.arange(.05, .96, .05), 2).tolist())
"""Least scores that the curve is told for."""


class HandLabels(NamedTuple):
    """A picture and where its N hands are.

    Attributes:
        image (str): Path of the picture.
        boxes (np.ndarray): Left, top, right, bottom, px, (N, 4).
        sides (tuple[str | None, ...]): ``'left'`` or ``'right'``, where
            known, (N,).
        directions (np.ndarray): From the wrist to the knuckle of the middle
            finger, unit vectors (N, 2); NaN where not known.
        ignored (np.ndarray): Which are neither to be found nor to be missed,
            bool (N,).
    """
    image: str
    boxes: np.ndarray
    sides: Tuple[Optional[str], ...]
    directions: np.ndarray
    ignored: np.ndarray

    @classmethod
    def of(cls,
           image: str,
           boxes: Sequence[Sequence[float]] = (),
           sides: Sequence[Optional[str]] = (),
           keypoints: Optional[np.ndarray] = None,
           ignored: Optional[Sequence[bool]] = None) -> 'HandLabels':
        """Labels with the directions of the joints (N, 21, 2), if known."""
        boxes = np.array(boxes, dtype=np.float64).reshape(-1, 4)
        directions = np.full((len(boxes), 2), np.nan)
        if keypoints is not None and len(boxes):
            bones = keypoints[:, MIDDLE_KNUCKLE] - keypoints[:, WRIST]
            length = np.linalg.norm(bones, axis=1, keepdims=True)
            directions = np.where(length > 1e-6, bones / length.clip(1e-6),
                                  np.nan)
        if ignored is None:
            ignored = np.zeros(len(boxes))
        return cls(image, boxes, tuple(sides), directions,
                   np.array(ignored, bool))


# -- files -------------------------------------------------------------------


def labels_of_instances(image: str, instances: Sequence[dict]) -> HandLabels:
    """Labels of a picture of
    :func:`~lgh_mmpose.datasets.coco_hands.read_coco_hands`."""
    keypoints = np.array([hand['keypoints'] for hand in instances])
    return HandLabels.of(image, [hand['bbox'] for hand in instances],
                         [SIDES[hand['bbox_label']] for hand in instances],
                         keypoints.reshape(-1, NUM_JOINTS, 3)[..., :2],
                         [hand['ignore_flag'] for hand in instances])


def read_coco_labels(root: PathLike,
                     split: str = 'evaluation') -> List[HandLabels]:
    """Read the hands of StudioHand's layout ``coco``.

    Args:
        root (str | Path): The folder.
        split (str): Defaults to ``'evaluation'``.

    Returns:
        list[HandLabels]: A picture each.

    Raises:
        FileNotFoundError, ValueError: See
            :func:`~lgh_mmpose.datasets.coco_hands.read_coco_hands`.
    """
    return [
        labels_of_instances(picture['img_path'], picture['instances'])
        for picture in read_coco_hands(str(root), split)
    ]


def read_hand_photos(folder: PathLike) -> List[HandLabels]:
    """Read the hands of ``hands.json`` of a folder of photographs.

    Args:
        folder (str | Path): See
            :func:`~lgh_mmpose.evaluation.photographs.read_photos`.

    Returns:
        list[HandLabels]: A photograph each, with the boxes of the joints.

    Raises:
        FileNotFoundError, ValueError: See there.
    """
    photos: Dict[str, list] = {}
    for hand in read_photos(folder):
        photos.setdefault(hand.image, []).append(hand)
    return [
        HandLabels.of(image, [hand.box for hand in hands],
                      [hand.hand_side for hand in hands],
                      np.array([hand.keypoints for hand in hands]))
        for image, hands in photos.items()
    ]


def read_whole_photos(folder: PathLike) -> List[HandLabels]:
    """Read the hands of ``whole.json`` of a folder of photographs.

    Args:
        folder (str | Path): Holds :data:`WHOLE_FILE`, a list of objects with
            ``image``, the name of a picture, and ``hands``, a list of objects
            with ``box`` (left, top, right, bottom, px) and ``hand_side``.

    Returns:
        list[HandLabels]: A photograph each.

    Raises:
        FileNotFoundError: If the file or a photograph is missing.
        ValueError: If the file is of another kind; names the entry.
    """
    path = osp.join(folder, WHOLE_FILE)
    if not osp.isfile(path):
        raise FileNotFoundError(f'{folder} holds no {WHOLE_FILE}')
    entries = load_json(path)
    if not isinstance(entries, list) or not entries:
        raise ValueError(f'{path} must hold a list of photographs')
    return [
        _parse_whole(entry, f'{path}, entry {i}', str(folder))
        for i, entry in enumerate(entries)
    ]


def _parse_whole(entry: Any, where: str, folder: str) -> HandLabels:
    try:
        name = entry['image']
        image = osp.join(folder, local_name(name, folder))
        boxes = np.array([hand['box'] for hand in entry['hands']], float)
        boxes = boxes.reshape(len(entry['hands']), 4)
        sides = [hand.get('hand_side') for hand in entry['hands']]
        good = np.isfinite(boxes).all() and \
            (boxes[:, 2:] > boxes[:, :2]).all() and \
            set(sides) <= {*SIDES, 'unknown', None}
    except (AttributeError, KeyError, TypeError, ValueError):
        good = False
    if not good:
        raise ValueError(
            f'{where} must have "image", a file name, and "hands", each with '
            f'"box", left, top, right and bottom, and "hand_side", one of '
            f'{SIDES}, "unknown" or null')
    if not osp.isfile(image):
        raise FileNotFoundError(f'{where}: there is no such image: {image}')
    return HandLabels.of(image, boxes,
                         [side if side in SIDES else None for side in sides])


def read_without_hands(folder: PathLike) -> List[HandLabels]:
    """The pictures of a folder in which there are no hands.

    Args:
        folder (str | Path): The folder, with all below it.

    Returns:
        list[HandLabels]: A picture each.

    Raises:
        FileNotFoundError: If there is none.
    """
    pictures = list_pictures(folder)
    if not pictures:
        raise FileNotFoundError(f'{folder} holds no pictures')
    return [HandLabels.of(str(picture)) for picture in pictures]


def read_labels(folder: PathLike) -> Dict[str, List[HandLabels]]:
    """Read whatever labels of hands a folder holds.

    Args:
        folder (str | Path): StudioHand in its layout ``coco``, or photographs
            with ``whole.json`` or ``hands.json`` or both.

    Returns:
        dict[str, list[HandLabels]]: By the name of the set.

    Raises:
        FileNotFoundError: If it holds none of them, or something is missing.
        ValueError: If a file is of another kind.
    """
    annotations = osp.join('annotations', 'evaluation.json')
    kinds = dict(
        evaluation=(annotations, read_coco_labels),
        whole=(WHOLE_FILE, read_whole_photos),
        hands=(HANDS_FILE, read_hand_photos))
    sets = {
        name: read(folder)
        for name, (file, read) in kinds.items()
        if osp.isfile(osp.join(folder, file))
        or file == annotations and find_shards(folder)
    }
    if not sets:
        raise FileNotFoundError(
            f'{folder} holds neither shards nor one of '
            f'{", ".join(file for file, _ in kinds.values())}: what a folder '
            'of labelled pictures holds is told in docs/detector.md')
    return sets


def detect_all(detector: Callable[[np.ndarray], Detections],
               labels: Sequence[HandLabels]) -> List[Detections]:
    """What a detector finds in labelled pictures.

    Args:
        detector (Callable): Takes BGR images, uint8 (h, w, 3).
        labels (Sequence[HandLabels]): The pictures.

    Returns:
        list[Detections]: One for each.

    Raises:
        OSError: If a picture cannot be read.
        ValueError: If it is no image; names it.
    """
    return [detector(read_image(label.image)) for label in labels]


# -- figures -----------------------------------------------------------------


class _Matched(NamedTuple):
    """All detections of some pictures, best first, and their hands."""
    scores: np.ndarray  # (N,)
    found: np.ndarray  # (N,), whether it is a hand that no better one has
    counted: np.ndarray  # (N,), False where it is an ignored one
    side_right: np.ndarray  # (N,), NaN where not known
    degrees: np.ndarray  # (N,), NaN where not known
    num_hands: int


def score_detections(labels: Sequence[HandLabels],
                     found: Sequence[Detections],
                     score_thr: float = .3) -> Dict[str, Any]:
    """Figures of a detector on labelled pictures.

    In the order of their scores, detections take the label that they overlap
    most, by an IoU of at least :data:`MIN_IOU`, among those that no better
    one has taken.

    Args:
        labels (Sequence[HandLabels]): Pictures.
        found (Sequence[Detections]): What was found in each, down to a low
            score, so that AP has its whole curve.
        score_thr (float): Least score that all figures but AP and the curve
            count. Defaults to 0.3.

    Returns:
        dict: ``pictures`` and ``hands``, their numbers; ``recall``; ``AP`` at
        that IoU (area under the curve of precision over recall);
        ``false_per_picture``, and ``false_share`` of all that was found;
        ``side_right``, share of the found hands with the right side;
        ``direction_error`` and ``direction_median``, degrees; ``curve``, by
        threshold ``score_thr``, ``recall``, ``false_per_picture`` and
        ``false_share``. None where there is nothing to measure.
    """
    matched = _match(labels, found)
    counts = dict(pictures=len(labels), hands=matched.num_hands)
    shown = matched.scores >= score_thr
    taken = shown & matched.found
    return dict(
        **counts,
        score_thr=score_thr,
        **_rates(matched, score_thr, len(labels)),
        AP=_average_precision(matched),
        side_right=_mean(matched.side_right[taken]),
        direction_error=_mean(matched.degrees[taken]),
        direction_median=_mean(matched.degrees[taken], np.median),
        curve=[
            dict(
                score_thr=threshold, **_rates(matched, threshold, len(labels)))
            for threshold in THRESHOLDS
        ])


def _match(labels: Sequence[HandLabels],
           found: Sequence[Detections]) -> _Matched:
    rows, num_hands = [], 0
    for label, hands in zip(labels, found):
        num_hands += int((~label.ignored).sum())
        free = np.ones(len(label.boxes), dtype=bool)
        for box, score, side, direction in zip(*hands):
            overlaps = np.array([box_iou(box, other) for other in label.boxes])
            wanted = np.flatnonzero(free & ~label.ignored
                                    & (overlaps >= MIN_IOU))
            if len(wanted):
                best = wanted[overlaps[wanted].argmax()]
                free[best] = False
                known = label.sides[best]
                rows.append((score, True, True,
                             np.nan if known is None else known == side,
                             _degrees(direction, label.directions[best])))
            else:
                # several may be one ignored hand
                missed = not (label.ignored & (overlaps >= MIN_IOU)).any()
                rows.append((score, False, missed, np.nan, np.nan))
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    table = table[np.argsort(-table[:, 0], kind='stable')]
    scores, taken, counted, side_right, degrees = table.T
    return _Matched(scores, taken > 0, counted > 0, side_right, degrees,
                    num_hands)


def _degrees(direction: np.ndarray, other: np.ndarray) -> float:
    """Angle between two directions."""
    (x, y), (u, v) = direction, other
    return abs(np.degrees(np.arctan2(x * v - y * u, x * u + y * v)))


def _rates(matched: _Matched, score_thr: float,
           num_pictures: int) -> Dict[str, Optional[float]]:
    shown = matched.scores >= score_thr
    true = int((shown & matched.found).sum())
    false = int((shown & matched.counted & ~matched.found).sum())
    return dict(
        recall=true / matched.num_hands if matched.num_hands else None,
        false_per_picture=false / num_pictures if num_pictures else None,
        false_share=false / (true + false) if true + false else None)


def _average_precision(matched: _Matched) -> Optional[float]:
    if not matched.num_hands:
        return None
    true = matched.found[matched.counted].cumsum()
    precision = true / np.arange(1, len(true) + 1)
    # the best precision at this recall or a higher one
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(true, prepend=0) / matched.num_hands
    return float((precision * steps).sum())


def _mean(values: np.ndarray, mean: Any = np.mean) -> Optional[float]:
    values = values[~np.isnan(values)]
    return float(mean(values)) if len(values) else None


def detections_table(scores: Dict[str, dict]) -> str:
    """Figures of :func:`score_detections` by set, as text."""
    width = max(map(len, scores))
    lines = []
    for name, figures in scores.items():
        line = f'{name:{width}}  {figures["pictures"]:5d} pictures'
        for key, text, digits in (('hands', ' hands', 0), ('recall', '',
                                                           3), ('AP', '', 3),
                                  ('false_per_picture', ' false/picture',
                                   3), ('false_share', ' false',
                                        3), ('side_right', ' side right', 3),
                                  ('direction_error', ' deg', 1)):
            value = figures[key]
            if value is not None and not (key == 'hands' and not value):
                label = f'{key} ' if not text else ''
                line += f'  {label}{value:.{digits}f}{text}'
        lines.append(line)
    return '\n'.join(lines)
