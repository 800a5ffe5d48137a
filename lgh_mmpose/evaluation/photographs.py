"""Scores on labelled photographs, as shares of the hand's size.

What folders and predictions hold is told in
``docs/how_to/score_on_photographs.md``.
"""
import json
import os.path as osp
from pathlib import Path
from typing import (Any, Dict, List, NamedTuple, Optional, Sequence, Tuple,
                    Union)

import numpy as np

from lgh_mmpose.datasets.base_hand3d import load_json, local_name
from lgh_mmpose.datasets.freihand3d import FREIHAND_JOINTS
from lgh_mmpose.fileio import write_json
from lgh_mmpose.geometry.crop import direction_of
from lgh_mmpose.geometry.hand import SIDES
from lgh_mmpose.inference.cameras import check_camera_matrix
from lgh_mmpose.inference.images import read_image
from lgh_mmpose.inference.pipeline import HandPose
from lgh_mmpose.inference.tracking import box_iou, box_of_joints

from .functional import keypoint_errors, procrustes_align

PathLike = Union[str, Path]

HANDS_FILE = 'hands.json'
"""The file of a folder of photographs that holds their labels."""
LABELS = ('true', 'accepted')
"""What labels there are: those of an annotator, and answers of another
network that somebody has looked at."""
MIN_IOU = .3
"""Least overlap with the label's box for which a found hand is that hand."""
NUM_RESAMPLES = 10000
"""Of a bootstrap."""
# figure -> how that of some hands follows from that of each
_FIGURES = {
    'error': ('error', 'mean'),
    'median': ('error', 'median'),
    'pck05': ('pck05', 'mean'),
    'pck10': ('pck10', 'mean'),
    'pa_mm': ('pa_mm', 'mean'),
    'side_right': ('side_right', 'mean')
}


class PhotoHand(NamedTuple):
    """A labelled hand on a photograph.

    Attributes:
        image (str): Path of the photograph.
        source (str): Where it is from.
        label (str): One of :data:`LABELS`.
        hand_side (str, optional): ``'left'`` or ``'right'``, if known.
        keypoints (np.ndarray): Joints in px of the image, (21, 2), in
            FreiHAND's order; NaN where there is none.
        seen (np.ndarray): Which joints are scored, bool (21,).
        keypoints_cam (np.ndarray, optional): Joints in the camera frame,
            (21, 3), mm.
        camera_matrix (np.ndarray, optional): Intrinsics (3, 3), px.
        whole_box (np.ndarray, optional): Box of the hand with the joints that
            have no label: left, top, right, bottom, px, (4,).
    """
    image: str
    source: str
    label: str
    hand_side: Optional[str]
    keypoints: np.ndarray
    seen: np.ndarray
    keypoints_cam: Optional[np.ndarray]
    camera_matrix: Optional[np.ndarray]
    whole_box: Optional[np.ndarray] = None

    @property
    def box(self) -> np.ndarray:
        """``whole_box``, else the tight one of the scored joints: left, top,
        right, bottom, px."""
        if self.whole_box is not None:
            return self.whole_box
        return box_of_joints(self.keypoints[self.seen])

    @property
    def size(self) -> float:
        """The longer side of the tight box of the scored joints, px."""
        return float(np.ptp(self.keypoints[self.seen], axis=0).max())


class PhotoPrediction(NamedTuple):
    """What a network says of a labelled hand.

    Attributes:
        keypoints (np.ndarray): Joints in px of the image, (21, 2).
        keypoints_cam (np.ndarray, optional): In the camera frame, (21, 3),
            mm.
        hand_side (str, optional): Where it was estimated.
    """
    keypoints: np.ndarray
    keypoints_cam: Optional[np.ndarray] = None
    hand_side: Optional[str] = None


# -- files -------------------------------------------------------------------


