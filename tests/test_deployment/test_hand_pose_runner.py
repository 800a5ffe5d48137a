"""The runner does with NumPy alone what the pipeline and the codec do."""
import hashlib
import json
import re
import shutil
import sys
import warnings

import cv2
import numpy as np
import pytest
import torch
from deploy_models import toy_config
from helpers import REPO_ROOT, run_command, run_script
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.dataset import pseudo_collate
from mmpose.datasets.transforms import GetBBoxCenterScale
from PIL import Image

from lgh_mmpose.apis import HandInferencer
from lgh_mmpose.datasets.transforms import TopdownAffineCamera
from lgh_mmpose.deployment import export, read_crop
from lgh_mmpose.deployment.hand_pose_runner import (HandPose, Network,
                                                    crop_image, crop_matrix,
                                                    read_info)
from lgh_mmpose.geometry.camera import RootDepthStatus

# what the shipped directory must do without
FORBID = """
import sys
forbidden = ('cv2', 'PIL')  # of which arrays need none
class Forbid:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('torch', 'mmpose', 'lgh_mmpose', 'mmengine',
                                  'mmcv', 'scipy', *forbidden):
            raise ImportError(name + ' must not be imported')
sys.meta_path.insert(0, Forbid())
import runpy
sys.argv = sys.argv[1:]
runner = runpy.run_path(sys.argv[0])
import numpy
runner['HandPose']()(numpy.zeros((64, 64, 3), numpy.uint8))
forbidden = ()
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def prediction(toy, index, **changes):
    """What the PyTorch model says of a sample of the test set."""
    record = toy.dataset.get_data_info(index)
    record.update(changes)
    sample = toy.dataset.pipeline(record)
    with torch.no_grad():
        result, = toy.model.test_step(pseudo_collate([sample]))
    return result


def compare(hand, expected, px=1e-3, mm=.05):
    pred = expected.pred_instances
    np.testing.assert_allclose(
        hand['keypoints'], pred.keypoints[0], rtol=0, atol=px)
    np.testing.assert_allclose(
        hand['scores'], pred.keypoint_scores[0], rtol=0, atol=px)
    np.testing.assert_allclose(
        hand['keypoints_cam'], pred.keypoints_cam[0], rtol=0, atol=mm)
    assert (hand['units'], hand['frame']) == (pred.units[0], pred.frame[0])
    assert hand['groups'] == expected.joint_groups.tolist()
    assert tuple(hand['joint_names']) == tuple(expected.keypoint_names)


@pytest.mark.parametrize('side', ['right', 'left'])
def test_equals_the_original(toy, onnx_export, side):
    hand_pose = HandPose(onnx_export, num_threads=1)
    for index in range(2):
        record = toy.dataset.get_data_info(index)
        image = cv2.imread(record['img_path'])
        # not the whole image, and not square
        bbox = np.array([[5.5, -3, 50, 61.25]], np.float32)
        # the pipeline pads its boxes as whole images
        padding = hand_pose.info['crop']['padding']
        centre = np.tile((bbox[:, :2] + bbox[:, 2:]) / 2, 2)
        tight = centre + (bbox - centre) / padding
        hands = hand_pose(image, tight, record['camera_matrix'],
                          record['bone_length'], side)
        expected = prediction(toy, index, bbox=bbox, hand_side=side)
        assert len(hands) == 1
        compare(hands[0], expected)
        assert hands[0]['hand_side'] == side
    right, = hand_pose(image, tight, record['camera_matrix'],
                       record['bone_length'])
    same = np.allclose(right['keypoints'], hands[0]['keypoints'], atol=.1)
    assert same == (side == 'right')


@pytest.mark.parametrize('box', [[12, 9, 50, 47.5], None])
def test_equals_the_inferencer_on_the_same_box(toy, onnx_export, tmp_path,
                                               box):
    """Boxes are tight round the hand for both, or the whole image."""
    checkpoint = tmp_path / 'toy.pth'
    torch.save(dict(state_dict=toy.model.state_dict(), meta={}), checkpoint)
    inferencer = HandInferencer(
        toy_config(), str(checkpoint), hand_side='right')
    record = toy.dataset.get_data_info(0)
    image = cv2.imread(record['img_path'])
    known = record['camera_matrix'], record['bone_length']
    hand_pose = HandPose(onnx_export)
    hand_pose.info['crop'].update(read_crop(toy.dataset))
    ours, = hand_pose(image, box and [box], *known)
    theirs = next(inferencer(image, box, *known))['hands'][0]
    np.testing.assert_allclose(
        ours['keypoints'], theirs['keypoints'], rtol=0, atol=.01)
    np.testing.assert_allclose(ours['bbox'], theirs['bbox'], atol=1e-3)


@pytest.mark.parametrize('keys', [('camera_matrix', ), ('bone_length', ), ()])
def test_what_is_not_known_decides_the_units(toy, onnx_export, keys):
    record = toy.dataset.get_data_info(0)
    hand, = HandPose(onnx_export)(cv2.imread(record['img_path']), **{
        k: record[k]
        for k in keys
    })
    missing = {'camera_matrix', 'bone_length'} - set(keys)
    compare(hand, prediction(toy, 0, **{k: None for k in missing}))


def test_many_hands_at_once(toy, onnx_export):
    record = toy.dataset.get_data_info(0)
    image = cv2.imread(record['img_path'])
    hand_pose = HandPose(onnx_export)
    boxes = [[0, 0, 64, 64], [10, 10, 40, 50], [-20, 30, 20, 64]]
    sides = ['right', 'left', 'right']
    together = hand_pose(image, boxes, hand_side=sides)
    for hand, box, side in zip(together, boxes, sides):
        alone, = hand_pose(image, [box], hand_side=side)
        np.testing.assert_allclose(
            hand['keypoints'], alone['keypoints'], atol=1e-3)
    assert hand_pose(image, []) == []


@pytest.mark.parametrize('backend', ['onnx', 'openvino'])
def test_runs_where_nothing_else_is(toy, backend, request, tmp_path):
    shipped = request.getfixturevalue(f'{backend}_export')
    record = toy.dataset.get_data_info(1)
    (tmp_path / 'camera.json').write_text(
        json.dumps(record['camera_matrix'].tolist()))
    output = run_command(
        *(sys.executable, '-I', '-c', FORBID),
        shutil.copytree(shipped, tmp_path / 'shipped') / 'hand_pose_runner.py',
        record['img_path'],
        *('--camera-matrix', 'camera.json'),
        *('--bone-length', record['bone_length'], '--threads', 1),
        cwd=tmp_path).stdout
    frame = json.loads(output)
    assert frame['schema'] == 'lgh_mmpose/hands/1'
    assert frame['image_size'] == [64, 64]
    # the fields that the schema's documentation lists, and no others
    hand = frame['hands'][0]
    names = set(frame) | set(hand)
    for key, value in (*frame.items(), *hand.items()):
        if isinstance(value, dict):
            names |= {f'{key}.{name}' for name in value}
    assert names - {'camera', 'bone_length'} == documented_fields()
    for value in (frame['time'], hand['track'], hand['bbox_score']):
        assert value is None
    assert hand['hand_side_source'] == 'given'
    assert hand['root_depth_status'] in RootDepthStatus.__members__
    compare(frame['hands'][0], prediction(toy, 1))


def documented_fields():
    """Of an inferencer's frame."""
    page = (REPO_ROOT / 'docs/inference.md').read_text()
    section = page.split('## What comes out')[1].split('\n## ')[0]
    cells = ' '.join(re.findall(r'^\| ([^|]*) \|', section, re.MULTILINE))
    return set(re.findall('`(.+?)`', cells))


