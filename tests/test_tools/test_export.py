"""tools/deployment/export.py on rendered hands."""
import json
import re
import sys
import warnings

import pytest
import torch
from deploy_models import toy_config, write_toy_files
from helpers import REPO_ROOT, run_command, run_script

EXPORT = REPO_ROOT / 'tools/deployment/export.py'


@pytest.fixture(scope='module')
def files(studiohand_root, tmp_path_factory):
    return write_toy_files(tmp_path_factory.mktemp('toy'), studiohand_root)


def test_exports_and_prints_the_differences(files, studiohand_root, tmp_path):
    output = run_command(
        *(sys.executable, EXPORT, *files, '-o', 'out'),
        *('--backend', 'openvino', '--precision', 'fp32'),
        *('--verify-samples', 4, '--data-root', studiohand_root),
        cwd=tmp_path).stdout
    assert 'exporting to openvino in fp32: as asked for' in output
    assert 'openvino fp32, compared with the original on 4 samples' in output
    assert 'MPJPE' in output and 'written to out' in output
    assert 'px of the input off that of the pipeline at most' in output
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'hand_pose.bin', 'hand_pose.json', 'hand_pose.xml'
    ]
    info = json.loads((tmp_path / 'out/hand_pose.json').read_text())
    # nothing of the machine that made it
    assert str(tmp_path.parent) not in json.dumps(info)
    assert info['config']['name'] == 'toy.py'
    assert info['checkpoint']['name'] == 'toy.pth'
    # the pipeline of the test set
    # tight boxes are smaller than the whole images it was trained on
    assert info['crop'] == dict(
        padding=1.5,
        whole_image_padding=1.0,
        use_udp=False,
        hand_side='right',
        upright=False)
    assert info['verification']['num_samples'] == 4


@pytest.mark.parametrize('cpu_bf16', ['AMX', 'none'], indirect=True)
def test_precision_is_what_the_cpu_computes(files, tmp_path, cpu_bf16):
    arguments = (EXPORT, *files, '-o', 'out', '--backend', 'torchscript',
                 '--verify-samples', 2, '--tolerance-mpjpe', .5,
                 '--tolerance-px', 9, '--tolerance-mm', 90)
    output = run_script(*arguments, cwd=tmp_path).stdout
    model = json.loads((tmp_path / 'out/hand_pose.json').read_text())['model']
    assert model['precision'] == ('bf16' if cpu_bf16 else 'fp32')
    reason = (f'this CPU computes bf16 ({cpu_bf16})'
              if cpu_bf16 else 'this CPU has no bf16 instructions')
    assert model['precision_reason'].startswith(reason)
    assert (f'exporting to torchscript in {model["precision"]}: '
            f'{model["precision_reason"]}\n') in output
    assert f'torchscript {model["precision"]}, compared with the' in output
    # fp32 is judged by its own tolerances, but for those given
    tolerance = json.loads(
        (tmp_path /
         'out/hand_pose.json').read_text())['verification']['tolerance']
    assert tolerance['scores'] == (.05 if cpu_bf16 else 1e-4)


def test_bf16_that_the_cpu_lacks_is_one_error(files, tmp_path, monkeypatch):
    monkeypatch.setenv('LGH_MMPOSE_BF16', 'none')
    assert re.fullmatch(
        'error: this CPU has no bf16 instructions, as LGH_MMPOSE_BF16 says, '
        'so .*: leave --precision out, which takes fp32, or export .*',
        assert_one_error(*files, '--precision', 'bf16', cwd=tmp_path))


def test_int8_is_calibrated_and_scored_on_the_whole_test_set(files, tmp_path):
    output = run_script(
        EXPORT,
        *files,
        *('-o', 'out', '--backend', 'onnx', '--precision', 'int8'),
        *('--calibration-samples', 4, '--tolerance-px', 96),
        *('--tolerance-mm', 1000, '--tolerance-scores', 1),
        *('--tolerance-bones', 25, '--tolerance-mpjpe', .5),
        cwd=tmp_path).stdout
    assert 'on 6 samples' in output
    report = json.loads(
        (tmp_path / 'out/hand_pose.json').read_text())['verification']
    assert report['tolerance'] == dict(
        px=96., mm=1000., bones=25., scores=1., mpjpe=.5, judged='p99')
    assert '99 % <= 96' in output and 'at most +50 %' in output
    # it is another network
    assert report['px']['max'] > 1e-3


def test_weights_of_another_network_are_refused(files, tmp_path):
    weights = torch.load(files[1])
    del weights['state_dict']['head.beta']
    torch.save(weights, tmp_path / 'other.pth')
    error = assert_one_error(files[0], 'other.pth', cwd=tmp_path)
    assert error.endswith(
        'other.pth is not one of this config: it lacks weights: head.beta')


def assert_one_error(*arguments, cwd):
    """Export in vain; gives the line that is printed, all there is."""
    result = run_script(
        EXPORT,
        *arguments,
        *('-o', 'out', '--backend', 'torchscript'),
        cwd=cwd,
        check=False)
    assert not (cwd / 'out').exists()
    # the exit code of SystemExit with a text is the text
    assert str(result.returncode).startswith('error: ')
    assert 'Traceback' not in result.stdout
    return result.returncode


