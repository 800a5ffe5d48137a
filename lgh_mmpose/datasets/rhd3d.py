"""RHD, the Rendered Hand Pose Dataset, with its 3D annotations."""
import json
import os.path as osp
from dataclasses import dataclass, field
from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np
import torch
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import DATASETS

from ..geometry.camera import project
from ..geometry.hand import SIDES
from ..inference.images import ImageError, decode_labels, read_bytes
from ..shards import Parts
from .base_hand3d import (BaseHand3DDataset, HandAnnotations,
                          check_bone_length, check_camera_matrix,
                          check_hand_sizes, check_keypoints_cam, count_such,
                          load_json, local_name, measure_bones)
from .safe_pickle import load_array_pickle
from .unreadable import UnreadableImageError

_HOMEPAGE = ('https://lmb.informatik.uni-freiburg.de/resources/datasets/'
             'RenderedHandposeDataset.en.html')

PART_IDS = ((2, 17), (18, 33))  # of the masks, first and last
_MIN_BOX_SIDE = 30.  # px, that of the authors' crop
_MAX_REPROJECTION_ERROR = 5.  # px; rounding makes 0.1
_UNKNOWN_ROW = -1
_MAX_ID = 2**62  # twice that is an int64


@dataclass(frozen=True)
class _Rows:
    """Row of the annotations of each sample; all copies of a set share it.

    Attributes:
        rows (torch.Tensor): (N,), int64, in memory that all DataLoader
            workers share; -1 where the mask was not read yet.
    """

    rows: torch.Tensor = field(repr=False)

    def __deepcopy__(self, memo: dict) -> '_Rows':
        return self


@dataclass(frozen=True)
class _Source:
    """What a file of annotations holds, in its own order of joints.

    Attributes:
        row_ids (np.ndarray): (R,), image (release) or annotation (json).
        sides (np.ndarray): (R,), indices into SIDES.
        camera_matrix (np.ndarray): (R, 3, 3).
        keypoints_cam (np.ndarray): (R, 21, 3), mm.
        keypoints (np.ndarray): (R, 21, 3), u and v in px, seen or not.
    """

    row_ids: np.ndarray
    sides: np.ndarray
    camera_matrix: np.ndarray
    keypoints_cam: np.ndarray
    keypoints: np.ndarray


