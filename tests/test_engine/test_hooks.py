"""Hooks: temperature schedule, logs, stops."""
import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import nn

from lgh_mmpose.engine import (ChannelsLastHook, ConcreteTemperatureHook,
                               NonFiniteLossHook)
from lgh_mmpose.models.layers import ConcreteSelector


class Scalars:
    """Stands for mmengine's visualizer: keeps what is written."""

    def __init__(self):
        self.lines = []

    def add_scalars(self, scalars, step):
        self.lines.append({**scalars, 'step': step})


def make_runner(selector, max_iters=10, neck_groups=None):
    model = nn.Module()
    model.neck = nn.Module()
    model.neck.num_groups = neck_groups or selector.logits.shape[1]
    model.head = nn.Module()
    model.head.selector = selector
    names = {0: 'wrist', 1: 'thumb1', 2: 'thumb2'}
    return SimpleNamespace(
        model=model,
        iter=0,
        rank=0,
        max_iters=max_iters,
        message_hub=MessageHub.get_instance('test_hooks'),
        visualizer=Scalars(),
        logger=logging.getLogger('test_hooks'),
        train_dataloader=SimpleNamespace(
            dataset=SimpleNamespace(metainfo=dict(keypoint_id2name=names))))


@pytest.mark.parametrize('schedule, values', [
    ('constant', [10, 10, 10, 10]),
    ('linear', [10, 7.5, 5, 5]),
    ('exp', [10, 50**0.5, 5, 5]),
])
def test_schedules_have_the_values_they_name(schedule, values):
    hook = ConcreteTemperatureHook(10, 5, schedule, until=0.8)
    got = [hook.temperature_at(p) for p in (0, 0.4, 0.8, 1)]
    assert got == pytest.approx(values)


def test_temperature_depends_on_the_iteration_alone():
    """A resumed run has the temperature of one that never stopped."""
    hook = ConcreteTemperatureHook(10, 1, 'exp', until=1.0)
    runner = make_runner(ConcreteSelector(3, 2))
    runner.iter = 5
    hook.before_train_iter(runner, 0)
    assert float(runner.model.head.selector.temperature) == pytest.approx(
        10**0.5)


def test_logs_what_the_selector_has_learned(caplog):
    selector = ConcreteSelector(3, 2)
    selector.logits.data = torch.tensor([[50., 0], [0, 50.], [0, 50.]])
    runner = make_runner(selector)
    hook = ConcreteTemperatureHook(interval=1)
    with caplog.at_level(logging.INFO, 'test_hooks'):
        hook.after_train_iter(runner, 0)
        hook.after_train_iter(runner, 1)  # unchanged: not told again
    line = runner.visualizer.lines[0]
    assert line['selector/entropy'] == pytest.approx(0, abs=1e-6)
    assert line['selector/largest_probability'] == pytest.approx(1)
    assert line['selector/probability/wrist/0'] == pytest.approx(1)
    assert line['selector/probability/thumb1/0'] == pytest.approx(0, abs=1e-6)
    assert line['selector/group_size/0'] == 1
    assert line['selector/group_size/1'] == 2
    json.dumps(line)  # plain numbers
    assert len(caplog.records) == 1
    assert 'group 0: wrist; group 1: thumb1, thumb2' in caplog.text
    uniform = make_runner(ConcreteSelector(3, 2))
    ConcreteTemperatureHook(interval=1).after_train_iter(uniform, 0)
    assert uniform.visualizer.lines[0]['selector/entropy'] == pytest.approx(
        np.log(2))


def test_lets_starved_groups_die_and_says_so(caplog):
    selector = ConcreteSelector(3, 2, min_joints=1., patience=2)
    selector.logits.data = torch.tensor([[3., 0], [3., 0], [3., 0]])
    runner = make_runner(selector, max_iters=100)
    hook = ConcreteTemperatureHook(interval=5)
    with caplog.at_level(logging.INFO, 'test_hooks'):
        for runner.iter in range(12):
            hook.after_train_iter(runner, runner.iter)
    assert [(line['step'], line['selector/num_alive_groups'])
            for line in runner.visualizer.lines] == [(5, 2), (10, 1)]
    assert runner.visualizer.lines[-1]['selector/probability/wrist/1'] == 0
    assert 'group 1 died in iteration 10, 1 are alive' in caplog.text


