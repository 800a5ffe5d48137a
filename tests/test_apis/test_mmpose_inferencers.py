import shutil

import numpy as np
import pytest
import torch
import yaml
from helpers import REPO_ROOT
from mmengine.config import Config
from mmengine.infer import BaseInferencer

from lgh_mmpose.apis import mmpose_inferencers
from lgh_mmpose.geometry.camera import project
from lgh_mmpose.inference.shipped import shipped_checkpoint
from lgh_mmpose.rendering import SceneGenerator

# after lgh_mmpose, which makes it importable under mmcv-lite
from mmpose.apis import MMPoseInferencer, init_model  # isort: skip
from mmpose.apis.inferencers import Pose2DInferencer  # isort: skip
from mmpose.apis.inferencers.utils import get_model_aliases  # isort: skip

CONFIG = REPO_ROOT / 'configs/lgh_hands_studiohand.py'


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    model = init_model(str(CONFIG), device='cpu')
    path = tmp_path_factory.mktemp('weights') / 'random.pth'
    meta = dict(dataset_meta=model.dataset_meta)
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return path


@pytest.fixture
def metafile(tmp_path, monkeypatch):
    """Writes weights into a copy of our metafile."""
    shutil.copytree(REPO_ROOT / 'configs', tmp_path / 'configs')
    shutil.copy(REPO_ROOT / 'model-index.yml', tmp_path)
    monkeypatch.setattr(mmpose_inferencers, '_root', lambda: str(tmp_path))

    def write(weights):
        path = tmp_path / 'configs/metafile.yml'
        index = yaml.safe_load(path.read_text())
        for model in index['Models']:
            if 'lgh-hand' in model.get('Alias', []):
                model['Weights'] = weights
        path.write_text(yaml.safe_dump(index))

    return write


def by_name(name, **kwargs):
    return MMPoseInferencer(
        name, det_model='whole_image', device='cpu', **kwargs)


def assert_is(inferencer, checkpoint, config=CONFIG):
    """The inferencer's model has the config and the weights."""
    pose2d = inferencer.inferencer
    assert pose2d.cfg.model == Config.fromfile(config).model
    found = pose2d.model.state_dict()
    wanted = torch.load(checkpoint)['state_dict']
    assert found.keys() == wanted.keys()
    assert all(
        torch.equal(found[key], wanted[key].to(found[key])) for key in wanted)


@pytest.mark.parametrize('name',
                         ['lgh-hand', 'LGH-Hand', 'lgh_hands_studiohand'])
def test_a_name_finds_config_beside_given_weights(name, checkpoint):
    assert_is(by_name(name, pose2d_weights=str(checkpoint)), checkpoint)


def test_a_name_gives_what_its_config_gives(checkpoint, freihand_root):
    file = str(freihand_root / 'training/rgb/00000000.jpg')
    name, path = (
        next(by_name(model, pose2d_weights=str(checkpoint))(file))
        for model in ('lgh-hand', str(CONFIG)))
    assert name['predictions'] == path['predictions']


def test_another_name_finds_its_own_config(tmp_path):
    config = REPO_ROOT / 'configs/lgh_studiohand.py'
    path = tmp_path / 'random.pth'
    torch.save(init_model(str(config), device='cpu').state_dict(), path)
    inferencer = by_name('lgh_studiohand', pose2d_weights=str(path))
    assert inferencer.inferencer.cfg.model == Config.fromfile(config).model


def test_a_name_alone_finds_joints_with_what_ships(tmp_path):
    """In a picture that the hand fills, pointing up."""
    scenes = SceneGenerator(
        seed=5, size=160, split='evaluation', difficulty='easy')
    scene = scenes.sample(0, fill=(.8, .9))
    inferencer = MMPoseInferencer('lgh-hand', device='cpu')
    assert_is(inferencer, shipped_checkpoint('hand_pose'))
    assert inferencer.inferencer.detector is None  # none of the web
    result = next(
        inferencer(
            np.ascontiguousarray(scene.image[..., ::-1]),
            out_dir=str(tmp_path)))
    (hand, ), = result['predictions']
    truth = project(scene.keypoints_cam[0], scene.camera_matrix)
    error = np.linalg.norm(hand['keypoints'] - truth, axis=1).mean()
    assert error < .1 * np.ptp(truth, axis=0).max()
    assert list(tmp_path.glob('visualizations/*.jpg'))