def read_photos(folder: PathLike) -> List[PhotoHand]:
    """Read the labels of a folder of photographs.

    Args:
        folder (str | Path): Holds :data:`HANDS_FILE` and the photographs.

    Returns:
        list[PhotoHand]: The hands, in the order of the file.

    Raises:
        FileNotFoundError: If the file or a photograph is missing.
        ValueError: If the file is of another kind; names the entry and what
            is wrong with it.
    """
    path = osp.join(folder, HANDS_FILE)
    if not osp.isfile(path):
        raise FileNotFoundError(
            f'{folder} holds no {HANDS_FILE}: what a folder of photographs '
            'holds is told in docs/how_to/score_on_photographs.md')
    entries = load_json(path)
    if not isinstance(entries, list) or not entries:
        raise ValueError(f'{path} must hold a list of hands')
    return [
        _parse_hand(entry, f'{path}, entry {i}', str(folder))
        for i, entry in enumerate(entries)
    ]


def _parse_hand(entry: Any, where: str, folder: str) -> PhotoHand:
    if not isinstance(entry, dict):
        raise ValueError(f'{where} is no json object')
    name = entry.get('image')
    if not isinstance(name, str) or not name or '\0' in name:
        raise ValueError(f'{where} has no file name under "image"')
    where = f'{where} ({name})'
    image = osp.join(folder, local_name(name, folder))
    if not osp.isfile(image):
        raise FileNotFoundError(f'{where}: there is no such image')
    label, side = entry.get('label'), entry.get('hand_side')
    if label not in LABELS:
        raise ValueError(f'{where}: "label" must be one of {LABELS}, got '
                         f'{_short(label)}')
    if side not in (*SIDES, 'unknown', None):
        raise ValueError(f'{where}: "hand_side" must be one of {SIDES}, '
                         f'"unknown" or null, got {_short(side)}')
    source = entry.get('source', '')
    if not isinstance(source, str):
        raise ValueError(f'{where}: "source" must be a text, got '
                         f'{_short(source)}')
    keypoints, seen = _parse_keypoints(entry.get('keypoints'), where)
    visible = entry.get('visible')
    if visible is not None:
        flags = _numbers(visible, (len(FREIHAND_JOINTS), ), 'biuf')
        if flags is None:
            raise ValueError(f'{where}: "visible" must be '
                             f'{len(FREIHAND_JOINTS)} numbers or null')
        seen &= flags > 0
    if seen.sum() < 2 or np.ptp(keypoints[seen], axis=0).max() <= 0:
        raise ValueError(f'{where}: its visible joints have no extent, by '
                         'which errors are measured')
    keypoints_cam = _parse_optional(entry, 'keypoints_cam_mm',
                                    (len(FREIHAND_JOINTS), 3), where)
    camera_matrix = _parse_optional(entry, 'camera_matrix', (3, 3), where)
    if camera_matrix is not None:
        try:
            camera_matrix = check_camera_matrix(camera_matrix)
        except ValueError as error:
            raise ValueError(f'{where}: {error}') from None
    return PhotoHand(image, source, label, side if side in SIDES else None,
                     keypoints, seen, keypoints_cam, camera_matrix)


def _parse_keypoints(value: Any, where: str) -> Tuple[np.ndarray, np.ndarray]:
    """Joints, NaN for null, and which there are."""
    number = len(FREIHAND_JOINTS)
    if not isinstance(value, list) or len(value) != number:
        got = f'{len(value)} entries' if isinstance(value,
                                                    list) else _short(value)
        raise ValueError(f'{where}: "keypoints" must be {number} pairs of '
                         f'numbers, got {got}')
    there = np.array([point is not None for point in value])
    keypoints = np.full((number, 2), np.nan)
    for joint in np.flatnonzero(there):
        point = _numbers(value[joint], (2, ))
        if point is None:
            raise ValueError(
                f'{where}: the joint {FREIHAND_JOINTS[joint]} must be a pair '
                f'of finite numbers or null, got {_short(value[joint])}')
        keypoints[joint] = point
    return keypoints, there


