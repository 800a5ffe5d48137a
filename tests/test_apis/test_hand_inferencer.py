import io
import json
import re
import threading
import warnings
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from helpers import REPO_ROOT, toy_hand
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from PIL import Image
from toy_video import (joints_at, see_squares, set_durations, squares,
                       write_video)

from lgh_mmpose.apis import (ASSUMED_FOV, AVERAGE_BONE_LENGTH, Frame,
                             FrameSource, HandInferencer, OneEuroFilter,
                             Smoothing, camera_of_fov, crop_of_config,
                             draw_hands, hand_inferencer)
from lgh_mmpose.geometry.camera import project
from lgh_mmpose.geometry.crop import Crop
from lgh_mmpose.inference.drawing import _label, _write
from lgh_mmpose.inference.settings import resolve_bone_length
from lgh_mmpose.inference.tracking import HandTracker
from lgh_mmpose.models.heads.grouped_joint_head import GroupEstimates

# after lgh_mmpose, which makes it importable under mmcv-lite
from mmpose.apis import MMPoseInferencer, inference_topdown, init_model  # isort: skip # noqa: E501

CONFIG = REPO_ROOT / 'configs/lgh_studiohand.py'
CAMERA = np.array([[150., 0, 30], [0, 150, 34], [0, 0, 1]])


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory):
    """Random weights that still tell images, and places in them, apart."""
    torch.manual_seed(0)
    model = init_model(str(CONFIG), device='cpu')
    with torch.no_grad():
        model.head.heatmap_layers[-1].weight.mul_(300)
        model.head.depth_layers[-1].weight.mul_(5)
    path = tmp_path_factory.mktemp('weights') / 'random.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return str(path)


@pytest.fixture(scope='session')
def inferencer(checkpoint):
    return HandInferencer(
        CONFIG,
        checkpoint,
        camera_matrix=CAMERA,
        bone_length=40,
        hand_side='right',
        batch_size=3)


@pytest.fixture
def images(freihand_root):
    files = sorted((freihand_root / 'training/rgb').glob('*.jpg'))
    return [cv2.imread(str(file)) for file in files]


def joints(hand, key='keypoints'):
    return np.array(hand[key])


def test_frame_dict_is_what_the_schema_says(inferencer, images):
    frame, = inferencer(images[0])
    assert json.loads(json.dumps(frame, allow_nan=False)) == frame
    assert frame['schema'] == 'lgh_mmpose/hands/1'
    assert (frame['source'], frame['frame']) == ('array', 0)
    assert frame['time'] is None
    assert frame['image_size'] == [64, 64]
    assert frame['camera'] == dict(matrix=CAMERA.tolist(), source='given')
    hand, = frame['hands']
    assert list(hand) == [
        'bbox', 'bbox_score', 'track', 'hand_side', 'hand_side_source',
        'joint_names', 'keypoints', 'scores', 'keypoints_cam', 'units',
        'frame', 'root_joint', 'reference_bone', 'bone_length', 'groups',
        'root_depth_status'
    ]
    assert hand['bbox'] == [0, 0, 64, 64]
    assert hand['bbox_score'] is None and hand['track'] is None
    assert (hand['hand_side'], hand['hand_side_source']) == ('right', 'given')
    assert (hand['units'], hand['frame']) == ('mm', 'camera')
    assert hand['bone_length'] == dict(mm=40., source='given')
    assert joints(hand).shape == (21, 2)
    assert joints(hand, 'keypoints_cam').shape == (21, 3)
    assert 0 <= min(hand['scores']) and max(hand['scores']) <= 1
    assert set(hand['groups']) <= {0, 1, 2}


def test_each_field_is_documented(inferencer, images):
    page = (REPO_ROOT / 'docs/inference.md').read_text()
    table = page.split('## What comes out')[1].split('\n## ')[0]
    documented = [
        name for cells in re.findall(r'^\| ([^|]*) \|', table, re.MULTILINE)
        for name in re.findall('`([^`]+)`', cells)
    ]

    def names(fields):
        for key, value in fields.items():
            parts = value if isinstance(value, dict) else None
            yield from (f'{key}.{part}' for part in parts) if parts else [key]

    frame, = inferencer(images[0])
    assert documented == [*names(frame), *names(frame['hands'][0])]


def test_joints_lie_on_their_pixels(inferencer, images):
    for frame in inferencer(images):
        hand, = frame['hands']
        np.testing.assert_allclose(
            project(joints(hand, 'keypoints_cam'), CAMERA),
            joints(hand),
            atol=1e-2)


