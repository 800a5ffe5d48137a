"""Dexter+Object with its 3D finger tips, for testing."""
import csv
import math
import os
import os.path as osp
import re
from typing import List, Optional, Sequence, Tuple

import numpy as np
from mmpose.registry import DATASETS

from ..geometry.camera import project
from ..geometry.hand import FINGERS
from ..geometry.plausibility import MAX_COORDINATE
from .base_hand3d import (BaseHand3DDataset, HandAnnotations,
                          check_bone_length, check_hand_sizes,
                          check_keypoints_cam, count_such)

_HOMEPAGE = ('https://handtracker.mpi-inf.mpg.de/projects/RealtimeHO/'
             'dexter+object.htm')

# in the order of the files
DEXTER_JOINTS = tuple(f'{finger}4' for finger in FINGERS)
_MISSING_Z = 32001.

_COLOR_CAMERA = np.array([[587.45209, 0., 325.], [0., 600.67456, 249.],
                          [0., 0., 1.]])
# from the depth to the colour camera, mm
_EXTRINSICS = np.array([[0.9999, 0.0034, 0.0161, 19.0473],
                        [-0.0033, 1.0000, -0.0079, -1.8514],
                        [-0.0162, 0.0079, 0.9998, -4.7501]])
_IMAGES_PER_SEQUENCE = 100000  # that file names can number
_MIN_BOX_SIDE = 100.  # mm
_BOX_COLUMNS = ('img_name', 'x', 'y', 'w', 'h')


