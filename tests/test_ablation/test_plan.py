"""Plans are checked before anything runs; the shipped ones hold together."""
import importlib.util
import json

import pytest
import torch
import yaml
from helpers import REPO_ROOT
from mmpose.registry import MODELS

from lgh_mmpose.ablation import Run, read_plan
from lgh_mmpose.models.layers.fixed_selectors import joint_names

PLANS = sorted((REPO_ROOT / 'configs/ablations').glob('*.yaml'))
CONFIG = REPO_ROOT / 'configs/lgh_studiohand.py'
GOOD = dict(
    title='A question?',
    config=str(CONFIG),
    budget=dict(samples=96),
    seeds=[0, 1],
    baseline='one',
    variants=dict(
        one={
            'model.neck.num_groups': 1,
            'model.head.num_groups': 1
        },
        three=None))


def write(path, **changes):
    path.write_text(yaml.safe_dump({**GOOD, **changes}))
    return path


def test_runs_go_seed_by_seed(tmp_path):
    plan = read_plan(write(tmp_path / 'toy.yaml'))
    assert plan.name == 'toy'
    assert plan.runs == [
        Run('one', 0),
        Run('three', 0),
        Run('one', 1),
        Run('three', 1)
    ]


def test_settings_tell_runs_apart_that_differ(tmp_path):
    plan = read_plan(write(tmp_path / 'toy.yaml'))
    assert plan.settings('one') != plan.settings('three')
    assert plan.settings('three') == plan.base_settings
    # the same again, wherever the data lie
    assert plan.settings('one') == read_plan(write(
        tmp_path / 'again.yaml')).settings('one')
    more = read_plan(write(tmp_path / 'more.yaml', budget=dict(samples=97)))
    assert more.settings('one') != plan.settings('one')


def test_other_groups_in_a_file_are_other_settings(tmp_path):
    names = joint_names()
    file = tmp_path / 'groups.json'

    def settings(groups, **more):
        file.write_text(json.dumps(dict(groups=groups, **more)))
        selector = {
            '_delete_': True,
            'type': 'FileSelector',
            'file': str(file)
        }
        given = {'_delete_': True, 'type': 'ConcreteSelector'}
        plan = read_plan(
            write(
                tmp_path / 'toy.yaml',
                variants=dict(
                    one={'model.head.selector': selector},
                    start={
                        'model.head.selector':
                        dict(given, init_groups=dict(selector))
                    })))
        return [plan.settings(variant) for variant in ('one', 'start')]

    before = settings([names[:7], names[7:14], names[14:]])
    # what else stands there trains nothing
    assert settings([names[:7], names[7:14], names[14:]],
                    source='elsewhere') == before
    for now, then in zip(
            settings([names[:8], names[8:14], names[14:]]), before):
        assert now != then
    with pytest.raises(ValueError, match='groups.json: .*wrist'):
        settings([names[1:7], names[7:14], names[14:]])


def test_a_variant_is_the_same_however_often_it_is_asked_for(tmp_path):
    """mmengine takes `_delete_` out of the settings that it merges."""
    selector = {'_delete_': True, 'type': 'FingerSelector'}
    plan = read_plan(
        write(
            tmp_path / 'toy.yaml',
            variants=dict(one=None, finger={'model.head.selector': selector})))
    for _ in range(2):
        cfg = plan.variant_config('finger', 'some/where')
        assert cfg.model.head.selector.to_dict() == dict(type='FingerSelector')
        assert cfg.train_dataloader.dataset.data_root == 'some/where'