def test_command_names_what_is_wrong(onnx_export, tmp_path):
    (tmp_path / 'broken.jpg').write_bytes(b'no picture')
    result = run_command(
        *(sys.executable, '-I', onnx_export / 'hand_pose_runner.py'),
        'broken.jpg',
        cwd=tmp_path,
        check=False)
    assert result.returncode == 1
    assert 'broken.jpg' in result.stdout
    assert 'Traceback' not in result.stdout


def test_command_tells_of_pictures_that_are_not_read(onnx_export, tmp_path):
    first, *others = (Image.new('L', (64, 64), n) for n in (0, 99, 200))
    first.save(tmp_path / 'film.gif', save_all=True, append_images=others)
    command = (sys.executable, '-I', onnx_export / 'hand_pose_runner.py')
    output = run_command(*command, 'film.gif', cwd=tmp_path).stdout
    assert 'film.gif holds 3 pictures, of which the first is read' in output


# -- the crop ----------------------------------------------------------------

box_sides = st.floats(3, 150, width=32)


@settings(max_examples=60, deadline=None)
@given(
    left=st.floats(-60, 60, width=32),
    top=st.floats(-60, 60, width=32),
    width=box_sides,
    height=box_sides,
    padding=st.sampled_from([1., 1.25]),
    use_udp=st.booleans(),
    input_size=st.sampled_from([(32, 32), (24, 40)]))