def test_a_network_that_is_right_gives_the_true_millimetres(
        inferencer, images, monkeypatch):
    hand_cam = 1000 * toy_hand(np.random.default_rng(1))
    uv = project(hand_cam, CAMERA)
    bone = np.linalg.norm(hand_cam[10] - hand_cam[9])
    depth = (hand_cam[:, 2] - hand_cam[9, 2]) / bone

    def estimate(feats):
        # 64 px become 96; the scores are those of a point
        heatmaps = torch.zeros(1, 3, 21, 12, 12)
        heatmaps[..., 5, 5] = 1
        return GroupEstimates(heatmaps,
                              torch.tensor(1.5 * uv).expand(1, 3, 21, 2),
                              torch.tensor(depth).expand(1, 3, 21))

    monkeypatch.setattr(inferencer.model.head, 'estimate', estimate)
    hand = next(inferencer(images[0], bone_length=bone))['hands'][0]
    np.testing.assert_allclose(joints(hand), uv, atol=1e-3)
    np.testing.assert_allclose(
        joints(hand, 'keypoints_cam'), hand_cam, atol=.1)
    assert hand['scores'] == [1] * 21
    assert hand['root_depth_status'] == 'SOLVED'
    # a bone whose ends lie on one pixel says nothing of the distance
    uv[10] = uv[9]
    hand = next(inferencer(images[0], bone_length=bone))['hands'][0]
    assert hand['root_depth_status'] == 'FORESHORTENED'
    assert _label(hand, dict(source='given')).endswith('mm?')


def test_batches_give_what_single_images_give(inferencer, images):
    together = list(inferencer(images))
    assert [frame['frame'] for frame in together] == list(range(8))
    for frame, image in zip(together, images):
        alone, = inferencer(image)
        np.testing.assert_allclose(
            joints(frame['hands'][0]), joints(alone['hands'][0]), atol=1e-3)


def test_frames_come_as_they_are_asked_for(inferencer, images):
    read = []

    def endless():
        while True:
            read.append(1)
            yield images[len(read) % 8]

    frames = inferencer(endless())
    next(frames)
    frames.close()
    # one batch, what is read ahead and the one in hand
    assert len(read) <= 3 + 2 * 3 + 2


def test_what_was_read_before_a_fault_is_answered(inferencer, images):
    answers = inferencer([images[0], images[1], b'no image', images[2]])
    assert len(next(answers)['hands']) == len(next(answers)['hands']) == 1
    with pytest.raises(ValueError, match='bytes of the image: it is damaged'):
        next(answers)


def test_the_same_image_in_any_form_has_the_same_joints(inferencer, images):
    content = cv2.imencode('.png', images[0])[1].tobytes()
    expected, *others = (
        frame['hands'][0]['keypoints'] for frame in inferencer([
            images[0], content,
            io.BytesIO(content),
            Image.open(io.BytesIO(content)), images[0].astype(np.uint16) << 8,
            images[0] / 255
        ]))
    assert others == [expected] * 5
    with pytest.raises(ValueError, match='a tensor does not tell the order'):
        next(inferencer(torch.zeros(3, 64, 64)))


def test_it_is_the_network_of_mmpose_that_answers(inferencer, images):
    sample, = inference_topdown(inferencer.model, images[0])
    frame, = inferencer(images[0])
    np.testing.assert_allclose(
        sample.pred_instances.keypoints[0],
        joints(frame['hands'][0]),
        atol=1e-3)


def test_without_camera_and_bone_length_it_says_so(checkpoint, images, caplog):
    inferencer = HandInferencer(CONFIG, checkpoint)
    said = []
    inferencer.pipeline._say = said.append
    frame, = inferencer(images[0])
    hand, = frame['hands']
    assert frame['camera']['source'] == 'assumed'
    assert frame['camera']['matrix'] == np.round(
        camera_of_fov((64, 64), ASSUMED_FOV), 4).tolist()
    assert hand['bone_length'] == dict(
        mm=AVERAGE_BONE_LENGTH, source='average')
    assert hand['hand_side_source'] == 'estimated'
    assert len(set(said)) == 4
    # each with its mend, in Python and of the command
    for what, mend in (('60 degrees', '--fov'), ('44.6 mm', '--bone-length'),
                       ('the side of', '--hand-side'), ('no detector',
                                                        '--detector shipped')):
        text, = {text for text in said if what in text}
        assert mend in text


def test_assumptions_are_said_once_and_not_on_stdout(checkpoint, images,
                                                     capfd):
    inferencer = HandInferencer(CONFIG, checkpoint, hand_side='left')
    list(inferencer(images[:3]))
    out, err = capfd.readouterr()
    assert 'angle of view' not in out
    assert len(inferencer.pipeline._said) == 3


