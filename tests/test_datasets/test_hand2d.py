"""mmpose's data sets of 2D hands beside this package's of 3D hands."""
import numpy as np
import pytest
import torch
from dataset_writers import FREIHAND_NAMES, RHD_NAMES, write_hands_2d
from helpers import REPO_ROOT, write_freihand
from mmengine.config import Config
from mmengine.runner import Runner
from mmpose.registry import DATASETS
from mmpose.utils import register_all_modules

from lgh_mmpose.datasets import Hand2DDataset

RHD = dict(from_file='configs/_base_/datasets/rhd2d.py')


def inner(root, kind):
    return dict(
        type=kind,
        data_root=str(root),
        ann_file='hands.json',
        data_prefix={'img': ''})


@pytest.fixture(autouse=True)
def mmpose_modules():
    register_all_modules()


@pytest.mark.parametrize('kind, names', [
    ('CocoWholeBodyHandDataset', FREIHAND_NAMES),
    ('OneHand10KDataset', FREIHAND_NAMES),
    ('FreiHandDataset', FREIHAND_NAMES),
    ('Rhd2DDataset', RHD_NAMES),
])
@pytest.mark.parametrize('wanted', [None, RHD])
def test_joints_come_by_name_whatever_the_set(tmp_path, kind, names, wanted):
    joints = write_hands_2d(tmp_path, kind, names)
    dataset = Hand2DDataset(inner(tmp_path, kind), metainfo=wanted)
    assert len(dataset) == 3
    record = dataset[1]
    assert list(record['keypoint_names']) == list(
        RHD_NAMES if wanted else FREIHAND_NAMES)
    order = [FREIHAND_NAMES.index(name) for name in record['keypoint_names']]
    np.testing.assert_allclose(
        record['keypoints'][0], joints[1][order], atol=1e-4)
    np.testing.assert_allclose(
        record['bbox'][0], [*joints[1].min(0), *joints[1].max(0)], atol=1e-4)
    assert record['keypoints_visible'].shape == (1, 21)
    assert 'hand_side' not in record and 'keypoints_cam' not in record
    assert record['img_path'] == str(tmp_path / '1.png')


def test_the_annotated_box_and_the_side_on_request(tmp_path):
    write_hands_2d(tmp_path, 'OneHand10KDataset')
    dataset = Hand2DDataset(
        inner(tmp_path, 'OneHand10KDataset'),
        hand_side='right',
        bbox_mode='annotation')
    assert dataset[0]['hand_side'] == 'right'
    np.testing.assert_array_equal(dataset[0]['bbox'], [[4, 4, 60, 60]])


def test_of_3d_hands_pixels_alone_are_used(tmp_path):
    write_freihand(tmp_path, num_train=3, num_eval=1)
    hands = dict(type='FreiHand3DDataset', data_root=str(tmp_path))
    whole = DATASETS.build(dict(hands, bbox_mode='keypoints'))
    cfg = Config.fromfile(REPO_ROOT / 'configs/lgh_upright_studiohand.py')
    dataset = Hand2DDataset(hands)
    assert len(dataset) == len(whole)
    record, known = dataset[1], whole[1]
    for key in ('keypoints', 'bbox', 'img_path', 'hand_side'):
        np.testing.assert_array_equal(record[key], known[key])
    for key in ('keypoints_cam', 'camera_matrix', 'root_depth'):
        assert key in known and key not in record
    weights = Hand2DDataset(
        hands,
        pipeline=cfg.train_pipeline)[1]['data_samples'].gt_instance_labels
    assert weights.keypoint_weights.all() and not weights.depth_weights.any()


def test_hands_of_which_next_to_nothing_is_known_are_left_out(tmp_path):
    joints = write_hands_2d(tmp_path, 'OneHand10KDataset', num=4, hidden=[1])
    dataset = Hand2DDataset(inner(tmp_path, 'OneHand10KDataset'))
    assert len(dataset) == 3
    np.testing.assert_allclose(
        dataset[1]['keypoints'][0], joints[2], atol=1e-4)
    write_hands_2d(tmp_path, 'OneHand10KDataset', num=2, hidden=[0, 1])
    with pytest.raises(ValueError, match='hands.json.* no hand with 4'):
        Hand2DDataset(inner(tmp_path, 'OneHand10KDataset'))


