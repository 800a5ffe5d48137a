"""Transforms that keep the camera geometry of a sample exact."""
import logging
import math
from typing import Dict, Tuple

import cv2
import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log
from mmpose.datasets.transforms import TopdownAffine
from mmpose.registry import TRANSFORMS
from mmpose.structures.bbox import get_udp_warp_matrix

from ..geometry.camera import back_project, warp_points
from ..geometry.crop import DIRECTION_JOINTS, direction_of, upright_rotation
from ..geometry.hand import SIDES
from ..geometry.plausibility import (find_camera_fault, find_flip_fault,
                                     find_size_fault)


def describe(results: Dict) -> str:
    """Name a sample in an error message."""
    return f'sample {results.get("id")} ({results.get("img_path")})'


def check_not_flipped(results: Dict) -> None:
    """Check that no transform has mirrored the image without the camera.

    Args:
        results (dict): The result dict.

    Raises:
        ValueError: See
            :func:`~lgh_mmpose.geometry.plausibility.find_flip_fault`.
    """
    fault = find_flip_fault(results.get('flip'), results.get('warp_mat'))
    if fault is not None:
        raise ValueError(f'{describe(results)}: {fault}')


def _check_image(results: Dict) -> None:
    """Check that the image before the crop is that of the camera."""
    height, width = (
        n * results.get('img_reduction', 1) for n in results['img'].shape[:2])
    original = results.get('ori_shape', (height, width))
    if (height, width) != tuple(original):
        raise ValueError(
            f'{describe(results)}: a transform before the crop has made an '
            f'image of {original[1]} x {original[0]} px one of {width} x '
            f'{height}, but left the camera as it was, as Resize and crops '
            'do; leave it out: TopdownAffineCamera crops and scales, with '
            'the camera')
    annotated = results.get('annotated_size')
    fault = None if annotated is None else find_size_fault(
        annotated, (width, height))
    if fault is None and results.get('camera_matrix') is not None:
        fault = find_camera_fault(results['camera_matrix'], (width, height))
        fault = fault and f'its camera has {fault}'
    if fault is not None:
        raise ValueError(f'{describe(results)}: {fault}')


def _warp_matrix(center: np.ndarray, box_width: float, rotation: float,
                 width: int, height: int) -> np.ndarray:
    """mmpose's ``get_warp_matrix``, (2, 3), in closed form and float64."""
    factor = width / float(box_width)
    radians = math.radians(rotation)
    cos, sin = factor * math.cos(radians), factor * math.sin(radians)
    x, y = center.tolist()
    return np.array([[cos, sin, width / 2 - cos * x - sin * y],
                     [-sin, cos, height / 2 + sin * x - cos * y]])


