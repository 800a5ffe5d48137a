"""Labels for training: those of a file, and what a network is sure of."""
import json
import os.path as osp
from pathlib import Path
from typing import (Any, Dict, List, NamedTuple, Optional, Sequence, Tuple,
                    Union)

import cv2
import numpy as np

from ..datasets.base_hand3d import load_json, local_name, order_of_joints
from ..datasets.freihand3d import FREIHAND_JOINTS
from ..evaluation.photographs import PhotoHand
from ..fileio import write_image, write_json
from ..geometry.camera import warp_points
from ..geometry.hand import CATEGORIES, SIDES
from ..geometry.plausibility import (DEPTHS, find_size_fault, hand_sizes,
                                     usual_bone_length)
from ..inference.images import read_image, read_image_size
from ..inference.tracking import box_of_joints
from .consensus import Consensus

MAX_DOUBT = .04
"""Mean doubt up to which a hand is learned from, in sizes of the hand."""
MAX_JOINT_DOUBT = .055
"""Doubt up to which a joint of it is."""
MIN_SIDE_SHARE = .7
"""Share of the looks that must tell the same side."""
SIZES = .5, 2.
"""Smallest and largest hand, over the usual one with the same reference bone:
another one is a hand whose reference bone is not well seen."""
BONE = 'middle_finger1', 'middle_finger2'
SURROUNDINGS = 3.
"""Side of what is cut out of a photograph, in sides of the hand's box: the
largest crop of a training, shifted and turned."""
MAX_SIDE = 192
"""Longer side up to which the hand on it is kept, px: twice the crop's."""

_NUM_JOINTS = len(FREIHAND_JOINTS)
_MIN_JOINTS = 4  # of a label whose box and size can be told


class TrainingHand(NamedTuple):
    """A hand to learn from.

    Attributes:
        image (str): Path of its photograph.
        hand_side (str): ``'left'`` or ``'right'``.
        keypoints (np.ndarray): Joints (21, 2), px, in FreiHAND's order.
        keypoints_cam (np.ndarray): There, (21, 3), mm.
        camera_matrix (np.ndarray): (3, 3), px.
        known (np.ndarray): Which joints to learn, bool (21,).
    """
    image: str
    hand_side: str
    keypoints: np.ndarray
    keypoints_cam: np.ndarray
    camera_matrix: np.ndarray
    known: np.ndarray


def choose(hand: Consensus, image: str,
           image_size: Tuple[int, int]) -> Optional[TrainingHand]:
    """A hand to learn from, or None if the looks at it differ too much.

    Args:
        hand (Consensus): The looks, joints in FreiHAND's order.
        image (str): Path of the photograph.
        image_size (tuple[int, int]): Width and height, px.
    """
    known = hand.doubt <= MAX_JOINT_DOUBT
    ends = [FREIHAND_JOINTS.index(name) for name in BONE]
    if not hand.doubt.mean() <= MAX_DOUBT or \
            hand.side_share < MIN_SIDE_SHARE or not known[ends].all():
        return None
    start, end = ends
    length = np.linalg.norm(hand.keypoints_cam[end] -
                            hand.keypoints_cam[start])
    # of its true size nothing is known: that of a usual hand is taken
    joints = hand.keypoints_cam * usual_bone_length(BONE) / max(length, 1e-9)
    inside = (hand.keypoints >= 0) & (hand.keypoints < image_size)
    size, = hand_sizes(joints[None], FREIHAND_JOINTS, known[None])
    # not so for NaN, either
    plausible = SIZES[0] <= size <= SIZES[1] and (
        joints[:, 2] >= DEPTHS[0]).all() and np.abs(joints).max() <= DEPTHS[1]
    if not plausible or not inside[known].all(1).any():
        return None
    return TrainingHand(image, hand.hand_side, hand.keypoints, joints,
                        hand.camera_matrix, known)


def write_hands(path: Path, hands: Sequence[TrainingHand]) -> None:
    """Write hands as ``Hand3DJsonDataset`` reads them, cut out.

    Args:
        path (Path): The json file; pictures of the hands are put into the
            folder beside it that has its name without the suffix.
        hands (Sequence[TrainingHand]): What it is to hold.
    """
    pieces = []
    for hand in hands:
        box = box_of_joints(hand.keypoints[hand.known])
        piece = _cut_out(read_image(hand.image), box)
        annotation = _annotation(piece, hand.keypoints, hand.known, box)
        camera_matrix = piece.warp_mat @ hand.camera_matrix
        annotation.update(
            keypoints_cam=hand.keypoints_cam.tolist(),
            camera_matrix=camera_matrix.tolist(),
            hand_side=hand.hand_side)
        pieces.append((piece.image, annotation))
    _write_coco(path, pieces)


