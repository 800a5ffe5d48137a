"""One option moves every data set of a config."""
import pytest
from mmengine.config import Config

from lgh_mmpose.config import merge_cfg_options, set_data_root, with_codec


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