@TRANSFORMS.register_module()
class TopdownAffineCamera(TopdownAffine):
    """:class:`TopdownAffine` that keeps its matrix.

    With the warp ``A`` from the original image to the input, the camera of
    the input is ``A @ camera_matrix`` and the joints in the camera frame stay
    as they are. That is exact for any crop, scale, rotation and mirror.

    Required Keys:

        - img
        - img_reduction (optional, of :class:`LoadHandImage`)
        - ori_shape, annotated_size, camera_matrix (optional): to be compared
          with the image
        - bbox_center
        - bbox_scale
        - bbox_rotation (optional)
        - keypoints (optional)

    Modified Keys:

        - img
        - bbox_scale

    Added Keys:

        - input_size
        - input_center
        - input_scale
        - warp_mat: (3, 3), float64, px of the image to px of the input
        - transformed_keypoints (where there are keypoints)

    Args:
        input_size (Tuple[int, int]): The input image size of the model in
            [w, h]. The bbox region will be cropped and resized to it.
        use_udp (bool): Whether to use unbiased data processing, see
            :class:`TopdownAffine`. Defaults to ``False``.
    """

    def transform(self, results: Dict) -> dict:
        """Crop the hand.

        Args:
            results (dict): The result dict.

        Returns:
            dict: The result dict.

        Raises:
            ValueError: If the box has no area or is not finite, the image is
                not that of the annotation and the camera, or a transform has
                mirrored or resized it.
        """
        check_not_flipped(results)
        _check_image(results)
        w, h = self.input_size
        center, scale = results['bbox_center'], results['bbox_scale']
        if center.shape != (1, 2) or scale.shape != (1, 2):
            raise ValueError(
                f'{describe(results)}: one box per sample is supported, got '
                f'bbox_center {center.shape} and bbox_scale {scale.shape}')
        rotation = float(results.get('bbox_rotation', [0.])[0])
        numbers = [*center[0].tolist(), *scale[0].tolist(), rotation]
        if not all(map(math.isfinite, numbers)) or min(numbers[2:4]) <= 0:
            raise ValueError(
                f'{describe(results)}: the box has no area or is not finite '
                f'(center {numbers[:2]}, size {numbers[2:4]}, '
                f'rotation {rotation}); correct or drop this sample')

        scale = self._fix_aspect_ratio(scale, aspect_ratio=w / h)
        warp_mat = np.eye(3)
        if self.use_udp:
            if results.get('upright'):
                raise ValueError('use_udp turns the other way, as in mmpose: '
                                 'leave it out beside TurnUpright')
            warp_mat[:2] = get_udp_warp_matrix(
                center[0], scale[0], rotation, output_size=(w, h))
        else:
            warp_mat[:2] = _warp_matrix(center[0], scale[0, 0], rotation, w, h)

        img_warp = warp_mat[:2]
        reduction = results.pop('img_reduction', 1)
        if reduction > 1:
            # centre of a pixel of the reduced image, in the whole one
            offset = (reduction - 1) / 2
            img_warp = img_warp @ [[reduction, 0., offset],
                                   [0., reduction, offset], [0., 0., 1.]]
        results['img'] = cv2.warpAffine(
            results['img'], img_warp, (w, h), flags=cv2.INTER_LINEAR)
        if results.get('keypoints') is not None:
            keypoints = results['keypoints']
            results['transformed_keypoints'] = warp_points(
                keypoints[..., :2], warp_mat)
        results['warp_mat'] = warp_mat
        results['bbox_scale'] = scale
        results['input_size'] = (w, h)
        results['input_center'] = center[0]
        results['input_scale'] = scale[0]
        return results


@TRANSFORMS.register_module()
class TurnUpright(BaseTransform):
    """Turn the crop so that the hand points up.

    The direction of a hand in the picture is that from the wrist to the
    knuckle of the middle finger. What is random about it comes from
    ``FastRandomBBoxTransform`` (``rotate_factor``) before, to whose rotation
    this adds. Must stand before :class:`TopdownAffineCamera`, which turns
    about the middle of the box; the box stays as it is.

    A sample in which one of the two is not annotated stays as it is:
    ``lgh_mmpose.HandPose`` turns by what the detector or the frame before
    says.

    Required Keys:

        - keypoints, keypoint_names (optional at inference)
        - keypoints_visible (optional)
        - bbox_rotation (optional)

    Modified Keys:

        - bbox_rotation

    Added Keys:

        - upright
    """

    def transform(self, results: Dict) -> dict:
        """Turn the crop.

        Args:
            results (dict): The result dict.

        Returns:
            dict: The result dict.

        Raises:
            ValueError: If the joints that tell the direction are unknown, or
                the crop is already cut.
        """
        if 'warp_mat' in results:
            raise ValueError(f'{describe(results)}: TurnUpright must stand '
                             'before TopdownAffineCamera')
        results['upright'] = True
        if results.get('keypoints') is None:
            return results
        names = list(results.get('keypoint_names', ()))
        missing = [name for name in DIRECTION_JOINTS if name not in names]
        if missing:
            raise ValueError(f'{describe(results)}: its direction is that '
                             f'from {" to ".join(DIRECTION_JOINTS)}, but the '
                             f'data set has no {missing[0]}')
        visible = results.get('keypoints_visible')
        direction = direction_of(
            results['keypoints'][0, :, :2], names,
            None if visible is None else visible[0].reshape(len(names), -1)[:,
                                                                            0])
        before = results.get('bbox_rotation', np.zeros(1, np.float32))
        if direction is not None:
            results['bbox_rotation'] = before + np.float32(
                upright_rotation(direction))
        return results

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}()'


