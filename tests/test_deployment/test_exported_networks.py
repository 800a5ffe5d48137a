"""Exported networks in the pipeline, beside the model they were made of."""
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
from helpers import REPO_ROOT, run_script
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.dataset import pseudo_collate
from mmpose.datasets.transforms import GetBBoxCenterScale
from toy_video import write_video

from lgh_mmpose.apis import HandInferencer
from lgh_mmpose.datasets.transforms import TopdownAffineCamera
from lgh_mmpose.deployment import export, read_crop
from lgh_mmpose.geometry.crop import Crop, crop_matrix
from lgh_mmpose.inference.backends.exported import ExportedNetwork, read_info
from lgh_mmpose.inference.crop import cut_out
from lgh_mmpose.inference.pipeline import HandPose

CAMERA = np.array([[150., 0, 30], [0, 152, 34], [0, 0, 1]])
BOXES = np.array([[12., 9., 50., 47.5], [-6., 3., 33.5, 71.]])

# -- all doors ---------------------------------------------------------------


@pytest.fixture(scope='module')
def files(toy, tmp_path_factory):
    """Config and checkpoint of the network, and its exports."""
    folder = tmp_path_factory.mktemp('toy')
    cfg = toy_config()
    cfg.dump(folder / 'toy.py')
    torch.save(
        dict(state_dict=toy.model.state_dict(), meta={}), folder / 'toy.pth')
    for backend in ('onnx', 'openvino', 'torchscript'):
        export(
            toy.model,
            folder / backend,
            backend,
            'fp32',
            crop=read_crop(cfg),
            verification=toy.samples)
    return folder


def exported(files, backend):
    return HandPose(files / backend, num_threads=1)


def images():
    """Of odd sizes, with something to see."""
    generator = np.random.default_rng(7)
    for height, width in ((64, 64), (97, 61), (53, 128)):
        noise = generator.integers(0, 256, (height, width, 3), np.uint8)
        yield cv2.GaussianBlur(noise, (0, 0), 2)


def assert_same(ours, theirs, px=.01, mm=.01):
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs):
        assert one['hand_side'] == other['hand_side']
        assert one['track'] == other['track']
        np.testing.assert_allclose(
            one['keypoints'], other['keypoints'], rtol=0, atol=px)
        np.testing.assert_allclose(one['scores'], other['scores'], atol=1e-3)
        # at one depth: a network with random weights sees hands far away
        root = one['joint_names'].index(one['root_joint'])
        relative = [
            np.array(hand['keypoints_cam']) / hand['keypoints_cam'][root][2]
            for hand in (one, other)
        ]
        np.testing.assert_allclose(*relative, rtol=0, atol=mm / 400)


DOORS = ('onnx', 'openvino', 'torchscript', 'inferencer', 'command')


def answers(door, files, source, tmp_path, **known):
    """The frame dicts of one of the doors to the pipeline."""
    side = known.get('hand_side', 'auto')
    config = str(files / 'toy.py'), str(files / 'toy.pth')
    if door == 'inferencer':
        inferencer = HandInferencer(
            *config, camera_matrix=CAMERA, bone_length=40, hand_side=side)
        return list(inferencer(source, known.get('bboxes')))
    if door == 'command':
        if not isinstance(source, str):
            cv2.imwrite(str(tmp_path / 'image.png'), source)
            source = 'image.png'
        (tmp_path / 'camera.json').write_text(json.dumps(CAMERA.tolist()))
        boxes = known.get('bboxes')
        boxes = [] if boxes is None else np.reshape(boxes, (-1, 4)).tolist()
        run_script(
            REPO_ROOT / 'demo/hand3d_demo.py',
            source,
            *('--model', files / 'onnx', '--json', 'out.jsonl'),
            *('--camera-matrix', 'camera.json', '--bone-length', 40),
            *('--hand-side', side),
            *(word for box in boxes for word in ('--bbox', *box)),
            cwd=tmp_path)
        lines = (tmp_path / 'out.jsonl').read_text().splitlines()
        return [json.loads(line) for line in lines]
    model = config if door == 'torch' else (files / door, )
    hand_pose = HandPose(
        *model, camera_matrix=CAMERA, bone_length=40, hand_side=side)
    return [
        hands.to_dict() for hands in hand_pose(source, known.get('bboxes'))
    ]


@pytest.mark.parametrize('door', DOORS)
@pytest.mark.parametrize('known', [
    dict(hand_side='right', bboxes=BOXES),
    dict(hand_side='left', bboxes=BOXES[0]),
    dict(hand_side='right'),
    dict(),
])
def test_each_door_gives_the_same_joints(files, door, known, tmp_path):
    for image in images():
        ours, = answers(door, files, image, tmp_path, **known)
        theirs, = answers('torch', files, image, tmp_path, **known)
        assert_same(ours['hands'], theirs['hands'])
        for key in ('schema', 'camera', 'image_size'):
            assert ours[key] == theirs[key]


@pytest.mark.parametrize('door', DOORS)
def test_each_door_follows_a_film_alike(files, door, tmp_path):
    frame = cv2.resize(next(images()), (96, 80))
    write_video(tmp_path / 'film.avi', [frame] * 5)
    film = str(tmp_path / 'film.avi')
    ours, theirs = (
        answers(name, files, film, tmp_path, hand_side='right')
        for name in (door, 'torch'))
    assert len(ours) == len(theirs) == 5
    for one, other in zip(ours, theirs):
        assert one['time'] == other['time']
        assert_same(one['hands'], other['hands'], px=.05, mm=.05)


