"""RHD's path from nothing to scores, as a user walks it, in a toy size."""
import json
import sys

import pytest
from helpers import REPO_ROOT, run_command

TRAIN = REPO_ROOT / 'tools/train.py'
TEST = REPO_ROOT / 'tools/test.py'
TOY_NET = ('model.backbone.depth=18', 'model.backbone.frozen_stages=-1',
           'model.neck.in_channels=[64,128,256,512]')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with 5 + 3 images in RHD's layout in ``rhd``."""
    folder = tmp_path_factory.mktemp('rhd')
    result = run_command(
        *(sys.executable,
          REPO_ROOT / 'tools/dataset_converters/make_studiohand.py', 'rhd'),
        *('--layout', 'rhd', '--num-train', 5, '--num-eval', 3),
        cwd=folder)
    assert '5 training and 3 evaluation images' in result.stdout
    assert 'StudioHand: 8/8' in result.stdout
    # depth maps are made when asked for
    assert {path.name
            for path in (folder / 'rhd/training').iterdir()
            } == {'anno_training.pickle', 'color', 'mask'}
    return folder


@pytest.fixture(scope='module')
def checkpoint(folder):
    run_command(
        *(sys.executable, TRAIN, REPO_ROOT / 'configs/lgh_rhd.py'),
        *('--work-dir', 'work', '--cfg-options', 'data_root=rhd', *TOY_NET),
        *('train_cfg.max_epochs=1', 'train_dataloader.batch_size=2'),
        *('train_dataloader.dataset.both_hands=True',
          'train_dataloader.dataset.min_joints_in_sight=1'),
        cwd=folder)
    return folder / 'work/epoch_1.pth'


def scores(folder, checkpoint, *options):
    run_command(
        *(sys.executable, TEST, REPO_ROOT / 'configs/lgh_rhd.py', checkpoint),
        *('--out', 'scores.json', '--cfg-options', 'data_root=rhd'),
        *(*TOY_NET, *options),
        cwd=folder)
    return json.loads((folder / 'scores.json').read_text())


def test_rhd_trains_and_tests(folder, checkpoint):
    found = scores(folder, checkpoint)
    # the root's depth is given, so the error in camera space is bounded too
    assert 0 < found['rhd/EPE'] < 1000
    assert 0 < found['hand/PA-MPJPE'] < 200
    assert 0 <= found['rhd/AUC_20-50'] <= 1
