"""Groupings that are given: fingers, joints, random ones, those of a file."""
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmpose.registry import MODELS
from test_grouped_joint_head import build, features, samples

from lgh_mmpose.models import (FileSelector, FingerSelector, FixedSelector,
                               PerJointSelector, RandomSelector)
from lgh_mmpose.models.layers.fixed_selectors import joint_names

NAMES = joint_names()
THREE = [list(NAMES[:7]), list(NAMES[7:14]), list(NAMES[14:])]


def write(path, groups):
    path.write_text(json.dumps(dict(groups=groups)))
    return str(path)


@pytest.fixture(params=['fixed', 'finger', 'joint', 'random', 'file'])
def config(request, tmp_path):
    return {
        'fixed':
        dict(type='FixedSelector', num_groups=2, joint_groups=[0] + 20 * [1]),
        'finger':
        dict(type='FingerSelector', num_groups=6),
        'joint':
        dict(type='PerJointSelector', num_groups=21),
        'random':
        dict(type='RandomSelector', num_groups=4, seed=3),
        'file':
        dict(
            type='FileSelector',
            num_groups=3,
            file=write(tmp_path / 'groups.json', THREE))
    }[request.param]


def test_same_one_hot_rows_in_training_and_evaluation(config):
    selector = MODELS.build(dict(config, num_joints=21))
    trained = selector.train()()
    assert trained.shape == (21, config['num_groups'])
    assert torch.equal(trained, selector.eval()())
    assert torch.equal(trained.sort(-1).values[:, -1], torch.ones(21))
    assert torch.equal(trained.sum(-1), torch.ones(21))
    assert torch.equal(trained.argmax(-1), selector.joint_groups)
    assert not list(selector.parameters())


def test_trains_in_the_head_through_each_joints_own_group(config):
    config = dict(config)
    groups = config.pop('num_groups')
    head = build(
        groups,
        selector=config,
        balance_loss_weight=1.,
        sparsity_loss_weight=1.,
        entropy_loss_weight=1.)
    feats = features(groups)
    feats[-1].requires_grad_()
    uv, depth = head(feats)
    (uv[:, 5].sum() + depth[:, 5].sum()).backward()
    reached = feats[-1].grad.unflatten(1, (groups, -1)).abs().sum((0, 2, 3, 4))
    assert reached.nonzero().flatten().tolist() == [
        int(head.selector.joint_groups[5])
    ]
    losses = head.loss(feats, samples())
    assert all(torch.isfinite(v) for v in losses.values())
    assert losses['loss_entropy'] == 0


def test_fingers_are_groups_and_the_wrist_is_the_palm():
    groups = FingerSelector(21).joint_groups.tolist()
    found = {
        frozenset(n.rstrip('1234') for n, g in zip(NAMES, groups) if g == k)
        for k in range(6)
    }
    assert all(len(fingers) == 1 for fingers in found) and len(found) == 6
    assert groups.count(groups[NAMES.index('wrist')]) == 1
    assert groups.count(groups[NAMES.index('thumb2')]) == 4


def test_each_joint_alone():
    assert PerJointSelector(21, 21).joint_groups.tolist() == list(range(21))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 21), st.integers(0, 2**31 - 1))
def test_random_groups_are_balanced_and_of_their_seed(groups, seed):
    first = RandomSelector(21, groups, seed).joint_groups
    sizes = torch.bincount(first, minlength=groups)
    assert sizes.max() - sizes.min() <= 1 and sizes.sum() == 21
    assert torch.equal(first, RandomSelector(21, groups, seed).joint_groups)


def test_random_groups_follow_the_seed_of_the_training():
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(RandomSelector(21, 3).joint_groups)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_groups_travel_with_the_checkpoint():
    """Also those that another seed would draw anew."""
    first, second = (RandomSelector(21, 3, seed) for seed in (0, 1))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(), second())


def test_reads_the_groups_of_a_file_by_name(tmp_path):
    selector = FileSelector(21, 3, write(tmp_path / 'g.json', THREE[::-1]))
    assert selector.joint_groups.tolist() == 7 * [2] + 7 * [1] + 7 * [0]


@pytest.mark.parametrize('content, message', [
    ('{"groups": [["wrist"', 'not valid json'),
    ('[1, 2]', 'a list of lists'),
    ('{"groups": {"a": 1}}', 'a list of lists'),
    ('{"groups": [[1, 2]]}', 'a list of lists'),
    (json.dumps(dict(groups=[*THREE, ['tail1']])), "unknown joint 'tail1'"),
    (json.dumps(dict(groups=[*THREE, ['wrist']])), 'wrist is in two places'),
    (json.dumps(dict(groups=[THREE[0], THREE[1], THREE[2][:-1]])),
     f'joint {NAMES[-1]} is in no group'),
    (json.dumps(dict(groups=[*THREE, []])), None),
    (json.dumps(dict(groups=[THREE[0], THREE[1] + THREE[2]])),
     'num_groups=3 asks for 0 to 2'),
])
def test_refuses_a_file_that_does_not_group_the_joints(tmp_path, content,
                                                       message):
    path = tmp_path / 'groups.json'
    path.write_text(content)
    if message is None:  # an empty group is as if it were not there
        assert FileSelector(21, 3, str(path)).joint_groups.max() == 2
        return
    with pytest.raises(ValueError, match=message) as error:
        FileSelector(21, 3, str(path))
    assert str(path) in str(error.value)


def test_names_the_file_that_is_missing():
    with pytest.raises(FileNotFoundError, match='nowhere.json'):
        FileSelector(21, 3, 'nowhere.json')


@pytest.mark.parametrize('groups, joint_groups', [
    (2, 20 * [0]),
    (2, 21 * [0]),
    (2, 20 * [0] + [2]),
    (2, 20 * [0] + [1.]),
    (1, 20 * [0] + [-1]),
])
def test_refuses_groups_that_do_not_fit(groups, joint_groups):
    with pytest.raises(ValueError):
        FixedSelector(21, groups, joint_groups)


def test_fingers_need_six_groups():
    with pytest.raises(ValueError, match='num_groups of both neck and head'):
        FingerSelector(21, 3)


def test_imbalance_known_answers():
    assert FixedSelector(4, 2, [0, 1, 1, 0]).imbalance() == 0
    uneven = FixedSelector(4, 2, [0, 1, 1, 1]).imbalance()
    share = torch.tensor([.25, .75])
    spread = FixedSelector(4, 2, [0, 1, 1, 1]).spread()
    assert spread == pytest.approx(-float((share * share.log()).sum()))
    assert uneven == pytest.approx(float((share * (2 * share).log()).sum()))


def test_head_refuses_groups_by_the_names_of_another_order():
    reverse = dict(
        dataset_name='reverse',
        paper_info=dict(),
        keypoint_info={
            i: dict(name=name, id=i, color=[0, 0, 0], type='', swap='')
            for i, name in enumerate(reversed(NAMES))
        },
        skeleton_info={},
        joint_weights=[1.] * 21,
        sigmas=[])
    given = dict(type='FingerSelector', metainfo=reverse)
    for selector in (given, dict(init_groups=given)):
        with pytest.raises(ValueError, match='the same metainfo'):
            build(6, selector=selector)
