"""The selector samples a Concrete distribution and trains its logits."""
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lgh_mmpose.models.layers import ConcreteSelector

DATA = Path(__file__).parents[1] / 'data'


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 21), st.floats(0.05, 20), st.integers(0, 2**31 - 1),
    st.booleans())
def test_each_joint_shares_out_one_unit(groups, temperature, seed, hard):
    torch.manual_seed(seed)
    selector = ConcreteSelector(
        21, groups, temperature=temperature, straight_through=hard)
    torch.nn.init.normal_(selector.logits, std=3)
    for _ in range(2):
        sample = selector()
        assert sample.shape == (21, groups)
        assert torch.allclose(sample.sum(-1), torch.ones(21), atol=1e-5)
        assert (sample >= 0).all() and torch.isfinite(sample).all()
        selector.eval()


@pytest.mark.parametrize('tag', ['G3', 'G3_nonddr'])
def test_equals_the_release_on_its_own_noise(tag, monkeypatch):
    """Formula and noise convention, on the release's recorded draw."""
    reference = np.load(DATA / f'parity_net_{tag}.npz')
    logits = torch.from_numpy(reference['meta_S_logits'])
    selector = ConcreteSelector(
        *logits.shape, temperature=float(reference['temperature']))
    selector.logits.data.copy_(logits)
    uniforms = torch.from_numpy(reference['sampled_uniforms'])
    monkeypatch.setattr(torch, 'rand_like', lambda _: uniforms)
    np.testing.assert_allclose(
        selector.sample().detach(), reference['sampled_selector'], atol=1e-5)


def test_argmax_of_samples_follows_the_softmax():
    """The Gumbel-max property: P(argmax = g) = softmax(logits)_g."""
    torch.manual_seed(0)
    selector = ConcreteSelector(4000, 3, temperature=0.7)
    selector.logits.data[:] = torch.tensor([0.2, 1.0, -0.5])
    counts = torch.bincount(selector.sample().argmax(-1), minlength=3) / 4000
    assert torch.allclose(counts, selector.probabilities[0], atol=0.03)


def test_low_temperature_is_nearly_hard_and_high_nearly_uniform():
    torch.manual_seed(0)
    selector = ConcreteSelector(21, 3, temperature=0.01)
    assert selector.sample().amax(-1).mean() > 0.97
    selector.set_temperature(1000.)
    assert (selector.sample() - 1 / 3).abs().max() < 0.02


def test_straight_through_is_hard_forward_and_soft_backward():
    weights = torch.randn(21, 3, generator=torch.Generator().manual_seed(1))
    gradients = []
    for hard in (True, False):
        torch.manual_seed(0)
        selector = ConcreteSelector(21, 3, straight_through=hard)
        sample = selector()
        if hard:
            rounded = sample.round()
            assert torch.allclose(sample, rounded, atol=1e-6)
            assert (rounded.sum(-1) == 1).all()
        (sample * weights).sum().backward()
        gradients.append(selector.logits.grad)
    assert torch.allclose(*gradients, atol=1e-6)
    assert gradients[0].abs().sum() > 0


def test_evaluation_is_deterministic_unless_told_otherwise():
    selector = ConcreteSelector(21, 3).eval()
    torch.nn.init.normal_(selector.logits)
    first, second = selector(), selector()
    assert torch.equal(first, second)
    assert torch.equal(first.argmax(-1), selector.joint_groups)
    assert set(first.unique().tolist()) == {0., 1.}
    sampling = ConcreteSelector(21, 3, inference='sample').eval()
    assert not torch.equal(sampling(), sampling())
    soft = ConcreteSelector(21, 3, temperature=2.0, inference='soft').eval()
    soft.load_state_dict(selector.state_dict())
    soft.set_temperature(2.0)
    assert torch.allclose(soft(), (selector.logits / 2).softmax(-1))


def test_temperature_travels_with_the_state_dict():
    selector = ConcreteSelector(21, 3, temperature=0.3)
    other = ConcreteSelector(21, 3)
    other.load_state_dict(selector.state_dict())
    assert float(other.temperature) == pytest.approx(0.3)


def test_noise_is_finite_in_half_precision():
    selector = ConcreteSelector(21, 3)
    with torch.autocast('cpu', torch.bfloat16):
        sample = selector()
    assert sample.dtype == torch.float32 and torch.isfinite(sample).all()


@pytest.mark.parametrize('temperature', [0, -1, float('nan'), float('inf')])
def test_refuses_a_temperature_that_is_not_positive(temperature):
    with pytest.raises(ValueError, match='positive and finite'):
        ConcreteSelector(21, 3, temperature=temperature)


@pytest.mark.parametrize('groups', [0, -1, 22])
def test_refuses_fewer_groups_than_one_or_more_than_joints(groups):
    with pytest.raises(ValueError, match=r'1\.\.21.*got'):
        ConcreteSelector(21, groups)


def test_refuses_an_unknown_inference_mode():
    with pytest.raises(ValueError, match='argmax'):
        ConcreteSelector(21, 3, inference='best')


def test_imbalance_known_answers():
    selector = ConcreteSelector(21, 3)
    assert selector.imbalance().item() == pytest.approx(0, abs=1e-6)
    # decided, but each group has seven joints
    selector.logits.data = 50 * torch.eye(3).repeat(7, 1)
    assert selector.imbalance().item() == pytest.approx(0, abs=1e-5)
    # one group has all
    selector.logits.data = 50 * torch.eye(3)[:1].repeat(21, 1)
    assert selector.imbalance().item() == pytest.approx(np.log(3), abs=1e-5)


def test_minimising_the_imbalance_revives_a_starved_group():
    selector = ConcreteSelector(21, 3)
    selector.logits.data[:, 2] = -3.
    optimizer = torch.optim.Adam(selector.parameters(), lr=.05)
    for _ in range(200):
        optimizer.zero_grad()
        selector.imbalance().backward()
        optimizer.step()
    assert selector.probabilities.mean(0).min() > .3
