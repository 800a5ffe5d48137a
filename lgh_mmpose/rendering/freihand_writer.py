"""StudioHand in the on-disk layout of FreiHAND v2."""
import json
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import cv2
import numpy as np

from ..fileio import encode_image
from .layout import Layout
from .scene import FILL, PERSON_ID, SceneGenerator, SyntheticSample

_JPEG_QUALITY = 95
_REFERENCE_BONE = (9, 10)


class FreiHandLayout(Layout):
    """One right hand per image.

    ``training/rgb/%08d.jpg``, ``training/mask/%08d.jpg`` (hand 255, all else
    0, lossy as FreiHAND's: threshold at 128), ``training_K.json``,
    ``training_xyz.json`` (metres), ``training_scale.json`` (length of bone
    9-10 in metres), and the same for ``evaluation``. There is one version of
    each image, where FreiHAND has four.

    Args:
        fill: Least and largest share of the image that a hand spans.

    Raises:
        ValueError: If that are no such shares.
    """

    name = 'freihand'
    image_size = 224
    folders = ('rgb', 'mask')
    _ARRAYS = ('K', 'xyz', 'scale')

    def __init__(self, fill: Tuple[float, float] = FILL):
        if len(fill) != 2 or not .05 <= fill[0] <= fill[1] <= .9:
            raise ValueError(f'fill is {tuple(fill)}, expected two shares '
                             'from 0.05 to 0.9, the smaller one first')
        self.fill = tuple(fill)

    def parameters(self) -> Dict[str, Any]:
        # what was written before there was a choice has no such parameter
        chosen = {} if self.fill == FILL else {'fill': list(self.fill)}
        return {**super().parameters(), **chosen}

    def image_name(self, index: int) -> str:
        return f'{index:08d}.jpg'

    def annotation_files(self, split: str) -> Sequence[str]:
        return [f'{split}_{name}.json' for name in self._ARRAYS]

    def make_sample(self, scenes: SceneGenerator,
                    index: int) -> SyntheticSample:
        return scenes.sample(index, self.fill)

    def write_images(self, folder: Path, index: int,
                     sample: SyntheticSample) -> list:
        mask = np.where(sample.part_mask > PERSON_ID, 255, 0).astype(np.uint8)
        for kind, image in (('rgb', sample.image[..., ::-1]), ('mask', mask)):
            encoded = encode_image(image, '.jpg',
                                   (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
            (folder / kind / self.image_name(index)).write_bytes(encoded)
        xyz = sample.keypoints_cam[0] / 1000
        first, second = xyz[list(_REFERENCE_BONE)]
        # The last digits depend on the processor.
        return [
            np.round(values, 9).tolist()
            for values in (sample.camera_matrix, xyz,
                           np.linalg.norm(second - first))
        ]

    def write_annotations(self, root: Path, split: str,
                          annotations: List[list]) -> None:
        for i, name in enumerate(self.annotation_files(split)):
            with open(root / name, 'w') as file:
                json.dump([annotation[i] for annotation in annotations],
                          file,
                          allow_nan=False)
                file.write('\n')
