"""What hands can do: bone lengths, palm and joint angles within limits.

After Spurr, Iqbal, Molchanov, Hilliges and Kautz, "Weakly Supervised 3D Hand
Pose Estimation via Biomechanical Constraints", ECCV 2020, section 3. Where the
paper limits the two angles of a joint together, by their convex hull, each has
an interval of its own here.
"""
import json
from functools import lru_cache
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np
import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from ...geometry.camera import solve_root_depth
from ...geometry.hand import HandSkeleton, finger_chains
from ...inference.cameras import ASSUMED_FOV, camera_of_fov

LIMITS_FILE = Path(__file__).with_name('hand_limits.json')
KINDS = dict(
    lengths=('lengths', ),
    palm=('curvature', 'spread'),
    angles=('flexion', 'abduction'))
"""The measures of each of the three parts of the loss."""

_REFERENCE_BONE = 'middle_finger1', 'middle_finger2'
_EPSILON = 1e-6


def _unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(_EPSILON)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(-1)


def _angle(a: Tensor, b: Tensor) -> Tensor:
    """Between unit vectors; its gradient is finite, where they agree too."""
    return torch.atan2(torch.linalg.cross(a, b).norm(dim=-1), _dot(a, b))


def measure_hands(points: Tensor, right: Tensor,
                  chains: Tensor) -> Dict[str, Tensor]:
    r"""What the limits are of.

    Section 3.1 of the paper: root bones :math:`b_1 \dots b_5` go from the
    wrist to the fingers; between two of them lies the normal
    :math:`n_i = b_{i+1} \times b_i`, at each the edge normal :math:`e_i`, the
    mean of its neighbours. Each further bone is seen in the frame of the bone
    before it. Unlike in the paper the axis about which a finger bends is
    carried on from bone to bone by projection, not by the angles.

    Args:
        points (Tensor): Joints in the frame of a camera (B, K, 3), in lengths
            of the reference bone.
        right (Tensor): Whether they are right hands, bool (B,).
        chains (Tensor): What
            :func:`~lgh_mmpose.geometry.hand.finger_chains` gives.

    Returns:
        dict[str, Tensor]: ``lengths`` (B, 20); ``curvature`` of the palm
        (B, 4), per length; ``spread`` (B, 4), angles between root bones;
        ``flexion``, towards the palm, and ``abduction``, to the side, (B,
        15), of the three joints of each finger. Angles in radians. They are
        the same for a hand and its mirror image.
    """
    chain = points[:, chains]
    bones = chain[:, :, 1:] - chain[:, :, :-1]
    units = _unit(bones)
    roots, root_units = bones[:, :, 0], units[:, :, 0]
    # the same for hands of both sides, out of the palm
    sign = torch.where(right, 1., -1.).to(points)[:, None, None]
    normals = sign * _unit(
        torch.linalg.cross(root_units[:, 1:], root_units[:, :-1]))
    edges = torch.cat([
        normals[:, :1],
        _unit(normals[:, 1:] + normals[:, :-1]), normals[:, -1:]
    ], 1)
    steps = roots[:, 1:] - roots[:, :-1]
    curvature = _dot(edges[:, 1:] - edges[:, :-1], steps) / _dot(
        steps, steps).clamp_min(_EPSILON)
    # about this axis a finger bends
    axis = _unit(torch.linalg.cross(edges, root_units))
    flexion, abduction = [], []
    for joint in range(3):
        before, bone = units[:, :, joint], units[:, :, joint + 1]
        axis = _unit(axis - _dot(axis, before)[..., None] * before)
        inwards = torch.linalg.cross(axis, before)
        forwards, aside = _dot(bone, before), _dot(bone, axis)
        flexion.append(torch.atan2(_dot(bone, inwards), forwards))
        abduction.append(
            torch.atan2(aside, (1 - aside**2).clamp_min(_EPSILON).sqrt()) *
            sign[..., 0])
    return dict(
        lengths=bones.norm(dim=-1).flatten(1),
        curvature=curvature,
        spread=_angle(root_units[:, 1:], root_units[:, :-1]),
        flexion=torch.stack(flexion, -1).flatten(1),
        abduction=torch.stack(abduction, -1).flatten(1))


class Limits(NamedTuple):
    """Least and largest value of each measure, (M,) each."""
    low: np.ndarray
    high: np.ndarray


@lru_cache()
def read_limits() -> Dict[str, Limits]:
    """The limits that ship, of StudioHand's hands.

    Returns:
        dict[str, Limits]: By the names of :func:`measure_hands`.
    """
    content = json.loads(LIMITS_FILE.read_text())['limits']
    return {
        name: Limits(*(np.array(values) for values in content[name]))
        for name in sum(KINDS.values(), ())
    }


