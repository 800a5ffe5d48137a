"""Labels for training: those of a file, and what a network is sure of."""
import json
import os.path as osp
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from ..datasets.base_hand3d import load_json, local_name, order_of_joints
from ..datasets.freihand3d import FREIHAND_JOINTS
from ..evaluation.photographs import PhotoHand
from ..fileio import write_json
from ..geometry.hand import CATEGORIES, SIDES
from ..geometry.plausibility import (DEPTHS, find_size_fault, hand_sizes,
                                     usual_bone_length)
from ..inference.images import read_image_size
from .consensus import Consensus

MAX_DOUBT = .06
"""Mean doubt up to which a hand is learned from, in sizes of the hand."""
MAX_JOINT_DOUBT = .08
"""Doubt up to which a joint of it is."""
MIN_SIDE_SHARE = .7
"""Share of the looks that must tell the same side."""
SIZES = .5, 2.
"""Smallest and largest hand, over the usual one with the same reference bone:
another one is a hand whose reference bone is not well seen."""
BONE = 'middle_finger1', 'middle_finger2'

_NUM_JOINTS = len(FREIHAND_JOINTS)
_MIN_JOINTS = 4  # of a label whose box and size can be told


class TrainingHand(NamedTuple):
    """A hand to learn from.

    Attributes:
        image (str): Path of its photograph.
        image_size (tuple[int, int]): Width and height, px.
        hand_side (str): ``'left'`` or ``'right'``.
        keypoints (np.ndarray): Joints (21, 2), px, in FreiHAND's order.
        keypoints_cam (np.ndarray): There, (21, 3), mm.
        camera_matrix (np.ndarray): (3, 3), px.
        known (np.ndarray): Which joints to learn, bool (21,).
    """
    image: str
    image_size: Tuple[int, int]
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
    return TrainingHand(image, image_size, hand.hand_side, hand.keypoints,
                        joints, hand.camera_matrix, known)


def write_hands(path: Path, hands: Sequence[TrainingHand]) -> None:
    """Write hands as ``Hand3DJsonDataset`` reads them.

    Args:
        path (Path): The json file.
        hands (Sequence[TrainingHand]): What it is to hold.
    """
    _write_coco(path, [(hand.image, hand.image_size,
                        dict(
                            **_annotation(hand.keypoints, hand.known),
                            keypoints_cam=hand.keypoints_cam.tolist(),
                            camera_matrix=hand.camera_matrix.tolist(),
                            hand_side=hand.hand_side)) for hand in hands])


def write_labels(path: Path, hands: Sequence[PhotoHand],
                 image_sizes: Dict[str, Tuple[int, int]]) -> None:
    """Write 2D labels as ``OneHand10KDataset`` reads them.

    Args:
        path (Path): The json file.
        hands (Sequence[PhotoHand]): What it is to hold.
        image_sizes (dict): Width and height of each photograph by its path.
    """
    _write_coco(
        path,
        [(hand.image, image_sizes[hand.image],
          _annotation(
              np.where(hand.seen[:, None], hand.keypoints, 0.), hand.seen))
         for hand in hands])


def _annotation(keypoints: np.ndarray, known: np.ndarray) -> dict:
    low, high = keypoints[known].min(0), keypoints[known].max(0)
    return dict(
        bbox=[*low.tolist(), *(high - low).tolist()],
        keypoints=np.column_stack([keypoints, 2 * known]).ravel().tolist())


def _write_coco(path: Path, hands: Sequence[Tuple[str, Tuple[int, int],
                                                  dict]]) -> None:
    images: Dict[str, dict] = {}
    annotations = []
    for name, (width, height), annotation in hands:
        image = images.setdefault(
            name,
            dict(
                id=len(images),
                file_name=osp.abspath(name),
                width=width,
                height=height))
        annotations.append(
            dict(
                id=len(annotations),
                image_id=image['id'],
                category_id=1,
                **annotation))
    category = dict(id=1, name='hand', keypoints=list(FREIHAND_JOINTS))
    write_json(
        path,
        dict(
            images=list(images.values()),
            annotations=annotations,
            categories=[category]))


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
        left out.

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
    categories = {
        entry['id']: _read_category(entry, f'{path}, category {i}')
        for i, entry in enumerate(content['categories'])
        if isinstance(entry, dict) and 'id' in entry
    }
    images = {}
    for i, entry in enumerate(content['images']):
        where = f'{path}, image {i}'
        if not isinstance(entry, dict) or 'id' not in entry or not isinstance(
                entry.get('file_name'), str):
            raise ValueError(f'{where} has no id or no file_name')
        name = local_name(entry['file_name'], str(folder))
        images[entry['id']] = osp.realpath(osp.join(folder, name))
        sizes = entry.get('width'), entry.get('height')
        if osp.isfile(images[entry['id']]) and None not in sizes:
            fault = find_size_fault(sizes,
                                    read_image_size(images[entry['id']]))
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
        order, side = categories[entry['category_id']]
    except (KeyError, TypeError):
        raise ValueError(f'{where} belongs to no image or no category of the '
                         'file') from None
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
    return PhotoHand(image, 'labels', 'true', side, keypoints, seen, None,
                     None)
