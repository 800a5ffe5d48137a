"""Pictures and their hands, brought to the input of the detector.

Boxes and directions follow from the joints after the warp, so that they stay
true under any of them. Random numbers are NumPy's global ones.
"""
from typing import Dict, List, NamedTuple, Sequence, Tuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.datasets.transforms import PackDetInputs
from mmdet.registry import TRANSFORMS

from ..datasets.coco_hands import MIDDLE_KNUCKLE, NUM_JOINTS, WRIST
from ..evaluation.hand_detection import labels_of_instances
from ..geometry.camera import warp_points
from ..inference.letterbox import FILL, letterbox, resize


class Picture(NamedTuple):
    """A picture and its N hands.

    Attributes:
        image (np.ndarray): BGR, uint8 (H, W, 3).
        keypoints (np.ndarray): Joints, px, float64 (N, 21, 2).
        labels (np.ndarray): Indices of
            :data:`~lgh_mmpose.geometry.hand.CATEGORIES`, int64 (N,).
        ignored (np.ndarray): Which are neither hands nor background, bool
            (N,).
    """
    image: np.ndarray
    keypoints: np.ndarray
    labels: np.ndarray
    ignored: np.ndarray

    @classmethod
    def of(cls, results: dict) -> 'Picture':
        """The picture of a sample of :class:`CocoHandDataset`.

        Raises:
            ValueError: If the annotations are for another size.
        """
        hands = results['instances']
        keypoints = np.array([hand['keypoints'] for hand in hands])
        keypoints = keypoints.reshape(-1, NUM_JOINTS, 3)
        image = results['img']
        size = image.shape[1::-1]
        annotated = (results.get('width',
                                 size[0]), results.get('height', size[1]))
        if annotated != size:
            raise ValueError(
                f'{results.get("img_path")} has {size[0]} x {size[1]} px, but '
                f'is annotated as one of {annotated[0]} x {annotated[1]}: '
                'scale the annotations with the picture')
        return cls(image, keypoints[..., :2],
                   np.array([hand['bbox_label'] for hand in hands], np.int64),
                   np.array([hand['ignore_flag'] for hand in hands], bool))


class Targets(NamedTuple):
    """What the network is to say of a picture's hands.

    Attributes:
        boxes (np.ndarray): Cut at the border of the input, float32 (N, 4).
        labels (np.ndarray): int64 (N,).
        directions (np.ndarray): Unit vectors, 0 where the hand points to the
            camera, float32 (N, 2).
        ignored (np.ndarray): bool (N,).
    """
    boxes: np.ndarray
    labels: np.ndarray
    directions: np.ndarray
    ignored: np.ndarray

    @classmethod
    def of(cls,
           picture: Picture,
           warp: np.ndarray,
           input_size: Tuple[int, int],
           mirrored: bool = False,
           min_visible: float = 0.,
           min_size: float = 0.) -> 'Targets':
        """Targets of the hands of which something is to be seen.

        Args:
            picture (Picture): The picture.
            warp (np.ndarray): From it to the input, affine, (3, 3).
            input_size (tuple[int, int]): Width and height, px.
            mirrored (bool): Whether the warp makes left hands right ones.
            min_visible (float): Hands of whose box in the picture less is
                left are ignored.
            min_size (float): Hands whose box has a shorter longer side, px,
                likewise, and those whose shorter side is below half of it.
        """
        joints = warp_points(picture.keypoints, warp)
        # as in the labels, boxes end at the border of the picture
        border = np.subtract(picture.image.shape[1::-1], 1)
        cut = warp_points(picture.keypoints.clip(0, border), warp)
        boxes = _tight(cut.clip(0, np.subtract(input_size, 1)))
        size, whole = ((box[:, 2:] - box[:, :2])
                       for box in (boxes, _tight(cut)))
        seen = (size > 0).all(axis=1)
        share = size.prod(axis=1) / whole.prod(axis=1).clip(1e-9)
        ignored = (
            picture.ignored | (share < min_visible) |
            (size.max(axis=1) < min_size) | (size.min(axis=1) < min_size / 2))
        directions = joints[:, MIDDLE_KNUCKLE] - joints[:, WRIST]
        length = np.linalg.norm(directions, axis=1, keepdims=True)
        directions = np.where(length > 1e-6, directions / length.clip(1e-6), 0)
        labels = 1 - picture.labels if mirrored else picture.labels
        return cls(boxes[seen].astype(np.float32), labels[seen],
                   directions[seen].astype(np.float32), ignored[seen])

    def put_in(self, results: dict) -> None:
        """Give them the names that mmdet has for them."""
        results.update(
            gt_bboxes=self.boxes,
            gt_bboxes_labels=self.labels,
            gt_directions=self.directions,
            gt_ignore_flags=self.ignored)