def _set_mirrored(results: Dict, mirrored: bool, step: str) -> None:
    """Mirror the input or not: pixel column u goes to w - 1 - u.

    Args:
        results (dict): The result dict, changed in place.
        mirrored (bool): Whether to.
        step (str): The transform that asks, for the error.

    Raises:
        ValueError: If there is no ``warp_mat`` yet, or another transform has
            mirrored the image.
    """
    check_not_flipped(dict(results, warp_mat=None))
    if 'warp_mat' not in results:
        raise ValueError(f'{describe(results)}: {step} must stand after '
                         'TopdownAffineCamera')
    results['flip'] = mirrored
    results['flip_direction'] = 'horizontal' if mirrored else None
    if not mirrored:
        return
    width = results['img'].shape[1]
    results['img'] = cv2.flip(results['img'], 1)
    mirror = np.array([[-1., 0., width - 1.], [0., 1., 0.], [0., 0., 1.]])
    results['warp_mat'] = mirror @ results['warp_mat']
    if results.get('transformed_keypoints') is not None:
        results['transformed_keypoints'] = warp_points(
            results['transformed_keypoints'], mirror)


@TRANSFORMS.register_module()
class MirrorHands(BaseTransform):
    """Mirror a share of the hands, for a network that sees both sides.

    It stands where :class:`CanonicalizeHandSide` does for a network that sees
    one: after :class:`TopdownAffineCamera`. Joints in the camera frame and
    the camera stay those of the original image.

    Required Keys:

        - img
        - warp_mat
        - transformed_keypoints (optional)
        - id (optional, with ``by_id``)

    Modified Keys:

        - img
        - warp_mat
        - transformed_keypoints

    Added Keys:

        - flip: whether the input was mirrored
        - flip_direction: ``'horizontal'`` or None

    Args:
        prob (float): Probability of being mirrored. Defaults to 0.5.
        by_id (bool): Whether every sample with an odd number is mirrored and
            no other, for tests, in place of chance; a sample without a number
            is not. Defaults to ``False``.
    """

    def __init__(self, prob: float = .5, by_id: bool = False) -> None:
        super().__init__()
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must lie between 0 and 1, got {prob!r}')
        self.prob = prob
        self.by_id = by_id

    def transform(self, results: Dict) -> dict:
        """Mirror the input, or not.

        Args:
            results (dict): The result dict.

        Returns:
            dict: The result dict.

        Raises:
            ValueError: If there is no ``warp_mat`` yet, or another transform
                has mirrored the image.
        """
        if self.by_id:
            mirrored = results.get('id', 0) % 2 == 1
        else:
            mirrored = np.random.random() < self.prob
        _set_mirrored(results, bool(mirrored), 'MirrorHands')
        return results

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(prob={self.prob}, '
                f'by_id={self.by_id})')


