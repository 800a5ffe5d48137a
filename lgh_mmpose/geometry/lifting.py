"""From pixels and relative depths to hands in 3D."""
from typing import List, NamedTuple, Optional, Union

import numpy as np

from .camera import (RootDepthStatus, back_project, check_lengths,
                     lift_root_relative, solve_root_depth)
from .hand import HandSkeleton


class LiftedHands(NamedTuple):
    """Result of :func:`lift_hands`.

    Attributes:
        keypoints_cam (np.ndarray): (N, K, 3) in ``units`` and ``frame``.
        units (str): ``'mm'`` or ``'reference bones'``.
        frame (str): ``'camera'`` or ``'root'``.
        root_depth_status (list[str] | None): Name of the
            :class:`~lgh_mmpose.geometry.camera.RootDepthStatus` of each hand
            where the root depth was solved.
    """
    keypoints_cam: np.ndarray
    units: str
    frame: str
    root_depth_status: Optional[List[str]]


def lift_hands(
        keypoints: np.ndarray,
        depth: np.ndarray,
        skeleton: HandSkeleton,
        camera_matrix: Optional[np.ndarray] = None,
        bone_length: Optional[Union[float, np.ndarray]] = None,
        root_depth: Optional[Union[float, np.ndarray]] = None) -> LiftedHands:
    """Lift 2.5D joints to 3D.

    What is known decides what the 3D joints are:

    ============= =========== ==================== =========
    camera_matrix bone_length units                frame
    ============= =========== ==================== =========
    given         given       ``'mm'``             ``'camera'``
    given         None        ``'reference bones'`` ``'camera'``
    None          given       ``'mm'``             ``'root'``
    None          None        ``'reference bones'`` ``'root'``
    ============= =========== ==================== =========

    Frame ``'camera'`` is that of the original image. In frame ``'root'`` the
    root joint is the origin and the axes are the image's; x and y come from
    weak perspective, scaled by the reference bone, which assumes square
    pixels.

    Args:
        keypoints (np.ndarray): Pixels of the image in shape (N, K, 2).
        depth (np.ndarray): Depths relative to the root in lengths of the
            reference bone, (N, K).
        skeleton (HandSkeleton): The joints.
        camera_matrix (np.ndarray, optional): Intrinsics of the image in shape
            (3, 3) or (N, 3, 3).
        bone_length (float | np.ndarray, optional): Length of the reference
            bone, mm, scalar or (N,).
        root_depth (float | np.ndarray, optional): Depth of the root, mm,
            scalar or (N,). Defaults to solving it, see
            :func:`~lgh_mmpose.geometry.camera.solve_root_depth`.

    Returns:
        LiftedHands: The joints in 3D.

    Raises:
        ValueError: If a matrix is singular, a length not positive, or a root
            depth comes without camera or bone length.
    """
    if root_depth is not None and (camera_matrix is None
                                   or bone_length is None):
        raise ValueError('root_depth (mm) is only of use together with '
                         'camera_matrix and bone_length')
    num = len(keypoints)
    units = 'reference bones' if bone_length is None else 'mm'
    bone_length = check_per_hand(1. if bone_length is None else bone_length,
                                 'bone_length', num)
    depth = np.asarray(depth, dtype=np.float64) * bone_length[:, None]
    bones = dict(bones=skeleton.bones, bone_lengths=skeleton.bone_lengths)
    root, reference = skeleton.root_index, skeleton.reference_indices
    if camera_matrix is None:
        return LiftedHands(
            lift_root_relative(keypoints, depth, root, reference, bone_length,
                               **bones), units, 'root', None)

    camera_matrix = check_invertible(camera_matrix, 'camera_matrix')
    status = None
    if root_depth is None:
        root_depth, codes = solve_root_depth(keypoints,
                                             depth - depth[:, [root]],
                                             camera_matrix, reference,
                                             bone_length, **bones)
        status = [RootDepthStatus(code).name for code in codes]
    root_depth = check_per_hand(root_depth, 'root_depth', num)
    keypoints_cam = back_project(keypoints, depth + root_depth[:, None],
                                 camera_matrix)
    return LiftedHands(keypoints_cam, units, 'camera', status)


def check_per_hand(value: Union[float, np.ndarray], name: str,
                   num: int) -> np.ndarray:
    """A positive length for each hand.

    Args:
        value (float | np.ndarray): One number or (N,).
        name (str): What the error calls it.
        num (int): N.

    Returns:
        np.ndarray: (N,), float64.

    Raises:
        ValueError: If they are others, or not so many.
    """
    value = check_lengths(name, value).reshape(-1)
    if len(value) not in (1, num):
        raise ValueError(f'{name} must be one number or {num}, got '
                         f'{len(value)}')
    return np.broadcast_to(value, (num, ))


def check_invertible(matrix: np.ndarray, name: str) -> np.ndarray:
    """Finite and invertible matrices (3, 3) or (N, 3, 3), float64.

    Raises:
        ValueError: If they are others; with ``name``.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    if matrix.shape[-2:] != (3, 3) or not np.isfinite(matrix).all():
        raise ValueError(f'{name} must be finite and have shape (3, 3) '
                         f'or (N, 3, 3), got {matrix}')
    if (np.abs(np.linalg.det(matrix)) < 1e-12).any():
        raise ValueError(f'{name} is singular: {matrix.tolist()}')
    return matrix
