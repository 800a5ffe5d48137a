"""The network's input, cut out of an image as the config was trained."""
import inspect
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from mmpose.registry import DATASETS

from ..config import config_errors

_META_KEYS = ('img_path', 'ori_shape', 'img_shape', 'input_size',
              'input_center', 'input_scale', 'flip', 'flip_direction',
              'warp_mat', 'camera_matrix', 'bone_length', 'hand_side')
WHOLE_IMAGE_PADDING = 1.5
"""How much larger than the tight box of the joints whole images are, as which
a network may have been trained: the mean of SynthHand (1.52), whose layout and
framing are FreiHAND's."""

# that of the release's crop of RHD: the mean on the same hands
_OFFICIAL_CROP_PADDING = 1.4
# steps of a test pipeline that are taken over, or that the inferencer does in
# its own way; without annotations there are no targets to generate
_KNOWN_STEPS = ('LoadImage', 'LoadHandImage', 'GetBBoxCenterScale',
                'TopdownAffineCamera', 'OfficialRhdCrop',
                'CanonicalizeHandSide', 'GenerateTarget', 'PackPoseInputs',
                'PackHandInputs')


class HandCrop:
    """Cuts hands out of images by the test pipeline of a config.

    Args:
        cfg (Config): The config.
        input_size (tuple[int, int]): Width and height of the input, for a
            pipeline that does not say.
        bbox_padding (float, optional): How much larger the input is than a
            tight box. Defaults to the pipeline's padding, and to
            :data:`WHOLE_IMAGE_PADDING` times that where the config takes
            whole images as boxes.

    Attributes:
        pipeline_padding (float): Factor of the pipeline on all boxes, and so
            on a whole image as the box of one hand.
        bbox_padding (float): Factor on boxes tight round the hand.

    Raises:
        ValueError: If the test pipeline has steps that inference does not
            know.
    """

    def __init__(self,
                 cfg: Config,
                 input_size: Tuple[int, int],
                 bbox_padding: Optional[float] = None) -> None:
        steps = _inference_steps(cfg, input_size)
        self.pipeline_padding = steps[0].get('padding', 1.25)
        with config_errors(name_of(cfg)):
            self._pipeline = Compose(steps)
        if bbox_padding is None:
            bbox_padding = self.pipeline_padding
            if _trained_on_whole_images(cfg):
                bbox_padding *= WHOLE_IMAGE_PADDING
        self.bbox_padding = bbox_padding

    def __call__(self,
                 image: np.ndarray,
                 box: np.ndarray,
                 hand_side: str,
                 whole_image: bool = False,
                 camera_matrix: Optional[np.ndarray] = None,
                 bone_length: Optional[float] = None) -> Dict[str, Any]:
        """Make the network's input of a box.

        Args:
            image (np.ndarray): BGR, uint8 (H, W, 3).
            box (np.ndarray): Left, top, right and bottom in px.
            hand_side (str): ``'right'`` or ``'left'``.
            whole_image (bool): Whether the box is the whole image, and not
                tight round the hand. Defaults to ``False``.
            camera_matrix (np.ndarray, optional): Intrinsics of the image.
            bone_length (float, optional): In mm.

        Returns:
            dict: ``inputs`` and ``data_samples``.
        """
        # the pipeline enlarges all boxes alike
        factor = 1. if whole_image else \
            self.bbox_padding / self.pipeline_padding
        centre = (box[:2] + box[2:]) / 2
        half = (box[2:] - box[:2]) / 2 * factor
        info = dict(
            img=image,
            bbox=np.concatenate([centre - half, centre + half])[None],
            bbox_score=np.ones(1, dtype=np.float32),
            hand_side=hand_side)
        if camera_matrix is not None:
            info['camera_matrix'] = camera_matrix
        if bone_length is not None:
            info['bone_length'] = bone_length
        return self._pipeline(info)


def name_of(cfg: Config) -> str:
    """What messages call a config."""
    return cfg.filename or 'without a file'


def _type_name(step: dict) -> str:
    """The class of a transform, without the scope of its registry."""
    kind = step['type']
    return getattr(kind, '__name__', kind).rsplit('.', 1)[-1]


def _inference_steps(cfg: Config, input_size: Tuple[int, int]) -> List[dict]:
    """The config's test pipeline, for images that are loaded already.

    Its crop and its side are kept; what needs annotations is left out.

    Raises:
        ValueError: If it has a step of another kind, without which the
            network would see other images than it was tested on.
    """
    pipeline = (cfg.get('test_dataloader') or {}).get('dataset',
                                                      {}).get('pipeline', [])
    steps = {_type_name(step): dict(step) for step in pipeline}
    unknown = [name for name in steps if name not in _KNOWN_STEPS]
    if unknown:
        raise ValueError(
            f'the test pipeline of the config {name_of(cfg)} has '
            f'{", ".join(unknown)}, which inference cannot do: it knows '
            f'{", ".join(_KNOWN_STEPS)}. Do it to the images beforehand, and '
            'leave it out of the pipeline')
    box = dict(type='GetBBoxCenterScale')
    if 'OfficialRhdCrop' in steps:
        # it crops by annotated joints; on average this is as large
        box['padding'] = _OFFICIAL_CROP_PADDING
    return [
        steps.get('GetBBoxCenterScale', box),
        steps.get('TopdownAffineCamera',
                  dict(type='TopdownAffineCamera', input_size=input_size)),
        steps.get('CanonicalizeHandSide', dict(type='CanonicalizeHandSide')),
        dict(type='PackPoseInputs', meta_keys=_META_KEYS)
    ]


def _trained_on_whole_images(cfg: Config) -> bool:
    """Whether the boxes of the config's data set are whole images."""
    dataset = (cfg.get('test_dataloader') or {}).get('dataset', {})
    mode = dataset.get('bbox_mode')
    cls = DATASETS.get(dataset['type']) if 'type' in dataset else None
    for base in cls.__mro__ if mode is None and cls is not None else ():
        parameter = inspect.signature(
            base.__init__).parameters.get('bbox_mode')
        if parameter is not None:
            mode = parameter.default
            break
    return mode == 'image'
