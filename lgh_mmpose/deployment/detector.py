"""Writing a trained detector of hands as a directory without torch."""
import os
import warnings
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Sequence, Union

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from lgh_mmpose.fileio import put_in_place, unfinished_directory, write_json
from lgh_mmpose.version import __version__

from ..checkpoint import load_weights
from ..config import config_errors, require_keys
from ..inference.backends.exported_detector import (INFO_FILE, OUTPUTS, SCHEMA,
                                                    ExportedDetector)
from ..inference.backends.exports import file_sha256
from ..inference.letterbox import FILL
from .exporting import require_packages, to_onnx
from .from_config import describe_source, select_samples
from .half_weights import halve_weights
from .verification import ExportError

PRECISIONS = ('fp32', 'fp16')
_FILE = 'hand_detector.onnx'
# places that are compared, of each picture the best ones
_NUM_COMPARED = 50


class DetectorTolerance(NamedTuple):
    """Largest differences to accept between model and written file.

    Attributes:
        px (float): Of a side of a box, px of the input.
        scores (float): Of a score.
        directions (float): Of a direction, as a share of its length where
            that is more than 1.
    """
    px: float
    scores: float
    directions: float

    @classmethod
    def of(cls, precision: str) -> 'DetectorTolerance':
        """What a precision costs at most, by experience."""
        return cls(.02, 1e-3, 5e-3) if precision == 'fp32' else cls(
            2., .03, .1)


class DetectorForm(nn.Module):
    """A detector ready to be exported: raw images in, answers out.

    Args:
        model (BaseModel): A detector with a
            :class:`~lgh_mmpose.detection.RTMDetHandHead`.
        input_size (Sequence[int]): Width and height of its input, px.

    Shape:
        images (B, 3, H, W), BGR, 0 to 255, uint8 -> ``boxes`` (B, A, 4), px
        of the input, ``scores`` of left and right hands (B, A, 2) and
        ``directions`` (B, A, 2), of any length, at the A places
    """

    def __init__(self, model: BaseModel, input_size: Sequence[int]) -> None:
        super().__init__()
        self.input_size = tuple(input_size)
        self.trunk = model.backbone
        self.neck = model.neck
        self.head = model.bbox_head
        preprocessor = model.data_preprocessor
        self.swap_channels = bool(preprocessor._channel_conversion)
        mean, std = torch.zeros(3, 1, 1), torch.ones(3, 1, 1)
        if preprocessor._enable_normalize:
            mean, std = preprocessor.mean, preprocessor.std
        self.register_buffer('mean', mean)
        self.register_buffer('std', std)

    def forward(self, images: Tensor) -> Sequence[Tensor]:
        images = images.float()
        if self.swap_channels:
            images = images.flip(1)
        images = (images - self.mean) / self.std
        answers = self.head.answers(*self.head(self.neck(self.trunk(images))))
        return answers.boxes, answers.logits.sigmoid(), answers.directions


def is_detector(cfg: Config) -> bool:
    """Whether a config is that of a detector of hands."""
    head = cfg.get('model', {}).get('bbox_head')
    return isinstance(head, dict) and str(
        head.get('type')).split('.')[-1] == 'RTMDetHandHead'


def export_detector(model: BaseModel,
                    path: Union[str, Path],
                    input_size: Sequence[int],
                    precision: str = 'fp16',
                    *,
                    verification: Sequence[np.ndarray] = (),
                    score_thr: float = .3,
                    iou_thr: float = .6,
                    max_hands: int = 20,
                    tolerance: Optional[DetectorTolerance] = None,
                    info: Optional[dict] = None) -> Dict[str, Any]:
    """Write a detector for ONNX Runtime, and what its input and output mean.

    The directory appears under its name only when the written file has been
    compared with the model.

    Args:
        model (BaseModel): A detector with a
            :class:`~lgh_mmpose.detection.RTMDetHandHead`, in evaluation.
        path (str | Path): Directory to make.
        input_size (Sequence[int]): Width and height of its input, px.
        precision (str): ``'fp16'``, which its weights are stored in, or
            ``'fp32'``. It computes in fp32. Defaults to ``'fp16'``.
        verification (Sequence[np.ndarray]): Inputs (3, H, W), uint8, on which
            file and model are compared. Without any the json says so.
        score_thr (float): Least score of a hand at inference. Defaults to
            0.3.
        iou_thr (float): See
            :func:`~lgh_mmpose.inference.detections.select_hands`. Defaults to
            0.6.
        max_hands (int): At most so many. Defaults to 20.
        tolerance (DetectorTolerance, optional): Differences to accept.
            Defaults to those of the precision.
        info (dict, optional): More to say in the json.

    Returns:
        dict: What ``hand_detector.json`` holds.

    Raises:
        TypeError: If the model has another head.
        ValueError: If there is no such precision, or a weight exceeds fp16.
        ExportError: If the differences exceed the tolerance.
        FileExistsError: If ``path`` exists.
        ImportError: If onnx or onnxruntime is not installed.
    """
    from ..detection import RTMDetHandHead
    _check_precision(precision)
    if not isinstance(getattr(model, 'bbox_head', None), RTMDetHandHead):
        raise TypeError('this exports detectors with RTMDetHandHead, got '
                        f'{type(getattr(model, "bbox_head", None)).__name__}')
    require_packages('onnx', 'onnxruntime')
    path = Path(path)
    width, height = input_size
    form = DetectorForm(model, input_size).cpu().float().eval()
    described = dict(
        schema=SCHEMA,
        version=__version__,
        model=dict(
            file=_FILE,
            backend='onnx',
            precision=precision,
            inference_precision='f32'),
        input_size=[width, height],
        input=dict(
            name='images',
            shape=['batch', 3, height, width],
            dtype='uint8',
            layout='NCHW',
            channels='BGR',
            fit='the whole image, in the middle, as large as fits',
            fill=FILL),
        outputs=dict(
            boxes='left, top, right, bottom (batch, places, 4), px of the '
            'input, pixel centres at integers',
            scores='of a left and of a right hand (batch, places, 2), 0 to 1',
            directions='from the wrist to the knuckle of the middle finger '
            '(batch, places, 2), of any length, y down'),
        score_thr=score_thr,
        iou_thr=iou_thr,
        max_hands=max_hands,
        **(info or {}))
    with unfinished_directory(path) as folder:
        if os.path.lexists(path):
            raise FileExistsError(
                f'{path} exists: remove it, or give another directory')
        file = folder / _FILE
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of the tracer, on mmdet's code
            to_onnx(form, OUTPUTS, file)
        if precision == 'fp16':
            halve_weights(file)
        described['model']['sha256'] = {_FILE: file_sha256(file)}
        described['verification'] = None
        write_json(folder / INFO_FILE, described, indent=1)
        detector = ExportedDetector(folder)
        if len(verification):
            described['verification'] = _verify(
                form, detector, verification, tolerance
                or DetectorTolerance.of(precision))
        write_json(folder / INFO_FILE, described, indent=1)
        put_in_place(folder, path)
    return described


