"""STB, the Stereo Tracking Benchmark, with its 3D annotations."""
import os.path as osp
import struct
import zlib
from typing import Iterator, List, Optional, Sequence, Tuple

import cv2
import numpy as np
from mmpose.registry import DATASETS

from ..geometry.hand import FINGERS
from ..reading import read_small_file, reason
from .base_hand3d import (BaseHand3DDataset, HandAnnotations,
                          check_bone_length, check_hand_sizes,
                          check_keypoints_cam, measure_bones)

_HOMEPAGE = 'https://github.com/zhjwustc/icip17_stereo_hand_pose_dataset'

# in the order of the files
STB_JOINTS = ('palm', *(f'{finger}{i}' for finger in reversed(FINGERS)
                        for i in range(1, 5)))
_NUM_FRAMES = 1500  # of a sequence
# kinds of the elements of a .mat file, and classes of its matrices of numbers
_MAT_MATRIX, _MAT_COMPRESSED = 14, 15
_MAT_NUMBERS = {
    1: 'i1',
    2: 'u1',
    3: 'i2',
    4: 'u2',
    5: 'i4',
    6: 'u4',
    7: 'f4',
    9: 'f8',
    12: 'i8',
    13: 'u8'
}
_MAT_CLASSES = range(6, 16)
_MAX_BYTES = 2**22  # its label file has a fifth, compressed less

_BB_CAMERA = np.array([[822.79041, 0., 318.47345], [0., 822.79041, 250.31296],
                       [0., 0., 1.]])
_BB_BASELINE = np.array([120.054, 0., 0.])  # mm, left to right camera
_SK_CAMERA = np.array([[607.92271, 0., 314.78337], [0., 607.88192, 236.42484],
                       [0., 0., 1.]])
# the published pair maps the colour camera's frame to the depth camera's
_SK_ROTATION = cv2.Rodrigues(np.array([0.00531, -0.01196, 0.00301]))[0]
_SK_TRANSLATION = np.array([-24.0381, -0.4563, -1.2326])  # mm


