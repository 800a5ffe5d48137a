"""Data sets of different joint orders, sides and cameras in one training."""
import copy
import re

import numpy as np
import pytest
import torch
from dataset_writers import (RHD_NAMES, write_dexter_object, write_hand3d_json,
                             write_hands_2d, write_stb)
from helpers import REPO_ROOT, write_freihand
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner
from mmpose.datasets import CombinedDataset
from mmpose.registry import DATASETS
from mmpose.utils import register_all_modules

from lgh_mmpose.codecs import Hand25DLabel

FREIHAND = dict(from_file='configs/_base_/datasets/freihand2d.py')
RHD = dict(from_file='configs/_base_/datasets/rhd2d.py')


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    """FreiHAND, one's own json in RHD's joint order, and STB; read only."""
    folder = tmp_path_factory.mktemp('mixed')
    write_freihand(folder / 'freihand', num_train=2, num_eval=2)
    write_hand3d_json(folder / 'own', names=RHD_NAMES)
    write_stb(folder / 'stb', ['B1Counting'], num=2)
    return folder


def parts(roots, **kwargs):
    """Configs of the three data sets: 2 + 4 + 2 samples."""
    return [
        dict(
            type='FreiHand3DDataset',
            data_root=str(roots / 'freihand'),
            **kwargs),
        dict(
            type='Hand3DJsonDataset',
            data_root=str(roots / 'own'),
            ann_file='hands.json',
            data_prefix=dict(img='images'),
            **kwargs),
        dict(
            type='Stb3DDataset',
            data_root=str(roots / 'stb'),
            sequences=['B1Counting'],
            **kwargs),
    ]


def config(roots, work_dir, **dataset):
    """lgh_studiohand.py on a CombinedDataset, one epoch of two iterations."""
    cfg = Config.fromfile(REPO_ROOT / 'configs/lgh_studiohand.py')
    combined = dict(
        type='CombinedDataset', metainfo=FREIHAND, datasets=parts(roots))
    combined.update(dataset)
    for name, pipeline in (('train', cfg.train_pipeline), ('val',
                                                           cfg.val_pipeline)):
        loader = cfg[f'{name}_dataloader']
        test_mode = name != 'train'
        loader.update(batch_size=4, num_workers=0, persistent_workers=False)
        loader.dataset = dict(
            copy.deepcopy(combined), pipeline=pipeline, test_mode=test_mode)
    cfg.test_dataloader = copy.deepcopy(cfg.val_dataloader)
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
    cfg.param_scheduler = []
    cfg.val_evaluator = cfg.test_evaluator = [
        dict(type='HandKeypoint3DMetric', protocol='general')
    ]
    cfg.work_dir = str(work_dir)
    return cfg


@pytest.fixture
def in_runner():
    """Undo what a runner leaves in this process."""
    register_all_modules()
    state = torch.random.get_rng_state()
    threads = torch.get_num_threads()
    yield
    torch.random.set_rng_state(state)
    torch.set_num_threads(threads)


def test_trains_and_tests_on_mixed_sets(roots, tmp_path, in_runner):
    runner = Runner.from_cfg(config(roots, tmp_path))
    runner.train()
    assert runner.iter == 2
    scores = runner.test()
    assert {'hand/MPJPE', 'hand/PA-MPJPE', 'hand/EPE'} <= set(scores)
    assert np.isfinite(list(scores.values())).all()


@pytest.mark.parametrize('metainfo', [FREIHAND, RHD])
def test_labels_mean_the_same_joint_in_all_sets(roots, metainfo):
    """Right hands, joints by name, millimetres: whatever the source."""
    codec = dict(type='Hand25DLabel', input_size=(64, 64), metainfo=metainfo)
    pipeline = [
        dict(type='LoadImage'),
        dict(type='GetBBoxCenterScale'),
        dict(type='TopdownAffineCamera', input_size=(64, 64)),
        dict(type='CanonicalizeHandSide'),
        dict(type='GenerateTarget', encoder=codec),
        dict(
            type='PackPoseInputs',
            meta_keys=('warp_mat', 'camera_matrix', 'bone_length',
                       'root_depth', 'hand_side', 'keypoint_names')),
    ]
    dataset = CombinedDataset(
        metainfo=metainfo,
        datasets=parts(roots, metainfo=metainfo),
        pipeline=pipeline)
    assert len(dataset) == 8
    names = Hand25DLabel((64, 64), metainfo=metainfo).keypoint_names
    sides, turns = [], []
    for sample in pseudo_collate([dataset[i]
                                  for i in range(8)])['data_samples']:
        assert sample.keypoint_names == names
        sides.append(sample.hand_side)
        decoded = Hand25DLabel((64, 64), metainfo=metainfo).decode(
            sample.gt_instance_labels.keypoint_labels.numpy(), sample.warp_mat,
            sample.camera_matrix, sample.bone_length,
            sample.root_depth)['keypoints_cam'][0]
        np.testing.assert_allclose(
            decoded, sample.gt_instances.keypoints_cam[0], atol=.05)
        # fingers bend towards the palm, by which the network tells sides
        u, v, depth = sample.gt_instance_labels.keypoint_labels[0].double(
        ).numpy().T
        z = sample.root_depth + sample.bone_length * depth
        seen = dict(zip(names, np.stack([u * z, v * z, z], axis=-1)))
        turns.append(
            np.linalg.det([
                seen['forefinger1'] - seen['wrist'], seen['pinky_finger1'] -
                seen['wrist'], seen['middle_finger4'] - seen['middle_finger1']
            ]) > 0)
    assert len(set(turns)) == 1
    assert sides == 2 * ['right'] + 2 * ['left', 'right'] + 2 * ['left']


