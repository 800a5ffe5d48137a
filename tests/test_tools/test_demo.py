"""The demo, whole, in a toy size."""
import json
import sys

import pytest
from dataset_writers import write_photos
from helpers import REPO_ROOT, run_command, run_script

from lgh_mmpose.cpu import bf16_instructions, describe_bf16
from lgh_mmpose.fileio import claim


def test_demo_writes_what_it_names(tmp_path):
    # where the demo looks for photographs if no others are given
    write_photos(tmp_path / 'data/photos')
    output = run_command(
        *(sys.executable, REPO_ROOT / 'tools/demo.py', '--work-dir', 'demo'),
        *('--num-train', 96, '--num-eval', 8, '--max-epochs', 1),
        *('--processes', 1),
        cwd=tmp_path).stdout
    summary = json.loads((tmp_path / 'demo/summary.json').read_text())
    for key in ('mean_pose_mpjpe_mm', 'mpjpe_mm', 'pa_mpjpe_mm',
                'seconds_total', 'images_per_second'):
        assert summary[key] > 0
    assert 0 <= summary['auc_0_50'] <= 1
    # the mean pose of hands turned any way, whatever the seed
    assert summary['mean_pose_mpjpe_mm'] == pytest.approx(58, abs=12)
    joints = [name for group in summary['groups'] for name in group]
    assert len(joints) == len(set(joints)) == 21 and 'wrist' in joints
    for name in ('summary.json', 'report.html', 'predictions.png',
                 'training_curve.png', 'selector_matrix.png', 'photos.jpg',
                 'train/epoch_1.pth'):
        assert (tmp_path / 'demo' / name).stat().st_size > 0
        assert f'demo/{name}' in output
    assert f'{summary["mpjpe_mm"]:.1f} mm' in output
    # two batches of 48
    assert summary['train_samples'] == 96
    assert summary['cpu_bf16'] == bf16_instructions()
    page = (tmp_path / 'demo/report.html').read_text()
    for text in (describe_bf16(), '96 samples, 1 epochs of 96'):
        assert text in output and text in page
    assert summary['cpu'] == describe_bf16()
    for label in ('true', 'accepted'):
        photos = summary['photos'][label]
        assert photos['count'] == photos['found'] == 2
        text = f'error {100 * photos["error"]:.1f} % of the hand, median '
        assert text in page and f'photographs, {label} labels' in output
    precision = 'bf16' if summary['cpu_bf16'] else 'fp32'
    assert f'network, one core, {precision} ' in output
    log = (tmp_path / 'demo/train.log').read_text()
    assert 'training in bf16' in log or not summary['cpu_bf16']
    assert 'training in fp32' in log or summary['cpu_bf16']


def test_a_second_one_in_the_same_folder_is_refused(tmp_path):
    (tmp_path / 'work').mkdir()
    with claim(tmp_path / 'work/demo'):
        result = run_script(
            REPO_ROOT / 'tools/demo.py',
            *('--work-dir', 'work'),
            cwd=tmp_path,
            check=False)
    assert str(result.returncode).startswith('error: another run is writing ')
    assert not list((tmp_path / 'work').iterdir())


def test_faulty_photographs_are_named_before_the_work(tmp_path):
    write_photos(tmp_path / 'mine')
    (tmp_path / 'mine/images/2.png').unlink()
    result = run_script(
        REPO_ROOT / 'tools/demo.py',
        *('--work-dir', 'work', '--photos', 'mine'),
        cwd=tmp_path,
        check=False)
    assert 'entry 2 (images/2.png): there is no such image' in str(
        result.returncode)
    (tmp_path / 'mine/images/2.png').write_bytes(b'no picture')
    result = run_script(
        REPO_ROOT / 'tools/demo.py',
        *('--work-dir', 'work', '--photos', 'mine'),
        cwd=tmp_path,
        check=False)
    assert 'images/2.png' in str(result.returncode)
    assert not (tmp_path / 'work').exists()
