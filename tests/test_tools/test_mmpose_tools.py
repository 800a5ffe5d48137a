"""mmpose's own tools and inferencers on our configs."""

import cv2
import numpy as np
import pytest
from helpers import REPO_ROOT, run_script

from lgh_mmpose import __main__ as mmpose_tool
from lgh_mmpose.inference.skeleton_2d import GT_COLOR_2D

CONFIG = REPO_ROOT / 'configs/lgh_studiohand.py'
MAIN = mmpose_tool.__file__


@pytest.mark.parametrize('config', [
    'lgh_studiohand', 'lgh_rhd_official', 'lgh_holistic_freihand',
    'lgh_mobilenetv2_freihand'
])  # yapf: disable
def test_get_flops_counts_our_networks(config, tmp_path):
    output = run_script(
        *(MAIN, 'get_flops', REPO_ROOT / f'configs/{config}.py'),
        *('--input-shape', 64),
        cwd=tmp_path).stdout
    assert 'Input shape: (1, 3, 64, 64)' in output
    assert 'Flops:' in output and 'head.heatmap_layers' in output


def test_tools_are_listed(tmp_path):
    result = run_script(MAIN, 'no_such_tool', cwd=tmp_path, check=False)
    assert 'get_flops' in str(result.returncode)


@pytest.mark.parametrize('mode', ['original', 'transformed'])
def test_mmposes_browse_dataset_draws_the_joints(mode, freihand_root,
                                                 tmp_path):
    run_script(
        *(MAIN, 'browse_dataset', CONFIG, '--output-dir', 'out'),
        *('--not-show', '--max-item-per-dataset', 2, '--mode', mode),
        *('--phase', 'val', '--cfg-options'),
        f'val_dataloader.dataset.data_root={freihand_root}',
        cwd=tmp_path)
    pictures = sorted((tmp_path / 'out').iterdir())
    assert len(pictures) == 2
    assert all(cv2.imread(str(path)) is not None for path in pictures)


def test_joints_of_a_crop_are_drawn_where_they_lie_in_it():
    from mmengine.structures import InstanceData
    from mmpose.datasets.datasets.utils import parse_pose_metainfo
    from mmpose.structures import PoseDataSample

    from lgh_mmpose.visualization import HandLocalVisualizer
    visualizer = HandLocalVisualizer(name='crop', panel_size=64)
    visualizer.set_dataset_meta(
        parse_pose_metainfo(
            dict(from_file='configs/_base_/datasets/freihand2d.py')))
    sample = PoseDataSample(
        gt_instances=InstanceData(
            keypoints=np.full((1, 21, 2), 10.),
            transformed_keypoints=np.full((1, 21, 2), 50.),
            keypoints_visible=np.ones((1, 21))))
    picture = visualizer.add_datasample('crop', np.zeros((64, 64, 3),
                                                         np.uint8), sample)
    assert tuple(picture[50, 50]) == tuple(GT_COLOR_2D)
    assert not picture[10, 10].any()


ARRAYS = {
    'grey': np.zeros((40, 40), np.uint8),
    'one channel': np.zeros((40, 40, 1), np.uint8),
    'alpha': np.zeros((40, 40, 4), np.uint8),
    'float': np.zeros((40, 40, 3)),
    '16 bit': np.zeros((40, 40, 3), np.uint16),  # wrong without a word
    'bool': np.zeros((40, 40, 3), bool),
    'empty': np.zeros((0, 40, 3), np.uint8),
}


@pytest.fixture(scope='module')
def inferencer(tmp_path_factory):
    from mmpose.apis import MMPoseInferencer
    config = tmp_path_factory.mktemp('config') / 'toy.py'
    config.write_text(f'_base_ = [{str(CONFIG)!r}]\n')
    return MMPoseInferencer(
        pose2d=str(config), det_model='whole_image', device='cpu')


@pytest.mark.parametrize('kind', ARRAYS)
def test_mmposes_inferencer_names_arrays_that_are_no_bgr(kind, inferencer):
    with pytest.raises(ValueError, match=r'in BGR, uint8 \(H, W, 3\)|no area'):
        next(inferencer(ARRAYS[kind]))


def test_mmposes_inferencer_takes_bgr(inferencer):
    result = next(inferencer(np.zeros((40, 40, 3), np.uint8)))
    assert len(result['predictions'][0][0]['keypoints']) == 21