def export_detector_config(cfg: Config,
                           checkpoint: str,
                           path: Union[str, Path],
                           precision: str = 'fp16',
                           verify_samples: int = 16,
                           score_thr: float = .3) -> Dict[str, Any]:
    """Export a trained detector, compared on pictures of its test set.

    Args:
        cfg (Config): Config of model and data.
        checkpoint (str): Its weights, all of them.
        path (str | Path): Directory to make.
        precision (str): See :func:`export_detector`.
        verify_samples (int): Pictures to compare on, evenly spaced. Defaults
            to 16.
        score_thr (float): See :func:`export_detector`.

    Returns:
        dict: What ``hand_detector.json`` holds.

    Raises:
        ValueError, OSError, ExportError, ImportError: See
            :func:`~lgh_mmpose.deployment.export_config` and
            :func:`export_detector`.
    """
    _check_precision(precision)  # before anything is read
    if os.path.lexists(path):
        raise FileExistsError(
            f'{path} exists: remove it, or give another directory')
    name = Path(cfg.filename or 'config').name
    require_keys(cfg, name, ('model', 'test_dataloader'), 'an export')
    from mmdet.registry import DATASETS, MODELS

    from .. import detection  # noqa: F401 registers its parts
    with DefaultScope.overwrite_default_scope('mmdet'), config_errors(name):
        model = MODELS.build(cfg.model)
        load_weights(model, checkpoint)
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
    model.eval()
    images = [
        sample['inputs'].numpy()
        for sample in select_samples(dataset, verify_samples)
    ]
    height, width = images[0].shape[1:]
    test_cfg = cfg.model.test_cfg
    return export_detector(
        model,
        path, (width, height),
        precision,
        verification=images,
        score_thr=score_thr,
        iou_thr=test_cfg.iou_thr,
        max_hands=test_cfg.max_hands,
        info=describe_source(cfg, checkpoint))


def _check_precision(precision: str) -> None:
    if precision not in PRECISIONS:
        raise ValueError(f'a detector is exported in {" or ".join(PRECISIONS)}'
                         f', not in {precision}')


def _verify(form: DetectorForm, detector: ExportedDetector,
            images: Sequence[np.ndarray],
            tolerance: DetectorTolerance) -> Dict[str, Any]:
    """Differences at the best places of each input, of either."""
    names = dict(
        px='px', scores='in the scores', directions='in the directions')
    worst = dict(px=0., scores=0., directions=0.)
    for image in images:
        with torch.no_grad():
            original = [
                part[0].numpy()
                for part in form(torch.from_numpy(image[None].copy()))
            ]
        written = [part[0] for part in detector.run(image[None])]
        # what either holds for hands
        best = np.union1d(*(np.argsort(-answer[1].sum(axis=1))[:_NUM_COMPARED]
                            for answer in (original, written)))
        boxes, scores, directions = (part[best] for part in original)
        other = [part[best] for part in written]
        length = np.linalg.norm(directions, axis=1, keepdims=True)
        for key, values in (('px', boxes - other[0]), ('scores',
                                                       scores - other[1]),
                            ('directions',
                             (directions - other[2]) / length.clip(1))):
            worst[key] = max(worst[key], float(np.abs(values).max()))
    for key, limit in tolerance._asdict().items():
        # a NaN is smaller than nothing
        if not worst[key] <= limit:
            raise ExportError(
                f'the written detector differs from the original by '
                f'{worst[key]:.3g} {names[key]} on {len(images)} pictures, '
                f'more than the tolerance of {limit:g}: nothing was exported')
    return dict(
        num_samples=len(images), **worst, tolerance=tolerance._asdict())