def write_labels(path: Path, hands: Sequence[PhotoHand]) -> None:
    """Write 2D labels as ``OneHand10KDataset`` reads them, cut out.

    Args:
        path (Path): The json file; pictures of the hands are put into the
            folder beside it that has its name without the suffix.
        hands (Sequence[PhotoHand]): What it is to hold.
    """
    pieces = []
    for hand in hands:
        piece = _cut_out(read_image(hand.image), hand.box)
        keypoints = np.where(hand.seen[:, None], hand.keypoints, 0.)
        pieces.append(
            (piece.image, _annotation(piece, keypoints, hand.seen, hand.box)))
    _write_coco(path, pieces)


class _Piece(NamedTuple):
    """A part of an image, and the way into it from pixels of the whole."""
    image: np.ndarray
    warp_mat: np.ndarray


def _cut_out(image: np.ndarray, box: np.ndarray) -> _Piece:
    """The surroundings of a hand, no larger than training has use for.

    Decoding a whole photograph for each look at a hand would take most of
    the time.
    """
    center, side = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max()
    height, width = image.shape[:2]
    left, top = np.floor(center - SURROUNDINGS * side / 2).clip(0).astype(int)
    right, bottom = np.ceil(center + SURROUNDINGS * side / 2).clip(
        1, (width, height)).astype(int)
    # of a box that lies outside there is a pixel
    left, top = min(left, right - 1), min(top, bottom - 1)
    piece = image[top:bottom, left:right]
    size = np.array([right - left, bottom - top])
    scale = min(1., MAX_SIDE / side)
    new = np.maximum(np.round(scale * size), 1).astype(int)
    if (new < size).any():
        piece = cv2.resize(piece, new.tolist(), interpolation=cv2.INTER_AREA)
    # the middle of the first pixel is at 0, its edge at -0.5
    ratio = new / size
    shift = (ratio - 1) / 2 - ratio * (left, top)
    warp_mat = np.array([[ratio[0], 0., shift[0]], [0., ratio[1], shift[1]],
                         [0., 0., 1.]])
    return _Piece(piece, warp_mat)


def _annotation(piece: _Piece, keypoints: np.ndarray, known: np.ndarray,
                box: np.ndarray) -> dict:
    """What COCO says of a hand, in pixels of the piece."""
    points = warp_points(keypoints, piece.warp_mat)
    low, high = warp_points(box.reshape(2, 2), piece.warp_mat)
    return dict(
        bbox=[*low.tolist(), *(high - low).tolist()],
        keypoints=np.column_stack([points, 2 * known]).ravel().tolist())


def _write_coco(path: Path, pieces: Sequence[Tuple[np.ndarray, dict]]) -> None:
    folder = path.with_suffix('')
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for i, (image, annotation) in enumerate(pieces):
        name = f'{i:06d}.jpg'
        write_image(image[..., ::-1], folder / name)
        height, width = image.shape[:2]
        images.append(
            dict(
                id=i,
                file_name=f'{folder.name}/{name}',
                width=width,
                height=height))
        annotations.append(dict(id=i, image_id=i, category_id=1, **annotation))
    category = dict(id=1, name='hand', keypoints=list(FREIHAND_JOINTS))
    write_json(
        path,
        dict(images=images, annotations=annotations, categories=[category]))


# -- 2D labels ---------------------------------------------------------------


