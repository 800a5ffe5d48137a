"""The network that ships is trained on with one's own hands."""
import re
import sys

import pytest
from helpers import REPO_ROOT, run_command, run_script
from mmengine.config import Config
from mmpose.registry import MODELS

from lgh_mmpose.checkpoint import load_weights

CONFIG = REPO_ROOT / 'configs/lgh_finetune_own-data.py'
SHIPPED = REPO_ROOT / 'configs/lgh_hands_studiohand.py'


def test_it_is_the_network_that_ships():
    """The same layers and crops; of the data and the training little is."""
    cfg, shipped = Config.fromfile(CONFIG), Config.fromfile(SHIPPED)
    shipped.model.backbone.init_cfg = None  # its weights have been trained on
    assert cfg.model == shipped.model
    for phase in ('train', 'val'):
        assert cfg[f'{phase}_pipeline'] == shipped[f'{phase}_pipeline']
        dataset = cfg[f'{phase}_dataloader'].dataset
        assert dataset.pipeline == cfg[f'{phase}_pipeline']
        assert dataset.type == 'Hand3DJsonDataset'
        assert dataset.data_root == cfg.data_root
    load_weights(MODELS.build(cfg.model), cfg.load_from)


def test_its_groups_stay_as_sharp_as_they_are():
    cfg, shipped = Config.fromfile(CONFIG), Config.fromfile(SHIPPED)
    before, after = (
        next(hook for hook in config.custom_hooks
             if hook.type == 'ConcreteTemperatureHook')
        for config in (shipped, cfg))
    assert after.start == before.end
    assert [hook.type for hook in cfg.custom_hooks
            ] == [hook.type for hook in shipped.custom_hooks]


@pytest.fixture(scope='module')
def folder(studiohand_root, tmp_path_factory):
    """One's own hands, which are rendered: 12 and 6."""
    folder = tmp_path_factory.mktemp('own')
    run_script(
        REPO_ROOT / 'tools/dataset_converters/convert_hand3d.py',
        *(REPO_ROOT / 'configs/lgh_studiohand.py', 'own', '--layout', 'json',
          '--cfg-options', f'data_root={studiohand_root}'),
        cwd=folder)
    return folder


def test_a_training_begins_with_what_is_known(folder):
    """In a process; after its two steps from nothing the error is 55 mm."""
    output = run_command(
        *(sys.executable, REPO_ROOT / 'tools/train.py', CONFIG),
        *('--work-dir', 'work', '--cfg-options', 'data_root=own'),
        *(f'{loader}_dataloader.{option}' for loader in ('train', 'val')
          for option in ('num_workers=0', 'persistent_workers=False')),
        *('train_dataloader.batch_size=6', 'max_epochs=1',
          'model.test_cfg.root_depth=given'),
        cwd=folder).stdout
    assert 'lgh_mmpose://hand_pose' in output
    assert float(re.search(r'hand/MPJPE: ([\d.]+)', output)[1]) < 25
    assert (folder / 'work/epoch_1.pth').is_file()
