"""StudioHand in the on-disk layout of COCO: whole pictures for detectors."""
import json
from pathlib import Path
from typing import Any, Dict, List, Sequence

import cv2
import numpy as np

from ..fileio import encode_image
from ..geometry.hand import CATEGORIES, hand_links
from .layout import Layout
from .scene import SceneGenerator
from .whole_pictures import WholePicture, WholePictures

KEYPOINTS = ('wrist', *(f'{finger}{i}'
                        for finger in ('thumb', 'forefinger', 'middle_finger',
                                       'ring_finger', 'pinky_finger')
                        for i in range(1, 5)))
"""Names of the key points, those of mmpose's FreiHAND."""
SMALLEST_BOX = 10.
"""Longer side in px of the smallest box that is to be found."""
SMALLEST_SHARE = .12
"""Least share of the box of all key points, uncut, that shows a hand that is
to be found. Of an open hand's it is about a half."""

_JPEG_QUALITY = 95


class CocoLayout(Layout):
    """Whole pictures with hands of all sizes, or none.

    ``training/images/%08d.jpg``, ``annotations/training.json`` (COCO's key
    points; the categories are the sides), and the same for ``evaluation``.

    A box is that of the 21 key points, cut at the border of the picture. The
    visibility of a key point is 0 outside of the picture (its coordinates
    are written all the same), 1 behind something, 2 if it is seen. A hand
    whose box is shorter than 10 px, of which hardly anything is seen (less
    than 12 % of the box before it is cut), or which the camera lost in the
    dark, in light or in noise, has ``iscrowd`` 1: neither finding it nor
    missing it is a fault. A hand of which nothing is seen, or that has no
    key point in the picture, is not annotated.
    """

    name = 'coco'
    image_size = 320
    folders = ('images', )

    def image_name(self, index: int) -> str:
        return f'{index:08d}.jpg'

    def annotation_files(self, split: str) -> Sequence[str]:
        return [f'annotations/{split}.json']

    def make_generator(self, **scene) -> WholePictures:
        return WholePictures(SceneGenerator(**scene))

    def make_sample(self, scenes: WholePictures, index: int) -> WholePicture:
        return scenes.sample(index)

    def write_images(self, folder: Path, index: int,
                     sample: WholePicture) -> Dict[str, Any]:
        encoded = encode_image(sample.image[..., ::-1], '.jpg',
                               (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
        (folder / 'images' / self.image_name(index)).write_bytes(encoded)
        height, width = sample.image.shape[:2]
        return dict(width=width, height=height, hands=describe_hands(sample))

    def write_annotations(self, root: Path, split: str,
                          annotations: List[Dict[str, Any]]) -> None:
        images, hands = [], []
        for index, picture in enumerate(annotations):
            images.append({
                'id': index,
                'file_name': self.image_name(index),
                'width': picture['width'],
                'height': picture['height'],
            })
            for hand in picture['hands']:
                hands.append({'id': len(hands) + 1, 'image_id': index, **hand})
        skeleton = [[a + 1, b + 1] for a, b in hand_links(KEYPOINTS)]
        content = {
            'images':
            images,
            'annotations':
            hands,
            'categories': [{
                'id': i,
                'name': name,
                'supercategory': 'hand',
                'keypoints': KEYPOINTS,
                'skeleton': skeleton,
            } for i, name in enumerate(CATEGORIES, 1)],
        }
        name, = self.annotation_files(split)
        (root / name).parent.mkdir(exist_ok=True)
        with open(root / name, 'w') as file:
            json.dump(content, file, allow_nan=False)
            file.write('\n')


def describe_hands(sample: WholePicture) -> List[Dict[str, Any]]:
    """Annotations of a picture's hands, without their ids.

    Args:
        sample: The picture.

    Returns:
        list: See :class:`CocoLayout`.
    """
    size = np.array(sample.image.shape[1::-1])
    hands = []
    for uv, visible, area, legible, side in zip(sample.keypoints,
                                                sample.visible, sample.areas,
                                                sample.legible, sample.sides):
        inside = ((uv > -.5) & (uv < size - .5)).all(axis=1)
        if not area or not inside.any():
            continue
        low, high = uv.min(axis=0), uv.max(axis=0)
        whole = np.prod(high - low)
        # pixel centres are at integers
        low, high = np.clip([low, high], 0, size - 1)
        width, height = high - low
        sight = np.where(visible, 2, np.where(inside, 1, 0))
        found = (
            legible and area >= SMALLEST_SHARE * whole
            and max(width, height) >= SMALLEST_BOX)
        # the last digits depend on the processor
        hands.append({
            'category_id':
            1 + CATEGORIES.index(f'{side}_hand'),
            'bbox':
            np.round([*low, width, height], 2).tolist(),
            'area':
            round(float(width * height), 2),
            'iscrowd':
            int(not found),
            'keypoints': [
                value
                for point, v in zip(np.round(uv, 2).tolist(), sight.tolist())
                for value in (*point, v)
            ],
            'num_keypoints':
            int((sight > 0).sum()),
        })
    return hands
