"""What is written is whole, verified, and says what it is."""
import copy
import hashlib
import json
import re
import sys
import tempfile
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from deploy_models import THIN, randomize, toy_model
from helpers import REPO_ROOT, full_disk
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, MODELS

from lgh_mmpose.apis.config_crop import crop_of_config
from lgh_mmpose.config import set_data_root
from lgh_mmpose.deployment import (COMBINATIONS, ExportError, Tolerance,
                                   export, exporting, half_weights,
                                   load_exported, select_samples, to_deploy)
from lgh_mmpose.deployment.exporting import choose_precision
from lgh_mmpose.geometry.crop import Crop
from lgh_mmpose.inference.backends.torch import estimate

pytestmark = pytest.mark.usefixtures('traced_once')

# random weights tell nothing of what int8 costs a trained network
LOOSE = Tolerance(px=30., mm=200., bones=5., scores=1., mpjpe=1.)


def batch(samples):
    return np.stack([np.asarray(sample['inputs']) for sample in samples])


def assert_nothing_was_left(folder):
    assert list(folder.iterdir()) == []


def assert_nothing_of_the_machine(folder):
    """No file, nor what is packed into it, names a place of this machine."""
    contents = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert len(contents) >= 2
    for file in folder.glob('*.pt'):
        with zipfile.ZipFile(file) as archive:
            contents.update(
                {name: archive.read(name)
                 for name in archive.namelist()})
    for place in (REPO_ROOT, sys.prefix, folder.parent, tempfile.gettempdir()):
        for name, content in contents.items():
            assert f'{place}/'.encode() not in content, (name, place)


@pytest.mark.parametrize('backend, precision',
                         [(backend, precision)
                          for backend, precisions in COMBINATIONS.items()
                          for precision in precisions])
def test_written_model_gives_what_the_original_gives(toy, tmp_path, backend,
                                                     precision, monkeypatch):
    if precision == 'bf16':
        # which torch imitates and OpenVINO replaces where there is none
        monkeypatch.setenv('LGH_MMPOSE_BF16', 'AVX512_BF16')
    quantised = precision == 'int8'
    info = export(
        toy.model,
        tmp_path / 'out',
        backend,
        precision,
        verification=toy.samples,
        calibration=toy.samples if quantised else (),
        tolerance=LOOSE if quantised else None)
    assert json.loads((tmp_path / 'out/hand_pose.json').read_text()) == info
    assert_nothing_of_the_machine(tmp_path / 'out')

    network = load_exported(tmp_path / 'out', num_threads=1)
    images = batch(toy.samples)
    outputs = network(images)
    with torch.no_grad():
        expected = [x.numpy() for x in toy.form(torch.from_numpy(images))]
    px = dict(fp32=1e-3, fp16=.1, bf16=.5, int8=2.)[precision]
    for i, (a, b) in enumerate(zip(outputs, expected)):
        assert a.dtype == np.float32 and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=px if i == 0 else px / 2)
    # one by one or together, in any order: they are different hands
    assert np.abs(np.diff(expected[0], axis=0)).max() > px
    for i in (2, 0):
        for a, b in zip(network(images[[i]])[:3], outputs):
            np.testing.assert_allclose(a[0], b[i], rtol=0, atol=px / 2)


@pytest.fixture
def halve_all(monkeypatch):
    """Small weights, too, of which a thin network has no others."""
    monkeypatch.setattr(half_weights, 'FEWEST', 64)


def test_fp16_takes_half_the_room(toy, tmp_path, halve_all):
    for precision in ('fp32', 'fp16'):
        export(toy.model, tmp_path / precision, 'onnx', precision)
    sizes = [(tmp_path / p / 'hand_pose.onnx').stat().st_size
             for p in ('fp32', 'fp16')]
    weights = 4 * sum(p.numel() for p in toy.form.parameters())
    assert sizes[0] - sizes[1] == pytest.approx(weights / 2, rel=.2)


def test_weights_that_fp16_cannot_hold_are_named(tmp_path, monkeypatch,
                                                 halve_all):
    model = toy_model()
    with torch.no_grad():
        model.head.heatmap_layers[0].weight[0, 0, 0, 0] = 1e6
    monkeypatch.setattr(exporting, 'to_deploy', to_deploy)
    with pytest.raises(ValueError, match='exceeds what fp16 can hold'):
        export(model, tmp_path / 'out', 'onnx', 'fp16')
    assert_nothing_was_left(tmp_path)


