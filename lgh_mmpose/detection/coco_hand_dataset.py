"""Pictures with hands, for mmdet."""
from typing import List

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS

from ..datasets.coco_hands import CATEGORIES, read_coco_hands


@DATASETS.register_module()
class CocoHandDataset(CocoDataset):
    """Pictures with the joints and sides of their hands, and without hands.

    StudioHand's layout ``coco``, and any file of COCO's format whose
    categories are ``left_hand`` and ``right_hand``, with the 21 joints of
    mmpose's FreiHAND file as ``keypoints``. A picture without annotations is
    one without hands; ``iscrowd`` marks what is neither hand nor background.

    Args:
        *args, **kwargs: Arguments of :class:`mmdet.datasets.CocoDataset`.

    Raises:
        FileNotFoundError: If the annotation file is missing.
        ValueError: If it is of another kind; names the annotation.
    """

    METAINFO = dict(
        classes=CATEGORIES, palette=[(220, 60, 60), (60, 120, 220)])

    def load_data_list(self) -> List[dict]:
        """Read the annotation file.

        Returns:
            list[dict]: See
            :func:`~lgh_mmpose.datasets.coco_hands.read_coco_hands`.
        """
        return read_coco_hands(self.ann_file, self.data_prefix['img'])

    def filter_data(self) -> List[dict]:
        """All pictures: those without hands teach what is none."""
        return self.data_list