def _parse_optional(entry: dict, key: str, shape: Tuple[int, ...],
                    where: str) -> Optional[np.ndarray]:
    value = entry.get(key)
    array = None if value is None else _numbers(value, shape)
    if value is not None and array is None:
        raise ValueError(f'{where}: "{key}" must be {shape[0]} x {shape[1]} '
                         'finite numbers or null')
    return array


def _numbers(value: Any,
             shape: Tuple[int, ...],
             kinds: str = 'iuf') -> Optional[np.ndarray]:
    """Finite numbers of a shape, or None."""
    try:
        array = np.array(value)
    except ValueError:  # ragged
        return None
    if array.dtype.kind not in kinds or array.shape != shape:
        return None
    array = array.astype(np.float64)
    return array if np.isfinite(array).all() else None


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f'{text[:40]} ...'


def read_predictions(
        path: PathLike,
        hands: Sequence[PhotoHand]) -> List[Optional[PhotoPrediction]]:
    """Read predictions of the hands of a folder of photographs.

    Args:
        path (str | Path): What :func:`write_predictions` wrote, or another
            program.
        hands (Sequence[PhotoHand]): The hands, for their number and names.

    Returns:
        list[PhotoPrediction | None]: One for each; None for a hand that was
        not found.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is of another kind, or made for other photographs;
            names the entry.
    """
    entries = load_json(str(path))
    if not isinstance(entries, list) or len(entries) != len(hands):
        got = f'{len(entries)} entries' if isinstance(
            entries, list) else 'something else'
        raise ValueError(f'{path} must hold a list of one prediction, or '
                         f'null, for each of the {len(hands)} hands, got '
                         f'{got}')
    return [
        None if entry is None else _parse_prediction(
            entry, f'{path}, entry {i} ({osp.basename(hand.image)})')
        for i, (entry, hand) in enumerate(zip(entries, hands))
    ]


def _parse_prediction(entry: Any, where: str) -> PhotoPrediction:
    if not isinstance(entry, dict):
        raise ValueError(f'{where} is neither a json object nor null')
    keypoints, there = _parse_keypoints(entry.get('keypoints'), where)
    if not there.all():
        raise ValueError(
            f'{where} lacks the joint '
            f'{FREIHAND_JOINTS[int(np.flatnonzero(~there)[0])]}: a '
            'prediction has all of them, or is null')
    side = entry.get('hand_side')
    if side not in (*SIDES, None):
        raise ValueError(f'{where}: "hand_side" must be one of {SIDES} or '
                         f'null, got {_short(side)}')
    return PhotoPrediction(
        keypoints,
        _parse_optional(entry, 'keypoints_cam', (len(FREIHAND_JOINTS), 3),
                        where), side)


def write_predictions(predictions: Sequence[Optional[PhotoPrediction]],
                      path: PathLike) -> None:
    """Write predictions for :func:`read_predictions`.

    Args:
        predictions (Sequence[PhotoPrediction | None]): One for each hand.
        path (str | Path): The json file.

    Raises:
        OSError: If it cannot be written.
    """
    entries = []
    for prediction in predictions:
        if prediction is None:
            entries.append(None)
            continue
        entry = dict(keypoints=prediction.keypoints.tolist())
        entry['keypoints_cam'] = None if prediction.keypoints_cam is None \
            else prediction.keypoints_cam.tolist()
        if prediction.hand_side is not None:
            entry['hand_side'] = prediction.hand_side
        entries.append(entry)
    write_json(path, entries)


# -- predictions -------------------------------------------------------------