def test_json_says_what_goes_in_and_what_comes_out(toy, onnx_export):
    info = json.loads((onnx_export / 'hand_pose.json').read_text())
    assert info['input_size'] == [96, 96]
    assert info['input']['normalization']['mean'] == pytest.approx(
        [123.675, 116.28, 103.53])
    assert info['joint_names'][9] == info['root_joint'] == 'middle_finger1'
    assert info['joint_groups'] == \
        toy.model.head.selector.joint_groups.tolist()
    # each file of the model, and no other
    assert info['model']['sha256'] == {
        'hand_pose.onnx':
        hashlib.sha256(
            (onnx_export / 'hand_pose.onnx').read_bytes()).hexdigest()
    }
    report = info['verification']
    assert report['num_samples'] == report['crop']['num_samples'] == 3
    assert report['crop']['px'] < 1e-3
    for key in ('px', 'mm', 'scores'):
        limit = report['tolerance'][key]
        assert 0 < report[key]['mean'] <= report[key]['max'] <= limit
    # hands that a random network puts elsewhere
    assert report['MPJPE']['original'] > 5
    assert report['MPJPE']['exported'] == pytest.approx(
        report['MPJPE']['original'], abs=.01)


def test_difference_over_the_tolerance_leaves_nothing(toy, tmp_path):
    with pytest.raises(ExportError, match='more than the tolerance of 1e-12'):
        export(
            toy.model,
            tmp_path / 'out',
            'torchscript',
            'fp32',
            verification=toy.samples,
            tolerance=LOOSE._replace(px=1e-12))
    assert_nothing_was_left(tmp_path)


def test_what_comes_while_it_works_stays_and_the_model_too(
        toy, tmp_path, monkeypatch):

    def verify_crop(*_):
        with pytest.raises(FileExistsError, match='another run is writing'):
            export(toy.model, tmp_path / 'out', 'torchscript')
        (tmp_path / 'out').mkdir()
        (tmp_path / 'out/notes.txt').write_text('mine')

    monkeypatch.setattr(exporting, 'verify_crop', verify_crop)
    with pytest.raises(FileExistsError, match='is whole, in .*out_2'):
        export(
            toy.model,
            tmp_path / 'out',
            'torchscript',
            verification=toy.samples)
    assert [f.name for f in (tmp_path / 'out').iterdir()] == ['notes.txt']
    load_exported(tmp_path / 'out_2')
    assert sorted(f.name for f in tmp_path.iterdir()) == ['out', 'out_2']


@pytest.mark.parametrize('backend', ['onnx', 'openvino', 'torchscript'])
def test_a_full_disk_is_an_error_of_the_system(toy, tmp_path, backend):
    with full_disk(20_000), pytest.raises(OSError, match='cannot write'):
        export(toy.model, tmp_path / 'out', backend)
    assert_nothing_was_left(tmp_path)


def test_another_model_is_found_out(toy, tmp_path, monkeypatch):
    """The comparison is with the original, through the file."""
    spoiled = copy.deepcopy(toy.form)
    spoiled.u += .5
    monkeypatch.setattr(exporting, 'to_deploy', lambda model: spoiled)
    with pytest.raises(ExportError, match='differs .* by 0.5 px on 3'):
        export(
            toy.model,
            tmp_path / 'out',
            'torchscript',
            'fp32',
            verification=toy.samples)
    assert_nothing_was_left(tmp_path)


def test_another_crop_is_found_out(toy, tmp_path):
    """Though the written model gives what the original gives."""
    with pytest.raises(ExportError, match=r'is 12 px of the input off'):
        export(
            toy.model,
            tmp_path / 'out',
            'torchscript',
            # a corner is 48 * sqrt(2) px from the middle
            crop=Crop(whole_image_padding=1 / (1 - 12 / (48 * 2**.5))),
            verification=toy.samples)
    assert_nothing_was_left(tmp_path)


def test_samples_alone_tell_nothing_of_the_crop(toy, tmp_path):
    samples = [{
        k: v
        for k, v in sample.items() if k != 'record'
    } for sample in toy.samples]
    info = export(
        toy.model, tmp_path / 'out', 'torchscript', verification=samples)
    assert info['verification']['crop'] is None


def test_without_samples_it_says_that_it_is_not_verified(toy, tmp_path):
    info = export(toy.model, tmp_path / 'out', 'torchscript')
    assert info['verification'] is None


def test_nothing_is_overwritten(toy, tmp_path):
    (tmp_path / 'out').mkdir()
    with pytest.raises(FileExistsError, match='out exists'):
        export(toy.model, tmp_path / 'out', 'torchscript')


@pytest.mark.parametrize('backend, precision, reason', [
    ('onnx', 'bf16',
     'no bf16 kernels.*; possible are onnx: fp32, fp16, int8;'),
    ('torchscript', 'int8', 'maintains'),
    ('tensorrt', 'fp32', 'no export to tensorrt in fp32; possible'),
])
def test_what_does_not_exist_is_refused(backend, precision, reason):
    with pytest.raises(ValueError, match=reason):
        choose_precision(backend, precision)


@pytest.mark.parametrize('backend', ['openvino', 'torchscript'])
def test_auto_is_what_the_cpu_computes(backend, cpu_bf16):
    precision, reason = choose_precision(backend)
    assert precision == ('bf16' if cpu_bf16 else 'fp32')
    assert (cpu_bf16 or 'no bf16 instructions') in reason
    # what is asked for stays
    assert choose_precision(backend, 'fp32') == ('fp32', 'as asked for')


