"""One option moves every data set of a config."""
import pytest
from mmengine.config import Config

from lgh_mmpose.config import (limit_samples, merge_cfg_options, set_data_root,
                               with_codec)


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
    assert cfg.param_scheduler[1].end == epochs


def test_samples_below_a_batch():
    with pytest.raises(ValueError, match='3 samples do not fill one batch'):
        limit_samples(short_config(), 3, num_available=100)
