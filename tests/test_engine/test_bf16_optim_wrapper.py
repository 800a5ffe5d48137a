"""bf16 training steps where there is no GPU."""
import logging

import pytest
import torch
from mmpose.registry import OPTIM_WRAPPERS
from torch import nn

from lgh_mmpose.engine import Bf16OptimWrapper
from lgh_mmpose.engine.optim_wrappers import bf16_optim_wrapper


def build(model, **options):
    return OPTIM_WRAPPERS.build(
        dict(
            type='Bf16OptimWrapper',
            optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
            **options))


def forward_dtype(**options):
    model = nn.Linear(4, 4)
    with build(model, **options).optim_context(model):
        return model(torch.ones(2, 4)).dtype


def test_forward_runs_in_bf16_and_weights_stay_fp32():
    model = nn.Linear(4, 4)
    before = model.weight.detach().clone()
    wrapper = build(model)
    assert isinstance(wrapper, Bf16OptimWrapper)
    with wrapper.optim_context(model):
        out = model(torch.ones(2, 4))
    assert out.dtype == torch.bfloat16
    wrapper.update_params(out.float().square().mean())
    assert model.weight.dtype == torch.float32
    assert not torch.equal(model.weight, before)
    assert model(torch.ones(2, 4)).dtype == torch.float32


@pytest.mark.parametrize('cuda', [False, True])
def test_auto_is_bf16_where_the_cpu_has_it_and_there_is_no_gpu(
        cpu_bf16, cuda, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: cuda)
    bf16 = cpu_bf16 and not cuda
    assert forward_dtype(enabled='auto') == (
        torch.bfloat16 if bf16 else torch.float32)
    assert forward_dtype(enabled=False) == torch.float32
    assert forward_dtype(enabled=True) == torch.bfloat16


@pytest.mark.parametrize('enabled, cuda, message', [
    ('auto', False, 'training in {}: this CPU '),
    ('auto', True, 'training in fp32: there is a GPU'),
    (True, False, 'training in bf16 (autocast){}'),
    (True, True, 'training in bf16 (autocast)'),
    (False, False, 'training in fp32'),
])
def test_the_log_says_what_and_why(cpu_bf16, enabled, cuda, message,
                                   monkeypatch):
    said = []
    monkeypatch.setattr(bf16_optim_wrapper, 'print_log',
                        lambda text, level, **_: said.append((level, text)))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: cuda)
    forward_dtype(enabled=enabled)
    (level, text), = said
    if enabled == 'auto':
        message = message.format('bf16 (autocast)' if cpu_bf16 else 'fp32')
    else:
        imitated = ', which torch imitates, slowly: this CPU has no bf16'
        message = message.format('' if cpu_bf16 else imitated)
    assert text.startswith(message)
    # what is asked for and will take long is no mere information
    imitated = 'imitates' in text
    assert imitated == (enabled is True and not cuda and not cpu_bf16)
    assert level == (logging.WARNING if imitated else logging.INFO)


def test_other_words_are_refused():
    with pytest.raises(ValueError, match="True, False or 'auto', got 'on'"):
        forward_dtype(enabled='on')