def excess(measures: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """By how much measures are beyond their limits, 0 within, (B, M) each."""
    beyond = {}
    for name, (low, high) in read_limits().items():
        values = measures[name]
        low, high = (
            torch.as_tensor(limit, dtype=values.dtype, device=values.device)
            for limit in (low, high))
        beyond[name] = (low - values).clamp_min(0) + \
            (values - high).clamp_min(0)
    return beyond


def shares_beyond_limits(keypoints_cam: np.ndarray, right: np.ndarray,
                         joint_names: Sequence[str]) -> Dict[str, float]:
    """How often hands are none.

    Args:
        keypoints_cam (np.ndarray): Joints in the frame of a camera (N, K, 3),
            in any unit.
        right (np.ndarray): Whether they are right hands, (N,).
        joint_names (Sequence[str]): K names.

    Returns:
        dict[str, float]: Shares of the measures that are beyond their limits:
        ``beyond_limits`` of all, ``beyond_lengths``, ``beyond_palm`` and
        ``beyond_angles``.
    """
    start, end = (list(joint_names).index(name) for name in _REFERENCE_BONE)
    bones = np.linalg.norm(
        keypoints_cam[:, end] - keypoints_cam[:, start], axis=-1)
    points = keypoints_cam / np.maximum(bones, _EPSILON)[:, None, None]
    beyond = excess(
        measure_hands(
            torch.from_numpy(points), torch.from_numpy(np.asarray(right)),
            torch.from_numpy(finger_chains(joint_names))))
    kinds = {
        f'beyond_{kind}': torch.cat([beyond[name] for name in names], 1) > 0
        for kind, names in KINDS.items()
    }
    kinds['beyond_limits'] = torch.cat(list(kinds.values()), 1)
    return {
        name: float(values.double().mean())
        for name, values in kinds.items()
    }


@MODELS.register_module()
class BiomechanicsLoss(nn.Module):
    """How far hands are from what hands can do.

    The joints are lifted as at inference: the camera is the sample's, or one
    of an assumed angle of view where that is not known, and the root's depth
    is solved from the reference bone, without a gradient. It needs no label,
    and holds the depths of hands of which the pixels alone are known. The
    side is that of the label, else what the network tells.

    Args:
        length_weight (float): Weight of bone lengths, in reference bones.
            Defaults to 1.
        palm_weight (float): Of the palm's curvature and of the angles between
            its bones. Defaults to 1.
        angle_weight (float): Of the joints' angles, radians. Defaults to 1.
        loss_weight (float): Of the whole. Defaults to 1.
    """

    def __init__(self,
                 length_weight: float = 1.,
                 palm_weight: float = 1.,
                 angle_weight: float = 1.,
                 loss_weight: float = 1.) -> None:
        super().__init__()
        self.weights = dict(
            lengths=length_weight, palm=palm_weight, angles=angle_weight)
        self.loss_weight = loss_weight

    def forward(self, uv: Tensor, depth: Tensor, right: Tensor,
                skeleton: HandSkeleton, metas: List[dict]) -> Tensor:
        """Mean excess over the hands.

        Args:
            uv (Tensor): Joints (B, K, 2), px of the input.
            depth (Tensor): Depths relative to the root (B, K), in reference
                bones.
            right (Tensor): Whether the hands in the input are right ones,
                bool (B,).
            skeleton (HandSkeleton): The joints.
            metas (list[dict]): ``warp_mat`` and, if known, ``camera_matrix``
                of each sample; without a camera ``ori_shape``.

        Returns:
            Tensor: Scalar loss.
        """
        chains = torch.as_tensor(
            finger_chains(skeleton.joint_names), device=uv.device)
        to_rays = [_ray_matrix(meta)[0] for meta in metas]
        # whether by flip or by the camera: the input is a mirror image
        mirrored = torch.tensor(
            [bool(np.linalg.det(matrix) < 0) for matrix in to_rays])
        right = right ^ mirrored.to(right.device)
        # products of matrices would round pixels to 16 bits
        with torch.autocast(uv.device.type, enabled=False):
            points = lift(uv, depth, skeleton, metas)
            beyond = excess(measure_hands(points, right, chains))
        return self.loss_weight * sum(
            self.weights[kind] * torch.cat([beyond[name]
                                            for name in names], 1).mean()
            for kind, names in KINDS.items())


def lift(uv: Tensor, depth: Tensor, skeleton: HandSkeleton,
         metas: List[dict]) -> Tensor:
    """Joints in the frame of the camera, in reference bones.

    Args:
        uv (Tensor): As of :class:`BiomechanicsLoss`, as are the others.

    Returns:
        Tensor: (B, K, 3), with gradients by ``uv`` and ``depth`` at a fixed
        depth of the root.
    """
    to_rays, cameras = zip(*(_ray_matrix(meta) for meta in metas))
    matrices = uv.new_tensor(np.stack(to_rays))
    rays = torch.cat([uv, torch.ones_like(uv[..., :1])], -1) @ matrices.mT
    pixels = (rays @ uv.new_tensor(np.stack(cameras)).mT).detach().double()
    relative = (depth - depth[:, [skeleton.root_index]]).detach().double()
    root, _ = solve_root_depth(
        pixels[..., :2].cpu().numpy(),
        relative.cpu().numpy(),
        np.stack(cameras),
        skeleton.reference_indices,
        np.ones(len(uv)),
        bones=skeleton.bones,
        bone_lengths=skeleton.bone_lengths)
    z = depth - depth[:, [skeleton.root_index]] + uv.new_tensor(root)[:, None]
    return rays * z[..., None]


def _ray_matrix(meta: dict) -> Tuple[np.ndarray, np.ndarray]:
    """Pixels of the input to viewing rays, (3, 3), and the camera."""
    camera = meta.get('camera_matrix')
    if camera is None:
        height, width = meta['ori_shape']
        camera = camera_of_fov((width, height), ASSUMED_FOV)
    camera = np.asarray(camera, dtype=np.float64)
    return np.linalg.inv(meta['warp_mat'] @ camera), camera
