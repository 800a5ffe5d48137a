"""Detectors of hands that ``tools/deployment/export.py`` wrote."""
from pathlib import Path
from typing import Optional, Tuple, Union

import numpy as np

from ..detections import Detections, select_hands, to_image
from ..letterbox import letterbox
from .exports import ExportedModel, is_share, model_checks, read_json, refuse

SCHEMA = 'lgh_mmpose/exported_hand_detector/1'
"""Name and version of the format; no other version is read."""
INFO_FILE = 'hand_detector.json'
"""The file of an exported directory that says what is in it."""
OUTPUTS = ('boxes', 'scores', 'directions')
"""Names of the outputs of a detector, in order; its input is ``images``."""


class ExportedDetector:
    """An exported detector: the hands of an image, with sides and directions.

    Args:
        directory (str | Path): What ``tools/deployment/export.py`` wrote.
        num_threads (int, optional): Threads of one inference. Defaults to
            the engine's choice.
        score_thr (float, optional): Least score of a hand. Defaults to that
            of the export.

    Attributes:
        input_size (tuple[int, int]): Width and height of its input, px.
        files (tuple[str, ...]): The files that it was read from.

    Raises:
        FileNotFoundError: If a file of the export is missing.
        ValueError: If its json is not one that this program can read, or the
            model file is not the one that was exported.
        ImportError: If the inference engine is not installed.
    """

    def __init__(self,
                 directory: Union[str, Path],
                 num_threads: Optional[int] = None,
                 score_thr: Optional[float] = None) -> None:
        directory = Path(directory)
        info = read_json(directory / INFO_FILE, SCHEMA, _check_info)
        self.input_size: Tuple[int, int] = tuple(info['input_size'])
        self.score_thr = info['score_thr'] if score_thr is None else score_thr
        self.iou_thr = info['iou_thr']
        self.max_hands = info['max_hands']
        self._model = ExportedModel(directory, INFO_FILE, info['model'],
                                    OUTPUTS, num_threads)
        self.files = self._model.files

    def run(self, inputs: np.ndarray) -> Tuple[np.ndarray, ...]:
        """The answers at all A places of inputs, before hands are chosen.

        Args:
            inputs (np.ndarray): (B, 3, H, W), uint8, BGR, letterboxed.

        Returns:
            tuple[np.ndarray, ...]: :data:`OUTPUTS`: (B, A, 4), (B, A, 2) and
            (B, A, 2).

        Raises:
            ValueError: If the file cannot be run, or gives something else.
        """
        with self._model.errors('run'):
            outputs = self._model.run(inputs)
            shapes = [output.shape for output in outputs]
            places = (*shapes[0], 0, 0)[1]
            if shapes != [(len(inputs), places, size) for size in (4, 2, 2)]:
                raise ValueError(f'it gives {shapes}')
            if not all(np.isfinite(output).all() for output in outputs):
                raise ValueError('it gives numbers that are not finite')
        return outputs

    def __call__(self, image: np.ndarray) -> Detections:
        """Find the hands of an image.

        Args:
            image (np.ndarray): BGR, uint8 (h, w, 3).

        Returns:
            Detections: In px of the image, best first.

        Raises:
            ValueError: If it is no such image, or the file cannot be run.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or \
                image.shape[2] != 3 or not image.size:
            raise ValueError('the detector takes images as uint8 (h, w, 3), '
                             f'got {image.dtype} {image.shape}')
        pixels, warp = letterbox(image, self.input_size)
        boxes, scores, directions = self.run(pixels.transpose(2, 0, 1)[None])
        found = select_hands(boxes[0], scores[0], directions[0],
                             self.score_thr, self.iou_thr, self.max_hands)
        return to_image(found, warp, image.shape[1::-1])


def _check_info(info: dict) -> None:
    for name, kind in (('input_size', list), ('model', dict)):
        if not isinstance(info[name], kind):
            raise ValueError(f'{name} must be a {kind.__name__}')
    refuse({
        **model_checks(info), 'score_thr':
        is_share(info['score_thr']),
        'iou_thr':
        is_share(info['iou_thr']),
        'max_hands':
        type(info['max_hands']) is int and info['max_hands'] > 0
    })
