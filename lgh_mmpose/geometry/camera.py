"""Pinhole camera maths as pure NumPy functions, batched over leading axes.

Conventions: camera frame with x right, y down, z forwards; pixel centres at
integer coordinates; all arithmetic in float64. Lengths keep the unit they
come in, which is millimetres everywhere in this package.
"""
from enum import IntEnum
from typing import NamedTuple, Optional, Tuple

import numpy as np

_LARGEST = 1e50
"""What is squared twice below stays finite, which float32 and the cameras of
this world are far within."""


class RootDepthStatus(IntEnum):
    """How :func:`solve_root_depth` came to a root depth."""

    SOLVED = 0
    """One root of the quadratic lies in front of the camera."""
    AMBIGUOUS = 1
    """Two do; the one nearest to weak perspective was taken."""
    FORESHORTENED = 2
    """Bone along the viewing ray; weak perspective instead."""
    INCONSISTENT = 3
    """No real root; weak perspective instead."""
    BEHIND_CAMERA = 4
    """No root in front of the camera; weak perspective instead."""
    IMPLAUSIBLE = 5
    """Root far off weak perspective, which was taken instead."""


SOLVED_STATUSES = (RootDepthStatus.SOLVED.name, RootDepthStatus.AMBIGUOUS.name)
"""Names of those where the bone gave the depth, not weak perspective."""


class RootDepth(NamedTuple):
    """Result of :func:`solve_root_depth`.

    Attributes:
        depth (np.ndarray): Root depth in shape (...), positive, in the unit
            of the bone length.
        status (np.ndarray): :class:`RootDepthStatus` in shape (...), int64.
    """

    depth: np.ndarray
    status: np.ndarray


def _homogeneous(uv: np.ndarray) -> np.ndarray:
    uv = np.asarray(uv, dtype=np.float64)
    return np.concatenate([uv, np.ones_like(uv[..., :1])], axis=-1)


