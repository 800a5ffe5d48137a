"""Transforms that keep the camera geometry of a sample exact."""
from typing import Dict, Tuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.datasets.transforms import TopdownAffine
from mmpose.registry import TRANSFORMS
from mmpose.structures.bbox import get_udp_warp_matrix, get_warp_matrix

from ..camera import warp_points


def _describe(results: Dict) -> str:
    """Name a sample in an error message."""
    return f'sample {results.get("id")} ({results.get("img_path")})'


@TRANSFORMS.register_module()
class TopdownAffineCamera(TopdownAffine):
    """:class:`TopdownAffine` that keeps its matrix.

    With the warp ``A`` from the original image to the input, the camera of
    the input is ``A @ camera_matrix`` and the joints in the camera frame stay
    as they are. That is exact for any crop, scale, rotation and mirror.

    Required Keys:

        - img
        - bbox_center
        - bbox_scale
        - bbox_rotation (optional)
        - keypoints (optional)

    Modified Keys:

        - img
        - bbox_scale

    Added Keys:

        - input_size
        - input_center
        - input_scale
        - warp_mat: (3, 3), float64, px of the image to px of the input
        - transformed_keypoints (where there are keypoints)

    Args:
        input_size (Tuple[int, int]): The input image size of the model in
            [w, h]. The bbox region will be cropped and resized to it.
        use_udp (bool): Whether to use unbiased data processing, see
            :class:`TopdownAffine`. Defaults to ``False``.
    """

    def transform(self, results: Dict) -> dict:
        """Crop the hand.

        Args:
            results (dict): The result dict.

        Returns:
            dict: The result dict.

        Raises:
            ValueError: If the box has no area or is not finite.
        """
        w, h = self.input_size
        center, scale = results['bbox_center'], results['bbox_scale']
        if center.shape != (1, 2) or scale.shape != (1, 2):
            raise ValueError(
                f'{_describe(results)}: one box per sample is supported, got '
                f'bbox_center {center.shape} and bbox_scale {scale.shape}')
        rotation = float(results.get('bbox_rotation', [0.])[0])
        if not np.isfinite([*center[0], *scale[0], rotation
                            ]).all() or (scale <= 0).any():
            raise ValueError(
                f'{_describe(results)}: the box has no area or is not finite '
                f'(center {center[0].tolist()}, size {scale[0].tolist()}, '
                f'rotation {rotation}); correct or drop this sample')

        scale = self._fix_aspect_ratio(scale, aspect_ratio=w / h)
        get_matrix = get_udp_warp_matrix if self.use_udp else get_warp_matrix
        warp_mat = np.eye(3)
        warp_mat[:2] = get_matrix(
            center[0], scale[0], rotation, output_size=(w, h))

        results['img'] = cv2.warpAffine(
            results['img'], warp_mat[:2], (w, h), flags=cv2.INTER_LINEAR)
        if results.get('keypoints') is not None:
            keypoints = results['keypoints']
            results['transformed_keypoints'] = warp_points(
                keypoints[..., :2], warp_mat)
        results['warp_mat'] = warp_mat
        results['bbox_scale'] = scale
        results['input_size'] = (w, h)
        results['input_center'] = center[0]
        results['input_scale'] = scale[0]
        return results


@TRANSFORMS.register_module()
class CanonicalizeHandSide(BaseTransform):
    """Mirror hands of the other side, so that the network sees one side.

    The mirror maps the pixel column ``u`` to ``w - 1 - u`` (pixel centres at
    integers). It changes the input only: joints in the camera frame and the
    camera stay those of the original image, and ``warp_mat`` leads back to
    them. Must stand after :class:`TopdownAffineCamera`.

    Required Keys:

        - img
        - hand_side
        - warp_mat
        - transformed_keypoints (optional)

    Modified Keys:

        - img
        - warp_mat
        - transformed_keypoints

    Added Keys:

        - flip: whether the input was mirrored
        - flip_direction: ``'horizontal'`` or None

    Args:
        side (str): The side that all hands get, ``'right'`` or ``'left'``.
            Defaults to ``'right'``.
    """

    SIDES: Tuple[str, str] = ('left', 'right')

    def __init__(self, side: str = 'right') -> None:
        super().__init__()
        if side not in self.SIDES:
            raise ValueError(f'side must be one of {self.SIDES}, got {side!r}')
        self.side = side

    def transform(self, results: Dict) -> dict:
        """Mirror the input if need be.

        Args:
            results (dict): The result dict.

        Returns:
            dict: The result dict.

        Raises:
            ValueError: If the side of the hand is unknown or there is no
                ``warp_mat`` yet.
        """
        hand_side = results.get('hand_side')
        if hand_side not in self.SIDES:
            raise ValueError(f'{_describe(results)}: hand_side must be one '
                             f'of {self.SIDES}, got {hand_side!r}')
        if 'warp_mat' not in results:
            raise ValueError(f'{_describe(results)}: CanonicalizeHandSide '
                             'must stand after TopdownAffineCamera')
        results['flip'] = hand_side != self.side
        results['flip_direction'] = None
        if not results['flip']:
            return results

        results['flip_direction'] = 'horizontal'
        width = results['img'].shape[1]
        results['img'] = cv2.flip(results['img'], 1)
        mirror = np.array([[-1., 0., width - 1.], [0., 1., 0.], [0., 0., 1.]])
        results['warp_mat'] = mirror @ results['warp_mat']
        if results.get('transformed_keypoints') is not None:
            results['transformed_keypoints'] = warp_points(
                results['transformed_keypoints'], mirror)
        return results

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}(side={self.side!r})'
