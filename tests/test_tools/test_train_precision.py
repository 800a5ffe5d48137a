"""How --amp, --no-amp and --compile change a config."""
import runpy
import sys

import pytest
import torch
from helpers import REPO_ROOT
from mmengine.config import Config

set_precision = runpy.run_path(str(REPO_ROOT /
                                   'tools/train.py'))['set_precision']


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


@pytest.mark.parametrize('script, words', [
    ('train.py', ['config.py']),
    ('test.py', ['config.py', __file__]),
])
@pytest.mark.parametrize('mode', [None, 'reduce-overhead'])
def test_compile_adds_its_hook(script, words, mode, monkeypatch):
    main = runpy.run_path(str(REPO_ROOT / 'tools' / script))
    monkeypatch.setattr(
        sys, 'argv',
        [script, *words, '--compile', *([] if mode is None else [mode])])
    cfg = Config(dict(custom_hooks=[dict(type='NonFiniteLossHook')]))
    main['merge_args'](cfg, main['parse_args']())
    assert [hook['type'] for hook in cfg.custom_hooks
            ] == ['NonFiniteLossHook', 'CompileHook']
    assert cfg.custom_hooks[1]['mode'] == (mode or 'default')