def predict_photos(hand_pose: HandPose,
                   hands: Sequence[PhotoHand],
                   boxes: str = 'given') -> List[Optional[PhotoPrediction]]:
    """What a pipeline says of each labelled hand.

    Args:
        hand_pose (HandPose): The pipeline. Its padding is how much larger the
            crop is than the box.
        hands (Sequence[PhotoHand]): The hands.
        boxes (str): ``'given'``: box and side are those of the label, the
            side only for a network that does not tell it, and the direction,
            for networks that want hands upright, is the detector's, if there
            is one, else the network's own;
            ``'upright'``: the same, but the direction is that of the label,
            where its joints tell;
            ``'found'``: the pipeline's detector finds the hands and the
            network their sides, and the one whose box overlaps the label's
            most is taken, by an IoU of at least :data:`MIN_IOU`. A camera
            that the label has is given in all. Defaults to ``'given'``.

    Returns:
        list[PhotoPrediction | None]: One for each; None for a hand that was
        not found.

    Raises:
        OSError: If a photograph cannot be read.
        ValueError: If it is no image, a joint is unknown to the network, or
            there is no detector to find hands.
    """
    if boxes not in ('given', 'upright', 'found'):
        raise ValueError("boxes must be 'given', 'upright' or 'found', got "
                         f'{boxes!r}')
    if boxes == 'found' and hand_pose.detector is None:
        raise ValueError("boxes='found' needs a HandPose with a detector")
    names = hand_pose.info.skeleton.joint_names
    missing = [name for name in FREIHAND_JOINTS if name not in names]
    if missing:
        raise ValueError(f'the network has no joint {missing[0]}, which the '
                         f'photographs have; it has {list(names)}')
    order = [names.index(name) for name in FREIHAND_JOINTS]
    predictions = []
    for hand in hands:
        known = {}
        if boxes != 'found':
            side = hand.hand_side
            if hand_pose.info.gives_side or side is None:
                side = 'auto'  # what it says of the side is scored
            known = dict(bboxes=hand.box, hand_side=side)
            direction = direction_of(hand.keypoints, FREIHAND_JOINTS)
            if boxes == 'upright' and direction is not None:
                known.update(directions=direction[None])
        image = read_image(hand.image)
        try:
            found, = hand_pose(
                image, camera_matrix=hand.camera_matrix, **known)
        except ValueError as error:
            raise ValueError(f'{hand.image}: {error}') from error
        overlaps = [box_iou(box, hand.box) for box in found.bboxes]
        if not overlaps or max(overlaps) < MIN_IOU:
            predictions.append(None)
            continue
        best = int(np.argmax(overlaps))
        predictions.append(
            PhotoPrediction(
                found.keypoints[best][order],
                found.keypoints_cam[best][order],
                hand_side=found.hand_sides[best]
                if found.hand_side_source == 'estimated' else None))
    return predictions


# -- figures -----------------------------------------------------------------


def measure_photos(
        hands: Sequence[PhotoHand],
        predictions: Sequence[Optional[PhotoPrediction]]
) -> Dict[str, np.ndarray]:
    """Errors of each hand.

    Args:
        hands (Sequence[PhotoHand]): The labels, N.
        predictions (Sequence[PhotoPrediction | None]): One for each.

    Returns:
        dict[str, np.ndarray]: float64 (N,); NaN for a hand that was not found
        or whose label does not tell:

        - error: mean distance of the scored joints, in hand sizes
        - pck05, pck10: share of them nearer than 0.05 and 0.1 hand sizes
        - pa_mm: mean distance of all joints in 3D after the best similarity
          transform without reflection, mm
        - side_right: 1 where the estimated side is that of the label, else 0
    """
    values = {
        name: np.full(len(hands), np.nan)
        for name in ('error', 'pck05', 'pck10', 'pa_mm', 'side_right')
    }
    for i, (hand, prediction) in enumerate(zip(hands, predictions)):
        if prediction is None:
            continue
        error = np.linalg.norm(
            prediction.keypoints - hand.keypoints,
            axis=1)[hand.seen] / hand.size
        values['error'][i] = error.mean()
        values['pck05'][i] = (error < .05).mean()
        values['pck10'][i] = (error < .1).mean()
        if hand.keypoints_cam is not None and \
                prediction.keypoints_cam is not None:
            truth = hand.keypoints_cam[None]
            aligned = procrustes_align(prediction.keypoints_cam[None], truth)
            values['pa_mm'][i] = keypoint_errors(aligned, truth).mean()
        if hand.hand_side is not None and prediction.hand_side is not None:
            values['side_right'][i] = prediction.hand_side == hand.hand_side
    return values