def test_without_any_bone_length_joints_are_relative(inferencer, images):
    frame, = inferencer(images[0], bone_length='none')
    hand, = frame['hands']
    assert (hand['units'], hand['frame']) == ('reference bones', 'root')
    assert hand['bone_length'] == dict(mm=None, source='none')
    root = hand['joint_names'].index(hand['root_joint'])
    assert hand['keypoints_cam'][root] == [0, 0, 0]
    mm, = inferencer(images[0], bone_length=50)
    xyz = joints(mm['hands'][0], 'keypoints_cam')
    np.testing.assert_allclose(
        50 * joints(hand, 'keypoints_cam'), xyz - xyz[root], atol=1e-2)


def test_fov_is_that_across_the_longer_side():
    matrix = camera_of_fov((640, 480), 90)
    edges = np.array([[-.5, 239.5], [639.5, 239.5]])
    rays = (edges[:, 0] - matrix[0, 2]) / matrix[0, 0]
    np.testing.assert_allclose(np.degrees(np.arctan(rays)), [-45, 45])
    np.testing.assert_allclose(camera_of_fov((480, 640), 90)[0, 0], 320)


def test_mirrored_image_and_other_side_give_the_mirrored_hand(
        inferencer, checkpoint, images):
    left = HandInferencer(
        CONFIG,
        checkpoint,
        camera_matrix=CAMERA,
        bone_length=40,
        hand_side='left')
    # the axis of the mirror is that of the pixels
    camera = CAMERA.copy()
    camera[0, 2] = 63 - camera[0, 2]
    mirrored = np.ascontiguousarray(images[0][:, ::-1])
    # the input is of the scale of the image, so no pixel is interpolated
    right_hand = next(inferencer(images[0], [0, 0, 64, 64]))['hands'][0]
    left_hand = next(left(mirrored, [0, 0, 64, 64], camera))['hands'][0]
    expected = joints(right_hand) * [-1, 1] + [63, 0]
    np.testing.assert_allclose(joints(left_hand), expected, atol=.05)
    np.testing.assert_allclose(
        joints(left_hand, 'keypoints_cam'),
        joints(right_hand, 'keypoints_cam') * [-1, 1, 1],
        rtol=1e-2,
        atol=.5)


def test_auto_takes_the_side_with_the_higher_score(inferencer, checkpoint,
                                                   images):
    auto, left = (
        HandInferencer(
            CONFIG,
            checkpoint,
            camera_matrix=CAMERA,
            bone_length=40,
            hand_side=side) for side in ('auto', 'left'))
    sides = set()
    mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in images]
    for image in images + mirrored:
        by_side = {
            side: next(one(image))['hands'][0]
            for side, one in (('right', inferencer), ('left', left))
        }
        best = max(by_side, key=lambda side: np.mean(by_side[side]['scores']))
        chosen = next(auto(image))['hands'][0]
        assert chosen['hand_side'] == best
        np.testing.assert_allclose(
            joints(chosen), joints(by_side[best]), atol=1e-3)
        sides.add(best)
    assert sides == {'left', 'right'}


def test_a_box_is_enlarged_by_bbox_padding(inferencer, images):
    # an image in a larger one, and the box for which the input is the same
    large = np.zeros((128, 128, 3), np.uint8)
    large[20:84, 40:104] = images[0]
    half = 32 / inferencer.pipeline.info.crop.padding
    box = [72 - half, 52 - half, 72 + half, 52 + half]
    inside = next(inferencer(large, bboxes=box))['hands'][0]
    alone = next(inferencer(images[0]))['hands'][0]
    assert inferencer.pipeline.info.crop.padding == 1.5
    np.testing.assert_allclose(inside['bbox'], box, atol=1e-3)
    # linear interpolation at the border sees the larger image's black
    np.testing.assert_allclose(
        joints(inside), joints(alone) + [40, 20], atol=1.)


def test_several_boxes_are_several_hands(inferencer, images):
    boxes = [[5, 5, 40, 40], [20, 20, 60, 60]]
    hands = next(inferencer(images[0], bboxes=boxes))['hands']
    assert [hand['bbox'] for hand in hands] == boxes
    assert hands[0]['keypoints'] != hands[1]['keypoints']


def test_a_box_outside_the_image_is_named(inferencer, images):
    with pytest.raises(ValueError, match='64 x 64 px of array, frame 1'):
        list(
            inferencer([np.zeros((99, 99, 3), np.uint8), images[0]],
                       [70, 70, 90, 90]))
    for box in ([1, 2, 3], [9, 9, 5, 12], [[0, 0, 1, np.inf]], 'box',
                [0, 0, 1e30, 9], [0, 0, 10**401, 9], ['0', '0', '9', '9']):
        with pytest.raises(ValueError, match='bboxes must be'):
            inferencer(images[0], box).send(None)


