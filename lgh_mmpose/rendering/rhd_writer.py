"""StudioHand in the on-disk layout of RHD v1.1."""
import pickle
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np

from lgh_mmpose.geometry.camera import project

from ..fileio import encode_image
from .layout import Layout
from .scene import SceneGenerator, SyntheticSample

# RHD has the joints of a finger from tip to base, StudioHand from base to tip
_TIP_TO_BASE = [0] + [4 * f + i for f in range(5) for i in (4, 3, 2, 1)]
_MAX_DEPTH = 5000.  # mm, of a depth map


class RhdLayout(Layout):
    """A left and a right hand per image.

    ``training/color/%05d.png``, ``training/mask/%05d.png`` (part ids, see
    :class:`SyntheticSample`), ``training/anno_training.pickle`` (image number
    -> ``xyz`` (42, 3) in metres, ``uv_vis`` (42, 3), ``K`` (3, 3), float32,
    joints 0 to 20 of the left hand), with ``depth`` also
    ``training/depth/%05d.png`` (high byte in red, low byte in green, 65535
    is 5 m, which stands where there is no hand), and the same for
    ``evaluation``.

    Args:
        depth: Whether to write depth maps.
    """

    name = 'rhd'
    image_size = 320

    def __init__(self, depth: bool = False):
        self.depth = depth
        self.folders = ('color', 'mask') + ('depth', ) * depth

    def parameters(self) -> Dict[str, Any]:
        return {**super().parameters(), 'depth': self.depth}

    def image_name(self, index: int) -> str:
        return f'{index:05d}.png'

    def annotation_files(self, split: str) -> Sequence[str]:
        return [f'{split}/anno_{split}.pickle']

    def make_sample(self, scenes: SceneGenerator,
                    index: int) -> SyntheticSample:
        return scenes.sample_both_hands(index)

    def write_images(self, folder: Path, index: int,
                     sample: SyntheticSample) -> tuple:
        images = dict(color=sample.image[..., ::-1], mask=sample.part_mask)
        if self.depth:
            images['depth'] = encode_depth(sample.depth)[..., ::-1]
        for kind, image in images.items():
            path = folder / kind / self.image_name(index)
            path.write_bytes(encode_image(image, '.png'))
        hands = [sample.sides.index(side) for side in ('left', 'right')]
        xyz = np.concatenate(
            [sample.keypoints_cam[hand][_TIP_TO_BASE] for hand in hands])
        visible = np.concatenate(
            [sample.keypoints_visible[hand][_TIP_TO_BASE] for hand in hands])
        uv = project(xyz, sample.camera_matrix)
        return xyz / 1000, np.column_stack([uv, visible]), sample.camera_matrix

    def write_annotations(self, root: Path, split: str,
                          annotations: List[tuple]) -> None:
        content = {
            index: {
                name: np.array(value, dtype=np.float32)
                for name, value in zip(('xyz', 'uv_vis', 'K'), annotation)
            }
            for index, annotation in enumerate(annotations)
        }
        # The name that every NumPy knows: those before 1.26 have no _core.
        data = pickle.dumps(
            content, protocol=3).replace(b'cnumpy._core.multiarray\n',
                                         b'cnumpy.core.multiarray\n', 1)
        name, = self.annotation_files(split)
        (root / name).write_bytes(data)


def encode_depth(depth: np.ndarray) -> np.ndarray:
    """Encode a depth map in RHD's way.

    Args:
        depth: (S, S) mm, inf where there is nothing.

    Returns:
        np.ndarray: (S, S, 3) uint8, RGB.
    """
    value = np.rint(np.minimum(depth / _MAX_DEPTH, 1) * 65535).astype(int)
    return np.stack([value >> 8, value & 255, 0 * value], -1).astype(np.uint8)
