"""The pipeline behind mmpose's names: config, checkpoint, device, detector."""
from pathlib import Path
from typing import Any, Iterator, Optional, Tuple, Union

import torch
from mmengine.config import Config

from ..inference.backends.mmdet import HandDetector
from ..inference.pipeline import HandPose
from ..inference.sources import Frame


class HandInferencer:
    """:class:`~lgh_mmpose.inference.pipeline.HandPose` of a config, as dicts.

    Args:
        config (str | Path | Config): Config of a model with a
            :class:`GroupedJointHead`.
        checkpoint (str, optional): Its weights. Defaults to ``load_from`` of
            the config, without which it must be given.
        device (str): Defaults to ``'cpu'``.
        detector (str | Config, optional): Config of a detector of mmdet.
            Without it and without boxes, each image is one hand.
        detector_checkpoint (str, optional): Weights of the detector, needed
            with it.
        det_cat_id (int): The detector's class of hands. Defaults to 0.
        det_score_thr (float): Least score of a detection. Defaults to 0.3.
        **options: The other arguments of
            :class:`~lgh_mmpose.inference.pipeline.HandPose`:
            ``camera_matrix``, ``fov``, ``bone_length``, ``hand_side``,
            ``batch_size``, ``bbox_padding``, ``det_interval``, ``track``,
            ``smoothing``.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If an argument is out of its range, the config cannot be
            used or its test pipeline has steps that inference does not know,
            the model has another head, or a checkpoint does not belong to its
            config.

    Attributes:
        pipeline (HandPose): What answers, with all options.
    """

    # an option set here would change nothing
    __slots__ = ('pipeline', )

    def __init__(self,
                 config: Union[str, Path, Config],
                 checkpoint: Optional[str] = None,
                 device: str = 'cpu',
                 detector: Optional[Union[str, Config]] = None,
                 detector_checkpoint: Optional[str] = None,
                 *,
                 det_cat_id: int = 0,
                 det_score_thr: float = .3,
                 **options: Any) -> None:
        if (detector is None) != (detector_checkpoint is None):
            raise ValueError('detector and detector_checkpoint belong '
                             'together: give both or neither')
        find_hands = None if detector is None else HandDetector(
            detector,
            detector_checkpoint,
            device,
            cat_id=det_cat_id,
            score_thr=det_score_thr)
        self.pipeline = HandPose(
            config, checkpoint, device=device, detector=find_hands, **options)

    @property
    def detector(self) -> Optional[HandDetector]:
        """What finds the hands, if anything does."""
        return self.pipeline.detector

    @property
    def model(self) -> torch.nn.Module:
        """The model of mmpose."""
        return self.pipeline.network.model

    @property
    def cfg(self) -> Config:
        """Its config."""
        return self.pipeline.network.cfg

    def __call__(self, inputs: Any, *args: Any,
                 **known: Any) -> Iterator[dict]:
        """Find the hands of each frame, as they are asked for.

        Takes and raises what
        :meth:`HandPose <lgh_mmpose.inference.pipeline.HandPose.__call__>`
        does: ``inputs, bboxes, camera_matrix, bone_length, fov, hand_side,
        directions``.

        Yields:
            dict: One JSON-able dict per frame, see ``docs/inference.md``.
        """
        for _, frame_dict in self.run(inputs, *args, **known):
            yield frame_dict

    def run(self, inputs: Any, *args: Any,
            **known: Any) -> Iterator[Tuple[Frame, dict]]:
        """As calling the inferencer, with the frames themselves."""
        found = self.pipeline.run(inputs, *args, **known)
        return ((frame, hands.to_dict()) for frame, hands in found)
