"""What all data sets of one 3D hand per sample share."""
import gc
import json
import os
import os.path as osp
from abc import abstractmethod
from dataclasses import dataclass, fields
from typing import Any, Callable, List, Optional, Sequence, Tuple, Union

import numpy as np
from mmengine.dataset import BaseDataset
from mmpose.datasets.datasets.base import BaseCocoStyleDataset

from ..geometry.camera import project
from ..geometry.plausibility import (BONE_AGREEMENT, DEPTHS, HAND_RATIOS,
                                     bone_range, find_bone_fault,
                                     find_camera_fault, find_placement_fault,
                                     find_size_fault, hand_sizes, unit_advice)
from ..inference.images import ImageError, read_image_size
from .unreadable import SkipUnreadableImages

# what mmpose's pipelines and models read of the metainfo
METAINFO_KEYS = ('dataset_name', 'upper_body_ids', 'lower_body_ids',
                 'flip_pairs', 'dataset_keypoint_weights', 'flip_indices',
                 'skeleton_links')


@dataclass(frozen=True)
class HandAnnotations:
    """Annotations as contiguous, read-only arrays; R rows, K joints.

    Several samples may share a row. Copies of a data set share the arrays.

    Attributes:
        camera_matrix (np.ndarray): Intrinsics in shape (R, 3, 3).
        bone_length (np.ndarray, optional): Reference bones in shape (R,),
            mm; None where they are not known.
        keypoints_cam (np.ndarray, optional): Joints in the camera frame in
            shape (R, K, 3), mm; None where they are not published. A joint
            without annotation must still be finite and in front of the
            camera.
        keypoints_visible (np.ndarray, optional): 1 for annotated joints,
            occluded or outside the image as they may be, else 0, in shape
            (R, K). Defaults to all annotated.
        bbox (np.ndarray, optional): Annotated boxes in shape (R, 4), left,
            top, right, bottom in px.
        keypoint_weights (np.ndarray, optional): How much the pixels of
            annotated joints count in training, in shape (R, K). Defaults to
            1.
        depth_weights (np.ndarray, optional): The same of their depths, 0
            where they are not known. Defaults to ``keypoint_weights``.
    """

    camera_matrix: np.ndarray
    bone_length: Optional[np.ndarray] = None
    keypoints_cam: Optional[np.ndarray] = None
    keypoints_visible: Optional[np.ndarray] = None
    bbox: Optional[np.ndarray] = None
    keypoint_weights: Optional[np.ndarray] = None
    depth_weights: Optional[np.ndarray] = None

    def __post_init__(self) -> None:
        for item in fields(self):
            array = getattr(self, item.name)
            if array is not None:
                array.flags.writeable = False

    @classmethod
    def concatenate(cls,
                    parts: Sequence['HandAnnotations']) -> 'HandAnnotations':
        """Join annotations, row after row; all have the same arrays."""
        if len(parts) == 1:
            return parts[0]
        joined = {}
        for item in fields(cls):
            arrays = [getattr(part, item.name) for part in parts]
            if all(array is not None for array in arrays):
                joined[item.name] = np.concatenate(arrays)
        return cls(**joined)

    def __deepcopy__(self, memo: dict) -> 'HandAnnotations':
        return self


def load_json(path: str) -> Any:
    """Load a json file that may hold millions of numbers.

    Args:
        path (str): The file.

    Returns:
        Any: Its content.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not json.
    """
    with open(path, 'rb') as file:
        content = file.read()
    # the collector would walk the new lists again and again
    gc_was_enabled = gc.isenabled()
    gc.disable()
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as e:
        raise ValueError(
            f'{path} is not valid json, perhaps an incomplete '
            f'download or extraction; fetch it again ({e})') from None
    finally:
        if gc_was_enabled:
            gc.enable()


