"""All but MediaPipe, for which an interpreter of the same interface stands."""
import importlib.util
import json
import sys

import numpy as np
import pytest
from helpers import REPO_ROOT

SCRIPT = REPO_ROOT / 'tools/analysis_tools/compare_mediapipe.py'

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
def script():
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
    with pytest.raises(SystemExit, match='--mediapipe-python'):
        run(script, monkeypatch, capsys, '--mediapipe-python',
            tmp_path / 'nothing')