@pytest.mark.parametrize('arguments, match', [
    (dict(hand_side='both'), "hand_side .* 'both'"),
    (dict(bbox_mode='image'), "bbox_mode .* 'image'"),
])
def test_bad_arguments_are_named(tmp_path, arguments, match):
    write_hands_2d(tmp_path, 'FreiHandDataset')
    with pytest.raises(ValueError, match=match):
        Hand2DDataset(inner(tmp_path, 'FreiHandDataset'), **arguments)


def test_a_pipeline_in_the_inner_set_is_refused(tmp_path):
    dataset = dict(
        inner(tmp_path, 'FreiHandDataset'), pipeline=[dict(type='LoadImage')])
    with pytest.raises(ValueError, match='give Hand2DDataset the pipeline'):
        Hand2DDataset(dataset)


def test_a_set_of_other_joints_is_refused(tmp_path):
    write_hands_2d(tmp_path, 'FreiHandDataset')
    with pytest.raises(
            ValueError, match='FreiHandDataset has no joint .*nose.* Hand2D'):
        Hand2DDataset(
            inner(tmp_path, 'FreiHandDataset'),
            metainfo=dict(from_file='configs/_base_/datasets/coco.py'))


def config(tmp_path, ratio):
    """lgh_upright_studiohand.py on 3D and 2D hands, in a ratio per batch."""
    (tmp_path / 'photos').mkdir()
    write_freihand(tmp_path / 'freihand', num_train=4, num_eval=2)
    write_hands_2d(tmp_path / 'photos', 'OneHand10KDataset', num=4)
    cfg = Config.fromfile(REPO_ROOT / 'configs/lgh_upright_studiohand.py')
    rendered = dict(
        cfg.train_dataloader.dataset, data_root=str(tmp_path / 'freihand'))
    photos = dict(
        type='Hand2DDataset',
        dataset=inner(tmp_path / 'photos', 'OneHand10KDataset'),
        pipeline=cfg.train_pipeline)
    cfg.train_dataloader = dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(
            type='MultiSourceSampler', batch_size=4, source_ratio=ratio),
        dataset=dict(
            type='CombinedDataset',
            metainfo=cfg.codec.metainfo,
            datasets=[rendered, photos]))
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(tmp_path / 'freihand')
        loader.update(num_workers=0, persistent_workers=False)
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
    cfg.param_scheduler = []
    cfg.work_dir = str(tmp_path / 'work')
    return cfg


@pytest.fixture
def in_runner():
    """Undo what a runner leaves in this process."""
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    yield
    torch.random.set_rng_state(state)
    torch.set_num_threads(threads)


def test_every_batch_has_the_stated_ratio(tmp_path, in_runner):
    runner = Runner.from_cfg(config(tmp_path, ratio=[3, 1]))
    loader = runner.build_dataloader(runner._train_dataloader)
    for batch in loader:
        known = [
            bool(sample.gt_instance_labels.depth_weights.any())
            for sample in batch['data_samples']
        ]
        assert known == [True, True, True, False]
        assert all(sample.gt_instance_labels.keypoint_weights.all()
                   for sample in batch['data_samples'])
    runner.train()
    assert runner.iter == 2


def test_unreadable_pictures_are_named(tmp_path):
    write_hands_2d(tmp_path, 'FreiHandDataset')
    (tmp_path / '1.png').write_bytes(b'no picture')
    cfg = Config.fromfile(REPO_ROOT / 'configs/lgh_upright_studiohand.py')
    dataset = DATASETS.build(
        dict(
            type='Hand2DDataset',
            dataset=inner(tmp_path, 'FreiHandDataset'),
            pipeline=cfg.train_pipeline))
    assert dataset[0]['inputs'].shape == (3, 96, 96)
    # in training another one takes its place
    for _ in range(3):
        assert dataset[1]['data_samples'].metainfo['img_path'] != str(
            tmp_path / '1.png')
    assert dataset.num_unreadable_images == 1
    dataset.get_subset([2, 1])[1]
    assert dataset.num_unreadable_images == 1
    dataset.test_mode = True
    with pytest.raises(OSError, match='1.png: cannot read'):
        dataset[1]
