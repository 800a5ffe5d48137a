"""All but MediaPipe, for which hands of the same interface stand."""
import json
import sys

import numpy as np
import pytest
from dataset_writers import write_image, write_photos
from helpers import (REPO_ROOT, run_command, write_toy_detector,
                     write_toy_export)

SCRIPT = REPO_ROOT / 'benchmarks/compare_pipelines.py'
BOX = [10., 20., 40., 60.]

HANDS = '''
import json
from types import SimpleNamespace as Some


class Hands:
    """Sees the joints of the file beside it in every picture."""

    def __init__(self, static_image_mode, max_num_hands, model_complexity):
        assert model_complexity == 1 and max_num_hands == 1
        self.static = static_image_mode

    def process(self, image):
        width, height = image.shape[1::-1]
        assert self.static == (width != 640)  # that of the video
        with open(__file__.replace('hands.py', 'joints.json')) as file:
            joints = json.load(file)
        if not joints:
            return Some(multi_hand_landmarks=None, multi_handedness=None,
                        multi_hand_world_landmarks=None)
        landmarks = [
            Some(x=(x + .5) / width, y=(y + .5) / height) for x, y in joints
        ]
        world = [Some(x=x / 1e3, y=y / 1e3, z=0.) for x, y in joints]
        return Some(
            multi_hand_landmarks=[Some(landmark=landmarks)],
            multi_hand_world_landmarks=[Some(landmark=world)],
            multi_handedness=[Some(classification=[Some(label='Left')])])
'''


@pytest.fixture
def photos(tmp_path):
    """A folder with one labelled hand and a whole picture, and the label."""
    folder = tmp_path / 'photos'
    hand = next(
        hand for hand in write_photos(folder)
        if hand['label'] == 'true' and None not in hand['keypoints'])
    (folder / 'hands.json').write_text(json.dumps([hand]))
    write_image(folder / 'whole.jpg', (64, 64), seed=9)
    (folder / 'whole.json').write_text(
        json.dumps([
            dict(image='whole.jpg', hands=[dict(hand_side='right', box=BOX)])
        ]))
    joints = np.array(hand['keypoints'])
    write_toy_export(folder / 'network', joints)
    write_toy_detector(
        folder / 'detector',
        np.concatenate([joints.min(axis=0),
                        joints.max(axis=0)]).tolist())
    return folder, hand


def mediapipe_python(tmp_path, joints):
    """A Python with a package of the name and interface of MediaPipe."""
    folder = tmp_path / 'packages/mediapipe/python/solutions'
    folder.mkdir(parents=True)
    (tmp_path /
     'packages/mediapipe/__init__.py').write_text('__version__ = "0.10.21"')
    (folder / 'hands.py').write_text(HANDS)
    (folder / 'joints.json').write_text(json.dumps(joints))
    python = tmp_path / 'python'
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path / "packages"} '
                      f'exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return python


def compare(folder, python, *arguments, check=True):
    return run_command(
        *(sys.executable, SCRIPT, folder, '--mediapipe-python', python),
        *('--model', folder / 'network', '--detector', folder / 'detector'),
        *('--rounds', 1, *arguments),
        cwd=folder,
        check=check).stdout


def test_both_are_scored_and_timed(photos, tmp_path):
    folder, hand = photos
    python = mediapipe_python(tmp_path, hand['keypoints'])
    out = tmp_path / 'out.json'
    text = compare(folder, python, '--json', out)
    result = json.loads(out.read_text())
    ours, theirs = (result[name] for name in ('ours', 'MediaPipe'))
    for figures in (ours, theirs):
        assert figures['true']['found'] == figures['true']['count'] == 1
        assert figures['hands_per_frame'] == figures['whole']['hands'] == 1
        assert 20 < figures['peak_mb']
        for key in ('picture_cpu_ms', 'frame_cpu_ms', 'start_s'):
            assert figures[key] > 0
    for key, value in result['ratio'].items():
        assert value == pytest.approx(theirs[key] / ours[key])
    assert theirs['true']['error'] == pytest.approx(0, abs=1e-6)
    assert theirs['true']['side_right'] == (hand['hand_side'] == 'right')
    assert result['both']['count'] == 1
    assert result['both']['baseline'] == theirs['true']['error']
    assert result['both']['error'] == ours['true']['error']
    assert '| of 1 hands with true labels found | 1 | 1 |' in text
    assert f'| {100 * ours["true"]["error"]:.1f} % | 0.0 % |' in text


def test_what_finds_nothing_has_empty_cells(photos, tmp_path):
    text = compare(photos[0], mediapipe_python(tmp_path, []))
    assert '| of 1 hands with true labels found | 1 | 0 |' in text
    assert '| error on the 0 that both found |  |  |' in text
    assert '| hands found in a frame | 1.00 | 0.00 |' in text


def test_what_ends_early_is_told(photos, tmp_path):
    python = mediapipe_python(tmp_path, [])
    (tmp_path / 'packages/mediapipe/__init__.py').write_text('1 / 0')
    text = compare(photos[0], python, check=False)
    assert text.startswith('error: the process of')
    assert 'ZeroDivisionError' in text
    text = compare(photos[0], tmp_path / 'nowhere', check=False)
    assert text.startswith('error: ') and 'nowhere: No such file' in text
    (photos[0] / 'whole.json').unlink()
    text = compare(photos[0], python, check=False)
    assert text.startswith('error: ') and 'whole.json' in text
