"""The hourglass gives score maps and features at a quarter of the image.

That it equals the authors' backbone: see test_official_network.py.
"""
import pytest
import torch

from lgh_mmpose.models import GeHourglass


def build(feat_channels=16, **kwargs):
    return GeHourglass(
        num_joints=5, feat_channels=feat_channels, num_blocks=1, **kwargs)


@pytest.mark.parametrize('stacks', [1, 3])
# 224 does not halve evenly six times
@pytest.mark.parametrize('height, width', [(64, 64), (224, 96)])
def test_each_stack_gives_maps_and_features(stacks, height, width):
    backbone = build(num_stacks=stacks)
    outs = backbone(torch.randn(2, 3, height, width))
    assert isinstance(outs, tuple) and len(outs) == stacks
    for out in outs:
        assert out.shape == (2, 5 + 16, height // 4, width // 4)
        assert (out[:, 5:] >= 0).all() and (out[:, :5] < 0).any()


def test_every_parameter_is_of_use():
    backbone = build(num_stacks=2)
    backbone(torch.randn(2, 3, 64, 64))[-1].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0
               for name, p in backbone.named_parameters()
               if not name.endswith('.bias'))


def test_later_stacks_leave_the_first_ones_output_alone():
    torch.manual_seed(0)
    two, one = build(num_stacks=2), build()
    state = {k: two.state_dict()[k] for k in one.state_dict()}
    one.load_state_dict(state)
    images = torch.randn(1, 3, 64, 64)
    two.eval(), one.eval()
    with torch.no_grad():
        torch.testing.assert_close(two(images)[0], one(images)[0])


@pytest.mark.parametrize('kwargs, message', [
    (dict(num_stacks=0), 'num_stacks must be at least 1'),
    (dict(downsample_times=0), 'downsample_times must be at least 1'),
    (dict(feat_channels=0), 'feat_channels must be a multiple of 8, got 0'),
    (dict(feat_channels=60), 'feat_channels must be a multiple of 8, got 60'),
])
def test_refuses_a_network_that_cannot_be(kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(**kwargs)


def test_names_the_size_that_an_image_must_have():
    with pytest.raises(ValueError, match=r'at least 64 px, got \(64, 48\)'):
        build()(torch.randn(1, 3, 64, 48))
