"""The learnable binary selector that puts joints into groups."""
import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

_INFERENCE_MODES = ('argmax', 'soft', 'sample')


@MODELS.register_module()
class ConcreteSelector(BaseModule):
    r"""Joint-to-group assignment sampled from a Concrete distribution.

    Trainable logits :math:`\theta` (K, G) are relaxed to

    .. math:: S = \mathrm{softmax}_G((\theta + \text{Gumbel}) / \tau)

    (Li et al., AAAI 2021, Sec. "Learning joint groups"; Maddison et al. and
    Jang et al., ICLR 2017). One sample is shared by the whole batch. Row k of
    S tells which group answers for joint k.

    Args:
        num_joints (int): Number of joints K.
        num_groups (int): Number of groups G, from 1 to K.
        temperature (float): Temperature tau > 0; kept as a buffer, so that it
            travels with the checkpoint. :class:`ConcreteTemperatureHook` sets
            it while training. Defaults to 1.
        init_logit (float): Initial value of all logits. Defaults to 0.5.
        straight_through (bool): Whether training uses hard samples with the
            gradient of the soft ones. The authors' release mixes (``False``).
        inference (str): What evaluation uses: ``'argmax'`` of the logits
            (deterministic), ``'soft'`` (softmax without noise at tau) or
            ``'sample'`` (as in training, what the release does).

    Raises:
        ValueError: On a temperature that is not positive, or a number of
            groups outside 1..K.
    """

    def __init__(self,
                 num_joints: int,
                 num_groups: int,
                 temperature: float = 1.0,
                 init_logit: float = 0.5,
                 straight_through: bool = False,
                 inference: str = 'argmax') -> None:
        super().__init__()
        if not 1 <= num_groups <= num_joints:
            raise ValueError(
                f'num_groups must lie in 1..{num_joints} (the number of '
                f'joints), got {num_groups}')
        if inference not in _INFERENCE_MODES:
            raise ValueError(f'inference must be one of {_INFERENCE_MODES}, '
                             f'got {inference!r}')
        self.straight_through = straight_through
        self.inference = inference
        self.logits = nn.Parameter(
            torch.full((num_joints, num_groups), float(init_logit)))
        self.register_buffer('temperature', torch.ones(()))
        self.set_temperature(temperature)

    def set_temperature(self, temperature: float) -> None:
        """Set tau; raises ValueError unless it is positive and finite."""
        if not 0 < temperature < float('inf'):
            raise ValueError('the temperature of the Concrete selector must '
                             f'be positive and finite, got {temperature}')
        self.temperature.fill_(temperature)

    @property
    def probabilities(self) -> Tensor:
        """softmax of the logits over the groups (K, G), without noise."""
        return self.logits.detach().float().softmax(-1)

    @property
    def joint_groups(self) -> Tensor:
        """Most probable group of each joint (K,)."""
        return self.logits.detach().argmax(-1)

    def imbalance(self) -> Tensor:
        r"""How unevenly the joints spread over the groups, in nats.

        KL divergence of the mean over the joints of :math:`\mathrm{softmax}
        (\theta)` from the uniform distribution: 0 for groups of equal weight,
        log G when one has all joints. As a loss it is what keeps experts alive
        in a mixture (Shazeer et al., ICLR 2017, "importance").
        """
        share = self.logits.float().softmax(-1).mean(0)
        return (share * (share * len(share)).clamp_min(1e-12).log()).sum()

    def sample(self) -> Tensor:
        """Draw S (K, G); hard with soft gradients if straight_through."""
        # fp32 whatever the autocast: log(-log u) overflows in half precision
        logits = self.logits.float().log_softmax(-1)
        uniform = torch.rand_like(logits).clamp(
            min=torch.finfo(logits.dtype).tiny,
            max=1 - torch.finfo(logits.dtype).eps)
        gumbel = -torch.log(-torch.log(uniform))
        soft = ((logits + gumbel) / self.temperature).softmax(-1)
        if not self.straight_through:
            return soft
        return self._one_hot(soft) + soft - soft.detach()

    def forward(self) -> Tensor:
        """Assignment S (K, G): sampled in training, else per `inference`."""
        if self.training or self.inference == 'sample':
            return self.sample()
        if self.inference == 'soft':
            return (self.logits.float() / self.temperature).softmax(-1)
        return self._one_hot(self.logits)

    @staticmethod
    def _one_hot(scores: Tensor) -> Tensor:
        return F.one_hot(scores.argmax(-1), scores.shape[-1]).float()
