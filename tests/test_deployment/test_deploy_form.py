"""The form that is shipped gives what the trained model gives."""
import copy

import numpy as np
import pytest
import torch
from deploy_models import randomize, toy_config, toy_model
from mmpose.registry import MODELS
from official_network import build_converted
from torch import nn
from torch.nn import functional as F

from lgh_mmpose.deployment import to_deploy
from lgh_mmpose.deployment.deploy_form import _fold
from lgh_mmpose.models.layers import peak_mass

aten = torch.ops.aten


def images(model, batch=2, seed=0):
    width, height = model.head.decoder.input_size
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(
        0, 256, (batch, 3, height, width), generator=generator).to(torch.uint8)


@torch.no_grad()
def reference(model, batch):
    """uv, depth and scores of the model itself."""
    data = model.data_preprocessor(dict(inputs=[*batch], data_samples=[]))
    feats = model.extract_feat(data['inputs'])
    heatmaps = model.head.estimate(feats).heatmaps
    mixed = model.head._mix(heatmaps, model.head.selector())
    return (*model.head(feats), peak_mass(mixed))


def in_mm(model, uv, depth, root_depth=None):
    """Joints (B, K, 3) in a camera of a usual lens, bones of a hand."""
    codec = model.head.decoder
    width, height = codec.input_size
    camera = np.array([[2.1 * width, 0, width / 2],
                       [0, 2.1 * width, height / 2], [0, 0, 1]])
    # random weights give depths that no bone can have
    joints = torch.cat([uv, .1 * depth[..., None]], -1).double().numpy()
    decoded = codec.decode(
        joints, camera_matrix=camera, bone_length=40., root_depth=root_depth)
    z = decoded['keypoints_cam'][:, codec.root_index, 2]
    return (decoded['keypoints_cam'], decoded['root_depth_status'],
            z - 40 * joints[:, codec.root_index, 2])


def assert_equal_in_mm(model, outputs, expected, own_root):
    joints, status, root_depth = in_mm(model, *expected)
    # a hand, not a point
    assert joints.std(1).max() > 5
    got = in_mm(model, *outputs, root_depth)[0]
    assert np.linalg.norm(got - joints, axis=-1).max() < 1e-3
    if own_root:
        # the quadratic, at half a metre: no fallback that would hide it
        assert set(status) == {'SOLVED'} and root_depth.max() < 600
        got, statuses, _ = in_mm(model, *outputs)
        assert statuses == status
        assert np.linalg.norm(got - joints, axis=-1).max() < 1e-3


def assert_equal(form, model, own_root=False):
    inputs = images(model)
    with torch.no_grad():
        outputs = form(inputs)
    expected = reference(model, inputs)
    for name, a, b in zip(('uv', 'depth', 'scores'), outputs, expected):
        assert a.shape == b.shape
        # the joints of one image are not where those of the other are
        assert b.std(0).max() > 1e-4, name
        # uv in px; 1e-5 of a bone is less than 1e-3 mm
        torch.testing.assert_close(
            a, b, rtol=0, atol=1e-3 if name == 'uv' else 1e-5)
    assert_equal_in_mm(model, outputs[:2], expected[:2], own_root)


def operators(form):
    return [node.target for node in form.trunk.graph.nodes]


@pytest.mark.parametrize('num_groups, fusion', [(1, True), (2, True),
                                                (3, False), (4, True)])
def test_equals_the_model(num_groups, fusion):
    model = toy_model(num_groups, fusion)
    before = copy.deepcopy(model.state_dict())
    form = to_deploy(model)
    # where the reference bone is long enough to tell the depth
    assert_equal(form, model, own_root=num_groups == 2)
    # every batch norm follows a convolution here
    assert aten.batch_norm.default not in operators(form)
    # nothing is put together but the maps of the groups, score and depth
    if num_groups > 1:
        assert operators(form).count(aten.cat.default) == 2
    assert not any(p.requires_grad for p in form.parameters())
    # the model stays as it is
    assert {
        k: v.tolist()
        for k, v in before.items()
    } == {
        k: v.tolist()
        for k, v in model.state_dict().items()
    }


@pytest.mark.parametrize(
    'num_groups, joint_groups',
    [
        (1, [0] * 21),
        (3, [0, 1, 2] * 7),
        (3, [2] * 20 + [0]),  # the middle group is empty
    ])
@pytest.mark.parametrize('fusion', [True, False])
def test_depths_of_features_of_their_own(num_groups, joint_groups, fusion):
    cfg = toy_config(num_groups, fusion)
    cfg.model.neck.num_groups = 2 * num_groups
    cfg.model.head.separate_depth = True
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    randomize(model, joint_groups=joint_groups)
    assert_equal(to_deploy(model), model)


