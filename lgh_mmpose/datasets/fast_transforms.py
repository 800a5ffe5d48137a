"""Stages of mmpose's pipelines at a fraction of their cost.

What they give is that of the stage they stand for: the same random numbers
for the same seed, the same pixels, the same fields.
"""
from typing import Dict, Optional, Tuple

import cv2
import numpy as np
import torch
from mmengine import fileio
from mmengine.structures import InstanceData
from mmpose.datasets.transforms import (LoadImage, PackPoseInputs,
                                        PhotometricDistortion,
                                        RandomBBoxTransform)
from mmpose.registry import TRANSFORMS
from mmpose.structures import PoseDataSample
from scipy.special import ndtr, ndtri

from ..inference.images import ImageError, decode_reduced, name_image_error
from .transforms import check_not_flipped, describe


@TRANSFORMS.register_module()
class LoadHandImage(LoadImage):
    """:class:`LoadImage` that decodes no more of a JPEG than the crop needs.

    JPEG stores blocks of 8 x 8 px, which libjpeg can decode to 4 x 4, 2 x 2
    or one pixel at less cost. That is done as far as the crop keeps at least
    one pixel per pixel of the input. A pixel ``i`` of the reduced image lies
    at ``f * i + (f - 1) / 2`` of the whole one, exactly so because images
    whose sides are no multiples of ``f`` are not reduced. All coordinates
    stay those of the whole image; :class:`TopdownAffineCamera` knows of it.

    To reduce, it must stand after whatever changes the box, and directly
    before :class:`TopdownAffineCamera`.

    Required Keys:

        - img_path or img
        - bbox_scale (with ``input_size``)

    Added Keys:

        - img
        - img_shape, ori_shape: (h, w) of the whole image, px
        - img_reduction: pixels of the whole image per pixel of ``img``

    Args:
        input_size (tuple[int, int], optional): Input size of the model,
            [w, h]. Defaults to none: the whole image is decoded.
        backend_args (dict, optional): As in :class:`LoadImage`.
    """

    def __init__(self,
                 input_size: Optional[Tuple[int, int]] = None,
                 backend_args: Optional[dict] = None) -> None:
        super().__init__(backend_args=backend_args)
        self.input_size = None if input_size is None else tuple(input_size)

    def transform(self, results: Dict) -> dict:
        """Load the image.

        Args:
            results (dict): The result dict.

        Returns:
            dict: The result dict.

        Raises:
            OSError: If the file cannot be read.
            ImageError: If it is empty, damaged, too large, or of a format
                that is not decoded.
            ValueError: If ``img`` is given and no uint8 (H, W, 3).
        """
        results['img_reduction'] = 1
        if 'img' in results:
            _check_array(results['img'])
            return super().transform(results)
        path = results['img_path']
        content = fileio.get(path, backend_args=self.backend_args)
        try:
            img, reduction = decode_reduced(content,
                                            self._max_reduction(results))
        except ImageError as error:
            raise name_image_error(error, path) from error
        height, width = img.shape[:2]
        results['img'] = img
        results['img_reduction'] = reduction
        results['img_shape'] = height * reduction, width * reduction
        results['ori_shape'] = results['img_shape']
        return results

    def _max_reduction(self, results: Dict) -> float:
        if self.input_size is None:
            return 1
        w, h = self.input_size
        box_w, box_h = results['bbox_scale'][0]
        # the crop has the input's aspect ratio, whatever the box has
        return max(box_w / w, box_h / h)

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}(input_size={self.input_size})'


@TRANSFORMS.register_module()
class FastRandomBBoxTransform(RandomBBoxTransform):
    """:class:`RandomBBoxTransform` without the overhead of scipy.stats.

    Seeded alike, both draw the same boxes. Takes its arguments.
    """

    @staticmethod
    def _truncnorm(low: float = -1.,
                   high: float = 1.,
                   size: tuple = ()) -> np.ndarray:
        # the inverse distribution function of uniform numbers, which is what
        # truncnorm.rvs computes, by logarithms that serve the far tails
        below, above = ndtr(low), ndtr(high)
        uniform = np.random.uniform(size=size)
        return ndtri(below + uniform * (above - below)).astype(np.float32)


