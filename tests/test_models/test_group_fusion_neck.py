"""Any backbone's outputs become group features at one stride."""
import pytest
import torch

from lgh_mmpose.models import GroupFusionNeck, NDDRFusion


def pyramid(channels, strides, size=64):
    return tuple(
        torch.randn(2, c, size // s, size // s)
        for c, s in zip(channels, strides))


@pytest.mark.parametrize('channels, strides, out_stride', [
    ((8, 16, 24, 32), (4, 8, 16, 32), 4),
    ((8, 16, 24), (8, 16, 32), 8),
    ((32, ), (32, ), 4),
    ((12, ), (4, ), 4),
    ((12, 12), (4, 4), 4),
])
@pytest.mark.parametrize('groups', [1, 3])
def test_outputs_stand_at_the_stride_asked_for(channels, strides, out_stride,
                                               groups):
    neck = GroupFusionNeck(
        channels,
        strides,
        num_groups=groups,
        out_stride=out_stride,
        stem_channels=8,
        shared_channels=(8, 6),
        group_channels=5)
    shared, grouped = neck(pyramid(channels, strides))
    size = 64 // out_stride
    assert shared.shape == (2, 6, size, size)
    assert grouped.shape == (2, groups * 5, size, size)
    (shared.sum() + grouped.sum()).backward()
    assert all(p.grad is not None for p in neck.parameters())


def build(groups, fusion=dict(type='NDDRFusion')):
    return GroupFusionNeck((6, ), (4, ),
                           groups,
                           shared_channels=(4, ),
                           group_channels=4,
                           fusion=fusion)


def test_fusion_is_an_option_and_a_single_group_has_none():
    assert isinstance(build(3).fusion, NDDRFusion)
    assert build(3, fusion=None).fusion is None
    assert build(1).fusion is None


def test_without_fusion_groups_do_not_see_each_other():
    feats = pyramid((6, ), (4, ))
    for fusion, leaks in ((None, False), (dict(type='NDDRFusion'), True)):
        neck = build(2, fusion).eval()
        before = neck(feats)[1]
        with torch.no_grad():  # change the second group's last block only
            last = neck.branches.up0[1].residual[1].bn.bias
            last[4:] += 1
        after = neck(feats)[1]
        assert torch.equal(before[:, :4], after[:, :4]) is not leaks
        assert not torch.equal(before[:, 4:], after[:, 4:])


def test_weight_initialisation_keeps_the_fusions_own():
    neck = GroupFusionNeck((6, ), (4, ),
                           2,
                           group_channels=4,
                           init_cfg=dict(type='Normal', layer='Conv2d'))
    neck.init_weights()
    weight = neck.fusion.conv.weight[..., 0, 0]
    assert torch.allclose(weight.diag(), torch.full((8, ), 0.9))


@pytest.mark.parametrize('kwargs, message', [
    (dict(num_groups=0), 'num_groups must be at least 1'),
    (dict(in_strides=(4, 8)), 'same backbone outputs'),
    (dict(in_channels=(6, 6), in_strides=(8, 4)), 'fine to coarse'),
    (dict(in_strides=(2, )), 'times a power of two'),
    (dict(in_strides=(12, )), 'times a power of two'),
])
def test_refuses_configs_that_cannot_be(kwargs, message):
    kwargs = {**dict(in_channels=(6, ), in_strides=(4, )), **kwargs}
    with pytest.raises(ValueError, match=message):
        GroupFusionNeck(**kwargs)


def test_names_what_the_backbone_gives_instead():
    neck = build(2)
    with pytest.raises(ValueError, match=r'gives \(8,\) channels'):
        neck(pyramid((8, ), (4, )))
    two = GroupFusionNeck((6, 6), (4, 8), 2)
    with pytest.raises(ValueError, match='do not have the strides'):
        two(pyramid((6, 6), (4, 16)))
    with pytest.raises(ValueError, match=r'multiple of 4\*out_stride'):
        neck((torch.randn(1, 6, 10, 10), ))