def test_a_camera_is_answered_frame_by_frame(checkpoint, images):
    answered, kept_waiting = threading.Event(), []

    def camera():
        yield Frame('webcam:0', 0, 0., images[0], 30.)
        kept_waiting.append(not answered.wait(20))

    inferencer = HandInferencer(
        CONFIG, checkpoint, hand_side='right', batch_size=8, track=False)
    results = inferencer.run(FrameSource(camera(), live=True))
    next(results)
    answered.set()
    assert list(results) == [] and kept_waiting == [False]


def video(images, repeat=3):
    frames = [image for image in images for _ in range(repeat)]
    return FrameSource([
        Frame('film', i, i / 30, image, 30.) for i, image in enumerate(frames)
    ],
                       num_frames=len(frames))


def test_a_still_video_is_followed_by_its_joints(inferencer, images):
    frames = list(inferencer(video(images[:1], 4)))
    assert [frame['frame'] for frame in frames] == [0, 1, 2, 3]
    followed = 0
    for before, after in zip(frames, frames[1:]):
        for hand in after['hands']:
            for old in before['hands']:
                if old['track'] == hand['track']:
                    uv = joints(old)
                    np.testing.assert_allclose(
                        hand['bbox'], [*uv.min(0), *uv.max(0)], atol=1e-3)
                    followed += 1
    assert followed


def test_a_hand_lost_from_its_given_box_does_not_come_back(
        inferencer, images, monkeypatch):
    monkeypatch.setattr(HandTracker, 'update', lose_in_second_update)
    frames = list(inferencer(video(images[:1], 3), [4, 4, 60, 60]))
    assert [len(frame['hands']) for frame in frames] == [1, 0, 0]


def lose_in_second_update(tracker, track, *_):
    track.age += 1
    if track.age == 2:
        tracker.tracks.remove(track)
    return track.age < 2


def test_untracked_videos_are_images(inferencer, checkpoint, images):
    plain = HandInferencer(
        CONFIG,
        checkpoint,
        camera_matrix=CAMERA,
        bone_length=40,
        hand_side='right',
        track=False)
    for frame, image in zip(plain(video(images, 1)), images):
        hand, = frame['hands']
        assert hand['track'] is None and frame['source'] == 'film'
        np.testing.assert_allclose(
            joints(hand),
            joints(next(inferencer(image))['hands'][0]),
            atol=1e-3)


# -- a detector in videos ----------------------------------------------------


@pytest.fixture
def detecting(checkpoint, monkeypatch):
    """Makes an inferencer that sees squares, and gives its detector."""
    detector = see_squares(monkeypatch)

    def make(**options):
        return HandInferencer(
            CONFIG,
            checkpoint,
            detector='det.py',
            detector_checkpoint='det.pth',
            hand_side='right',
            fov=60,
            bone_length=40,
            **options)

    return make, detector


def film(places, numbers=None):
    """Squares as a film, of which the frames of these numbers came."""
    return FrameSource([
        Frame('film', i, i / 30, image, 30.)
        for i, image in zip(numbers or range(99), squares(places))
    ])


def tracks_of(frames):
    return [[hand['track'] for hand in frame['hands']] for frame in frames]


def test_two_moving_hands_keep_their_tracks(detecting):
    make, detector = detecting
    places = [[(10 + 3 * i, 8 + i), (110 - 2 * i, 40)] for i in range(9)]
    frames = list(make()(film(places)))
    assert tracks_of(frames) == [[0, 1]] * 9
    assert detector.searched == [2]
    for frame, corners in zip(frames, places):
        assert [hand['bbox_score'] for hand in frame['hands']] == [.9, .8]
        for hand, corner in zip(frame['hands'], corners):
            np.testing.assert_allclose(
                joints(hand), joints_at(corner), atol=1.5)


def test_a_lost_hand_is_searched_at_once_and_until_it_is_back(detecting):
    make, detector = detecting
    places = [[(20, 20)]] * 4 + [[]] * 3 + [[(90, 40)]] * 4
    frames = list(make(det_interval=99)(film(places)))
    assert tracks_of(frames) == [[0]] * 4 + [[]] * 3 + [[1]] * 4
    # at the beginning; when it is gone, each frame, until it is there again
    assert detector.searched == [1, 0, 0, 0, 1]
    np.testing.assert_allclose(
        joints(frames[-1]['hands'][0]), joints_at((90, 40)), atol=1.5)


