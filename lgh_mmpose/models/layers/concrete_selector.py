"""The learnable binary selector that puts joints into groups."""
from typing import List, Optional, Tuple

import torch
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from mmpose.utils.typing import OptConfigType
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
        init_groups (dict, optional): Config of a given grouping to start
            from, such as :class:`FileSelector`, without ``num_joints`` and
            ``num_groups``. The training may leave it. Defaults to ``None``:
            all groups start equal.
        init_strength (float): How far the logits of ``init_groups`` start
            above the others. Defaults to 2: with three groups, a joint starts
            in its own with probability 0.79.
        min_joints (float): A group is starved when it is no joint's most
            probable one and the joints it expects, the sum over the joints of
            its probabilities, are fewer than this. Defaults to 0: no group
            dies. Below K / G, what each group expects at the start.
        patience (int): A group dies for good when it was starved at so many
            checks in a row, see :meth:`prune`. Defaults to 5.

    Raises:
        ValueError: On a temperature that is not positive, a number of groups
            outside 1..K, or a ``min_joints`` or ``patience`` that has no
            meaning.
    """

    # where the groups to start from go by name
    joint_names: Optional[Tuple[str, ...]] = None

    def __init__(self,
                 num_joints: int,
                 num_groups: int,
                 temperature: float = 1.0,
                 init_logit: float = 0.5,
                 straight_through: bool = False,
                 inference: str = 'argmax',
                 init_groups: OptConfigType = None,
                 init_strength: float = 2.0,
                 min_joints: float = 0.,
                 patience: int = 5) -> None:
        super().__init__()
        if not 1 <= num_groups <= num_joints:
            raise ValueError(
                f'num_groups must lie in 1..{num_joints} (the number of '
                f'joints), got {num_groups}')
        if inference not in _INFERENCE_MODES:
            raise ValueError(f'inference must be one of {_INFERENCE_MODES}, '
                             f'got {inference!r}')
        if not 0 <= min_joints < num_joints / num_groups:
            raise ValueError(
                f'min_joints must lie in 0..{num_joints / num_groups:g}, '
                f'below what each of {num_groups} groups expects at the start,'
                f' got {min_joints}')
        if patience < 1:
            raise ValueError(f'patience must be at least 1, got {patience}')
        self.straight_through = straight_through
        self.inference = inference
        self.logits = nn.Parameter(
            torch.full((num_joints, num_groups), float(init_logit)))
        self.register_buffer('temperature', torch.ones(()))
        self.set_temperature(temperature)
        if init_groups is not None:
            given = MODELS.build(
                dict(
                    init_groups, num_joints=num_joints, num_groups=num_groups))
            self.joint_names = given.joint_names
            self.logits.data += init_strength * given.probabilities
        self.min_joints = min_joints
        self.patience = patience
        # without the option there is nothing more in the checkpoint
        dies = min_joints > 0
        self.register_buffer(
            'alive',
            torch.ones(num_groups, dtype=torch.bool) if dies else None)
        self.register_buffer(
            'starved_checks',
            torch.zeros(num_groups, dtype=torch.long) if dies else None)

    def set_temperature(self, temperature: float) -> None:
        """Set tau; raises ValueError unless it is positive and finite."""
        if not 0 < temperature < float('inf'):
            raise ValueError('the temperature of the Concrete selector must '
                             f'be positive and finite, got {temperature}')
        self.temperature.fill_(temperature)

    @property
    def scores(self) -> Tensor:
        """Logits (K, G) in fp32, -inf for the groups that are dead."""
        scores = self.logits.float()
        if self.alive is None:
            return scores
        return scores.masked_fill(~self.alive, -torch.inf)

    @property
    def probabilities(self) -> Tensor:
        """softmax of the logits over the groups (K, G), without noise."""
        return self.scores.detach().softmax(-1)

    @property
    def joint_groups(self) -> Tensor:
        """Most probable group of each joint (K,)."""
        return self.scores.detach().argmax(-1)

    @torch.no_grad()
    def prune(self) -> List[int]:
        """Check which groups are starved; those that were too often die.

        Starts with more groups than needed and ends with those that joints
        ask for, as a mixture that drops components without support
        (Figueiredo and Jain, "Unsupervised learning of finite mixture
        models", TPAMI 2002). A dead group has no part in any assignment and
        no gradient. The group of any joint is never starved, so that one at
        least lives. :class:`ConcreteTemperatureHook` calls this while it
        trains.

        Returns:
            list[int]: The groups that died at this check.
        """
        if self.alive is None:
            return []
        chosen = torch.zeros_like(self.alive)
        chosen[self.joint_groups] = True
        starved = self.probabilities.sum(0) < self.min_joints
        starved &= self.alive & ~chosen
        # counts start anew where a group has recovered
        self.starved_checks.add_(1).mul_(starved)
        died = self.starved_checks >= self.patience
        self.alive &= ~died
        return died.nonzero().flatten().tolist()

    def imbalance(self) -> Tensor:
        r"""How unevenly the joints spread over the groups, in nats.

        KL divergence of the mean over the joints of :math:`\mathrm{softmax}
        (\theta)` from the uniform distribution: 0 for groups of equal weight,
        log G when one has all joints; G counts the living groups. As a loss
        it is what keeps experts alive in a mixture (Shazeer et al., ICLR
        2017, "importance").
        """
        share = self.scores.softmax(-1).mean(0)
        groups = len(share) if self.alive is None else self.alive.sum()
        return (share * (share * groups).clamp_min(1e-12).log()).sum()

    def spread(self) -> Tensor:
        r"""Over how many groups the joints spread, in nats.

        Entropy of the mean over the joints of :math:`\mathrm{softmax}
        (\theta / \tau)`: log G for groups of equal weight, 0 when one has all
        joints. As a loss, the reverse of :meth:`imbalance`, it lets small
        groups go. At a high temperature it has hardly a gradient, so that
        joints find their groups first.
        """
        return _entropy(self._mixture().mean(0))

    def entropy(self) -> Tensor:
        r"""How undecided the joints are, in nats.

        Mean over the joints of the entropy of :math:`\mathrm{softmax}
        (\theta / \tau)`: log G when nothing is learned, 0 when each joint has
        its group (as a loss: Grandvalet and Bengio, NIPS 2004; beside a term
        for even groups: Krause et al., NIPS 2010). It waits for the
        temperature as :meth:`spread` does.
        """
        return _entropy(self._mixture()).mean()

    def _mixture(self) -> Tensor:
        """The assignment without noise (K, G)."""
        return (self.scores / self.temperature).softmax(-1)

    def sample(self) -> Tensor:
        """Draw S (K, G); hard with soft gradients if straight_through."""
        # in fp32: log(-log u) overflows in half precision
        logits = self.scores.log_softmax(-1)
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
            return self._mixture()
        return self._one_hot(self.scores)

    @staticmethod
    def _one_hot(scores: Tensor) -> Tensor:
        return F.one_hot(scores.argmax(-1), scores.shape[-1]).float()


def _entropy(probabilities: Tensor) -> Tensor:
    """In nats, over the last axis; the clamp is for those that are 0."""
    return -(probabilities * probabilities.clamp_min(1e-12).log()).sum(-1)
