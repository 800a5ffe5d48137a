"""The tools behind the tables of docs/inference.md, in a toy size."""
import re
import runpy
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from helpers import REPO_ROOT, run_script

from lgh_mmpose.geometry.camera import project

BENCHMARKS = REPO_ROOT / 'benchmarks'
CONFIG = REPO_ROOT / 'configs/lgh_studiohand.py'


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    from mmpose.apis import init_model
    torch.manual_seed(0)
    model = init_model(str(CONFIG), device='cpu')
    with torch.no_grad():  # or all joints are in the middle, and no hand
        model.head.heatmap_layers[-1].weight.mul_(300)
    path = tmp_path_factory.mktemp('measure_weights') / 'random.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return path


def rows_of(output, names, pattern=r'-?[\d.]+'):
    """The numbers of the lines that begin with these names."""
    return {
        name: [
            float(number) for line in output.splitlines()
            if line.startswith(name)
            for number in re.findall(pattern, line[len(name):])
        ]
        for name in names
    }


ASSUMPTIONS = [
    f'{camera:8} {bone:12}' for camera in ('given', 'assumed')
    for bone in ('given', 'average')
]


def test_measure_assumptions(checkpoint, studiohand_root, tmp_path):
    output = run_script(
        BENCHMARKS / 'measure_assumptions.py',
        *(CONFIG, checkpoint, studiohand_root, '--num-images', 3),
        cwd=tmp_path).stdout
    rows = rows_of(output, ASSUMPTIONS)
    assert '3 images\n' in output
    for root_aligned, procrustes, distance, _ in rows.values():
        assert root_aligned > procrustes > 0 and distance > 0
    # a length of 44.6 mm moves the hand, a wider camera moves it nearer
    assert rows[ASSUMPTIONS[0]] != rows[ASSUMPTIONS[1]]
    assert rows[ASSUMPTIONS[2]][2] < rows[ASSUMPTIONS[0]][2]


class Oracle:
    """A ``HandInferencer`` that errs by what it is not told, and knows how.

    Without the bone length all is a tenth larger, without the camera a tenth
    nearer; each hand is called a right one.
    """
    dataset = None

    def __init__(self, *_, **options):
        self.side = options.get('hand_side')

    def __call__(self, images, camera_matrix=None, bone_length=None):
        if self.side is None:
            return [dict(hands=[dict(hand_side='right')]) for _ in images]
        sample, = (
            sample for sample in self.dataset
            if np.array_equal(cv2.imread(sample['img_path']), images))
        xyz = sample['keypoints_cam'][0].astype(np.float64)
        if bone_length is None:
            xyz = 1.1 * xyz
        if camera_matrix is None:
            xyz = xyz - .1 * xyz[9] * [0, 0, 1]
        return iter([dict(hands=[dict(keypoints_cam=xyz)])])


def test_measure_assumptions_known_answers(monkeypatch, studiohand_root,
                                           tmp_path):
    from lgh_mmpose import apis
    from lgh_mmpose.datasets import FreiHand3DDataset
    dataset = FreiHand3DDataset(
        data_root=str(studiohand_root), split='evaluation', test_mode=True)
    samples = [dataset.get_data_info(i) for i in range(2)]
    monkeypatch.setattr(Oracle, 'dataset', samples)
    monkeypatch.setattr(apis, 'HandInferencer', Oracle)
    output = run_script(
        BENCHMARKS / 'measure_assumptions.py',
        *(CONFIG, 'none.pth', studiohand_root, '--num-images', 2),
        cwd=tmp_path).stdout
    xyz = np.stack([sample['keypoints_cam'][0] for sample in samples])
    extent = np.linalg.norm(xyz - xyz[:, 9:10], axis=-1).mean()
    grown = pytest.approx(.1 * extent, abs=.06)
    assert rows_of(output, ASSUMPTIONS) == dict(
        zip(ASSUMPTIONS,
            ([0, 0, 100, 0], [grown, 0, 110, 0], [0, 0, 90, 0
                                                  ], [grown, 0, 99, 0])))
    assert 'right hands called right: 100.0 %' in output
    assert 'left hands called left: 0.0 %' in output


