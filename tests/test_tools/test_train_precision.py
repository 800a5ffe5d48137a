"""How --amp and --no-amp change a config."""

import pytest
import torch
from helpers import REPO_ROOT, run_file
from mmengine.config import Config

set_precision = run_file(REPO_ROOT / 'tools/train.py')['set_precision']


def wrapper(amp, **optim_wrapper):
    cfg = Config(dict(optim_wrapper=optim_wrapper))
    set_precision(cfg, amp)
    return cfg.optim_wrapper.to_dict()


@pytest.mark.parametrize('kind', [
    dict(type='OptimWrapper'),
    dict(type='Bf16OptimWrapper', enabled='auto'),
    dict(type='AmpOptimWrapper', loss_scale='dynamic', dtype='float16'),
    dict(),
])
def test_without_a_gpu(kind, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    for amp in (True, False):
        assert wrapper(
            amp, **kind, clip_grad=dict(max_norm=1)) == dict(
                type='Bf16OptimWrapper',
                enabled=amp,
                clip_grad=dict(max_norm=1))


@pytest.mark.parametrize('kind', [
    dict(type='OptimWrapper'),
    dict(type='Bf16OptimWrapper', enabled='auto'),
])
def test_with_a_gpu(kind, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert wrapper(True, **kind) == dict(
        type='AmpOptimWrapper', loss_scale='dynamic')
    assert wrapper(False, **kind)['enabled'] is False


@pytest.mark.parametrize('amp, option', [(True, '--amp'), (False, '--no-amp')])
def test_other_wrappers_are_not_replaced(amp, option):
    with pytest.raises(ValueError, match=f'{option} cannot replace.*Apex'):
        wrapper(amp, type='ApexOptimWrapper')
