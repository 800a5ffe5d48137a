import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from detector_models import (SIZE, build, build_data_set, random_detector,
                             tiny_config)
from hand_pictures import draw_hands, write_hand_pictures
from helpers import REPO_ROOT, run_script

from lgh_mmpose.deployment import (DetectorTolerance, ExportError,
                                   export_detector)
from lgh_mmpose.deployment.half_weights import halve_weights
from lgh_mmpose.geometry.hand import SIDES
from lgh_mmpose.inference.backends.exported_detector import ExportedDetector
from lgh_mmpose.inference.backends.mmdet import HandDetector

onnx = pytest.importorskip('onnx', reason="needs '.[deploy]'")


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A set of pictures, a config and random weights."""
    folder = tmp_path_factory.mktemp('detector')
    write_hand_pictures(folder / 'data', 4, 4, size=(120, 90))
    cfg = tiny_config(folder / 'data')
    cfg.dump(str(folder / 'tiny.py'))
    torch.save(
        dict(state_dict=random_detector(cfg).state_dict(), meta={}),
        folder / 'random.pth')
    return folder


@pytest.fixture(scope='module')
def exported(files):
    """What the command writes of them, in fp32."""
    run_export(files, files / 'fp32', '--precision', 'fp32')
    return files / 'fp32'


def run_export(files, out, *options):
    return run_script(
        REPO_ROOT / 'tools/deployment/export.py',
        *(files / 'tiny.py', files / 'random.pth', '--out', out, *options),
        cwd=files)


def an_image(seed=0, size=(120, 90)):
    return draw_hands(np.random.default_rng(seed), size, 2)[0]


def test_an_export_is_a_checkpoint_again(files, exported, tmp_path):
    """The script compares the answers; here they are of other pictures."""
    run_script(
        REPO_ROOT / '.dev_scripts/models/detector_checkpoint.py',
        *(files / 'data', 'again.pth', '--config', files / 'tiny.py'),
        *('--onnx', exported / 'hand_detector.onnx'),
        cwd=tmp_path)
    cfg = tiny_config(files / 'data')
    again, before = build(cfg).eval(), random_detector(cfg)
    again.load_state_dict(torch.load(tmp_path / 'again.pth')['state_dict'])
    images = torch.from_numpy(an_image(9, SIZE)).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        for name, value in before.state_dict().items():
            assert again.state_dict()[name].shape == value.shape
        for found, expected in zip(*(model._forward(images)
                                     for model in (again, before))):
            for a, b in zip(found, expected):
                torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def copied(exported, folder, **changes):
    """A copy with other fields in its json."""
    folder.mkdir()
    for path in exported.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    info = json.loads((folder / 'hand_detector.json').read_text())
    info.update(changes)
    (folder / 'hand_detector.json').write_text(json.dumps(info))
    return folder


@pytest.mark.parametrize('index', range(4))
def test_the_export_finds_what_the_model_finds(files, exported, index):
    cfg = tiny_config(files / 'data')
    model = random_detector(cfg)
    packed = build_data_set(cfg)[index]
    batch = dict(
        inputs=[packed['inputs']], data_samples=[packed['data_samples']])
    with torch.no_grad():
        sample, = model.test_step(batch)
    expected = sample.pred_instances
    path = sample.img_path
    found = ExportedDetector(exported, score_thr=.02)(cv2.imread(path))
    assert len(found.boxes) > 3
    np.testing.assert_allclose(found.boxes, expected.bboxes, atol=.02)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)
    np.testing.assert_allclose(found.directions, expected.directions, atol=.01)
    assert found.sides.tolist() == [SIDES[i] for i in expected.labels]


def test_the_checkpoint_finds_the_same_by_mmdet(files, exported):
    """Sides and directions too, whatever class is asked for."""
    image = an_image()
    expected = ExportedDetector(exported)(image)
    for cat_id in (0, 1):
        detector = HandDetector(
            files / 'tiny.py', str(files / 'random.pth'), cat_id=cat_id)
        found = detector(image)
        assert len(found.boxes) == len(expected.boxes) > 0
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=.02)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)
        np.testing.assert_array_equal(found.sides, expected.sides)
        np.testing.assert_allclose(
            found.directions, expected.directions, atol=.01)


def test_damaged_weights_are_no_empty_picture(tmp_path):
    model = random_detector()
    with torch.no_grad():
        model.bbox_head.rtm_cls[0].bias.fill_(float('nan'))
    export_detector(model, tmp_path / 'out', SIZE)
    with pytest.raises(
            ValueError,
            match=r'hand_detector\.onnx cannot be run: '
            '.*not finite'):
        ExportedDetector(tmp_path / 'out')(an_image())


def test_what_is_found_lies_in_the_image_best_first(exported):
    for size in ((120, 90), (30, 200), (7, 5), (600, 10)):
        found = ExportedDetector(exported)(an_image(size=size))
        assert (np.diff(found.scores) <= 0).all()
        assert (found.scores >= .3).all()
        assert (found.boxes >= 0).all()
        assert (found.boxes <= np.tile(np.subtract(size, 1), 2)).all()
        np.testing.assert_allclose(np.linalg.norm(found.directions, axis=1), 1)
        assert set(found.sides.tolist()) <= set(SIDES)
        assert {len(part) for part in found} == {len(found.boxes)}


def test_the_threshold_is_that_of_the_export_unless_given(
        files, exported, tmp_path):
    everything = ExportedDetector(exported, score_thr=.1)(an_image())
    threshold = round(float(np.median(everything.scores)), 3)
    run_export(files, tmp_path / 'out', '--score-thr', threshold,
               '--precision', 'fp32')
    detector = ExportedDetector(tmp_path / 'out')
    assert detector.score_thr == threshold
    found = detector(an_image())
    np.testing.assert_array_equal(
        found.scores, everything.scores[everything.scores >= threshold])
    assert 0 < len(found.scores) < len(everything.scores)


def test_half_the_weights_change_little_and_take_half_the_space(
        files, exported, tmp_path):
    run_export(files, tmp_path / 'half')
    small, large = (
        folder / 'hand_detector.onnx'
        for folder in (tmp_path / 'half', exported))
    assert small.stat().st_size < .75 * large.stat().st_size
    report = json.loads((tmp_path / 'half/hand_detector.json').read_text())
    assert report['model']['precision'] == 'fp16'
    assert 0 < report['verification']['px'] < 2
    image = np.zeros((1, 3, *SIZE[::-1]), np.uint8)
    for one, other in zip(
            ExportedDetector(tmp_path / 'half').run(image),
            ExportedDetector(exported).run(image)):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, atol=1)


def write_sum(file, weight):
    from onnx import TensorProto, helper, numpy_helper
    graph = helper.make_graph(
        [helper.make_node('Add', ['x', 'weight'], ['y'])], 'g',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, weight.shape)],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, weight.shape)],
        [numpy_helper.from_array(weight, 'weight')])
    onnx.save(helper.make_model(graph), str(file))


def test_a_weight_that_fp16_cannot_hold_is_named(tmp_path):
    write_sum(tmp_path / 'a.onnx', np.full(20_000, 1e5, np.float32))
    with pytest.raises(ValueError, match='weight weight exceeds'):
        halve_weights(tmp_path / 'a.onnx')


@pytest.mark.parametrize('size, halved', [(20_000, True), (2_000, False)])
def test_small_weights_stay_as_they_are(tmp_path, size, halved):
    weight = np.linspace(.1, 1, size, dtype=np.float32)
    write_sum(tmp_path / 'a.onnx', weight)
    halve_weights(tmp_path / 'a.onnx')
    stored, = onnx.load(str(tmp_path / 'a.onnx')).graph.initializer
    kept = onnx.numpy_helper.to_array(stored)
    assert kept.dtype == (np.float16 if halved else np.float32)
    np.testing.assert_array_equal(kept, weight.astype(kept.dtype))


def test_a_difference_above_the_tolerance_exports_nothing(tmp_path):
    images = [an_image(size=SIZE).transpose(2, 0, 1)]
    with pytest.raises(ExportError, match='differs .* px .* nothing was'):
        export_detector(
            random_detector(),
            tmp_path / 'out',
            SIZE,
            verification=images,
            tolerance=DetectorTolerance(1e-9, 1, 1))
    assert not list(tmp_path.iterdir())


def test_what_is_no_such_detector_is_refused(tmp_path):
    with pytest.raises(TypeError, match='RTMDetHandHead'):
        export_detector(torch.nn.Linear(1, 1), tmp_path / 'out', SIZE)
    with pytest.raises(ValueError, match='fp32 or fp16, not in int8'):
        export_detector(random_detector(), tmp_path / 'out', SIZE, 'int8')


@pytest.mark.parametrize('options, message', [
    (('--backend', 'openvino'), 'to onnx, not to openvino'),
    (('--precision', 'int8'), 'fp32 or fp16, not in int8'),
    (('--padding', 1.2), '--padding is for hand pose'),
    (('--tolerance-mm', 1), '--tolerance-mm is for hand pose'),
    (('--score-thr', 2), '--score-thr must lie'),
])
def test_the_command_refuses_what_detectors_have_not(files, tmp_path, options,
                                                     message):
    with pytest.raises(AssertionError, match='failed with exit') as error:
        run_export(files, tmp_path / 'out', *options)
    assert message in str(error.value)
    assert not (tmp_path / 'out').exists()


def test_a_damaged_model_file_is_named(exported, tmp_path):
    folder = copied(exported, tmp_path / 'copy')
    file = folder / 'hand_detector.onnx'
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(
            ValueError,
            match=r'hand_detector\.onnx is not the fil'
            r'e .* not that in hand_detector\.json'):
        ExportedDetector(folder)
    file.unlink()
    with pytest.raises(FileNotFoundError, match=r'hand_detector\.onnx is mis'):
        ExportedDetector(folder)
    with pytest.raises(FileNotFoundError, match='hand_detector.json is miss'):
        ExportedDetector(tmp_path)


def test_a_json_without_a_field_is_named(exported, tmp_path):
    info = json.loads((exported / 'hand_detector.json').read_text())
    del info['model']['sha256']
    folder = copied(exported, tmp_path / 'copy', model=info['model'])
    with pytest.raises(ValueError, match="it has no 'sha256'"):
        ExportedDetector(folder)


def test_a_file_of_another_network_is_named(exported, tmp_path):
    from lgh_mmpose.inference.backends.exports import file_sha256
    folder = copied(exported, tmp_path / 'copy')
    file = folder / 'hand_detector.onnx'
    file.write_bytes(b'no model')
    info = json.loads((folder / 'hand_detector.json').read_text())
    info['model']['sha256'] = {file.name: file_sha256(file)}
    (folder / 'hand_detector.json').write_text(json.dumps(info))
    with pytest.raises(
            ValueError, match=r'hand_detector\.onnx cannot be load'):
        ExportedDetector(folder)


@pytest.mark.parametrize('changes, message', [
    (dict(schema='lgh_mmpose/exported_hand_pose/3'), 'its schema is'),
    (dict(input_size=[0, 96]), 'bad input_size'),
    (dict(input_size=[96, 96, 3]), 'bad input_size'),
    (dict(score_thr='much'), 'bad score_thr'),
    (dict(iou_thr=float('nan')), 'bad iou_thr'),
    (dict(max_hands=0), 'bad max_hands'),
    (dict(model=3), 'model must be'),
    (dict(model=dict(file='../a.onnx')), 'bad model.file'),
    (dict(model=dict(backend='torch')), 'bad model.backend'),
    (dict(model=dict(inference_precision='int8')),
     'bad model.inference_precision'),
    (dict(model=dict(sha256=None)), 'bad model.sha256'),
])
def test_a_wrong_json_is_named(exported, tmp_path, changes, message):
    if isinstance(changes.get('model'), dict):
        info = json.loads((exported / 'hand_detector.json').read_text())
        changes = dict(model=dict(info['model'], **changes['model']))
    folder = copied(exported, tmp_path / 'copy', **changes)
    with pytest.raises(
            ValueError, match='hand_detector.json cannot be used: '
            f'.*{message}'):
        ExportedDetector(folder)


@pytest.mark.parametrize('image', [
    np.zeros((9, 9), np.uint8),
    np.zeros((9, 9, 4), np.uint8),
    np.zeros((9, 9, 3), np.float32),
    np.zeros((0, 9, 3), np.uint8),
])
def test_what_is_no_image_is_named(exported, image):
    with pytest.raises(ValueError, match='takes images as uint8'):
        ExportedDetector(exported)(image)


def test_it_runs_where_torch_and_mmdet_are_not_installed(exported, tmp_path):
    cv2.imwrite(str(tmp_path / 'image.png'), an_image())
    script = tmp_path / 'find.py'
    script.write_text(f'''
import sys
for name in ('torch', 'mmdet', 'mmpose', 'mmcv', 'mmengine', 'scipy', 'numba'):
    sys.modules[name] = None
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == 'mmpose' else find(
    name, *a)
import cv2
from lgh_mmpose.inference.backends.exported_detector import ExportedDetector
found = ExportedDetector({str(exported)!r}, 1)(cv2.imread('image.png'))
print(len(found.boxes), *found.scores)
''')
    done = subprocess.run([sys.executable, str(script)],
                          cwd=tmp_path,
                          capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    num, *scores = map(float, done.stdout.split())
    found = ExportedDetector(exported)(an_image())
    assert num == len(found.boxes) > 0
    np.testing.assert_allclose(scores, found.scores, atol=1e-5)
