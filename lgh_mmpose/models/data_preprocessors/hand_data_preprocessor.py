"""From crops to the network's input."""
from typing import Any, Dict, Optional, Sequence

import cv2
import torch
from mmpose.models.data_preprocessors import PoseDataPreprocessor
from mmpose.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class HandDataPreprocessor(PoseDataPreprocessor):
    """:class:`PoseDataPreprocessor` for crops of one size.

    It gives the same numbers, but treats the batch as a whole, leaves it in
    channels_last and does not copy the data samples: on the device they are
    on already they are passed on as they are.

    Args:
        mean (Sequence[float]): Mean of the channels, in the order of the
            network.
        std (Sequence[float]): Their standard deviation.
        bgr_to_rgb (bool): Whether to turn the channels round. Defaults to
            ``False``.
        rgb_to_bgr (bool): The same. Defaults to ``False``.
        non_blocking (bool): Whether transfers to the device do not wait.
            Defaults to ``False``.
    """

    def __init__(self,
                 mean: Sequence[float],
                 std: Sequence[float],
                 bgr_to_rgb: bool = False,
                 rgb_to_bgr: bool = False,
                 non_blocking: Optional[bool] = False) -> None:
        super().__init__(
            mean=mean,
            std=std,
            bgr_to_rgb=bgr_to_rgb,
            rgb_to_bgr=rgb_to_bgr,
            non_blocking=non_blocking)

    def forward(self, data: Dict, training: bool = False) -> Dict[str, Any]:
        """Make the network's input.

        Args:
            data (dict): ``inputs``, B tensors (3, H, W) on the CPU or one
                of (B, 3, H, W), and ``data_samples``, if any.
            training (bool): Makes no difference.

        Returns:
            dict: ``inputs`` (B, 3, H, W), float32 and in channels_last on
            the model's device, and ``data_samples`` with their labels there.

        Raises:
            ValueError: If the images differ in size, or there is none.
        """
        images = self._normalize(data['inputs'])
        samples = data.get('data_samples')
        shape = tuple(images.shape[-2:])
        for sample in samples or ():
            for key in ('batch_input_shape', 'pad_shape'):
                sample.set_field(shape, key, field_type='metainfo')
            labels = sample.get('gt_instance_labels')
            # comparing devices costs less than moving nothing
            if labels is not None and self.device.type != 'cpu':
                sample.gt_instance_labels = labels.to(
                    self.device, non_blocking=self._non_blocking)
        return dict(inputs=images, data_samples=samples)

    def _normalize(self, inputs: Sequence[Tensor]) -> Tensor:
        shapes = {tuple(image.shape) for image in inputs}
        if len(shapes) > 1:
            raise ValueError('HandDataPreprocessor needs crops of one size, '
                             f'got {sorted(shapes)}')
        if not shapes:
            raise ValueError('the batch is empty: it has no image')
        images = torch.stack([image.permute(1, 2, 0) for image in inputs])
        batch, height, width, channels = images.shape
        images = images.view(batch * height, width, channels)
        if self._channel_conversion:
            # before the transfer, as bytes; cv2 does it by vectors
            images = torch.from_numpy(
                cv2.cvtColor(images.numpy(), cv2.COLOR_BGR2RGB))
        images = images.to(self.device, non_blocking=self._non_blocking)
        # whole rows are long enough for vectors, three channels are not
        mean, std = (x.flatten().repeat(width) for x in (self.mean, self.std))
        images = images.view(batch * height, width * channels).float()
        images.sub_(mean).div_(std)
        images = images.view(batch, height, width, channels)
        return images.permute(0, 3, 1, 2)
