"""Exporting what a config and a checkpoint describe."""
import hashlib
import json
import warnings
from pathlib import Path
from typing import Any, Dict, List, Optional, Union

import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint, set_random_seed
from mmpose.datasets.transforms import GetBBoxCenterScale, TopdownAffine
from mmpose.registry import DATASETS, MODELS

from ..datasets.transforms import CanonicalizeHandSide
from .exporting import check_combination, export
from .verification import Tolerance

# a box of the joints and some of what is around them
_USUAL_PADDING = 1.25


def export_config(cfg: Config,
                  checkpoint: str,
                  path: Union[str, Path],
                  backend: str = 'openvino',
                  precision: str = 'fp32',
                  verify_samples: Optional[int] = None,
                  calibration_samples: int = 300,
                  tolerance: Optional[Tolerance] = None) -> Dict[str, Any]:
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

    Returns:
        dict: What ``hand_pose.json`` holds.

    Raises:
        RuntimeError: If the weights are not those of the model, or see
            :func:`export`.
        ValueError, FileExistsError, ImportError: See :func:`export`.
    """
    check_combination(backend, precision)
    if Path(path).exists():
        raise FileExistsError(
            f'{path} exists: remove it, or give another directory')
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    model = MODELS.build(cfg.model)
    # strict: a model with some random weights would export as well
    load_checkpoint(model, checkpoint, map_location='cpu', strict=True)
    model.eval()

    test_set = DATASETS.build(cfg.test_dataloader.dataset)
    if verify_samples is None and precision != 'int8':
        verify_samples = 64
    calibration = []
    if precision == 'int8':
        set_random_seed(0)
        train_set = DATASETS.build(cfg.train_dataloader.dataset)
        calibration = select_samples(train_set, calibration_samples)
    return export(
        model,
        path,
        backend,
        precision,
        verification=select_samples(test_set, verify_samples),
        calibration=calibration,
        crop=read_crop(test_set),
        tolerance=tolerance,
        info=dict(
            config=dict(
                name=Path(cfg.filename or 'config').name,
                sha256=_hash(
                    json.dumps(cfg.to_dict(), sort_keys=True,
                               default=str).encode())),
            checkpoint=dict(
                name=checkpoint.rsplit('/', 1)[-1],
                sha256=_hash(Path(checkpoint).read_bytes())
                if Path(checkpoint).is_file() else None)))


def select_samples(dataset: Any, num: Optional[int] = None) -> List[dict]:
    """Evenly spaced samples of a data set, all without ``num``.

    Raises:
        ValueError: If the data set is empty.
    """
    if not len(dataset):
        raise ValueError('the data set is empty: there is no sample to '
                         'compare or calibrate on')
    num = min(num or len(dataset), len(dataset))
    indices = np.linspace(0, len(dataset) - 1, num).round().astype(int)
    return [dataset[int(i)] for i in indices]


def read_crop(dataset: Any) -> Dict[str, Any]:
    """How the pipeline of a data set cuts the network input.

    Args:
        dataset (BaseDataset): With its pipeline.

    Returns:
        dict: ``padding`` (factor on the box), ``use_udp`` and ``hand_side``,
        the side that all hands get by mirroring, None for both as they are.
    """
    crop = dict(padding=1.0, use_udp=False, hand_side=None)
    known = False
    for transform in dataset.pipeline.transforms:
        if isinstance(transform, GetBBoxCenterScale):
            crop['padding'] = float(transform.padding)
        elif isinstance(transform, TopdownAffine):
            crop['use_udp'] = bool(transform.use_udp)
            known = True
        elif isinstance(transform, CanonicalizeHandSide):
            crop['hand_side'] = transform.side
    if not known:
        # OfficialRhdCrop, which places its square by the joints
        crop.update(padding=_USUAL_PADDING, hand_side='right')
        warnings.warn(
            'the pipeline of the test set crops by other means than a box; '
            f'the runner will cut the box, {_USUAL_PADDING} times as large, '
            'of right hands',
            stacklevel=2)
    return crop


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
