"""The selector samples a Concrete distribution and trains its logits."""
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lgh_mmpose.models.layers import ConcreteSelector
from lgh_mmpose.models.layers.fixed_selectors import joint_names

DECIDED = 50 * torch.eye(3).repeat(7, 1)
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
    selector.logits.data = DECIDED.clone()
    assert selector.imbalance().item() == pytest.approx(0, abs=1e-5)
    # one group has all
    selector.logits.data = 50 * torch.eye(3)[:1].repeat(21, 1)
    assert selector.imbalance().item() == pytest.approx(np.log(3), abs=1e-5)


def test_minimising_the_imbalance_revives_a_starved_group():
    selector = ConcreteSelector(21, 3)
    selector.logits.data[:, 2] = -3.
    train(selector, selector.imbalance, 200)
    assert selector.probabilities.mean(0).min() > .3


def train(selector, loss, steps):
    optimizer = torch.optim.Adam(selector.parameters(), lr=.05)
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()


def test_entropy_and_spread_known_answers():
    selector = ConcreteSelector(21, 3, temperature=2.)
    assert selector.entropy().item() == pytest.approx(np.log(3))
    assert selector.spread().item() == pytest.approx(np.log(3))
    # at a temperature of 2 this is (1/2, 1/4, 1/4)
    selector.logits.data[0] = torch.tensor([2 * np.log(2), 0., 0.])
    one = .5 * np.log(2) + 2 * .25 * np.log(4)
    assert selector.entropy().item() == pytest.approx(
        (20 * np.log(3) + one) / 21)
    selector.logits.data = DECIDED.clone()
    assert selector.entropy().item() == pytest.approx(0, abs=1e-6)
    assert selector.spread().item() == pytest.approx(np.log(3))
    selector.logits.data = DECIDED[:1].repeat(21, 1)
    assert selector.spread().item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize('name', ['spread', 'entropy'])
def test_terms_wait_for_the_temperature(name):
    """So that the first noise decides nothing: 1/tau^2 near even groups."""
    torch.manual_seed(0)
    selector = ConcreteSelector(21, 3)
    torch.nn.init.normal_(selector.logits, std=.01)
    sizes = []
    for temperature in (1., 10.):
        selector.set_temperature(temperature)
        grad, = torch.autograd.grad(getattr(selector, name)(), selector.logits)
        sizes.append(float(grad.norm()))
    assert sizes[0] > 0
    assert sizes[0] / sizes[1] == pytest.approx(100, rel=.05)


def test_minimising_the_entropy_decides_each_joint_for_its_favourite():
    torch.manual_seed(0)
    selector = ConcreteSelector(21, 3)
    torch.nn.init.normal_(selector.logits, std=.1)
    before = selector.joint_groups
    train(selector, selector.entropy, 300)
    assert selector.probabilities.amax(-1).min() > .9
    assert torch.equal(selector.joint_groups, before)


# -- a given grouping to start from ------------------------------------------


def test_starts_from_given_groups_with_the_strength_asked_for():
    groups = [k % 3 for k in range(21)]
    given = dict(type='FixedSelector', joint_groups=groups)
    selector = ConcreteSelector(
        21, 3, init_groups=given, init_strength=np.log(4))
    assert selector.joint_groups.tolist() == groups
    # e^log 4 / (e^log 4 + 1 + 1)
    largest = selector.probabilities.amax(-1)
    assert torch.allclose(largest, torch.full((21, ), 2 / 3))
    assert selector.imbalance().item() == pytest.approx(0, abs=1e-6)
    none = ConcreteSelector(21, 3, init_groups=given, init_strength=0)
    assert torch.equal(none.logits, ConcreteSelector(21, 3).logits)


def test_training_may_leave_the_groups_it_started_from():
    given = dict(type='FixedSelector', joint_groups=20 * [0] + [1])
    selector = ConcreteSelector(21, 2, init_groups=given)
    train(selector, lambda: selector.sample()[3, 0], 200)
    assert selector.joint_groups.tolist() == 3 * [0] + [1] + 16 * [0] + [1]


def test_given_groups_keep_the_names_they_went_by():
    """So that the head can compare them with the codec's."""
    selector = ConcreteSelector(21, 6, init_groups=dict(type='FingerSelector'))
    assert selector.joint_names == joint_names()
    with pytest.raises(ValueError, match='num_groups=3 asks for'):
        ConcreteSelector(21, 3, init_groups=dict(type='FingerSelector'))


# -- groups that die ---------------------------------------------------------


