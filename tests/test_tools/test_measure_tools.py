"""The tools behind the tables of docs/inference.md, in a toy size."""
import runpy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers import REPO_ROOT, run_script

import lgh_mmpose  # noqa: F401  before mmpose, for mmcv-lite

ANALYSIS_TOOLS = REPO_ROOT / 'tools/analysis_tools'
CONFIG = REPO_ROOT / 'configs/lgh_synthhand.py'


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    from mmpose.apis import init_model
    torch.manual_seed(0)
    model = init_model(str(CONFIG), device='cpu')
    path = tmp_path_factory.mktemp('measure_weights') / 'random.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return path


def test_measure_assumptions(checkpoint, synthhand_root, tmp_path):
    output = run_script(
        ANALYSIS_TOOLS / 'measure_assumptions.py',
        *(CONFIG, checkpoint, synthhand_root, '--num-images', 3),
        cwd=tmp_path).stdout
    assert 'given' in output and 'assumed' in output and '%' in output


def test_measure_jitter(checkpoint, tmp_path):
    output = run_script(
        ANALYSIS_TOOLS / 'measure_jitter.py',
        *(CONFIG, checkpoint, '--videos', 1, '--frames', 10, '--size', 64),
        cwd=tmp_path).stdout
    assert 'jitter' in output and 'smoothed' in output
    assert 'lost before the hand was gone: ' in output


@pytest.fixture(scope='module')
def jitter():
    return runpy.run_path(str(ANALYSIS_TOOLS / 'measure_jitter.py'))


def test_the_lag_of_a_late_truth_is_its_delay(jitter):
    t = np.arange(60)
    path = np.sin(t / 5)[:, None, None] * np.ones((1, 21, 2)) * 30
    late = np.concatenate([path[:1], path[:1], path[:-2]])
    assert jitter['lag_of'](path, path) == pytest.approx(0, abs=.01)
    assert jitter['lag_of'](late, path) == pytest.approx(2, abs=.01)
    # a standing offset is no lag
    assert jitter['lag_of'](late + 7, path) == pytest.approx(2, abs=.01)


def test_the_jitter_of_noise_is_that_of_its_second_difference(jitter):
    rms = jitter['rms_second_difference']
    noise = np.random.default_rng(0).normal(0, 3, (2000, 21, 2))
    assert rms(noise) == pytest.approx(3 * np.sqrt(6), rel=.01)
    # neither an offset nor a steady drift is jitter
    drift = np.arange(9.)[:, None, None] + np.ones((1, 21, 2))
    assert rms(drift) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize('seen, frames', [(5, None), (10, 0), (13, 3),
                                          (40, 30)])
def test_a_track_lost_before_its_hand_does_not_count(jitter, seen, frames):
    empty = np.zeros((8, 8, 3), np.uint8)
    joints = np.random.default_rng(0).normal(0, 9, (10, 21, 3)) + [0, 0, 400]
    video = jitter['Video']([empty] * 10, joints, np.eye(3))
    generator = SimpleNamespace(
        size=8, backgrounds=SimpleNamespace(sample=lambda rng, size: empty))

    def inferencer(source, bboxes):
        for frame in source:
            track = 0 if frame.index < seen else 1
            yield dict(hands=[dict(track=track)])

    assert jitter['frames_until_lost'](inferencer, video, generator, 0,
                                       30) == frames