@TRANSFORMS.register_module()
class CanonicalizeHandSide(BaseTransform):
    """Mirror hands of the other side, so that the network sees one side.

    The mirror maps the pixel column ``u`` to ``w - 1 - u`` (pixel centres at
    integers). It changes the input only: joints in the camera frame and the
    camera stay those of the original image, and ``warp_mat`` leads back to
    them. Must stand after :class:`TopdownAffineCamera`.

    mmpose's own ``inference_topdown`` and ``MMPoseInferencer`` know no side:
    an image without ``hand_side`` and without annotated joints counts as a
    hand of the side ``side``, said once in the log.

    Required Keys:

        - img
        - hand_side (optional at inference)
        - warp_mat
        - transformed_keypoints (optional)

    Modified Keys:

        - img
        - warp_mat
        - transformed_keypoints

    Added Keys:

        - hand_side (where it was assumed)
        - flip: whether the input was mirrored
        - flip_direction: ``'horizontal'`` or None

    Args:
        side (str): The side that all hands get, ``'right'`` or ``'left'``.
            Defaults to ``'right'``.
    """

    def __init__(self, side: str = 'right') -> None:
        super().__init__()
        if side not in SIDES:
            raise ValueError(f'side must be one of {SIDES}, got {side!r}')
        self.side = side
        self._said_assumed = False

    def transform(self, results: Dict) -> dict:
        """Mirror the input if need be.

        Args:
            results (dict): The result dict.

        Returns:
            dict: The result dict.

        Raises:
            ValueError: If the side of the hand is unknown, there is no
                ``warp_mat`` yet, or another transform has mirrored the image.
        """
        if 'hand_side' not in results and 'keypoints' not in results:
            results['hand_side'] = self.side
            if not self._said_assumed:
                self._said_assumed = True
                print_log(
                    f'no hand_side is given, so hands count as {self.side} '
                    'ones; lgh_mmpose.HandPose takes or estimates the side',
                    logger='current',
                    level=logging.WARNING)
        hand_side = results.get('hand_side')
        if hand_side not in SIDES:
            raise ValueError(f'{describe(results)}: hand_side must be one '
                             f'of {SIDES}, got {hand_side!r}')
        _set_mirrored(results, hand_side != self.side, 'CanonicalizeHandSide')
        return results

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}(side={self.side!r})'


