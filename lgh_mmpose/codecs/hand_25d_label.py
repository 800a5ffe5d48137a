"""Codec between 3D hands in the camera frame and 2.5D network labels."""
from itertools import zip_longest
from typing import Optional, Sequence, Tuple, Union

import numpy as np
from mmpose.codecs.base import BaseKeypointCodec
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import KEYPOINT_CODECS

from ..geometry.camera import warp_points
from ..geometry.hand import SIDES, HandSkeleton
from ..geometry.lifting import check_invertible, check_per_hand, lift_hands
from ..geometry.plausibility import find_flip_fault


@KEYPOINT_CODECS.register_module()
class Hand25DLabel(BaseKeypointCodec):
    r"""Pixels in the network input and depth in lengths of a bone.

    The 2.5D representation of Iqbal et al., "Hand Pose Estimation via Latent
    2.5D Heatmap Regression", ECCV 2018, as used by Li, Gao and Sang, AAAI
    2021. The joints' pixels go through the whole image-to-input warp while
    their depths stay in the original camera frame, so decoding is exact for
    any crop, rotation, scale and mirror, and for any pinhole camera.

    Note:

        - instance number: N
        - keypoint number: K
        - units: px, mm; keypoints_cam in the original camera frame

    Encoded:

        - keypoint_labels (np.ndarray): (u, v, (z - z_root) / bone_length) in
          shape (N, K, 3), float32; u and v in px of the network input,
          pixel centres at integers
        - keypoint_weights (np.ndarray): weights of u and v, by default 1 for
          annotated joints, occluded or outside the crop as they may be, in
          shape (N, K), float32
        - depth_weights (np.ndarray): weights of the depths in shape (N, K),
          float32: those of u and v, or 0 where there are no 3D joints or the
          root is not annotated
        - side_labels (np.ndarray): where the side is known, 1 for a hand that
          is a right one in the network input, 0 for a left one, in shape
          (N,), float32

    Args:
        input_size (tuple): Size of the network input, [w, h].
        metainfo (dict, optional): mmpose metainfo of the joints. Defaults to
            mmpose's FreiHAND file.
        root_joint (str): Name of the joint that depths are relative to.
            Defaults to ``'middle_finger1'``.
        reference_bone (tuple[str, str]): Joint names at the ends of the bone
            that depths are measured in. Defaults to
            ``('middle_finger1', 'middle_finger2')``.

    Raises:
        ValueError: If a joint name is not in ``metainfo``.
    """

    # the last one is what mmpose's KeypointConverter leaves behind
    auxiliary_encode_keys = {
        'keypoints_cam', 'bone_length', 'keypoint_names', 'flip', 'warp_mat',
        'hand_side', 'keypoints_visible_weights', 'keypoint_weights',
        'depth_weights'
    }

    label_mapping_table = dict(
        keypoint_labels='keypoint_labels',
        keypoint_weights='keypoint_weights',
        depth_weights='depth_weights',
        side_labels='side_labels',
    )

    def __init__(
        self,
        input_size: Tuple[int, int],
        metainfo: Optional[dict] = None,
        root_joint: str = 'middle_finger1',
        reference_bone: Tuple[str, str] = ('middle_finger1', 'middle_finger2')
    ) -> None:
        super().__init__()
        if len(reference_bone) != 2 or reference_bone[0] == reference_bone[1]:
            raise ValueError('reference_bone must name two different joints, '
                             f'got {reference_bone!r}')
        if not isinstance(input_size,
                          (tuple, list)) or len(input_size) != 2 or not all(
                              isinstance(n, (int, np.integer)) and n > 0
                              for n in input_size):
            raise ValueError('input_size must be width and height in px, two '
                             f'whole numbers, got {input_size!r}')
        self.input_size = tuple(input_size)
        self.root_joint = root_joint
        self.reference_bone = tuple(reference_bone)

        if metainfo is None:
            metainfo = dict(from_file='configs/_base_/datasets/freihand2d.py')
        name2id = parse_pose_metainfo(metainfo)['keypoint_name2id']
        self.keypoint_names = tuple(sorted(name2id, key=name2id.get))
        self.num_keypoints = len(name2id)
        self.root_index = self._joint_index(root_joint, name2id, 'root_joint')
        self.reference_indices = tuple(
            self._joint_index(name, name2id, 'reference_bone')
            for name in reference_bone)

        self.skeleton = HandSkeleton.usual(self.keypoint_names, root_joint,
                                           self.reference_bone)

    @staticmethod
    def _joint_index(name: str, name2id: dict, argument: str) -> int:
        if name not in name2id:
            raise ValueError(f'unknown joint {name!r} in {argument}; the '
                             f'metainfo has {", ".join(name2id)}')
        return name2id[name]

    def check_keypoint_names(self, keypoint_names: Sequence[str]) -> None:
        """Check that joints of a data set are those of the codec, in order.

        Args:
            keypoint_names (Sequence[str]): Names of the data set's joints.

        Raises:
            ValueError: Naming the first joint that differs.
        """
        for i, (theirs, ours) in enumerate(
                zip_longest(keypoint_names, self.keypoint_names)):
            if theirs != ours:
                raise ValueError(
                    f'joint {i} is {theirs or "absent"} in the data set, but '
                    f'{ours or "absent"} in the codec: give the data set and '
                    'the codec (and CombinedDataset) the same metainfo')

    def encode(self,
               keypoints: np.ndarray,
               keypoints_visible: Optional[np.ndarray] = None,
               keypoints_cam: Optional[np.ndarray] = None,
               bone_length: Optional[float] = None,
               keypoint_names: Optional[Sequence[str]] = None,
               flip: Optional[bool] = None,
               warp_mat: Optional[np.ndarray] = None,
               hand_side: Optional[str] = None,
               keypoints_visible_weights: Optional[np.ndarray] = None,
               keypoint_weights: Optional[np.ndarray] = None,
               depth_weights: Optional[np.ndarray] = None) -> dict:
        """Encode joints as network labels.

        What a sample lacks has no weight: a hand without ``keypoints_cam``
        teaches pixels alone, one without visible joints nothing.

        Args:
            keypoints (np.ndarray): Pixel coordinates in the network input in
                shape (N, K, 2).
            keypoints_visible (np.ndarray, optional): 1 for annotated joints
                in shape (N, K). Defaults to all annotated.
            keypoints_cam (np.ndarray, optional): Camera-frame joints in shape
                (N, K, 3), mm. Defaults to none: depths are not known.
            bone_length (float | np.ndarray, optional): Length of the
                reference bone, mm, scalar or (N,). Defaults to its length in
                ``keypoints_cam``.
            keypoint_names (Sequence[str], optional): Names of the K joints,
                to be compared with the codec's. Defaults to no comparison.
            flip (bool, optional): Whether transforms have mirrored the
                image, as ``warp_mat`` must have it. Defaults to no
                comparison.
            warp_mat (np.ndarray, optional): The image-to-input warp, (3, 3),
                which is compared with ``flip``.
            hand_side (str, optional): ``'right'`` or ``'left'`` in the
                original image, for ``side_labels``. Defaults to none.
            keypoints_visible_weights (np.ndarray, optional): Must be None;
                mmpose's ``KeypointConverter``, which reorders ``keypoints``
                but not ``keypoints_cam``, sets it.
            keypoint_weights (np.ndarray, optional): How much the pixels of
                annotated joints count, (N, K), 0 or more. Defaults to 1.
            depth_weights (np.ndarray, optional): How much their depths count,
                (N, K). Defaults to ``keypoint_weights``.

        Returns:
            dict: ``keypoint_labels`` (N, K, 3), ``keypoint_weights`` and
            ``depth_weights`` (N, K) and, with a side, ``side_labels`` (N,),
            all float32.

        Raises:
            ValueError: If the reference bone has no length, a weight is
                negative or not finite, joints are in another order, or the
                image was mirrored without its camera.
        """
        fault = find_flip_fault(flip, warp_mat)
        if fault is not None:
            raise ValueError(fault)
        if keypoint_names is not None:
            self.check_keypoint_names(keypoint_names)
        if keypoints_visible_weights is not None:
            raise ValueError(
                'KeypointConverter reorders the 2D joints alone and leaves '
                '`keypoints_cam` in another order: give the data set the '
                "codec's metainfo instead, which orders both by name")
        if keypoints_visible is None:
            keypoints_visible = np.ones(keypoints.shape[:2], dtype=np.float32)
        visible = np.asarray(keypoints_visible) > 0
        weights = visible * _weights('keypoint_weights', keypoint_weights,
                                     visible.shape)
        if keypoints_cam is None:
            depth = np.zeros(visible.shape)
            depth_weights = np.zeros(visible.shape)
        else:
            depth = self._depths(keypoints_cam, bone_length)
            depth_weights = weights if depth_weights is None else \
                visible * _weights('depth_weights', depth_weights,
                                   visible.shape)
            # without their root they mean nothing
            depth_weights = depth_weights * visible[:, [self.root_index]]
        labels = np.concatenate([keypoints, depth[..., None]], axis=-1)
        encoded = dict(
            keypoint_labels=labels.astype(np.float32),
            keypoint_weights=weights.astype(np.float32),
            depth_weights=depth_weights.astype(np.float32))
        if hand_side in SIDES:
            right = (hand_side == 'right') != bool(flip)
            encoded['side_labels'] = np.full(
                len(keypoints), right, dtype=np.float32)
        return encoded

    def _depths(self, keypoints_cam: np.ndarray,
                bone_length: Optional[Union[float, np.ndarray]]) -> np.ndarray:
        """Depths (N, K) relative to the root in reference bones."""
        keypoints_cam = np.asarray(keypoints_cam, dtype=np.float64)
        if bone_length is None:
            start, end = self.reference_indices
            bone_length = np.linalg.norm(
                keypoints_cam[:, end] - keypoints_cam[:, start], axis=-1)
        bone_length = check_per_hand(bone_length, 'bone_length',
                                     len(keypoints_cam))
        z = keypoints_cam[..., 2]
        return (z - z[:, [self.root_index]]) / bone_length[:, None]

    def decode(self,
               encoded: np.ndarray,
               warp_mat: Optional[np.ndarray] = None,
               camera_matrix: Optional[np.ndarray] = None,
               bone_length: Optional[np.ndarray] = None,
               root_depth: Optional[np.ndarray] = None) -> dict:
        """Decode network output to joints in the original image and camera.

        What is known decides what the 3D joints are, see
        :func:`~lgh_mmpose.geometry.lifting.lift_hands`.

        Args:
            encoded (np.ndarray): (u, v, depth) in shape (N, K, 3), as
                ``keypoint_labels``.
            warp_mat (np.ndarray, optional): Full image-to-input warp in
                shape (3, 3) or (N, 3, 3). Defaults to none: the input is the
                image.
            camera_matrix (np.ndarray, optional): Intrinsics of the original
                image in shape (3, 3) or (N, 3, 3).
            bone_length (float | np.ndarray, optional): Length of the
                reference bone, mm, scalar or (N,).
            root_depth (float | np.ndarray, optional): Depth of the root, mm,
                scalar or (N,). Defaults to solving it, see
                :func:`lgh_mmpose.geometry.camera.solve_root_depth`.

        Returns:
            dict: ``keypoints`` (N, K, 2), px of the original image, and the
            fields of :class:`~lgh_mmpose.geometry.lifting.LiftedHands`.

        Raises:
            ValueError: If the shape is wrong, a value not finite, a matrix
                singular, a length not positive, or a root depth comes
                without camera or bone length.
        """
        encoded = np.asarray(encoded, dtype=np.float64)
        if encoded.ndim != 3 or encoded.shape[1:] != (self.num_keypoints, 3):
            raise ValueError(f'encoded must have shape (N, '
                             f'{self.num_keypoints}, 3), got {encoded.shape}')
        if not np.isfinite(encoded).all():
            n, k = np.argwhere(~np.isfinite(encoded).all(-1))[0]
            raise ValueError(f'encoded joint {k} of instance {n} is not '
                             f'finite: {encoded[n, k]}')
        keypoints, depth = encoded[..., :2], encoded[..., 2]
        if warp_mat is not None:
            warp_mat = check_invertible(warp_mat, 'warp_mat')
            keypoints = warp_points(keypoints, np.linalg.inv(warp_mat))
        lifted = lift_hands(keypoints, depth, self.skeleton, camera_matrix,
                            bone_length, root_depth)
        return dict(keypoints=keypoints, **lifted._asdict())


def _weights(name: str, weights: Optional[np.ndarray],
             shape: Tuple[int, int]) -> np.ndarray:
    """Weights (N, K), by default 1."""
    if weights is None:
        return np.ones(shape)
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != shape or not (np.isfinite(weights).all() and
                                      (weights >= 0).all()):
        raise ValueError(f'{name} must be finite, 0 or more, and of shape '
                         f'{shape}, got {weights.tolist()}')
    return weights