def _apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Multiply (..., 3, 3) matrices with (..., K, 3) row points."""
    return points @ np.swapaxes(np.asarray(matrix, dtype=np.float64), -1, -2)


def project(xyz: np.ndarray, camera_matrix: np.ndarray) -> np.ndarray:
    """Project points of the camera frame into the image.

    Args:
        xyz (np.ndarray): Points in shape (..., K, 3), z > 0.
        camera_matrix (np.ndarray): Intrinsics in shape (..., 3, 3); skew
            and negative focal lengths (mirrored images) are allowed.

    Returns:
        np.ndarray: Pixel coordinates in shape (..., K, 2), float64.
    """
    uvw = _apply(camera_matrix, np.asarray(xyz, dtype=np.float64))
    return uvw[..., :2] / uvw[..., 2:]


def viewing_rays(uv: np.ndarray, camera_matrix: np.ndarray) -> np.ndarray:
    """Viewing rays of pixels, scaled to z = 1.

    Args:
        uv (np.ndarray): Pixel coordinates in shape (..., K, 2).
        camera_matrix (np.ndarray): Intrinsics in shape (..., 3, 3).

    Returns:
        np.ndarray: Rays in shape (..., K, 3), float64.

    Raises:
        np.linalg.LinAlgError: If a camera matrix is singular.
    """
    rays = _apply(np.linalg.inv(camera_matrix), _homogeneous(uv))
    return rays / rays[..., 2:]


def back_project(uv: np.ndarray, z: np.ndarray,
                 camera_matrix: np.ndarray) -> np.ndarray:
    """Lift pixels of known depth into the camera frame.

    Args:
        uv (np.ndarray): Pixel coordinates in shape (..., K, 2).
        z (np.ndarray): Depths in shape (..., K).
        camera_matrix (np.ndarray): Intrinsics in shape (..., 3, 3).

    Returns:
        np.ndarray: Points in shape (..., K, 3), in the unit of ``z``.

    Raises:
        np.linalg.LinAlgError: If a camera matrix is singular.
    """
    z = np.asarray(z, dtype=np.float64)
    return viewing_rays(uv, camera_matrix) * z[..., None]


def warp_points(uv: np.ndarray, warp_mat: np.ndarray) -> np.ndarray:
    """Map pixels through an affine or projective warp.

    Args:
        uv (np.ndarray): Pixel coordinates in shape (..., K, 2).
        warp_mat (np.ndarray): Warp matrices in shape (..., 3, 3).

    Returns:
        np.ndarray: Warped pixel coordinates in shape (..., K, 2), float64.
    """
    warped = _apply(warp_mat, _homogeneous(uv))
    return warped[..., :2] / warped[..., 2:]


def check_lengths(name: str, lengths: np.ndarray) -> np.ndarray:
    """Lengths that arithmetic cannot make infinite or zero.

    Args:
        name (str): What the error calls them.
        lengths (float | np.ndarray): Numbers of any shape.

    Returns:
        np.ndarray: The same, float64.

    Raises:
        ValueError: If they are no numbers from 1e-50 to 1e50.
    """
    array = np.asarray(lengths)
    # text and truth values would turn into numbers, too
    if array.dtype.kind not in 'iuf' or not ((array >= 1 / _LARGEST) &
                                             (array <= _LARGEST)).all():
        raise ValueError(f'{name} must be positive, a number from '
                         f'{1 / _LARGEST:g} to {_LARGEST:g}, got {lengths!r}')
    return array.astype(np.float64)


def _check_values(name: str, values: np.ndarray) -> np.ndarray:
    # false for NaN, too
    if not (np.abs(values) <= _LARGEST).all():
        raise ValueError(f'{name} must be finite, up to {_LARGEST:g}')
    return values


def weak_perspective_depth(points: np.ndarray,
                           relative_depth: np.ndarray,
                           bones: np.ndarray,
                           bone_lengths: np.ndarray,
                           min_size: np.ndarray = 1e-9) -> np.ndarray:
    r"""Depth of an object with bones of about known lengths.

    Under weak perspective at depth :math:`k` a bone with image vector
    :math:`p` and relative depth :math:`\delta` has the squared length
    :math:`k^2 |p|^2 + \delta^2`. All bones vote for :math:`k^2` by linear
    least squares, in which long images weigh most. Where the relative depths
    leave next to nothing of the lengths they are left out.

    Args:
        points (np.ndarray): Points of the plane z = 1 in shape (..., K, 2);
            in pixels, ``k`` is a length per pixel instead of a depth.
        relative_depth (np.ndarray): Depths up to a constant in shape
            (..., K), in the unit of ``bone_lengths``.
        bones (np.ndarray): Joint index pairs in shape (B, 2).
        bone_lengths (np.ndarray): Approximate bone lengths in shape (B,).
        min_size (float | np.ndarray): Size (root of the summed squares of
            the bones' images) that an object has at least, which keeps the
            result finite.

    Returns:
        np.ndarray: :math:`k` in shape (...), finite and positive.
    """
    points = np.asarray(points, dtype=np.float64)
    relative_depth = np.asarray(relative_depth, dtype=np.float64)
    start, end = np.asarray(bones).T
    squared_length = np.square(np.asarray(bone_lengths, dtype=np.float64))
    image = np.square(points[..., end, :] - points[..., start, :]).sum(-1)
    depth = np.square(relative_depth[..., end] - relative_depth[..., start])

    # shares of the whole, since fourth powers of small images underflow
    size = image.sum(-1)
    share = image / np.where(size > 0, size, 1.)[..., None]
    flat = (share * squared_length).sum(-1)
    vote = (share * np.maximum(squared_length - depth, 0.)).sum(-1)
    # 5% is a hand within 13 degrees of edge-on, or depths that make no sense
    vote = np.where(vote > 0.05 * flat, vote, flat)
    with np.errstate(divide='ignore', invalid='ignore'):
        scale = np.sqrt(vote / np.square(share).sum(-1) / size)
    largest = np.sqrt(squared_length.sum()) / min_size
    return np.where(size > 0, np.minimum(scale, largest), largest)


def lift_root_relative(keypoints: np.ndarray, relative_depth: np.ndarray,
                       root_joint: int, reference_bone: Tuple[int, int],
                       bone_length: np.ndarray, bones: np.ndarray,
                       bone_lengths: np.ndarray) -> np.ndarray:
    """Joints relative to the root where the camera is not known.

    Pixels are scaled by weak perspective, so that the reference bone has its
    length; where it points at the camera :func:`weak_perspective_depth` of
    all bones decides, as in :func:`solve_root_depth`. Assumes square pixels.

    Args:
        keypoints (np.ndarray): Pixel coordinates in shape (N, K, 2).
        relative_depth (np.ndarray): Depths up to a constant in shape (N, K),
            in the unit of ``bone_length``.
        root_joint (int): Joint that becomes the origin.
        reference_bone (tuple[int, int]): Joints at the ends of the reference
            bone.
        bone_length (np.ndarray): Length of the reference bone in shape (N,).
        bones (np.ndarray): Index pairs (B, 2) of all bones.
        bone_lengths (np.ndarray): Their usual lengths (B,) in lengths of the
            reference bone.

    Returns:
        np.ndarray: Points in shape (N, K, 3), in the unit of ``bone_length``,
        along the axes of the image.

    Raises:
        ValueError: Outside the domain of :func:`solve_root_depth`, pixels
            taking the place of rays.
    """
    _check_values('keypoints', keypoints)
    bone_length = check_lengths('the bone length', bone_length)
    check_lengths('usual bone lengths', bone_lengths)
    ratio = _check_values('relative depths in bone lengths',
                          relative_depth / bone_length[:, None])
    hand = weak_perspective_depth(
        keypoints, ratio, bones, bone_lengths, min_size=1.)
    start, end = reference_bone
    image = np.linalg.norm(keypoints[:, end] - keypoints[:, start], axis=-1)
    squared = 1. - np.square(ratio[:, end] - ratio[:, start])
    with np.errstate(divide='ignore', invalid='ignore'):
        bone = np.sqrt(squared) / image
    agrees = (bone > 0.5 * hand) & (bone < 2. * hand)
    scale = np.where(agrees, bone, hand) * bone_length
    xyz = np.concatenate(
        [keypoints * scale[:, None, None], relative_depth[..., None]], axis=-1)
    return xyz - xyz[:, [root_joint]]


def solve_root_depth(keypoints: np.ndarray,
                     relative_depth: np.ndarray,
                     camera_matrix: np.ndarray,
                     reference_bone: Tuple[int, int],
                     bone_length: np.ndarray = 1.,
                     bones: Optional[np.ndarray] = None,
                     bone_lengths: Optional[np.ndarray] = None,
                     min_sine: float = 0.02,
                     max_ratio: Optional[float] = 2.) -> RootDepth:
    r"""Solve the depth of the root joint from the length of one bone.

    With the viewing rays :math:`r_n, r_m` of the reference bone's ends and
    their depths :math:`d_n, d_m` relative to the root, the bone is
    :math:`(Z + d_n) r_n - (Z + d_m) r_m`. Its known length makes a quadratic
    in the root depth :math:`Z` (Iqbal et al., "Hand Pose Estimation via
    Latent 2.5D Heatmap Regression", ECCV 2018, section 3.1). It is exact on
    exact input. Where it gives no answer the depth comes from the apparent
    size of all bones (:func:`weak_perspective_depth`), so the result is
    finite and puts every joint in front of the camera.

    That holds for any relative depths up to 1e50 bone lengths and viewing
    rays up to 1e50 focal lengths off the axis, which is far more than a
    network can answer in float32; bone lengths and the size of a pixel on the
    plane z = 1 must be from 1e-50 to 1e50. The rest is refused.

    Args:
        keypoints (np.ndarray): Pixel coordinates in shape (..., K, 2).
        relative_depth (np.ndarray): Depths relative to the root in shape
            (..., K), in the unit of ``bone_length``.
        camera_matrix (np.ndarray): Intrinsics in shape (..., 3, 3).
        reference_bone (tuple[int, int]): Joints at the ends of the reference
            bone.
        bone_length (np.ndarray | float): Length of the reference bone in
            shape (...), positive.
        bones (np.ndarray, optional): Index pairs (B, 2) of all bones used by
            weak perspective. Defaults to the reference bone.
        bone_lengths (np.ndarray, optional): Their usual lengths (B,) in
            lengths of the reference bone. Defaults to ones.
        min_sine (float): Sine of the angle between bone and viewing ray,
            judged by weak perspective, below which the quadratic is not
            used. Defaults to 0.02 (1.1 degrees).
        max_ratio (float, optional): The root counts as implausible when it
            is further than this factor from weak perspective, in either
            direction; None accepts every root. Defaults to 2, several times
            the spread of hand proportions.

    Returns:
        RootDepth: Depth (...) in the unit of ``bone_length`` and status.

    Raises:
        ValueError: If an input is not finite, a bone length not positive, or
            one of them outside the domain.
        np.linalg.LinAlgError: If a camera matrix is singular.
    """
    bone_length = check_lengths('the bone length', bone_length)
    if bones is None:
        bones = np.array([reference_bone])
    if bone_lengths is None:
        bone_lengths = np.ones(len(bones))
    check_lengths('usual bone lengths', bone_lengths)

    # in units of the reference bone from here on
    with np.errstate(over='ignore', invalid='ignore', divide='ignore'):
        depth = np.asarray(
            relative_depth, dtype=np.float64) / bone_length[..., None]
        rays = viewing_rays(keypoints, camera_matrix)
        # the area of a pixel on the plane z = 1 is 1 / |det K|
        pixel = 1. / np.sqrt(np.abs(np.linalg.det(camera_matrix)))
    _check_values('relative depths in bone lengths', depth)
    _check_values('viewing rays of the keypoints', rays)
    check_lengths('the size of a pixel in focal lengths', pixel)

    weak = weak_perspective_depth(
        rays[..., :2], depth, bones, bone_lengths, min_size=pixel)
    # where the camera would touch a joint, which rounding moves
    touching = -depth.min(-1)
    touching = touching + 1e-12 * np.abs(touching)
    # one bone length in front of the camera at least
    weak = np.maximum(weak, 1. + touching)

    start, end = reference_bone
    slope = rays[..., end, :] - rays[..., start, :]
    offset = (
        depth[..., end, None] * rays[..., end, :] -
        depth[..., start, None] * rays[..., start, :])
    a = np.square(slope).sum(-1)
    half_b = (slope * offset).sum(-1)
    c = np.square(offset).sum(-1) - 1.
    discriminant = np.square(half_b) - a * c
    foreshortened = np.sqrt(a) * weak < min_sine
    # rounding of float32 labels is not a contradiction
    inconsistent = discriminant < -1e-6 * a
    # the numerically stable pair of roots
    q = -(half_b + np.copysign(np.sqrt(np.maximum(discriminant, 0.)), half_b))
    with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
        roots = np.stack([q / a, c / q], axis=-1)
    # false for NaN, too
    roots = np.where(np.abs(roots) <= _LARGEST**4, roots, -np.inf)
    valid = roots > np.maximum(touching, 0.)[..., None]
    distance = np.where(
        valid, np.abs(np.log(np.where(valid, roots, 1.) / weak[..., None])),
        np.inf)
    best = distance.argmin(-1)[..., None]
    root = np.take_along_axis(roots, best, axis=-1)[..., 0]
    distance = np.take_along_axis(distance, best, axis=-1)[..., 0]

    gap = np.abs(np.diff(np.where(valid, roots, 0.), axis=-1))[..., 0]
    two = valid.all(-1) & (gap > 1e-9 * weak)
    status = np.where(two, RootDepthStatus.AMBIGUOUS, RootDepthStatus.SOLVED)
    if max_ratio is not None:
        status = np.where(distance > np.log(max_ratio),
                          RootDepthStatus.IMPLAUSIBLE, status)
    status = np.where(valid.any(-1), status, RootDepthStatus.BEHIND_CAMERA)
    status = np.where(inconsistent, RootDepthStatus.INCONSISTENT, status)
    status = np.where(foreshortened, RootDepthStatus.FORESHORTENED, status)
    solved = status <= RootDepthStatus.AMBIGUOUS
    return RootDepth(np.where(solved, root, weak) * bone_length, status)