def test_auto_asks_the_backend_too(cpu_bf16):
    precision, reason = choose_precision('onnx')
    assert precision == 'fp32'
    assert reason == 'ONNX Runtime has no bf16 kernels for x86 CPUs'


def test_bf16_needs_a_cpu_that_has_it(cpu_bf16):
    if cpu_bf16:
        assert choose_precision('openvino', 'bf16')[0] == 'bf16'
        return
    with pytest.raises(ExportError, match='no bf16 .* leave --precision out'):
        choose_precision('openvino', 'bf16')


@pytest.mark.parametrize('cpu_bf16', ['AVX512_BF16', 'none'], indirect=True)
def test_the_choice_and_its_reason_are_kept(toy, tmp_path, cpu_bf16):
    out = tmp_path / 'out'
    export(toy.model, out, 'openvino')
    model = json.loads((out / 'hand_pose.json').read_text())['model']
    assert model['precision'] == ('bf16' if cpu_bf16 else 'fp32')
    assert model['inference_precision'] == ('bf16' if cpu_bf16 else 'f32')
    assert model['precision_reason'] == choose_precision('openvino')[1]


@pytest.mark.parametrize('cpu_bf16', ['AVX512_BF16', 'none'], indirect=True)
def test_the_rest_of_int8_is_what_the_cpu_computes(toy, tmp_path, cpu_bf16,
                                                   monkeypatch):
    # takes seconds, and decides nothing here
    monkeypatch.setattr(exporting, 'quantize_openvino',
                        lambda model, images: model)
    model = export(
        toy.model,
        tmp_path / 'out',
        'openvino',
        'int8',
        calibration=toy.samples[:1])['model']
    assert model['inference_precision'] == ('bf16' if cpu_bf16 else 'f32')
    assert re.match(
        'as asked for; what is not quantised in '
        f'{model["inference_precision"]}: this CPU ',
        model['precision_reason'])


def test_bf16_over_the_tolerance_names_the_mend(toy, tmp_path, monkeypatch):
    monkeypatch.setenv('LGH_MMPOSE_BF16', 'AVX512_BF16')
    with pytest.raises(
            ExportError, match=r'\(AVX512_BF16\).*--precision fp32'):
        export(
            toy.model,
            tmp_path / 'out',
            'torchscript',
            verification=toy.samples,
            tolerance=LOOSE._replace(px=1e-4))
    assert_nothing_was_left(tmp_path)


def test_int8_needs_samples(toy, tmp_path):
    with pytest.raises(ValueError, match='int8 needs calibration samples'):
        export(toy.model, tmp_path / 'out', 'onnx', 'int8')
    assert_nothing_was_left(tmp_path)


def test_missing_backend_is_named_with_the_extra(toy, tmp_path, monkeypatch):
    import importlib.util
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name, *args: None
        if name == 'openvino' else find_spec(name, *args))
    with pytest.raises(ImportError, match=r'openvino.*lgh_mmpose\[deploy\]'):
        export(toy.model, tmp_path / 'out', 'openvino')
    assert_nothing_was_left(tmp_path)


# -- a network that tells the side -------------------------------------------


@pytest.fixture(scope='module')
def sided(studiohand_root):
    """A thin network of upright hands of both sides, and rendered hands."""
    init_default_scope('mmpose')
    cfg = Config.fromfile(REPO_ROOT / 'configs/lgh_upright_studiohand.py')
    set_data_root(cfg, str(studiohand_root))
    cfg.merge_from_dict(dict(model=THIN))
    cfg.model.head.side_specific = True
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    randomize(model, joint_groups=[0, 1] * 10 + [0])
    with torch.no_grad():
        model.head.side_layers[-2].weight.normal_(std=3.)
    samples = select_samples(DATASETS.build(cfg.test_dataloader.dataset), 4)
    return SimpleNamespace(
        model=model, samples=samples, crop=crop_of_config(cfg))


@pytest.mark.parametrize('backend', ['onnx', 'openvino', 'torchscript'])
def test_the_side_is_exported_too(sided, tmp_path, backend, monkeypatch):
    monkeypatch.setattr(exporting, 'to_deploy', to_deploy)
    monkeypatch.setattr(sided.model, 'test_cfg', dict(hand_thr=.3))
    assert sided.crop == Crop(1.4, 1.4, hand_side=None, upright=True)
    info = export(
        sided.model,
        tmp_path / 'out',
        backend,
        'fp32',
        verification=sided.samples,
        crop=sided.crop)
    # some hands are mirrored, and all are turned
    assert {s['data_samples'].metainfo['flip']
            for s in sided.samples} == {False, True}
    assert info['verification']['crop']['px'] < 1e-3
    assert info['verification']['right']['max'] < 1e-4
    network = load_exported(tmp_path / 'out', num_threads=1)
    assert network.info.gives_side and network.info.crop == sided.crop
    assert network.info.hand_thr == .3
    images = batch(sided.samples)
    right = network(images).right
    assert right.shape == (4, ) and right.dtype == np.float32
    np.testing.assert_allclose(
        right, estimate(sided.model, images).right, atol=1e-4)
    assert np.ptp(right) > 1e-3