def load_json_array(path: str, shape: Tuple[Optional[int], ...]) -> np.ndarray:
    """Load an array of numbers from a json file.

    Args:
        path (str): The file.
        shape (tuple): Expected shape; None stands for any length.

    Returns:
        np.ndarray: float64 array of that shape.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not json, or not numbers in that shape.
    """
    wanted = '(' + ', '.join('N' if n is None else str(n) for n in shape) + ')'
    data = load_json(path)
    try:
        array = np.array(data)
    except ValueError:
        array = np.array(None)
    # with a type of its own NumPy would read '1' and true as numbers
    if array.dtype.kind not in 'iuf':
        raise ValueError(
            f'{path} must hold an array of numbers of shape {wanted}, but '
            'its entries are ragged or not numbers')
    array = array.astype(np.float64)
    if array.ndim != len(shape) or any(
            n not in (None, m) for n, m in zip(shape, array.shape)):
        raise ValueError(f'{path} must hold an array of shape {wanted}, got '
                         f'{array.shape}')
    return array


def local_name(name: str, folder: str) -> str:
    """A file name of an annotation as this system has it.

    Args:
        name (str): Path relative to a folder; one written on Windows may have
            backslashes.
        folder (str): The folder.

    Returns:
        str: The name, with slashes in place of backslashes unless there is a
        file with backslashes in its name.
    """
    if '\\' in name and not osp.exists(osp.join(folder, name)):
        return name.replace('\\', '/')
    return name


def portable_name(path: str, folder: str) -> str:
    """Name of a file for annotations that lie in a folder.

    Args:
        path (str): The file.
        folder (str): The folder; both may be reached through symbolic links.

    Returns:
        str: Path relative to where the folder really is, with slashes, which
        leads to the file on any system.
    """
    folder = osp.realpath(folder)
    name = osp.relpath(osp.abspath(path), folder)
    # ".." goes up from where a link leads, not from where it stands
    there = osp.normpath(osp.join(folder, name))
    if not osp.exists(there) or not osp.samefile(there, path):
        name = osp.relpath(osp.realpath(path), folder)
    return name.replace(os.sep, '/')


def find_annotation_fault(record: dict,
                          image_size: Tuple[int, int]) -> Optional[str]:
    """Say why the record of a sample is not that of its image.

    Args:
        record (dict): As :meth:`BaseHand3DDataset.get_data_info` gives it.
        image_size (tuple[int, int]): Width and height of its image, upright.

    Returns:
        str | None: What is wrong with the annotated size, the box or the
        joints, or None.
    """
    annotated = record.get('annotated_size')
    fault = None if annotated is None else find_size_fault(
        annotated, image_size)
    if fault is not None:
        return fault
    keypoints = np.zeros((0, 2))
    if record.get('keypoints') is not None:
        visible = np.asarray(record['keypoints_visible'])[0]
        visible = visible[:, 0] if visible.ndim == 2 else visible
        keypoints = np.asarray(record['keypoints'])[0, :, :2][visible > 0]
    return find_placement_fault(image_size, record['bbox'][0], keypoints)


def count_such(number: int, total: int, what: str = 'sample') -> str:
    """How many samples have a fault, as the end of a sentence about one.

    Args:
        number (int): Those that have it.
        total (int): Those that were looked at; of a single one the sentence
            has told already.
        what (str): What they are, in the singular.

    Returns:
        str: In brackets, with a blank before them, or nothing.
    """
    if total == 1:
        return ''
    return f' ({number} such {what}{"" if number == 1 else "s"})'


