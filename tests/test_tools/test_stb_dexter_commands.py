"""STB trained on and Dexter+Object tested on, by their configs."""
import json

import numpy as np
import pytest
import torch
from dataset_writers import write_dexter_object, write_stb
from helpers import REPO_ROOT, run_script

STB = REPO_ROOT / 'configs/lgh_stb.py'
DEXTER = REPO_ROOT / 'configs/lgh_dexter-object.py'
MODEL = ['model.backbone.depth=18', 'model.neck.in_channels=[64,128,256,512]']


def loader_options(*names):
    return [
        f'{name}_dataloader.{option}' for name in names
        for option in ('batch_size=2', 'num_workers=0',
                       'persistent_workers=False')
    ]


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Folder with both data sets and an epoch of training on STB."""
    folder = tmp_path_factory.mktemp('stb_dexter')
    write_stb(
        folder / 'stb',
        [f'B{i}{action}' for i in (1, 2) for action in ('Counting', 'Random')],
        num=1)
    write_dexter_object(folder / 'dexter', num=2)
    state = torch.random.get_rng_state()
    run_script(
        REPO_ROOT / 'tools/train.py',
        STB,
        *('--work-dir', 'work', '--cfg-options', 'data_root=stb', *MODEL),
        *loader_options('train', 'val', 'test'),
        'train_dataloader.dataset.sequences=[B2Counting,B2Random]',
        'train_cfg.max_epochs=1',
        cwd=folder)
    yield folder
    torch.random.set_rng_state(state)


def run_test(folder, config, *options):
    run_script(
        REPO_ROOT / 'tools/test.py',
        config,
        *('work/epoch_1.pth', '--work-dir', 'tested', '--out', 'scores.json'),
        *('--cfg-options', *MODEL, *loader_options('test'), *options),
        cwd=folder)
    return json.loads((folder / 'scores.json').read_text())


def test_stb(trained):
    scores = run_test(trained, STB, 'data_root=stb')
    # aligned at the wrist by STB's protocol, at the middle finger else
    assert {'stb/MPJPE', 'stb/root-AUC_20-50', 'hand/MPJPE'} <= set(scores)
    assert scores['stb/MPJPE'] != scores['hand/MPJPE']
    assert np.isfinite(list(scores.values())).all()


def test_dexter_object(trained):
    scores = run_test(trained, DEXTER, 'data_root=dexter')
    assert {'dexter/EPE', 'dexter/AUC_0-100'} <= set(scores)
    assert np.isfinite(list(scores.values())).all()


def test_distances_follow_the_assumed_bone_length(trained):
    """Twice the bone puts the hand twice as far away, and as large."""
    files = []
    for length in (30, 60):
        files.append(trained / f'{length}.npz')
        run_test(trained, DEXTER, 'data_root=dexter',
                 f'test_dataloader.dataset.bone_length={length}',
                 f'test_evaluator.dump_file={files[-1]}')
    short, long = (np.load(path)['pred_keypoints_cam'] for path in files)
    np.testing.assert_allclose(long, 2 * short, rtol=1e-5)