def test_of_two_hands_the_lost_one_is_searched_once(detecting):
    make, detector = detecting
    both, one = [(10, 8), (110, 40)], [(10, 8)]
    frames = list(
        make(det_interval=4)(film([both] * 3 + [one] * 2 + [both] * 4)))
    # lost in frame 3 and then searched at the interval, in frame 7
    assert detector.searched == [2, 1, 2]
    assert tracks_of(frames) == [[0, 1]] * 3 + [[0]] * 4 + [[0, 2]] * 2


def test_the_interval_counts_frames_since_the_last_search(detecting):
    """Also where a camera dropped all whose number is a multiple of it."""
    make, detector = detecting
    one, both = [(10, 8)], [(10, 8), (110, 40)]
    numbers = [0, *range(5, 41, 4)]
    frames = list(make(det_interval=4)(film([one] * 2 + [both] * 8, numbers)))
    assert [frame['frame'] for frame in frames] == numbers
    assert detector.searched == [1, 2, 2]  # frames 0, 4 and 8 of those seen
    assert tracks_of(frames) == [[0]] * 4 + [[0, 1]] * 6


@pytest.mark.parametrize('names', ['ab', 'aa'])
def test_each_film_is_searched_anew(detecting, names):
    make, detector = detecting
    one = squares([[(20, 20)]] * 3)
    source = FrameSource([
        Frame(name, i, i / 30, image, 30.) for name in names
        for i, image in enumerate(one)
    ])
    assert tracks_of(make()(source)) == [[0]] * 6
    assert detector.searched == [1, 1]


def test_untracked_frames_are_each_searched(detecting):
    make, detector = detecting
    frames = list(make(track=False)(film([[(20, 20)]] * 5)))
    assert tracks_of(frames) == [[None]] * 5
    assert detector.searched == [1] * 5


def test_the_detector_is_made_as_asked(monkeypatch):
    made = []

    def make_detector(*args, **options):
        made.append((args, options))
        return 'the detector'

    monkeypatch.setattr(hand_inferencer, 'HandDetector', make_detector)
    # of a device that is not here
    monkeypatch.setattr(hand_inferencer, 'HandPose',
                        lambda *_, **options: SimpleNamespace(**options))
    inferencer = HandInferencer(
        CONFIG,
        'net.pth',
        'cuda:3',
        'det.py',
        'det.pth',
        det_cat_id=2,
        det_score_thr=.4)
    assert made == [(('det.py', 'det.pth', 'cuda:3'),
                     dict(cat_id=2, score_thr=.4))]
    assert inferencer.detector == 'the detector'
    assert inferencer.pipeline.device == 'cuda:3'


# -- time --------------------------------------------------------------------


def test_smoothing_goes_by_the_time_stamps_of_a_film(detecting, tmp_path):
    make, _ = detecting
    places = [(10 + 6 * i, 20) for i in range(10)]
    path = write_video(tmp_path / 'a.mp4', squares([[p] for p in places]))
    durations = [.5, .5, 2, 1, .5, .5, 3, .5, .5, 1]
    set_durations(path, durations)
    raw = list(make()(path))
    smooth = list(make(smoothing=Smoothing())(path))
    times = np.cumsum([0, *durations[:-1]]) / 25
    assert [f['time'] for f in smooth] == pytest.approx(times, abs=1e-5)
    one_euro, at_even_times = (OneEuroFilter(*Smoothing()) for _ in range(2))
    even_differs = 0
    for i, (frame, other) in enumerate(zip(raw, smooth)):
        hand, = other['hands']
        left, top, right, bottom = hand['bbox']
        scale = max(right - left, bottom - top)
        uv = joints(frame['hands'][0])
        np.testing.assert_allclose(
            joints(hand), one_euro(uv, times[i], scale), atol=1e-3)
        even = at_even_times(uv, i / 25, scale)
        even_differs = max(even_differs, np.abs(even - joints(hand)).max())
    assert even_differs > .5


def test_tracked_films_are_read_two_frames_ahead(detecting):
    make, _ = detecting
    read = []

    def images():
        for frame in film([[(20, 20)]] * 40):
            read.append(frame.index)
            yield frame

    results = make().run(FrameSource(images(), video=True))
    next(results)
    results.close()
    # that one, two in the queue, and the one in hand
    assert len(read) <= 4


# -- a given camera ----------------------------------------------------------


def test_a_camera_of_another_resolution_is_named_once(inferencer, images,
                                                      caplog, monkeypatch):
    monkeypatch.setattr(inferencer.pipeline, '_said', set())
    large = [np.zeros((108, 192, 3), np.uint8)] * 2
    list(inferencer([images[0], *large]))
    warning, = [r.message for r in caplog.records if 'camera' in r.message]
    assert 'point of the given camera, 30 34' in warning
    assert 'array, 192 x 108 px' in warning


