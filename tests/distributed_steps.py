"""What several processes do, for torchrun: gradients, draws, FSDP.

Usage: distributed_steps.py DATA_ROOT WORK_DIR. Writes WORK_DIR/result.json.
"""
import copy
import json
import os.path as osp
import re
import sys

import numpy as np
import torch
from helpers import REPO_ROOT
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import MODEL_WRAPPERS, RUNNERS, init_default_scope
from mmengine.runner import set_random_seed

import lgh_mmpose  # noqa: F401
from lgh_mmpose.compat import setup_cpu_distributed
from lgh_mmpose.config import set_data_root

TOY_NETWORK = {
    'model.backbone.stem_channels': 8,
    'model.backbone.base_channels': 8,
    'model.neck.in_channels': (8, 16, 32),
    'model.neck.stem_channels': 16,
    'model.neck.shared_channels': (16, ),
    'model.neck.group_channels': 8,
    'model.head.in_channels': 8,
}


def toy_config(data_root, work_dir):
    cfg = Config.fromfile(REPO_ROOT / 'configs/lgh_studiohand.py')
    cfg.merge_from_dict(TOY_NETWORK)
    return train_briefly(cfg, data_root, work_dir)


def train_briefly(cfg, data_root, work_dir):
    set_data_root(cfg, data_root)
    cfg.train_dataloader.update(
        batch_size=4, num_workers=0, persistent_workers=False)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.test_cfg = cfg.test_dataloader = cfg.test_evaluator = None
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1)
    cfg.work_dir = work_dir
    cfg.launcher = 'pytorch'
    setup_cpu_distributed(cfg)
    return cfg


def gradients(model, batch):
    """Backward pass of the plain loss; gradients by name."""
    module = model.module if is_model_wrapper(model) else model
    data = module.data_preprocessor(pseudo_collate(batch), training=True)
    data['inputs'] = data['inputs'].double()
    loss, _ = module.parse_losses(model(**data, mode='loss'))
    loss.backward()
    return {
        name: p.grad.clone()
        for name, p in module.named_parameters() if p.grad is not None
    }


def first_weight(model):
    return next(model.backbone.parameters()).detach().flatten()[0].item()


def compare_gradients(cfg):
    """Processes together against one with all their samples."""
    from mmpose.registry import DATASETS, MODELS
    set_random_seed(**cfg.randomness)
    pipeline = cfg.train_dataloader.dataset.pipeline
    dataset = DATASETS.build(
        dict(
            cfg.train_dataloader.dataset,
            # the same samples in all processes
            pipeline=[
                t for t in pipeline
                if not re.search('Random|ExchangeAmplitude', t.type)
            ]))
    samples = [dataset[i] for i in range(8)]
    # no noise, and no statistics that each process has of its own
    cfg.model.head.selector.inference = 'soft'
    model = MODELS.build(cfg.model).eval()
    model.init_weights()
    draws = all_gather_object(
        dict(
            selector=model.head.selector.sample().flatten().tolist(),
            numpy=float(np.random.rand()),
            weight=first_weight(model)))
    # as ChannelsLastHook does; double, since rounding is not the question
    model = model.to(torch.double, memory_format=torch.channels_last)
    wrapper = MODEL_WRAPPERS.build(
        cfg.model_wrapper_cfg, default_args=dict(module=model))
    one = copy.deepcopy(model)
    mine = samples[get_rank()::get_world_size()]
    together, alone = gradients(wrapper, mine), gradients(one, samples)
    assert together.keys() == alone.keys()
    return dict(
        draws=draws,
        weights=all_gather_object(first_weight(model)),
        num_gradients=len(alone),
        gradient_error=max(
            float((together[name] - g).abs().max() /
                  g.abs().max().clamp_min(1e-6)) for name, g in alone.items()),
        largest_gradient=max(float(g.abs().max()) for g in alone.values()))


class StepHook(Hook):
    """Looks at what a step does to the weights that lie here."""

    def before_train(self, runner):
        self.before = [p.detach().clone() for p in runner.model.parameters()]

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        self.loss = float(outputs['loss'])
        changed = sum(
            int((now != then).sum())
            for now, then in zip(runner.model.parameters(), self.before))
        self.changed = changed / sum(then.numel() for then in self.before)


def train_with_fsdp(data_root, work_dir):
    """A step of the shipped config, as it is."""
    cfg = train_briefly(
        Config.fromfile(REPO_ROOT / 'configs/lgh_fsdp_freihand.py'), data_root,
        work_dir)
    cfg.train_dataloader.batch_size = 2
    cfg.train_dataloader.dataset.indices = 2 * get_world_size()
    runner = RUNNERS.get(cfg.runner_type).from_cfg(cfg)
    hook = StepHook()
    runner.register_hook(hook)
    runner.train()
    local = sum(p.numel() for p in runner.model.parameters())
    cfg.update(
        experiment_name='again',
        resume=True,
        load_from=osp.join(work_dir, 'epoch_1.pth'))
    cfg.train_cfg.max_epochs = 2
    again = RUNNERS.get(cfg.runner_type).from_cfg(cfg)
    again.train()
    return dict(
        iterations=[runner.iter, again.iter],
        wrapper=type(runner.model).__name__,
        parameters_here=local,
        loss=hook.loss,
        changed=hook.changed)


def main():
    data_root, work_dir = sys.argv[1:]
    torch.set_num_threads(1)
    init_default_scope('mmpose')
    result = compare_gradients(toy_config(data_root, work_dir))
    result.update(train_with_fsdp(data_root, work_dir))
    if get_rank() == 0:
        with open(osp.join(work_dir, 'result.json'), 'w') as file:
            json.dump(result, file)


if __name__ == '__main__':
    main()
