"""Grouped layers do for G groups what G single ones would do."""
import pytest
import torch

from lgh_mmpose.models.layers import (GroupedHourglass, NDDRFusion, Residual,
                                      concat_within_groups, expected_value,
                                      peak_mass, soft_argmax, spatial_softmax)


def take_group(grouped, single, g, groups):
    """Copy group g's slice of every parameter and buffer into `single`."""
    state = {}
    for name, value in single.state_dict().items():
        source = grouped.state_dict()[name]
        if value.ndim == 0:
            state[name] = source
        elif name.startswith('conv0.') or source.shape == value.shape or \
                source.shape[0] == groups * value.shape[0]:
            state[name] = source.chunk(groups, 0)[g]
        else:
            raise AssertionError(name)
    single.load_state_dict(state)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('groups', [1, 2, 5])
def test_branches_equal_a_loop_over_groups(groups, training):
    torch.manual_seed(0)
    grouped = GroupedHourglass(6, 4, groups)
    for name, value in grouped.named_buffers():
        if 'running' in name:
            value.uniform_(0.5, 1.5)
    shared = torch.randn(2, 6, 8, 8)
    expected = []
    for g in range(groups):
        single = GroupedHourglass(6, 4, 1).train(training)
        take_group(grouped, single, g, groups)
        expected.append(single(shared))
    got = grouped.train(training)(shared)
    assert got.shape == (2, 4 * groups, 8, 8)
    assert torch.allclose(got, torch.cat(expected, 1), atol=1e-5)


def test_concatenation_keeps_groups_contiguous():
    a = torch.arange(4.).view(1, 4, 1, 1)  # groups (0, 1), (2, 3)
    b = torch.arange(10., 12.).view(1, 2, 1, 1)  # groups (10), (11)
    joined = concat_within_groups([a, b], groups=2)
    assert joined.flatten().tolist() == [0, 1, 10, 2, 3, 11]


def test_concatenation_keeps_channels_last():
    torch.manual_seed(0)
    plain = [torch.randn(2, 3 * c, 4, 5, requires_grad=True) for c in (2, 1)]
    last = [
        t.detach().contiguous(
            memory_format=torch.channels_last).requires_grad_() for t in plain
    ]
    joined = [concat_within_groups(tensors, 3) for tensors in (plain, last)]
    assert torch.equal(*joined)
    assert joined[1].is_contiguous(memory_format=torch.channels_last)
    assert joined[0].is_contiguous()
    gradient = torch.randn(2, 9, 4, 5)
    for a, b in zip(
            torch.autograd.grad(joined[0], plain, gradient),
            torch.autograd.grad(joined[1], last, gradient)):
        assert torch.equal(a, b)


def test_residual_projects_only_where_shapes_differ():
    assert isinstance(Residual(4, 4).skip, torch.nn.Identity)
    assert Residual(4, 8, stride=2)(torch.randn(2, 4, 6, 6)).shape == \
        (2, 8, 3, 3)


def test_fusion_starts_with_mostly_the_own_feature():
    fusion = NDDRFusion(channels=2, num_groups=3).eval()
    features = torch.rand(1, 6, 4, 4)
    own, others = 0.9, 0.05
    groups = features.view(1, 3, 2, 4, 4)
    expected = others * groups.sum(1, keepdim=True) + (own - others) * groups
    got = fusion(features).view_as(groups)
    assert torch.allclose(got, expected, rtol=1e-4)  # BatchNorm's epsilon


def test_fusion_is_one_1x1_convolution_per_group_over_all():
    torch.manual_seed(0)
    fusion = NDDRFusion(channels=2, num_groups=3).eval()
    torch.nn.init.normal_(fusion.conv.weight)
    features = torch.randn(2, 6, 4, 4)
    per_group = [
        torch.nn.functional.conv2d(features, w, b) for w, b in zip(
            fusion.conv.weight.chunk(3), fusion.conv.bias.chunk(3))
    ]
    expected = torch.relu(fusion.bn(torch.cat(per_group, 1)))
    assert torch.allclose(fusion(features), expected, atol=1e-6)


def test_fusion_needs_two_groups():
    with pytest.raises(ValueError, match='fusion=None'):
        NDDRFusion(channels=4, num_groups=1)


def test_soft_argmax_of_one_cell_is_where_the_cell_stands():
    heatmap = torch.zeros(1, 8, 16)
    heatmap[0, 5, 3] = 1
    # 128x64 input: stride 8; cell 3 covers pixels 24..31
    assert soft_argmax(heatmap, (128, 64)).tolist() == [[27.5, 43.5]]
    assert soft_argmax(
        heatmap, (128, 64), pixel_centers=False).tolist() == [[24., 40.]]


def test_release_convention_reaches_252_of_256():
    heatmap = torch.zeros(64, 64)
    heatmap[-1, -1] = 1
    assert soft_argmax(
        heatmap, (256, 256), pixel_centers=False).tolist() == [252., 252.]


def test_flat_scores_mean_the_centre_of_the_image_and_of_the_depth_map():
    heatmaps = spatial_softmax(torch.zeros(2, 3, 8, 8), torch.ones(3))
    assert torch.allclose(heatmaps.sum((-2, -1)), torch.ones(2, 3))
    centre = torch.full((2, 3, 2), (256 - 1) / 2)
    assert torch.allclose(soft_argmax(heatmaps, (256, 256)), centre)
    maps = torch.randn(2, 3, 8, 8)
    assert torch.allclose(
        expected_value(heatmaps, maps), maps.mean((-2, -1)), atol=1e-6)


def test_beta_sharpens_each_joint_by_itself():
    logits = torch.randn(1, 2, 8, 8)
    flat, sharp = spatial_softmax(logits, torch.tensor([0., 50.]))[0]
    assert torch.allclose(flat, torch.full((8, 8), 1 / 64))
    assert sharp.max() > 0.9


def test_peak_mass_tells_sharp_from_flat():
    flat = torch.full((16, 16), 1 / 256)
    sharp = torch.zeros(16, 16)
    sharp[0, 15] = 1  # at the border as well
    two = torch.zeros(16, 16)
    two[2, 2], two[12, 12] = 0.7, 0.3
    masses = peak_mass(torch.stack([flat, sharp, two])[None])
    assert torch.allclose(masses, torch.tensor([[25 / 256, 1., 0.7]]))
