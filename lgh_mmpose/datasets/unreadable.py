"""Data sets some of whose images cannot be read."""
import logging
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from ..inference.images import find_decoding_fault, find_file_fault


class UnreadableImageError(OSError):
    """An image of a sample, or its mask, cannot be read."""

    # no __init__ of its own: DataLoader workers make it from a message alone
    @classmethod
    def of(cls, sample_id: int, path: str, fault: str) -> OSError:
        """Make the error for a sample, a file and what is wrong with it."""
        error = cls(f'{path}: cannot read this image ({fault}); restore the '
                    'file, a test skips nothing')
        error.sample_id, error.path, error.fault = sample_id, path, fault
        return error


@dataclass(frozen=True)
class _Flags:
    """Which images are bad, in memory that all DataLoader workers share."""

    values: torch.Tensor = field(repr=False)

    def __deepcopy__(self, memo: dict) -> '_Flags':
        return self


class SkipUnreadableImages(BaseDataset):
    """Base of data sets that bear some images which cannot be read.

    In training such an image is reported, counted over all workers and
    replaced by another sample; in test mode it is an error.

    A subclass calls :meth:`watch_images` once it knows its samples.

    Attributes:
        max_unreadable_images (int): Number of different unreadable images
            that training bears, counted over the DataLoader workers of one
            process.
    """

    max_unreadable_images: int

    def watch_images(self, num_samples: int) -> None:
        """Begin to count, of so many samples."""
        self._unreadable = _Flags(
            torch.zeros(num_samples, dtype=torch.bool).share_memory_())

    def sample_position(self, idx: int) -> int:
        """Which of all samples one is, in a subset, too."""
        raise NotImplementedError

    def prepare_data(self, idx: int) -> Any:
        """Run a sample through the pipeline.

        Args:
            idx (int): Index in the data set.

        Returns:
            Any: Result of the pipeline; None in training where the image
            cannot be read, upon which mmengine fetches another sample.

        Raises:
            OSError: In test mode, if the image cannot be read.
            RuntimeError: In training, if too many images cannot be read.
        """
        try:
            return self._run_pipeline(self.get_data_info(idx))
        except UnreadableImageError as e:
            if self.test_mode:
                raise
            self._skip_unreadable(self.sample_position(idx), e.path, e.fault)
        return None

    def _run_pipeline(self, data_info: dict) -> Any:
        sample_id, img_path = data_info['id'], data_info['img_path']
        # mmpose's LoadImage would take what is missing for grey
        fault = find_file_fault(img_path)
        if fault is not None:
            raise UnreadableImageError.of(sample_id, img_path, fault)
        data_info['dataset'] = self  # for mmpose's mixing transforms
        try:
            return self.pipeline(data_info)
        except Exception:
            # was it the image or something else in the pipeline?
            fault = find_decoding_fault(img_path)
            if fault is None:
                raise
        raise UnreadableImageError.of(sample_id, img_path, fault)

    @property
    def num_unreadable_images(self) -> int:
        """Number of different images that no process could read so far."""
        return int(self._unreadable.values.sum())

    def _skip_unreadable(self, position: int, img_path: str,
                         fault: str) -> None:
        flags = self._unreadable.values
        if flags[position]:
            return
        flags[position] = True
        count = self.num_unreadable_images
        if count > self.max_unreadable_images:
            raise RuntimeError(
                f'{img_path}: cannot read this image ({fault}), which makes '
                f'{count} unreadable images in {self.data_root}; restore them '
                f'or raise max_unreadable_images={self.max_unreadable_images}')
        print_log(
            f'{img_path}: cannot read this image ({fault}); training goes on '
            f'without it ({count} such images, at most '
            f'{self.max_unreadable_images} allowed)',
            logger='current',
            level=logging.WARNING)
