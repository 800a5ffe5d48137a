"""Annotations of hands in COCO's format, for detectors."""
import json
import os.path as osp
from typing import Any, Dict, List

import numpy as np

from ..geometry.hand import CATEGORIES
from ..shards import Parts
from .base_hand3d import load_json, local_name

NUM_JOINTS = 21
WRIST, MIDDLE_KNUCKLE = 0, 9
"""The joints between which the direction of a hand lies."""


def read_coco_hands(data_root: str, split: str) -> List[dict]:
    """Read the pictures of StudioHand's layout ``coco``, whole or in shards.

    Args:
        data_root (str): Holds ``annotations/{split}.json`` and
            ``{split}/images``, or shards that do.
        split (str): ``'training'`` or ``'evaluation'``.

    Returns:
        list[dict]: A picture each, in the order of the files, with
        ``img_path``, ``img_id``, its place in the list, ``height``, ``width``
        and ``instances``, which have ``bbox`` (4,) left, top, right, bottom,
        px, ``bbox_label``, an index of :data:`CATEGORIES`, ``ignore_flag``
        and ``keypoints``: x, y and visibility of each joint, (63,).

    Raises:
        FileNotFoundError: If a file of annotations is missing.
        ValueError: If it is of another kind, names the entry, or a shard has
            not as many pictures as it must have.
    """
    parts = Parts(data_root, split)
    pictures = [
        _read_file(
            osp.join(folder, 'annotations', f'{split}.json'),
            osp.join(folder, split, 'images')) for folder in parts.folders
    ]
    parts.check_sizes([len(part) for part in pictures])
    pictures = [picture for part in pictures for picture in part]
    for i, picture in enumerate(pictures):
        picture['img_id'] = i
    return pictures


def _read_file(path: str, folder: str) -> List[dict]:
    """Pictures of one file of annotations, which lie in a folder."""
    if not osp.isfile(path):
        raise FileNotFoundError(
            f'{path} is missing: give the folder that '
            'tools/dataset_converters/make_studiohand.py wrote in its layout '
            'coco')
    content = load_json(path)
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(content, dict) or not isinstance(
                content.get(key), list):
            raise ValueError(f'{path} is not of COCO\'s format: it has no '
                             f'list of {key}')
    labels = _read_categories(content['categories'], path)
    pictures: Dict[Any, dict] = {}
    for i, image in enumerate(content['images']):
        where = f'{path}, picture {i}'
        try:
            name, size = image['file_name'], [image['width'], image['height']]
            identity = image['id']
            known = identity in pictures
        except (KeyError, TypeError) as error:
            raise ValueError(f'{where} has no file_name, width, height or '
                             f'id ({error})') from None
        if known or not isinstance(name, str) or not all(
                type(length) is int and length > 0 for length in size):
            raise ValueError(f'{where} has a bad file_name or size, or the id '
                             'of another picture')
        pictures[identity] = dict(
            img_path=osp.join(folder, local_name(name, folder)),
            width=size[0],
            height=size[1],
            instances=[])
    for i, annotation in enumerate(content['annotations']):
        where = f'{path}, annotation {i}'
        if not isinstance(annotation, dict):
            raise ValueError(f'{where} is no json object')
        picture, label = (known.get(annotation.get(key)) if isinstance(
            annotation.get(key), (int, str)) else None
                          for known, key in ((pictures, 'image_id'),
                                             (labels, 'category_id')))
        if picture is None:
            raise ValueError(f'{where} belongs to no picture')
        if label is None:
            raise ValueError(f'{where} belongs to no category')
        picture['instances'].append(_parse(annotation, label, where))
    return list(pictures.values())


def _read_categories(categories: List[Any], path: str) -> Dict[Any, int]:
    """Label by id."""
    try:
        names = {entry['name']: entry['id'] for entry in categories}
        return {names[name]: label for label, name in enumerate(CATEGORIES)}
    except (KeyError, TypeError):
        raise ValueError(
            f'{path} must have the categories {" and ".join(CATEGORIES)}, '
            f'got {json.dumps(categories)[:200]}') from None


def _parse(annotation: dict, label: int, where: str) -> dict:
    try:
        keypoints = np.array(annotation['keypoints'], dtype=np.float64)
        x, y, width, height = np.array(annotation['bbox'], np.float64)
        good = np.isfinite(keypoints).all() and keypoints.shape == (
            3 * NUM_JOINTS, ) and np.isfinite([x, y, width, height]).all()
    except (KeyError, TypeError, ValueError):
        good = False
    if not good or not (width >= 0 and height >= 0):
        raise ValueError(
            f'{where} must have a bbox of 4 and keypoints of '
            f'{3 * NUM_JOINTS} finite numbers, width and height not negative')
    return dict(
        bbox=[x, y, x + width, y + height],
        bbox_label=label,
        ignore_flag=int(bool(annotation.get('iscrowd', 0))),
        keypoints=keypoints)
