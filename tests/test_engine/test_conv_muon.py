"""Muon for convolutions, AdamW for the rest."""
import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmpose.registry import OPTIMIZERS
from torch import nn

from lgh_mmpose.engine import ConvMuon
from lgh_mmpose.engine.optimizers.conv_muon import orthogonalize


def after_steps(optimizer_type, values, gradients, **kwargs):
    param = nn.Parameter(values.clone())
    without_gradient = nn.Parameter(torch.zeros(1, 1, 1, 1))
    params = [param] if optimizer_type is not ConvMuon else [
        param, without_gradient
    ]
    optimizer = optimizer_type(params, **kwargs)
    for gradient in gradients:
        param.grad = gradient.clone()
        optimizer.step()
    return param.detach()


def random_steps(*shape, num=4):
    torch.manual_seed(0)
    return torch.randn(*shape), [torch.randn(*shape) for _ in range(num)]


@pytest.mark.parametrize('shape', [(16, 40), (40, 16), (24, 24)])
def test_orthogonalize_keeps_directions_and_evens_out_lengths(shape, cpu_bf16):
    torch.manual_seed(0)
    left, values, right = torch.linalg.svd(
        torch.randn(shape), full_matrices=False)
    # as unequal as those of a gradient, to the scale
    values = torch.logspace(0, -1, len(values)) * 1e-4
    result = orthogonalize(left * values @ right, steps=5)
    projected = left.T @ result @ right.T
    assert projected.diagonal().min() > 0.5
    assert projected.diagonal().max() < 1.4
    off_diagonal = projected - projected.diagonal().diag()
    assert off_diagonal.abs().max() < 0.1


def test_zero_gradient_gives_no_step():
    assert orthogonalize(torch.zeros(16, 16)).abs().max() == 0


def test_step_on_a_matrix_is_that_of_torch(cpu_bf16):
    muon = getattr(torch.optim, 'Muon', None)
    if muon is None:
        pytest.skip('torch.optim.Muon came with torch 2.9')
    values, gradients = random_steps(20, 50)
    kwargs = dict(lr=0.05, weight_decay=0.1, momentum=0.9)
    expected = after_steps(
        muon,
        values,
        gradients,
        adjust_lr_fn='match_rms_adamw',
        ns_steps=5,
        **kwargs)
    result = after_steps(
        ConvMuon,
        values[..., None, None], [g[..., None, None] for g in gradients],
        newton_schulz_steps=5,
        **kwargs).flatten(1)
    # the two round to bf16 at different places
    step = (expected - values).norm()
    assert (result - expected).norm() < 0.02 * step


def test_a_convolution_is_the_matrix_of_its_output_channels():
    values, gradients = random_steps(16, 8, 3, 3)
    conv = after_steps(ConvMuon, values, gradients)
    matrix = after_steps(ConvMuon, values.reshape(16, -1, 1, 1),
                         [g.reshape(16, -1, 1, 1) for g in gradients])
    torch.testing.assert_close(conv.flatten(1), matrix.flatten(1))


def test_parameters_without_a_convolution_are_refused():
    with pytest.raises(ValueError, match='no weight of a convolution'):
        ConvMuon([nn.Parameter(torch.zeros(1000))])


@pytest.mark.parametrize(
    'shape', [(32, ), (32, 1, 3, 3), (21, 3), (21, 21)],
    ids=['bias', 'depthwise convolution', 'selector', 'large selector'])
def test_all_else_is_left_to_adamw(shape):
    values, gradients = random_steps(*shape)
    kwargs = dict(lr=0.01, weight_decay=0.1, betas=(0.8, 0.9))
    torch.testing.assert_close(
        after_steps(ConvMuon, values, gradients, **kwargs),
        after_steps(torch.optim.AdamW, values, gradients, **kwargs))


def test_goes_on_from_its_state():
    values, gradients = random_steps(16, 16, 1, 1, num=2)
    bias, bias_gradients = random_steps(16, num=2)
    params = [nn.Parameter(values), nn.Parameter(bias)]
    optimizer = ConvMuon(params)

    def step(optimizer, params, i):
        params[0].grad, params[1].grad = gradients[i], bias_gradients[i]
        optimizer.step()

    step(optimizer, params, 0)
    resumed_params = [nn.Parameter(p.detach().clone()) for p in params]
    resumed = ConvMuon(resumed_params)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    step(optimizer, params, 1)
    step(resumed, resumed_params, 1)
    for param, resumed_param in zip(params, resumed_params):
        torch.testing.assert_close(param, resumed_param, rtol=0, atol=0)


def test_is_configured_as_any_optimizer_of_mmpose():
    model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16))
    wrapper = build_optim_wrapper(
        model,
        dict(
            optimizer=dict(type='ConvMuon', lr=0.01),
            paramwise_cfg=dict(custom_keys={'1': dict(lr_mult=20.)})))
    assert OPTIMIZERS.get('ConvMuon') is ConvMuon
    assert sorted({g['lr'] for g in wrapper.param_groups}) == [0.01, 0.2]
