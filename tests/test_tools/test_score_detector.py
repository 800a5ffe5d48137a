"""From pictures to scores of a detector, by the commands."""
import json

import pytest
import torch
from dataset_writers import write_photos
from detector_models import random_detector, tiny_config
from hand_pictures import write_hand_pictures, write_whole_photos
from helpers import REPO_ROOT, run_script
from mmengine.registry import init_default_scope

SCORE = REPO_ROOT / 'tools/analysis_tools/score_detector.py'
FIGURES = ('recall', 'AP', 'false_per_picture', 'false_share', 'side_right',
           'direction_error', 'curve')


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Pictures, a config that keeps to one process, and an export."""
    folder = tmp_path_factory.mktemp('detector')
    write_hand_pictures(folder / 'data', 8, 4)
    cfg = tiny_config(folder / 'data')
    cfg.train_dataloader.batch_size = 4
    # it changes the memory of this process for good
    cfg.custom_hooks = [
        hook for hook in cfg.custom_hooks if 'KeepMemory' not in hook.type
    ]
    cfg.train_cfg.max_epochs = cfg.max_epochs = 1
    cfg.dump(str(folder / 'tiny.py'))
    torch.save(
        dict(state_dict=random_detector(cfg).state_dict(), meta={}),
        folder / 'random.pth')
    run_script(
        REPO_ROOT / 'tools/deployment/export.py',
        *('tiny.py', 'random.pth', '--out', 'exported'),
        cwd=folder)
    return folder


@pytest.fixture
def mmpose_again():
    """A run of mmdet leaves its scope."""
    yield
    init_default_scope('mmpose')


def score(files, folder, *options, check=True):
    return run_script(
        *(SCORE, folder, '--model', files / 'exported'),
        *('--json', 'scores.json', '--threads', 1, *options),
        cwd=files,
        check=check)


def test_train_resume_test_and_export(files, tmp_path, mmpose_again):
    """As the page on the detector says."""
    tools, work = REPO_ROOT / 'tools', tmp_path / 'work'
    config = files / 'tiny.py'
    output = run_script(
        *(tools / 'train.py', config, '--work-dir', work), cwd=tmp_path).stdout
    assert 'loss_direction' in output and 'hand/AP' in output
    assert (work / 'epoch_1.pth').is_file()
    output = run_script(
        *(tools / 'train.py', config, '--work-dir', work, '--resume'),
        *('--no-amp', '--cfg-options', 'max_epochs=2'),
        cwd=tmp_path).stdout
    assert 'Epoch(train) [2][2/2]' in output.replace('  ', ' ')
    assert 'Epoch(train)  [1]' not in output and 'training in fp32' in output
    output = run_script(
        *(tools / 'test.py', config, work / 'epoch_2.pth'),
        *('--work-dir', work),
        cwd=tmp_path).stdout
    assert 'hand/recall' in output
    output = run_script(
        *(tools / 'deployment/export.py', config, work / 'epoch_2.pth'),
        *('--out', 'exported'),
        cwd=tmp_path).stdout
    assert 'compared with the original on 4 pictures' in output
    checkpoint = torch.load(work / 'epoch_2.pth', weights_only=False)
    described = json.loads(
        (tmp_path / 'exported/hand_detector.json').read_text())
    assert described['checkpoint']['name'] == 'epoch_2.pth'
    # the weights are the moving mean, beside which lie those of the last step
    assert 'ema_state_dict' in checkpoint


def test_figures_of_rendered_pictures_and_photographs(files):
    output = score(files, 'data').stdout
    scores = json.loads((files / 'scores.json').read_text())
    assert list(scores) == ['evaluation']
    assert scores['evaluation']['pictures'] == 4
    assert scores['evaluation']['hands'] == 4
    assert set(FIGURES) <= set(scores['evaluation'])
    assert 'evaluation' in output and 'recall' in output
    photos = files / 'photos'
    write_photos(photos, 4)
    write_whole_photos(photos)
    score(files, 'photos', '--score-thr', .9)
    scores = json.loads((files / 'scores.json').read_text())
    assert list(scores) == ['whole', 'hands']
    assert scores['whole']['score_thr'] == .9


def test_pictures_without_hands_are_counted(files):
    output = score(files, 'data/training', '--without-hands', '--score-thr',
                   .2).stdout
    scores, = json.loads((files / 'scores.json').read_text()).values()
    assert scores['pictures'] == 8 and scores['hands'] == 0
    assert scores['recall'] is None and scores['false_per_picture'] > 0
    rates = [row['false_per_picture'] for row in scores['curve']]
    assert rates == sorted(rates, reverse=True)
    assert 'false/picture' in output


@pytest.mark.parametrize('arguments, message', [
    (['nowhere'], 'nowhere holds neither'),
    (['nowhere', '--without-hands'], 'there is no folder nowhere'),
    (['data', '--score-thr', '2'], '--score-thr must lie'),
    (['data', '--json', 'data/evaluation/images/00000000.jpg'], '--json'),
])
def test_what_is_wrong_is_one_sentence(files, arguments, message):
    result = score(files, *arguments, check=False)
    assert result.returncode
    text = f'{result.stdout}{result.returncode}'
    assert message in text and 'Traceback' not in text
