"""What is for a GPU alone gives what eager fp32 on it gives."""
import logging
from types import SimpleNamespace

import pytest
import torch
from deploy_models import toy_config, toy_model
from helpers import REPO_ROOT, run_file
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmpose.registry import DATASETS, HOOKS

from lgh_mmpose.config import set_data_root

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason='needs a CUDA GPU')
DEVICE = 'cuda'

set_precision = run_file(REPO_ROOT / 'tools/train.py')['set_precision']


@pytest.fixture(autouse=True)
def exact_convolutions(monkeypatch):
    """TF32, cuDNN's default, rounds to 10 bits, by each algorithm in turn."""
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)


def joints_of(model, images):
    """Feature of the neck, uv and depth of images (B, 3, H, W), uint8."""
    data = model.data_preprocessor(dict(inputs=[*images], data_samples=[]))
    feats = model.extract_feat(data['inputs'])
    # a CUDA graph gives its answers in the same memory each time
    return feats[-1].clone(), *model.head(feats)


@pytest.mark.parametrize(
    'option', [
        dict(type='ChannelsLastHook'),
        dict(type='CompileHook'),
        dict(type='CompileHook', mode='reduce-overhead'),
    ],
    ids=['channels_last', 'compile', 'cuda_graphs'])
@torch.no_grad()
def test_forward_equals_eager(option):
    model = toy_model().to(DEVICE)
    generator = torch.Generator().manual_seed(0)
    batches = torch.randint(
        0, 256, (4, 2, 3, 96, 96), generator=generator).to(torch.uint8)
    eager = [joints_of(model, images) for images in batches]
    hook = HOOKS.build(option)
    hook.before_run(
        SimpleNamespace(model=model, logger=logging.getLogger('test_gpu')))
    for i, images in enumerate(batches):
        hook.before_test_iter(None, batch_idx=i)
        feat, uv, depth = joints_of(model, images)
        assert uv.device.type == DEVICE
        if option['type'] == 'ChannelsLastHook':
            assert feat.is_contiguous(memory_format=torch.channels_last)
        for got, expected, atol in zip((uv, depth), eager[i][1:],
                                       (1e-2, 1e-3)):
            torch.testing.assert_close(got, expected, rtol=0, atol=atol)


def test_amp_trains(studiohand_root):
    """fp16 with loss scaling, which ``tools/train.py --amp`` switches on."""
    cfg = toy_config()
    set_data_root(cfg, str(studiohand_root))
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    data = pseudo_collate([dataset[i] for i in range(4)])
    first = {}
    for amp in (False, True):
        set_precision(cfg, amp)
        model = toy_model().to(DEVICE).train()
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        before = {k: v.clone() for k, v in model.named_parameters()}
        seen = []
        handle = model.backbone.register_forward_hook(
            lambda module, args, out, seen=seen: seen.append(out[0].dtype))
        torch.manual_seed(0)
        # the first steps of a dynamic scale overflow and are left out
        losses = [model.train_step(data, wrapper)['loss'] for _ in range(20)]
        handle.remove()
        assert seen[0] == (torch.float16 if amp else torch.float32)
        assert torch.stack(losses).isfinite().all()
        for name, parameter in model.named_parameters():
            assert parameter.isfinite().all(), name
        assert not all(
            torch.equal(before[k], v) for k, v in model.named_parameters())
        first[amp] = losses[0]
    torch.testing.assert_close(first[True], first[False], rtol=.1, atol=0)
