"""What is named on the command line reaches all that it is meant for."""
import inspect

import pytest
from helpers import REPO_ROOT
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.runner import FlexibleRunner, Runner
from mmpose.registry import MODELS

from lgh_mmpose.config import (RUN_KEYS, check_pretrained, limit_samples,
                               merge_cfg_options, set_data_root, with_codec,
                               with_steps)

CONFIGS = sorted(REPO_ROOT.glob('configs/lgh_*.py'))


def test_moves_all_data_sets_and_wrapped_ones():
    cfg = Config(
        dict(
            data_root='old',
            train_dataloader=dict(
                dataset=dict(
                    type='CombinedDataset',
                    datasets=[dict(data_root='old'),
                              dict(data_root='older')])),
            val_dataloader=dict(dataset=dict(data_root='old')),
            test_dataloader=None))
    set_data_root(cfg, 'new')
    roots = [d.data_root for d in cfg.train_dataloader.dataset.datasets]
    assert roots + [cfg.val_dataloader.dataset.data_root, cfg.data_root
                    ] == ['new'] * 4


def test_says_so_where_there_is_nothing_to_move():
    cfg = Config(dict(train_dataloader=dict(dataset=dict(type='Made'))))
    with pytest.raises(ValueError, match='data_root'):
        set_data_root(cfg, 'new')


def test_options_move_the_data_sets_unless_one_is_named():
    cfg = Config(
        dict(
            train_dataloader=dict(dataset=dict(data_root='old')),
            test_dataloader=dict(dataset=dict(data_root='old'))))
    merge_cfg_options(cfg, {
        'test_dataloader.dataset.data_root': 'other',
        'data_root': 'new'
    })
    assert cfg.train_dataloader.dataset.data_root == 'new'
    assert cfg.test_dataloader.dataset.data_root == 'other'


def test_another_codec_reaches_the_steps_that_have_one():
    old = dict(type='Hand25DLabel', input_size=(96, 96), sigma=2.)
    new = dict(old, input_size=(128, 64))
    pipeline = [
        dict(type='GetBBoxCenterScale', padding=1.),
        dict(type='TopdownAffineCamera', input_size=(96, 96)),
        dict(type='GenerateTarget', encoder=old)
    ]
    assert with_codec(pipeline, new) == [
        dict(type='GetBBoxCenterScale', padding=1.),
        dict(type='TopdownAffineCamera', input_size=(128, 64)),
        dict(type='GenerateTarget', encoder=new)
    ]
    # the config below keeps its own
    assert pipeline[1]['input_size'] == (96, 96)
    assert pipeline[2]['encoder'] == old


def test_steps_get_other_arguments_or_go():
    pipeline = [
        dict(type='GetBBoxCenterScale', padding=1.25),
        dict(
            type='FastRandomBBoxTransform', shift_factor=.1, rotate_factor=90),
        dict(type='FastPhotometricDistortion'),
    ]
    assert with_steps(
        pipeline,
        FastRandomBBoxTransform=dict(rotate_factor=12),
        FastPhotometricDistortion=None) == [
            dict(type='GetBBoxCenterScale', padding=1.25),
            dict(
                type='FastRandomBBoxTransform',
                shift_factor=.1,
                rotate_factor=12),
        ]
    # the config below keeps its own
    assert pipeline[1]['rotate_factor'] == 90 and len(pipeline) == 3


@pytest.mark.parametrize('change', [dict(padding=1.5), None])
def test_a_step_that_is_not_there_is_not_changed(change):
    pipeline = [dict(type='LoadHandImage'), dict(type='PackHandInputs')]
    with pytest.raises(
            ValueError,
            match='no GetBBoxCenterScale to change, only LoadHandImage, Pack'):
        with_steps(pipeline, GetBBoxCenterScale=change)


def short_config(batch_size=4):
    return Config(
        dict(
            train_cfg=dict(max_epochs=24),
            train_dataloader=dict(batch_size=batch_size, dataset=dict()),
            param_scheduler=[dict(end=100), dict(end=24)]))


@pytest.mark.parametrize('wanted, epochs, per_epoch, warmup', [
    (40, 1, 40, 1),
    (43, 1, 40, 1),
    (100, 1, 100, 2),
    (101, 2, 48, 2),
    (10000, 100, 100, 100),
])
def test_samples_are_limited_to_whole_batches(wanted, epochs, per_epoch,
                                              warmup):
    cfg = short_config()
    limit_samples(cfg, wanted, num_available=100)
    assert cfg.train_cfg.max_epochs == epochs
    assert cfg.train_dataloader.dataset.indices == per_epoch
    assert cfg.param_scheduler[0].end == warmup
    # mmengine lets it end with the training
    assert 'end' not in cfg.param_scheduler[1]