@TRANSFORMS.register_module()
class FastPhotometricDistortion(PhotometricDistortion):
    """:class:`PhotometricDistortion` by look-up tables.

    All it does to a pixel but the change of the colour space depends on one
    byte alone. Seeded alike, both give the same pixels, the oddities
    included: contrast is either left alone or changed twice, and a hue below
    zero comes out at 256 more. Takes its arguments.
    """

    _BYTES = np.arange(256, dtype=np.uint8)

    def transform(self, results: Dict) -> dict:
        """Distort the image.

        Args:
            results (dict): The result dict.

        Returns:
            dict: The result dict.
        """
        img = results['img']
        (contrast_mode, brightness_flag, contrast_flag, hsv_mode, swap_flag,
         brightness_beta, contrast_alpha, saturation_alpha, hue_delta,
         swap_channel_order) = self._random_flags()
        twice = contrast_mode == 1 and contrast_flag

        if brightness_flag or twice:
            table = self._BYTES
            if brightness_flag:
                table = self._convert(table, beta=brightness_beta)
            if twice:
                table = self._convert(table, alpha=contrast_alpha)
            img = cv2.LUT(img, table)
        if hsv_mode:
            table = np.stack([self._BYTES] * 3, axis=-1)
            if hsv_mode in (1, 3):
                table[:, 1] = self._convert(
                    self._BYTES, alpha=saturation_alpha)
            if hsv_mode in (2, 3):
                table[:, 0] = self._BYTES.astype(int) + hue_delta
            img = cv2.cvtColor(img, cv2.COLOR_BGR2HSV)
            img = cv2.LUT(img, table[None])
            img = cv2.cvtColor(img, cv2.COLOR_HSV2BGR)
        if twice:
            img = cv2.LUT(img,
                          self._convert(self._BYTES, alpha=contrast_alpha))
        if swap_flag:
            swapped = np.empty_like(img)
            cv2.mixChannels([img], [swapped], [
                channel for pair in zip(swap_channel_order.tolist(), range(3))
                for channel in pair
            ])
            img = swapped
        results['img'] = img
        return results


@TRANSFORMS.register_module()
class PackHandInputs(PackPoseInputs):
    """:class:`PackPoseInputs` of one hand, without copies.

    The image stays as it lies in memory, row by row of pixels, of which the
    tensor is a view; metainfo is not copied for every sample.

    Args:
        meta_keys (Sequence[str]): Keys to be stored as metainfo.
        pack_transformed (bool): Whether to pack the joints in pixels of the
            crop as well, which mmpose's ``browse_dataset`` draws. Defaults to
            ``False``.
    """

    def __init__(self,
                 meta_keys: Tuple[str, ...],
                 pack_transformed: bool = False) -> None:
        super().__init__(
            meta_keys=meta_keys, pack_transformed=pack_transformed)

    def transform(self, results: Dict) -> dict:
        """Pack the sample.

        Args:
            results (dict): The result dict.

        Returns:
            dict:

            - inputs (torch.Tensor): (3, H, W), uint8, in channels_last
            - data_samples (PoseDataSample): ``gt_instances`` as arrays,
              ``gt_instance_labels`` as tensors, and metainfo

        Raises:
            ValueError: If the codec makes heat maps or other fields, or a
                transform has mirrored or resized the image and not the
                camera.
        """
        check_not_flipped(results)
        size = results['img'].shape[1::-1]
        if size != tuple(results.get('input_size', size)):
            raise ValueError(
                f'{describe(results)}: a transform after the crop has made an '
                f'input of {results["input_size"]} px one of {size}; leave it '
                'out: TopdownAffineCamera crops and scales, with the camera')
        if results.get('field_mapping_table'):
            raise ValueError('PackHandInputs packs labels alone, but the '
                             'codec makes fields '
                             f'({", ".join(results["field_mapping_table"])}): '
                             'use PackPoseInputs')
        instances = results.get('instance_mapping_table',
                                self.instance_mapping_table)
        if self.pack_transformed:
            instances = dict(
                instances, transformed_keypoints='transformed_keypoints')
        labels = results.get('label_mapping_table', self.label_mapping_table)
        sample = PoseDataSample()
        sample.gt_instances = _instance_data({
            name: results[key]
            for key, name in instances.items() if key in results
        })
        sample.gt_instance_labels = _instance_data({
            name:
            torch.from_numpy(results[key])
            for key, name in labels.items() if key in results
        })
        for key in self.meta_keys:
            if key in results:
                sample.set_field(results[key], key, field_type='metainfo')
        inputs = torch.from_numpy(results['img']).permute(2, 0, 1)
        return dict(inputs=inputs, data_samples=sample)


def _check_array(image: np.ndarray) -> None:
    """Of an image that is given: other kinds fail later, or silently."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[
            2] != 3 or not image.size:
        raise ValueError(
            'an array must be an image in BGR, uint8 (H, W, 3), got '
            f'{image.dtype} {image.shape}: convert it, by cv2.cvtColor with '
            'COLOR_GRAY2BGR or COLOR_BGRA2BGR')


def _instance_data(fields: Dict) -> InstanceData:
    data = InstanceData()
    for name, value in fields.items():
        data.set_field(value, name)
    return data
