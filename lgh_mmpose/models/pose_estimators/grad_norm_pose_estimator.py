"""A pose estimator that balances its losses while it trains."""
from typing import Any, Dict, Sequence, Tuple

import torch
from mmengine.dist import all_reduce
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class GradNormPoseEstimator(TopdownPoseEstimator):
    r"""Weighs the losses by GradNorm (Chen et al., ICML 2018).

    The weights :math:`w_i` are trained such that the gradient norms
    :math:`G_i = \Vert \nabla_W w_i L_i \Vert` at the last shared layer W
    follow the rates at which the losses fall:

    .. math::
        L_{grad} = \sum_i | G_i - \bar G r_i^\alpha |, \quad
        r_i = \frac{L_i(t) / L_i(0)}{\mathrm{mean}_j L_j(t) / L_j(0)}.

    They start at 1 and their sum stays. Each iteration takes one step of
    gradient descent on :math:`L_{grad} / \bar G` over :math:`\log w_i`, so
    that they stay positive and the step does not depend on the losses' scale;
    the paper leaves this open. The weights of the head's losses remain in
    :math:`L_i`. Weights and first losses are buffers and travel with the
    checkpoint; the weights are logged as ``balance/<loss>``.

    Args:
        balanced_losses (Sequence[str]): The losses to weigh; all others keep
            weight 1.
        shared_layer (str): Name of the module W of the network, through which
            all these losses reach the rest. Defaults to the last block of the
            group branches.
        alpha (float): Strength :math:`\alpha` with which a loss that falls
            slowly is favoured. Defaults to 1.5, as in the paper.
        balance_lr (float): Size of the steps of the weights. Defaults to
            0.025.
        *args, **kwargs: Arguments of mmpose's ``TopdownPoseEstimator``.

    Raises:
        ValueError: If there are fewer than two losses to balance, the layer
            is not there, or a loss is not among those of the head.
    """

    def __init__(self,
                 *args: Any,
                 balanced_losses: Sequence[str] = ('loss_uv', 'loss_depth',
                                                   'loss_heatmap'),
                 shared_layer: str = 'neck.branches.up0.1',
                 alpha: float = 1.5,
                 balance_lr: float = 0.025,
                 **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.balanced_losses = tuple(balanced_losses)
        if len(set(self.balanced_losses)) < max(2, len(self.balanced_losses)):
            raise ValueError('balanced_losses must name at least two '
                             f'different losses, got {balanced_losses}')
        if shared_layer not in dict(self.named_modules()):
            raise ValueError(f'shared_layer {shared_layer!r} is no module of '
                             'the network')
        self.shared_layer = shared_layer
        self.alpha = alpha
        self.balance_lr = balance_lr
        num = len(self.balanced_losses)
        self.register_buffer('loss_balance_weights', torch.ones(num))
        self.register_buffer('first_losses', torch.full((num, ), torch.nan))

    def parse_losses(self, losses: Dict[str,
                                        Any]) -> Tuple[Tensor, Dict[str, Any]]:
        """Weigh the losses, then sum them up as mmengine does.

        Args:
            losses (dict): What the head's ``loss`` gives.

        Returns:
            tuple[Tensor, dict]: The sum and the values for the log, weighed.
        """
        missing = [n for n in self.balanced_losses if n not in losses]
        if missing:
            raise ValueError(
                f'balanced_losses: the head gives no {missing[0]}, only '
                f'{", ".join(n for n in losses if "loss" in n)}')
        parts = [losses[name] for name in self.balanced_losses]
        # a validation of the loss must not train the weights
        if torch.is_grad_enabled() and parts[0].requires_grad:
            self._update_weights(parts)
        weights = self.loss_balance_weights.clone()
        losses = dict(losses)
        for name, part, weight in zip(self.balanced_losses, parts, weights):
            losses[name] = weight * part
            losses[f'balance/{name.replace("loss_", "")}'] = weight
        return super().parse_losses(losses)

    def _update_weights(self, parts: Sequence[Tensor]) -> None:
        layer = self.get_submodule(self.shared_layer)
        params = [p for p in layer.parameters() if p.requires_grad]
        norms = torch.stack([
            torch.stack([
                g.float().norm()
                for g in torch.autograd.grad(part, params, retain_graph=True)
            ]).norm() for part in parts
        ])
        values = torch.stack([part.detach().float() for part in parts])
        # processes that train together keep the same weights
        all_reduce(norms, 'mean')
        all_reduce(values, 'mean')
        if self.first_losses.isnan().any():
            self.first_losses.copy_(values)
        weights = self.loss_balance_weights
        tiny = torch.finfo(values.dtype).tiny
        ratios = values / self.first_losses.clamp_min(tiny)
        rates = ratios / ratios.mean().clamp_min(tiny)
        norms = weights * norms
        mean = norms.mean().clamp_min(tiny)
        slope = torch.sign(norms - mean * rates**self.alpha) * norms / mean
        stepped = weights * torch.exp(-self.balance_lr * slope)
        weights.copy_(stepped * (len(weights) / stepped.sum()))