@DATASETS.register_module()
class Stb3DDataset(BaseHand3DDataset):
    """STB in the layout of its release.

    Zhang et al., "A Hand Pose Tracking Benchmark from Stereo Matching", ICIP
    2017. The files read are, for the stereo camera BB and the colour camera
    of the depth sensor SK::

        data_root/labels/{sequence}_{BB,SK}.mat
            handPara (3, 21, 1500), mm, in the frame of BB's left camera and
            of SK's depth camera
        data_root/images/{sequence}/{BB_left,BB_right,SK_color}_%d.png

    Sequences B1 to B6 come as Counting and Random; B1 is the published
    evaluation set, the other ten sequences the training set. All hands are
    left hands.

    The release annotates the centre of the palm, not the wrist, which is
    extrapolated: ``wrist = middle_finger1 + wrist_factor * (palm -
    middle_finger1)``. Zimmermann and Brox (ICCV 2017) use 2, others 2.2. It
    makes the wrist's score comparable only among methods with one factor.

    A record's ``id`` is (3 s + c) * 1500 + i for image i of sequence s of
    ``SEQUENCES`` and camera c of ``CAMERAS``.

    Args:
        data_root (str): Folder of the release.
        split (str): ``'training'`` or ``'evaluation'``. Defaults to
            ``'training'``.
        sequences (Sequence[str], optional): Names such as ``'B2Random'``, in
            place of those of the split.
        cameras (Sequence[str]): Of ``'BB_left'``, ``'BB_right'`` and
            ``'SK_color'``. Defaults to ``('SK_color',)``, with which the
            evaluation set has the 3,000 images that papers report.
        wrist_factor (float, optional): How far beyond the palm's centre the
            wrist is. None keeps the centre as the joint ``'palm'``, which
            the ``metainfo`` of data set and codec must then have in place of
            ``'wrist'``. Defaults to 2.
        bbox_mode (str): As in :class:`BaseHand3DDataset`. Defaults to
            ``'keypoints'``.
        **kwargs: See :class:`BaseHand3DDataset`.
    """

    METAINFO: dict = dict(from_file='configs/_base_/datasets/freihand2d.py')
    DATASET_NAME = 'stb3d'
    SEQUENCES: Tuple[str, ...] = tuple(f'B{i}{action}' for i in range(1, 7)
                                       for action in ('Counting', 'Random'))
    SPLITS: dict = dict(training=SEQUENCES[2:], evaluation=SEQUENCES[:2])
    CAMERAS: Tuple[str, ...] = ('BB_left', 'BB_right', 'SK_color')

    def __init__(self,
                 data_root: str,
                 split: str = 'training',
                 sequences: Optional[Sequence[str]] = None,
                 cameras: Sequence[str] = ('SK_color', ),
                 wrist_factor: Optional[float] = 2.,
                 bbox_mode: str = 'keypoints',
                 **kwargs) -> None:
        if split not in self.SPLITS:
            raise ValueError("split must be 'training' or 'evaluation', got "
                             f'{split!r}')
        if sequences is None:
            sequences = self.SPLITS[split]
        self.sequences = self._select('sequences', sequences, self.SEQUENCES)
        self.cameras = self._select('cameras', cameras, self.CAMERAS)
        self.wrist_factor = wrist_factor
        super().__init__(data_root=data_root, bbox_mode=bbox_mode, **kwargs)

    @staticmethod
    def _select(argument: str, names: Sequence[str],
                known: Sequence[str]) -> List[str]:
        """The names asked for, in the order of ``known``."""
        unknown = [name for name in names if name not in known]
        if isinstance(names, str) or unknown or not names:
            raise ValueError(f'{argument} must be a list of {known}, got '
                             f'{names!r}')
        return [name for name in known if name in names]

    def get_img_path(self, sample_id: int) -> str:
        number, frame = divmod(sample_id, _NUM_FRAMES)
        sequence, camera = divmod(number, len(self.CAMERAS))
        return osp.join(self.data_root, 'images', self.SEQUENCES[sequence],
                        f'{self.CAMERAS[camera]}_{frame}.png')

    def get_hand_side(self, sample_id: int) -> str:
        return 'left'

    def load_hand_annotations(self) -> Tuple[HandAnnotations, np.ndarray]:
        self._check_files()
        names = ('palm' if self.wrist_factor is None else 'wrist',
                 *STB_JOINTS[1:])
        order = self.joint_order(names, osp.join(self.data_root, 'labels'))
        hands, cameras, ids = [], [], []
        for sequence in self.sequences:
            for camera in self.cameras:
                path = self._label_path(sequence, camera)
                hand, camera_matrix = self._to_camera(
                    load_hand_para(path), camera)
                check_keypoints_cam(hand, path, STB_JOINTS)
                if self.wrist_factor is not None:
                    middle = hand[:, STB_JOINTS.index('middle_finger1')]
                    hand[:, 0] = middle + self.wrist_factor * (
                        hand[:, 0] - middle)
                    check_keypoints_cam(hand, path, names)
                check_hand_sizes(hand, path, names)
                check_bone_length(measure_bones(hand, names), path)
                number = (
                    len(self.CAMERAS) * self.SEQUENCES.index(sequence) +
                    self.CAMERAS.index(camera))
                ids.append(_NUM_FRAMES * number + np.arange(len(hand)))
                self._check_last_image(ids[-1], path)
                hands.append(hand)
                cameras.append(np.tile(camera_matrix, (len(hand), 1, 1)))
        keypoints_cam = np.concatenate(hands)
        return HandAnnotations(
            camera_matrix=np.concatenate(cameras),
            bone_length=measure_bones(keypoints_cam, names),
            keypoints_cam=keypoints_cam[:, order]), np.concatenate(ids)

    def _label_path(self, sequence: str, camera: str) -> str:
        return osp.join(self.data_root, 'labels', f'{sequence}_{camera[:2]}'
                        '.mat')

    @staticmethod
    def _to_camera(hand: np.ndarray,
                   camera: str) -> Tuple[np.ndarray, np.ndarray]:
        """Joints in the frame of a colour camera, and its matrix."""
        if camera == 'SK_color':
            # row vectors: the transpose, that is the inverse, of the rotation
            return (hand - _SK_TRANSLATION) @ _SK_ROTATION, _SK_CAMERA
        if camera == 'BB_right':
            hand = hand - _BB_BASELINE
        return hand, _BB_CAMERA

    def _check_files(self) -> None:
        wanted = [
            osp.join(self.data_root, 'images', sequence)
            for sequence in self.sequences
        ]
        wanted += sorted({
            self._label_path(sequence, camera)
            for sequence in self.sequences
            for camera in self.cameras
        })
        missing = [path for path in wanted if not osp.exists(path)]
        if missing:
            raise FileNotFoundError(
                f'STB is not, or not whole, in data_root={self.data_root!r}: '
                f'{", ".join(missing)} missing. Get STB from {_HOMEPAGE}, '
                'unpack its images to images/ and its labels to labels/ and '
                'point data_root to the folder of both.')

    def _check_last_image(self, sample_ids: np.ndarray, path: str) -> None:
        last = self.get_img_path(int(sample_ids[-1]))
        if not osp.isfile(last):
            raise FileNotFoundError(
                f'{path} annotates {len(sample_ids)} images, but {last} is '
                f'missing; extract all of STB ({_HOMEPAGE})')


