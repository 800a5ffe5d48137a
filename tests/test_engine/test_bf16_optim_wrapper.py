"""bf16 training steps where there is no GPU."""
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


@pytest.mark.parametrize('cpu, cuda, expected', [
    (True, False, torch.bfloat16),
    (False, False, torch.float32),
    (True, True, torch.float32),
])
def test_auto_is_bf16_where_the_cpu_has_it_and_there_is_no_gpu(
        cpu, cuda, expected, monkeypatch):
    monkeypatch.setattr(bf16_optim_wrapper, 'cpu_computes_bf16', lambda: cpu)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: cuda)
    assert forward_dtype(enabled='auto') == expected
    assert forward_dtype(enabled=False) == torch.float32
    assert forward_dtype(enabled=True) == torch.bfloat16


def test_what_torch_does_not_tell_counts_as_no(monkeypatch):
    for name in ('_is_amx_tile_supported', '_is_avx512_bf16_supported'):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert bf16_optim_wrapper.cpu_computes_bf16() is False


def test_other_words_are_refused():
    with pytest.raises(ValueError, match="True, False or 'auto', got 'on'"):
        forward_dtype(enabled='on')