def test_samples_below_a_batch():
    with pytest.raises(ValueError, match='3 samples do not fill one batch'):
        limit_samples(short_config(), 3, num_available=100)


# -- variables of a config ---------------------------------------------------


def pipelines(cfg):
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(name):
            dataset = cfg[name].dataset
            for part in dataset.get('datasets', [dataset]):
                yield name, Compose(part.pipeline).transforms


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_variables_reach_what_is_built(path):
    cfg = Config.fromfile(path)
    options = {'num_groups': 5, 'codec.input_size': (64, 64)}
    if cfg.train_cfg is not None:
        options['max_epochs'] = 3
    merge_cfg_options(cfg, options)
    neck, head = MODELS.build(cfg.model.neck), MODELS.build(cfg.model.head)
    assert neck.num_groups == head.num_groups == 5
    assert head.selector.probabilities.shape[1] == 5
    assert head.decoder.input_size == (64, 64)
    for name, pipeline in pipelines(cfg):
        sizes = [
            tuple(step.input_size)
            for step in pipeline if getattr(step, 'input_size', None)
        ] + [
            step.encoder.input_size
            for step in pipeline if hasattr(step, 'encoder')
        ]
        assert sizes and set(sizes) == {(64, 64)}, name
    if cfg.train_cfg is not None:
        assert cfg.train_cfg.max_epochs == 3
        # the schedule ends where the training does
        assert 'end' not in cfg.param_scheduler[-1]


@pytest.mark.parametrize('options, place, expected', [
    ({'train_pipeline.0.padding': 1.7},
     'train_dataloader.dataset.pipeline.0.padding', 1.7),
    ({'meta_keys': ['id']},
     'test_dataloader.dataset.pipeline.4.meta_keys', ['id']),
    ({'codec.root_joint': 'wrist'}, 'model.head.decoder.root_joint', 'wrist'),
    ({'codec.root_joint': 'wrist'},
     'train_dataloader.dataset.pipeline.-2.encoder.root_joint', 'wrist'),
    # named itself, it wins
    ({'model.head.num_groups': 2, 'num_groups': 5}, 'model.head.num_groups',
     2),
    ({'model.head.num_groups': 2, 'num_groups': 5}, 'model.neck.num_groups',
     5),
])  # yapf: disable
def test_an_option_changes_what_is_run(options, place, expected):
    cfg = Config.fromfile(REPO_ROOT / 'configs/lgh_studiohand.py')
    merge_cfg_options(cfg, options)
    node = cfg
    for key in place.split('.'):
        node = node[int(key) if key.lstrip('-').isdigit() else key]
    assert node == expected


def test_another_codec_and_then_its_pipeline():
    """The variables agree with what is run after each option."""
    cfg = Config.fromfile(REPO_ROOT / 'configs/lgh_studiohand.py')
    codec = dict(cfg.codec, input_size=(64, 64), root_joint='wrist')
    merge_cfg_options(cfg, {
        'codec': codec,
        'val_pipeline.0.padding': 2.,
    })
    assert cfg.model.head.decoder == codec
    pipeline = cfg.val_dataloader.dataset.pipeline
    assert pipeline[0].padding == 2.
    assert pipeline[1].input_size == (64, 64)


@pytest.mark.parametrize('options, message', [
    ({'max_epoch': 3}, 'max_epoch has no effect.*did you mean max_epochs'),
    ({'num_grops': 3}, 'num_grops has no effect.*did you mean num_groups'),
    ({'quux': 3}, 'option quux has no effect.* has no other quux'),
    ({'padding': 2.}, r'set train_dataloader\.dataset\.pipeline\.0\.padding'),
    ({'dataset_type': 'X'}, r'set train_dataloader\.dataset\.type or '),
])  # yapf: disable
def test_an_option_without_effect_is_refused(options, message):
    cfg = Config.fromfile(REPO_ROOT / 'configs/lgh_studiohand.py')
    with pytest.raises(ValueError, match=message):
        merge_cfg_options(cfg, options)


def test_all_that_a_runner_takes_can_be_set():
    for runner in (Runner, FlexibleRunner):
        arguments = inspect.signature(runner).parameters
        assert set(arguments) - {'cfg'} <= RUN_KEYS


def test_missing_weights_to_start_from_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile(REPO_ROOT / 'configs/lgh_hands_studiohand.py')
    with pytest.raises(FileNotFoundError) as error:
        check_pretrained(cfg)
    text = str(error.value)
    assert 'model.backbone.init_cfg.checkpoint of the config' in text
    assert 'data/hands/mobilenetv2.pth, which is missing' in text
    option = text.partition('--cfg-options ')[2].partition('=')[0]
    cfg.merge_from_dict({option: None})
    check_pretrained(cfg)
    cfg.model.backbone.init_cfg = dict(
        type='Pretrained', checkpoint='torchvision://resnet50')
    check_pretrained(cfg)