def test_joints_are_those_of_the_side_that_is_told():
    cfg = toy_config()
    cfg.model.head.update(side_loss=dict(type='BCELoss'), side_specific=True)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    randomize(model, joint_groups=[0, 1, 2] * 7)
    inputs = images(model, batch=8)
    with torch.no_grad():
        side = model.head.side_layers
        side[-2].weight.normal_(std=3.)
        logits = side(
            model.extract_feat(
                model.data_preprocessor(
                    dict(inputs=[*inputs], data_samples=[]))['inputs'])[-1])
        # half of them right ones
        side[-2].bias -= logits.sort()[0][3:5].mean()
        uv, depth, scores, right = to_deploy(model)(inputs)
    assert {bool(value > .5) for value in right} == {False, True}
    for found, expected in zip((uv, depth, scores), reference(model, inputs)):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_the_layout_of_the_trained_weights_does_not_matter():
    model = toy_model()
    plain = operators(to_deploy(model))
    form = to_deploy(model.to(memory_format=torch.channels_last))
    assert operators(form) == plain
    assert_equal(form, model)


@pytest.mark.parametrize('fusion', [True, False])
def test_groups_without_joints_cost_nothing(fusion):
    model = toy_model(3, fusion, joint_groups=[2] * 20 + [0])
    form = to_deploy(model)
    assert_equal(form, model)
    sizes = {
        node.args[1].target: getattr_by_path(form.trunk, node.args[1].target)
        for node in form.trunk.graph.nodes
        if node.target is aten.conv2d.default
    }
    # score and depth of each joint once: in its group
    assert sum(w.shape[0] for w in list(sizes.values())[-4:]
               if w.shape[0] in (2, 40)) == 42
    branches = [w for w in sizes.values() if w.shape[0] == 3 * 8]
    # through the fusion the middle group's feature is still read
    assert bool(branches) == fusion


def test_dead_groups_are_left_out():
    """Though their logits may be the highest."""
    model = toy_model(3, False, joint_groups=[1] * 21)
    model.head.selector.alive = torch.tensor([True, False, True])
    form = to_deploy(model)
    assert_equal(form, model)
    assert sorted(set(form.joint_groups.tolist())) == [0, 2]


def getattr_by_path(module, path):
    for name in path.split('.'):
        module = getattr(module, name)
    return module


def test_official_network():
    model = build_converted()
    with torch.no_grad():
        model.head.selector.logits.normal_(
            generator=torch.Generator().manual_seed(0))
    form = to_deploy(model)
    assert_equal(form, model, own_root=True)
    # the heat maps beside the feature are absorbed
    assert 277 not in {p.shape[1] for p in form.parameters() if p.ndim > 1}
    # those before an activation, after a sum, have no convolution to go to
    left = [
        n for n in form.trunk.graph.nodes
        if n.target is aten.batch_norm.default
    ]
    assert left and all(n.args[0].target not in (
        aten.conv2d.default,
        aten.conv_transpose2d.input) or len(n.args[0].users) > 1 for n in left)


def test_floats_are_taken_as_bytes_are():
    model = toy_model()
    form = to_deploy(model)
    inputs = images(model)
    for a, b in zip(form(inputs), form(inputs.float())):
        assert torch.equal(a, b)


@pytest.mark.parametrize('transposed', [False, True])
@pytest.mark.parametrize('groups', [1, 3])
@pytest.mark.parametrize('bias', [False, True])
def test_folding_a_batch_norm(transposed, groups, bias):
    torch.manual_seed(0)
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    # in and out differ, and square ones fold along the wrong axis unnoticed
    for channels in (6, 12):
        conv = kind(6, channels, 3, groups=groups, bias=bias)
        norm = nn.BatchNorm2d(channels).eval()
        for tensor in (norm.weight, norm.bias, norm.running_mean):
            nn.init.normal_(tensor)
        nn.init.uniform_(norm.running_var, .5, 2)
        weight, shift = _fold(conv.weight.detach(), conv.bias, norm.weight,
                              norm.bias, norm.running_mean, norm.running_var,
                              norm.eps, groups, transposed)
        x = torch.randn(2, 6, 5, 7)
        operation = F.conv_transpose2d if transposed else F.conv2d
        torch.testing.assert_close(
            operation(x, weight, shift, groups=groups),
            norm(conv(x)),
            rtol=1e-4,
            atol=1e-5)


def test_soft_and_sampled_assignments_are_refused():
    model = toy_model()
    model.head.selector.inference = 'soft'
    with pytest.raises(ValueError, match="inference='soft'.*argmax"):
        to_deploy(model)


def test_models_of_another_kind_are_named():
    cfg = toy_config().model
    cfg.neck = dict(type='mmpose.FeatureMapProcessor', select_index=0)
    model = MODELS.build(cfg)
    with pytest.raises(TypeError, match='got FeatureMapProcessor'):
        to_deploy(model)
