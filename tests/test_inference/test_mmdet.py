import json

import numpy as np
import pytest
import torch
from dataset_writers import write_photos
from helpers import REPO_ROOT, run_script, write_toy_export
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.utils import get_installed_path
from toy_video import write_video

from lgh_mmpose.apis import HandInferencer, open_source
from lgh_mmpose.inference.backends.mmdet import HandDetector


@pytest.fixture(scope='module')
def tiny_rtmdet(tmp_path_factory):
    """mmpose's RTMDet-nano for hands with few channels and random weights."""
    folder = tmp_path_factory.mktemp('detector')
    config = Config.fromfile(
        get_installed_path('mmpose') +
        '/.mim/demo/mmdetection_cfg/rtmdet_nano_320-8xb32_hand.py')
    config.model.backbone.update(widen_factor=.125, init_cfg=None)
    config.model.neck.update(in_channels=[32, 64, 128], out_channels=16)
    config.model.bbox_head.update(in_channels=16, feat_channels=16)
    # two classes, to choose between, and every box that comes
    config.model.bbox_head.num_classes = 2
    config.model.test_cfg.update(score_thr=0., max_per_img=1000)
    pipeline = config.test_dataloader.dataset.pipeline
    pipeline[1].scale = pipeline[2].size = (64, 64)
    config_file = str(folder / 'rtmdet_tiny_hand.py')
    config.dump(config_file)

    from mmdet.apis import init_detector
    torch.manual_seed(1)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = init_detector(config_file, None, 'random', 'cpu')
    with torch.no_grad():
        for classify, place in zip(model.bbox_head.rtm_cls,
                                   model.bbox_head.rtm_reg):
            classify.weight.normal_()  # scores that differ
            place.bias.fill_(4)  # boxes that have an area
    checkpoint = str(folder / 'random.pth')
    torch.save(dict(state_dict=model.state_dict(), meta={}), checkpoint)
    return config_file, checkpoint


def an_image(size=(90, 160)):
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (*size, 3), dtype=np.uint8)


def test_boxes_come_best_first_in_pixels_of_the_image(tiny_rtmdet):
    detector = HandDetector(*tiny_rtmdet, score_thr=0)
    boxes, scores = detector(an_image())
    assert boxes.shape == (len(scores), 4) and len(scores) > 1
    assert (np.diff(scores) <= 0).all()
    assert (boxes >= 0).all() and (boxes[:, [0, 2]] <= 160).all()
    assert (boxes[:, [1, 3]] <= 90).all()


def test_threshold_and_class_choose(tiny_rtmdet):
    _, scores = HandDetector(*tiny_rtmdet, score_thr=0)(an_image())
    threshold = float(np.median(scores))
    _, above = HandDetector(*tiny_rtmdet, score_thr=threshold)(an_image())
    np.testing.assert_allclose(above, scores[scores >= threshold])
    _, other = HandDetector(*tiny_rtmdet, cat_id=1, score_thr=0)(an_image())
    assert len(other) and other.tolist() != scores.tolist()
    boxes, scores = HandDetector(*tiny_rtmdet, score_thr=1)(an_image())
    assert boxes.shape == (0, 4) and scores.shape == (0, )


