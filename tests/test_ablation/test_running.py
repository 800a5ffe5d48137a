"""One run: trained on its budget, resumed after a kill, done only once."""
import json
import os
from contextlib import contextmanager

import pytest
import torch
import yaml
from helpers import REPO_ROOT

from lgh_mmpose.ablation import (Run, read_plan, read_results, run_variant,
                                 running)
from lgh_mmpose.models.layers.fixed_selectors import joint_names

PLAN = dict(
    title='A toy?',
    config=str(REPO_ROOT / 'configs/lgh_studiohand.py'),
    budget=dict(samples=16),
    seeds=[0],
    baseline='one',
    variants=dict(
        one={
            'model.neck.num_groups': 1,
            'model.head.num_groups': 1,
            'train_dataloader.batch_size': 4
        },
        two={
            'model.neck.num_groups': 2,
            'model.head.num_groups': 2,
            'train_dataloader.batch_size': 4
        }))


@pytest.fixture
def toy(tmp_path, freihand_root):
    """A plan of 16 samples, two epochs of eight, and how to run it."""
    path = tmp_path / 'toy.yaml'
    path.write_text(yaml.safe_dump(PLAN))

    def run(variant='two', results='toy.jsonl', work='work'):
        run_variant(path, (variant, 0), str(freihand_root), tmp_path / work,
                    tmp_path / results)
        return read_results(tmp_path / results)

    run.plan = read_plan(path)
    run.data = running.describe_data(
        run.plan.variant_config('two', str(freihand_root)))
    run.folder = running.run_folder(tmp_path / 'work', run.plan, Run('two', 0),
                                    run.data)
    return run


def test_goes_on_where_it_was_killed_and_stops_when_done(toy, monkeypatch):
    cores = os.sched_getaffinity(0)

    class KilledError(BaseException):
        pass

    def kill(self, runner, *args, **kwargs):
        # between the two epochs' checkpoints
        if runner.iter == 2:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(running.ProgressHook, 'before_train_iter', kill)
        with pytest.raises(KilledError):
            toy()
    assert [p.name for p in toy.folder.glob('*.pth')] == ['epoch_1.pth']
    # what a second kill in the middle of a write leaves
    (toy.folder / 'epoch_2.pth').write_bytes(b'PK half a checkpoint')
    (toy.folder / 'last_checkpoint').write_text('')
    result, = toy()
    assert result['resumed_from'] == 8 and result['samples'] == 16
    assert [point[0] for point in result['curve']] == [8, 16]
    assert result['curve'][-1][1] == pytest.approx(result['mpjpe_mm'])
    assert 0 < result['pa_mpjpe_mm'] <= result['mpjpe_mm']
    # the root, to which all is aligned, has no error of its own
    joints = dict(zip(result['joint_names'], result['joint_mpjpe_mm']))
    assert joints['middle_finger1'] == pytest.approx(0, abs=1e-6)
    assert sum(joints.values()) / 21 == pytest.approx(result['mpjpe_mm'])
    assert result['learned'] and set(result['groups']) <= {0, 1}
    assert result['cpu_seconds'] > 0 < result['wall_seconds']
    assert running.read_progress(toy.folder) == (4, 4)
    # more is nothing: the result is there
    before = sorted(p.name for p in toy.folder.iterdir())
    assert toy() == [result]
    assert sorted(p.name for p in toy.folder.iterdir()) == before
    assert os.sched_getaffinity(0) == cores


def test_data_are_described_as_they_are_not_as_far_as_they_are_used(
        toy, monkeypatch):
    """Or results of faster variants would count as of other data."""
    monkeypatch.setattr(running, 'num_samples', lambda *args: 4)
    result, = toy('one')
    assert result['samples'] == 4
    assert result['data'] == toy.data and toy.data['training'] == 8


def test_leaves_a_run_to_the_process_that_is_at_it(toy):
    with running.locked(toy.folder / 'lock') as held:
        assert held
        assert toy() == []
    assert not list(toy.folder.glob('*.pth'))


def test_budget_of_time_holds_fewer_samples_of_a_slower_variant(
        toy, monkeypatch, tmp_path):
    seconds = dict(one=.01, two=.02)
    plan = toy.plan._replace(budget=dict(cpu_seconds=4))
    asked = []

    def measure(plan, variant, data_root, folder):
        asked.append(variant)
        return seconds[variant]

    class Inline:
        """Stands for the pool: calls at once, in this process."""

        def __init__(self, *args, **kwargs):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *args):
            pass

        def submit(self, function, *args):
            value = measure(*args)
            return type('Future', (), dict(result=lambda _: value))()

    monkeypatch.setattr(running, 'ProcessPoolExecutor', Inline)
    for _ in range(2):  # measured once for all seeds
        for variant, expected in (('one', 400), ('two', 200)):
            assert running.num_samples(plan, variant, None,
                                       tmp_path) == expected
    assert asked == ['one', 'two']


def test_speed_is_measured_by_a_short_training(toy, tmp_path, freihand_root,
                                               monkeypatch):
    monkeypatch.setattr(running, 'PROBE_ITERS', 4)
    monkeypatch.setattr(running, 'WARM_UP_ITERS', 2)
    seconds = running.measure_speed(toy.plan, 'one', str(freihand_root),
                                    tmp_path / 'probe')
    assert 0 < seconds < 60
    assert not list((tmp_path / 'probe').glob('*.pth'))


def test_gmacs_known_answer():
    """A 3x3 convolution from 3 to 4 channels on 8x6 pixels."""

    class Model(torch.nn.Module):

        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 3, padding=1)
            self.head = torch.nn.Module()
            self.head.decoder = torch.nn.Module()
            self.head.decoder.input_size = (8, 6)

        def forward(self, inputs, data_samples, mode):
            return self.conv(inputs)

    model = Model().train()
    assert running.count_gmacs(model) == pytest.approx(9 * 3 * 4 * 48 / 1e9)
    assert model.training


def test_cores_are_not_shared(tmp_path):
    core = min(os.sched_getaffinity(0))
    with running.own_core(tmp_path, [core]) as mine:
        assert mine == core and os.sched_getaffinity(0) == {core}
        name, = (path.name for path in tmp_path.iterdir())
        with running.locked(tmp_path / name, wait=False) as free:
            assert not free
    with running.locked(tmp_path / name, wait=False) as free:
        assert free


def test_groups_that_change_while_a_run_waits_are_an_error(
        tmp_path, freihand_root, monkeypatch):
    names = joint_names()
    file = tmp_path / 'groups.json'

    def write(size):
        file.write_text(json.dumps(dict(groups=[names[:size], names[size:]])))

    @contextmanager
    def wait(*_):
        write(9)
        yield 0

    write(8)
    path = tmp_path / 'toy.yaml'
    options = {
        **PLAN['variants']['two'], 'model.head.selector':
        dict(_delete_=True, type='FileSelector', file=str(file))
    }
    path.write_text(
        yaml.safe_dump(dict(PLAN, variants=dict(one={}, two=options))))
    monkeypatch.setattr(running, 'own_core', wait)
    with pytest.raises(ValueError, match='of two have changed while'):
        run_variant(path, ('two', 0), str(freihand_root), tmp_path / 'work',
                    tmp_path / 'toy.jsonl')
    assert not (tmp_path / 'toy.jsonl').exists()