def starving(**kwargs):
    """Three groups; the last is no joint's first and expects half a joint."""
    selector = ConcreteSelector(21, 3, min_joints=1., **kwargs)
    selector.logits.data = torch.tensor([1., 0, 0]).repeat(21, 1)
    selector.logits.data[::2] = torch.tensor([0., 1, 0])
    selector.logits.data[:, 2] = -3.
    return selector


def test_a_group_dies_when_it_was_starved_often_enough_in_a_row():
    selector = starving(patience=3)
    assert selector.prune() == [] and selector.prune() == []
    selector.logits.data[:, 2] += 3  # recovers, the count starts anew
    assert selector.prune() == []
    selector.logits.data[:, 2] -= 3
    assert [selector.prune() for _ in range(4)] == [[], [], [2], []]
    assert selector.alive.tolist() == [True, True, False]


@pytest.mark.parametrize('spare', ['a joint', 'probability'])
def test_a_group_is_not_starved_by_one_half_of_the_criterion(spare):
    selector = starving(patience=1)
    if spare == 'a joint':
        selector.logits.data[4] = torch.tensor([0., 0, .1])
        selector.logits.data[torch.arange(21) != 4, 2] = -9.
        assert selector.probabilities.sum(0)[2] < 1
    else:
        selector.logits.data[:, 2] = -1.
        assert selector.probabilities.sum(0)[2] > 1
        assert 2 not in selector.joint_groups
    assert selector.prune() == []


def test_new_groups_do_not_die_of_a_tie():
    """argmax of equal logits is the first group for all joints."""
    selector = ConcreteSelector(21, 6, min_joints=3., patience=1)
    assert selector.prune() == []


@pytest.mark.parametrize('inference', ['argmax', 'soft', 'sample'])
def test_a_dead_group_has_no_part_and_no_gradient(inference):
    selector = starving(patience=1, inference=inference)
    assert selector.prune() == [2]
    selector.logits.data[:, 2] = 9.  # nothing can revive it
    for _ in range(2):
        assignment = selector()
        assert (assignment[:, 2] == 0).all()
        assert torch.allclose(assignment.sum(-1), torch.ones(21))
        selector.eval()
    assert 2 not in selector.joint_groups
    assert (selector.probabilities[:, 2] == 0).all()
    selector.train()
    loss = (
        selector.sample()[:, 0].sum() + selector.imbalance() +
        selector.entropy())
    loss.backward()
    assert torch.isfinite(selector.logits.grad).all()
    assert (selector.logits.grad[:, 2] == 0).all()
    assert selector.logits.grad[:, :2].abs().max() > 0


def test_evenness_is_that_of_the_living():
    selector = starving(patience=1)
    selector.prune()
    selector.logits.data[:, :2] = 50 * torch.eye(2).repeat(11, 1)[:21]
    share = torch.tensor([11., 10]) / 21
    assert selector.imbalance().item() == pytest.approx(
        float((share * (2 * share).log()).sum()), abs=1e-6)


def test_a_reward_for_few_groups_starves_all_but_those_in_use():
    """Two groups are left that joints wish for."""
    torch.manual_seed(0)
    selector = ConcreteSelector(21, 6, min_joints=1., patience=2)
    torch.nn.init.normal_(selector.logits, std=.1)

    def loss():
        wish = selector.sample()[:10, 4].mean() + selector.sample()[10:,
                                                                    1].mean()
        return -wish + .1 * selector.spread()

    for _ in range(20):
        train(selector, loss, 20)
        selector.prune()
    assert selector.alive.nonzero().flatten().tolist() == [1, 4]


def test_what_died_stays_dead_through_a_checkpoint():
    selector = starving(patience=2)
    selector.prune()
    resumed = starving(patience=2)
    resumed.load_state_dict(selector.state_dict())
    assert resumed.prune() == selector.prune() == [2]  # counts on
    again = starving(patience=2)
    again.load_state_dict(resumed.state_dict())
    assert torch.equal(again.probabilities, selector.probabilities)
    assert again.prune() == []


def test_without_the_option_nothing_dies_and_checkpoints_are_as_before():
    selector = ConcreteSelector(21, 3)
    selector.logits.data[:, 2] = -30.
    assert not any(selector.prune() for _ in range(9))
    assert set(selector.state_dict()) == {'logits', 'temperature'}


@pytest.mark.parametrize('kwargs, message', [
    (dict(min_joints=-1.), r'min_joints must lie in 0\.\.7'),
    (dict(min_joints=7.), 'each of 3 groups expects'),
    (dict(min_joints=1., patience=0), 'patience must be at least 1'),
])
def test_refuses_criteria_that_have_no_meaning(kwargs, message):
    with pytest.raises(ValueError, match=message):
        ConcreteSelector(21, 3, **kwargs)
