"""How a config cuts hands out of images, for the pipeline."""
import inspect
from typing import Callable, Optional, Union

from mmengine.config import Config
from mmpose.registry import DATASETS

from ..geometry.crop import Crop

WHOLE_IMAGE_PADDING = 1.5
"""How much larger than the tight box of the joints whole images are, as which
a network may have been trained: the mean of SynthHand (1.52), whose layout and
framing are FreiHAND's."""

# that of the release's crop of RHD: the mean on the same hands
_OFFICIAL_CROP_PADDING = 1.4
# that of mmpose's GetBBoxCenterScale
_USUAL_PADDING = 1.25
# steps of a test pipeline that are taken over, or that the pipeline does in
# its own way; without annotations there are no targets to generate
_KNOWN_STEPS = ('LoadImage', 'LoadHandImage', 'GetBBoxCenterScale',
                'TurnUpright', 'TopdownAffineCamera', 'OfficialRhdCrop',
                'CanonicalizeHandSide', 'MirrorHands', 'GenerateTarget',
                'PackPoseInputs', 'PackHandInputs')


def crop_of_config(cfg: Config, known_only: bool = True) -> Crop:
    """How the test pipeline of a config cuts out hands.

    Its crop and its side are kept; what needs annotations is left out. Boxes
    tight round the hand are enlarged by the pipeline's factor, and by
    :data:`WHOLE_IMAGE_PADDING` times that where the config takes whole images
    as boxes.

    Args:
        cfg (Config): The config.
        known_only (bool): Whether steps of other kinds are refused, not
            passed over. Defaults to ``True``.

    Returns:
        Crop: For :func:`~lgh_mmpose.inference.crop.cut_out`.

    Raises:
        ValueError: If the pipeline has steps of another kind, without which
            the network would see other images than it was tested on.
    """
    pipeline = (cfg.get('test_dataloader') or {}).get('dataset',
                                                      {}).get('pipeline', [])
    steps = {_type_name(step): step for step in pipeline}
    unknown = [name for name in steps if name not in _KNOWN_STEPS]
    if unknown and known_only:
        raise ValueError(
            f'the test pipeline of the config {name_of(cfg)} has '
            f'{", ".join(unknown)}, which inference cannot do: it knows '
            f'{", ".join(_KNOWN_STEPS)}. Do it to the images beforehand, and '
            'leave it out of the pipeline')
    if not steps:  # a config without a test set
        return Crop(_USUAL_PADDING, _USUAL_PADDING)
    if 'OfficialRhdCrop' in steps:  # a square by the joints; it mirrors
        return Crop(_OFFICIAL_CROP_PADDING, _OFFICIAL_CROP_PADDING)
    box = steps.get('GetBBoxCenterScale', {})
    padding = float(box.get('padding', _USUAL_PADDING))
    side = steps.get('CanonicalizeHandSide')
    return Crop(
        padding=padding *
        (WHOLE_IMAGE_PADDING if _trained_on_whole_images(cfg) else 1.),
        whole_image_padding=padding,
        use_udp=bool(steps.get('TopdownAffineCamera', {}).get('use_udp')),
        hand_side=None if side is None else side.get('side', 'right'),
        upright='TurnUpright' in steps)


def name_of(cfg: Config) -> str:
    """What messages call a config."""
    return cfg.filename or 'without a file'


def _type_name(step: Union[dict, Callable]) -> str:
    """The class of a transform, without the scope of its registry."""
    kind = step['type'] if isinstance(step, dict) else type(step)
    return getattr(kind, '__name__', kind).rsplit('.', 1)[-1]


def _trained_on_whole_images(cfg: Config) -> bool:
    """Whether the boxes of the config's data set are whole images."""
    dataset = (cfg.get('test_dataloader') or {}).get('dataset', {})
    mode: Optional[str] = dataset.get('bbox_mode')
    cls = DATASETS.get(dataset['type']) if 'type' in dataset else None
    for base in cls.__mro__ if mode is None and cls is not None else ():
        parameter = inspect.signature(
            base.__init__).parameters.get('bbox_mode')
        if parameter is not None:
            mode = parameter.default
            break
    return mode == 'image'