@TRANSFORMS.register_module()
class OfficialRhdCrop(BaseTransform):
    r"""The crop of RHD as the authors' release makes it, errors included.

    It stands for ``GetBBoxCenterScale``, :class:`TopdownAffineCamera` and
    :class:`CanonicalizeHandSide`, whose geometry is exact, and makes the
    inputs and the truth that the release of Li, Gao and Sang (AAAI 2021)
    evaluates on:

    - The square is that of the joints in sight (of all if none is), about the
      centre of their box, 1.2 times twice the way from the root joint to the
      farthest side, cut at 10 px from the border of the 320 px image.
    - Its size is rounded for the picture but not for the joints, and Pillow
      resizes it.
    - Left hands are mirrored, but **the principal point is not**:
      :math:`x' = -x + z (w - 1 - 2 u_0') / f'` with the principal point
      :math:`u_0'` of the crop. That shears the truth of left hands, by 5 to
      8 mm on average on the two real ones that this was measured on.
    - The 3D joints are lifted from the published pixels and depths, and the
      reference bone is measured on them.

    Only ``camera_matrix``, ``keypoints_cam`` and ``bone_length`` tell of it;
    the camera leads from the image to the release's frame, in which all hands
    are right hands, so that decoding needs no other path.

    Required Keys:

        - img, keypoints, keypoints_in_sight, keypoints_cam, keypoint_names,
          camera_matrix, hand_side

    Modified Keys:

        - img
        - camera_matrix
        - keypoints_cam
        - bone_length

    Added Keys:

        - those of :class:`TopdownAffineCamera` and
          :class:`CanonicalizeHandSide`

    Args:
        input_size (Tuple[int, int]): The input image size of the model in
            [w, h], w = h; the release's is 256.
        root_joint (str): Defaults to ``'middle_finger1'``.
        reference_bone (tuple[str, str]): Defaults to ``('middle_finger1',
            'middle_finger2')``.
    """

    IMAGE_SIZE = 320
    _BORDER = 10
    _SIZES = (30, 280)

    def __init__(
        self,
        input_size: Tuple[int, int],
        root_joint: str = 'middle_finger1',
        reference_bone: Tuple[str, str] = ('middle_finger1', 'middle_finger2')
    ) -> None:
        super().__init__()
        if len(input_size) != 2 or input_size[0] != input_size[1]:
            raise ValueError('input_size must be a square [w, h], got '
                             f'{input_size!r}')
        self.input_size = tuple(input_size)
        self.root_joint = root_joint
        self.reference_bone = tuple(reference_bone)
        self._mirror = CanonicalizeHandSide()

    def crop_square(self, keypoints: np.ndarray, in_sight: np.ndarray,
                    root: np.ndarray) -> Tuple[np.ndarray, float]:
        """The square of the original image that becomes the input.

        Args:
            keypoints (np.ndarray): Joints in shape (K, 2), px.
            in_sight (np.ndarray): Whether they are seen, (K,).
            root (np.ndarray): The root joint in shape (2,), px.

        Returns:
            tuple: Left upper corner (2,), whole numbers, and size in px.
        """
        joints = keypoints[in_sight] if in_sight.any() else keypoints
        low = np.maximum(joints.min(axis=0), 0)
        high = np.minimum(joints.max(axis=0), self.IMAGE_SIZE)
        reach = 2 * np.maximum(high - root, root - low).max()
        half = 1.2 * np.clip(reach, self._SIZES[0], 500) / 2
        first, last = self._BORDER, self.IMAGE_SIZE - self._BORDER
        centre = (low + high) / 2
        low = np.clip(centre - half, first, last)
        high = np.clip(centre + half, first, last)
        size = float(np.clip((high - low).max(), *self._SIZES))
        corner = np.trunc(low)
        return corner - np.maximum(corner + int(size) - last, 0), size

    def transform(self, results: Dict) -> dict:
        """Crop the hand.

        Args:
            results (dict): The result dict.

        Returns:
            dict: The result dict.

        Raises:
            ValueError: If the image is none of RHD's, or a key is missing.
        """
        missing = [
            key for key in ('keypoints', 'keypoints_in_sight', 'keypoints_cam',
                            'keypoint_names', 'camera_matrix')
            if results.get(key) is None
        ]
        if missing:
            raise ValueError(f'{describe(results)}: OfficialRhdCrop needs '
                             f'{", ".join(missing)}, as Rhd3DDataset gives')
        shape = results['img'].shape[:2]
        if shape != (self.IMAGE_SIZE, self.IMAGE_SIZE):
            raise ValueError(
                f'{describe(results)}: OfficialRhdCrop is made for images of '
                f'{self.IMAGE_SIZE} x {self.IMAGE_SIZE} px, got {shape}')
        _check_image(results)
        names = list(results['keypoint_names'])
        keypoints = results['keypoints'][0].astype(np.float64)
        corner, size = self.crop_square(
            keypoints, results['keypoints_in_sight'][0],
            keypoints[names.index(self.root_joint)])
        width = self.input_size[0]
        scale = width / size
        crop_mat = np.array([[scale, 0., -scale * corner[0]],
                             [0., scale, -scale * corner[1]], [0., 0., 1.]])
        left, top = corner.astype(int)
        side = int(size)
        img = mmcv.imresize(
            results['img'][top:top + side, left:left + side],
            self.input_size,
            interpolation='bilinear',
            backend='pillow')

        results['img'] = img
        results['warp_mat'] = crop_mat
        results = self._mirror.transform(results)
        # the camera of the crop, not mirrored, seen from the original image
        camera_matrix = np.linalg.inv(
            results['warp_mat']) @ crop_mat @ results['camera_matrix']
        keypoints_cam = back_project(keypoints, results['keypoints_cam'][0, :,
                                                                         2],
                                     camera_matrix)
        start, end = (names.index(name) for name in self.reference_bone)
        results['camera_matrix'] = camera_matrix
        results['keypoints_cam'] = keypoints_cam[None]
        results['bone_length'] = float(
            np.linalg.norm(keypoints_cam[end] - keypoints_cam[start]))
        results['transformed_keypoints'] = warp_points(results['keypoints'],
                                                       results['warp_mat'])
        results['input_size'] = self.input_size
        results['input_center'] = corner + size / 2
        results['input_scale'] = np.array([size, size])
        return results
