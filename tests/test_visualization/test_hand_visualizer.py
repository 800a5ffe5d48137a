import lgh_mmpose  # isort: skip  # noqa: F401  (before mmpose: mmcv-lite)
import os
from types import MethodType, SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.apis.inferencers.base_mmpose_inferencer import BaseMMPoseInferencer
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.engine.hooks import BadCaseAnalysisHook, PoseVisualizationHook
from mmpose.registry import VISUALIZERS
from mmpose.structures import PoseDataSample

from lgh_mmpose.visualization import HandLocalVisualizer

META = parse_pose_metainfo(
    dict(from_file='configs/_base_/datasets/freihand2d.py'))
GREY = np.full((64, 64, 3), 90, np.uint8)
SIZE = 128  # of a panel


def toy_xyz():
    """A flat open hand 500 mm in front of the camera, (1, 21, 3) mm."""
    xyz = [(0, 70, 500)]
    for finger in range(5):
        for joint in range(4):
            xyz.append((finger * 20 - 40, 10 - joint * 25, 500 + 5 * finger))
    return np.array(xyz, float)[None]


def project(xyz):
    return xyz[..., :2] / xyz[..., 2:] * 150 + 31.5


def make_sample(shift=8., **fields):
    xyz = toy_xyz()
    sample = PoseDataSample(metainfo=dict(img_path='00000000.jpg'))
    boxes = dict(bboxes=np.array([[4., 4., 60., 60.]]), bbox_scores=np.ones(1))
    sample.gt_instances = InstanceData(
        keypoints=project(xyz),
        keypoints_cam=xyz,
        keypoints_visible=np.ones((1, 21), np.float32),
        **boxes)
    pred = xyz + [shift, 0, 0]
    sample.pred_instances = InstanceData(
        **{
            'keypoints': project(pred),
            'keypoints_cam': pred,
            'keypoint_scores': np.ones((1, 21), np.float32),
            **boxes,
            **fields
        })
    return sample


def make_visualizer(**kwargs):
    visualizer = HandLocalVisualizer(panel_size=SIZE, **kwargs)
    visualizer.set_dataset_meta(META)
    return visualizer


def draw(sample, image=GREY, visualizer=None, **kwargs):
    visualizer = visualizer or make_visualizer()
    return visualizer.add_datasample('x', image, sample, **kwargs)


def test_image_and_two_3d_views_side_by_side():
    picture = draw(make_sample())
    assert picture.shape == (SIZE, 3 * SIZE, 3) and picture.dtype == np.uint8
    image, front, side = np.split(picture, 3, axis=1)
    assert (image != 90).any()
    for view in (front, side):  # coloured strokes on a white page
        assert (view == 255).all(axis=-1).mean() > .2
        assert (np.ptp(view.astype(int), axis=-1) > 60).mean() > .005


def test_large_images_keep_their_size():
    image = np.full((300, 200, 3), 90, np.uint8)
    assert draw(make_sample(), image).shape == (300, 200 + 2 * SIZE, 3)


def test_input_image_is_left_alone():
    for size in (64, 200):
        image = np.full((size, size, 3), 90, np.uint8)
        draw(make_sample(), image, draw_bbox=True, show_kpt_idx=True)
        assert (image == 90).all()


def test_skeletons_lie_on_their_joints():
    sample = make_sample(shift=0.)
    visualizer = make_visualizer()
    colors = visualizer._joint_colors(sample)
    picture = draw(sample, visualizer=visualizer)
    for point, color in zip(sample.pred_instances.keypoints[0], colors):
        x, y = np.round((point + .5) * SIZE / 64 - .5).astype(int)
        assert np.abs(picture[y, x] - color.astype(int)).max() < 40


@pytest.mark.parametrize('what', ['draw_gt', 'draw_pred'])
def test_either_side_can_be_left_out(what):
    visualizer = make_visualizer(show_gt=False)
    both = draw(make_sample(), visualizer=visualizer)
    one = draw(make_sample(), visualizer=visualizer, **{what: False})
    assert one.shape == both.shape and (one != both).any()
    none = draw(
        make_sample(), visualizer=visualizer, draw_gt=False, draw_pred=False)
    assert none.shape == (SIZE, SIZE, 3) and (none == 90).all()


def test_ground_truth_is_drawn_for_the_hook_unless_told_otherwise():
    wanted = draw(make_sample(), draw_gt=True)
    np.testing.assert_array_equal(wanted, draw(make_sample(), draw_gt=False))
    hidden = draw(
        make_sample(),
        visualizer=make_visualizer(show_gt=False),
        draw_gt=False)
    assert (wanted != hidden).any()


