"""What the pipeline knows of a network."""
from typing import NamedTuple, Optional, Protocol, Tuple

import numpy as np

from ..geometry.crop import Crop
from ..geometry.hand import HandSkeleton


class NetworkInfo(NamedTuple):
    """What a network takes and gives.

    Attributes:
        input_size (tuple[int, int]): Width and height of its input, px.
        crop (Crop): How its input is cut out of an image.
        skeleton (HandSkeleton): Its K joints.
        joint_groups (tuple[int, ...]): The learned group of each joint, (K,).
        gives_side (bool): Whether it tells the side of a hand, and so takes
            hands of both.
        hand_thr (float, optional): Least certainty of a hand that was
            detected: the detector's score times the fourth power of the mean
            score of the joints. Defaults to None: the scores do not tell
            hands from other things, and all detections count.
    """
    input_size: Tuple[int, int]
    crop: Crop
    skeleton: HandSkeleton
    joint_groups: Tuple[int, ...]
    gives_side: bool = False
    hand_thr: Optional[float] = None


class Joints(NamedTuple):
    """What a network says of B crops, float32.

    Attributes:
        uv (np.ndarray): (B, K, 2), px of the input, pixel centres at
            integers.
        depth (np.ndarray): (B, K), relative to the root, in lengths of the
            reference bone.
        scores (np.ndarray): (B, K), mass of the heat map round its peak, from
            0 to 1.
        right (np.ndarray, optional): (B,), probability that the hand is a
            right one; None from a network that does not tell.
    """
    uv: np.ndarray
    depth: np.ndarray
    scores: np.ndarray
    right: Optional[np.ndarray] = None


class Network(Protocol):
    """A backend: all that differs from one to the other.

    Attributes:
        info (NetworkInfo): What it takes and gives.
        files (tuple[str, ...]): The files that it was read from.
    """
    info: NetworkInfo
    files: Tuple[str, ...]

    def __call__(self, images: np.ndarray) -> Joints:
        """Find the joints in crops.

        Args:
            images (np.ndarray): (B, 3, H, W), uint8, BGR.

        Returns:
            Joints: The joints.
        """
        ...


def check_images(images: np.ndarray, input_size: Tuple[int, int]) -> None:
    """Complain of what is no batch of crops.

    Raises:
        ValueError: If it is not uint8 (B, 3, H, W) of the input size.
    """
    width, height = input_size
    if images.dtype != np.uint8 or images.ndim != 4 or \
            images.shape[1:] != (3, height, width) or not len(images):
        raise ValueError('the network takes images as uint8 (B, 3, H, W) = '
                         f'(B, 3, {height}, {width}), got {images.dtype} '
                         f'{images.shape}')
