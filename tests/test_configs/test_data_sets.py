"""The data sets' configs: one base, and in each file what is its own."""
import shutil

import pytest
from helpers import REPO_ROOT
from mmengine.config import Config

DATASETS = REPO_ROOT / 'configs/_base_/datasets'
NAMES = sorted(path.stem for path in DATASETS.glob('*.py'))
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def loaders(cfg):
    return [cfg[name] for name in LOADERS if cfg.get(name)]


@pytest.fixture
def changed(tmp_path):
    """The configs with other values in the base of all."""
    folder = shutil.copytree(DATASETS, tmp_path / 'datasets')
    base = folder / 'hand3d.py'
    text = base.read_text()
    for old, new in (("root_joint='middle_finger1'", "root_joint='wrist'"),
                     ("meta_keys = ('id',", "meta_keys = ('id', 'more',"),
                     ('num_workers=2', 'num_workers=5')):
        assert old in text
        text = text.replace(old, new)
    base.write_text(text)
    return folder


@pytest.mark.parametrize('name', NAMES)
def test_a_change_of_the_base_reaches_every_data_set(name, changed):
    cfg = Config.fromfile(changed / f'{name}.py')
    assert cfg.codec.root_joint == 'wrist'
    assert loaders(cfg)
    for loader in loaders(cfg):
        assert loader.num_workers == 5
        steps = {step.type: step for step in loader.dataset.pipeline}
        assert steps['PackHandInputs'].meta_keys[:2] == ('id', 'more')
        if 'GenerateTarget' in steps:
            assert steps['GenerateTarget'].encoder == cfg.codec


@pytest.mark.parametrize('name', NAMES)
def test_variables_are_what_is_run(name):
    cfg = Config.fromfile(DATASETS / f'{name}.py')
    for loader in LOADERS:
        if cfg.get(loader):
            variable = ('train' if loader[:5] == 'train' else 'val')
            assert cfg[loader].dataset.pipeline == cfg[f'{variable}_pipeline']
            if 'data_root' in cfg:
                assert cfg[loader].dataset.data_root == cfg.data_root


@pytest.mark.parametrize('name, padding, scale', [
    ('freihand3d', 1., (.7, 1.1)),
    ('studiohand3d', 1., (.75, 1.2)),
    ('rhd3d', 1.5, (.8, 1.25)),
    ('stb3d', 1.25, (.8, 1.25)),
    ('hand3d_json', 1.25, (.8, 1.25)),
    ('dexter_object3d', 1.8, None),
])  # yapf: disable
def test_boxes_are_the_data_sets_own(name, padding, scale):
    cfg = Config.fromfile(DATASETS / f'{name}.py')
    for loader in loaders(cfg):
        assert loader.dataset.pipeline[0] == dict(
            type='GetBBoxCenterScale', padding=padding)
    if scale is not None:
        assert cfg.train_dataloader.dataset.pipeline[1].scale_factor == scale


def test_dexter_object_is_to_test_only():
    """Its images have no root's depth, so it is not asked for either."""
    cfg = Config.fromfile(REPO_ROOT / 'configs/lgh_dexter-object.py')
    for stage in ('train', 'val'):
        assert cfg.get(f'{stage}_dataloader') is None
        assert cfg.get(f'{stage}_cfg') is None
    assert cfg.get('val_evaluator') is None
    packed = cfg.test_dataloader.dataset.pipeline[-1].meta_keys
    assert 'bone_length' in packed and 'root_depth' not in packed
