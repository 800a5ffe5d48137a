"""Whole pictures of toy hands in COCO's format, for a detector."""
import json
from pathlib import Path
from typing import List, Tuple

import cv2
import numpy as np
from dataset_writers import FREIHAND_NAMES
from helpers import toy_hand

SKIN = (120, 150, 220)


def draw_hands(rng: np.random.Generator, size: Tuple[int, int],
               num_hands: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A noisy picture with toy hands, left ones green.

    Returns:
        tuple: The picture (H, W, 3), BGR, joints (N, 21, 2), px, and which
        are right hands, bool (N,).
    """
    width, height = size
    image = rng.integers(0, 100, (height, width, 3), dtype=np.uint8)
    joints, right = np.empty(
        (num_hands, 21, 2)), rng.uniform(size=num_hands) < .5
    for i in range(num_hands):
        hand = toy_hand(rng)[:, :2] * (1 if right[i] else -1, 1)
        hand -= hand.mean(axis=0)
        scale = rng.uniform(.3, .5) * min(size) / np.ptp(hand, axis=0).max()
        # side by side
        place = ((i + .5) / num_hands * width, rng.uniform(.35, .65) * height)
        joints[i] = scale * hand + place
        color = SKIN if right[i] else (100, 220, 100)
        for finger in range(5):
            chain = [0, *range(1 + 4 * finger, 5 + 4 * finger)]
            cv2.polylines(image, [np.round(joints[i][chain]).astype(int)],
                          False, color, max(2,
                                            min(size) // 40))
    return image, joints, right


def write_hand_pictures(root: Path,
                        num_train: int = 8,
                        num_eval: int = 4,
                        size: Tuple[int, int] = (96, 80),
                        seed: int = 0) -> Path:
    """Write a set in StudioHand's layout ``coco``.

    Each fourth picture has no hands, the others one or two.
    """
    rng = np.random.default_rng(seed)
    for split, num in (('training', num_train), ('evaluation', num_eval)):
        folder = root / split / 'images'
        folder.mkdir(parents=True)
        images, annotations = [], []
        for i in range(num):
            image, joints, right = draw_hands(rng, size,
                                              0 if i % 4 == 3 else 1 + i % 2)
            cv2.imwrite(str(folder / f'{i:08d}.jpg'), image)
            images.append(
                dict(
                    id=i,
                    file_name=f'{i:08d}.jpg',
                    width=size[0],
                    height=size[1]))
            for hand, is_right in zip(joints, right):
                annotations.append(
                    dict(
                        annotation(hand, size, int(is_right)),
                        id=len(annotations) + 1,
                        image_id=i))
        path = root / 'annotations' / f'{split}.json'
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            json.dumps(
                dict(
                    images=images,
                    annotations=annotations,
                    categories=categories())))
    return root


def annotation(joints: np.ndarray, size: Tuple[int, int], label: int) -> dict:
    """What the layout says of a hand (21, 2), but for ids."""
    low, high = (
        bound.clip(0, np.subtract(size, 1))
        for bound in (joints.min(axis=0), joints.max(axis=0)))
    width, height = (high - low).tolist()
    seen = ((joints >= 0) & (joints < size)).all(axis=1)
    return dict(
        category_id=1 + label,
        bbox=[*low.tolist(), width, height],
        area=width * height,
        iscrowd=0,
        keypoints=np.concatenate([joints, 2. * seen[:, None]],
                                 1).ravel().tolist(),
        num_keypoints=int(seen.sum()))


def categories() -> List[dict]:
    return [
        dict(id=i, name=name, keypoints=FREIHAND_NAMES, skeleton=[[1, 2]])
        for i, name in enumerate(('left_hand', 'right_hand'), 1)
    ]


def write_whole_photos(folder: Path) -> None:
    """``whole.json`` with one photograph of two hands."""
    cv2.imwrite(str(folder / 'whole.png'), np.zeros((60, 50, 3), np.uint8))
    hands = [
        dict(hand_side='left', box=[1, 2, 30, 40]),
        dict(hand_side='unknown', box=[5, 5, 9, 9])
    ]
    (folder / 'whole.json').write_text(
        json.dumps([dict(image='whole.png', hands=hands)]))
