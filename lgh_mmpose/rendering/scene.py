"""Samples of the renderer before, by the interface of the one to come."""
from pathlib import Path
from typing import Collection, Optional, Union

import cv2
import numpy as np

from ..synthesis import scene as former
from ..synthesis.appearance import BackgroundPool
from ..synthesis.scene import (DIFFICULTIES, PERSON_ID, SPLITS, PlacedHand,
                               SyntheticSample, place_hand)

__all__ = [
    'DIFFICULTIES', 'INGREDIENTS', 'PERSON_ID', 'PlacedHand', 'SPLITS',
    'SceneGenerator', 'SyntheticSample', 'place_hand'
]

INGREDIENTS = ('subjects', 'skins', 'environment_light', 'photographs',
               'objects', 'accessories', 'camera')
"""What can be left out of the pictures."""


class _Photographs(BackgroundPool):
    """Pictures of a folder instead of drawn ones."""

    def __init__(self, folder: Path, size: int = 320):
        images = (
            cv2.imread(str(path)) for path in sorted(folder.iterdir())
            if path.is_file())
        images = [image for image in images if image is not None]
        if not images:
            raise ValueError(f'{folder} holds no picture for the background')
        super().__init__(images, size)

    def __getitem__(self, index: int) -> np.ndarray:
        return cv2.resize(self._seeds[index][..., ::-1],
                          (self._size, self._size))


class SceneGenerator(former.SceneGenerator):
    """Makes samples; each depends on the seed, the split and its index only.

    Args:
        seed: Seed of the data set.
        split: 'training' or 'evaluation'.
        size: Side of the images in pixels.
        difficulty: 'full' or 'easy'.
        backgrounds: Folder of pictures for the background.
        without: What is left out, some of :data:`INGREDIENTS`.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(self,
                 seed: int,
                 split: str = 'training',
                 size: int = 224,
                 difficulty: str = 'full',
                 backgrounds: Optional[Union[str, Path]] = None,
                 without: Collection[str] = ()):
        unknown = sorted(set(without) - set(INGREDIENTS))
        if unknown:
            raise ValueError(f'without has {unknown[0]!r}, expected some of '
                             f'{INGREDIENTS}')
        if set(without) - {'objects'}:
            raise ValueError('this renderer can leave out objects only')
        super().__init__(
            seed,
            split,
            size,
            difficulty,
            occluder_prob=0. if 'objects' in without else .3)
        if backgrounds is not None:
            self.backgrounds = _Photographs(Path(backgrounds))
