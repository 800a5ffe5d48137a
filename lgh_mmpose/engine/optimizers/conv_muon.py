"""Muon for convolutions: steps that are orthogonal matrices."""
from typing import Callable, Iterable, Optional, Tuple

import torch
from mmpose.registry import OPTIMIZERS
from torch import Tensor

from lgh_mmpose.cpu import bf16_instructions

# one step maps a singular value s to a s + b s^3 + c s^5
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalize(matrix: Tensor, steps: int = 5) -> Tensor:
    """The nearest (semi-)orthogonal matrix, roughly, by Newton-Schulz steps.

    They drive all singular values into about [0.7, 1.2], which is as good as
    1 here (Jordan et al., "Muon: An optimizer for hidden layers in neural
    networks", 2024).

    Args:
        matrix: (M, N).
        steps: Their number.

    Returns:
        Tensor: (M, N), of the matrix' dtype; computed in bf16 where the
        device does so in hardware.
    """
    a, b, c = _NEWTON_SCHULZ
    in_bf16 = matrix.is_cuda or bf16_instructions()
    x = matrix.bfloat16() if in_bf16 else matrix.float()
    x = x.T if len(matrix) > matrix.shape[1] else x
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    x = x.T if len(matrix) > matrix.shape[1] else x
    return x.to(matrix.dtype)


@OPTIMIZERS.register_module()
class ConvMuon(torch.optim.Optimizer):
    r"""Muon for the weights of convolutions, AdamW for all else.

    :class:`torch.optim.Muon` takes matrices only. Here the weight of a
    convolution, of four dimensions, is the matrix of all but the first: a row
    for each output channel, or for each input channel of a transposed one.
    The groups of a grouped convolution share one matrix: one for each was no
    better in short trainings. With the gradient :math:`G_t` and the momentum
    :math:`\mu`,

    .. math::
        M_t &= \mu M_{t-1} + (1 - \mu) G_t \\
        W_t &= (1 - \eta\lambda) W_{t-1} - 0.2 \eta \sqrt{\max(m, n)}\,
               \mathrm{orth}(\mu M_t + (1 - \mu) G_t)

    for an m x n matrix. The factor gives the step the size of AdamW's (Liu et
    al., "Muon is scalable for LLM training", 2025), so that one learning rate
    serves both.

    Args:
        params (Iterable): Parameters or groups of them.
        lr (float): Learning rate :math:`\eta`. Defaults to 1e-2.
        weight_decay (float): Decoupled decay :math:`\lambda`. Defaults to
            1e-3.
        momentum (float): :math:`\mu`. Defaults to 0.95.
        newton_schulz_steps (int): See :func:`orthogonalize`. Defaults to 3.
        betas (tuple[float, float]): AdamW's. Defaults to (0.9, 0.999).
        eps (float): AdamW's. Defaults to 1e-8.
        min_size (int): A matrix with fewer rows or columns, such as the
            weight of a depthwise convolution, is left to AdamW. Defaults to
            16.

    Raises:
        ValueError: If there is no weight of a convolution, as where FSDP has
            flattened all of them.
    """

    def __init__(self,
                 params: Iterable,
                 lr: float = 1e-2,
                 weight_decay: float = 1e-3,
                 momentum: float = 0.95,
                 newton_schulz_steps: int = 3,
                 betas: Tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8,
                 min_size: int = 16) -> None:
        super().__init__(
            params,
            dict(
                lr=lr,
                weight_decay=weight_decay,
                momentum=momentum,
                newton_schulz_steps=newton_schulz_steps,
                betas=betas,
                eps=eps,
                min_size=min_size))
        if not any(param.ndim == 4 for group in self.param_groups
                   for param in group['params']):
            raise ValueError(
                'ConvMuon finds no weight of a convolution among its '
                'parameters (FSDP flattens them): take AdamW')

    @torch.no_grad()
    def step(self, closure: Optional[Callable] = None) -> Optional[Tensor]:
        """One step of all parameters that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for param in group['params']:
                if param.grad is None:
                    continue
                param.mul_(1 - group['lr'] * group['weight_decay'])
                if self._is_matrix(param, group['min_size']):
                    self._muon_step(param, group)
                else:
                    self._adam_step(param, group)
        return loss

    @staticmethod
    def _is_matrix(param: Tensor, min_size: int) -> bool:
        return param.ndim == 4 and min(len(param),
                                       param[0].numel()) >= min_size

    def _muon_step(self, param: Tensor, group: dict) -> None:
        state = self.state[param]
        if not state:
            state['momentum_buffer'] = torch.zeros_like(param)
        momentum = state['momentum_buffer']
        momentum.lerp_(param.grad, 1 - group['momentum'])
        update = param.grad.lerp(momentum, group['momentum'])
        matrix = update.flatten(1)
        step = orthogonalize(matrix, group['newton_schulz_steps'])
        scale = 0.2 * max(matrix.shape)**0.5
        param.add_(step.view(param.shape), alpha=-group['lr'] * scale)

    def _adam_step(self, param: Tensor, group: dict) -> None:
        state = self.state[param]
        if not state:
            state['step'] = 0
            state['exp_avg'] = torch.zeros_like(param)
            state['exp_avg_sq'] = torch.zeros_like(param)
        state['step'] += 1
        beta1, beta2 = group['betas']
        state['exp_avg'].lerp_(param.grad, 1 - beta1)
        state['exp_avg_sq'].mul_(beta2).addcmul_(
            param.grad, param.grad, value=1 - beta2)
        mean = state['exp_avg'] / (1 - beta1**state['step'])
        variance = state['exp_avg_sq'] / (1 - beta2**state['step'])
        param.addcdiv_(
            mean, variance.sqrt().add_(group['eps']), value=-group['lr'])
