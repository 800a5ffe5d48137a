"""The heat-map loss pulls the distribution to a Gaussian at the truth."""
import pytest
import torch

from lgh_mmpose.models.losses import SpatialCrossEntropyLoss


def gaussian(x, y, sigma=1.0, size=16):
    index = torch.arange(size)
    map_ = torch.exp(-((index[None] - x)**2 + (index[:, None] - y)**2) /
                     (2 * sigma**2))
    return (map_ / map_.sum())[None, None]


def test_is_least_at_the_target_itself():
    loss = SpatialCrossEntropyLoss()
    truth = torch.tensor([[[5.3, 9.7]]])
    weights = torch.ones(1, 1)
    at = [
        float(loss(gaussian(x, y), truth, weights))
        for x, y in ((5.3, 9.7), (6.3, 9.7), (5.3, 8.2), (9.7, 5.3))
    ]
    assert at[0] == min(at) and len(set(at)) == 4


def test_joints_outside_the_map_and_without_weight_do_not_count():
    loss = SpatialCrossEntropyLoss(loss_weight=0.5)
    heatmaps = torch.full((1, 3, 16, 16), 1 / 256)
    cells = torch.tensor([[[8., 8.], [20., 8.], [4., 4.]]])
    weights = torch.tensor([[1., 1., 0.]])
    # a flat map costs log(256) at every joint that counts
    assert float(loss(heatmaps, cells, weights)) == pytest.approx(
        0.5 * torch.tensor(256.).log().item(), rel=1e-5)
    assert float(loss(heatmaps, cells, weights * 0)) == 0


def test_a_place_without_weight_may_be_nan():
    heatmaps = torch.full((1, 2, 16, 16), 1 / 256, requires_grad=True)
    cells = torch.tensor([[[8., 8.], [torch.nan, torch.nan]]])
    weights = torch.tensor([[1., 0.]])
    loss = SpatialCrossEntropyLoss()(heatmaps, cells, weights)
    loss.backward()
    assert float(loss) == pytest.approx(torch.tensor(256.).log().item())
    assert torch.isfinite(heatmaps.grad).all()


def test_zero_mass_keeps_the_loss_finite():
    heatmaps = torch.zeros(1, 1, 16, 16, requires_grad=True)
    loss = SpatialCrossEntropyLoss()(heatmaps, torch.tensor([[[3., 3.]]]),
                                     torch.ones(1, 1))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(heatmaps.grad).all()


def test_a_sure_mistake_is_still_pulled_back():
    logits = torch.zeros(1, 1, 16, 16)
    logits[0, 0, 2, 2] = 40.
    logits.requires_grad_()
    heatmaps = logits.flatten(-2).softmax(-1).view_as(logits)
    SpatialCrossEntropyLoss()(heatmaps, torch.tensor([[[12., 12.]]]),
                              torch.ones(1, 1)).backward()
    # what a cross-entropy gives: the distribution minus the target
    assert logits.grad[0, 0, 2, 2] == pytest.approx(1, abs=1e-3)
    assert logits.grad[0, 0, 12, 12] == pytest.approx(
        -float(gaussian(12, 12)[0, 0, 12, 12]), rel=1e-3)


def test_refuses_a_sigma_that_is_not_positive():
    with pytest.raises(ValueError, match='sigma'):
        SpatialCrossEntropyLoss(sigma=0)
