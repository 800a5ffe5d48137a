"""2.5D joints from group features and a learned joint-to-group selector."""
from typing import Dict, NamedTuple, Optional, Tuple

import numpy as np
import torch
from mmengine.structures import InstanceData
from mmpose.models.heads import BaseHead
from mmpose.registry import KEYPOINT_CODECS, MODELS
from mmpose.utils.typing import (ConfigType, InstanceList, OptConfigType,
                                 OptSampleList)
from torch import Tensor, nn

from ...geometry.plausibility import find_flip_fault
from ..layers import expected_value, peak_mass, soft_argmax, spatial_softmax

_ROOT_DEPTHS = ('given', 'solved')


class GroupEstimates(NamedTuple):
    """What each group says of each joint, before the selector.

    B images, G groups, K joints, maps of H x W.
    """
    heatmaps: Tensor  # distributions over the cells (B, G, K, H, W)
    uv: Tensor  # px of the network input (B, G, K, 2)
    depth: Tensor  # (z - z_root) / reference bone (B, G, K)


class JointEstimates(NamedTuple):
    """What the network says of each joint.

    B images, K joints.
    """
    uv: Tensor  # px of the network input (B, K, 2)
    depth: Tensor  # (z - z_root) / reference bone (B, K)
    scores: Tensor  # mass of the heat map's peak (B, K)
    joint_groups: Tensor  # the group that weighs most in each joint (K,)
    side: Optional[Tensor]  # probability of a right hand in the input (B,)


class _TrueJoints(NamedTuple):
    """What the labels say of each joint, and how much it counts.

    B images, K joints.
    """
    uv: Tensor  # px of the network input (B, K, 2)
    depth: Tensor  # (z - z_root) / reference bone (B, K)
    weights: Tensor  # of uv (B, K)
    depth_weights: Tensor  # (B, K)


