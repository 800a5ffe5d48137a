"""One's own hands: a COCO-style json with cameras and 3D joints."""
import contextlib
import io
import os.path as osp
from itertools import chain
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
from mmpose.registry import DATASETS
from xtcocotools.coco import COCO

from ..geometry.camera import project
from ..geometry.hand import SIDES
from ..geometry.plausibility import find_boxes_fault
from .base_hand3d import (BaseHand3DDataset, HandAnnotations,
                          check_bone_length, check_camera_matrix,
                          check_hand_sizes, check_keypoints_cam, load_json,
                          local_name, measure_bones)


@DATASETS.register_module()
class Hand3DJsonDataset(BaseHand3DDataset):
    """Hands with 3D joints in COCO's json format.

    Besides what COCO has, an annotation holds the camera and the joints in
    its frame::

        images: [{id, file_name, width, height}, ...]
        annotations: [{
            id, image_id, category_id,
            bbox: [x, y, w, h],                       px
            keypoints: [u, v, visibility] * K,        px
            keypoints_cam: [[x, y, z]] * K,           mm, camera frame
            camera_matrix: [[fx, s, cx], [0, fy, cy], [0, 0, 1]],
            hand_side: 'left' or 'right',
            bone_length,                              mm, optional
            keypoint_weights: [w] * K,                optional
            depth_weights: [w] * K                    optional
        }, ...]
        categories: [{id, name, keypoints: [K joint names]}]

    Pixel centres are at integers; the camera frame has x right, y down, z
    forwards. Visibility is COCO's: 0 for a joint without annotation, whose
    numbers may be 0 or null, 1 for an occluded one, 2 for one in sight. The
    reference bone's length is measured where ``bone_length`` is absent. The
    weights, 0 or more, say how much the pixels and the depths of annotated
    joints count in training: 1 where they are absent; depths that are a mere
    guess, so that the joints lie where they are seen, have 0.

    The ``keypoints`` of the category name the joints in the order of the
    file. They must be the joints of the metainfo, in any order: records come
    in that of the metainfo. A record's ``id`` and ``img_id`` are those of the
    annotation. Its pixels are the projection of ``keypoints_cam``; a file
    whose ``keypoints`` are elsewhere is refused, since its camera, units or
    joint order are wrong. So are hands, bones and cameras that are none, see
    :mod:`lgh_mmpose.geometry.plausibility`, and a file whose boxes are
    corners. An image that has not the size of the file is an error when it
    is read.

    Args:
        data_root (str): Folder that ``ann_file`` and images are relative to.
        ann_file (str): The json file.
        data_prefix (dict): ``img`` is the folder of the images in
            ``data_root``. Defaults to ``data_root`` itself.
        reference_bone (tuple[str, str]): Joints at the ends of the reference
            bone, to be measured. Defaults to
            ``('middle_finger1', 'middle_finger2')``.
        max_reprojection_error (float): Distance in px that ``keypoints`` may
            have from the projection of ``keypoints_cam``. Defaults to 2.
        bbox_mode (str): As in :class:`BaseHand3DDataset`. Defaults to
            ``'annotation'``.
        **kwargs: See :class:`BaseHand3DDataset`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not in this format. The field and the
            annotation (or image) are named.
    """

    METAINFO: dict = dict(from_file='configs/_base_/datasets/freihand2d.py')
    DATASET_NAME = 'hand3d_json'

    def __init__(self,
                 data_root: str,
                 ann_file: str,
                 data_prefix: dict = dict(img=''),
                 reference_bone: Tuple[str, str] = ('middle_finger1',
                                                    'middle_finger2'),
                 max_reprojection_error: float = 2.,
                 bbox_mode: str = 'annotation',
                 **kwargs) -> None:
        self.json_file = osp.join(data_root, ann_file)
        self.img_prefix = osp.join(data_root, data_prefix.get('img', ''))
        self.reference_bone = tuple(reference_bone)
        self.max_reprojection_error = max_reprojection_error
        super().__init__(data_root=data_root, bbox_mode=bbox_mode, **kwargs)

    def get_img_path(self, sample_id: int) -> str:
        row = self.get_annotation_row(sample_id)
        return osp.join(self.img_prefix, str(self._file_names[row]))

    def get_annotated_size(self, sample_id: int) -> Tuple[int, int]:
        width, height = self._sizes[self.get_annotation_row(sample_id)]
        return int(width), int(height)

    def get_hand_side(self, sample_id: int) -> str:
        return SIDES[self._sides[self.get_annotation_row(sample_id)]]

    def get_data_info(self, idx: int) -> dict:
        data_info = super().get_data_info(idx)
        row = self.get_annotation_row(data_info['id'])
        data_info['img_id'] = int(self._image_ids[row])
        return data_info

    def load_hand_annotations(self) -> Tuple[HandAnnotations, np.ndarray]:
        path = self.json_file
        if not osp.isfile(path):
            raise FileNotFoundError(
                f'{path} does not exist: data_root and ann_file must lead to '
                'a json file, see docs/how_to/train_on_your_own_data.md')
        return self.read_content(load_json(path))

    def read_content(self, content: Any) -> Tuple[HandAnnotations, np.ndarray]:
        """Check what the json file holds, or shall hold.

        Args:
            content (Any): As ``json.load`` gives it.

        Returns:
            tuple: See :meth:`load_hand_annotations`.

        Raises:
            ValueError: See the class.
        """
        path = self.json_file
        check_structure(content, path)
        with contextlib.redirect_stdout(io.StringIO()):  # it says hello
            coco = COCO(path, ann_data=content)
        annotations = coco.loadAnns(sorted(coco.anns))
        names = self._joint_names(coco, annotations)
        order = self.joint_order(names, path)

        ids = np.array([ann['id'] for ann in annotations])
        self._image_ids = np.array([ann['image_id'] for ann in annotations])
        images = coco.loadImgs(self._image_ids.tolist())
        self._file_names = np.array(
            [local_name(img['file_name'], self.img_prefix) for img in images])
        self._sizes = np.array([(img['width'], img['height'])
                                for img in images])
        self._sides = np.array(
            [SIDES.index(ann['hand_side']) for ann in annotations],
            dtype=np.int8)
        if self.bbox_mode == 'image':
            self._take_image_size(images)

        def column(field: str, *shape: int) -> np.ndarray:
            return stack_field(annotations, field, shape, path)

        where = f'{path}, field %s of the annotations'
        camera_matrix = column('camera_matrix', 3, 3)
        check_camera_matrix(camera_matrix, where % 'camera_matrix', ids,
                            self._sizes)
        keypoints = column('keypoints',
                           3 * len(names)).reshape(len(ids), len(names), 3)
        visible = self._visibility(keypoints[..., 2], ids)
        keypoints_cam = column('keypoints_cam', len(names), 3)
        check_keypoints_cam(
            np.where(visible[..., None], keypoints_cam, [0., 0., 1.]),
            where % 'keypoints_cam', names, ids)
        check_hand_sizes(keypoints_cam, where % 'keypoints_cam', names, ids,
                         visible)
        # in the middle of the others, which is in front of the camera
        keypoints_cam = np.where(
            visible[..., None], keypoints_cam,
            np.mean(
                keypoints_cam, axis=1, keepdims=True, where=visible[...,
                                                                    None]))
        self._check_projection(keypoints[..., :2], keypoints_cam,
                               camera_matrix, visible, names, ids)
        bone_length = self._bone_lengths(annotations, keypoints_cam, visible,
                                         names, ids)
        return HandAnnotations(
            camera_matrix=camera_matrix,
            bone_length=bone_length,
            keypoints_cam=keypoints_cam[:, order],
            keypoints_visible=visible[:, order].astype(np.float32),
            bbox=self._corners(
                column('bbox', 4), keypoints[..., :2], visible, ids),
            **self._weights(annotations, len(names), order)), ids

    def _weights(self, annotations: List[dict], num_joints: int,
                 order: List[int]) -> Dict[str, np.ndarray]:
        """Those of the two weights (R, K) that any annotation has."""
        weights = {}
        for field in ('keypoint_weights', 'depth_weights'):
            if not any(field in ann for ann in annotations):
                continue
            ones = [1.] * num_joints
            values = stack_field([{
                field: ann.get('keypoint_weights', ones),
                **ann
            } for ann in annotations], field, (num_joints, ), self.json_file)
            bad = np.flatnonzero(~((values >= 0) & (values < np.inf)).all(1))
            if len(bad):
                self._fail(field, annotations[bad[0]]['id'],
                           'must be finite numbers, 0 or more')
            weights[field] = values[:, order].astype(np.float32)
        return weights

    def _joint_names(self, coco: COCO, annotations: List[dict]) -> List[str]:
        """The joints of the category that all annotations have."""
        category_ids = {ann['category_id'] for ann in annotations}
        if len(category_ids) > 1:
            raise ValueError(
                f'{self.json_file}: the annotations have the categories '
                f'{sorted(category_ids)}; one data set reads one category, '
                'so split the file')
        category = coco.cats[category_ids.pop()]
        names = category['keypoints']
        unknown = [name for name in names if name not in self.keypoint_names]
        if unknown:
            raise ValueError(
                f'{self.json_file}: category {category["id"]} names '
                f'{", ".join(unknown)} in its keypoints, which the metainfo '
                f'does not know; it has {", ".join(self.keypoint_names)}')
        return names

    def _take_image_size(self, images: Sequence[dict]) -> None:
        sizes = {(img['width'], img['height']) for img in images}
        if len(sizes) > 1:
            raise ValueError(
                f"{self.json_file}: bbox_mode='image' needs images of one "
                f"size, these have {len(sizes)}; use bbox_mode='annotation'")
        self.image_size = sizes.pop()

    def _fail(self, field: str, sample_id: int, why: str) -> None:
        raise ValueError(
            f'{self.json_file}: {field} of annotation {sample_id} {why}')

    def _visibility(self, flags: np.ndarray, ids: np.ndarray) -> np.ndarray:
        bad = np.flatnonzero(~np.isin(flags, (0, 1, 2)).all(1))
        if len(bad):
            self._fail('keypoints', ids[bad[0]],
                       'has a visibility that is not 0, 1 or 2')
        visible = flags > 0
        empty = np.flatnonzero(~visible.any(1))
        if len(empty):
            self._fail('keypoints', ids[empty[0]],
                       'has no annotated joint; leave the annotation out')
        return visible

    def _check_projection(self, keypoints: np.ndarray,
                          keypoints_cam: np.ndarray, camera_matrix: np.ndarray,
                          visible: np.ndarray, names: Sequence[str],
                          ids: np.ndarray) -> None:
        null = visible & ~np.isfinite(keypoints).all(-1)
        if null.any():
            row, joint = np.argwhere(null)[0]
            self._fail(
                'keypoints', ids[row],
                f'has null or NaN for {names[joint]}, but visibility is not 0 '
                f'({null.any(1).sum()} such annotations)')
        error = np.linalg.norm(
            keypoints - project(keypoints_cam, camera_matrix), axis=-1)
        # not "greater than": what overflows is NaN
        bad = visible & ~(error <= self.max_reprojection_error)
        if bad.any():
            row, joint = np.argwhere(bad)[0]
            self._fail(
                'keypoints', ids[row],
                f'puts {names[joint]} {error[row, joint]:.1f} px from the '
                'projection of keypoints_cam; check the units (px, mm), the '
                'camera_matrix, the order of the joints and whether the image '
                f'is undistorted ({bad.any(1).sum()} such annotations; '
                f'max_reprojection_error={self.max_reprojection_error})')

    def _bone_lengths(self, annotations: List[dict], keypoints_cam: np.ndarray,
                      visible: np.ndarray, names: Sequence[str],
                      ids: np.ndarray) -> np.ndarray:
        ends = [names.index(name) for name in self.reference_bone]
        measured = measure_bones(keypoints_cam, names, self.reference_bone)
        measured[~visible[:, ends].all(1)] = np.nan
        lengths = measured.copy()
        for row, ann in enumerate(annotations):
            given = ann.get('bone_length')
            if given is not None:
                try:
                    lengths[row] = given if type(given) in (int,
                                                            float) else 'no'
                except (ValueError, OverflowError):  # of hundreds of digits
                    self._fail('bone_length', ann['id'],
                               f'must be a number, got {str(given)[:100]!r}')
            elif np.isnan(measured[row]):
                self._fail(
                    'bone_length', ann['id'], 'is absent and cannot be '
                    f'measured, since {" or ".join(self.reference_bone)} is '
                    'not annotated')
        check_bone_length(
            lengths, f'{self.json_file}, field bone_length of the '
            'annotations', ids, self.reference_bone, measured)
        return lengths

    def _corners(self, bbox: np.ndarray, keypoints: np.ndarray,
                 visible: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Left, top, right and bottom of the boxes of the file."""
        with np.errstate(over='ignore'):
            corners = np.concatenate([bbox[:, :2], bbox[:, :2] + bbox[:, 2:]],
                                     1)
            # records have float32
            single = corners.astype(np.float32)
        bad = np.flatnonzero(~(np.isfinite(single).all(1)
                               & (single[:, 2:] > single[:, :2]).all(1)))
        if len(bad):
            self._fail(
                'bbox', ids[bad[0]], 'must be [x, y, width, height] '
                f'with an area, got {bbox[bad[0]].tolist()}')
        shown = visible[..., None]
        joints = np.concatenate([
            np.where(shown, keypoints, np.inf).min(1),
            np.where(shown, keypoints, -np.inf).max(1)
        ], 1)
        instead = find_boxes_fault(bbox, joints, self._sizes)
        if instead is not None:
            self._fail(
                'bbox', ids[0], f'is {bbox[0].tolist()}, and like the boxes '
                f'of the whole file it seems to be {instead}; it must be '
                '[x, y, width, height] in px')
        return corners


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


# field -> what it must be, and a test of it
_IMAGE_FIELDS = dict(
    id=('a whole number', _is_id),
    file_name=('a path', lambda v: isinstance(v, str) and v != ''),
    width=('a positive whole number', lambda v: _is_id(v) and v > 0),
    height=('a positive whole number', lambda v: _is_id(v) and v > 0))
_ANNOTATION_FIELDS = dict(
    id=('a whole number', _is_id),
    image_id=('a whole number', _is_id),
    category_id=('a whole number', _is_id),
    hand_side=("'left' or 'right'", lambda v: v in SIDES),
    bbox=('a list', lambda v: isinstance(v, list)),
    keypoints=('a list', lambda v: isinstance(v, list)),
    keypoints_cam=('a list', lambda v: isinstance(v, list)),
    camera_matrix=('a list', lambda v: isinstance(v, list)))
_CATEGORY_FIELDS = dict(
    id=('a whole number', _is_id),
    keypoints=('a list of different names', lambda v: isinstance(v, list) and
               all(isinstance(name, str)
                   for name in v) and len(set(v)) == len(v) > 0))


def check_structure(content: Any, path: str) -> None:
    """Check which fields a json of :class:`Hand3DJsonDataset` has.

    Numbers inside of lists are not looked at.

    Args:
        content (Any): The content of the file.
        path (str): The file, for the message.

    Raises:
        ValueError: Naming the field and the annotation, image or category.
    """
    if not isinstance(content, dict):
        raise ValueError(f'{path} must be an object with images, '
                         'annotations and categories')
    ids = {}
    for part, fields in (('images', _IMAGE_FIELDS), ('annotations',
                                                     _ANNOTATION_FIELDS),
                         ('categories', _CATEGORY_FIELDS)):
        items = content.get(part)
        if not isinstance(items, list) or not items:
            raise ValueError(f'{path}: {part} must be a list that is not '
                             'empty')
        ids[part] = set()
        for index, item in enumerate(items):
            if not isinstance(item, dict):
                raise ValueError(f'{path}: {part}[{index}] is no object')
            name = f'id {item["id"]}' if 'id' in item else f'index {index}'
            for field, (wanted, is_good) in fields.items():
                if field not in item:
                    raise ValueError(f'{path}: {part}, {name}: {field} is '
                                     f'missing, must be {wanted}')
                if not is_good(item[field]):
                    raise ValueError(
                        f'{path}: {part}, {name}: {field} must be {wanted}, '
                        f'got {str(item[field])[:100]!r}')
            if item['id'] in ids[part]:
                raise ValueError(f'{path}: {part} has id {item["id"]} twice')
            ids[part].add(item['id'])
    for ann in content['annotations']:
        for field, part in (('image_id', 'images'), ('category_id',
                                                     'categories')):
            if ann[field] not in ids[part]:
                raise ValueError(
                    f'{path}: annotations, id {ann["id"]}: {field} '
                    f'{ann[field]} is none of the {part}')


def stack_field(annotations: Sequence[dict], field: str,
                shape: Tuple[int, ...], path: str) -> np.ndarray:
    """Stack a field of all annotations; null becomes NaN.

    Args:
        annotations (Sequence[dict]): N annotations that have the field.
        field (str): Its name.
        shape (tuple[int, ...]): Shape that it has in an annotation.
        path (str): The file, for the message.

    Returns:
        np.ndarray: float64 array (N, *shape).

    Raises:
        ValueError: Naming the first annotation where it is something else.
    """

    def to_array(values: Sequence[Any]) -> Optional[np.ndarray]:
        flat = values
        for length in shape:
            if any(not isinstance(v, list) or len(v) != length for v in flat):
                return None
            flat = list(chain.from_iterable(flat))
        # neither true nor '1', which NumPy takes for numbers
        if not set(map(type, flat)) <= {int, float, type(None)}:
            return None
        try:
            return np.array(flat, dtype=np.float64).reshape(-1, *shape)
        except OverflowError:  # hundreds of digits
            return None

    array = to_array([ann[field] for ann in annotations])
    if array is not None:
        return array
    culprit = next(
        ann for ann in annotations if to_array([ann[field]]) is None)
    try:
        found = np.shape(culprit[field])
    except ValueError:  # ragged
        found = shape
    raise ValueError(f'{path}: {field} of annotation {culprit["id"]} must be '
                     f'{"x".join(map(str, shape))} numbers, got ' +
                     ('something else' if found in
                      (shape, ()) else 'x'.join(map(str, found))))
