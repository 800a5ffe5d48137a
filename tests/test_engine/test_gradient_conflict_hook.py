"""Which joints disturb each other, measured beside a training."""
import json

import numpy as np
import pytest
import torch
from deploy_models import toy_config
from mmengine.runner import Runner

from lgh_mmpose.config import set_data_root
from lgh_mmpose.engine import GradientConflictHook
from lgh_mmpose.engine.hooks.gradient_conflict_hook import (CONFLICTS_FILE,
                                                            measure_conflicts)


def config(freihand_root, work_dir, interval=None):
    cfg = toy_config()
    set_data_root(cfg, str(freihand_root))
    cfg.work_dir = str(work_dir)
    loader = cfg.train_dataloader
    loader.batch_size, loader.num_workers = 2, 0
    loader.persistent_workers = False
    cfg.train_cfg.update(max_epochs=2, val_interval=2)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.randomness = dict(seed=0)
    cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=1)
    if interval:
        cfg.custom_hooks.append(
            dict(type='GradientConflictHook', interval=interval))
    return cfg


def train(cfg):
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def lines(folder):
    text = (folder / CONFLICTS_FILE).read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope='module')
def runs(freihand_root, tmp_path_factory):
    """A training with the hook and one without, and the first's folder."""
    folder = tmp_path_factory.mktemp('conflicts')
    return (train(config(freihand_root, folder / 'with', 2)),
            train(config(freihand_root, folder / 'without')), folder / 'with')


def test_writes_what_the_joints_pull(runs):
    runner, _, folder = runs
    written = lines(folder)
    assert [line['iter']
            for line in written] == list(range(2, runner.max_iters + 1, 2))
    for line in written:
        assert len(line['joints']) == 21 and line['joints'][0] == 'wrist'
        cosines = np.array(line['cosines'], float)
        assert cosines.shape == (42, 42)
        np.testing.assert_array_equal(cosines, cosines.T)
        known = ~np.isnan(cosines)
        assert np.abs(cosines[known]).max() <= 1
        np.testing.assert_allclose(np.diag(cosines)[known.diagonal()], 1)
        assert min(line['norms']['uv'] + line['norms']['depth']) >= 0


def test_the_training_is_what_it_is_without(runs):
    states = [runner.model.state_dict() for runner in runs[:2]]
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def test_cosines_and_norms_are_those_of_one_gradient(runs):
    """|sum of g|^2 = sum of n_i n_j cos_ij, and the sum is the loss's."""
    runner = runs[0]
    model, batch = runner.model, next(iter(runner.train_dataloader))
    model.train()
    torch.manual_seed(1)
    found = measure_conflicts(model, batch)
    norms = np.array(found['norms']['uv'] + found['norms']['depth'])
    cosines = np.nan_to_num(np.array(found['cosines'], float))
    torch.manual_seed(1)  # draws the same groups
    data = model.data_preprocessor(batch, True)
    shared, grouped = model.extract_feat(data['inputs'])
    losses = model.head.loss((shared, grouped), data['data_samples'])
    gradient, = torch.autograd.grad(losses['loss_uv'] + losses['loss_depth'],
                                    shared)
    assert norms @ cosines @ norms == pytest.approx(
        float(gradient.norm())**2, rel=.02)


def test_a_resumed_run_has_each_iteration_once(runs, freihand_root, tmp_path):
    folder = runs[2]
    cfg = config(freihand_root, tmp_path, 2)
    before = (folder / CONFLICTS_FILE).read_text()
    (tmp_path / CONFLICTS_FILE).write_text(before + '{"iter": 999, "jo')
    cfg.resume, cfg.load_from = True, str(folder / 'epoch_1.pth')
    train(cfg)
    assert [line['iter'] for line in lines(tmp_path)
            ] == [line['iter'] for line in lines(folder)]


def test_what_cannot_be_measured_is_refused_before_the_run(
        runs, freihand_root, tmp_path):
    with pytest.raises(ValueError, match='at least 1'):
        GradientConflictHook(interval=0)
    runner = runs[0]
    neck, runner.model.neck = runner.model.neck, torch.nn.Identity()
    with pytest.raises(ValueError, match='needs a GroupFusionNeck'):
        GradientConflictHook().before_train(runner)
    runner.model.neck = neck