@pytest.mark.parametrize('side', ['right', 'left'])
def test_it_is_what_the_test_pipeline_gives(toy, files, side):
    """Crop, network and codec of mmpose, on a box that is no square."""
    record = toy.dataset.get_data_info(0)
    box = np.array([[5.5, -3, 50, 61.25]], np.float32)
    sample = toy.dataset.pipeline(dict(record, bbox=box, hand_side=side))
    with torch.no_grad():
        expected, = toy.model.test_step(pseudo_collate([sample]))
    # the pipeline pads its boxes as whole images
    crop = read_crop(toy_config())
    centre = (box[0, :2] + box[0, 2:]) / 2
    half = (box[0, 2:] - centre) * crop.whole_image_padding / crop.padding
    hands = next(
        HandPose(files / 'onnx',
                 hand_side=side)(cv2.imread(record['img_path']),
                                 [*(centre - half), *(centre + half)],
                                 record['camera_matrix'],
                                 record['bone_length']))
    pred = expected.pred_instances
    np.testing.assert_allclose(
        hands.keypoints[0], pred.keypoints[0], rtol=0, atol=.01)
    np.testing.assert_allclose(
        hands.scores[0], pred.keypoint_scores[0], atol=1e-3)
    assert hands.joint_groups.tolist() == expected.joint_groups.tolist()


@pytest.mark.parametrize('backend', ['onnx', 'openvino', 'torchscript'])
def test_batches_may_change_their_size(files, backend):
    network = exported(files, backend).network
    crops = np.random.default_rng(3).integers(0, 256, (3, 3, 96, 96), np.uint8)
    together = network(crops)
    for size in (1, 2, 3):
        for i, part in enumerate(network(crops[:size])[:3]):
            np.testing.assert_allclose(part, together[i][:size], atol=1e-3)


def test_the_json_stands_for_its_directory(files):
    hands = next(HandPose(files / 'onnx/hand_pose.json')(next(images())))
    assert len(hands) == 1
    with pytest.raises(ValueError, match='device belongs to a config'):
        HandPose(files / 'onnx', device='cuda:0')


@pytest.fixture
def threads(monkeypatch):
    """What the engines are told of threads, by their names."""
    import onnxruntime
    import openvino
    told = {}
    session, compile_model = (onnxruntime.InferenceSession,
                              openvino.Core.compile_model)

    def open_session(path, options, **more):
        told['onnx'] = options.intra_op_num_threads
        return session(path, options, **more)

    def compile_and_note(core, model, device, config):
        told['openvino'] = config.get('INFERENCE_NUM_THREADS')
        return compile_model(core, model, device, config)

    monkeypatch.setattr(onnxruntime, 'InferenceSession', open_session)
    monkeypatch.setattr(openvino.Core, 'compile_model', compile_and_note)
    monkeypatch.setattr(torch, 'set_num_threads',
                        lambda number: told.update(torch=number))
    return told


@pytest.mark.parametrize('model, engine, usual', [
    (('onnx', ), 'onnx', 0),
    (('openvino', ), 'openvino', None),
    (('torchscript', ), 'torch', None),
    (('toy.py', 'toy.pth'), 'torch', None),
])
def test_threads_are_told_to_the_engine(files, threads, model, engine, usual):
    model = [str(files / name) for name in model]
    image = next(images())
    next(HandPose(*model)(image))
    assert threads.get(engine) == usual
    next(HandPose(*model, num_threads=3)(image))
    assert threads[engine] == 3
    with pytest.raises(ValueError, match='num_threads must be at least 1'):
        HandPose(*model, num_threads=0)


def test_a_box_outside_the_image_is_named(files):
    hand_pose = exported(files, 'onnx')
    image = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(ValueError, match='lies outside the 64 x 64 px of ar'):
        next(hand_pose(image, [[64, 0, 70, 9]]))


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
    crop, _ = cut_out(image, bbox[0], Crop(padding, use_udp=use_udp),
                      input_size)
    # the matrices differ in the last bits, which decide between two places
    # 1/32 px apart where the exact one lies between them
    difference = np.abs(crop.astype(int) - results['img'])
    assert difference.max() <= 255 / 32 + 1


def test_network_takes_bytes_of_its_size(onnx_export):
    network = ExportedNetwork(onnx_export)
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
     'exported_hand_pose/4.: export the model again'),
    (dict(crop__whole_image_padding=None), "has no 'whole_image_padding'"),
    (dict(crop__whole_image_padding=0), 'bad crop.whole_image_padding'),
    (dict(hand_thr='much'), 'bad hand_thr'),
    (dict(hand_thr=1.5), 'bad hand_thr'),
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
    (dict(model__precision=16), 'bad model.precision'),
    (dict(model__inference_precision='f64'), 'bad model.inference_precision'),
    (dict(joint_groups=[0] * 20), 'bad joint_groups'),
    (dict(bone_lengths=[1.]), 'bad bone_lengths'),
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
            next(HandPose(tmp_path)(np.zeros((64, 64, 3), np.uint8)))


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
        ExportedNetwork(tmp_path / 'exported')
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
        network = ExportedNetwork(shipped)
    network(np.zeros((1, 3, 96, 96), np.uint8))
    assert hints == [precision if cpu_bf16 else 'f32']


def test_the_reason_of_the_precision_is_not_needed(openvino_export, tmp_path):
    shipped = shutil.copytree(openvino_export, tmp_path / 'shipped')
    info = read_info(shipped)
    del info['model']['precision_reason']
    (shipped / 'hand_pose.json').write_text(json.dumps(info))
    images = np.full((1, 3, 96, 96), 128, np.uint8)
    for now, before in zip(
            ExportedNetwork(openvino_export)(images),
            ExportedNetwork(shipped)(images)):
        np.testing.assert_array_equal(now, before)
