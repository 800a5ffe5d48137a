"""The models that lie in the package, and what is done without them."""
import json
import socket

import numpy as np
import pytest
from helpers import REPO_ROOT, write_toy_detector, write_toy_export

from lgh_mmpose import HandPose
from lgh_mmpose.inference import shipped
from lgh_mmpose.inference.backends import open_detector, open_network

IMAGE = np.zeros((64, 64, 3), np.uint8)
BOX = [10., 20., 40., 60.]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with toy models."""
    uv = np.random.default_rng(0).uniform(4, 60, (21, 2))
    write_toy_export(tmp_path / 'weights/hand_pose', uv)
    write_toy_detector(tmp_path / 'weights/hand_detector', BOX)
    monkeypatch.setattr(shipped.resources, 'files', lambda name: tmp_path)
    return tmp_path


def test_the_pair_that_ships_is_the_default(package):
    hands, = HandPose(hand_side='right')(IMAGE)
    np.testing.assert_allclose(hands.bboxes, [BOX], atol=1e-4)
    assert hands.bbox_scores[0] == pytest.approx(.95)


def test_a_network_of_ones_own_brings_no_detector(package):
    own = package / 'weights/hand_pose'
    whole, = HandPose(own, hand_side='right')(IMAGE)
    np.testing.assert_array_equal(whole.bboxes, [[0, 0, 64, 64]])
    found, = HandPose(own, detector='shipped', hand_side='right')(IMAGE)
    np.testing.assert_allclose(found.bboxes, [BOX], atol=1e-4)
    without, = HandPose(detector=None, hand_side='right')(IMAGE)
    np.testing.assert_array_equal(without.bboxes, [[0, 0, 64, 64]])


def test_a_detector_may_lie_anywhere(package):
    other = write_toy_detector(package / 'other', [1, 2, 30, 40])
    for name in (other, str(other), other / 'hand_detector.json'):
        hands, = HandPose(detector=name, hand_side='right')(IMAGE)
        np.testing.assert_allclose(hands.bboxes, [[1, 2, 30, 40]], atol=1e-4)
    with pytest.raises(FileNotFoundError, match='nowhere'):
        open_detector(package / 'nowhere')
    assert open_detector(None) is None
    assert open_detector(len) is len


def test_what_does_not_ship_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped.resources, 'files', lambda name: tmp_path)
    with pytest.raises(FileNotFoundError, match='no network ships'):
        open_network()
    with pytest.raises(FileNotFoundError, match='no detector of hands ships'):
        open_detector('shipped')


def test_a_damaged_model_is_named(package):
    file = package / 'weights/hand_pose/toy.onnx'
    file.write_bytes(file.read_bytes()[:-1] + b'x')
    with pytest.raises(ValueError, match='hand_pose/toy.onnx is not the file'):
        HandPose()


def test_no_network_is_asked(package, monkeypatch):

    def refuse(*args, **kwargs):
        raise AssertionError('a socket was opened')

    monkeypatch.setattr(socket, 'socket', refuse)
    monkeypatch.setattr(socket, 'create_connection', refuse)
    hands, = HandPose()(IMAGE)
    assert len(hands) == 1


# -- those of this version ---------------------------------------------------

NAMES = 'hand_pose', 'hand_detector'
NUM_HANDS = 12


@pytest.mark.parametrize('name', NAMES)
def test_cards_are_of_the_files_that_ship(name):
    info = json.loads(
        (shipped.shipped_model(name) / f'{name}.json').read_text())
    cards = json.loads((REPO_ROOT / 'docs/model_zoo/models.json').read_text())
    assert cards['models'][name]['sha256'] == info['model']['sha256']
    assert (REPO_ROOT / f'docs/model_zoo/{name}.md').is_file()


def test_they_are_small():
    """15 MB to find hands, and as much as half of that to train on from."""
    files = [
        file for name in NAMES
        for file in shipped.shipped_model(name).iterdir()
    ]
    size = sum(file.stat().st_size for file in files)
    answering = sum(file.stat().st_size for file in files
                    if file.suffix != '.pth')
    assert answering < 15e6 and size < 22.5e6


def test_the_checkpoint_answers_as_the_network():
    """Within what weights in fp16 keep: they were rounded once each."""
    from lgh_mmpose.deployment import Tolerance
    from lgh_mmpose.rendering import SceneGenerator
    exported = open_network(num_threads=1)
    trained = open_network(
        REPO_ROOT / 'configs/lgh_hands_studiohand.py',
        'lgh_mmpose://hand_pose',
        num_threads=1)
    assert trained.info.crop == exported.info.crop
    assert trained.info.joint_groups == exported.info.joint_groups
    width, height = exported.info.input_size
    scenes = SceneGenerator(seed=5, size=width, without=['camera'])
    images = np.stack([
        scenes.sample(index).image[..., ::-1].transpose(2, 0, 1)
        for index in range(2)
    ])
    limits = Tolerance.of('fp16')
    for one, other, limit in zip(
            exported(images), trained(images),
        (limits.px, limits.bones, limits.scores, limits.scores)):
        np.testing.assert_allclose(one, other, rtol=0, atol=limit)


def test_they_find_rendered_hands_and_their_joints():
    """Upright hands without objects; in most of them."""
    from lgh_mmpose.geometry.camera import project
    from lgh_mmpose.inference.tracking import box_iou, box_of_joints
    from lgh_mmpose.rendering import SceneGenerator
    scenes = SceneGenerator(
        seed=5,
        split='evaluation',
        size=256,
        difficulty='easy',
        without=['camera', 'objects'])
    hand_pose = HandPose(num_threads=1)
    found, errors = 0, []
    for index in range(NUM_HANDS):
        scene = scenes.sample(index, fill=(.4, .6))
        truth = project(scene.keypoints_cam[0], scene.camera_matrix)
        box = box_of_joints(truth)
        hands, = hand_pose(np.ascontiguousarray(scene.image[..., ::-1]))
        overlaps = [box_iou(one, box) for one in hands.bboxes]
        if overlaps and max(overlaps) > .5:
            found += 1
            joints = hands.keypoints[int(np.argmax(overlaps))]
            error = np.linalg.norm(joints - truth, axis=1).mean()
            errors.append(error / (box[2:] - box[:2]).max())
    assert found >= .8 * NUM_HANDS
    assert np.median(errors) < .15