@pytest.mark.parametrize('as_list', [True, False])
def test_weights_of_the_package(as_list, metafile, checkpoint, monkeypatch):
    monkeypatch.setattr('lgh_mmpose.checkpoint.shipped_checkpoint',
                        dict(one=checkpoint).get)
    metafile(['lgh_mmpose://one'] if as_list else 'lgh_mmpose://one')
    assert_is(by_name('lgh-hand'), checkpoint)


def test_weights_at_a_url(metafile, checkpoint, monkeypatch):
    metafile('https://example.org/hand.pth')
    asked = []

    def load_url(url, **kwargs):
        asked.append(url)
        return torch.load(checkpoint)

    monkeypatch.setattr('mmengine.runner.checkpoint.load_url', load_url)
    assert_is(by_name('lgh-hand'), checkpoint)
    assert asked == ['https://example.org/hand.pth']


def test_given_weights_win(metafile, checkpoint):
    metafile('lgh_mmpose://missing')
    assert_is(by_name('lgh-hand', pose2d_weights=str(checkpoint)), checkpoint)


def test_missing_weights_are_named(metafile):
    metafile('lgh_mmpose://missing')
    with pytest.raises(
            FileNotFoundError, match='no checkpoint lgh_mmpose://missing'):
        by_name('lgh-hand')


@pytest.mark.parametrize('name', ['lgh-hand', 'lgh_freihand'])
def test_a_name_without_weights_is_never_random(name, metafile):
    metafile(None)
    with pytest.raises(ValueError, match='no weights for .* pose2d_weights='):
        by_name(name)


def test_an_unknown_name_of_ours_gives_the_list():
    with pytest.raises(ValueError, match='no model lgh-foot.*lgh-hand'):
        by_name('lgh-foot')


@pytest.mark.parametrize('name', ['foot', 'lgh_foot.py', 'x' * 5000])
def test_other_unknown_names_are_left_to_mmpose(name):
    with pytest.raises(ValueError, match='Cannot find model: .* in mmpose'):
        by_name(name)


@pytest.mark.parametrize(
    'name', ['hand', 'td-hm_hrnetv2-w18_8xb64-210e_'
             'rhd2d-256x256'])
def test_names_of_mmpose_are_its_own(name, monkeypatch):
    asked = {}

    def init(self, cfg, weights, device):
        asked.update(weights=weights, head=cfg.model.head.type)
        raise KeyboardInterrupt

    monkeypatch.setattr(Pose2DInferencer, '_init_model', init)
    with pytest.raises(KeyboardInterrupt):
        by_name(name)
    assert asked['weights'].startswith('https://download.openmmlab.com')
    assert asked['head'] in ('RTMCCHead', 'HeatmapHead')


def test_a_file_comes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'lgh-hand').write_text('not a config')
    with pytest.raises(OSError, match='py/yml/yaml/json'):
        by_name('lgh-hand')


@pytest.mark.parametrize('kwargs', [{}, dict(pose3d_weights='x.pth')])
def test_3d_inferencers_refuse_names(kwargs):
    with pytest.raises(ValueError, match='use lgh_mmpose.HandPose'):
        MMPoseInferencer(pose3d='lgh-hand', device='cpu', **kwargs)


def test_names_are_listed_and_none_is_one_of_mmposes():
    ours = BaseInferencer.list_models('lgh_mmpose')
    assert {'lgh-hand', 'lgh_hands_studiohand', 'lgh_studiohand'} <= set(ours)
    assert len(set(ours)) == len(ours)
    assert not set(ours) & set(BaseInferencer.list_models('mmpose'))
    assert get_model_aliases('lgh_mmpose') == {
        'lgh-hand': 'lgh_hands_studiohand'
    }


def test_adapting_again_changes_nothing():
    before = Pose2DInferencer.__mro__[1].__init__
    mmpose_inferencers.adapt_mmpose_inferencers()
    assert Pose2DInferencer.__mro__[1].__init__ is before
