"""All but MediaPipe, for which hands of the same interface stand."""
import json
import sys

import numpy as np
import pytest
from dataset_writers import write_image, write_photos
from helpers import (REPO_ROOT, run_command, write_toy_detector,
                     write_toy_export)

SCRIPT = REPO_ROOT / 'benchmarks/compare_pipelines.py'

HANDS = '''
import json
from types import SimpleNamespace as Some


class Hands:
    """Sees the joints of the file beside it in every picture."""

    def __init__(self, static_image_mode, max_num_hands, model_complexity):
        assert model_complexity == 1

    def process(self, image):
        assert image.flags.c_contiguous
        size = image.shape[1::-1]
        with open(__file__.replace('hands.py', 'joints.json')) as file:
            joints = json.load(file)
        landmarks = [Some(x=x / size[0], y=y / size[1]) for x, y in joints]
        world = [Some(x=x / 1e3, y=y / 1e3, z=0.) for x, y in joints]
        return Some(
            multi_hand_landmarks=[Some(landmark=landmarks)],
            multi_hand_world_landmarks=[Some(landmark=world)],
            multi_handedness=[Some(classification=[Some(label='Left')])])
'''


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / 'photos'
    hands = [
        hand for hand in write_photos(folder)
        if hand['label'] == 'true' and None not in hand['keypoints']
    ][:1]
    (folder / 'hands.json').write_text(json.dumps(hands))
    write_image(folder / 'whole.jpg', (64, 64), seed=9)
    box = [10., 20., 40., 60.]
    whole = [dict(image='whole.jpg', hands=[dict(hand_side='right', box=box)])]
    (folder / 'whole.json').write_text(json.dumps(whole))
    write_toy_export(folder / 'network', np.array(hands[0]['keypoints']))
    write_toy_detector(folder / 'detector', box)
    return folder, hands


@pytest.fixture
def mediapipe_python(tmp_path, photos):
    """A Python with a package of the name and interface of MediaPipe."""
    folder = tmp_path / 'packages/mediapipe/python/solutions'
    folder.mkdir(parents=True)
    (folder / 'hands.py').write_text(HANDS)
    (folder / 'joints.json').write_text(json.dumps(photos[1][0]['keypoints']))
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


def test_both_are_scored_and_timed(photos, mediapipe_python, tmp_path):
    folder, hands = photos
    out = tmp_path / 'out.json'
    text = compare(folder, mediapipe_python, '--json', out)
    result = json.loads(out.read_text())
    theirs = result['mediapipe']
    assert theirs['true']['found'] == theirs['true']['count'] == 1
    assert theirs['true']['error'] == pytest.approx(0, abs=1e-6)
    assert theirs['true']['side_right'] == (hands[0]['hand_side'] == 'right')
    assert theirs['hands_per_frame'] == 1
    for name in ('ours', 'mediapipe'):
        figures = result[name]
        assert figures['whole']['hands'] == 1
        for key in ('picture_cpu_ms', 'frame_cpu_ms', 'start_s', 'peak_mb'):
            assert figures[key] > 0
            assert result['ratio'][key] == pytest.approx(theirs[key] /
                                                         result['ours'][key])
    assert 'lgh-hands | MediaPipe' in text
    assert text.count('\n') >= 12


def test_what_ends_early_is_told(photos, tmp_path):
    text = compare(photos[0], sys.executable, check=False)
    assert "No module named 'mediapipe'" in text
    text = compare(photos[0], tmp_path / 'nowhere', check=False)
    assert text.startswith('--mediapipe-python:')
