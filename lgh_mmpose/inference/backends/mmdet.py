"""Boxes of hands by any detector of mmdet."""
from pathlib import Path
from typing import Tuple, Union

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope

from lgh_mmpose.checkpoint import load_weights
from lgh_mmpose.config import config_errors, load_config

from ...geometry.hand import SIDES
from ..detections import Detections


class HandDetector:
    """A detector of mmdet that finds hands.

    mmpose's RTMDet-nano for hands, ``rtmdet_nano_320-8xb32_hand.py``, is the
    usual one; its weights are at
    https://download.openmmlab.com/mmpose/v1/projects/rtmposev1/rtmdet_nano_8xb32-300e_hand-267f9c8f.pth

    Args:
        config (str | Path | Config): Config of the detector.
        checkpoint (str): Its weights.
        device (str): Defaults to ``'cpu'``.
        cat_id (int): The class that hands have; this package's own detector,
            whose classes are the sides, gives both. Defaults to 0.
        score_thr (float): Boxes with a lower score are left out. Defaults to
            0.3.

    Raises:
        FileNotFoundError: If a file is missing.
        ImportError: If mmdet is not installed.
        ValueError: If the config is not that of a detector, or the checkpoint
            does not fit it.
    """  # noqa: E501

    def __init__(self,
                 config: Union[str, Path, Config],
                 checkpoint: str,
                 device: str = 'cpu',
                 cat_id: int = 0,
                 score_thr: float = .3) -> None:
        try:
            from mmdet.apis import init_detector
            from mmdet.utils import get_test_pipeline_cfg
        except ImportError:
            raise ImportError('a detector needs mmdet: pip install '
                              '"mmdet==3.3.0"') from None
        self.cat_id = cat_id
        self.score_thr = score_thr
        if not isinstance(config, Config):
            config = load_config(config)
        name = config.filename or 'of the detector'
        with DefaultScope.overwrite_default_scope('mmdet'), \
                config_errors(name):
            # any palette keeps mmdet from building its data set for one
            self.model = init_detector(config, None, 'random', device)
            pipeline = get_test_pipeline_cfg(self.model.cfg.copy())
            pipeline[0].type = 'mmdet.LoadImageFromNDArray'
            self.pipeline = Compose(pipeline)
        load_weights(self.model, checkpoint)

    def __call__(
            self, image: np.ndarray
    ) -> Union[Tuple[np.ndarray, np.ndarray], Detections]:
        """Find the hands in an image.

        Args:
            image (np.ndarray): BGR, uint8 (H, W, 3).

        Returns:
            tuple | Detections: Boxes (N, 4), left, top, right, bottom in px,
            and scores (N,), best first; of this package's own detector sides
            and directions as well.
        """
        from mmdet.apis import inference_detector
        with DefaultScope.overwrite_default_scope('mmdet'), torch.no_grad():
            found = inference_detector(
                self.model, image, test_pipeline=self.pipeline).pred_instances
        # its classes are the sides, all of them hands
        own = 'directions' in found
        found = found[((found.labels == self.cat_id) | own)
                      & (found.scores >= self.score_thr)]
        found = found[found.scores.argsort(descending=True)].cpu().numpy()
        # mmdet cuts boxes at the border of the padded image
        size = np.tile(image.shape[1::-1], 2)
        boxes = np.clip(found.bboxes.astype(np.float64), 0, size)
        seen = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        found, boxes = found[seen], boxes[seen]
        scores = found.scores.astype(np.float64)
        if own:
            return Detections(boxes, scores,
                              np.array(SIDES)[found.labels], found.directions)
        return boxes, scores