@MODELS.register_module()
class GroupedJointHead(BaseHead):
    r"""Head of learnable joint groups (Li et al., AAAI 2021).

    Group g estimates all K joints from its own feature: score maps
    :math:`h` and depth maps :math:`D`, then with a trainable
    :math:`\beta_{gj}`

    .. math::
        H_{gj} &= \mathrm{softmax}(\beta_{gj} h_{gj}) \\
        uv_{gj} &= \sum H_{gj} \cdot (x, y), \quad
        d_{gj} = \sum H_{gj} D_{gj}

    and the selector's assignment S (K, G) mixes the groups:

    .. math::
        uv_j = \sum_g S_{jg} uv_{gj}, \quad d_j = \sum_g S_{jg} d_{gj}.

    Args:
        in_channels (int): Channels C of one group's feature.
        num_joints (int): Number of joints K.
        num_groups (int): Number of groups G; must agree with the neck.
        decoder (dict): Config of the codec, :class:`Hand25DLabel`.
        hidden_channels (int): Width of the heat-map and depth layers.
            Defaults to 32.
        selector (dict): Config of the selector, which is given
            ``num_joints`` and ``num_groups``. Its ``type`` defaults to
            :class:`ConcreteSelector`.
        pixel_centers (bool): Where a heat-map cell stands, see
            :func:`soft_argmax`. Defaults to ``True``.
        uv_loss (dict): Loss on uv / input size.
        depth_loss (dict): Loss on depth in reference bones. The defaults let
            a millimetre cost about the same in both.
        heatmap_loss (dict, optional): Loss on the selected joint heat maps.
        shared_heatmap_loss (dict, optional): The same loss on heat maps that
            one 1x1 convolution reads off the shared feature F, which then
            needs ``shared_channels``.
        shared_channels (int, optional): Channels of F.
        balance_loss_weight (float): Weight of the selector's
            :meth:`~ConcreteSelector.imbalance`, which keeps the first group
            that gets ahead from taking all joints. The paper has no such
            term. Defaults to 0, without it.
        sparsity_loss_weight (float): Weight of the selector's
            :meth:`~ConcreteSelector.spread`, which rewards few groups, for a
            selector whose groups may die (``min_joints``). Defaults to 0,
            without it.
        entropy_loss_weight (float): Weight of the selector's
            :meth:`~ConcreteSelector.entropy`, which urges each joint to
            decide for a group. Defaults to 0, without it.
        side_loss (dict, optional): Loss on the side of the hand, for a
            network that sees both (:class:`MirrorHands` in its pipeline).
            Two layers then read the side off the groups' features.
        side_channels (int): Their width. Defaults to 32.
        biomechanics_loss (dict, optional): Loss on hands that no hand can be,
            :class:`BiomechanicsLoss`, of all samples; of use where depths are
            not known. Needs a ``side_loss``, or hands of one side. Defaults
            to none.
        separate_depth (bool): Whether depths are read off features of their
            own: the neck then gives twice the groups, G for the pixels, then
            G for the depths, which meet in its fusion and in the depths'
            weights, the heat maps. Defaults to False.
        side_specific (bool): Whether each group has two answers for every
            joint, one for a left and one for a right hand in the input. While
            training the label of the side decides which of them counts, then
            what the network tells of it. One answer for both lies between
            them where the side is in doubt. Needs a ``side_loss``. Defaults
            to False.
        init_cfg (dict, optional): Initialisation of the layers.

    Raises:
        ValueError: If the groups are fewer than 1 or more than the joints, if
            the neck's feature does not hold ``num_groups * in_channels``
            channels, or twice that with ``separate_depth``, the codec has
            other joints, ``side_specific`` lacks its loss, a batch is empty,
            or a sample lacks what decoding needs.
    """

    def __init__(self,
                 in_channels: int,
                 num_joints: int,
                 num_groups: int,
                 decoder: ConfigType,
                 hidden_channels: int = 32,
                 selector: ConfigType = dict(),
                 pixel_centers: bool = True,
                 uv_loss: ConfigType = dict(
                     type='L1Loss', use_target_weight=True, loss_weight=5.0),
                 depth_loss: ConfigType = dict(
                     type='L1Loss', use_target_weight=True, loss_weight=1.0),
                 heatmap_loss: OptConfigType = None,
                 shared_heatmap_loss: OptConfigType = None,
                 shared_channels: Optional[int] = None,
                 balance_loss_weight: float = 0.,
                 sparsity_loss_weight: float = 0.,
                 entropy_loss_weight: float = 0.,
                 side_loss: OptConfigType = None,
                 side_channels: int = 32,
                 biomechanics_loss: OptConfigType = None,
                 separate_depth: bool = False,
                 side_specific: bool = False,
                 init_cfg: OptConfigType = None) -> None:
        super().__init__(init_cfg)
        self.selector = MODELS.build({
            'type': 'ConcreteSelector',
            'num_joints': num_joints,
            'num_groups': num_groups,
            **selector
        })
        self.in_channels = in_channels
        self.num_joints = num_joints
        self.num_groups = num_groups
        self.separate_depth = separate_depth
        self.decoder = KEYPOINT_CODECS.build(decoder)
        self._check_joint_names()
        self.pixel_centers = pixel_centers
        if side_specific and side_loss is None:
            raise ValueError('side_specific needs a side_loss, which teaches '
                             'to tell the sides')
        self.num_answers = 2 if side_specific else 1

        self.heatmap_layers = self._map_layers(hidden_channels)
        self.depth_layers = self._map_layers(hidden_channels)
        self.beta = nn.Parameter(torch.ones(num_groups, num_joints))

        self.uv_loss = MODELS.build(uv_loss)
        self.depth_loss = MODELS.build(depth_loss)
        self.heatmap_loss = heatmap_loss and MODELS.build(heatmap_loss)
        self.balance_loss_weight = balance_loss_weight
        self.sparsity_loss_weight = sparsity_loss_weight
        self.entropy_loss_weight = entropy_loss_weight
        self.shared_heatmap_loss = None
        if shared_heatmap_loss is not None:
            if shared_channels is None:
                raise ValueError(
                    'shared_heatmap_loss needs shared_channels, the channels '
                    'of the shared feature F')
            self.shared_heatmap_loss = MODELS.build(shared_heatmap_loss)
            self.shared_heatmap_layer = nn.Conv2d(shared_channels, num_joints,
                                                  1)

        self.side_loss = side_loss and MODELS.build(side_loss)
        self.biomechanics_loss = \
            biomechanics_loss and MODELS.build(biomechanics_loss)
        self.side_layers = None
        if side_loss is not None:
            self.side_layers = nn.Sequential(
                nn.Conv2d(self.num_features * in_channels, side_channels, 1),
                nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                nn.Linear(side_channels, 1), nn.Flatten(0))

    @property
    def num_features(self) -> int:
        """Features of ``in_channels`` that the neck must give."""
        return self.num_groups * (2 if self.separate_depth else 1)

    def _check_joint_names(self) -> None:
        joints = len(self.decoder.keypoint_names)
        if self.num_joints != joints:
            raise ValueError(f'num_joints={self.num_joints} of the head, but '
                             f'its codec has {joints} joints: they must agree')
        names = getattr(self.selector, 'joint_names', None)
        if names is not None and names != self.decoder.keypoint_names:
            raise ValueError(
                'the selector groups other joints, or in another order, than '
                'those of the codec: give both the same metainfo')

    def _map_layers(self, hidden_channels: int) -> nn.Sequential:
        """3x3 conv, ReLU, 3x3 conv to each answer's K maps, in each group."""
        g = self.num_groups
        layers = nn.Sequential(
            nn.Conv2d(
                g * self.in_channels,
                g * hidden_channels,
                3,
                padding=1,
                groups=g), nn.ReLU(inplace=True),
            nn.Conv2d(
                g * hidden_channels,
                g * self.num_answers * self.num_joints,
                3,
                padding=1,
                groups=g))
        # start from nearly flat heat maps and depths near the root's
        nn.init.normal_(layers[-1].weight, std=0.01)
        nn.init.zeros_(layers[-1].bias)
        return layers

    def forward(self,
                feats: Tuple[Tensor, ...],
                assignment: Optional[Tensor] = None) -> Tuple[Tensor, Tensor]:
        """2.5D joints as plain tensors.

        Args:
            feats (tuple[Tensor]): The neck's outputs; the last one holds the
                group features (B, G*C, H, W), or (B, 2*G*C, H, W) with
                ``separate_depth``.
            assignment (Tensor, optional): S (K, G), rows sum to 1, in place
                of the selector's own.

        Returns:
            tuple[Tensor, Tensor]: uv (B, K, 2) in pixels of the network input
            and depth relative to the root (B, K) in reference-bone lengths.
        """
        estimates = self.estimate(feats)
        assignment = self._assignment(assignment)
        return self._mix(estimates.uv,
                         assignment), self._mix(estimates.depth, assignment)

    def estimate(self,
                 feats: Tuple[Tensor, ...],
                 right: Optional[Tensor] = None) -> GroupEstimates:
        """Every group's answer for every joint.

        Args:
            feats (tuple[Tensor]): As in :meth:`forward`.
            right (Tensor, optional): Whether the hands in the input are right
                ones, bool (B,). By default what the network tells of it.
                Without ``side_specific`` it makes no difference.

        Returns:
            GroupEstimates: Heat maps, uv and depth of all groups, in fp32.
        """
        grouped = feats[-1]
        expected = self.num_features * self.in_channels
        if grouped.shape[1] != expected:
            raise ValueError(
                f'the neck gives {grouped.shape[1]} channels, the head expects'
                f' {self.num_features} groups * {self.in_channels} = '
                f'{expected}: num_groups and the group channels of neck and '
                'head must agree, and with separate_depth the neck has twice '
                'the groups')
        if self.num_answers > 1 and right is None:
            right = self._side(feats) >= .5
        own = grouped.chunk(2, 1) if self.separate_depth else 2 * (grouped, )
        logits, depth_maps = (self._of_side(
            layers(feature),
            right) for layers, feature in zip((self.heatmap_layers,
                                               self.depth_layers), own))
        heatmaps = spatial_softmax(logits, self.beta)
        uv = soft_argmax(heatmaps, self.decoder.input_size, self.pixel_centers)
        return GroupEstimates(heatmaps, uv,
                              expected_value(heatmaps, depth_maps))

    def _of_side(self, maps: Tensor, right: Optional[Tensor]) -> Tensor:
        """Maps of all answers (B, G*A*K, H, W) to one's (B, G, K, H, W)."""
        maps = maps.unflatten(
            1, (self.num_groups, self.num_answers, self.num_joints))
        if self.num_answers == 1:
            return maps[:, :, 0]
        return torch.where(right[:, None, None, None, None], maps[:, :, 1],
                           maps[:, :, 0])

    def estimate_joints(self, feats: Tuple[Tensor, ...]) -> JointEstimates:
        """The mixed answer, as it is decoded.

        Args:
            feats (tuple[Tensor]): As in :meth:`forward`.

        Returns:
            JointEstimates: uv, depth, scores and groups of the joints.
        """
        estimates = self.estimate(feats)
        assignment = self.selector()
        uv, depth, heatmaps = (
            self._mix(values, assignment)
            for values in (estimates.uv, estimates.depth, estimates.heatmaps))
        return JointEstimates(uv, depth, peak_mass(heatmaps),
                              assignment.argmax(-1), self._side(feats))

    def _side(self, feats: Tuple[Tensor, ...]) -> Optional[Tensor]:
        """Probability that the hand in the input is a right one, (B,)."""
        if self.side_layers is None:
            return None
        return self.side_layers(feats[-1]).float().sigmoid()

    def _assignment(self, assignment: Optional[Tensor] = None) -> Tensor:
        if assignment is None:
            return self.selector()
        expected = (self.num_joints, self.num_groups)
        if tuple(assignment.shape) != expected:
            raise ValueError('assignment must be of shape (num_joints, '
                             f'num_groups) = {expected}, got '
                             f'{tuple(assignment.shape)}')
        return assignment.to(self.beta)

    @staticmethod
    def _mix(values: Tensor, assignment: Tensor) -> Tensor:
        """sum_g S_jg * value_gj: (B, G, K, ...) -> (B, K, ...)."""
        # no einsum: autocast would round pixels to 16 bits in its product
        weights = assignment.T[(..., ) + (None, ) * (values.ndim - 3)]
        return (values * weights).sum(1)

    def loss(self,
             feats: Tuple[Tensor, ...],
             batch_data_samples: OptSampleList,
             train_cfg: ConfigType = {}) -> Dict[str, Tensor]:
        """Losses and, without 'loss' in their names, detached diagnostics.

        Args:
            feats (tuple[Tensor]): As in :meth:`forward`.
            batch_data_samples (list[PoseDataSample]): B samples, each with
                ``gt_instance_labels.keypoint_labels`` (1, K, 3) = (u, v, z)
                in input pixels and reference bones, ``keypoint_weights`` of u
                and v and, by default the same, ``depth_weights`` of z, both
                (1, K); with a ``side_loss`` also ``side_labels`` (1,), 1 for
                a hand that is a right one in the input, unless its side is
                not known.

        Returns:
            dict[str, Tensor]: ``loss_uv``, ``loss_depth`` and, if configured,
            ``loss_heatmap``, ``loss_shared_heatmap``, ``loss_balance``,
            ``loss_sparsity``, ``loss_entropy``, ``loss_biomechanics``,
            ``loss_side``, with ``side_accuracy``; ``uv_error_px`` and
            ``depth_error`` of the mix, ``uv_error_px/group{g}`` and
            ``depth_error/group{g}`` of each group alone.
        """
        if not batch_data_samples:
            raise ValueError('the batch is empty: there is nothing to learn')
        true = self._true_joints(batch_data_samples)

        right, side_logits = None, None
        if self.side_layers is not None:
            side_logits = self.side_layers(feats[-1]).float()
            right, known = self._side_labels(batch_data_samples)
            right = torch.where(known, right, (side_logits > 0).to(right))
        estimates = self.estimate(feats, None if right is None else right > .5)
        assignment = self._assignment()
        uv = self._mix(estimates.uv, assignment)
        depth = self._mix(estimates.depth, assignment)

        losses = dict(
            loss_uv=self._uv_loss(uv, true),
            loss_depth=self._depth_loss(depth, true))
        cells = self._to_cells(true.uv, estimates.heatmaps.shape[-2:])
        if self.heatmap_loss is not None:
            heatmaps = self._mix(estimates.heatmaps, assignment)
            losses['loss_heatmap'] = self.heatmap_loss(heatmaps, cells,
                                                       true.weights)
        if self.shared_heatmap_loss is not None:
            logits = self.shared_heatmap_layer(feats[0])
            heatmaps = spatial_softmax(logits, self.beta.new_ones(()))
            losses['loss_shared_heatmap'] = self.shared_heatmap_loss(
                heatmaps, cells, true.weights)
        if self.balance_loss_weight:
            losses['loss_balance'] = \
                self.balance_loss_weight * self.selector.imbalance()
        if self.sparsity_loss_weight:
            losses['loss_sparsity'] = \
                self.sparsity_loss_weight * self.selector.spread()
        if self.entropy_loss_weight:
            losses['loss_entropy'] = \
                self.entropy_loss_weight * self.selector.entropy()
        if side_logits is not None:
            losses.update(self._side_losses(side_logits[known], right[known]))
        if self.biomechanics_loss is not None:
            losses['loss_biomechanics'] = self.biomechanics_loss(
                uv, depth, self._right_hands(batch_data_samples,
                                             right), self.decoder.skeleton,
                [sample.metainfo for sample in batch_data_samples])
        losses.update(self._diagnostics(uv, depth, estimates, true))
        return losses

    def joint_losses(self, feats: Tuple[Tensor, ...],
                     batch_data_samples: OptSampleList) -> Dict[str, Tensor]:
        """What each joint adds to ``loss_uv`` and ``loss_depth``.

        Args:
            feats (tuple[Tensor]): As in :meth:`forward`.
            batch_data_samples (list[PoseDataSample]): As in :meth:`loss`.

        Returns:
            dict[str, Tensor]: ``uv`` and ``depth``, each (K,).
        """
        true = self._true_joints(batch_data_samples)
        uv, depth = self(feats)
        alone = torch.eye(self.num_joints).to(uv)
        return {
            name:
            torch.stack([
                loss(
                    values,
                    true._replace(
                        weights=true.weights * only,
                        depth_weights=true.depth_weights * only))
                for only in alone
            ])
            for name, loss, values in (('uv', self._uv_loss, uv),
                                       ('depth', self._depth_loss, depth))
        }

    def _true_joints(self, samples: OptSampleList) -> _TrueJoints:
        labels = torch.cat([
            s.gt_instance_labels.keypoint_labels for s in samples
        ]).to(self.beta)
        weights = torch.cat([
            s.gt_instance_labels.keypoint_weights for s in samples
        ]).to(self.beta)
        depth_weights = torch.cat([
            s.gt_instance_labels.get('depth_weights',
                                     s.gt_instance_labels.keypoint_weights)
            for s in samples
        ]).to(self.beta)
        # what has no weight may be NaN, of which 0 times is NaN too
        return _TrueJoints(
            labels[..., :2].masked_fill((weights == 0)[..., None], 0.),
            labels[..., 2].masked_fill(depth_weights == 0,
                                       0.), weights, depth_weights)

    def _uv_loss(self, uv: Tensor, true: _TrueJoints) -> Tensor:
        size = uv.new_tensor(self.decoder.input_size)
        return self.uv_loss(uv / size, true.uv / size,
                            true.weights[..., None].expand_as(uv))

    def _depth_loss(self, depth: Tensor, true: _TrueJoints) -> Tensor:
        return self.depth_loss(depth, true.depth, true.depth_weights)

    def _side_labels(self, samples: OptSampleList) -> Tuple[Tensor, Tensor]:
        """1 where the hand in the input is a right one, and where its side is
        known, (B,)."""
        labels = [
            s.gt_instance_labels.get('side_labels',
                                     self.beta.new_full((1, ), torch.nan))
            for s in samples
        ]
        labels = torch.cat([label.to(self.beta) for label in labels])
        return labels, ~labels.isnan()

    @staticmethod
    def _right_hands(samples: OptSampleList,
                     right: Optional[Tensor]) -> Tensor:
        """Whether the hands in the input are right ones, bool (B,)."""
        if right is not None:
            return right > .5
        # all are of the side that CanonicalizeHandSide makes of them
        sides = [(sample.metainfo.get('hand_side', 'right') == 'right')
                 != bool(sample.metainfo.get('flip')) for sample in samples]
        return torch.tensor(sides)

    def _side_losses(self, logits: Tensor, right: Tensor) -> Dict[str, Tensor]:
        """Of the samples whose side is known."""
        correct = ((logits > 0) == (right > .5)).float()
        if not len(right):  # the layers take part all the same
            return dict(loss_side=logits.sum())
        return dict(
            loss_side=self.side_loss(logits, right),
            side_accuracy=correct.mean().detach())

    def _to_cells(self, uv: Tensor, map_size: Tuple[int, int]) -> Tensor:
        """Input pixels to heat-map cells, the inverse of the soft-argmax."""
        width, height = self.decoder.input_size
        stride = uv.new_tensor([width / map_size[1], height / map_size[0]])
        offset = (stride - 1) / 2 if self.pixel_centers else 0
        return (uv - offset) / stride

    @torch.no_grad()
    def _diagnostics(self, uv: Tensor, depth: Tensor,
                     estimates: GroupEstimates,
                     true: _TrueJoints) -> Dict[str, Tensor]:

        def mean(error: Tensor, weights: Tensor) -> Tensor:
            return (error * weights).sum() / weights.sum().clamp_min(1)

        def errors(uv: Tensor, depth: Tensor, suffix: str = '') -> dict:
            uv_error = (uv - true.uv).norm(dim=-1)
            depth_error = (depth - true.depth).abs()
            return {
                f'uv_error_px{suffix}': mean(uv_error, true.weights),
                f'depth_error{suffix}': mean(depth_error, true.depth_weights)
            }

        values = errors(uv, depth)
        for g in range(self.num_groups):
            values.update(
                errors(estimates.uv[:, g], estimates.depth[:, g],
                       f'/group{g}'))
        return values

    @torch.no_grad()
    def predict(self,
                feats: Tuple[Tensor, ...],
                batch_data_samples: OptSampleList,
                test_cfg: ConfigType = {}) -> InstanceList:
        """Joints in pixels of the original image and, in 3D, millimetres.

        Args:
            feats (tuple[Tensor]): As in :meth:`forward`.
            batch_data_samples (list[PoseDataSample]): B samples with the
                metainfo ``warp_mat`` and, for metric 3D joints,
                ``camera_matrix`` and ``bone_length`` (mm).
            test_cfg (dict): ``root_depth='given'`` takes the root's depth
                from the samples (the protocol of RHD), ``'solved'`` finds it
                from the bone length (that of FreiHAND). Defaults to
                ``'solved'``.

        Returns:
            list[InstanceData]: Per sample ``keypoints`` (1, K, 2) in input
            pixels such that mmpose's own step to the image is exact,
            ``keypoint_scores`` (1, K), the mass of the heat map's peak, in
            [0, 1], ``keypoints_cam`` (1, K, 3),
            ``units`` and ``frame`` of the latter: 'mm' in the 'camera' frame
            where the camera is known, else relative to the 'root', in mm or
            'reference bones'. With a ``side_loss``, ``right_scores`` (1,) is
            the probability of a right hand in the original image. Where the
            root's depth was solved,
            ``root_depth_status`` names the
            :class:`~lgh_mmpose.geometry.camera.RootDepthStatus`, (1,).
        """
        if isinstance(feats, list):
            raise ValueError(
                'flip_test is not possible: a flipped right hand is a left '
                'hand, of which the joints are others')
        root_depth = test_cfg.get('root_depth', 'solved')
        if root_depth not in _ROOT_DEPTHS:
            raise ValueError(f'test_cfg.root_depth must be one of '
                             f'{_ROOT_DEPTHS}, got {root_depth!r}')
        uv, depth, scores, joint_groups, side = self.estimate_joints(feats)
        joints = torch.cat([uv, depth[..., None]], -1)
        joint_groups = joint_groups.cpu().numpy()
        instances = [
            self._decode_sample(j, s, sample, root_depth, joint_groups)
            for j, s, sample in zip(joints.double().cpu().numpy(),
                                    scores.cpu().numpy(), batch_data_samples)
        ]
        if side is not None:
            for one, right, sample in zip(instances,
                                          side.cpu().numpy(),
                                          batch_data_samples):
                mirrored = sample.metainfo.get('flip', False)
                one.right_scores = np.array([1 - right if mirrored else right])
        return instances

    def _decode_sample(self, joints: np.ndarray, scores: np.ndarray, sample,
                       root_depth: str,
                       joint_groups: np.ndarray) -> InstanceData:
        meta = sample.metainfo
        needed = ['warp_mat', 'input_center', 'input_scale', 'input_size']
        if root_depth == 'given':
            needed.append('root_depth')
        missing = [key for key in needed if meta.get(key) is None]
        if missing:
            raise ValueError(
                f'sample {meta.get("img_path", "?")} lacks {missing}: add '
                'them to the meta_keys of PackPoseInputs, with '
                "TopdownAffineCamera in the pipeline; root_depth='given' "
                'needs annotated 3D joints')
        fault = find_flip_fault(meta.get('flip'), meta['warp_mat'])
        if fault is not None:
            raise ValueError(f'sample {meta.get("img_path", "?")}: {fault}')
        try:
            if 'keypoint_names' in meta:
                self.decoder.check_keypoint_names(meta['keypoint_names'])
            decoded = self.decoder.decode(
                joints[None],
                warp_mat=meta['warp_mat'],
                camera_matrix=meta.get('camera_matrix'),
                bone_length=meta.get('bone_length'),
                root_depth=meta['root_depth']
                if root_depth == 'given' else None)
        except ValueError as error:
            raise ValueError(
                f'sample {meta.get("img_path", "?")}: {error}') from error
        # the estimator maps input to image by centre and scale alone, which
        # misses rotation and mirroring: hand it what it will map to our image
        # coordinates
        center, scale, size = (
            np.asarray(meta[key], float) for key in needed[1:4])
        keypoints = (decoded['keypoints'] - center + scale / 2) / scale * size
        sample.set_metainfo(
            dict(
                joint_groups=joint_groups,
                keypoint_names=self.decoder.keypoint_names))
        instances = InstanceData(
            keypoints=keypoints,
            keypoint_scores=scores[None],
            keypoints_cam=decoded['keypoints_cam'],
            units=np.array([decoded['units']]),
            frame=np.array([decoded['frame']]))
        if decoded['root_depth_status'] is not None:
            instances.root_depth_status = np.array(
                decoded['root_depth_status'])
        return instances