def test_joints_below_the_threshold_are_hidden():
    scores = np.ones((1, 21), np.float32)
    scores[0, 1:] = .2
    sample = make_sample(keypoint_scores=scores)
    visualizer = make_visualizer(show_gt=False)
    kwargs = dict(visualizer=visualizer, draw_gt=False)
    few = (draw(sample, kpt_thr=.3, **kwargs)[:, :SIZE] != 90).sum()
    many = (draw(sample, kpt_thr=.1, **kwargs)[:, :SIZE] != 90).sum()
    assert 0 < few < many / 5


def test_every_joint_hidden_still_gives_a_picture():
    sample = make_sample(keypoint_scores=np.zeros((1, 21), np.float32))
    assert draw(
        sample, visualizer=make_visualizer(show_gt=False),
        draw_gt=False).shape == (SIZE, 3 * SIZE, 3)


def test_boxes_and_indices_are_drawn_on_request():
    plain = draw(make_sample())
    for option in ('draw_bbox', 'show_kpt_idx'):
        picture = draw(make_sample(), **{option: True})
        changed = (picture != plain).any(axis=(0, 2))
        assert changed[:SIZE].any() and not changed[SIZE:].any()


def test_radius_and_line_width_set_by_the_inferencers_take_effect():
    visualizer = make_visualizer()
    thin = (draw(make_sample(), visualizer=visualizer) != 90).sum()
    visualizer.radius, visualizer.line_width = 8, 6
    assert (draw(make_sample(), visualizer=visualizer) != 90).sum() > thin


# ---- colours


def test_colour_by_group():
    by_finger = draw(make_sample())
    sample = make_sample()
    sample.set_metainfo(dict(joint_groups=np.arange(21) % 2))
    visualizer = make_visualizer(color_by='group')
    by_group = draw(sample, visualizer=visualizer)
    assert (by_group != by_finger).any()
    visualizer.set_joint_groups(np.arange(21) % 2)
    np.testing.assert_array_equal(
        draw(make_sample(), visualizer=visualizer), by_group)
    # what the sample says goes before what was set
    sample.set_metainfo(dict(joint_groups=np.arange(21) % 3))
    assert (draw(sample, visualizer=visualizer) != by_group).any()


def test_colour_by_group_without_groups_is_an_error():
    with pytest.raises(ValueError, match='call set_joint_groups'):
        draw(make_sample(), visualizer=make_visualizer(color_by='group'))


@pytest.mark.parametrize('kwargs, message', [
    (dict(color_by='hand'), "'finger' or 'group', got 'hand'"),
    (dict(panel_size=10), 'at least 64'),
])
def test_unknown_arguments_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        HandLocalVisualizer(**kwargs)


def test_missing_metainfo_is_an_error():
    with pytest.raises(ValueError, match='set_dataset_meta'):
        draw(make_sample(), visualizer=HandLocalVisualizer())


def test_other_skeleton_styles_are_refused():
    with pytest.raises(ValueError, match="'openpose'"):
        draw(make_sample(), skeleton_style='openpose')


# ---- what predictions may lack


def test_without_3d_the_image_alone_is_drawn():
    sample = make_sample()
    del sample.pred_instances.keypoints_cam
    del sample.gt_instances.keypoints_cam
    assert draw(sample).shape == (SIZE, SIZE, 3)


def test_inference_without_ground_truth():
    sample = make_sample()
    sample.gt_instances = InstanceData(bboxes=np.array([[0., 0., 9., 9.]]))
    assert draw(sample).shape == (SIZE, 3 * SIZE, 3)


@pytest.mark.parametrize('units', ['mm', 'reference bones'])
def test_root_relative_predictions_are_drawn_in_their_own_frame(units):
    xyz = toy_xyz()
    relative = (xyz - xyz[:, 9:10]) / (1 if units == 'mm' else 25)
    sample = make_sample(
        keypoints_cam=relative,
        frame=np.array(['root']),
        units=np.array([units]))
    picture = draw(sample)
    # with the frames confused the hand would shrink to a dot in the corner
    strokes = np.ptp(picture[:, SIZE:].astype(int), axis=-1) > 60
    columns = np.flatnonzero(strokes[:, :SIZE].any(axis=0))
    assert np.ptp(columns) > SIZE / 4


def test_several_hands_on_one_image():
    sample = make_sample()
    for name in ('gt_instances', 'pred_instances'):
        part = getattr(sample, name)
        setattr(sample, name, InstanceData.cat([part] * 3))
    # one row of views fits beside the small image, two beside the large
    assert draw(sample).shape == (SIZE, 7 * SIZE, 3)
    image = np.full((2 * SIZE, 100, 3), 90, np.uint8)
    assert draw(sample, image).shape == (2 * SIZE, 100 + 4 * SIZE, 3)


def test_tensors_are_drawn_as_arrays_are():
    expected = draw(make_sample())
    sample = make_sample()
    for part in (sample.gt_instances, sample.pred_instances):
        for key, value in part.items():
            part.set_field(torch.from_numpy(value), key)
    np.testing.assert_array_equal(draw(sample), expected)


