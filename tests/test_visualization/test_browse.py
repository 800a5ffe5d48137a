import re

import cv2
import numpy as np
import pytest
from helpers import REPO_ROOT
from mmengine.config import Config

from lgh_mmpose.datasets import FreiHand3DDataset
from lgh_mmpose.visualization.browse import (check_sample, draw_sample,
                                             trace_sample)


@pytest.fixture(scope='module')
def pipeline():
    cfg = Config.fromfile(REPO_ROOT / 'configs/lgh_freihand.py')
    return cfg.train_dataloader.dataset.pipeline


@pytest.fixture
def dataset(freihand_root, pipeline):
    np.random.seed(0)
    return FreiHand3DDataset(
        str(freihand_root), split='training', pipeline=pipeline)


def test_each_transform_is_a_stage(dataset, pipeline):
    sample = trace_sample(dataset, 1)
    assert [s.name for s in sample.stages
            ] == ['annotation', *(t.type for t in pipeline[:-1])]
    assert 'data_samples' in sample.packed
    assert sample.codec is not None
    # what comes later does not change the earlier ones
    assert 'warp_mat' not in sample.stages[0].results


def test_a_right_annotation_has_no_fault(dataset):
    for i in range(4):
        check = check_sample(trace_sample(dataset, i))
        assert check.faults == []
        assert check.reprojection_px < 1e-3
        assert check.warp_px < 1e-3 and check.decoded_mm < 1e-2
        assert 0 <= check.outside < .5


def record_with(dataset, monkeypatch, **change):
    """Let the data set deliver something else."""
    original = dataset.get_data_info

    def get_data_info(index):
        record = original(index)
        for key, function in change.items():
            record[key] = function(record[key])
        return record

    monkeypatch.setattr(dataset, 'get_data_info', get_data_info)
    return check_sample(trace_sample(dataset, 0))


def swapped(points):
    order = list(range(21))
    order[5], order[8] = 8, 5  # base and tip
    return points[:, order]


@pytest.mark.parametrize('change, message', [
    (dict(keypoints=lambda uv: uv + 2), 'off their projection by 2.8'),
    (dict(camera_matrix=lambda k: k * [[1.1], [1.1], [1]]),
     'off their projection'),
    (dict(keypoints_cam=lambda xyz: xyz / 1000),
     'times the usual size: the numbers seem to be in m, they must'),
    (dict(keypoints=swapped,
          keypoints_cam=swapped), 'odd length: .*forefinger4'),
    (dict(keypoints_cam=lambda xyz: xyz * [1, 1, -1]), 'behind the camera'),
    (dict(bone_length=lambda mm: mm / 10), 'seem to be in cm, they must'),
    (dict(keypoints=lambda uv: uv + 1e3), 'are outside'),
])
def test_wrong_annotations_are_told(dataset, monkeypatch, change, message):
    faults = record_with(dataset, monkeypatch, **change).faults
    assert any(re.search(message, fault) for fault in faults), faults


def test_a_transform_that_breaks_the_camera_is_told(dataset):
    sample = trace_sample(dataset, 0)
    sample.results['warp_mat'] = sample.results['warp_mat'] + [[0, 0, 3.]] * 3
    faults = check_sample(sample).faults
    assert any("off its camera's by" in fault for fault in faults)
    sample = trace_sample(dataset, 0)
    sample.results['keypoint_labels'] = sample.results['keypoint_labels'] + .1
    faults = check_sample(sample).faults
    assert any('decoded labels are off' in fault for fault in faults)


def test_a_split_without_joints_is_refused(dataset):
    sample = trace_sample(dataset, 0)
    del sample.record['keypoints']
    with pytest.raises(ValueError, match=r'\d\.jpg\) has no joints'):
        check_sample(sample)


@pytest.mark.parametrize('mode, panels', [('original', 1), ('transformed', 1),
                                          ('pipeline', 8)])
def test_pictures_have_a_panel_per_stage(dataset, mode, panels):
    sample = trace_sample(dataset, 0)
    picture = draw_sample(sample, mode, tile=64)
    assert picture.shape == (64 + 24, (panels + 2) * 68, 3)


def test_joints_are_drawn_where_they_are(dataset, tmp_path):
    sample = trace_sample(dataset, 0)
    plain = np.full((64, 64, 3), 128, np.uint8)
    path = str(tmp_path / 'grey.png')
    cv2.imwrite(path, plain)
    sample.record['img_path'] = path
    picture = draw_sample(sample, 'original', tile=256)[22:-2, 2:258]
    thumb = sample.record['keypoints'][0, 4]
    row, column = np.round((thumb[::-1] + .5) * 4 - .5).astype(int)
    assert (abs(picture[row, column].astype(int) - (213, 94, 0)) < 40).all()


def test_unknown_mode(dataset):
    with pytest.raises(ValueError, match="got 'all'"):
        draw_sample(trace_sample(dataset, 0), 'all')