def test_each_camera_that_does_not_fit_is_named_once(inferencer, images,
                                                     caplog, monkeypatch):
    monkeypatch.setattr(inferencer.pipeline, '_said', set())
    other = CAMERA + [[0, 0, 60], [0, 0, 0], [0, 0, 0]]
    large = np.zeros((108, 192, 3), np.uint8)
    for matrix, image in ((other, images[0]), (CAMERA, large), (other, large),
                          (other, images[1]), (CAMERA, images[0])):
        list(inferencer(image, camera_matrix=matrix))
    said = [r.message for r in caplog.records if 'camera' in r.message]
    assert [re.search('camera, (.*), is far', text)[1]
            for text in said] == ['90 34', '30 34']
    assert [re.search('array, (.*) px', text)[1]
            for text in said] == ['64 x 64', '192 x 108']


def test_smoothing_keeps_joints_on_their_pixels(checkpoint, images):
    smooth = HandInferencer(
        CONFIG,
        checkpoint,
        camera_matrix=CAMERA,
        bone_length=40,
        hand_side='right',
        smoothing=Smoothing())
    hands = 0
    for frame in smooth(video(images[:2], 3)):
        for hand in frame['hands']:
            hands += 1
            np.testing.assert_allclose(
                project(joints(hand, 'keypoints_cam'), CAMERA),
                joints(hand),
                atol=1e-2)
    assert hands


def test_drawing_leaves_the_image_alone_and_marks_the_hand(inferencer, images):
    frame, = inferencer(images[0])
    before = images[0].copy()
    for color_by in ('finger', 'group'):
        picture = draw_hands(images[0], frame, color_by=color_by)
        np.testing.assert_array_equal(images[0], before)
        assert picture.shape == before.shape and picture.dtype == np.uint8
        assert (picture != before).any(axis=-1).sum() > 50
    blank = draw_hands(images[0], dict(frame, hands=[]))
    np.testing.assert_array_equal(blank, before)
    with pytest.raises(ValueError, match="'finger' or 'group'"):
        draw_hands(images[0], frame, color_by='joint')


@pytest.mark.parametrize(
    'camera, bone, status, label',
    [
        ('given', 'given', 'SOLVED', 'left 212 mm'),
        ('given', 'given', 'AMBIGUOUS', 'left 212 mm'),
        ('given', 'given', 'INCONSISTENT', 'left 212 mm?'),
        ('given', 'given', None, 'left 212 mm?'),  # of the exported runner
        ('fov', 'given', 'SOLVED', 'left 212 mm'),
        ('assumed', 'given', 'SOLVED', 'left 212 mm?'),
        ('given', 'average', 'SOLVED', 'left 212 mm?'),
    ])
def test_assumed_millimetres_are_marked(camera, bone, status, label):
    hand = dict(
        hand_side='left',
        hand_side_source='given',
        track=None,
        frame='camera',
        units='mm',
        joint_names=['wrist'],
        root_joint='wrist',
        keypoints_cam=[[0, 0, 212.4]],
        bone_length=dict(source=bone),
        root_depth_status=status)
    assert _label(hand, dict(source=camera)) == label


