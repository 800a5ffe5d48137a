"""The models that lie in the package, and what is done without them."""
import socket

import numpy as np
import pytest
from helpers import write_toy_detector, write_toy_export

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