def check_camera_matrix(camera_matrix: np.ndarray,
                        path: str,
                        ids: Optional[Sequence[int]] = None,
                        image_sizes: Optional[np.ndarray] = None) -> None:
    """Check that all cameras are invertible pinholes that fit their images.

    Args:
        camera_matrix (np.ndarray): Intrinsics in shape (R, 3, 3).
        path (str): Where they come from, for the message.
        ids (Sequence[int], optional): R ids of the samples, for the message.
            Defaults to their rows.
        image_sizes (np.ndarray, optional): Width and height of the images in
            shape (R, 2) or (2,), px. Defaults to not known.

    Raises:
        ValueError: Naming the file and the first bad sample.
    """
    finite = np.isfinite(camera_matrix).all((1, 2))
    # so that products are finite, too
    finite &= (np.abs(camera_matrix) < 1e9).all((1, 2))
    pinhole = finite & (camera_matrix[:, 2] == [0, 0, 1]).all(1)
    focal_area = np.linalg.det(
        np.where(pinhole[:, None, None], camera_matrix, np.eye(3)))
    bad = np.flatnonzero(~pinhole | (np.abs(focal_area) < 1e-6))
    if len(bad):
        sample_id = bad[0] if ids is None else ids[bad[0]]
        raise ValueError(
            f'{path}: the camera matrix of sample {sample_id} is singular or '
            f'no pinhole matrix: {camera_matrix[bad[0]].tolist()}'
            f'{count_such(len(bad), len(camera_matrix))}')
    if image_sizes is None:
        return
    sizes = np.broadcast_to(image_sizes, (len(camera_matrix), 2))
    # the matrices of a data set are few
    cases = np.column_stack([camera_matrix[:, [0, 1], [0, 1]], sizes])
    _, rows = np.unique(cases, axis=0, return_index=True)
    for row in np.sort(rows).tolist():
        fault = find_camera_fault(camera_matrix[row], sizes[row].tolist())
        if fault is not None:
            sample_id = row if ids is None else ids[row]
            raise ValueError(f'{path}: the camera of sample {sample_id} has '
                             f'{fault}')


def check_keypoints_cam(keypoints_cam: np.ndarray,
                        path: str,
                        joint_names: Sequence[str],
                        ids: Optional[Sequence[int]] = None) -> None:
    """Check that all joints are finite and in front of the camera.

    Args:
        keypoints_cam (np.ndarray): Joints in shape (R, K, 3).
        path (str): Where they come from, for the message.
        joint_names (Sequence[str]): K names, for the message.
        ids (Sequence[int], optional): R ids of the samples, for the message.
            Defaults to their rows.

    Raises:
        ValueError: Naming the file, the first bad sample and the joint.
    """
    good = np.isfinite(keypoints_cam).all(-1) & (keypoints_cam[..., 2] > 0)
    if not good.all():
        row, joint = np.argwhere(~good)[0]
        sample_id = row if ids is None else ids[row]
        raise ValueError(
            f'{path}: joint {joint_names[joint]} of sample {sample_id} is not '
            'finite or not in front of the camera: '
            f'{keypoints_cam[row, joint].tolist()}'
            f'{count_such((~good).any(1).sum(), len(good))}')


def check_hand_sizes(keypoints_cam: np.ndarray,
                     path: str,
                     joint_names: Sequence[str],
                     ids: Optional[Sequence[int]] = None,
                     visible: Optional[np.ndarray] = None,
                     unit: str = 'mm') -> None:
    """Check that all hands are as large, and as far away, as hands can be.

    Args:
        keypoints_cam (np.ndarray): Joints in shape (R, K, 3), mm.
        path (str): Where they come from, for the message.
        joint_names (Sequence[str]): K names.
        ids (Sequence[int], optional): R ids of the samples, for the message.
            Defaults to their rows.
        visible (np.ndarray, optional): Whether joints are annotated, (R, K).
            Defaults to all.
        unit (str): That of the numbers in the file, for the message.

    Raises:
        ValueError: Naming the file, the first bad sample and the unit that
            was probably meant.
    """
    sizes = hand_sizes(keypoints_cam, joint_names, visible)
    low, high = HAND_RATIOS
    # where there are too few joints for a size it is NaN
    bad = np.flatnonzero((sizes < low) | (sizes > high))
    if len(bad):
        sample_id = bad[0] if ids is None else ids[bad[0]]
        raise ValueError(
            f'{path}: the hand of sample {sample_id} has '
            f'{sizes[bad[0]]:.3g} times the usual size, {low} to {high:g} are '
            f'possible; {unit_advice(sizes[bad[0]], unit)}'
            f'{count_such(len(bad), len(sizes))}')
    odd = (keypoints_cam[..., 2] < DEPTHS[0]) | (
        np.abs(keypoints_cam).max(-1) > DEPTHS[1])
    if visible is not None:
        odd &= np.asarray(visible) > 0
    if odd.any():
        row, joint = np.argwhere(odd)[0]
        sample_id = row if ids is None else ids[row]
        raise ValueError(
            f'{path}: joint {joint_names[joint]} of sample {sample_id} lies '
            f'at {keypoints_cam[row, joint].tolist()} mm, but depths of '
            f'{DEPTHS[0]:g} to {DEPTHS[1]:g} mm are possible; lengths must be '
            f'in {unit}{count_such(odd.any(1).sum(), len(odd))}')