@pytest.mark.parametrize('size', [(64, 96), (500, 900), (2200, 3000)])
def test_labels_at_the_edges_are_whole(size):

    def pixels(corner):
        canvas = np.full((*size, 3), 120, np.uint8)
        _write(canvas, 'left?', corner)
        return np.sort(canvas[(canvas != 120).any(-1)], axis=None)

    height, width = size
    whole = pixels([width // 4, height // 2])
    for corner in ([0, 0], [-50, -50], [width, 0], [0,
                                                    height], [width, height]):
        np.testing.assert_array_equal(pixels(corner), whole)


@pytest.mark.parametrize('options, message', [
    (dict(hand_side='both'), "hand_side must be .* 'both'"),
    (dict(batch_size=0), 'batch_size'),
    (dict(bone_length=-1), 'bone_length must be a positive'),
    (dict(bone_length='short'), 'bone_length must be a positive'),
    (dict(bone_length=10**400), 'bone_length must be a positive'),
    (dict(bone_length=.045), 'bone_length is 0.045 mm, while those of hands '
     'are 14.1 to 141 mm; the numbers seem to be in m, they must be in mm'),
    (dict(bone_length=4.5), 'bone_length is 4.5 mm.* seem to be in cm, they'),
    (dict(bone_length=45000), 'bone_length is 45000 mm.* seem to be in um, '),
    (dict(fov=0), 'between 1 and 135'),
    (dict(fov=60, camera_matrix=CAMERA), 'not both'),
    (dict(smoothing=Smoothing(), track=False), 'needs track=True'),
    (dict(camera_matrix=np.eye(2)), 'camera_matrix must be'),
    (dict(camera_matrix=-CAMERA), 'camera_matrix must be'),
    (dict(camera_matrix=CAMERA.T), 'camera_matrix must be'),
    (dict(detector='det.py'), 'give both or neither'),
    (dict(bbox_padding=0), 'bbox_padding'),
    (dict(device='abacus'), "the device 'abacus' cannot be used"),
])
def test_wrong_arguments_are_named(checkpoint, options, message):
    with pytest.raises(ValueError, match=message):
        HandInferencer(CONFIG, checkpoint, **options)


@pytest.mark.parametrize('factor, advice', [
    (1e-3, 'in pixels'),
    (1 / 64, 'shares of the image size'),
    (3e4, 'in pixels'),
])
def test_a_camera_in_another_unit_is_refused(inferencer, images, factor,
                                             advice):
    matrix = np.diag([factor, factor, 1]) @ CAMERA
    with pytest.raises(ValueError, match=f'camera has focal .*{advice}.*, fr'):
        list(inferencer(images[0], camera_matrix=matrix))


def test_another_reference_bone_has_another_average():
    length, source = resolve_bone_length(None, ('wrist', 'middle_finger1'))
    # the metacarpal is about twice the phalanx
    assert source == 'average' and 80 < length < 95


def test_a_camera_off_the_middle_is_said_once_a_run(inferencer, images,
                                                    caplog):
    inferencer.pipeline._said.clear()
    off = CAMERA + [[0, 0, 40], [0, 0, 0], [0, 0, 0]]
    # of several sizes, one of which suits
    large = np.zeros((70, 140, 3), np.uint8)
    small = [image[:60, :60 - i] for i, image in enumerate(images[:3])]
    list(inferencer([*small, large], camera_matrix=off))
    said = [m for m in caplog.messages if 'principal point' in m]
    assert len(said) == 2
    assert 'far from the middle of' in said[0]
    assert said[1].endswith('middle of 3 of 4 images')
    caplog.clear()
    list(inferencer(large, camera_matrix=off))
    assert not [m for m in caplog.messages if 'principal point' in m]


def test_steps_that_inference_does_not_know_are_refused(checkpoint):
    cfg = Config.fromfile(CONFIG)
    cfg.test_dataloader.dataset.pipeline.insert(
        2, dict(type='mmpose.Albumentation', transforms=[dict(type='ToGray')]))
    with pytest.raises(
            ValueError,
            match=r'lgh_studiohand.py has Albumentation, which inference '
            'cannot do: it knows LoadImage'):
        HandInferencer(cfg, checkpoint)
    # its own ones, by any of their names
    steps = cfg.test_dataloader.dataset.pipeline
    steps.pop(2)
    steps[0].type = f'mmpose.{steps[0].type}'
    HandInferencer(cfg, checkpoint)


class Notes:
    """What a checkpoint should not hold."""


def test_weights_must_be_those_of_the_config(checkpoint, tmp_path):
    with pytest.raises(ValueError, match='give a checkpoint'):
        HandInferencer(CONFIG)
    with pytest.raises(FileNotFoundError, match='no.pth'):
        HandInferencer(CONFIG, str(tmp_path / 'no.pth'))
    damaged = tmp_path / 'damaged.pth'
    damaged.write_bytes(b'PK\x03\x04 nothing')
    with pytest.raises(ValueError, match='cannot load the checkpoint'):
        HandInferencer(CONFIG, str(damaged))
    notes = tmp_path / 'notes.txt'
    for text in ('epoch 13 was the best', 'a text', 'weights', ''):
        notes.write_text(text)
        with pytest.raises(ValueError, match=r'notes\.txt: it is no file of'):
            HandInferencer(CONFIG, str(notes))
    torch.save(dict(state_dict={}, meta=Notes()), tmp_path / 'own.pth')
    with pytest.raises(
            ValueError, match=r'own\.pth may be dangerous: .*Notes\)'):
        HandInferencer(CONFIG, str(tmp_path / 'own.pth'))
    torch.save(dict(state_dict={}), tmp_path / 'empty.pth')
    with pytest.raises(ValueError, match='lacks weights: '):
        HandInferencer(CONFIG, str(tmp_path / 'empty.pth'))
    other = Config.fromfile(CONFIG)
    other.model.neck.num_groups = other.model.head.num_groups = 2
    with pytest.raises(ValueError, match='not one of this config: size'):
        HandInferencer(other, checkpoint)
    other = Config.fromfile(CONFIG)
    other.load_from = checkpoint
    assert HandInferencer(other).model is not None


def test_a_config_without_a_model_is_named(checkpoint, tmp_path):
    path = tmp_path / 'no_model.py'
    path.write_text('default_scope = "mmpose"\n')
    with pytest.raises(ValueError, match=r'no_model\.py has no model'):
        HandInferencer(path, checkpoint)


def test_configs_that_take_the_root_depth_from_annotations_work(
        checkpoint, images):
    config = Config.fromfile(CONFIG)
    config.model.test_cfg.root_depth = 'given'
    given, = HandInferencer(config, checkpoint, hand_side='right')(images[0])
    assert given['hands'][0]['units'] == 'mm'
    assert config.model.test_cfg.root_depth == 'given'


@pytest.mark.parametrize('name, padding', [
    ('lgh_freihand.py', 1.5),
    ('lgh_rhd_official.py', 1.4),
    ('lgh_stb.py', 1.25),
])
def test_padding_is_what_the_config_trains_with(name, padding):
    crop = crop_of_config(Config.fromfile(REPO_ROOT / 'configs' / name))
    assert crop == Crop(padding,
                        min(padding, 1.4) if padding != 1.5 else 1., False,
                        'right')


# -- mmpose's own doors ------------------------------------------------------


def test_inference_topdown_treats_hands_as_right(inferencer, checkpoint,
                                                 images):
    model = init_model(str(CONFIG), checkpoint, device='cpu')
    sample, = inference_topdown(model, images[0])
    assert sample.metainfo['hand_side'] == 'right'
    assert sample.pred_instances.units.tolist() == ['reference bones']
    frame, = inferencer(images[0])
    np.testing.assert_allclose(
        sample.pred_instances.keypoints[0],
        joints(frame['hands'][0]),
        atol=1e-3)


def test_mmpose_inferencer_gives_2d_and_draws(inferencer, checkpoint,
                                              freihand_root, tmp_path):
    file = str(freihand_root / 'training/rgb/00000000.jpg')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        mmpose = MMPoseInferencer(
            pose2d=str(CONFIG),
            pose2d_weights=checkpoint,
            det_model='whole_image',
            device='cpu')
        result = next(mmpose(file, vis_out_dir=str(tmp_path)))
    instance, = result['predictions'][0]
    hand = next(inferencer(file))['hands'][0]
    np.testing.assert_allclose(instance['keypoints'], joints(hand), atol=1e-2)
    picture = cv2.imread(str(tmp_path / '00000000.jpg'))
    assert picture is not None and picture.shape[0] >= 64


@pytest.mark.parametrize('folder', ['plain', 'hand3d'])
def test_3d_inferencers_of_mmpose_refuse_with_a_sentence(
        checkpoint, tmp_path, folder):
    # mmpose chooses between its two by the config's path
    path = tmp_path / folder / 'config.py'
    path.parent.mkdir()
    Config.fromfile(CONFIG).dump(path)
    with pytest.raises(ValueError, match='use lgh_mmpose.HandPose'):
        MMPoseInferencer(
            pose3d=str(path), pose3d_weights=checkpoint, device='cpu')


def test_inference_does_not_change_the_model(inferencer, images):
    # the same crop by hand, through the model itself
    info = dict(
        img=images[0],
        bbox=np.array([[0., 0, 64, 64]]),
        bbox_score=np.ones(1, np.float32),
        camera_matrix=CAMERA,
        hand_side='right',
        bone_length=40.)
    steps = inferencer.cfg.test_dataloader.dataset.pipeline
    steps = [
        step for step in steps
        if step.type not in ('LoadHandImage', 'LoadImage', 'GenerateTarget')
    ]
    batch = pseudo_collate([Compose(steps)(info)])
    with torch.no_grad():
        sample, = inferencer.model.test_step(batch)
    assert not inferencer.model.training
    np.testing.assert_allclose(
        sample.pred_instances.keypoints_cam[0],
        joints(next(inferencer(images[0]))['hands'][0], 'keypoints_cam'),
        atol=1e-3)


def test_options_of_a_call_reach_the_pipeline(inferencer, images):
    frame, = inferencer(images[0], fov=30, hand_side='left')
    assert frame['camera']['source'] == 'fov'
    assert frame['hands'][0]['hand_side'] == 'left'
    # where they would do nothing they cannot be set
    with pytest.raises(AttributeError):
        inferencer.fov = 30