def test_a_set_of_another_order_is_noticed_in_training(roots, tmp_path,
                                                       in_runner):
    cfg = config(roots, tmp_path)
    cfg.train_dataloader.dataset.datasets[1].metainfo = RHD
    with pytest.raises(ValueError, match='joint 1 is thumb4 in the data set'):
        Runner.from_cfg(cfg).train()


def test_a_set_of_another_order_is_noticed_in_testing(roots, tmp_path,
                                                      in_runner):
    cfg = config(roots, tmp_path)
    cfg.test_dataloader.dataset.datasets[2].metainfo = RHD
    with pytest.raises(ValueError, match='joint 1 is thumb4 in the data set'):
        Runner.from_cfg(cfg).test()


def test_another_order_is_noticed_even_without_the_samples_names(
        roots, tmp_path, in_runner):
    # one's own meta_keys, as of a config older than the names
    cfg = config(roots, tmp_path)
    dataset = dict(
        parts(roots, metainfo=RHD, test_mode=True)[2],
        pipeline=cfg.test_dataloader.dataset.pipeline)
    packer = dataset['pipeline'][-1]
    packer['meta_keys'] = [
        key for key in packer['meta_keys'] if key != 'keypoint_names'
    ]
    cfg.test_dataloader.dataset = dataset
    with pytest.raises(ValueError, match='joint 1 of the prediction of'):
        Runner.from_cfg(cfg).test()


def test_tips_alone_can_be_tested_beside_whole_hands(roots, tmp_path,
                                                     in_runner):
    write_dexter_object(tmp_path / 'dexter', ['Grasp1'], num=2)
    dexter = dict(
        type='DexterObject3DDataset',
        data_root=str(tmp_path / 'dexter'),
        sequences=['Grasp1'],
        bone_length=40.)
    assert 'root_depth' not in DATASETS.build(dexter).get_data_info(0)
    cfg = config(
        roots,
        tmp_path / 'work',
        datasets=[parts(roots, test_mode=True)[2], dexter])
    cfg.test_evaluator = [
        dict(type='HandKeypoint3DMetric', protocol='dexter'),
        dict(type='HandKeypoint3DMetric', align=[], prefix='2d')
    ]
    scores = Runner.from_cfg(cfg).test()
    assert np.isfinite(scores['hand/EPE'])
    assert np.isfinite(scores['2d/EPE_2d_px'])


def test_tips_alone_teach_pixels(tmp_path):
    write_dexter_object(tmp_path, ['Grasp1'], num=2)
    dataset = DATASETS.build(
        dict(
            type='DexterObject3DDataset',
            data_root=str(tmp_path),
            sequences=['Grasp1'],
            bone_length=40.,
            pipeline=[
                dict(type='LoadImage'),
                dict(type='GetBBoxCenterScale'),
                dict(type='TopdownAffineCamera', input_size=(64, 64)),
                dict(
                    type='GenerateTarget',
                    encoder=dict(type='Hand25DLabel', input_size=(64, 64)))
            ]))
    sample = dataset[0]
    tips = [name.endswith('4') for name in sample['keypoint_names']]
    np.testing.assert_array_equal(sample['keypoint_weights'], [tips])
    assert not sample['depth_weights'].any()


def documented_config(number, tmp_path):
    """A config of the page on own data."""
    text = (REPO_ROOT / 'docs/how_to/train_on_your_own_data.md').read_text()
    block = re.findall(r'```python\n(.*?)```', text, re.DOTALL)[number]
    path = tmp_path / 'mixed.py'
    path.write_text(block.replace('./', f'{REPO_ROOT}/configs/'))
    return Config.fromfile(path)


def test_the_mixture_in_the_docs(roots, tmp_path):
    loader = documented_config(0, tmp_path).train_dataloader
    kinds = [part.type for part in loader.dataset.datasets]
    assert kinds == ['Hand3DJsonDataset', 'FreiHand3DDataset', 'Stb3DDataset']
    for part, toy in zip(loader.dataset.datasets, (
            dict(ann_file='hands.json', data_prefix=dict(img='images')),
            dict(),
            dict(sequences=['B1Counting']),
    )):
        root = dict(zip(kinds, ('own', 'freihand', 'stb')))[part.type]
        part.update(data_root=str(roots / root), **toy)
    dataset = DATASETS.build(loader.dataset)
    assert len(dataset) == 10 * 4 + 2 + 2
    sample = dataset[0]  # through the whole pipeline
    assert sample['inputs'].shape == (3, 256, 256)
    assert sample['data_samples'].gt_instance_labels.keypoint_labels.shape == (
        1, 21, 3)


def test_hands_with_2d_joints_in_the_docs(roots, tmp_path):
    register_all_modules()
    cfg = documented_config(1, tmp_path)
    rendered, labelled = cfg.train_dataloader.dataset.datasets
    write_hands_2d(tmp_path / 'photos', 'OneHand10KDataset')
    rendered.data_root = str(roots / 'freihand')
    labelled.dataset.update(
        data_root=str(tmp_path / 'photos'), ann_file='hands.json')
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    known = [
        bool(sample.gt_instance_labels.depth_weights.any())
        for sample in next(iter(loader))['data_samples']
    ]
    assert known == 36 * [True] + 12 * [False]
