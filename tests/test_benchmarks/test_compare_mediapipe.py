"""All but MediaPipe, for which an interpreter of the same interface stands."""
import importlib.util
import json
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from helpers import REPO_ROOT

from lgh_mmpose.geometry.crop import Crop
from lgh_mmpose.inference.backends import exported
from lgh_mmpose.inference.network import NetworkInfo

SCRIPT = REPO_ROOT / 'benchmarks/compare_mediapipe.py'

INTERPRETER = '''
import numpy as np


class Interpreter:

    def __init__(self, path, num_threads):
        assert path.endswith('.tflite') and num_threads == 1

    def allocate_tensors(self):
        pass

    def get_input_details(self):
        return [dict(index=7)]

    def set_tensor(self, index, value):
        assert index == 7 and value.shape == (1, 224, 224, 3)
        assert value.dtype == np.float32 and value.max() <= 1
        self.value = value

    def invoke(self):
        return self.value.sum()
'''


@pytest.fixture
def script(monkeypatch):
    # beside which it imports
    monkeypatch.syspath_prepend(SCRIPT.parent)
    spec = importlib.util.spec_from_file_location('compare_mediapipe', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def mediapipe_python(tmp_path):
    """A Python with packages of the names and interfaces of MediaPipe's."""
    packages = tmp_path / 'packages'
    models = packages / 'mediapipe/modules/hand_landmark'
    models.mkdir(parents=True)
    (packages / 'mediapipe/__init__.py').touch()
    for name in ('lite', 'full'):
        (models / f'hand_landmark_{name}.tflite').touch()
    (packages / 'ai_edge_litert').mkdir()
    (packages / 'ai_edge_litert/interpreter.py').write_text(INTERPRETER)
    return wrapper(tmp_path / 'python', packages)


def wrapper(path, packages):
    path.write_text(f'#!/bin/sh\nPYTHONPATH={packages} '
                    f'exec {sys.executable} "$@"\n')
    path.chmod(0o755)
    return path


def run(script, monkeypatch, capsys, *arguments):
    crop = np.ones((1, 224, 224, 3), np.float32)
    monkeypatch.setattr(script, 'read_crops', lambda args:
                        (lambda: sum(range(20000)), crop))
    monkeypatch.setattr(sys, 'argv', [str(SCRIPT), 'export', 'hand.jpg'] +
                        [str(a) for a in arguments])
    script.main()
    return capsys.readouterr().out


def test_measures_all_models_in_rounds(script, mediapipe_python, monkeypatch,
                                       capsys, tmp_path):
    out = tmp_path / 'result.json'
    text = run(script, monkeypatch, capsys, '--mediapipe-python',
               mediapipe_python, '--rounds', 2, '--repeats', 3, '--json', out)
    summary = json.loads(out.read_text())
    names = ['exported', 'mediapipe_lite', 'mediapipe_full']
    assert list(summary['ms']) == list(summary['wall_ms']) == names
    for name in names:
        assert summary['ms'][name] > 0 and f'| {name} |' in text
    for name in names[1:]:
        assert summary['ratio'][f'exported_vs_{name}'] == pytest.approx(
            summary['ms'][name] / summary['ms']['exported'])


def test_median_of_cpu_time_decides(script):
    summary = script.summarize(
        dict(
            exported=[[1., 9.], [2., 9.], [50., 9.]],
            mediapipe_lite=[[6., 1.]] * 3))
    assert summary['ms'] == dict(exported=2., mediapipe_lite=6.)
    assert summary['wall_ms'] == dict(exported=9., mediapipe_lite=1.)
    assert summary['ratio'] == dict(exported_vs_mediapipe_lite=3.)
    assert '| mediapipe_lite | 6.00 | 1.00 | 3.0 |' in script.table(summary)


@pytest.mark.parametrize('missing', ['mediapipe', 'ai_edge_litert', 'model'])
def test_environment_that_lacks_something(script, mediapipe_python,
                                          monkeypatch, capsys, missing):
    packages = mediapipe_python.parent / 'packages'
    if missing == 'model':
        path = packages / 'mediapipe/modules/hand_landmark'
        path = path / 'hand_landmark_full.tflite'
        path.unlink()
        expected = 'hand_landmark_full.tflite is not there'
    else:
        (packages / missing).rename(packages / 'other')
        expected = missing.replace('_', '[-_]')
    with pytest.raises(SystemExit, match=expected):
        run(script, monkeypatch, capsys, '--mediapipe-python',
            mediapipe_python)


def test_python_that_does_not_exist(script, monkeypatch, capsys, tmp_path):
    with pytest.raises(SystemExit, match='nothing: No such file'):
        run(script, monkeypatch, capsys, '--mediapipe-python',
            tmp_path / 'nothing')


# -- the crops ---------------------------------------------------------------


@pytest.fixture
def seen(monkeypatch):
    """What the exported network is given, by the pipeline's own crop."""
    seen = []

    class Network:
        info = NetworkInfo((96, 96), Crop(1.25, 1.25), None, ())

        def __init__(self, directory, num_threads):
            assert num_threads == 1

        def __call__(self, images):
            seen.append(images)

    monkeypatch.setattr(exported, 'ExportedNetwork', Network)
    return seen


@pytest.fixture
def image_file(tmp_path):
    """A picture whose blue, green and red tell column, row and side."""
    image = np.zeros((120, 160, 3), np.uint8)
    image[..., 0] = np.arange(160)
    image[..., 1] = np.arange(120)[:, None] + 100
    image[..., 2] = 250
    cv2.imwrite(str(tmp_path / 'hand.png'), image)
    return tmp_path / 'hand.png'


@pytest.mark.parametrize(
    'bbox, left, top, size',
    [
        # 80 px high, so the square is 80 * 1.25 about the centre of the box
        ((50., 20., 40., 80.), 20., 10., 100.),
        (None, -20., -40., 200.),
    ])
def test_both_see_the_same_part_of_the_image(script, seen, image_file, bbox,
                                             left, top, size):
    infer, theirs = script.read_crops(
        SimpleNamespace(export='exported', image=image_file, bbox=bbox))
    infer()
    (ours, ), = seen
    assert ours.shape == (3, 96, 96) and ours.dtype == np.uint8
    assert theirs.shape == (1, 224, 224, 3) and theirs.dtype == np.float32
    rgb = theirs[0] * 255
    for crop in (ours[::-1].transpose(1, 2, 0), rgb):
        num = len(crop)
        # of a cell of the crop, well inside the image
        row, column = num * 6 // 10, num * 4 // 10
        u, v = (start + cell * size / num
                for start, cell in ((left, column), (top, row)))
        np.testing.assert_allclose(
            crop[row, column], [250, v + 100, u], atol=1)
        # black where the image ends
        outside = left < 0
        assert (crop[0, 0] == 0).all() == outside


def test_image_that_cannot_be_read(script, tmp_path):
    with pytest.raises(SystemExit, match='cannot read the image .*none.jpg'):
        script.read_crops(
            SimpleNamespace(
                export='exported', image=tmp_path / 'none.jpg', bbox=None))
