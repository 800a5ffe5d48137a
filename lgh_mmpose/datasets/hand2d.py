"""Hands with 2D joints alone, by mmpose's own data sets or others."""
import logging
from typing import Callable, List, Optional, Sequence, Union

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS

from ..geometry.hand import SIDES
from .base_hand3d import METAINFO_KEYS, order_of_joints
from .unreadable import SkipUnreadableImages

_MIN_JOINTS = 4  # of a hand whose place and size can be told
_KEYS_3D = ('camera_matrix', 'bone_length', 'keypoints_cam', 'depth_weights',
            'root_depth')


@DATASETS.register_module()
class Hand2DDataset(SkipUnreadableImages, BaseDataset):
    """Hands of one of mmpose's data sets, to learn pixels from.

    mmpose's ``CocoWholeBodyHandDataset``, ``OneHand10KDataset``,
    ``FreiHandDataset`` and others read the files; records are those of
    :class:`BaseHand3DDataset` without camera and depths: joints found by
    name, in the order of the metainfo, with ``keypoint_names``, and a box
    tight round them. :class:`~lgh_mmpose.codecs.Hand25DLabel` gives their
    depths no weight. They mix with data sets of 3D hands by mmpose's
    ``CombinedDataset``, in a ratio of each batch by its
    ``MultiSourceSampler``. Of a data set of 3D hands camera and depths are
    not used.

    Hands with less than 4 annotated joints are left out. In training an
    unreadable image is reported, counted over all workers and replaced by
    another sample; in test mode it is an error.

    Args:
        dataset (dict): Config of the data set, without a pipeline.
        hand_side (str, optional): Side of all its hands, ``'right'`` or
            ``'left'``. Defaults to None, not known: such hands teach nothing
            about sides.
        bbox_mode (str): ``'keypoints'``: the box is the tight one of the
            annotated joints; ``'annotation'``: that of the data set. Defaults
            to ``'keypoints'``.
        max_unreadable_images (int): Number of different unreadable images
            that training bears. Defaults to 100.
        metainfo (dict, optional): mmpose metainfo of the joints. Defaults to
            mmpose's FreiHAND file.
        indices (int | Sequence[int], optional): As in mmengine's
            ``BaseDataset``.
        pipeline (Sequence[dict | Callable]): Transforms.
        test_mode (bool): Defaults to ``False``.
        lazy_init (bool): Defaults to ``False``.

    Raises:
        ValueError: If an argument is none of these, the data set has not the
            joints of the metainfo, or no hand to learn from.
    """

    METAINFO: dict = dict(from_file='configs/_base_/datasets/freihand2d.py')

    def __init__(self,
                 dataset: dict,
                 hand_side: Optional[str] = None,
                 bbox_mode: str = 'keypoints',
                 max_unreadable_images: int = 100,
                 metainfo: Optional[dict] = None,
                 indices: Optional[Union[int, Sequence[int]]] = None,
                 pipeline: Sequence[Union[dict, Callable]] = (),
                 test_mode: bool = False,
                 lazy_init: bool = False) -> None:
        if hand_side not in (None, *SIDES):
            raise ValueError(f'hand_side must be one of {SIDES} or None, got '
                             f'{hand_side!r}')
        if bbox_mode not in ('keypoints', 'annotation'):
            raise ValueError("bbox_mode must be 'keypoints' or 'annotation', "
                             f'got {bbox_mode!r}')
        if dataset.get('pipeline'):
            raise ValueError('give Hand2DDataset the pipeline, not the data '
                             f'set in it ({dataset["type"]})')
        self.hand_side = hand_side
        self.bbox_mode = bbox_mode
        self.max_unreadable_images = max_unreadable_images
        self.dataset = DATASETS.build(
            dict(dataset, test_mode=test_mode, lazy_init=True))
        super().__init__(
            metainfo=metainfo,
            data_root=self.dataset.data_root,
            indices=indices,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init)

    @classmethod
    def _load_metainfo(cls, metainfo: Optional[dict] = None) -> dict:
        return parse_pose_metainfo(metainfo or cls.METAINFO)

    @property
    def keypoint_names(self) -> Sequence[str]:
        """Names of the K joints in the order that records have them."""
        id2name = self._metainfo['keypoint_id2name']
        return tuple(id2name[i] for i in range(len(id2name)))

    def load_data_list(self) -> List[dict]:
        """Which samples of the data set teach something."""
        inner = self.dataset
        kind = type(inner).__name__
        id2name = inner.metainfo['keypoint_id2name']
        self._order = order_of_joints(
            self.keypoint_names, [id2name[i] for i in range(len(id2name))],
            kind,
            type(self).__name__)
        inner.full_init()
        samples = [
            dict(index=i) for i in range(len(inner))
            if _num_annotated(inner.get_data_info(i)) >= _MIN_JOINTS
        ]
        if not samples:
            raise ValueError(f'{kind} ({inner.ann_file}) has no hand with '
                             f'{_MIN_JOINTS} annotated joints or more')
        if len(samples) < len(inner):
            print_log(
                f'{kind} ({inner.ann_file}): {len(inner) - len(samples)} of '
                f'{len(inner)} hands have less than {_MIN_JOINTS} annotated '
                'joints and are left out',
                logger='current',
                level=logging.WARNING)
        self.watch_images(len(inner))
        return samples

    def sample_position(self, idx: int) -> int:
        """Which of all samples one is."""
        return super().get_data_info(idx)['index']

    def get_data_info(self, idx: int) -> dict:
        """Make the record of a sample.

        Args:
            idx (int): Index in the data set.

        Returns:
            dict: See the class.
        """
        sample = super().get_data_info(idx)
        record = self.dataset.get_data_info(sample['index'])
        for key in _KEYS_3D:
            record.pop(key, None)
        record.update((key, self._metainfo[key]) for key in METAINFO_KEYS)
        record['keypoint_names'] = self.keypoint_names
        for key in ('keypoints', 'keypoints_visible'):
            record[key] = record[key][:, self._order]
        if self.hand_side is not None:
            record['hand_side'] = self.hand_side
        if self.bbox_mode == 'keypoints':
            shown = record['keypoints'][0, record['keypoints_visible'][0] > 0]
            record['bbox'] = np.concatenate([shown.min(0), shown.max(0)])[None]
        return record


def _num_annotated(record: dict) -> int:
    return int((record['keypoints_visible'] > 0).sum())
