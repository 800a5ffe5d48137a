"""Scores of a detector during training."""
from typing import Dict, Optional, Sequence

from mmdet.registry import METRICS
from mmengine.evaluator import BaseMetric

from ..evaluation.hand_detection import HandLabels, score_detections
from ..geometry.hand import SIDES
from ..inference.detections import Detections


@METRICS.register_module()
class HandDetectionMetric(BaseMetric):
    """Recall, false hands, AP at IoU 0.5, sides and directions.

    What
    :func:`~lgh_mmpose.evaluation.hand_detection.score_detections` gives, but
    for the curve.

    Args:
        score_thr (float): Least score of what counts as found; AP takes what
            there is. Defaults to 0.3.
        collect_device (str): See :class:`mmengine.evaluator.BaseMetric`.
        prefix (str, optional): Of the names. Defaults to ``'hand'``.
    """

    default_prefix = 'hand'

    def __init__(self,
                 score_thr: float = .3,
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None) -> None:
        super().__init__(collect_device, prefix)
        self.score_thr = score_thr

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep what was found in some pictures.

        Args:
            data_batch (dict): Not used.
            data_samples (Sequence[dict]): With ``hand_labels`` and
                ``pred_instances``.
        """
        for sample in data_samples:
            found = sample['pred_instances']
            boxes, scores, labels, directions = (
                found[key].cpu().numpy()
                for key in ('bboxes', 'scores', 'labels', 'directions'))
            self.results.append(
                (sample['hand_labels'],
                 Detections(boxes, scores, [SIDES[i] for i in labels],
                            directions)))

    def compute_metrics(self, results: list) -> Dict[str, float]:
        """Figures of all pictures.

        Args:
            results (list): Of :meth:`process`.

        Returns:
            dict[str, float]: Those that can be measured.
        """
        # mmengine has made plain tuples of them
        labels = [HandLabels(*label) for label, _ in results]
        found = [Detections(*hands) for _, hands in results]
        scores = score_detections(labels, found, self.score_thr)
        return {
            key: value
            for key, value in scores.items()
            if key not in ('curve', 'score_thr') and value is not None
        }