def load_hand_para(path: str) -> np.ndarray:
    """Load the joints of a sequence of STB.

    Args:
        path (str): A .mat file of the release.

    Returns:
        np.ndarray: Joints in shape (N, 21, 3), mm, float64.

    Raises:
        ValueError: If the file is no .mat file or its ``handPara`` is not
            numbers in shape (3, 21, N).
    """
    try:
        array = _read_mat(read_small_file(path, _MAX_BYTES), 'handPara')
    except FileNotFoundError:
        raise
    except Exception as e:  # anything may stand in it
        raise ValueError(
            f'{path} is not a valid .mat file, perhaps an incomplete download '
            f'or extraction; fetch it again ({reason(e)})') from None
    if array is None:
        raise ValueError(f'{path} has no variable handPara, so it is not a '
                         'label file of STB')
    shape = array.shape
    if (array.dtype.kind not in 'fiu' or len(shape) != 3
            or shape[:2] != (3, len(STB_JOINTS))
            or not 0 < shape[2] <= _NUM_FRAMES):
        raise ValueError(
            f'{path}: handPara must be numbers in shape (3, '
            f'{len(STB_JOINTS)}, N) with N up to {_NUM_FRAMES}, got '
            f'{array.dtype} in shape {shape}')
    return array.transpose(2, 1, 0).astype(np.float64)


def _read_mat(content: bytes, name: str) -> Optional[np.ndarray]:
    """A variable of a .mat file of level 5, as MATLAB writes 3D arrays.

    SciPy's reader looks up what the file says in tables without a check of
    their bounds, which ends the process on a damaged file.

    Args:
        content (bytes): The file.
        name (str): Name of the variable.

    Returns:
        np.ndarray: Its value, of dtype object if that is not real numbers;
        None if there is no such variable.
    """
    order = {b'IM': '<', b'MI': '>'}.get(content[126:128])
    if order is None:
        raise ValueError('it is none of level 5')
    for kind, data in _mat_elements(content[128:], order):
        if kind == _MAT_COMPRESSED:
            data = zlib.decompressobj().decompress(data, _MAX_BYTES)
            (kind, data), = _mat_elements(data, order)
        parts = list(_mat_elements(data, order)) if kind == _MAT_MATRIX else []
        if len(parts) < 3 or parts[2][1] != name.encode():
            continue
        (_, flags), (_, shape), _, *values = parts
        # text, structs and the like have other classes, complex two parts
        if (struct.unpack(f'{order}II', flags)[0] & 0xff not in _MAT_CLASSES
                or len(values) != 1):
            return np.empty(0, dtype=object)
        (kind, numbers), = values
        return np.frombuffer(numbers, order + _MAT_NUMBERS[kind]).reshape(
            np.frombuffer(shape, f'{order}i4'), order='F')
    return None


def _mat_elements(data: bytes, order: str) -> Iterator[Tuple[int, bytes]]:
    """Kinds and contents of the elements of a .mat file."""
    place = 0
    while place + 8 <= len(data):
        kind, size = struct.unpack_from(f'{order}II', data, place)
        start = place + 8
        if kind >> 16:  # up to four bytes stand in the tag itself
            kind, size, start = kind & 0xffff, kind >> 16, place + 4
        if start + size > len(data):
            raise ValueError('it is cut off')
        yield kind, data[start:start + size]
        place = start + size
        if kind != _MAT_COMPRESSED:
            place += -place % 8