@pytest.mark.parametrize('changes, message', [
    (dict(budget=dict(hours=3)), 'samples or cpu_seconds'),
    (dict(budget=dict(samples=1, cpu_seconds=1)), 'samples or cpu_seconds'),
    (dict(budget=dict(samples=0)), 'positive number'),
    (dict(budget=dict(samples='many')), 'positive number'),
    (dict(seeds=[0, 0]), 'different numbers'),
    (dict(budget=dict(samples=10**401)), 'positive number'),
    (dict(budget=dict(cpu_seconds=float('nan'))), 'positive number'),
    (dict(seeds=[2**32]), 'different numbers'),
    (dict(seeds=[]), 'different numbers'),
    (dict(seeds=3), 'different numbers'),
    (dict(baseline='two'), "'two' is no variant"),
    (dict(baseline=['one', 'two']), "'two' is no variant"),
    (dict(baseline=['one', 'one']), 'stands there twice'),
    (dict(baseline=[]), 'names no variant'),
    (dict(baseline=[['one']]), 'is no variant'),
    (dict(variants=['one']), 'must map names'),
    (dict(variants={'../one': None}), 'named by letters'),
    (dict(variants=dict(one=3)), 'dotted keys'),
    (dict(config='nowhere.py'), 'config not found'),
    (dict(title=3), 'title must be text'),
    (dict(colour='blue'), "unknown key 'colour'"),
])
def test_refuses_a_plan_that_means_nothing(tmp_path, changes, message):
    path = write(tmp_path / 'toy.yaml', **changes)
    with pytest.raises(ValueError, match=message) as error:
        read_plan(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize('text', [
    '[1, 2', '- 1', '', '[' * 10**4, '{a: ' * 10**4, '- ' * 10**4,
    'title: 2026-99-99', 'title: !!int x', 'title: !!int ""',
    'title: !!bool x', 'title: !!float x', 'title: !!python/name:os.system',
    'title: *nothing', '? [a]\n: b', '\udcff', '\0',
    '#' * (2**20 + 1)
], ids=range(17))  # yapf: disable
def test_refuses_a_file_that_is_no_plan(tmp_path, text):
    path = tmp_path / 'toy.yaml'
    path.write_bytes(text.encode(errors='surrogateescape'))
    with pytest.raises(ValueError, match='toy.yaml'):
        read_plan(path)


@pytest.mark.parametrize('path', PLANS, ids=lambda path: path.stem)
def test_shipped_plans_change_what_they_say(path, monkeypatch):
    """Each variant builds, neck and head agree, and no two are the same."""
    monkeypatch.chdir(REPO_ROOT)
    plan = read_plan(path)
    assert len(plan.seeds) >= 3
    for name in plan.variants:
        cfg = plan.variant_config(name)
        with torch.device('meta'):
            neck, head = MODELS.build(cfg.model.neck), MODELS.build(
                cfg.model.head)
        assert neck.num_groups == head.num_groups
        assert neck.group_channels == head.in_channels
        assert head.selector.probabilities.shape == (21, head.num_groups)
    settings = [plan.settings(name) for name in plan.variants]
    assert len(set(settings)) == len(settings)


@pytest.mark.parametrize('name, grouped', [('compute_matched', 'G3'),
                                           ('compute_matched_six', 'G6'),
                                           ('shared_part', 'G3'),
                                           ('longer', 'G3')])
def test_the_wide_single_group_has_the_parameters_of_the_groups(name, grouped):
    """Within 1 %; and the tool that found its width still finds it."""
    script = REPO_ROOT / 'tools/analysis_tools/match_width.py'
    spec = importlib.util.spec_from_file_location('match_width', script)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    plan = read_plan(REPO_ROOT / f'configs/ablations/{name}.yaml')
    wide = plan.variant_config('holistic-wide')
    groups = plan.variant_config(grouped)
    counts = [tool.count_parameters(cfg) for cfg in (wide, groups)]
    assert counts[0] == pytest.approx(counts[1], rel=.01)
    match = tool.match_width(groups)
    assert match.width == wide.model.neck.group_channels
    assert match.parameters == counts[0] and match.wanted == counts[1]
    with pytest.raises(ValueError, match='nothing to match'):
        tool.match_width(wide)


def test_groups_by_information_hold_each_joint_once():
    path = REPO_ROOT / 'configs/ablations/mutual_information_g3.json'
    groups = json.loads(path.read_text())['groups']
    assert len(groups) == 3 and len({n for g in groups for n in g}) == 21


@pytest.mark.parametrize('path', PLANS, ids=lambda path: path.stem)
def test_published_results_count_for_their_plan(path):
    """A change of the configs would ask for hours of training again."""
    plan = read_plan(path)
    settings = {name: plan.settings(name) for name in plan.variants}
    results = REPO_ROOT / f'results/ablations/{plan.name}.jsonl'
    for line in results.read_text().splitlines():
        result = json.loads(line)
        assert result['settings'] == settings[result['variant']]


def test_an_end_left_to_the_runner_is_that_of_the_training(tmp_path):
    end = tmp_path / 'end.py'
    end.write_text(f'_base_ = [{str(CONFIG)!r}]\n'
                   'param_scheduler = _base_.param_scheduler\n'
                   'param_scheduler[1].end = 24\n')
    written = read_plan(write(tmp_path / 'a.yaml', config=str(end)))
    left = read_plan(write(tmp_path / 'b.yaml'))
    assert written.settings('one') == left.settings('one')
