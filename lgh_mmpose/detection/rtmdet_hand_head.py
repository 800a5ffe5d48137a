"""RTMDet's head, which also tells in which direction a hand points."""
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from mmdet.models.dense_heads import RTMDetSepBNHead
from mmdet.registry import MODELS
from mmdet.structures.bbox import distance2bbox
from mmdet.utils import reduce_mean
from mmengine.model import normal_init
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ..geometry.hand import SIDES
from ..inference.detections import select_hands, to_image


class Answers(NamedTuple):
    """What the network says at all A places of its input, float32.

    Attributes:
        boxes (Tensor): Left, top, right, bottom, px of the input, (B, A, 4).
        logits (Tensor): Of a left and of a right hand, (B, A, 2).
        directions (Tensor): Of any length, (B, A, 2).
    """
    boxes: Tensor
    logits: Tensor
    directions: Tensor


class _Assigned(NamedTuple):
    """What B inputs are taught at A places, flat."""
    labels: Tensor  # (B A,), 2 for background
    quality: Tensor  # (B A,), IoU of the box with its hand's
    weights: Tensor  # (B A,), 0 where it is neither
    boxes: Tensor  # (P, 4), at the places with a hand
    directions: Tensor  # (P, 2)


@MODELS.register_module()
class RTMDetHandHead(RTMDetSepBNHead):
    """RTMDet's head for hands: sides are its classes, and a direction.

    The direction is that from the wrist to the knuckle of the middle finger
    in the picture. Places are taught one where they are taught a hand.

    Args:
        loss_direction (dict): Loss of the two numbers of the direction, taken
            before they are brought to length 1: so their length tells how
            sure they are, and the loss has no pole at 0.
        *args, **kwargs: Arguments of
            :class:`mmdet.models.dense_heads.RTMDetSepBNHead`.

    Raises:
        ValueError: If the number of classes is not that of the sides, or
            there is objectness.
    """

    def __init__(self,
                 *args,
                 loss_direction: dict = dict(type='MSELoss', loss_weight=1.),
                 **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if self.num_classes != len(SIDES) or self.with_objectness:
            raise ValueError('RTMDetHandHead needs num_classes=2, the sides, '
                             'and with_objectness=False')
        self.loss_direction = MODELS.build(loss_direction)

    def _init_layers(self) -> None:
        super()._init_layers()
        self.rtm_dir = nn.ModuleList(
            nn.Conv2d(
                self.feat_channels,
                2,
                self.pred_kernel_size,
                padding=self.pred_kernel_size // 2)
            for _ in self.prior_generator.strides)

    def init_weights(self) -> None:
        """Initialize weights of the head."""
        super().init_weights()
        for layer in self.rtm_dir:
            normal_init(layer, std=.01)

    def forward(self, feats: Tuple[Tensor, ...]) -> Tuple[Tuple[Tensor], ...]:
        """Convolutions of the head.

        Args:
            feats (tuple[Tensor]): Levels of the neck, (B, C, H, W) each.

        Returns:
            tuple: By level logits (B, 2, H, W), distances to the sides of
            the box, px (B, 4, H, W), and directions (B, 2, H, W).
        """
        logits, distances, directions = [], [], []
        for i, feat in enumerate(feats):
            stride = self.prior_generator.strides[i][0]
            classified = placed = feat
            for layer in self.cls_convs[i]:
                classified = layer(classified)
            for layer in self.reg_convs[i]:
                placed = layer(placed)
            distance = self.rtm_reg[i](placed)
            if self.exp_on_reg:
                distance = distance.exp()
            logits.append(self.rtm_cls[i](classified))
            distances.append(distance * stride)
            directions.append(self.rtm_dir[i](placed))
        return tuple(logits), tuple(distances), tuple(directions)

    def answers(self, logits: Sequence[Tensor], distances: Sequence[Tensor],
                directions: Sequence[Tensor]) -> Answers:
        """All levels of :meth:`forward` in one row, with boxes."""
        priors = self._priors(logits)
        boxes = distance2bbox(priors[None, :, :2], _flat(distances))
        return Answers(boxes, _flat(logits), _flat(directions))

    def _priors(self, maps: Sequence[Tensor]) -> Tensor:
        """Places (A, 4): x, y, px, and the stride twice."""
        return torch.cat(
            self.prior_generator.grid_priors(
                [part.shape[-2:] for part in maps],
                device=maps[0].device,
                with_stride=True))

    def loss_by_feat(
        self,
        logits: Sequence[Tensor],
        distances: Sequence[Tensor],
        directions: Sequence[Tensor],
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[dict],
        batch_gt_instances_ignore: Optional[Sequence[InstanceData]] = None
    ) -> Dict[str, Tensor]:
        """Losses of what :meth:`forward` gives.

        Args:
            logits, distances, directions (Sequence[Tensor]): By level.
            batch_gt_instances (Sequence[InstanceData]): Hands of each input,
                with ``bboxes``, ``labels`` and ``directions``.
            batch_img_metas (Sequence[dict]): Not used.
            batch_gt_instances_ignore (Sequence[InstanceData], optional):
                What is neither hand nor background, likewise.

        Returns:
            dict: ``loss_cls``, ``loss_bbox`` and ``loss_direction``.
        """
        answers = self.answers(logits, distances, directions)
        priors = self._priors(logits)
        with torch.no_grad():
            assigned = self._assign(answers, priors, batch_gt_instances,
                                    batch_gt_instances_ignore)
        hands = assigned.labels < self.num_classes
        quality = assigned.quality[hands]
        total = reduce_mean(quality.sum()).clamp(min=1.).item()
        # with the mean over processes, which divides the gradients
        losses = dict(
            loss_cls=self.loss_cls(
                answers.logits.flatten(0, 1),
                (assigned.labels, assigned.quality),
                assigned.weights,
                avg_factor=total),
            loss_bbox=self.loss_bbox(
                answers.boxes.flatten(0, 1)[hands],
                assigned.boxes,
                weight=quality,
                avg_factor=total))
        known = assigned.directions.any(dim=1)
        losses['loss_direction'] = self.loss_direction(
            answers.directions.flatten(0, 1)[hands],
            assigned.directions,
            weight=(quality * known)[:, None],
            avg_factor=total)
        return losses

    def _assign(self, answers: Answers, priors: Tensor,
                batch_gt_instances: Sequence[InstanceData],
                batch_ignored: Optional[Sequence[InstanceData]]) -> _Assigned:
        """The hand of each place, if any."""
        parts = []
        for i, hands in enumerate(batch_gt_instances):
            found = self.assigner.assign(
                InstanceData(
                    scores=answers.logits[i],
                    bboxes=answers.boxes[i],
                    priors=priors), hands)
            labels = priors.new_full((len(priors), ),
                                     self.num_classes,
                                     dtype=torch.long)
            quality, weights = labels.new_zeros(
                len(labels), dtype=torch.float), torch.ones_like(priors[:, 0])
            taught = found.gt_inds > 0
            which = found.gt_inds[taught] - 1
            labels[taught] = hands.labels[which]
            quality[taught] = found.max_overlaps[taught]
            if batch_ignored is not None and len(batch_ignored[i]):
                inside = _inside(priors[:, :2], batch_ignored[i].bboxes)
                weights[inside & ~taught] = 0
            parts.append((labels, quality, weights, hands.bboxes[which],
                          hands.directions[which]))
        return _Assigned(*map(torch.cat, zip(*parts)))

    def predict_by_feat(self,
                        logits: Sequence[Tensor],
                        distances: Sequence[Tensor],
                        directions: Sequence[Tensor],
                        batch_img_metas: Sequence[dict],
                        cfg: Optional[dict] = None,
                        rescale: bool = False,
                        **kwargs) -> List[InstanceData]:
        """Hands, chosen as an exported detector chooses them.

        Args:
            logits, distances, directions (Sequence[Tensor]): By level.
            batch_img_metas (Sequence[dict]): With ``warp_mat`` and
                ``ori_shape``, if ``rescale``.
            cfg (dict, optional): Arguments of
                :func:`~lgh_mmpose.inference.detections.select_hands`.
                Defaults to ``test_cfg``.
            rescale (bool): Whether to give them in px of the pictures, not of
                the input. Defaults to False.
            **kwargs: Not used.

        Returns:
            list[InstanceData]: With ``bboxes``, ``scores``, ``labels`` and
            ``directions``, best first.
        """
        answers = self.answers(logits, distances, directions)
        boxes, scores, pointing = (
            part.float().cpu().numpy()
            for part in (answers.boxes, answers.logits.sigmoid(),
                         answers.directions))
        results = []
        for i, meta in enumerate(batch_img_metas):
            found = select_hands(boxes[i], scores[i], pointing[i],
                                 **dict(self.test_cfg if cfg is None else cfg))
            if rescale:
                found = to_image(found, meta['warp_mat'],
                                 meta['ori_shape'][1::-1])
            device = logits[0].device
            results.append(
                InstanceData(
                    bboxes=torch.from_numpy(found.boxes).to(device),
                    scores=torch.from_numpy(found.scores).to(device),
                    labels=torch.from_numpy(
                        (found.sides == SIDES[1]).astype(np.int64)).to(device),
                    directions=torch.from_numpy(found.directions).to(device)))
        return results


def _flat(maps: Sequence[Tensor]) -> Tensor:
    """Maps (B, C, H, W) of all levels as one (B, A, C), float32."""
    return torch.cat(
        [part.float().permute(0, 2, 3, 1).flatten(1, 2) for part in maps], 1)


def _inside(points: Tensor, boxes: Tensor) -> Tensor:
    """Which points (A, 2) lie in one of the boxes, (A,)."""
    return ((points[:, None] > boxes[:, :2]) &
            (points[:, None] < boxes[:, 2:])).all(dim=-1).any(dim=-1)
