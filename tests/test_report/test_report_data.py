import numpy as np
import pytest
from mmengine.config import Config
from mmpose.registry import DATASETS

from lgh_mmpose.evaluation import breakdown as B
from lgh_mmpose.report.baseline import mean_pose_errors
from lgh_mmpose.report.data import check_same_test, pick_alignment, row_mean


def test_the_mean_pose_of_the_training_set_is_its_own_answer(config, data):
    """Hands of that pose, wherever they are, are met without an error."""
    train = DATASETS.build(dict(config.train_dataloader.dataset, pipeline=[]))
    root = data.joint_names.index(data.root_joint)
    pose = B.mean_pose(train.annotations.keypoints_cam, root,
                       train.annotations.keypoints_visible)
    places = np.random.default_rng(0).normal(0, 100, (9, 1, 3)) + [0, 0, 700]
    errors, reason = mean_pose_errors(
        config, dict(data.first, gt_keypoints_cam=pose + places))
    # a pose has no place in the camera's frame
    assert list(errors) == ['root', 'procrustes'] and reason == ''
    for values in errors.values():
        np.testing.assert_allclose(values, 0, atol=1e-4)

    # where all fingers are 10 mm further down
    gt = pose + places + np.array([0, 10, 0]) * (np.arange(21) != root)[:,
                                                                        None]
    errors, _ = mean_pose_errors(config, dict(data.first, gt_keypoints_cam=gt))
    np.testing.assert_allclose(
        errors['root'],
        np.tile(10. * (np.arange(21) != root), (9, 1)),
        atol=1e-4)


@pytest.mark.parametrize('dump, cfg, reason', [
    (dict(root_joint=np.array('palm')), {}, 'the root joint palm is not'),
    (dict(), dict(train_dataloader=None), 'has no training set'),
    (dict(joint_names=np.array(['middle_finger1'] * 21)), {}, 'other joints'),
    (dict(), dict(data_root='nowhere'), 'cannot be read'),
])
def test_why_there_is_no_mean_pose(config, data, dump, cfg, reason):
    config = Config(config.to_dict())
    if 'data_root' in cfg:
        config.train_dataloader.dataset.data_root = cfg['data_root']
    else:
        config.merge_from_dict(cfg)
    errors, why = mean_pose_errors(config, dict(data.first, **dump))
    assert errors == {} and reason in why


def test_drawings_are_root_aligned_where_that_was_scored(data):
    dump = dict(data.first)
    assert pick_alignment(dump, None) == 'root'
    assert pick_alignment(dump, 'procrustes') == 'procrustes'
    with pytest.raises(ValueError, match="alignment 'freihand', only"):
        pick_alignment(dump, 'freihand')
    del dump['errors_root']
    assert pick_alignment(dump, None) == B.scored_alignments(dump)[0]


def test_a_report_is_of_one_test(data):
    check_same_test(dict(a=data.first, b=dict(data.first)))
    with pytest.raises(ValueError, match='one test at least'):
        check_same_test({})
    other = dict(data.first)
    del other['errors_root']
    with pytest.raises(ValueError, match="'b' differ .* alignments"):
        check_same_test(dict(a=data.first, b=other))


def test_a_row_without_a_value_has_no_mean():
    rows = np.array([[1., 3.], [np.nan, 5.], [np.nan, np.nan]])
    np.testing.assert_array_equal(row_mean(rows), [2., 5., np.nan])
