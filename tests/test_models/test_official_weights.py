"""Our names and the release's for the same weights.

That the names are right shows in test_official_network.py: the weights there
are made of them.
"""
import pytest
import torch

from lgh_mmpose.models.official_weights import (official_names, split_groups,
                                                to_official)


@pytest.mark.parametrize('ours, theirs', [
    ('backbone.hourglass.0.low2.up1_.1.bn.weight',
     ['backbone.hourglass.0.low2.up1_.1.bn.weight']),
    ('neck.shared.1.residual.1.bn.bias', ['backbone_conv.1.res_branch.4.bias'
                                          ]),
    ('neck.shared.0.skip.conv.weight', ['backbone_conv.0.skip_con.0.weight']),
    ('neck.branches.conv0.bn.running_var',
     ['b_conv0.0.block.1.running_var', 'b_conv0.1.block.1.running_var']),
    ('neck.branches.up2.conv.weight',
     ['b_up2.0.0.block.0.weight', 'b_up2.1.0.block.0.weight']),
    ('neck.branches.up0.1.residual.0.conv.bias',
     ['b_up0.0.1.res_branch.0.bias', 'b_up0.1.1.res_branch.0.bias']),
    ('neck.fusion.bn.weight', [
        'nddr_layer0.Conv_Task_List.0.1.weight',
        'nddr_layer0.Conv_Task_List.1.1.weight'
    ]),
    ('head.depth_layers.2.bias',
     ['b_depth_conv.0.2.bias', 'b_depth_conv.1.2.bias']),
    ('head.beta', ['b_get_uv.0.beta.weight', 'b_get_uv.1.beta.weight']),
    ('head.selector.logits', ['meta_S.weight']),
])
def test_names(ours, theirs):
    assert official_names(ours, num_groups=2) == theirs


def test_groups_come_one_after_the_other():
    beta = torch.arange(6.).view(2, 3)
    count = torch.tensor(5)
    official = split_groups(
        {
            'head.beta': beta,
            'neck.fusion.bn.num_batches_tracked': count
        }, 2)
    prefix = 'nddr_layer0.Conv_Task_List'
    assert {k: v.tolist() for k, v in official.items()} == {
        'b_get_uv.0.beta.weight': [[[[0.]]], [[[1.]]], [[[2.]]]],
        'b_get_uv.1.beta.weight': [[[[3.]]], [[[4.]]], [[[5.]]]],
        f'{prefix}.0.1.num_batches_tracked': 5,
        f'{prefix}.1.1.num_batches_tracked': 5
    }  # yapf: disable
    count += 1  # the pieces are copies
    assert int(official[f'{prefix}.0.1.num_batches_tracked']) == 5


def test_weights_of_another_head_are_named():
    with pytest.raises(ValueError, match=r'lack head\.selector\.logits'):
        to_official({'head.final_layer.weight': torch.zeros(1)})
