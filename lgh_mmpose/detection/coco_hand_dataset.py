"""Pictures with hands, for mmdet."""
from typing import Any, List

from mmdet.datasets import BaseDetDataset
from mmdet.registry import DATASETS

from ..datasets.coco_hands import read_coco_hands
from ..geometry.hand import CATEGORIES


@DATASETS.register_module()
class CocoHandDataset(BaseDetDataset):
    """Pictures with the joints and sides of their hands, and without hands.

    Reads StudioHand's layout ``coco``, whole or in shards:
    ``annotations/{split}.json`` in COCO's format, whose categories are
    ``left_hand`` and ``right_hand``, with the 21 joints of mmpose's FreiHAND
    file as ``keypoints``, and the pictures in ``{split}/images``. A picture
    without annotations is one without hands; ``iscrowd`` marks what is
    neither hand nor background.

    Args:
        data_root (str): The folder.
        split (str): ``'training'`` or ``'evaluation'``.
        **kwargs: Arguments of :class:`mmengine.dataset.BaseDataset`.

    Raises:
        FileNotFoundError: If the annotation file is missing.
        ValueError: If it is of another kind; names the annotation.
    """

    METAINFO = dict(
        classes=CATEGORIES, palette=[(220, 60, 60), (60, 120, 220)])

    def __init__(self, data_root: str, split: str, **kwargs: Any) -> None:
        self.split = split
        super().__init__(data_root=data_root, **kwargs)

    def load_data_list(self) -> List[dict]:
        """Read the annotations.

        Returns:
            list[dict]: See
            :func:`~lgh_mmpose.datasets.coco_hands.read_coco_hands`.
        """
        return read_coco_hands(self.data_root, self.split)