@DATASETS.register_module()
class DexterObject3DDataset(BaseHand3DDataset):
    """Dexter+Object in the layout of its release, for ``test_mode`` only.

    Sridhar et al., "Real-time Joint Tracking of a Hand Manipulating an Object
    from RGB-D Input", ECCV 2016. The files read are, for a sequence::

        data_root/data/{sequence}/color/image_%05d.png
        data_root/data/{sequence}/annotations/{sequence}3D.txt

    with one line per image: the five finger tips from thumb to little finger
    as ``x, y, z;`` in mm of the depth camera, x and y negated, z = 32001 for
    a missing tip. All hands are left hands.

    Only finger tips are annotated: the other joints, and missing tips, have
    ``keypoints_visible`` 0, which the metric leaves out, and a placeholder
    for a position. Images without any tip are left out. There is no root
    joint, hence no root alignment and no ``root_depth``: test with
    ``test_cfg.root_depth='solved'``. There is no bone length either, see
    ``bone_length``.

    A record's ``id`` is 100000 s + i for image i of sequence s of
    ``SEQUENCES``.

    Args:
        data_root (str): Folder of the release, which has ``data/``.
        sequences (Sequence[str], optional): Those to use. Defaults to all
            six.
        bone_length (float, optional): Length of the reference bone assumed
            for all hands, mm. Distances from the camera, and so the scores,
            grow with it in proportion; take the mean of the data the model
            was trained with. Defaults to None: predictions are in reference
            bones, which no score in mm can use.
        bbox_csv (str, optional): Boxes of the hands, a csv file relative to
            ``data_root`` (an absolute path stays as it is) with the columns
            ``img_name,x,y,w,h``: path below ``data_root/data`` and px.
            Defaults to None: as the release has none, a box spans the
            annotated tips, and 100 mm at their depth at least; give
            ``GetBBoxCenterScale`` a padding that takes in the palm.
        bbox_mode (str): As in :class:`BaseHand3DDataset`. Defaults to
            ``'annotation'``, the boxes just described.
        **kwargs: See :class:`BaseHand3DDataset`.
    """

    METAINFO: dict = dict(from_file='configs/_base_/datasets/freihand2d.py')
    DATASET_NAME = 'dexter_object3d'
    SEQUENCES: Tuple[str, ...] = ('Grasp1', 'Grasp2', 'Occlusion', 'Rigid',
                                  'Pinch', 'Rotate')

    def __init__(self,
                 data_root: str,
                 sequences: Optional[Sequence[str]] = None,
                 bone_length: Optional[float] = None,
                 bbox_csv: Optional[str] = None,
                 bbox_mode: str = 'annotation',
                 test_mode: bool = True,
                 **kwargs) -> None:
        if not test_mode:
            raise ValueError('Dexter+Object has finger tips alone, it serves '
                             'test_mode=True only')
        if sequences is None:
            sequences = self.SEQUENCES
        unknown = [name for name in sequences if name not in self.SEQUENCES]
        if isinstance(sequences, str) or unknown or not sequences:
            raise ValueError(f'sequences must be a list of {self.SEQUENCES}, '
                             f'got {sequences!r}')
        self.sequences = [s for s in self.SEQUENCES if s in sequences]
        self.bone_length = bone_length
        self.bbox_csv = bbox_csv and osp.join(data_root, bbox_csv)
        super().__init__(
            data_root=data_root,
            bbox_mode=bbox_mode,
            test_mode=test_mode,
            **kwargs)

    def _img_name(self, sample_id: int) -> str:
        sequence, image = divmod(sample_id, _IMAGES_PER_SEQUENCE)
        return f'{self.SEQUENCES[sequence]}/color/image_{image:05d}.png'

    def get_img_path(self, sample_id: int) -> str:
        return osp.join(self.data_root, 'data', self._img_name(sample_id))

    def get_hand_side(self, sample_id: int) -> str:
        return 'left'

    def load_hand_annotations(self) -> Tuple[HandAnnotations, np.ndarray]:
        tips, ids = [], []
        for sequence in self.sequences:
            tip, numbers = self._load_sequence(sequence)
            number = self.SEQUENCES.index(sequence)
            tips.append(tip)
            ids.append(_IMAGES_PER_SEQUENCE * number + numbers)
        tips, ids = np.concatenate(tips), np.concatenate(ids)
        annotated = np.isfinite(tips[..., 2])
        some = annotated.any(1)
        if not some.any():
            raise ValueError(f'{self.data_root}: no image has an annotated '
                             'finger tip')
        tips, annotated, ids = tips[some], annotated[some], ids[some]

        names = self.keypoint_names
        columns = self._tip_columns(names)
        centre = np.nanmean(tips, axis=1, keepdims=True)
        keypoints_cam = np.tile(centre, (1, len(names), 1))
        keypoints_cam[:, columns] = np.where(annotated[..., None], tips,
                                             centre)
        visible = np.zeros((len(tips), len(names)), dtype=np.float32)
        visible[:, columns] = annotated
        bone_length = None
        if self.bone_length is not None:
            bone_length = np.full(len(tips), self.bone_length, dtype=float)
            check_bone_length(
                bone_length,
                'argument bone_length',
                bone=('middle_finger1', 'middle_finger2'))
        return HandAnnotations(
            camera_matrix=np.tile(_COLOR_CAMERA, (len(tips), 1, 1)),
            bone_length=bone_length,
            keypoints_cam=keypoints_cam,
            keypoints_visible=visible,
            bbox=_span_tips(tips)
            if self.bbox_csv is None else self._load_boxes(ids)), ids

    def _tip_columns(self, names: Sequence[str]) -> List[int]:
        missing = [name for name in DEXTER_JOINTS if name not in names]
        if missing:
            raise ValueError('the metainfo has no joint '
                             f'{", ".join(missing)}, which Dexter+Object '
                             f'annotates; it has {", ".join(names)}')
        return [names.index(name) for name in DEXTER_JOINTS]

    def _load_sequence(self, sequence: str) -> Tuple[np.ndarray, np.ndarray]:
        """Tips in the colour camera's frame, NaN where missing, and the
        numbers of the images."""
        folder = osp.join(self.data_root, 'data', sequence)
        image_dir = osp.join(folder, 'color')
        path = osp.join(folder, 'annotations', f'{sequence}3D.txt')
        missing = [p for p in (image_dir, path) if not osp.exists(p)]
        if missing:
            raise FileNotFoundError(
                'Dexter+Object is not, or not whole, in data_root='
                f'{self.data_root!r}: {", ".join(missing)} missing. Get '
                f'Dexter+Object from {_HOMEPAGE} and point data_root to the '
                'extracted folder, which has data/.')
        found = (
            re.fullmatch(r'image_(\d{5})\.png', name)
            for name in os.listdir(image_dir))
        numbers = np.array(
            sorted(int(match[1]) for match in found if match), dtype=np.int64)
        tips = load_tips(path)
        if len(tips) != len(numbers):
            raise ValueError(
                f'{path} has {len(tips)} lines, but {image_dir} has '
                f'{len(numbers)} images image_%05d.png; there must be one '
                'line per image, so restore what is missing')
        annotated = tips[..., 2] != _MISSING_Z
        tips[..., :2] *= -1
        tips = tips @ _EXTRINSICS[:, :3].T + _EXTRINSICS[:, 3]
        check_keypoints_cam(
            np.where(annotated[..., None], tips, [0., 0., 1.]), path,
            DEXTER_JOINTS, numbers)
        # five tips have no size, but a distance
        check_hand_sizes(tips, path, DEXTER_JOINTS, numbers, annotated)
        tips[~annotated] = np.nan
        return tips, numbers

    def _load_boxes(self, sample_ids: np.ndarray) -> np.ndarray:
        boxes = {}
        with open(
                self.bbox_csv, newline='', encoding='utf-8',
                errors='replace') as file:
            reader = csv.DictReader(file)
            try:
                lacking = set(_BOX_COLUMNS) - set(reader.fieldnames or ())
                rows = [(reader.line_num, row) for row in reader]
            except csv.Error as e:
                raise ValueError(
                    f'{self.bbox_csv}, line {reader.reader.line_num}: '
                    f'{e}') from None
        if lacking:
            raise ValueError(
                f'{self.bbox_csv}: the first line must name the columns '
                f'{", ".join(_BOX_COLUMNS)}; {", ".join(sorted(lacking))} '
                'missing')
        for line, row in rows:
            try:
                x, y, w, h = (float(row[c]) for c in _BOX_COLUMNS[1:])
            except (TypeError, ValueError):
                x = y = w = h = math.nan
            # false for NaN, too
            if not (abs(x) <= MAX_COORDINATE and abs(y) <= MAX_COORDINATE
                    and x < x + w <= x + MAX_COORDINATE
                    and y < y + h <= y + MAX_COORDINATE):
                cells = [str(row[c])[:40] for c in _BOX_COLUMNS[1:]]
                raise ValueError(
                    f'{self.bbox_csv}, line {line}: x, y, w and h must be '
                    f'numbers and the box have an area, got {cells}')
            boxes[row['img_name']] = (x, y, x + w, y + h)
        names = [self._img_name(i) for i in sample_ids.tolist()]
        missing = [name for name in names if name not in boxes]
        if missing:
            such = count_such(len(missing), len(names), 'image')
            raise ValueError(
                f'{self.bbox_csv} has no box for {missing[0]}{such}')
        return np.array([boxes[name] for name in names])


