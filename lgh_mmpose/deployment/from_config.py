"""Exporting what a config and a checkpoint describe."""
import hashlib
import json
import re
import warnings
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Union

import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed
from mmpose.registry import DATASETS, MODELS

from ..apis.config_crop import crop_of_config
from ..checkpoint import load_weights, read_checkpoint
from ..config import config_errors, require_keys
from ..geometry.crop import Crop
from ..inference.backends.exports import file_sha256
from .deploy_form import check_kind
from .exporting import choose_precision, export
from .verification import Tolerance


def export_config(cfg: Config,
                  checkpoint: str,
                  path: Union[str, Path],
                  backend: str = 'openvino',
                  precision: str = 'auto',
                  verify_samples: Optional[int] = None,
                  calibration_samples: int = 300,
                  tolerance: Optional[Tolerance] = None,
                  padding: Optional[float] = None) -> Dict[str, Any]:
    """Export a trained model, verified on the test set of its config.

    Args:
        cfg (Config): Config of model and data.
        checkpoint (str): Its weights, all of them.
        path (str | Path): Directory to make.
        backend (str): See :func:`export`.
        precision (str): See :func:`export`.
        verify_samples (int, optional): Samples of the test set to compare
            on, evenly spaced. Defaults to 64, to all with ``'int8'``.
        calibration_samples (int): Samples of the training set, augmented as
            in training, that ``'int8'`` is calibrated on. Defaults to 300.
        tolerance (Tolerance, optional): Differences to accept. Defaults to
            those of the precision.
        padding (float, optional): Factor on the tight boxes that the model
            will be given, where the test pipeline does not crop a box. The
            crop is then not compared with the pipeline's. Defaults to the
            pipeline's factor, compared.

    Returns:
        dict: What ``hand_pose.json`` holds.

    Raises:
        ValueError: If something cannot be built from the config or is of
            another kind, the weights are not those of the model, or see
            :func:`read_crop` and :func:`export`.
        OSError: If a file is missing or cannot be read, or ``path`` exists.
        ExportError, ImportError: See :func:`export`.

    Warns:
        UserWarning: If the checkpoint was trained with another input size.
    """
    choose_precision(backend, precision)  # before anything is read
    if Path(path).exists():
        raise FileExistsError(
            f'{path} exists: remove it, or give another directory')
    name = Path(cfg.filename or 'config').name
    require_keys(cfg, name, ('model', 'test_dataloader'), 'an export')
    if precision == 'int8':
        require_keys(cfg, name, ('train_dataloader', ), 'the calibration')
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    with config_errors(name):
        model = MODELS.build(cfg.model)
        check_kind(model)
    load_weights(model, checkpoint)
    _warn_of_other_input_size(model.head.decoder.input_size, checkpoint)
    model.eval()

    with config_errors(name):
        test_set = DATASETS.build(cfg.test_dataloader.dataset)
    crop = read_crop(cfg, padding)
    if verify_samples is None and precision != 'int8':
        verify_samples = 64
    verification = select_samples(test_set, verify_samples)
    if padding is not None:
        for sample in verification:
            del sample['record']
    calibration = []
    if precision == 'int8':
        set_random_seed(0)
        with config_errors(name):
            train_set = DATASETS.build(cfg.train_dataloader.dataset)
        calibration = select_samples(train_set, calibration_samples)
    return export(
        model,
        path,
        backend,
        precision,
        verification=verification,
        calibration=calibration,
        crop=crop,
        tolerance=tolerance,
        info=describe_source(cfg, checkpoint))


def describe_source(cfg: Config, checkpoint: str) -> Dict[str, dict]:
    """What the json of an export says of config and checkpoint.

    Returns:
        dict: ``config`` and ``checkpoint``, each with ``name`` and
        ``sha256``, None for a checkpoint that is no file.
    """
    content = json.dumps(cfg.to_dict(), sort_keys=True, default=str)
    return dict(
        config=dict(
            name=Path(cfg.filename or 'config').name,
            sha256=hashlib.sha256(content.encode()).hexdigest()),
        checkpoint=dict(
            name=checkpoint.rsplit('/', 1)[-1],
            sha256=file_sha256(checkpoint)
            if Path(checkpoint).is_file() else None))


def select_samples(dataset: Any, num: Optional[int] = None) -> List[dict]:
    """Evenly spaced samples of a data set, all without ``num``.

    Returns:
        list[dict]: What the pipeline gives, and as ``record`` what it was
        given.

    Raises:
        ValueError: If the data set is empty, or its pipeline does not pack
            what it gives.
    """
    if not len(dataset):
        raise ValueError('the data set is empty: there is no sample to '
                         'compare or calibrate on')
    num = min(num or len(dataset), len(dataset))
    indices = np.linspace(0, len(dataset) - 1, num).round().astype(int)
    samples = []
    for i in indices.tolist():
        sample = dataset[i]
        for key in ('inputs', 'data_samples'):
            if key not in sample:
                raise ValueError(
                    f'the samples of {type(dataset).__name__} have no {key}: '
                    'let its pipeline end with PackHandInputs or '
                    'PackPoseInputs')
        samples.append(dict(sample, record=dataset.get_data_info(i)))
    return samples


def _warn_of_other_input_size(input_size: Tuple[int, int],
                              checkpoint: str) -> None:
    """Warn if the config in a checkpoint names other input sizes only."""
    meta = read_checkpoint(checkpoint).get('meta')
    # Python as text, which is searched, not run
    text = meta.get('cfg') if isinstance(meta, dict) else None
    if not isinstance(text, str):
        return
    trained = re.findall(r'\binput_size=[(\[]\s*(\d{1,5}),\s*(\d{1,5})\b',
                         text)
    width, height = input_size
    if trained and (str(width), str(height)) not in trained:
        warnings.warn(
            f'the checkpoint {checkpoint} was trained with images of '
            f'{" x ".join(trained[0])} px, as the config in it says, and this '
            f'config has {width} x {height}: take the config of the training',
            stacklevel=3)


def read_crop(cfg: Config, padding: Optional[float] = None) -> Crop:
    """How the network's input shall be cut out, as for the config itself.

    Args:
        cfg (Config): Config of model and data.
        padding (float, optional): Factor on tight boxes in place of the
            pipeline's, which then need not crop a box.

    Returns:
        Crop: See :func:`~lgh_mmpose.apis.crop_of_config`.

    Raises:
        ValueError: If the pipeline crops by other means than a box, or has
            other steps that inference does not know, and there is no
            ``padding``.
    """
    pipeline = cfg.test_dataloader.dataset.pipeline
    # OfficialRhdCrop places its square by the joints
    by_joints = any('OfficialRhdCrop' in str(s['type']) for s in pipeline)
    if padding is None and by_joints:
        raise ValueError(
            'the pipeline of the test set crops by other means than a box, '
            'which is all that inference can: say by which factor it shall '
            'pad the boxes that it will be given, e.g. --padding 1.25')
    try:
        crop = crop_of_config(cfg, known_only=padding is None)
    except ValueError as error:
        raise ValueError(f'{error}, or give the padding of the boxes that '
                         'the model will be run on (--padding)') from None
    if padding is None:
        return crop
    if by_joints:
        crop = crop._replace(whole_image_padding=padding)
    return crop._replace(padding=padding)
