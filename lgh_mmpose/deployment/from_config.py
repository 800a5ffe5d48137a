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
from mmpose.datasets.transforms import GetBBoxCenterScale, TopdownAffine
from mmpose.registry import DATASETS, MODELS

from ..apis.hand_crop import WHOLE_IMAGE_PADDING, HandCrop
from ..checkpoint import load_weights, read_checkpoint
from ..config import config_errors, require_keys
from ..datasets.transforms import CanonicalizeHandSide
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
        padding (float, optional): Factor on the tight boxes that the runner
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
    crop = read_crop(test_set, padding)
    if verify_samples is None and precision != 'int8':
        verify_samples = 64
    verification = select_samples(test_set, verify_samples)
    if padding is not None:
        for sample in verification:
            del sample['record']
    else:
        try:
            cut_out = HandCrop(cfg, model.head.decoder.input_size)
        except ValueError as error:
            # what the inferencer cannot do the runner cannot do either
            raise ValueError(f'{error}, or give the padding of the boxes that '
                             'the runner will be run on (--padding)') from None
        _crop_as_inferencer(verification, cut_out)
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
        info=dict(
            config=dict(
                name=name,
                sha256=_hash(
                    json.dumps(cfg.to_dict(), sort_keys=True,
                               default=str).encode())),
            checkpoint=dict(
                name=checkpoint.rsplit('/', 1)[-1],
                sha256=_hash(Path(checkpoint).read_bytes())
                if Path(checkpoint).is_file() else None)))


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


def _crop_as_inferencer(samples: List[dict], cut_out: HandCrop) -> None:
    """Add ``tight_box`` and ``tight_warp_mat``, which the inferencer makes.

    Of samples with annotated joints, whose box it is.
    """
    # the warp does not depend on the pixels
    image = np.zeros((2, 2, 3), np.uint8)
    for sample in samples:
        record = sample['record']
        if record.get('keypoints') is None:
            continue
        shown = record['keypoints'][0][record['keypoints_visible'][0] > 0]
        box = np.concatenate([shown.min(0), shown.max(0)])
        if (box[2:] <= box[:2]).any():  # of one joint
            continue
        side = record.get('hand_side') or 'right'
        packed = cut_out(image, box, side)
        sample.update(
            tight_box=box,
            tight_warp_mat=packed['data_samples'].metainfo['warp_mat'])


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


def read_crop(dataset: Any, padding: Optional[float] = None) -> Dict[str, Any]:
    """How the runner shall cut the network input, as the inferencer does.

    Args:
        dataset (BaseDataset): With its pipeline.
        padding (float, optional): To take for tight boxes instead of the
            pipeline's, as which it need not crop a box.

    Returns:
        dict: ``padding``, the factor on a box tight round the hand;
        ``whole_image_padding``, that on the whole image as the box of one
        hand; ``use_udp``; and ``hand_side``, the side that all hands get by
        mirroring, None for both as they are. A network that was trained on
        whole images gets tight boxes enlarged by
        :data:`~lgh_mmpose.apis.WHOLE_IMAGE_PADDING`.

    Raises:
        ValueError: If the pipeline crops by other means than a box, and there
            is no ``padding``.
    """
    crop = dict(
        padding=1.0, whole_image_padding=1.0, use_udp=False, hand_side=None)
    known = False
    for transform in dataset.pipeline.transforms:
        if isinstance(transform, GetBBoxCenterScale):
            crop['whole_image_padding'] = float(transform.padding)
        elif isinstance(transform, TopdownAffine):
            crop['use_udp'] = bool(transform.use_udp)
            known = True
        elif isinstance(transform, CanonicalizeHandSide):
            crop['hand_side'] = transform.side
    crop['padding'] = crop['whole_image_padding']
    if getattr(dataset, 'bbox_mode', None) == 'image':
        crop['padding'] *= WHOLE_IMAGE_PADDING
    if not known:
        # OfficialRhdCrop, which places its square by the joints and mirrors
        if padding is None:
            raise ValueError(
                'the pipeline of the test set crops by other means than a '
                'box, which is all that the runner can: say by which factor '
                'it shall pad the boxes that it will be given, e.g. '
                '--padding 1.25')
        crop.update(hand_side='right', whole_image_padding=padding)
    if padding is not None:
        crop['padding'] = padding
    return crop


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
