"""tools/deployment/export.py on rendered hands."""
import json
import sys

import pytest
import torch
from deploy_models import write_toy_files
from helpers import REPO_ROOT, run_command, run_script

EXPORT = REPO_ROOT / 'tools/deployment/export.py'


@pytest.fixture(scope='module')
def files(synthhand_root, tmp_path_factory):
    return write_toy_files(tmp_path_factory.mktemp('toy'), synthhand_root)


def test_exports_and_prints_the_differences(files, synthhand_root, tmp_path):
    output = run_command(
        *(sys.executable, EXPORT, *files, '-o', 'out'),
        *('--backend', 'openvino', '--verify-samples', 4),
        *('--data-root', synthhand_root),
        cwd=tmp_path).stdout
    assert 'openvino fp32, compared with the original on 4 samples' in output
    assert 'MPJPE' in output and 'written to out' in output
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'hand_pose.bin', 'hand_pose.json', 'hand_pose.xml',
        'hand_pose_runner.py'
    ]
    info = json.loads((tmp_path / 'out/hand_pose.json').read_text())
    # nothing of the machine that made it
    assert str(tmp_path.parent) not in json.dumps(info)
    assert info['config']['name'] == 'toy.py'
    assert info['checkpoint']['name'] == 'toy.pth'
    # the pipeline of the test set
    assert info['crop'] == dict(padding=1.0, use_udp=False, hand_side='right')
    assert info['verification']['num_samples'] == 4


def test_int8_is_calibrated_and_scored_on_the_whole_test_set(files, tmp_path):
    output = run_script(
        EXPORT,
        *files,
        *('-o', 'out', '--backend', 'onnx', '--precision', 'int8'),
        *('--calibration-samples', 4, '--tolerance-px', 96),
        *('--tolerance-mm', 1000, '--tolerance-scores', 1),
        *('--tolerance-mpjpe', .5),
        cwd=tmp_path).stdout
    assert 'on 6 samples' in output
    report = json.loads(
        (tmp_path / 'out/hand_pose.json').read_text())['verification']
    assert report['tolerance'] == dict(
        px=96., mm=1000., scores=1., mpjpe=.5, judged='p99')
    assert '99 % <= 96' in output and 'at most +50 %' in output
    # it is another network
    assert report['px']['max'] > 1e-3


def test_weights_of_another_network_are_refused(files, tmp_path):
    weights = torch.load(files[1])
    del weights['state_dict']['head.beta']
    torch.save(weights, tmp_path / 'other.pth')
    with pytest.raises(RuntimeError, match='head.beta'):
        run_script(
            EXPORT,
            files[0],
            tmp_path / 'other.pth',
            *('-o', 'out', '--backend', 'torchscript'),
            cwd=tmp_path)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('arguments, message', [
    (['--verify-samples', 0], '--verify-samples must be at least 1'),
    (['--out', '.'], '. exists'),
    (['--precision', 'int4'], 'invalid choice'),
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
    with pytest.raises(ValueError, match='possible are onnx: fp32, int8'):
        run_script(
            EXPORT,
            *files,
            *('-o', 'out', '--backend', 'onnx', '--precision', 'fp16'),
            cwd=tmp_path)