def check_bone_length(bone_length: np.ndarray,
                      path: str,
                      ids: Optional[Sequence[int]] = None,
                      bone: Optional[Sequence[str]] = None,
                      measured: Optional[np.ndarray] = None,
                      unit: str = 'mm') -> None:
    """Check that the reference bones of all hands may be those of hands.

    Args:
        bone_length (np.ndarray): Lengths in shape (R,), mm.
        path (str): Where they come from, for the message.
        ids (Sequence[int], optional): R ids of the samples, for the message.
            Defaults to their rows.
        bone (Sequence[str], optional): The joints at its ends. Defaults to
            any bone.
        measured (np.ndarray, optional): Lengths of the bones by the joints,
            (R,), mm, which the others must agree with; NaN where they are
            not known.
        unit (str): That of the numbers in the file, for the message.

    Raises:
        ValueError: Naming the file, the first bad sample and the unit that
            was probably meant.
    """
    low, high = bone_range(bone)
    fault = None
    bad = np.flatnonzero(~((bone_length >= low) & (bone_length <= high)))
    if len(bad):
        fault = find_bone_fault(float(bone_length[bad[0]]), bone, unit)
    elif measured is not None:
        ratio = bone_length / np.maximum(measured, 1e-9)
        bad = np.flatnonzero((ratio > BONE_AGREEMENT)
                             | (ratio < 1 / BONE_AGREEMENT))
        if len(bad):
            fault = (f'{bone_length[bad[0]]:.4g} mm, but '
                     f'{measured[bad[0]]:.4g} mm by the joints; both must be '
                     f'of the bone {" to ".join(bone)} and in the same unit')
    if fault is not None:
        sample_id = bad[0] if ids is None else ids[bad[0]]
        raise ValueError(f'{path}: the bone length of sample {sample_id} is '
                         f'{fault}{count_such(len(bad), len(bone_length))}')


def measure_bones(
    keypoints_cam: np.ndarray,
    joint_names: Sequence[str],
    bone: Tuple[str, str] = ('middle_finger1', 'middle_finger2')
) -> np.ndarray:
    """Measure one bone of all hands.

    Args:
        keypoints_cam (np.ndarray): Joints in shape (R, K, 3).
        joint_names (Sequence[str]): K names.
        bone (tuple[str, str]): Joints at its ends. Defaults to the reference
            bone of :class:`~lgh_mmpose.codecs.Hand25DLabel`.

    Returns:
        np.ndarray: Lengths in shape (R,), in the unit of the joints.
    """
    start, end = (list(joint_names).index(name) for name in bone)
    return np.linalg.norm(
        keypoints_cam[:, end] - keypoints_cam[:, start], axis=-1)


def order_of_joints(wanted: Sequence[str], names: Sequence[str], path: str,
                    who: str) -> List[int]:
    """Where the joints of a metainfo stand in a file.

    Args:
        wanted (Sequence[str]): The K joints of the metainfo.
        names (Sequence[str]): The joints of the file in its order.
        path (str): The file, for the message.
        who (str): Whose metainfo it is, for the message.

    Returns:
        list[int]: Indices into ``names``, (K,).

    Raises:
        ValueError: If the file lacks a joint of the metainfo.
    """
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ValueError(f'{path} has no joint {", ".join(missing)}, which '
                         f'the metainfo of {who} names; it has '
                         f'{", ".join(names)}')
    return [list(names).index(name) for name in wanted]