def test_boxes_do_not_overlap_by_more_than_its_nms_allows(tiny_rtmdet):
    """On mmcv-lite this is the NMS of ``compat``."""
    from lgh_mmpose.inference.tracking import box_iou

    # a square is not padded, so no box is cut after the NMS
    boxes, _ = HandDetector(*tiny_rtmdet, score_thr=0)(an_image((96, 96)))
    overlap = max(
        box_iou(a, b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert 0 < overlap <= .6 + 1e-3


def test_mmpose_remains_the_scope(tiny_rtmdet):
    from mmpose.registry import TRANSFORMS
    HandDetector(*tiny_rtmdet)(an_image())
    scope = DefaultScope.get_current_instance()
    assert scope is None or scope.scope_name == 'mmpose'
    assert TRANSFORMS.get('TopdownAffineCamera') is not None


def test_another_models_weights_are_refused(tiny_rtmdet, tmp_path):
    config, _ = tiny_rtmdet
    torch.save(dict(state_dict={}), tmp_path / 'empty.pth')
    with pytest.raises(ValueError, match=r'empty\.pth is not one of this'):
        HandDetector(config, str(tmp_path / 'empty.pth'))


@pytest.mark.parametrize('text, message', [
    ('model = dict(\n', 'cannot read the config .*own.py'),
    ('scope = "mmdet"\n', "config .*own.py names: .*'model'"),
    ("model = dict(type='RTMDet', backbone=dict(type='CSPNeXt'), colour=1)\n",
     'config .*own.py names: .*'),
    ("model = dict(type='NoSuchDetector', backbone=dict())\n",
     'config .*own.py names: .*NoSuchDetector'),
])
def test_a_wrong_config_is_one_sentence(tiny_rtmdet, tmp_path, text, message):
    (tmp_path / 'own.py').write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        HandDetector(tmp_path / 'own.py', tiny_rtmdet[1])
    assert len(str(error.value).splitlines()) == 1
    with pytest.raises(FileNotFoundError, match='config not found: none.py'):
        HandDetector('none.py', tiny_rtmdet[1])


def test_a_detector_without_a_test_pipeline_is_named(tiny_rtmdet):
    config = Config.fromfile(tiny_rtmdet[0])
    config.pop('test_dataloader')
    with pytest.raises(ValueError, match='rtmdet_tiny_hand.py names: '):
        HandDetector(config, tiny_rtmdet[1])


@pytest.fixture(scope='module')
def pose(tmp_path_factory):
    """Config and random weights of a network of hands."""
    from mmpose.apis import init_model
    config = str(REPO_ROOT / 'configs/lgh_studiohand.py')
    torch.manual_seed(0)
    weights = init_model(config, device='cpu').state_dict()
    path = tmp_path_factory.mktemp('pose') / 'pose.pth'
    torch.save(dict(state_dict=weights), path)
    return config, str(path)


def test_the_command_passes_its_options_to_the_detector(
        tiny_rtmdet, pose, tmp_path):
    """With ``--no-track``: each frame is searched."""
    film = write_video(tmp_path / 'film.avi', [an_image()] * 2)
    frame = next(iter(open_source(film))).image
    _, scores = HandDetector(*tiny_rtmdet, cat_id=1, score_thr=0)(frame)
    threshold = float(scores[:4].mean())
    detector = HandDetector(*tiny_rtmdet, cat_id=1, score_thr=threshold)
    run_script(
        REPO_ROOT / 'demo/hand3d_demo.py',
        *(film, '--config', pose[0], '--checkpoint', pose[1]),
        *('--detector', *tiny_rtmdet, '--det-cat-id', 1),
        *('--det-score-thr', threshold, '--hand-side', 'right'),
        *('--no-track', '--json', 'hands.jsonl'),
        cwd=tmp_path)
    lines = (tmp_path / 'hands.jsonl').read_text().splitlines()
    frames = [json.loads(line) for line in lines]
    for frame, found in zip(frames, open_source(film)):
        boxes, scores = detector(found.image)
        hands = frame['hands']
        assert 0 < len(boxes) == len(hands)
        assert {hand['track'] for hand in hands} == {None}
        np.testing.assert_allclose([hand['bbox'] for hand in hands],
                                   boxes,
                                   atol=1e-3)
        np.testing.assert_allclose([hand['bbox_score'] for hand in hands],
                                   scores)
    assert len(frames) == 2


def test_hands_are_what_the_detector_found(tiny_rtmdet, pose):
    pose_config, pose_weights = pose
    detector = HandDetector(*tiny_rtmdet, score_thr=0)
    _, scores = detector(an_image())
    threshold = float(scores[2])
    inferencer = HandInferencer(
        pose_config,
        pose_weights,
        'cpu',
        *tiny_rtmdet,
        hand_side='right',
        batch_size=2,
        det_score_thr=threshold)
    frame, = inferencer(an_image())
    boxes, _ = detector(an_image())
    assert [h['bbox_score'] for h in frame['hands']] == scores[:3].tolist()
    np.testing.assert_allclose([h['bbox'] for h in frame['hands']],
                               boxes[:3],
                               atol=1e-3)
    blind = HandInferencer(
        pose_config, pose_weights, 'cpu', *tiny_rtmdet, det_score_thr=1)
    assert [frame['hands'] for frame in blind([an_image()] * 2)] == [[], []]


def test_photographs_are_scored_with_found_boxes(tiny_rtmdet, tmp_path):
    write_photos(tmp_path / 'photos', 4)
    write_toy_export(tmp_path / 'exported',
                     np.random.default_rng(0).uniform(12, 52, (21, 2)))
    run_script(
        REPO_ROOT / 'tools/analysis_tools/score_photos.py',
        *('photos', '--model', 'exported', '--boxes', 'found'),
        *('--detector', *tiny_rtmdet, '--json', 'scores.json'),
        cwd=tmp_path)
    scores = json.loads((tmp_path / 'scores.json').read_text())
    assert scores['protocol']['boxes'] == 'found'
    for label in ('true', 'accepted'):
        one = scores[label]
        assert one['count'] == 2 and 0 <= one['found'] <= 2
        assert (one['error'] is None) == (one['found'] == 0)