def test_counts_the_living_only_where_groups_may_die():
    runner = make_runner(ConcreteSelector(3, 2))
    ConcreteTemperatureHook(interval=1).after_train_iter(runner, 0)
    assert 'selector/num_alive_groups' not in runner.visualizer.lines[0]


@pytest.mark.parametrize('kwargs', [
    dict(start=0),
    dict(start=-1),
    dict(end=0),
    dict(start=float('nan')),
    dict(schedule='cosine'),
    dict(until=0),
])
def test_refuses_schedules_that_cannot_be(kwargs):
    with pytest.raises(ValueError):
        ConcreteTemperatureHook(**kwargs)


def test_names_what_it_needs_before_training():
    hook = ConcreteTemperatureHook()
    runner = make_runner(ConcreteSelector(3, 2), neck_groups=3)
    with pytest.raises(ValueError, match='must agree'):
        hook.before_train(runner)
    runner.model.head.selector = None
    with pytest.raises(ValueError, match='a head with a selector'):
        hook.before_train(runner)


def test_non_finite_loss_stops_and_names_the_samples():
    batch = dict(data_samples=[
        BaseDataElement(metainfo=dict(id=7, img_path='rgb/7.jpg')),
        BaseDataElement(metainfo=dict(id=9, img_path='rgb/9.jpg'))
    ])
    hook, runner = NonFiniteLossHook(), SimpleNamespace(iter=41)
    hook.after_train_iter(runner, 0, batch, dict(loss=torch.tensor(1.)))
    # a diagnostic that is not a loss does not stop a run
    hook.after_train_iter(runner, 0, batch, dict(error=torch.tensor(np.nan)))
    with pytest.raises(
            FloatingPointError,
            match=r'loss_uv.*iteration 42.*7 \(rgb/7.jpg\), 9 \(rgb/9.jpg\)'):
        hook.after_train_iter(runner, 0, batch,
                              dict(loss_uv=torch.tensor(float('nan'))))


class Derailed(BaseModel):
    """Goes wrong at sample 3, by its loss or by its gradient alone."""

    def __init__(self, what):
        super().__init__()
        self.what = what
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, inputs, data_samples, mode):
        if data_samples[0].id != 3:
            return dict(loss=self.weight.square())
        if self.what == 'loss':
            return dict(loss=self.weight * np.nan)
        return dict(loss=(self.weight - self.weight.detach()).sqrt())


@pytest.mark.parametrize('what, message', [
    ('loss', r"'loss': nan.* at iteration 4; samples of the batch: 3 \(3.jpg"),
    ('gradient', 'weight the first, after iteration 4'),
])
def test_a_derailed_run_keeps_its_last_good_checkpoint(what, message,
                                                       tmp_path):
    data = [
        dict(
            inputs=torch.zeros(1),
            data_samples=BaseDataElement(
                metainfo=dict(id=i, img_path=f'{i}.jpg'))) for i in range(4)
    ]
    runner = Runner(
        Derailed(what),
        str(tmp_path),
        experiment_name=f'derailed {what}',
        train_dataloader=dict(
            dataset=data,
            batch_size=1,
            sampler=dict(type='DefaultSampler', shuffle=False)),
        train_cfg=dict(by_epoch=False, max_iters=8),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=2,
                            by_epoch=False)),
        custom_hooks=[NonFiniteLossHook()])
    with pytest.raises(FloatingPointError, match=message):
        runner.train()
    assert [path.name for path in tmp_path.glob('*.pth')] == ['iter_2.pth']
    last = (tmp_path / 'last_checkpoint').read_text()
    assert torch.isfinite(torch.load(last)['state_dict']['weight']).all()


def test_channels_last_reaches_the_activations():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3))
    ChannelsLastHook().before_run(SimpleNamespace(model=model))
    out = model(torch.randn(2, 3, 8, 8))
    assert out.is_contiguous(memory_format=torch.channels_last)
