"""Cross-stitch units and attention masks between groups."""
import pytest
import torch
from deploy_models import randomize, toy_config
from mmpose.registry import MODELS
from test_group_fusion_neck import build

from lgh_mmpose.deployment import to_deploy
from lgh_mmpose.models import AttentionFusion, CrossStitchFusion

KINDS = ['CrossStitchFusion', 'AttentionFusion']


def features(groups=3, channels=4):
    torch.manual_seed(0)
    return torch.rand(2, groups * channels, 8, 8, requires_grad=True)


@pytest.mark.parametrize('kind', KINDS)
def test_keeps_the_shape_and_joins_all_groups(kind):
    """Each group's output depends on each group, in training as in use."""
    fusion = MODELS.build(dict(type=kind, channels=4, num_groups=3))
    x = features()
    for _ in range(2):
        out = fusion(x)
        assert out.shape == x.shape
        for g in range(3):
            own = out.unflatten(1, (3, 4))[:, g]
            grad, = torch.autograd.grad(own.square().sum(), x, retain_graph=1)
            assert (grad.unflatten(1, (3, 4)).abs().sum((0, 2, 3, 4))
                    > 0).all()
        fusion.eval()


@pytest.mark.parametrize('kind', KINDS)
def test_every_parameter_trains_in_the_neck(kind):
    neck = build(3, fusion=dict(type=kind))
    feats = [
        torch.randn(2, c, 64 // s, 64 // s)
        for c, s in zip(neck.in_channels, neck.in_strides)
    ]
    neck(feats)[1].square().mean().backward()
    for name, parameter in neck.fusion.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize('kind', KINDS)
def test_needs_two_groups(kind):
    with pytest.raises(ValueError, match='fusion=None'):
        MODELS.build(dict(type=kind, channels=4, num_groups=1))


def test_cross_stitch_at_identity_is_no_fusion():
    x = features()
    assert torch.equal(CrossStitchFusion(4, 3, own_weight=1.)(x), x)


def test_cross_stitch_equals_its_formula():
    """x~_gc = sum_h alpha_ghc x_hc: no channel sees another one."""
    fusion = CrossStitchFusion(4, 3)
    torch.nn.init.normal_(fusion.alpha)
    x = features()
    groups = x.unflatten(1, (3, 4))
    expected = torch.stack([
        sum(fusion.alpha[g, h, :, None, None] * groups[:, h] for h in range(3))
        for g in range(3)
    ], 1)
    assert torch.allclose(fusion(x).view_as(expected), expected, atol=1e-6)


def test_cross_stitch_keeps_what_all_groups_agree_on():
    """It starts as a mean: weights of one group sum to 1."""
    x = torch.rand(1, 4, 5, 5).repeat(1, 3, 1, 1)
    assert torch.allclose(CrossStitchFusion(4, 3, .7)(x), x, atol=1e-6)


def test_attention_masks_lie_between_closed_and_open():
    fusion = AttentionFusion(4, 3)
    x = features()
    pool = fusion.pool(x)
    masks = fusion.masks(x, pool)
    assert (masks > 0).all() and (masks < 1).all()
    assert not torch.equal(masks[:, :4], masks[:, 4:8])  # each has its own
    norm = fusion.mask[-1].norm
    torch.nn.init.zeros_(norm.weight)
    torch.nn.init.constant_(norm.bias, -200.)
    assert torch.equal(fusion(x), x)  # closed: no fusion
    torch.nn.init.constant_(norm.bias, 200.)
    assert torch.allclose(fusion(x), x + fusion.pool(x).repeat(1, 3, 1, 1))


def test_each_attention_mask_reads_its_own_group_and_the_pool_alone():
    fusion = AttentionFusion(4, 3).eval()
    x = features()
    pool = torch.rand(2, 4, 8, 8)
    masks = fusion.masks(x, pool)
    grad, = torch.autograd.grad(masks[:, 4:8].sum(), x)
    reached = grad.unflatten(1, (3, 4)).abs().sum((0, 2, 3, 4))
    assert reached[1] > 0 and reached[0] == 0 and reached[2] == 0


@pytest.mark.parametrize('groups, fusion, selector', [
    (6, 'CrossStitchFusion', dict(type='FingerSelector')),
    (3, 'AttentionFusion',
     dict(type='FixedSelector', joint_groups=[0, 1, 2] * 7)),
])
def test_is_exported_as_it_is(groups, fusion, selector):
    """The form that is shipped gives the joints of the model."""
    cfg = toy_config(groups)
    cfg.model.neck.fusion = dict(type=fusion)
    model = MODELS.build(cfg.model)
    randomize(model)
    model.head.selector = MODELS.build(
        dict(**selector, num_joints=21, num_groups=groups))
    model.eval()
    images = torch.randint(0, 256, (2, 3, 96, 96)).to(torch.uint8)
    with torch.no_grad():
        uv, depth, _ = to_deploy(model)(images)
        data = model.data_preprocessor(dict(inputs=[*images], data_samples=[]))
        expected = model.head(model.extract_feat(data['inputs']))
    assert expected[0].std(0).max() > 1e-3
    assert torch.allclose(uv, expected[0], atol=1e-3)
    assert torch.allclose(depth, expected[1], atol=1e-5)