def test_measure_jitter(checkpoint, tmp_path):
    output = run_script(
        BENCHMARKS / 'measure_jitter.py',
        *(CONFIG, checkpoint, '--videos', 1, '--frames', 10, '--size', 64),
        *('--save-dir', 'videos'),
        cwd=tmp_path).stdout
    rows = rows_of(
        output,
        ['whole image, each frame', 'tracked      ', 'tracked, smoothed'])
    for row in rows.values():
        assert len(row) == 6 and min(row[:4]) > 0
    assert re.search(
        r'track without a hand ends: \[\d*\]; lost before the hand was gone: '
        '[01] of 1', output)
    capture = cv2.VideoCapture(str(tmp_path / 'videos/video_0.mp4'))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 10


class ShakyOracle:
    """A ``HandInferencer`` that is 2 px and 3 mm off, to and fro.

    Half of that when it smooths; its track changes once, and stays for two
    frames when the hand is gone.
    """
    video = None

    def __init__(self, *_, smoothing=None, **__):
        self.share = .5 if smoothing else 1.

    def __call__(self, source, camera_matrix=None, bboxes=None, **__):
        for i, _ in enumerate(source):
            if bboxes is not None:
                yield dict(hands=[dict(track=0)] if i < 12 else [])
                continue
            xyz = self.video.keypoints_cam[i].copy()
            uv = project(xyz, camera_matrix)
            sign = self.share * (-1)**i
            xyz[:9, 0] += 3 * sign
            uv[:, 0] += 2 * sign
            yield dict(hands=[
                dict(keypoints=uv, keypoints_cam=xyz, track=int(i > 5))
            ])


def test_measure_jitter_known_answers(jitter, monkeypatch, capsys):
    from lgh_mmpose import apis
    rng = np.random.default_rng(0)
    path = 150 * np.sin(np.arange(20) / 3)[:, None, None] * [1, 0, 0]
    video = jitter['Video']([np.zeros((64, 64, 3), np.uint8)] * 20,
                            path + rng.normal(0, 30, (21, 3)) + [0, 0, 500],
                            np.array([[96., 0, 32], [0, 96, 32], [0, 0, 1]]))
    monkeypatch.setattr(ShakyOracle, 'video', video)
    monkeypatch.setattr(apis, 'HandInferencer', ShakyOracle)
    monkeypatch.setitem(jitter['measure'].__globals__, 'render_video',
                        lambda *_: video)
    monkeypatch.setattr('sys.argv', [
        'measure_jitter.py', 'config.py', 'none.pth', '--videos', '1',
        '--size', '64'
    ])
    jitter['measure'](jitter['parse_args']())
    output = capsys.readouterr().out
    rows = rows_of(
        output,
        ['whole image, each frame', 'tracked      ', 'tracked, smoothed'])
    # the second difference of +-a is +-4 a, in one of 2 or 3 coordinates
    pixels = 8 / np.sqrt(2)
    millimetres = 12 * np.sqrt(9 / 21 / 3)
    expected = np.array([pixels, millimetres, 2, 3 * 9 / 21])
    for row, share in zip(rows.values(), (1, 1, .5)):
        np.testing.assert_allclose(row[:4], share * expected, atol=.006)
        # fitted to frames that are off, the lag is so by a fraction
        assert abs(row[4]) < .3 and row[5] == 1
    assert 'ends: [2]; lost before the hand was gone: 0 of 1' in output


@pytest.fixture(scope='module')
def jitter():
    return runpy.run_path(str(BENCHMARKS / 'measure_jitter.py'))


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


def test_throughput_is_a_table_of_all_backends(tmp_path):
    output = run_script(
        REPO_ROOT / 'benchmarks/measure_throughput.py',
        REPO_ROOT / 'configs/lgh_lite_studiohand.py',
        *('--num', 3, '--size', 96, 64, '--turns', 1),
        cwd=tmp_path).stdout
    rows = re.findall(r'^\| (folder|film) \| (1|8) \|(.*)\|$', output,
                      re.MULTILINE)
    assert [row[:2] for row in rows] == [('folder', '1'), ('folder', '8'),
                                         ('film', '1'), ('film', '8')]
    for *_, cells in rows:
        assert len(re.findall(r'\d+/s', cells)) == 3
        assert all(float(r) > 0 for r in re.findall(r'\d+\.\d+', cells))