def score_photos(hands: Sequence[PhotoHand],
                 predictions: Sequence[Optional[PhotoPrediction]],
                 seed: int = 0) -> Dict[str, dict]:
    """Figures of each label and each source, with intervals.

    Args:
        hands (Sequence[PhotoHand]): The labels.
        predictions (Sequence[PhotoPrediction | None]): One for each.
        seed (int): Of the bootstrap. Defaults to 0.

    Returns:
        dict: By label, ``count``, ``found``, ``error``, ``median``,
        ``pck05``, ``pck10`` and ``pa_mm`` as the package's docs have them,
        None where no hand tells, and ``side_right`` where sides were
        estimated; under ``'sources'`` the same by source; under
        ``'intervals'`` by label the 95 % intervals [low, high] of each figure
        over :data:`NUM_RESAMPLES` draws of the photographs.
    """
    values = measure_photos(hands, predictions)
    found = np.array([prediction is not None for prediction in predictions])
    labels = np.array([hand.label for hand in hands])
    sources = np.array([hand.source for hand in hands])

    def figures(some: np.ndarray) -> dict:
        once = np.ones((1, int(some.sum())))
        scores = dict(count=int(some.sum()), found=int(found[some].sum()))
        for name, value in _resampled(values, some, once).items():
            scores[name] = _or_none(value[0])
        return scores

    intervals = {}
    for label in LABELS:
        some = labels == label
        draws = draw_photos([hands[i].image for i in np.flatnonzero(some)],
                            seed)
        intervals[label] = {
            name: interval(value)
            for name, value in _resampled(values, some, draws).items()
        }
    return dict(
        **{label: figures(labels == label)
           for label in LABELS},
        sources={
            source: figures(sources == source)
            for source in sorted(set(sources.tolist()))
        },
        intervals=intervals)


def _resampled(values: Dict[str, np.ndarray], some: np.ndarray,
               draws: np.ndarray) -> Dict[str, np.ndarray]:
    """Figures of some hands in each draw, (B,)."""
    return {
        figure: weighted(values[name][some], draws, statistic)
        for figure, (name, statistic) in _FIGURES.items()
        if figure != 'side_right' or not np.isnan(values[name]).all()
    }


def draw_photos(images: Sequence[str],
                seed: int = 0,
                num: int = NUM_RESAMPLES) -> np.ndarray:
    """Draw photographs with replacement, all hands of one together.

    Args:
        images (Sequence[str]): Photograph of each of N hands.
        seed (int): Of the draws. Defaults to 0.
        num (int): Of draws, B.

    Returns:
        np.ndarray: How often each hand is in each draw, (B, N).
    """
    if not len(images):
        return np.zeros((num, 0))
    photos, photo_of_hand = np.unique(images, return_inverse=True)
    counts = np.random.default_rng(seed).multinomial(
        len(photos), np.full(len(photos), 1 / len(photos)), num)
    return counts[:, photo_of_hand].astype(np.float64)


