"""FreiHAND with its 3D annotations."""
import os.path as osp
from typing import Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
from mmpose.registry import DATASETS

from ..geometry.camera import project
from ..geometry.hand import FINGERS
from ..geometry.plausibility import find_shift_fault
from ..shards import Parts
from .base_hand3d import (BaseHand3DDataset, HandAnnotations,
                          check_bone_length, check_camera_matrix,
                          check_hand_sizes, check_keypoints_cam, count_such,
                          load_json, load_json_array, measure_bones)

_HOMEPAGE = 'https://lmb.informatik.uni-freiburg.de/projects/freihand/'
# of the reference bone: the release computes its length from the joints
_SCALE_TOLERANCE = 0.1
_REFERENCE_BONE = ('middle_finger1', 'middle_finger2')

# in the order of the files
FREIHAND_JOINTS = ('wrist', *(f'{finger}{i}' for finger in FINGERS
                              for i in range(1, 5)))


@DATASETS.register_module()
class FreiHand3DDataset(BaseHand3DDataset):
    """FreiHAND v2 in the layout of its release.

    Zimmermann et al., "FreiHAND: A Dataset for Markerless Capture of Hand
    Pose and Shape from Single RGB Images", ICCV 2019. The files read are, for
    a split::

        data_root/{split}_K.json         N x 3 x 3
        data_root/{split}_scale.json     N, metres: the reference bone
        data_root/{split}_xyz.json       N x 21 x 3, metres
        data_root/{split}/rgb/%08d.jpg   i + N * v: sample i, version v

    Shards of a rendered data set are read as one, see
    :mod:`lgh_mmpose.shards`: ``data_root`` is the folder they lie in.

    In test mode ``evaluation_xyz.json`` may be absent, as in the first
    release; records then have no joints and no root depth.

    All hands are right hands. Joints and their order are those of mmpose's
    ``FreiHandDataset`` unless ``metainfo`` orders them otherwise. The ``id``
    of a record is the number of its image.

    Args:
        data_root (str): Folder of the release.
        split (str): ``'training'`` or ``'evaluation'``. Defaults to
            ``'training'``.
        image_versions (Sequence[str | int], optional): Post-processings of
            the background to use: ``'gs'`` (0), ``'hom'`` (1), ``'sample'``
            (2), ``'auto'`` (3). Defaults to all that are on disk.
        sample_ids (Sequence[int] | str, optional): The unique samples to
            use in this order, as rows of ``{split}_K.json`` (0 to N - 1);
            each comes in all ``image_versions``, so that no version leaks
            into another split. A list, or a file that holds one as json or
            one id per line. Defaults to all.
        **kwargs: See :class:`BaseHand3DDataset`.
    """

    METAINFO: dict = dict(from_file='configs/_base_/datasets/freihand2d.py')
    VERSIONS: Tuple[str, ...] = ('gs', 'hom', 'sample', 'auto')

    def __init__(self,
                 data_root: str,
                 split: str = 'training',
                 image_versions: Optional[Sequence[Union[str, int]]] = None,
                 sample_ids: Optional[Union[Sequence[int], str]] = None,
                 **kwargs) -> None:
        if split not in ('training', 'evaluation'):
            raise ValueError("split must be 'training' or 'evaluation', got "
                             f'{split!r}')
        self.split = split
        self.image_versions = image_versions
        self.sample_ids = sample_ids
        super().__init__(data_root=data_root, **kwargs)

    def get_img_path(self, sample_id: int) -> str:
        folder, number = self._parts.locate(sample_id)
        return osp.join(folder, self.split, 'rgb', f'{number:08d}.jpg')

    def get_annotation_row(self, sample_id: int) -> int:
        return sample_id % len(self.annotations.camera_matrix)

    def load_hand_annotations(self) -> Tuple[HandAnnotations, np.ndarray]:
        self._parts = Parts(self.data_root, self.split)
        loaded = [self._load_arrays(path) for path in self._parts.folders]
        self._parts.check_sizes([len(part.camera_matrix) for part in loaded])
        annotations = HandAnnotations.concatenate(loaded)
        num = len(annotations.camera_matrix)
        rows = self._selected_rows(num)
        versions = self._selected_versions(rows, num)
        sample_ids = rows + num * np.array(versions)[:, None]
        return annotations, sample_ids.reshape(-1)

    def load_data_list(self) -> List[dict]:
        given = self.image_size is not None
        data_list = super().load_data_list()
        if self.bbox_mode == 'image' and not given:
            self._check_shift()
        return data_list

    def _check_shift(self) -> None:
        """Check that hands whose box is the image are in its middle."""
        joints = self.annotations.keypoints_cam
        if joints is None:
            return
        pixels = project(joints, self.annotations.camera_matrix)
        fault = find_shift_fault((pixels.min(1) + pixels.max(1)) / 2,
                                 self.image_size)
        if fault is not None:
            raise ValueError(f'{self.data_root}: {fault}')

    def _load_arrays(self, folder: str) -> HandAnnotations:
        paths = {
            name: osp.join(folder, f'{self.split}_{name}.json')
            for name in ('K', 'scale', 'xyz')
        }
        has_xyz = osp.isfile(paths['xyz'])
        optional_xyz = self.split == 'evaluation' and self.test_mode
        missing = [
            path for name, path in paths.items()
            if not osp.isfile(path) and not (name == 'xyz' and optional_xyz)
        ] + [
            path for path in [osp.join(folder, self.split, 'rgb')]
            if not osp.isdir(path)
        ]
        if missing:
            raise FileNotFoundError(
                f'FreiHAND is not, or not whole, in data_root='
                f'{folder!r}: {", ".join(missing)} missing. Get '
                f'FreiHAND v2 from {_HOMEPAGE} and point data_root to the '
                'extracted folder, or train configs/lgh_studiohand.py, whose '
                'data this project renders itself without any download.')

        camera_matrix = load_json_array(paths['K'], (None, 3, 3))
        check_camera_matrix(camera_matrix, paths['K'])
        bone_length = load_json_array(paths['scale'], (None, )) * 1000
        check_bone_length(
            bone_length, paths['scale'], bone=_REFERENCE_BONE, unit='m')
        keypoints_cam = None
        lengths = {'K': len(camera_matrix), 'scale': len(bone_length)}
        if has_xyz:
            keypoints_cam = load_json_array(paths['xyz'],
                                            (None, len(FREIHAND_JOINTS), 3))
            check_keypoints_cam(keypoints_cam, paths['xyz'], FREIHAND_JOINTS)
            check_hand_sizes(
                1000 * keypoints_cam, paths['xyz'], FREIHAND_JOINTS, unit='m')
            measured = 1000 * measure_bones(keypoints_cam, FREIHAND_JOINTS)
            order = self.joint_order(FREIHAND_JOINTS, paths['xyz'])
            keypoints_cam = 1000 * keypoints_cam[:, order]
            lengths['xyz'] = len(keypoints_cam)
        if len(set(lengths.values())) > 1:
            raise ValueError(
                'these files must have one entry per sample each, but have ' +
                ', '.join(f'{paths[name]}: {n}'
                          for name, n in lengths.items()))
        if has_xyz:
            _check_scale(measured, bone_length, paths)
        return HandAnnotations(camera_matrix, bone_length, keypoints_cam)

    def _selected_rows(self, num: int) -> np.ndarray:
        source, ids = 'sample_ids', self.sample_ids
        if isinstance(ids, str):
            source, ids = f'sample_ids file {ids}', self._read_ids(ids)
        if ids is None:
            ids = range(num)
        rows = np.asarray(ids)
        if rows.ndim != 1 or not rows.size or rows.dtype.kind not in 'iu':
            raise ValueError(f'{source} must be a list of integers that is '
                             'not empty')
        bad = rows[(rows < 0) | (rows >= num)]
        if len(bad):
            raise ValueError(
                f'{source} holds {bad[0]}, but {self.split}_K.json has the '
                f'samples 0 to {num - 1}; image number i + {num} * v is '
                'sample i in version v')
        if len(np.unique(rows)) < len(rows):
            raise ValueError(f'{source} holds ids twice')
        return rows.astype(np.int64)

    @staticmethod
    def _read_ids(path: str) -> Sequence[int]:
        if path.endswith('.json'):
            return load_json(path)
        try:
            with open(path, encoding='utf-8') as file:
                return [int(line) for line in file.read().split()]
        except ValueError as e:
            raise ValueError(f'{path}: not a list of integers ({e})') from None

    def _selected_versions(self, rows: np.ndarray, num: int) -> Sequence[int]:
        """Versions asked for, or on disk, judged by three of their images."""
        probes = rows[[0, len(rows) // 2, -1]].tolist()
        on_disk = [
            version for version in range(len(self.VERSIONS)) if any(
                osp.isfile(self.get_img_path(row + num * version))
                for row in probes)
        ]
        if self.image_versions is None:
            if not on_disk:
                raise FileNotFoundError(
                    f'{self.get_img_path(probes[0])} and the other images of '
                    f'{self.split} are missing; extract all of FreiHAND '
                    f'({_HOMEPAGE})')
            return on_disk
        versions = []
        for version in self.image_versions:
            if version in self.VERSIONS:
                version = self.VERSIONS.index(version)
            if version not in range(len(self.VERSIONS)):
                raise ValueError(f'unknown image version {version!r}; there '
                                 f'are {self.VERSIONS}')
            if version not in on_disk:
                raise FileNotFoundError(
                    f'image version {self.VERSIONS[version]!r} was asked for, '
                    f'but {self.get_img_path(probes[0] + num * version)} is '
                    f'missing; on disk: {[self.VERSIONS[v] for v in on_disk]}')
            versions.append(version)
        if not versions or len(set(versions)) < len(versions):
            raise ValueError('image_versions must name at least one version '
                             f'and none twice, got {self.image_versions}')
        return versions


def _check_scale(measured: np.ndarray, bone_length: np.ndarray,
                 paths: Dict[str, str]) -> None:
    """Compare the joints with the reference bone, which tells their unit.

    The projected pixels do not: they are the same in any unit.
    """
    wrong = np.abs(measured / bone_length - 1) > _SCALE_TOLERANCE
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(
            f'{paths["xyz"]}: the reference bone of sample {i} measures '
            f'{measured[i]:.1f} mm, but {bone_length[i]:.1f} mm by '
            f'{paths["scale"]}{count_such(wrong.sum(), len(wrong))}; both '
            'must be in metres, and the joints in the order of FreiHAND')
