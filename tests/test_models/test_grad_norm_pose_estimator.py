"""GradNorm: losses that pull equally hard, whatever their scale."""
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import nn

from lgh_mmpose.models import GradNormPoseEstimator


@MODELS.register_module()
class TwoTaskNet(BaseModule):
    """One shared layer; the tests make losses of what it gives."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(4, 2, bias=False)


def build(**kwargs):
    torch.manual_seed(0)
    arguments = dict(
        backbone=dict(type='TwoTaskNet'),
        head=dict(type='TwoTaskNet'),
        balanced_losses=('loss_a', 'loss_b'),
        shared_layer='backbone.shared')
    return GradNormPoseEstimator(**{**arguments, **kwargs})


def losses(model, scale=30.):
    """Two equal tasks, but one in other units."""
    out = model.backbone.shared(torch.ones(4))
    return dict(
        loss_a=out[0].square() + .1,
        loss_b=scale * (out[1].square() + .1),
        loss_c=out.sum().square(),
        error=torch.tensor(1.))


def weighted_norms(model):
    layer = model.backbone.shared.weight
    parts = losses(model)
    return [
        float(
            w *
            torch.autograd.grad(parts[k], layer, retain_graph=True)[0].norm())
        for k, w in zip(model.balanced_losses, model.loss_balance_weights)
    ]


def test_brings_the_gradients_of_two_scales_to_one_size():
    model = build(alpha=0.)
    model.backbone.shared.weight.data[:] = .5
    before = weighted_norms(model)
    for _ in range(400):
        model.parse_losses(losses(model))
    after = weighted_norms(model)
    assert before[1] / before[0] == pytest.approx(30)
    assert after[1] / after[0] == pytest.approx(1, abs=.1)


def test_weights_are_positive_and_keep_their_sum():
    model = build(balance_lr=.5)
    for _ in range(50):
        model.parse_losses(losses(model, 1e6))
        assert (model.loss_balance_weights > 0).all()
        assert model.loss_balance_weights.sum() == pytest.approx(2)


def test_favours_the_loss_that_falls_slower():
    model = build(alpha=1.5)
    model.backbone.shared.weight.data[:] = .5
    model.parse_losses(losses(model, 1.))
    # one task is nearly learned; the gradients are as large as before
    for _ in range(30):
        parts = losses(model, 1.)
        parts['loss_a'] = parts['loss_a'] - .999 * parts['loss_a'].detach()
        model.parse_losses(parts)
    assert model.loss_balance_weights[1] > 1.2


def test_the_sum_is_weighted_and_the_other_losses_are_not():
    model = build(balance_lr=0.)
    model.loss_balance_weights.copy_(torch.tensor([.5, 1.5]))
    parts = losses(model)
    total, log = model.parse_losses(parts)
    expected = .5 * parts['loss_a'] + 1.5 * parts['loss_b'] + parts['loss_c']
    assert torch.allclose(total, expected)
    assert log['balance/a'] == .5 and log['error'] == 1
    total.backward()  # the graph is still there
    assert model.backbone.shared.weight.grad.abs().sum() > 0


def test_at_no_rate_it_is_the_plain_sum():
    model = build(balance_lr=0.)
    parts = losses(model)
    total, _ = model.parse_losses(parts)
    assert torch.allclose(total,
                          sum(v for k, v in parts.items() if 'loss' in k))


def test_goes_on_from_a_checkpoint():
    model, other = build(), build()
    for _ in range(5):
        model.parse_losses(losses(model))
    other.load_state_dict(model.state_dict())
    for m in (model, other):
        m.parse_losses(losses(m))
    assert torch.equal(model.loss_balance_weights, other.loss_balance_weights)
    assert torch.equal(model.first_losses, other.first_losses)


def test_without_gradients_nothing_is_learned():
    model = build()
    with torch.no_grad():
        model.parse_losses(losses(model))
    assert torch.equal(model.loss_balance_weights, torch.ones(2))
    assert model.first_losses.isnan().all()


@pytest.mark.parametrize('kwargs, message', [
    (dict(balanced_losses=('loss_a', )), 'at least two'),
    (dict(balanced_losses=('loss_a', 'loss_a')), 'different'),
    (dict(shared_layer='neck.nowhere'), 'neck.nowhere'),
])
def test_refuses_what_cannot_be_balanced(kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(**kwargs)


def test_names_a_loss_that_the_head_does_not_give():
    model = build(balanced_losses=('loss_a', 'loss_z'))
    with pytest.raises(ValueError, match='no loss_z, only loss_a, loss_b'):
        model.parse_losses(losses(model))


def test_trains_the_network_of_a_config():
    """The default layer is one that all three losses reach."""
    from helpers import REPO_ROOT
    from test_grouped_joint_head import samples
    cfg = Config.fromfile(REPO_ROOT / 'configs/lgh_studiohand.py')
    cfg.model.type = 'GradNormPoseEstimator'
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).train()
    parts = model(torch.randn(2, 3, 96, 96), samples(), mode='loss')
    total, log = model.parse_losses(parts)
    total.backward()
    assert set(log) >= {'balance/uv', 'balance/depth', 'balance/heatmap'}
    assert (model.loss_balance_weights != 1).any()
    assert all(
        torch.isfinite(p.grad).all() for p in model.parameters()
        if p.grad is not None)
