"""Models of mmpose as they are trained, on torch."""
import copy
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import torch
from mmengine.config import Config
from mmpose.apis import init_model

from lgh_mmpose.apis.config_crop import crop_of_config, name_of
from lgh_mmpose.checkpoint import load_weights
from lgh_mmpose.config import config_errors, load_config, require_keys
from lgh_mmpose.models.heads import GroupedJointHead

from ..network import Joints, NetworkInfo, check_images


class TorchNetwork:
    """A model with a :class:`GroupedJointHead`, see :class:`Network`.

    Args:
        config (str | Path | Config): Its config, whose test pipeline says how
            hands are cut out.
        checkpoint (str, optional): Its weights. Defaults to ``load_from`` of
            the config, without which it must be given.
        device (str): Defaults to ``'cpu'``.
        num_threads (int, optional): Threads of torch, in the whole process.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the device is not there, the config cannot be used or
            its test pipeline has steps that inference does not know, the
            model has another head, or the checkpoint does not belong to it.
    """

    def __init__(self,
                 config: Union[str, Path, Config],
                 checkpoint: Optional[str] = None,
                 device: str = 'cpu',
                 num_threads: Optional[int] = None) -> None:
        _check_device(device)
        if num_threads is not None:
            torch.set_num_threads(num_threads)
        if isinstance(config, (str, Path)):
            config = load_config(config)
        elif not isinstance(config, Config):
            raise ValueError('the model must be the config of one, a file or '
                             'a Config, or an exported directory, not '
                             f'{type(config).__name__}')
        self.cfg = copy.deepcopy(config)
        if checkpoint is None:
            checkpoint = config.get('load_from')
        if checkpoint is None:
            raise ValueError('give a checkpoint: the config has no load_from, '
                             'and an untrained network finds no hands')
        require_keys(self.cfg, name_of(config), ['model'], 'inference')
        with config_errors(name_of(config)):
            self.model = init_model(self.cfg, None, device)
        if not isinstance(getattr(self.model, 'head', None), GroupedJointHead):
            head = type(getattr(self.model, 'head', None)).__name__
            raise ValueError(
                'HandPose needs a model with a GroupedJointHead, this one has '
                f"{head}; mmpose's MMPoseInferencer takes 2D models")
        load_weights(self.model, checkpoint)
        self.files = tuple(
            str(name) for name in (config.filename, checkpoint) if name)
        self.info = network_info(self.model, crop_of_config(config))

    def __call__(self, images: np.ndarray) -> Joints:
        check_images(images, self.info.input_size)
        return estimate(self.model, images)


def network_info(model: Any, crop: Any) -> NetworkInfo:
    """What a model takes and gives.

    Args:
        model (BaseModel): With a :class:`GroupedJointHead`; its ``test_cfg``
            may have ``hand_thr``, see :class:`NetworkInfo`.
        crop (Crop): How its input is cut out.

    Returns:
        NetworkInfo: The facts.
    """
    codec = model.head.decoder
    with torch.no_grad():
        groups = model.head.selector().argmax(-1)
    return NetworkInfo(
        codec.input_size,
        crop,
        codec.skeleton,
        tuple(groups.tolist()),
        gives_side=model.head.side_layers is not None,
        hand_thr=(getattr(model, 'test_cfg', None) or {}).get('hand_thr'))


@torch.inference_mode()
def estimate(model: Any, images: np.ndarray) -> Joints:
    """The answer of a model in evaluation, before it is decoded.

    Args:
        model (BaseModel): With a :class:`GroupedJointHead`.
        images (np.ndarray): (B, 3, H, W), uint8, BGR.

    Returns:
        Joints: As :class:`Network` gives them.
    """
    batch = model.data_preprocessor(
        dict(inputs=list(torch.from_numpy(images)), data_samples=[]))
    joints = model.head.estimate_joints(model.extract_feat(batch['inputs']))
    return Joints(*(None if part is None else part.cpu().numpy()
                    for part in (joints.uv, joints.depth, joints.scores,
                                 joints.side)))


def _check_device(device: str) -> None:
    """Complain of a device that torch does not know or this machine lacks."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f'the device {device!r} cannot be used: {reason}') from error