@pytest.mark.parametrize('line, message', [
    ('model = dict(backbone=dict(depth=19))', 'invalid depth 19 for resnet'),
    ('model = dict(neck=dict(type="Nek"))', 'Nek is not in the'),
    ('model = dict(', 'cannot read the config'),
    ('model = dict(neck=dict(_delete_=True, type="GlobalAveragePooling"))',
     'GroupedJointHead, got GlobalAveragePooling'),
    ('test_dataloader = dict(dataset=dict(data_root="nowhere"))', 'nowhere'),
    ('test_dataloader = None', 'bad.py has no test_dataloader, which an '),
    ('test_dataloader = dict(dataset=dict(pipeline=_base_.test_dataloader.'
     'dataset.pipeline[:-1]))', 'FreiHand3DDataset have no inputs: let'),
])
def test_what_is_wrong_in_a_config_is_one_error(files, tmp_path, line,
                                                message):
    (tmp_path / 'bad.py').write_text(f'_base_ = [{str(files[0])!r}]\n{line}')
    assert message in assert_one_error('bad.py', files[1], cwd=tmp_path)


def test_int8_needs_a_training_set(files, tmp_path):
    (tmp_path / 'bad.py'
     ).write_text(f'_base_ = [{str(files[0])!r}]\ntrain_dataloader = None')
    result = run_script(
        EXPORT,
        'bad.py',
        files[1],
        *('-o', 'out', '--backend', 'onnx', '--precision', 'int8'),
        cwd=tmp_path,
        check=False)
    assert str(result.returncode).startswith(
        'error: the config bad.py has no train_dataloader, which the calib')


@pytest.mark.parametrize('size, warned', [(128, True), (96, False)])
def test_other_input_size_than_in_training_is_said(files, tmp_path, size,
                                                   warned):
    checkpoint = torch.load(files[1])
    text = toy_config().pretty_text
    assert 'codec' in text and re.search(r'input_size=\(\s*96', text)
    # as mmengine writes it
    checkpoint['meta'] = dict(
        cfg=re.sub(r'(input_size=\(\s*)96(,\s*)96', rf'\g<1>{size}\g<2>{size}',
                   text))
    torch.save(checkpoint, tmp_path / 'other.pth')
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        run_script(
            EXPORT,
            files[0],
            'other.pth',
            *('-o', 'out', '--backend', 'torchscript', '--verify-samples', 1),
            *('--precision', 'fp32'),
            cwd=tmp_path)
    said = [
        str(w.message) for w in said if 'was trained with' in str(w.message)
    ]
    assert len(said) == warned
    if warned:
        assert '128 x 128 px' in said[0] and 'has 96 x 96' in said[0]


def test_config_that_is_not_there(files, tmp_path):
    assert assert_one_error(
        'none.py', files[1],
        cwd=tmp_path) == 'error: config not found: none.py'


def test_pipeline_that_crops_otherwise(files, tmp_path):
    """Is refused, unless one says what the runner is to crop."""
    (tmp_path / 'shifted.py').write_text(
        f'_base_ = [{str(files[0])!r}]\n'
        'pipeline = _base_.test_dataloader.dataset.pipeline\n'
        'pipeline.insert(1, dict(type="RandomBBoxTransform", '
        'rotate_factor=90, rotate_prob=1.))\n'
        'test_dataloader = dict(dataset=dict(pipeline=pipeline))')
    error = assert_one_error('shifted.py', files[1], cwd=tmp_path)
    assert 'RandomBBoxTransform, which inference cannot do' in error
    assert '(--padding)' in error
    output = run_script(
        EXPORT,
        'shifted.py',
        files[1],
        *('-o', 'out', '--backend', 'torchscript', '--padding', 1.5),
        *('--precision', 'fp32'),
        cwd=tmp_path).stdout
    assert 'the crop: not compared with that of the pipeline' in output
    info = json.loads((tmp_path / 'out/hand_pose.json').read_text())
    assert info['crop']['padding'] == 1.5
    assert info['verification']['crop'] is None


@pytest.mark.parametrize('arguments, message', [
    (['--verify-samples', 0], '--verify-samples must be at least 1'),
    (['--out', '.'], '. exists'),
    (['--precision', 'int4'], 'invalid choice'),
    (['--padding', 0], '--padding must be positive'),
    (['--tolerance-px', 'nan'], '--tolerance-px must be finite'),
    (['--tolerance-mm', 'inf'], '--tolerance-mm must be finite'),
    (['--tolerance-mpjpe', -.1], '--tolerance-mpjpe must be finite and not'),
])
def test_bad_arguments_are_named(files, tmp_path, arguments, message):
    result = run_script(
        EXPORT, *files, '-o', 'out', *arguments, cwd=tmp_path, check=False)
    assert result.returncode == 2
    assert message in result.stdout


def test_missing_checkpoint_is_named(files, tmp_path):
    result = run_script(
        EXPORT, files[0], 'none.pth', '-o', 'out', cwd=tmp_path, check=False)
    assert 'checkpoint not found: none.pth' in result.stdout


def test_impossible_combination_is_refused(files, tmp_path):
    assert 'no export to torchscript in fp16 (bf16 is' in assert_one_error(
        *files, '--precision', 'fp16', cwd=tmp_path)