def test_heatmaps_are_added_on_request():
    sample = make_sample()
    sample.pred_fields = PixelData(heatmaps=torch.rand(21, 64, 64))
    assert draw(sample).shape == (SIZE, 3 * SIZE, 3)
    assert draw(sample, draw_heatmap=True).shape == (SIZE, 4 * SIZE, 3)


# ---- where mmpose calls it


def test_picture_is_written_or_kept_by_the_backends(tmp_path):
    visualizer = VISUALIZERS.build(
        dict(
            type='HandLocalVisualizer',
            name=f'visualizer_{tmp_path.name}',
            panel_size=SIZE,
            vis_backends=[dict(type='LocalVisBackend')],
            save_dir=str(tmp_path / 'run')))
    visualizer.set_dataset_meta(META)
    out_file = tmp_path / 'out' / 'hand.png'
    picture = draw(
        make_sample(), visualizer=visualizer, out_file=str(out_file))
    np.testing.assert_array_equal(
        cv2.imread(str(out_file))[..., ::-1], picture)
    assert not (tmp_path / 'run').exists() or not list(
        (tmp_path / 'run').rglob('*.png'))
    draw(make_sample(), visualizer=visualizer, step=7)
    assert [p.name for p in (tmp_path / 'run').rglob('*.png')] == ['x_7.png']


def test_the_longest_names_keep_their_end(tmp_path):
    """The hook adds a number to an image's name, which may be too long."""
    out_file = tmp_path / (252 * 'n' + '_12.png')
    draw(make_sample(), out_file=str(out_file))
    assert [p.name for p in tmp_path.iterdir()] == [248 * 'n' + '_12.png']


def test_visualization_hook(tmp_path):
    image_file = str(tmp_path / '00000000.jpg')
    cv2.imwrite(image_file, GREY)
    HandLocalVisualizer.get_instance(
        f'visualizer_{tmp_path.name}',
        panel_size=SIZE,
        vis_backends=[dict(type='LocalVisBackend')],
        save_dir=str(tmp_path / 'run'))
    hook = PoseVisualizationHook(enable=True, interval=1, out_dir='show')
    evaluator = SimpleNamespace(dataset_meta=META)
    runner = SimpleNamespace(
        work_dir=str(tmp_path),
        timestamp='now',
        iter=0,
        val_evaluator=evaluator,
        test_evaluator=evaluator)
    sample = make_sample()
    sample.set_metainfo(dict(img_path=image_file))
    hook.after_test_iter(runner, 0, None, [sample, sample])
    assert len(os.listdir(tmp_path / 'now' / 'show')) == 2
    picture = cv2.imread(str(tmp_path / 'now' / 'show' / '00000000_0.jpg'))
    assert picture.shape == (SIZE, 3 * SIZE, 3)
    hook.after_val_iter(runner, 0, dict(data_samples=[sample]), [sample])
    assert len(list((tmp_path / 'run').rglob('val_img_0.png'))) == 1


def test_bad_case_hook(tmp_path):
    image_file = str(tmp_path / '00000000.png')
    cv2.imwrite(image_file, GREY)
    HandLocalVisualizer.get_instance(
        f'visualizer_{tmp_path.name}', panel_size=SIZE, show_gt=False)
    hook = BadCaseAnalysisHook(enable=True, out_dir='bad', badcase_thr=0.)
    runner = SimpleNamespace(
        work_dir=str(tmp_path),
        timestamp='now',
        test_evaluator=SimpleNamespace(dataset_meta=META))
    sample = make_sample()
    sample.set_metainfo(dict(img_path=image_file))
    hook.after_test_iter(runner, 0, None, [sample])
    # the hook draws ground truth, then the prediction onto that picture:
    # the same as both at once
    written, = (tmp_path / 'now' / 'bad').glob('*.png')
    np.testing.assert_array_equal(
        cv2.imread(str(written))[..., ::-1],
        draw(make_sample(), draw_bbox=True))


def test_inferencers_visualize(tmp_path):
    visualizer = make_visualizer()
    inferencer = SimpleNamespace(visualizer=visualizer, _video_input=False)
    inferencer.save_visualization = MethodType(
        BaseMMPoseInferencer.save_visualization, inferencer)
    sample = make_sample()
    sample.gt_instances = InstanceData(bboxes=np.array([[0., 0., 9., 9.]]))
    picture, = BaseMMPoseInferencer.visualize(
        inferencer, [GREY], [sample],
        return_vis=True,
        draw_bbox=True,
        draw_heatmap=True,
        skeleton_style='mmpose',
        radius=5,
        thickness=3,
        vis_out_dir=str(tmp_path))
    assert picture.shape == (SIZE, 3 * SIZE, 3)
    assert os.listdir(tmp_path) == ['00000000.jpg']