def _tight(joints: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) round joints (N, K, 2)."""
    return np.concatenate([joints.min(axis=1), joints.max(axis=1)], axis=1)


@TRANSFORMS.register_module()
class RandomHandAffine(BaseTransform):
    """Scales, turns, mirrors and shifts a picture into the network's input.

    At scale 1 the whole picture just fits. One in so many inputs is a mosaic
    of four pictures, the former ones from the memory of this transform, so
    that no further ones are read.

    Required Keys:

        - img
        - instances, as of :class:`CocoHandDataset`

    Modified Keys:

        - img
        - img_shape

    Added Keys:

        - gt_bboxes (N, 4), gt_bboxes_labels (N,), gt_directions (N, 2),
          gt_ignore_flags (N,)

    Args:
        input_size (tuple[int, int]): Width and height of the input, px.
        scale (tuple[float, float]): Range of the scale, evenly in its
            logarithm. Defaults to (0.75, 1.6).
        rotate (float): Largest rotation, degrees. Defaults to 15.
        flip_prob (float): Probability of mirroring, which makes left hands
            right ones. Defaults to 0.5.
        mosaic_prob (float): Probability of a mosaic. Defaults to 0.
        num_cached (int): Pictures to remember for mosaics. Defaults to 20.
        min_visible (float): Share of a hand's box in the picture that is
            inside the input, below which it is neither hand nor background.
            Defaults to 0.25.
        min_size (float): The same for the longer side of the box, px, and
            half of it for the shorter one. Defaults to 12.

    Raises:
        ValueError: If a range or a probability is impossible.
    """

    def __init__(self,
                 input_size: Tuple[int, int],
                 scale: Tuple[float, float] = (.75, 1.6),
                 rotate: float = 15.,
                 flip_prob: float = .5,
                 mosaic_prob: float = 0.,
                 num_cached: int = 20,
                 min_visible: float = .25,
                 min_size: float = 12.) -> None:
        super().__init__()
        if not 0 < scale[0] <= scale[1] < float('inf'):
            raise ValueError('scale must be two positive numbers, the smaller '
                             f'first, got {scale}')
        for name, value in (('flip_prob', flip_prob), ('mosaic_prob',
                                                       mosaic_prob)):
            if not 0 <= value <= 1:
                raise ValueError(f'{name} must lie in [0, 1], got {value}')
        if num_cached < 3:
            raise ValueError('num_cached must be at least 3, for a mosaic, '
                             f'got {num_cached}')
        self.input_size = tuple(input_size)
        self.scale = tuple(scale)
        self.rotate = rotate
        self.flip_prob = flip_prob
        self.mosaic_prob = mosaic_prob
        self.num_cached = num_cached
        self.min_visible = min_visible
        self.min_size = min_size
        self._cache: List[Picture] = []

    def transform(self, results: Dict) -> dict:
        """Make the input.

        Args:
            results (dict): The result dict.

        Returns:
            dict: The result dict.
        """
        picture = Picture.of(results)
        mosaic = len(self._cache) >= 3 and \
            np.random.uniform() < self.mosaic_prob
        if mosaic:
            image, targets = self._mosaic(picture)
        else:
            image, targets = self._single(picture, self.input_size)
        if self.mosaic_prob:
            if len(self._cache) == self.num_cached:
                self._cache.pop(np.random.randint(self.num_cached))
            self._cache.append(picture)
        results['img'] = image
        results['img_shape'] = image.shape[:2]
        targets.put_in(results)
        return results

    def _mosaic(self, picture: Picture) -> Tuple[np.ndarray, Targets]:
        others = np.random.choice(len(self._cache), 3, replace=False)
        pictures = [picture, *(self._cache[i] for i in others)]
        width, height = self.input_size
        x, y = width // 2, height // 2
        image = np.empty((height, width, 3), np.uint8)
        parts = []
        for one, left, top, right, bottom in zip(pictures, (0, x, 0, x),
                                                 (0, 0, y, y),
                                                 (x, width, x, width),
                                                 (y, y, height, height)):
            pixels, targets = self._single(one, (right - left, bottom - top))
            image[top:bottom, left:right] = pixels
            shift = np.float32([left, top, left, top])
            parts.append(targets._replace(boxes=targets.boxes + shift))
        return image, Targets(*map(np.concatenate, zip(*parts)))

    def _single(self, picture: Picture,
                size: Tuple[int, int]) -> Tuple[np.ndarray, Targets]:
        image = picture.image
        image_size = image.shape[1::-1]
        flip = np.random.uniform() < self.flip_prob
        scale = np.exp(np.random.uniform(*np.log(self.scale)))
        scale *= min(np.divide(size, image_size))
        angle = np.deg2rad(np.random.uniform(-self.rotate, self.rotate))
        warp = _affine(image_size, size, scale, angle, flip,
                       np.random.uniform(size=2))
        # first the area of what shrinks, for warpAffine leaves out pixels
        small = image
        if scale < 1:
            small = resize(
                image,
                [max(round(scale * length), 1) for length in image_size])
        zoom = np.divide(image_size, small.shape[1::-1])
        grow = np.diag([*zoom, 1.])
        grow[:2, 2] = (zoom - 1) / 2
        pixels = cv2.warpAffine(
            small, (warp @ grow)[:2],
            tuple(size),
            flags=cv2.INTER_LINEAR,
            borderValue=(FILL, ) * 3)
        return pixels, Targets.of(picture, warp, size, flip, self.min_visible,
                                  self.min_size)


def _affine(image_size: Tuple[int, int], input_size: Tuple[int,
                                                           int], scale: float,
            angle: float, mirror: bool, place: np.ndarray) -> np.ndarray:
    """A warp (3, 3) that puts the image, or a part, somewhere in the input.

    Args:
        place (np.ndarray): Where, from 0 to 1 in both axes, (2,).
    """
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag(
        [-1. if mirror else 1., 1.])
    half = scale * np.asarray(image_size) / 2
    low, high = half, np.subtract(input_size, half)
    centre = low + place * (high - low) - .5
    warp = np.eye(3)
    warp[:2, :2] = linear
    warp[:2, 2] = centre - linear @ ((np.asarray(image_size) - 1) / 2)
    return warp


@TRANSFORMS.register_module()
class LetterboxHands(BaseTransform):
    """Puts a whole picture into the network's input, as at inference.

    Required Keys:

        - img
        - instances, as of :class:`CocoHandDataset`, if there are labels

    Modified Keys:

        - img
        - img_shape

    Added Keys:

        - warp_mat (3, 3), from the picture to the input

    Added Keys with labels:

        - hand_labels, in px of the picture, as
          :func:`~lgh_mmpose.evaluation.hand_detection.labels_of_instances`
          gives them
        - gt_bboxes (N, 4), gt_bboxes_labels (N,), gt_directions (N, 2),
          gt_ignore_flags (N,)

    Args:
        input_size (tuple[int, int]): Width and height of the input, px.
    """

    def __init__(self, input_size: Tuple[int, int]) -> None:
        super().__init__()
        self.input_size = tuple(input_size)

    def transform(self, results: Dict) -> dict:
        """Make the input.

        Args:
            results (dict): The result dict.

        Returns:
            dict: The result dict.
        """
        image = results['img']
        results['img'], results['warp_mat'] = letterbox(image, self.input_size)
        results['img_shape'] = results['img'].shape[:2]
        if 'instances' in results:
            picture = Picture.of(dict(results, img=image))
            results['hand_labels'] = labels_of_instances(
                results['img_path'], results['instances'])
            Targets.of(picture, results['warp_mat'],
                       self.input_size).put_in(results)
        return results


@TRANSFORMS.register_module()
class PackHandInputs(PackDetInputs):
    """Packs pictures and hands for :class:`RTMDetHandHead`.

    Args:
        meta_keys (Sequence[str]): What the samples shall tell of themselves.
    """

    mapping_table = dict(
        PackDetInputs.mapping_table, gt_directions='directions')

    def __init__(
        self,
        meta_keys: Sequence[str] = ('img_id', 'img_path', 'ori_shape',
                                    'img_shape', 'warp_mat', 'hand_labels')
    ) -> None:
        super().__init__(meta_keys)