@DATASETS.register_module()
class Rhd3DDataset(BaseHand3DDataset):
    """RHD v1.1 as released, or in mmpose's COCO-style json.

    Zimmermann and Brox, "Learning to Estimate 3D Hand Pose from Single RGB
    Images", ICCV 2017. The files read are, for a split::

        data_root/{split}/anno_{split}.pickle
            id -> xyz (42, 3), metres; uv_vis (42, 3), px and visibility;
            K (3, 3). Joints 0 to 20 are the left hand's.
        data_root/{split}/color/%05d.png
        data_root/{split}/mask/%05d.png, parts 2 to 17 of the left hand and
            18 to 33 of the right one

    The pickle is read by an unpickler that knows arrays and containers only.
    An image gives one sample, of the hand with more pixels in the mask, as in
    the authors' evaluation; the right one if both have the same. A mask is
    read when its sample is first asked for, once for all DataLoader workers
    of a data set, so that there is nothing to wait for at the start and no
    cache file to go stale.

    With ``ann_file``, mmpose's ``rhd_train.json`` or ``rhd_test.json``, every
    annotation gives a sample. Its joints are in RHD's order, whatever its
    ``categories`` say (those of mmpose's files name them from base to tip).

    Joints come in the order of the metainfo, FreiHAND's by default, so that
    RHD and FreiHAND mix; ``metainfo=dict(from_file=
    'configs/_base_/datasets/rhd2d.py')`` keeps RHD's. All joints count as
    annotated, seen or not; a record tells in ``keypoints_in_sight`` (1, K)
    which are seen. Its ``keypoints`` are the published ones, float64, which
    rounding puts up to 0.1 px off the projected 3D joints.

    The box is that of the joints in sight, or of all joints if fewer than 3
    are, and at least 30 px high and wide.

    Args:
        data_root (str): Folder of the release (``RHD_published_v2``).
        split (str): ``'training'`` or ``'evaluation'``; ``ann_file``
            decides by itself. Defaults to ``'training'``.
        ann_file (str): mmpose's json file, relative to ``data_root``.
            Defaults to ``''``: the raw release.
        data_prefix (dict): ``img`` is where the ``file_name`` of the json
            starts, relative to ``data_root``. Defaults to ``data_root``.
        both_hands (bool): Whether both hands of an image are samples, with
            ``id`` 2 i for the left hand of image i and 2 i + 1 for the right
            one, instead of i. Masks are not needed then. Defaults to
            ``False``.
        min_joints_in_sight (int): With ``both_hands``, hands of which fewer
            joints are seen are left out. Defaults to 11, more than half.
        bbox_mode (str): As in :class:`BaseHand3DDataset`. Defaults to
            ``'annotation'``, the box described above.
        **kwargs: See :class:`BaseHand3DDataset`.
    """

    METAINFO: dict = dict(from_file='configs/_base_/datasets/freihand2d.py')
    DATASET_NAME = 'rhd3d'
    # mmpose's file of the joints in RHD's own order
    SOURCE_METAINFO: dict = dict(from_file='configs/_base_/datasets/rhd2d.py')

    def __init__(self,
                 data_root: str,
                 split: str = 'training',
                 ann_file: str = '',
                 data_prefix: Optional[dict] = None,
                 both_hands: bool = False,
                 min_joints_in_sight: int = 11,
                 bbox_mode: str = 'annotation',
                 **kwargs) -> None:
        if split not in ('training', 'evaluation'):
            raise ValueError("split must be 'training' or 'evaluation', got "
                             f'{split!r}')
        if ann_file and both_hands:
            raise ValueError('both_hands is a choice for the raw release; '
                             'ann_file decides itself which hands there are')
        self.split = split
        self.json_file = osp.join(data_root, ann_file) if ann_file else ''
        self.img_prefix = osp.join(data_root, (data_prefix
                                               or {}).get('img', ''))
        self.both_hands = both_hands
        self.min_joints_in_sight = min_joints_in_sight
        super().__init__(data_root=data_root, bbox_mode=bbox_mode, **kwargs)

    def get_img_id(self, sample_id: int) -> int:
        """Number of the image of a sample."""
        if self.json_file:
            return int(self._image_ids[self._index(sample_id)])
        return sample_id // 2 if self.both_hands else sample_id

    def get_img_path(self, sample_id: int) -> str:
        if self.json_file:
            return osp.join(self.img_prefix,
                            self._file_names[self._index(sample_id)])
        return self._release_path('color', sample_id)

    def get_annotated_size(self, sample_id: int) -> Optional[Tuple[int, int]]:
        if self.json_file and self._sizes is not None:
            width, height = self._sizes[self._index(sample_id)].tolist()
            return width, height
        return super().get_annotated_size(sample_id)

    def get_hand_side(self, sample_id: int) -> str:
        return SIDES[self._sides[self.get_annotation_row(sample_id)]]

    def get_annotation_row(self, sample_id: int) -> int:
        index = self._index(sample_id)
        row = int(self._rows.rows[index])
        if row == _UNKNOWN_ROW:
            row = 2 * index + self._read_side(sample_id)
            self._rows.rows[index] = row
        return row

    def get_data_info(self, idx: int) -> dict:
        """Make the record of a sample.

        Args:
            idx (int): Index in the data set.

        Returns:
            dict: See the class.

        Raises:
            UnreadableImageError: If its mask cannot be read.
            ValueError: If the hand is not in front of the camera.
        """
        data_info = super().get_data_info(idx)
        sample_id = data_info['id']
        row = self.get_annotation_row(sample_id)
        # asked here, since a hand that is no sample may be behind the camera
        check_keypoints_cam(data_info['keypoints_cam'], self._path,
                            self.keypoint_names, [sample_id])
        data_info.update(
            img_id=self.get_img_id(sample_id),
            keypoints=self._keypoints[row][None].copy(),
            keypoints_in_sight=self._in_sight[row][None].copy())
        return data_info

    def _index(self, sample_id: int) -> int:
        return super().get_annotation_row(sample_id)

    def _release_path(self, folder: str, sample_id: int) -> str:
        root, number = self._parts.locate(self.get_img_id(sample_id))
        return osp.join(root, self.split, folder, f'{number:05d}.png')

    def _read_side(self, sample_id: int) -> int:
        """Index of the side with more pixels in the mask."""
        path = self._release_path('mask', sample_id)
        try:
            mask = decode_labels(read_bytes(path))
        except ImageError as error:
            raise UnreadableImageError.of(sample_id, path,
                                          str(error)) from error
        except OSError as error:
            raise UnreadableImageError.of(sample_id, path, error.strerror
                                          or str(error)) from error
        left, right = (np.count_nonzero((mask >= first) & (mask <= last))
                       for first, last in PART_IDS)
        return int(left <= right)

    def load_hand_annotations(self) -> Tuple[HandAnnotations, np.ndarray]:
        if self.json_file:
            self._path = self.json_file
            source, sample_ids, rows = self._load_json()
        else:
            self._parts = Parts(self.data_root, self.split)
            self._path = self._release_file(self.data_root)
            source, sample_ids, rows = self._load_release()
        id2name = parse_pose_metainfo(self.SOURCE_METAINFO)['keypoint_id2name']
        names = [id2name[i] for i in range(len(id2name))]
        bone_length = self._check(source, names)
        order = self.joint_order(names, self._path)
        self._rows = _Rows(torch.from_numpy(rows).share_memory_())
        self._sides = source.sides
        self._keypoints = source.keypoints[:, order, :2]
        self._in_sight = source.keypoints[:, order, 2] > 0
        return HandAnnotations(
            source.camera_matrix,
            bone_length,
            source.keypoints_cam[:, order],
            bbox=_boxes(self._keypoints, self._in_sight)), sample_ids

    def _check(self, source: _Source, names: Sequence[str]) -> np.ndarray:
        """Check all hands; return the lengths of their reference bones."""
        ids, xyz = source.row_ids, source.keypoints_cam
        uv, in_sight = source.keypoints[..., :2], source.keypoints[..., 2] > 0
        check_camera_matrix(source.camera_matrix, self._path, ids)
        for name, array in (('3D', xyz), ('2D', source.keypoints)):
            bad = np.flatnonzero(~np.isfinite(array).all((1, 2)))
            if len(bad):
                raise ValueError(f'{self._path}: a {name} joint of sample '
                                 f'{ids[bad[0]]} is not finite'
                                 f'{count_such(len(bad), len(ids), "hand")}')
        seen = in_sight.any(axis=1)
        check_keypoints_cam(xyz[seen], self._path, names, ids[seen])
        bone_length = measure_bones(xyz, names)
        unit = 'mm' if self.json_file else 'm'
        check_hand_sizes(xyz[seen], self._path, names, ids[seen], unit=unit)
        check_bone_length(bone_length, self._path, ids, unit=unit)
        error = np.linalg.norm(
            project(xyz[seen], source.camera_matrix[seen]) - uv[seen], axis=-1)
        bad = np.argwhere((error > _MAX_REPROJECTION_ERROR) & in_sight[seen])
        if len(bad):
            row, joint = bad[0]
            raise ValueError(
                f'{self._path}: joint {names[joint]} of sample '
                f'{ids[seen][row]} lies {error[row, joint]:.0f} px off the '
                'projection of its 3D position; joints and camera do not '
                'belong together'
                f'{count_such(len(set(bad[:, 0])), len(error), "hand")}')
        return bone_length

    def _release_file(self, root: str) -> str:
        return osp.join(root, self.split, f'anno_{self.split}.pickle')

    def _read_release(self, root: str) -> Dict[int, Any]:
        """Annotations of a folder by the numbers of its images."""
        path = self._release_file(root)
        folders = [osp.join(root, self.split, 'color')]
        if not self.both_hands:
            folders.append(osp.join(root, self.split, 'mask'))
        missing = [path for path in folders if not osp.isdir(path)]
        if not osp.isfile(path):
            missing.insert(0, path)
        if missing:
            raise FileNotFoundError(
                f'RHD is not, or not whole, in data_root={root!r}: '
                f'{", ".join(missing)} missing. Get RHD v1.1 from {_HOMEPAGE} '
                'and point data_root to RHD_published_v2, or render a '
                'stand-in: tools/dataset_converters/make_studiohand.py '
                '--layout rhd.')
        annotations = load_array_pickle(path)
        if not isinstance(annotations, dict) or not annotations or not all(
                type(key) is int and 0 <= key < _MAX_ID
                for key in annotations):
            raise ValueError(f'{path} must hold a dict from the numbers '
                             'of the images to their annotations')
        return annotations

    def _load_release(self) -> Tuple[_Source, np.ndarray, np.ndarray]:
        loaded = list(map(self._read_release, self._parts.folders))
        # a shard counts its images from 0 on
        self._parts.check_sizes([max(part) + 1 for part in loaded])
        annotations = loaded[0]
        for part, shard in zip(loaded[1:], self._parts.shards[1:]):
            annotations.update({
                shard.start + i: value
                for i, value in part.items()
            })
        image_ids = sorted(annotations)
        xyz, uv_vis, camera_matrix = (np.stack([
            self._release_array(annotations[i], i, key, shape)
            for i in image_ids
        ]).astype(np.float64) for key, shape in (('xyz', (42, 3)), ('uv_vis',
                                                                    (42, 3)),
                                                 ('K', (3, 3))))
        # left and right in turn: row 2 i + side
        image_ids = np.array(image_ids, dtype=np.int64)
        source = _Source(
            row_ids=image_ids.repeat(2),
            sides=np.tile([0, 1], len(image_ids)),
            camera_matrix=camera_matrix.repeat(2, axis=0),
            keypoints_cam=xyz.reshape(-1, 21, 3) * 1000,
            keypoints=uv_vis.reshape(-1, 21, 3))
        if not self.both_hands:
            return source, image_ids, np.full_like(image_ids, _UNKNOWN_ROW)
        num_in_sight = (source.keypoints[..., 2] > 0).sum(axis=1)
        rows = np.flatnonzero(num_in_sight >= self.min_joints_in_sight)
        if not len(rows):
            raise ValueError(f'{self._path}: no hand has min_joints_in_sight='
                             f'{self.min_joints_in_sight} joints in sight')
        return source, 2 * source.row_ids[rows] + source.sides[rows], rows

    def _release_array(self, annotation: Any, image_id: int, key: str,
                       shape: Tuple[int, ...]) -> np.ndarray:
        value = annotation.get(key) if isinstance(annotation, dict) else None
        if not isinstance(value, np.ndarray) or value.shape != shape or (
                value.dtype.kind not in 'fiu'):
            got = f'shape {value.shape}, {value.dtype}' if isinstance(
                value, np.ndarray) else type(value).__name__
            raise ValueError(f'{self._path}: {key} of sample {image_id} must '
                             f'be an array of {shape} numbers, got {got}')
        return value

    def _load_json(self) -> Tuple[_Source, np.ndarray, np.ndarray]:
        content = load_json(self.json_file)
        images = self._json_items(content, 'images')
        annotations = self._json_items(content, 'annotations')
        ids = sorted(annotations)
        image_ids, sides, cameras, xyz, uv_vis = [], [], [], [], []
        for i in ids:
            where, annotation = f'annotation {i}', annotations[i]
            image_id = annotation.get('image_id')
            if type(image_id) is not int or image_id not in images:
                raise ValueError(f'{self.json_file}: {where} has image_id '
                                 f'{image_id!r}, which is no image there')
            if annotation.get('hand_type') not in SIDES:
                raise ValueError(
                    f'{self.json_file}: hand_type of {where} must be one of '
                    f'{SIDES}, got {annotation.get("hand_type")!r}')
            image_ids.append(image_id)
            sides.append(SIDES.index(annotation['hand_type']))
            cameras.append(self._json_camera(images[image_id], image_id))
            xyz.append(self._json_array(annotation, 'joint_cam', 63, where))
            uv_vis.append(self._json_array(annotation, 'keypoints', 63, where))
        self._image_ids = np.array(image_ids, dtype=np.int64)
        self._file_names = np.array([
            local_name(images[i]['file_name'], self.img_prefix)
            for i in image_ids
        ])
        sizes = [[images[i].get(key) for key in ('width', 'height')]
                 for i in image_ids]
        # mmpose's files have them
        self._sizes = None if any(
            type(n) is not int or n <= 0 for size in sizes
            for n in size) else np.array(sizes)
        ids = np.array(ids, dtype=np.int64)
        source = _Source(
            row_ids=ids,
            sides=np.array(sides),
            camera_matrix=np.stack(cameras),
            keypoints_cam=np.stack(xyz).reshape(-1, 21, 3),
            keypoints=np.stack(uv_vis).reshape(-1, 21, 3))
        return source, ids, np.arange(len(ids))

    def _json_items(self, content: Any, key: str) -> Dict[int, dict]:
        """Images or annotations by their id."""
        items = content.get(key) if isinstance(content, dict) else None
        if not isinstance(items, list) or not items:
            raise ValueError(f'{self.json_file} has no list {key!r}')
        by_id = {}
        for i, item in enumerate(items):
            item_id = item.get('id') if isinstance(item, dict) else None
            if type(item_id) is not int or item_id in by_id or not (
                    -_MAX_ID < item_id < _MAX_ID):
                raise ValueError(f'{self.json_file}: {key}[{i}] must have an '
                                 f'integer id of its own, got {item_id!r}')
            by_id[item_id] = item
        return by_id

    def _json_camera(self, image: dict, image_id: int) -> np.ndarray:
        where = f'image {image_id}'
        if not isinstance(image.get('file_name'), str):
            raise ValueError(f'{self.json_file}: {where} has no file_name')
        cam_param = image.get('cam_param')
        if not isinstance(cam_param, dict):
            raise ValueError(
                f'{self.json_file}: {where} has no cam_param (focal, '
                'princpt); a file for 2D poses alone is of no use here')
        camera_matrix = np.eye(3)
        camera_matrix[[0, 1],
                      [0, 1]] = self._json_array(cam_param, 'focal', 2, where)
        camera_matrix[:2, 2] = self._json_array(cam_param, 'princpt', 2, where)
        return camera_matrix

    def _json_array(self, item: dict, key: str, size: int,
                    where: str) -> np.ndarray:
        """Numbers of a field, which may be a list or a list as a string."""
        value = item.get(key)
        try:
            if isinstance(value, str):
                value = json.loads(value)
            array = np.array(value).reshape(-1)
            # NumPy would read '1' as a number, too
            array = array.astype(np.float64) if array.dtype.kind in 'iuf' \
                else np.empty(0)
        except (TypeError, ValueError, OverflowError, RecursionError):
            array = np.empty(0)
        if array.size != size:
            raise ValueError(f'{self.json_file}: {key} of {where} must be '
                             f'{size} numbers, got {str(value)[:60]}')
        return array


def _boxes(keypoints: np.ndarray, in_sight: np.ndarray) -> np.ndarray:
    """Boxes (R, 4) of joints (R, K, 2), see :class:`Rhd3DDataset`."""
    use = in_sight | (in_sight.sum(axis=1, keepdims=True) < 3)
    low = np.where(use[..., None], keypoints, np.inf).min(axis=1)
    high = np.where(use[..., None], keypoints, -np.inf).max(axis=1)
    half = np.maximum(high - low, _MIN_BOX_SIDE) / 2
    centre = (low + high) / 2
    return np.concatenate([centre - half, centre + half], axis=1)
