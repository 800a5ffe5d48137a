"""Configs of an adaptation's trainings."""
from pathlib import Path

import pytest
import torch

from lgh_mmpose.adaptation.training import make_config, mix
from lgh_mmpose.checkpoint import read_checkpoint

HANDS = dict(type='Hand3DJsonDataset', data_root='a', ann_file='hands.json')
LABELS = dict(
    type='Hand2DDataset',
    dataset=dict(type='OneHand10KDataset', ann_file='labels.json'))


def ratio(tmp_path, *photographs):
    cfg = make_config(Path('rendered'), list(photographs), tmp_path, 3, 2)
    datasets = cfg.train_dataloader.dataset.datasets
    assert [dataset.type for dataset in datasets] == [
        'FreiHand3DDataset', *(dataset['type'] for dataset, _ in photographs)
    ]
    assert all('pipeline' in dataset for dataset in datasets)
    assert datasets[0].data_root == 'rendered'
    assert cfg.val_dataloader.dataset.data_root == 'rendered'
    assert cfg.randomness.seed == 3 and cfg.train_cfg.max_epochs == 2
    return cfg.train_dataloader.sampler.source_ratio


@pytest.mark.parametrize(
    'numbers, expected',
    [
        ((10000, ), [24, 24]),
        ((500, ), [24, 24]),
        # seen 15 times an epoch, no more
        ((100, ), [43, 5]),
        ((2, ), [47, 1]),
        ((5000, 5000), [24, 12, 12]),
        ((5000, 20), [24, 23, 1]),
    ])
def test_of_few_photographs_a_batch_holds_few(tmp_path, numbers, expected):
    datasets = (HANDS, LABELS)
    assert ratio(tmp_path, *zip(datasets, numbers)) == expected


def test_photographs_are_varied_more_than_rendered_hands(tmp_path):
    cfg = make_config(Path('rendered'), [(HANDS, 500)], tmp_path, 0, 1)
    rendered, photographs = cfg.train_dataloader.dataset.datasets
    more = {step.type
            for step in photographs.pipeline
            } - {step.type
                 for step in rendered.pipeline}
    assert more == {'RandomCameraEffects', 'RandomErasing'}


def test_a_mixture_lies_between_two_networks(tmp_path):
    first = dict(weight=torch.tensor([0., 1.]), count=torch.tensor(3))
    second = dict(weight=torch.tensor([1., 3.]), count=torch.tensor(5))
    for name, weights in (('first', first), ('second', second)):
        torch.save(dict(state_dict=weights), tmp_path / f'{name}.pth')
    path = mix(str(tmp_path / 'first.pth'), tmp_path / 'second.pth', .25)
    assert path == tmp_path / 'mixed.pth'
    mixed = read_checkpoint(path)['state_dict']
    torch.testing.assert_close(mixed['weight'], torch.tensor([.25, 1.5]))
    assert mixed['count'] == 5