def test_crop_is_that_of_the_pipeline(left, top, width, height, padding,
                                      use_udp, input_size):
    image = np.random.default_rng(0).integers(
        0, 256, (48, 64, 3), dtype=np.uint8)
    bbox = np.array([[left, top, left + width, top + height]], np.float32)
    results = dict(img=image, bbox=bbox)
    for transform in (GetBBoxCenterScale(padding=padding),
                      TopdownAffineCamera(input_size, use_udp=use_udp)):
        results = transform(results)
    matrix = crop_matrix(bbox[0], input_size, padding, use_udp)
    np.testing.assert_allclose(
        matrix, results['warp_mat'], rtol=1e-5, atol=1e-4)
    crop = crop_image(image, matrix, input_size)
    # the matrices differ in the last bits, which decide between two places
    # 1/32 px apart where the exact one lies between them
    difference = np.abs(crop.astype(int) - results['img'])
    assert difference.max() <= 255 / 32 + 1


def test_command_and_class_take_the_same_boxes(onnx_export, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    boxes = [[3, 4, 40, 44], [10.5, 2, 60, 40]]
    output = run_script(
        onnx_export / 'hand_pose_runner.py',
        *('a.png', '--bbox', *boxes[0], '--bbox', *boxes[1]),
        cwd=tmp_path).stdout
    assert json.loads(output)['hands'] == HandPose(onnx_export)(image, boxes)


# -- bad input ---------------------------------------------------------------


@pytest.mark.parametrize('arguments, message', [
    (dict(image=np.zeros((4, 4), np.uint8)), 'image must be uint8'),
    (dict(hand_side='both'), 'hand_side must be one of'),
    (dict(camera_matrix=np.zeros((3, 3))), 'camera_matrix must be '),
    (dict(camera_matrix=np.diag([1e200, 500, 1])), 'camera_matrix must be '),
    (dict(camera_matrix=np.ones((3, 3), bool)), 'camera_matrix must be 3 row'),
    (dict(bone_length=-1.), r'bone_length \(mm\) must be positive'),
    (dict(bone_length=.045), 'bone_length is 0.045 mm.* seem to be in m,'),
    (dict(bone_length=4.5), 'bone_length is 4.5 mm.* seem to be in cm,'),
    (dict(camera_matrix=np.diag([4.2, 4.2, 1])), 'camera has focal lengths'),
    (dict(bone_length='45'), "bone_length .* must be positive.* got '45'"),
    (dict(bone_length=1e200, camera_matrix=np.diag(
        [500., 500, 1])), r'bone_length \(mm\) must be'),
    (dict(root_depth='500', bone_length=45,
          camera_matrix=np.eye(3)), r'root_depth \(mm\) must be positive'),
    (dict(root_depth=500.), 'only of use together with'),
    (dict(bone_length=[45., 45.]), r'bone_length \(mm\) must be one number'),
    (dict(bboxes=5), 'bboxes must be .* got 5'),
    (dict(bboxes=[[.2, .2, .8, .9]]), '0.6 x 0.7 px can hold no hand'),
    (dict(bboxes=[[0, 0, 9, 9], [64, 0, 70, 9]]),
     'box 64, 0, 70, 9 lies outside of the image of 64 x 64 px'),
    (dict(bboxes=[[-9, -9, 0, 5]]), 'lies outside of the image'),
])
def test_bad_arguments_are_named(onnx_export, arguments, message):
    arguments = dict(dict(image=np.zeros((64, 64, 3), np.uint8)), **arguments)
    with pytest.raises(ValueError, match=message):
        HandPose(onnx_export)(**arguments)


def test_camera_of_another_resolution_is_told(onnx_export):
    hand_pose, image = HandPose(onnx_export), np.zeros((64, 64, 3), np.uint8)
    camera = np.array([[200., 0, 32], [0, 200, 32], [0, 0, 1]])
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        hand_pose(image, camera_matrix=camera, bone_length=45)
    with pytest.warns(UserWarning, match='point .* 64 64, is far from the'):
        hand_pose(image, camera_matrix=np.diag([2., 2., 1]) @ camera)


def test_numbers_of_numpy_become_plain(onnx_export):
    hand, = HandPose(onnx_export)(
        np.zeros((64, 64, 3), np.uint8), bone_length=np.array(45.))
    assert json.loads(json.dumps(hand)) == hand


def test_network_takes_bytes_of_its_size(onnx_export):
    network = Network(onnx_export)
    for images in (np.zeros(
        (1, 3, 96, 96), np.float32), np.zeros(
            (1, 3, 96, 64), np.uint8), np.zeros((0, 3, 96, 96), np.uint8)):
        with pytest.raises(ValueError, match=r'uint8 \(B, 3, H, W\)'):
            network(images)


def copy_of(onnx_export, tmp_path, **changes):
    info = read_info(onnx_export)
    for key, value in changes.items():
        node = info
        *path, last = key.split('__')
        for name in path:
            node = node[name]
        if value is None:
            del node[last]
        else:
            node[last] = value
    (tmp_path / 'hand_pose.json').write_text(json.dumps(info))
    return tmp_path


@pytest.mark.parametrize('changes, message', [
    (dict(schema='other/1'), "its schema is 'other/1'"),
    (dict(schema='lgh_mmpose/exported_hand_pose/2'),
     'exported_hand_pose/3.: export the model again'),
    (dict(crop__whole_image_padding=None), "has no 'whole_image_padding'"),
    (dict(crop__whole_image_padding=0), 'bad crop.whole_image_padding'),
    (dict(joint_names=None), "has no 'joint_names'"),
    (dict(root_joint='nose'), 'bad root_joint'),
    (dict(input_size=[96, -1]), 'bad input_size'),
    (dict(input_size=[10**9, 10**9]), 'bad input_size'),
    (dict(input_size=[10**401, 96]), 'bad input_size'),
    (dict(input_size=[True, 96]), 'bad input_size'),
    (dict(joint_names=['wrist'] * 21), 'bad joint_names'),
    (dict(joint_groups=['x'] * 21), 'bad joint_groups'),
    (dict(reference_bone=['wrist', 'wrist']), 'bad reference_bone'),
    (dict(reference_bone=[[], []]), 'unhashable'),
    (dict(bone_lengths=[float('inf')] * 20), 'bad bone_lengths'),
    (dict(bone_lengths=[float('nan')] * 20), 'bad bone_lengths'),
    (dict(bone_lengths=[10**401] * 20), 'bad bone_lengths'),
    (dict(bone_lengths=['1'] * 20), 'bad bone_lengths'),
    (dict(bones=[[10**401, 0]]), 'bad bones'),
    (dict(bones=[]), 'IndexError|bad bones'),
    (dict(crop__padding=float('inf')), 'bad crop.padding'),
    (dict(crop__padding='1'), 'bad crop.padding'),
    (dict(bones=[[0, 99]]), 'bad bones'),
    (dict(model__file='../hand_pose.onnx'), 'bad model.file'),
    (dict(model__backend='shell'), 'bad model.backend'),
    (dict(model__sha256=None), "has no 'sha256'"),
    (dict(model__sha256='0'), 'bad model.sha256'),
    (dict(model__sha256={}), 'bad model.sha256'),
    (dict(model__sha256={'../hand_pose.onnx': '0'}), 'bad model.sha256'),
    (dict(crop=3), 'crop must be a dict'),
    (dict(bones='x'), 'bones must be a list'),
])
def test_damaged_json_is_refused(onnx_export, tmp_path, changes, message):
    with pytest.raises(ValueError, match=f'hand_pose.json cannot.*{message}'):
        HandPose(copy_of(onnx_export, tmp_path, **changes))


@pytest.mark.parametrize('content, message', [
    (b'[' * 10**5, 'RecursionError'),
    (b'[]', 'TypeError'),
    (b'\xff', 'utf-8'),
    (b'1' * 5000, '4300 digits'),
    (b' ' * 2**20 + b'{}', 'more than 1048576 bytes'),
])
def test_json_that_is_no_export_is_refused(tmp_path, content, message):
    (tmp_path / 'hand_pose.json').write_bytes(content)
    with pytest.raises(
            ValueError, match=f'hand_pose.json cannot be .*{message}'):
        read_info(tmp_path)


@pytest.mark.parametrize('backend, name', [('onnx', 'hand_pose.onnx'),
                                           ('openvino', 'hand_pose.xml'),
                                           ('torchscript', 'hand_pose.pt')])
@pytest.mark.parametrize('content', [b'', b'no model', b'<a>' * 9])
def test_damaged_model_of_a_right_hash_is_named(onnx_export, tmp_path, backend,
                                                name, content):
    (tmp_path / name).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    copy_of(
        onnx_export,
        tmp_path,
        model__backend=backend,
        model__file=name,
        model__sha256={name: digest})
    with pytest.raises(
            ValueError, match=f'{name} cannot be loaded: .*export') as error:
        HandPose(tmp_path)
    assert '\n' not in str(error.value) and len(str(error.value)) < 500


def test_model_of_another_input_or_output_is_named(onnx_export, tmp_path):
    shutil.copy(onnx_export / 'hand_pose.onnx', tmp_path)
    names = [f'joint {i}' for i in range(20)] + ['wrist']
    for changes in (dict(input_size=[97, 96]),
                    dict(
                        joint_names=names[1:],
                        joint_groups=[0] * 20,
                        root_joint='wrist',
                        reference_bone=['wrist', names[9]],
                        bones=[[0, 1]],
                        bone_lengths=[1.])):
        copy_of(onnx_export, tmp_path, **changes)
        with pytest.raises(
                ValueError, match='hand_pose.onnx cannot be run: .*export'):
            HandPose(tmp_path)(np.zeros((64, 64, 3), np.uint8))


def test_missing_files_are_named(onnx_export, tmp_path):
    with pytest.raises(FileNotFoundError, match='hand_pose.json is missing'):
        HandPose(tmp_path)
    with pytest.raises(FileNotFoundError, match='hand_pose.onnx is missing'):
        HandPose(copy_of(onnx_export, tmp_path))


def test_missing_engine_is_named(onnx_export, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(ImportError, match='pip install onnxruntime'):
        HandPose(onnx_export)


@pytest.mark.parametrize('name', ['hand_pose.xml', 'hand_pose.bin'])
def test_files_that_were_not_exported_are_refused(openvino_export, tmp_path,
                                                  name):
    shipped = shutil.copytree(openvino_export, tmp_path / 'shipped')
    HandPose(shipped)  # as it is
    content = bytearray((shipped / name).read_bytes())
    content[len(content) // 2] ^= 1
    (shipped / name).write_bytes(content)
    with pytest.raises(ValueError, match=f'{name} is not the file that was '):
        HandPose(shipped)
    (shipped / name).unlink()
    with pytest.raises(FileNotFoundError, match=f'{name} is missing'):
        HandPose(shipped)


@pytest.mark.parametrize('cpu_bf16', ['AMX', 'none'], indirect=True)
@pytest.mark.parametrize('backend, message', [
    ('torchscript', 'torch imitates bf16, slowly.*--precision fp32'),
    ('openvino', 'what should run in bf16 runs in fp32'),
])
def test_bf16_that_the_cpu_lacks_is_said(toy, traced_once, tmp_path,
                                         monkeypatch, cpu_bf16, backend,
                                         message):
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv('LGH_MMPOSE_BF16', 'AMX')
        export(toy.model, tmp_path / 'exported', backend, 'bf16')
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        Network(tmp_path / 'exported')
    assert [
        bool(re.search(f'this CPU has no bf16 .*{message}', str(w.message)))
        for w in said
    ] == [True] * (not cpu_bf16)


@pytest.mark.parametrize('precision', ['f32', 'bf16'])
def test_openvino_does_not_choose_by_itself(openvino_export, tmp_path,
                                            monkeypatch, cpu_bf16, precision):
    import openvino
    shipped = shutil.copytree(openvino_export, tmp_path / 'shipped')
    info = read_info(shipped)
    info['model']['inference_precision'] = precision
    (shipped / 'hand_pose.json').write_text(json.dumps(info))
    hints, compile_model = [], openvino.Core.compile_model

    def compile_and_note(core, model, device, config):
        hints.append(config['INFERENCE_PRECISION_HINT'])
        # in what every CPU has
        return compile_model(core, model, device,
                             dict(config, INFERENCE_PRECISION_HINT='f32'))

    monkeypatch.setattr(openvino.Core, 'compile_model', compile_and_note)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        network = Network(shipped)
    network(np.zeros((1, 3, 96, 96), np.uint8))
    assert hints == [precision if cpu_bf16 else 'f32']


def test_the_reason_of_the_precision_is_not_needed(openvino_export, tmp_path):
    shipped = shutil.copytree(openvino_export, tmp_path / 'shipped')
    info = read_info(shipped)
    del info['model']['precision_reason']
    (shipped / 'hand_pose.json').write_text(json.dumps(info))
    images = np.full((1, 3, 96, 96), 128, np.uint8)
    for now, before in zip(
            Network(openvino_export)(images),
            Network(shipped)(images)):
        np.testing.assert_array_equal(now, before)
