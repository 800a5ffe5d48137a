import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from work_dir_writer import JOINT_NAMES

from lgh_mmpose.visualization import groups as G

groupings = st.lists(st.integers(0, 3), min_size=2, max_size=21)


@pytest.mark.parametrize(
    'first, second, expected',
    [
        ([0, 0, 1, 1], [1, 1, 0, 0], 1),
        ([0, 0, 1, 2], [0, 0, 1, 1], 4 / 7),
        ([0, 0, 1, 1], [0, 1, 0, 1], -.5),
        ([0, 0, 0, 0], [0, 1, 2, 3], 0),
        ([0, 0, 0, 0], [5, 5, 5, 5], 1),
        ([0, 1, 2, 3], [3, 2, 1, 0], 1),
        # of 15 pairs 2 are together in both, 6 and 3 in each: 1.2 by chance
        ([0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 2, 2], (2 - 1.2) / (4.5 - 1.2)),
    ])
def test_rand_index_of_known_groupings(first, second, expected):
    assert G.adjusted_rand_index(first, second) == pytest.approx(expected)


@given(groupings, st.randoms(use_true_random=False))
def test_rand_index_ignores_numbers_and_order(first, random):
    second = random.sample(first, len(first))
    value = G.adjusted_rand_index(first, second)
    assert value <= 1 + 1e-12
    assert G.adjusted_rand_index(second, first) == pytest.approx(value)
    renamed = [7 - g for g in second]
    assert G.adjusted_rand_index(first, renamed) == pytest.approx(value)
    assert G.adjusted_rand_index(first, first) == 1


def test_rand_index_of_chance_is_zero_on_average():
    rng = np.random.default_rng(0)
    values = [
        G.adjusted_rand_index(*rng.integers(0, 3, (2, 21))) for _ in range(500)
    ]
    assert abs(np.mean(values)) < .02


def test_rand_index_refuses_other_lengths():
    with pytest.raises(ValueError, match='one shape'):
        G.adjusted_rand_index([0, 1], [0, 1, 1])


def records(probabilities, steps):
    return [
        dict(
            {
                f'selector/probability/{name}/{g}': p
                for name, row in zip(('wrist', 'thumb1'), table)
                for g, p in enumerate(row)
            },
            step=step) for table, step in zip(probabilities, steps)
    ]


def test_history_of_two_joints():
    logged = records(
        [[[.5, .5], [.6, .4]], [[.1, .9], [.6, .4]], [[.9, .1], [.1, .9]]],
        (10, 20, 30))
    history = G.selector_history([{'loss': 1, 'step': 5}, *logged])
    assert history.joint_names == ['wrist', 'thumb1']
    np.testing.assert_array_equal(history.steps, [10, 20, 30])
    np.testing.assert_array_equal(history.switches, [0, 1, 2])
    h = -(.6 * np.log(.6) + .4 * np.log(.4))
    assert history.entropy[0] == pytest.approx((np.log(2) + h) / 2)
    assert history.probabilities[2, 1, 1] == .9


def test_history_needs_the_probabilities():
    assert G.selector_history([{'selector/entropy': 1., 'step': 1}]) is None
    logged = records([[[.5, .5]], [[.5, .5], [1, 0]]], (1, 2))
    with pytest.raises(ValueError, match='at iteration 2'):
        G.selector_history(logged)


def test_last_checkpoint_is_found_where_the_work_dir_is_now(tmp_path):
    with pytest.raises(ValueError, match='last_checkpoint'):
        G.last_checkpoint(tmp_path)
    (tmp_path / 'last_checkpoint').write_text('/was/here/epoch_3.pth\n')
    with pytest.raises(ValueError, match='last_checkpoint'):
        G.last_checkpoint(tmp_path)
    (tmp_path / 'epoch_3.pth').touch()
    assert G.last_checkpoint(tmp_path) == tmp_path / 'epoch_3.pth'


def test_checkpoint_tells_its_training(tmp_path):
    logits = torch.randn(2, 3)
    torch.save(
        dict(
            state_dict={'head.selector.logits': logits},
            meta=dict(
                epoch=4,
                iter=40,
                seed=None,
                dataset_meta=dict(keypoint_id2name={
                    1: 'b',
                    0: 'a'
                }))), tmp_path / 'a.pth')
    facts = G.read_checkpoint(tmp_path / 'a.pth')
    assert facts[:4] == (4, 40, None, ['a', 'b'])
    np.testing.assert_allclose(
        facts.probabilities, logits.softmax(-1).numpy(), rtol=1e-6)
    # a group that has died
    torch.save(
        {
            'head.selector.logits': torch.zeros(2, 3),
            'head.selector.alive': torch.tensor([True, False, True])
        }, tmp_path / 'a.pth')
    facts = G.read_checkpoint(tmp_path / 'a.pth')
    assert facts.probabilities.tolist() == 2 * [[.5, 0, .5]]
    # bare weights of another model
    torch.save({'weight': logits}, tmp_path / 'b.pth')
    assert G.read_checkpoint(tmp_path / 'b.pth') == (None, ) * 5


@pytest.mark.parametrize(
    'content', [
        b'', b'no checkpoint', [1, 2],
        dict(state_dict={'head.selector.logits': torch.full((2, 3), np.nan)}),
        dict(
            state_dict={'head.selector.logits': torch.ones(2, 3)},
            meta=dict(dataset_meta=dict(keypoint_id2name={0: 'wrist'}))),
        dict(state_dict={
            'head.selector.logits': torch.ones(2, 3),
            'head.selector.alive': 3
        }),
        dict(
            state_dict={
                'head.selector.logits': torch.ones(2, 3),
                'head.selector.alive': torch.ones(2, dtype=torch.bool)
            }),
        dict(
            state_dict={'head.selector.logits': torch.ones(2, 3).to_sparse()}),
        dict(
            state_dict={'head.selector.logits': torch.ones(2, 3)},
            meta=dict(dataset_meta=dict(keypoint_id2name={
                0: 'a',
                'b': 'c'
            }))), b'PK\x03\x04' + bytes(100), b'\x80\x02(',
        b'\x80\x05\x96' + b'\xff' * 8
    ],
    ids=range(12))
def test_damaged_checkpoints_are_named(tmp_path, content):
    path = tmp_path / 'broken.pth'
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=r'broken\.pth'):
        G.read_checkpoint(path)


def test_pictures_show_groups_in_their_colours(tmp_path):
    final = np.eye(3)[np.arange(21) % 3]
    start = np.full((21, 3), 1 / 3)
    history = G.SelectorHistory(
        np.array([1, 2]), np.stack([start, final]), np.array([1.1, 0.]),
        JOINT_NAMES)
    G.plot_joint_groups([final], JOINT_NAMES, ['run'], tmp_path / 'a.png')
    G.plot_selector_history(history, tmp_path / 'b.png', 'run')
    G.plot_agreement(np.eye(2), ['a', 'b'], tmp_path / 'c.png')
    for name in ('a.png', 'b.png'):
        image = cv2.imread(str(tmp_path / name))[..., ::-1]
        for color in G.group_colors(3):
            assert (image == color).all(axis=-1).sum() > 300
    assert (tmp_path / 'c.png').stat().st_size


def test_titles_are_not_cut_off(tmp_path):
    final = np.eye(3)[np.arange(21) % 3]
    for num in (1, 4, 6):
        path = tmp_path / f'{num}.png'
        G.plot_joint_groups([final] * num, JOINT_NAMES, ['G3, d'] * num, path)
        # a margin above and below
        assert (cv2.imread(str(path))[[0, -1]] == 255).all()
