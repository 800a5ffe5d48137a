"""Cross-entropy between a Gaussian and a distribution over cells."""
import torch
from mmengine.dist import all_reduce
from mmpose.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class SpatialCrossEntropyLoss(nn.Module):
    """``-sum T log H`` with T a Gaussian around the true position.

    It supervises the very distribution that the soft-argmax averages, which
    makes short trainings work; the coordinates alone leave its shape free.

    Args:
        sigma (float): Standard deviation of the Gaussian in cells.
        loss_weight (float): Weight of the loss. Defaults to 1.
    """

    def __init__(self, sigma: float = 1.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        if sigma <= 0:
            raise ValueError(f'sigma must be positive, got {sigma}')
        self.sigma = sigma
        self.loss_weight = loss_weight

    def forward(self, heatmaps: Tensor, cells: Tensor,
                weights: Tensor) -> Tensor:
        """Mean over the joints that have a weight.

        Args:
            heatmaps (Tensor): Distributions (B, K, H, W).
            cells (Tensor): True positions (B, K, 2), x then y, in cells.
            weights (Tensor): Weights of the joints (B, K).

        Returns:
            Tensor: Scalar loss. Joints outside the map do not count: their
            Gaussian has no mass there. Several processes divide by the mean
            of their numbers of joints, so that the mean of their gradients is
            that of one process with all samples.
        """
        height, width = heatmaps.shape[-2:]
        # what has no weight may be NaN, of which 0 times is NaN too
        cells = cells.masked_fill((weights == 0)[..., None], 0.)

        def gauss(size: int, centre: Tensor) -> Tensor:
            index = torch.arange(size, device=centre.device)
            return torch.exp(-(index - centre[..., None])**2 /
                             (2 * self.sigma**2))

        target = gauss(height, cells[..., 1])[..., :, None] * \
            gauss(width, cells[..., 0])[..., None, :]
        mass = target.sum((-2, -1), keepdim=True)
        target = target / mass.clamp_min(1e-6)
        inside = ((cells >= 0) &
                  (cells <= cells.new_tensor([width - 1, height - 1]))).all(-1)
        weights = weights * inside
        # so low that a sure mistake keeps its gradient
        entropy = -(target * heatmaps.clamp_min(1e-30).log()).sum((-2, -1))
        count = weights.sum()
        all_reduce(count, op='mean')  # of one process: left as it is
        return self.loss_weight * (entropy * weights).sum() / \
            count.clamp_min(1)