def weighted(values: np.ndarray,
             weights: np.ndarray,
             statistic: str = 'mean') -> np.ndarray:
    """Mean or median of values that count several times.

    Args:
        values (np.ndarray): (N,); NaN does not count.
        weights (np.ndarray): How often each counts, whole numbers (B, N).
        statistic (str): ``'mean'`` or ``'median'``. Defaults to ``'mean'``.

    Returns:
        np.ndarray: (B,); NaN where nothing counts.
    """
    seen = ~np.isnan(values)
    values, weights = values[seen], weights[:, seen]
    total = weights.sum(axis=1)
    some = total > 0
    result = np.full(len(weights), np.nan)
    if statistic == 'mean':
        result[some] = (weights @ values)[some] / total[some]
        return result
    order = np.argsort(values)
    up_to = np.cumsum(weights[some][:, order], axis=1)
    middle = [
        values[order][(up_to > rank[:, None]).argmax(axis=1)]
        for rank in ((total[some] - 1) // 2, total[some] // 2)
    ] if some.any() else [np.zeros(0)] * 2
    result[some] = (middle[0] + middle[1]) / 2
    return result


def interval(draws: np.ndarray) -> Optional[List[float]]:
    """The middle 95 % of a figure's draws.

    Args:
        draws (np.ndarray): (B,); NaN does not count.

    Returns:
        list[float] | None: Low and high; None where no draw has the figure.
    """
    draws = draws[~np.isnan(draws)]
    return np.percentile(draws, (2.5, 97.5)).tolist() if len(draws) else None


def _or_none(value: float) -> Optional[float]:
    return None if np.isnan(value) else float(value)


def photos_table(scores: Dict[str, dict]) -> str:
    """Figures as a table to print.

    Args:
        scores (dict): What :func:`score_photos` gave.

    Returns:
        str: A line for each label and each source that has hands.
    """
    rows = [(label, scores[label], scores['intervals'][label])
            for label in LABELS]
    rows += [(f'  {source or "(no source)"}', figures, {})
             for source, figures in scores['sources'].items()]
    width = max(len(name) for name, _, _ in rows)
    return '\n'.join(f'{name:{width}}  {_line(figures, intervals)}'
                     for name, figures, intervals in rows if figures['count'])


def _line(figures: dict, intervals: dict) -> str:
    text = f'{figures["count"]:5d}  found {figures["found"]:5d}'
    if figures['error'] is None:
        return text
    text += f'  error {100 * figures["error"]:5.2f} %'
    if intervals.get('error'):
        low, high = (100 * value for value in intervals['error'])
        text += f' ({low:.1f} to {high:.1f})'
    text += (f'  median {100 * figures["median"]:5.2f} %'
             f'  PCK@0.05 {figures["pck05"]:.3f}'
             f'  PCK@0.1 {figures["pck10"]:.3f}')
    if figures['pa_mm'] is not None:
        text += f'  PA {figures["pa_mm"]:.1f} mm'
    if figures.get('side_right') is not None:
        text += f'  side right {figures["side_right"]:.3f}'
    return text


def compare_photos(hands: Sequence[PhotoHand],
                   variants: Dict[
                       str, Sequence[Sequence[Optional[PhotoPrediction]]]],
                   seed: int = 0) -> Dict[str, dict]:
    """Errors of networks on the same photographs, beside those of the first.

    Args:
        hands (Sequence[PhotoHand]): The labels.
        variants (dict): Name -> predictions of one network or, of several
            seeds, several, whose errors are averaged for each photograph. The
            first variant is what the others are compared with.
        seed (int): Of the bootstrap, which draws the same photographs for
            all. Defaults to 0.

    Returns:
        dict: By label and variant ``count``, the hands that it and the first
        one found; on these ``error``, ``baseline``, the first one's,
        ``ratio`` and ``difference`` of the errors, and the 95 % intervals of
        the three figures, ``error_interval`` and so on; None where there is
        no such hand.
    """
    errors = {}
    for name, seeds in variants.items():
        each = np.stack([measure_photos(hands, one)['error'] for one in seeds])
        # a hand counts where each seed found it
        errors[name] = each.mean(axis=0)
    first = next(iter(errors))
    labels = np.array([hand.label for hand in hands])
    images = np.array([hand.image for hand in hands])
    result = {}
    for label in LABELS:
        result[label] = {}
        for name, error in errors.items():
            both = (labels == label) & ~np.isnan(error + errors[first])
            draws = np.concatenate([
                np.ones((1, int(both.sum()))),
                draw_photos(images[both].tolist(), seed)
            ])
            own = weighted(error[both], draws)
            other = weighted(errors[first][both], draws)
            with np.errstate(divide='ignore', invalid='ignore'):
                figures = dict(
                    error=own, ratio=own / other, difference=own - other)
            result[label][name] = dict(
                count=int(both.sum()), baseline=_or_none(other[0]))
            for figure, value in figures.items():
                result[label][name][figure] = _or_none(value[0])
                result[label][name][f'{figure}_interval'] = interval(value[1:])
    return result