def _span_tips(tips: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) about tips (N, 5, 3), NaN where missing."""
    uv = project(tips, _COLOR_CAMERA)
    low, high = np.nanmin(uv, axis=1), np.nanmax(uv, axis=1)
    focal = np.diag(_COLOR_CAMERA)[:2]
    smallest = _MIN_BOX_SIDE * focal / np.nanmean(
        tips[..., 2], axis=1, keepdims=True)
    half = np.maximum(high - low, smallest) / 2
    centre = (low + high) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def load_tips(path: str) -> np.ndarray:
    """Load the finger tips of a sequence of Dexter+Object.

    Args:
        path (str): A ``{sequence}3D.txt`` of the release.

    Returns:
        np.ndarray: Numbers of the file in shape (N, 5, 3), float64.

    Raises:
        ValueError: Naming the file and the first line that is not five
            times three numbers.
    """
    tips = []
    with open(path, encoding='utf-8', errors='replace') as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            cells = [cell for cell in line.split(';') if cell.strip()]
            try:
                tip = [[float(x) for x in cell.split(',')] for cell in cells]
            except ValueError:
                tip = []
            if [len(xyz) for xyz in tip] != [3] * len(DEXTER_JOINTS):
                raise ValueError(
                    f'{path}, line {number}: must be '
                    f'{len(DEXTER_JOINTS)} finger tips as "x, y, z;", got '
                    f'{line.strip()[:100]!r}')
            tips.append(tip)
    return np.array(tips, dtype=np.float64).reshape(-1, len(DEXTER_JOINTS), 3)