class BaseHand3DDataset(SkipUnreadableImages, BaseCocoStyleDataset):
    """Base class of data sets of one 3D hand per sample.

    A subclass loads its annotations into arrays
    (:meth:`load_hand_annotations`) and says which image and which row belong
    to a sample; records are made when asked for. Everything inside is in
    millimetres, the original camera frame, and pixels of the original image.

    A record has, besides mmpose's metainfo keys: ``img_path, img_id, id,
    bbox`` (1, 4), ``bbox_score`` (1,), ``camera_matrix`` (3, 3),
    ``hand_side``, ``keypoint_names``, where it is known ``bone_length`` and
    ``annotated_size`` ([w, h], which the image must have),
    where joints are published ``keypoints`` (1, K, 2), ``keypoints_visible``
    (1, K), ``keypoints_cam`` (1, K, 3), and where the root is annotated
    ``root_depth``; ``keypoint_weights`` and ``depth_weights`` (1, K) where
    the data set has them.

    Joints come in the order of the metainfo, whatever order the files have:
    with ``metainfo=dict(from_file='configs/_base_/datasets/rhd2d.py')`` any
    data set delivers RHD's. Joints are found by name, and
    :class:`~lgh_mmpose.codecs.Hand25DLabel` compares ``keypoint_names`` with
    its own.

    In training an unreadable image is reported, counted over all workers and
    replaced by another sample; in test mode it is an error.

    Args:
        data_root (str): Folder of the data set, on a local file system.
        bbox_mode (str): ``'image'``: the box is the whole image;
            ``'keypoints'``: it is the tight box of the projected annotated
            joints; ``'annotation'``: it is the annotated box, where the data
            set has one. Defaults to ``'image'``.
        image_size (tuple[int, int], optional): Size [w, h] of all images,
            for ``bbox_mode='image'``. Defaults to that of the first
            readable image.
        root_joint (str): Joint that ``root_depth`` is of. Samples to train
            on must have it annotated. Defaults to ``'middle_finger1'``.
        max_unreadable_images (int): Number of different unreadable images
            that training bears, counted over the DataLoader workers of
            one process. Defaults to 100.

    All further arguments are as in
    :class:`mmpose.datasets.BaseCocoStyleDataset`.
    """

    DATASET_NAME: Optional[str] = None  # None: that of the metainfo

    def __init__(self,
                 data_root: str,
                 bbox_mode: str = 'image',
                 image_size: Optional[Tuple[int, int]] = None,
                 root_joint: str = 'middle_finger1',
                 max_unreadable_images: int = 100,
                 metainfo: Optional[dict] = None,
                 indices: Optional[Union[int, Sequence[int]]] = None,
                 serialize_data: bool = True,
                 pipeline: Sequence[Union[dict, Callable]] = (),
                 test_mode: bool = False,
                 lazy_init: bool = False,
                 max_refetch: int = 1000) -> None:
        if bbox_mode not in ('image', 'keypoints', 'annotation'):
            raise ValueError("bbox_mode must be 'image', 'keypoints' or "
                             f"'annotation', got {bbox_mode!r}")
        self.bbox_mode = bbox_mode
        self.image_size = None if image_size is None else tuple(image_size)
        self.root_joint = root_joint
        self.max_unreadable_images = max_unreadable_images
        super().__init__(
            metainfo=metainfo,
            data_root=data_root,
            indices=indices,
            serialize_data=serialize_data,
            pipeline=pipeline,
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch)

    @classmethod
    def _load_metainfo(cls, metainfo: Optional[dict] = None) -> dict:
        """Parse the metainfo; the name is that of the data set itself."""
        metainfo = super()._load_metainfo(metainfo)
        if cls.DATASET_NAME is not None:
            metainfo['dataset_name'] = cls.DATASET_NAME
        return metainfo

    def joint_order(self, names: Sequence[str], path: str) -> List[int]:
        """Where the joints of the metainfo stand in a file, as
        :func:`order_of_joints` tells."""
        return order_of_joints(self.keypoint_names, names, path,
                               type(self).__name__)

    @property
    def keypoint_names(self) -> Tuple[str, ...]:
        """Names of the K joints in the order that records have them."""
        id2name = self._metainfo['keypoint_id2name']
        return tuple(id2name[i] for i in range(len(id2name)))

    @abstractmethod
    def load_hand_annotations(self) -> Tuple[HandAnnotations, np.ndarray]:
        """Load and check the annotations.

        Returns:
            tuple:
            - annotations (HandAnnotations): Arrays of R rows
            - sample_ids (np.ndarray): Ids of all samples, int64
        """

    @abstractmethod
    def get_img_path(self, sample_id: int) -> str:
        """Path of the image of a sample."""

    def get_annotation_row(self, sample_id: int) -> int:
        """Row of a sample in the annotation arrays.

        By default each sample has its own, in ascending order of the ids.
        """
        return int(np.searchsorted(self._sorted_ids, sample_id))

    def get_hand_side(self, sample_id: int) -> str:
        """Side of the hand, ``'right'`` or ``'left'``."""
        return 'right'

    def get_annotated_size(self, sample_id: int) -> Optional[Tuple[int, int]]:
        """Width and height that the image must have; None if any will do."""
        return self.image_size if self.bbox_mode == 'image' else None

    def _get_unserialized_subset(
            self, indices: Union[Sequence[int], int]) -> List[dict]:
        """The samples of ``indices``, which mmengine does not check."""
        num = len(self.data_list)
        if isinstance(indices, Sequence):
            wrong = [i for i in indices if not -num <= i < num]
            if wrong:
                raise ValueError(
                    f'indices has {wrong[0]}, but {self.data_root}'
                    f' has {num} samples, 0 to {num - 1}')
        samples = super()._get_unserialized_subset(indices)
        if not samples:
            raise ValueError(f'indices leaves no sample of {self.data_root}')
        return samples

    def load_data_list(self) -> List[dict]:
        """Load the annotations; the list itself holds nothing but ids."""
        name2id = self._metainfo['keypoint_name2id']
        if self.root_joint not in name2id:
            raise ValueError(f'unknown joint {self.root_joint!r} in '
                             'root_joint; the metainfo has '
                             f'{", ".join(name2id)}')
        self._root_index = name2id[self.root_joint]

        self.annotations, sample_ids = self.load_hand_annotations()
        self._sorted_ids = np.sort(sample_ids)
        if self.annotations.keypoints_cam is None:
            if not self.test_mode:
                raise ValueError(f'{self.data_root}: this split has no joint '
                                 'annotations, it serves test_mode=True only')
            if self.bbox_mode == 'keypoints':
                raise ValueError(
                    f"{self.data_root}: bbox_mode='keypoints' needs joints, "
                    "which this split does not have; use bbox_mode='image'")
        if not self.test_mode:
            self._check_root_annotated(sample_ids)
        self._check_boxes()
        if self.bbox_mode == 'annotation' and self.annotations.bbox is None:
            raise ValueError(f"{self.data_root}: bbox_mode='annotation' needs "
                             f'boxes, which {type(self).__name__} does not '
                             'have')
        if self.bbox_mode == 'image' and self.image_size is None:
            self.image_size = self._read_image_size(sample_ids[:10].tolist())
        if self.bbox_mode == 'image':
            check_camera_matrix(
                self.annotations.camera_matrix,
                f'{self.data_root}: camera_matrix',
                image_sizes=self.image_size)
        self.watch_images(len(sample_ids))
        return [dict(id=sample_id) for sample_id in sample_ids.tolist()]

    def _check_root_annotated(self, sample_ids: np.ndarray) -> None:
        """Check that the root has a depth in all samples to learn from."""
        visible = self.annotations.keypoints_visible
        if visible is None:
            return
        bad = [
            sample_id for sample_id in sample_ids.tolist()
            if not visible[self.get_annotation_row(sample_id),
                           self._root_index]
        ]
        if bad:
            raise ValueError(
                f'{self.data_root}: sample {bad[0]} '
                f'({self.get_img_path(bad[0])}) has no annotation of the root '
                f'joint {self.root_joint}, which the depths to learn are '
                f'relative to{count_such(len(bad), len(sample_ids))}; '
                'annotate it, leave these samples out of the file, or choose '
                'another root_joint here and in the codec')

    def _check_boxes(self) -> None:
        """Check that boxes are finite, and have an area, as records have them.
        """
        if self.annotations.bbox is None:
            return
        with np.errstate(over='ignore'):
            boxes = self.annotations.bbox.astype(np.float32)
        bad = np.flatnonzero(~(np.isfinite(boxes).all(1)
                               & (boxes[:, 2:] > boxes[:, :2]).all(1)))
        if len(bad):
            raise ValueError(
                f'{self.data_root}: the box of row {bad[0]} must be finite '
                'and have an area, got left, top, right, bottom = '
                f'{self.annotations.bbox[bad[0]].tolist()}'
                f'{count_such(len(bad), len(boxes), "row")}')

    def _read_image_size(self, sample_ids: Sequence[int]) -> Tuple[int, int]:
        for sample_id in sample_ids:
            try:
                return read_image_size(self.get_img_path(sample_id))
            except (ImageError, OSError):
                pass
        raise ValueError(
            f'{self.get_img_path(sample_ids[0])}: cannot read the size of the '
            'images from this or the next ones; restore them or give '
            'image_size=(w, h)')

    def get_data_info(self, idx: int) -> dict:
        """Make the record of a sample.

        Args:
            idx (int): Index in the data set.

        Returns:
            dict: See the class.
        """
        # mmpose's own copies the metainfo for each sample, which costs as much
        # as reading the image; no transform changes it
        data_info = BaseDataset.get_data_info(self, idx)
        data_info.update((key, self._metainfo[key]) for key in METAINFO_KEYS)
        sample_id = data_info['id']
        row = self.get_annotation_row(sample_id)
        camera_matrix = self.annotations.camera_matrix[row].copy()
        data_info.update(
            img_path=self.get_img_path(sample_id),
            img_id=sample_id,
            bbox_score=np.ones(1, dtype=np.float32),
            camera_matrix=camera_matrix,
            hand_side=self.get_hand_side(sample_id),
            keypoint_names=self.keypoint_names)
        if self.annotations.bone_length is not None:
            data_info['bone_length'] = float(self.annotations.bone_length[row])
        annotated_size = self.get_annotated_size(sample_id)
        if annotated_size is not None:
            data_info['annotated_size'] = annotated_size
        if self.annotations.keypoints_cam is not None:
            keypoints_cam = self.annotations.keypoints_cam[row].copy()
            keypoints = project(keypoints_cam, camera_matrix)
            visible = np.ones(len(keypoints), dtype=np.float32)
            if self.annotations.keypoints_visible is not None:
                visible[:] = self.annotations.keypoints_visible[row]
            data_info.update(
                keypoints=keypoints[None].astype(np.float32),
                keypoints_visible=visible[None],
                keypoints_cam=keypoints_cam[None])
            for key in ('keypoint_weights', 'depth_weights'):
                weights = getattr(self.annotations, key)
                if weights is not None:
                    data_info[key] = weights[row][None]
            if visible[self._root_index]:
                data_info['root_depth'] = float(keypoints_cam[self._root_index,
                                                              2])
        if self.bbox_mode == 'image':
            bbox = (0, 0, *self.image_size)
        elif self.bbox_mode == 'keypoints':
            shown = keypoints[visible > 0]
            bbox = (*shown.min(0), *shown.max(0))
        else:
            bbox = self.annotations.bbox[row]
        data_info['bbox'] = np.array([bbox], dtype=np.float32)
        return data_info

    def sample_position(self, idx: int) -> int:
        """Which of all samples one is."""
        sample_id = BaseDataset.get_data_info(self, idx)['id']
        return int(np.searchsorted(self._sorted_ids, sample_id))