def read_labels(path: Path, folder: Path) -> List[PhotoHand]:
    """Read hands of COCO's keypoint format.

    Args:
        path (Path): The json file. Joints are those of the category's
            ``keypoints``, by name, else FreiHAND's 21 in its order. The side
            of a hand is its ``hand_side`` or that of its category,
            ``left_hand`` or ``right_hand``, else not known.
        folder (Path): Where the photographs lie.

    Returns:
        list[PhotoHand]: The hands with four joints or more, ``iscrowd`` ones
        left out. Where some joints have no label the ``bbox`` counts as well.

    Raises:
        FileNotFoundError: If the file or a photograph is missing.
        ValueError: If the file is of another kind; the entry is named.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} is missing: give COCO\'s json of 2D '
                                'joints, or leave --labels out')
    content = load_json(str(path))
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(content, dict) or not isinstance(
                content.get(key), list):
            raise ValueError(f"{path} is not of COCO's format: it has no list "
                             f'of {key}')
    categories, images = {}, {}
    for i, entry in enumerate(content['categories']):
        where = f'{path}, category {i}'
        # one that no hand has may be of anything
        categories[_read_id(entry, where)] = entry, where
    for i, entry in enumerate(content['images']):
        where = f'{path}, image {i}'
        image_id = _read_id(entry, where)
        if not isinstance(entry.get('file_name'), str):
            raise ValueError(f'{where} has no file_name')
        name = local_name(entry['file_name'], str(folder))
        images[image_id] = image = osp.realpath(osp.join(folder, name))
        sizes = entry.get('width'), entry.get('height')
        if osp.isfile(image) and None not in sizes:
            fault = find_size_fault(sizes, read_image_size(image))
            if fault is not None:
                raise ValueError(f'{where}: {fault}')
    hands = []
    for i, entry in enumerate(content['annotations']):
        hand = _read_hand(entry, f'{path}, annotation {i}', images, categories)
        if hand is not None:
            hands.append(hand)
    if not hands:
        raise ValueError(f'{path} labels no hand with {_MIN_JOINTS} joints or '
                         'more')
    return hands


def _read_id(entry: Any, where: str) -> Union[int, str]:
    number = entry.get('id') if isinstance(entry, dict) else None
    if not isinstance(number, (int, str)):
        raise ValueError(f'{where} has no id, a number')
    return number


def _read_category(entry: dict, where: str) -> Tuple[List[int], Optional[str]]:
    """Where FreiHAND's joints stand in its annotations, and their side."""
    names = entry.get('keypoints')
    if not names:
        order = list(range(_NUM_JOINTS))
    else:
        order = order_of_joints(FREIHAND_JOINTS, names, where, 'the network')
    name = entry.get('name')
    side = SIDES[CATEGORIES.index(name)] if name in CATEGORIES else None
    return order, side


def _read_hand(entry: Any, where: str, images: Dict[Any, str],
               categories: Dict[Any, tuple]) -> Optional[PhotoHand]:
    if not isinstance(entry, dict):
        raise ValueError(f'{where} is no json object')
    # a box alone is no error, nor is a crowd
    if entry.get('iscrowd') or not entry.get('keypoints'):
        return None
    try:
        image = images[entry['image_id']]
        category = categories[entry['category_id']]
    except (KeyError, TypeError):
        raise ValueError(f'{where} belongs to no image or no category of the '
                         'file') from None
    order, side = _read_category(*category)
    if not osp.isfile(image):
        raise FileNotFoundError(f'{where}: there is no photograph {image}')
    side = entry.get('hand_side') or side
    if side == 'unknown':
        side = None
    if side not in (*SIDES, None):
        raise ValueError(f'{where}: hand_side must be one of {SIDES}, got '
                         f'{json.dumps(side)[:50]}')
    try:
        points = np.array(entry['keypoints'], np.float64).reshape(-1, 3)
        points = points[order]
    except (KeyError, TypeError, ValueError, IndexError):
        raise ValueError(f'{where}: keypoints must be x, y and visibility of '
                         'each joint of its category') from None
    seen = points[:, 2] > 0
    if not np.isfinite(points[seen]).all():
        raise ValueError(f'{where}: the keypoints must be finite')
    if seen.sum() < _MIN_JOINTS or np.ptp(points[seen, :2], axis=0).min() <= 0:
        return None
    keypoints = np.where(seen[:, None], points[:, :2], np.nan)
    hand = PhotoHand(image, 'labels', 'true', side, keypoints, seen, None,
                     None)
    if seen.all() or entry.get('bbox') is None:
        return hand
    # where the other joints are is not known, but by the box
    return hand._replace(whole_box=_join(hand.box, _read_box(entry, where)))


def _read_box(entry: dict, where: str) -> np.ndarray:
    """Left, top, right, bottom."""
    try:
        box = np.array(entry['bbox'], np.float64).reshape(4)
    except (TypeError, ValueError):
        box = np.full(4, np.nan)
    if not np.isfinite(box).all() or (box[2:] <= 0).any():
        raise ValueError(f'{where}: bbox must be left, top, width and height, '
                         f'got {json.dumps(entry["bbox"])[:50]}')
    return np.concatenate([box[:2], box[:2] + box[2:]])


def _join(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The box round two boxes."""
    return np.concatenate(
        [np.minimum(first[:2], second[:2]),
         np.maximum(first[2:], second[2:])])
