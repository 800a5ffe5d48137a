"""The cases are what their names say."""
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import REPO_ROOT

from benchmarks import measuring, networks
from benchmarks.cases import catalogue, growth, reading
from benchmarks.timing import Case, Timing


def test_joints_are_spread_over_all_groups():
    """Or the exported networks would have nothing of the other groups."""
    model = networks.build_model(
        networks.load_config(networks.Network('lgh_studiohand', size=64)))
    sizes = np.bincount(model.head.selector.joint_groups)
    assert sizes.tolist() == [7, 7, 7]


def test_mmpose_reads_the_same_samples(tmp_path):
    from mmengine.registry import init_default_scope
    init_default_scope('mmpose')
    for name, (layout, _) in reading.PIPELINES.items():
        reading.write_images(tmp_path, layout)
        ours, theirs = (
            reading.build_dataset(tmp_path, kind)
            for kind in (name, f'mmpose_{name}'))
        # of a right hand, which the canonical side leaves as it is
        index = next(
            i for i in range(len(ours))
            if ours.get_data_info(i)['hand_side'] == 'right')
        samples = []
        for dataset in (ours, theirs):
            np.random.seed(0)
            samples.append(dataset[index])
        assert samples[0]['data_samples'].hand_side == 'right'
        # but for the rounding of the warp, which ours has in double precision
        torch.testing.assert_close(
            samples[0]['inputs'], samples[1]['inputs'], rtol=0, atol=1)
        for transform in theirs.pipeline.transforms:
            own = type(transform).__module__.startswith('lgh_mmpose')
            assert not own, transform


ARGS = SimpleNamespace(
    input_size=None,
    threads=1,
    batch=None,
    index_samples=8,
    metric_samples=3,
    max_exponent=6)


@pytest.mark.parametrize('make, figures', [
    (catalogue.all_cases, 'performance.json'),
    (growth.scaling_cases, 'performance_scaling.json'),
])
def test_published_figures_are_of_cases_that_can_be_run_again(
        make, figures, tmp_path):
    result = json.loads((REPO_ROOT / 'docs' / figures).read_text())
    assert set(result['ms']) <= set(make(tmp_path, ARGS))
    ratios = {*catalogue.RATIOS, *catalogue.RELEASE_READER}
    assert set(result['ratio']) <= ratios


@pytest.fixture
def cases(tmp_path, cpu_bf16):
    return catalogue.all_cases(tmp_path, ARGS)


def test_a_rendering_case_makes_images_of_its_size():
    shapes = [catalogue.render(32).setup()().image.shape for _ in range(2)]
    assert shapes == [(32, 32, 3)] * 2


def test_renderings_are_of_both_usual_sizes(cases):
    assert {'rendering/128', 'rendering/224'} <= set(cases)


def test_cases_in_bf16_say_so(cases, cpu_bf16):
    computed = bool(cpu_bf16)
    for name, bf16 in (('infer/official', False), ('infer/exported', computed),
                       ('infer/exported_fp32', False),
                       ('infer/lite', computed), ('step/freihand', computed),
                       ('step/freihand_fp32', False), ('part/studiohand/head',
                                                       True),
                       ('conv/48x12/dense', True), ('limit/conv_bf16', True),
                       ('limit/conv_fp32', False), ('index/ours', False)):
        assert cases[name].bf16 == bf16, name


def test_what_is_about_bf16_needs_it(cases, cpu_bf16):
    """And nothing else: networks and trainings run everywhere."""
    left_out = measuring.leave_out(list(cases), cases)
    if cpu_bf16:
        assert left_out == []
        return
    assert {name.split('/')[0]
            for name in left_out if '/' in name} == {'part', 'conv', 'limit'}
    assert [name for name in left_out if '/' not in name] == [
        'train_step_bf16_vs_fp32', 'official_train_step_bf16_vs_fp32',
        'studiohand_train_step_bf16_vs_fp32'
    ]


@pytest.mark.parametrize('name, step, reference', [
    ('train_step_bf16_vs_fp32', 'step/freihand', 'step/freihand_fp32'),
    ('g3_vs_g1_step', 'step/freihand_g1', 'step/freihand'),
])
def test_ratios_of_bf16_need_it(cpu_bf16, monkeypatch, name, step, reference):
    monkeypatch.setattr(measuring, 'forked', lambda call: call())
    monkeypatch.setattr(
        measuring, 'measure', lambda calls, rounds: {
            name: Timing([i + 1.], [i + 1.])
            for i, name in enumerate(calls)
        })
    case = Case(lambda: None)
    result = measuring.run([step, reference], {
        step: case,
        reference: case
    }, SimpleNamespace(no_memory=True, quick=True, scaling=False, rounds=1), 1)
    measured = bool(cpu_bf16) or 'bf16' not in name
    assert list(result['ratio']) == [name] * measured
