"""``make model``, but for its hours, and what it writes of the models."""
import json
import runpy
import shlex
import subprocess
from argparse import ArgumentParser
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from helpers import REPO_ROOT
from mmengine.config import DictAction

from lgh_mmpose.checkpoint import read_checkpoint
from lgh_mmpose.config import load_config, merge_cfg_options
from lgh_mmpose.inference.shipped import shipped_model

FOLDER = REPO_ROOT / '.dev_scripts/models'
ZOO = REPO_ROOT / 'docs/model_zoo'


@pytest.fixture(scope='module')
def steps():
    """The commands of ``make model`` from nothing, as lists of words."""
    text = subprocess.run(
        ['make', '-n', 'model', 'HANDS=no', 'MODELS=none', 'PHOTOS=photos'],
        cwd=REPO_ROOT,
        check=True,
        capture_output=True,
        text=True).stdout
    return [
        shlex.split(line) for line in text.replace('\\\n', ' ').splitlines()
        if '.py' in line
    ]


def of_tool(steps, name):
    return [words for words in steps if any(name in word for word in words)]


def test_the_steps_are_those_of_two_models(steps):
    assert len(of_tool(steps, 'make_studiohand.py')) == 3
    assert len(of_tool(steps, 'tools/train.py')) == 3
    assert len(of_tool(steps, 'export.py')) == 2
    assert 'photos' in steps[-1]


@pytest.mark.parametrize('name, precision', [('hand_pose', 'fp16'),
                                             ('hand_detector', 'fp16')])
def test_the_exports_are_those_that_ship(steps, name, precision):
    words, = of_tool(of_tool(steps, 'export.py'), f'none/{name}/')
    info = json.loads((shipped_model(name) / f'{name}.json').read_text())
    assert words[words.index('--precision') + 1] == precision
    assert info['model']['precision'] == precision
    # the checkpoint of that name, with that threshold
    assert f'none/{name}/{info["checkpoint"]["name"]}' in words
    if name == 'hand_detector':
        assert float(words[words.index('--score-thr') +
                           1]) == info['score_thr']
        assert info['iou_thr'] == load_config(
            REPO_ROOT / 'configs/detection/rtmdet-nano_studiohand.py'
        ).model.test_cfg.iou_thr


def test_the_checkpoint_that_ships_is_that_of_the_export(steps):
    words, = of_tool(steps, 'publish_model.py')
    info = json.loads(
        (shipped_model('hand_pose') / 'hand_pose.json').read_text())
    exported = info['checkpoint']['name']
    assert words[-3:] == [
        f'none/hand_pose/{exported}', 'none/export/hand_pose/hand_pose.pth',
        '--fp16'
    ]
    # after the export, which begins with an empty folder
    export, = of_tool(of_tool(steps, 'export.py'), 'none/hand_pose/')
    assert steps.index(export) < steps.index(words)
    meta = read_checkpoint('lgh_mmpose://hand_pose')['meta']
    assert f'epoch_{meta["epoch"]}.pth' == exported
    assert f'{meta["config"]}.py' == info['config']['name']


def test_the_options_of_the_trainings_are_known(steps):
    for words in of_tool(steps, 'tools/train.py'):
        words = words[words.index('tools/train.py'):]
        parser = ArgumentParser()
        parser.add_argument('config')
        parser.add_argument('--resume', action='store_true')
        parser.add_argument('--work-dir')
        parser.add_argument('--cfg-options', nargs='+', action=DictAction)
        args = parser.parse_args(words[1:])
        assert args.resume and args.work_dir.startswith('none/')
        cfg = load_config(REPO_ROOT / args.config)
        merge_cfg_options(cfg, args.cfg_options)
        assert cfg.train_dataloader.num_workers == 0
        assert not cfg.val_dataloader.persistent_workers


def test_both_sets_of_hands_are_trained_on(steps):
    cfg = load_config(REPO_ROOT / 'configs/lgh_hands_studiohand.py')
    roots = [part.data_root for part in cfg.train_dataloader.dataset.datasets]
    assert roots == ['data/hands/as_taken', 'data/hands/clean']
    assert cfg.val_dataloader.dataset.data_root == roots[0]


@pytest.fixture(scope='module')
def score():
    return SimpleNamespace(**runpy.run_path(str(FOLDER / 'score.py')))


@pytest.mark.parametrize('name', ['hand_pose', 'hand_detector'])
def test_cards_have_the_figures_of_the_json(score, name):
    scores = json.loads((ZOO / 'models.json').read_text())
    make = dict(
        hand_pose=score.pose_tables, hand_detector=score.detector_tables)
    text = (ZOO / f'{name}.md').read_text()
    begin, end = (text.index(mark) for mark in score.MARKS)
    assert text[begin + len(score.MARKS[0]):end].strip() == make[name](scores)


def test_a_card_without_marks_is_named(score, tmp_path):
    card = tmp_path / 'card.md'
    card.write_text('nothing')
    with pytest.raises(SystemExit, match='card.md lacks the marks'):
        score.write_card(card, 'table')
    card.write_text('a\n' + '\nold\n'.join(score.MARKS) + '\nb')
    score.write_card(card, 'table')
    assert card.read_text() == (f'a\n{score.MARKS[0]}\n\ntable\n\n'
                                f'{score.MARKS[1]}\nb')


def test_the_readme_has_the_figures_of_the_pipelines(monkeypatch):
    monkeypatch.syspath_prepend(REPO_ROOT / 'benchmarks')
    pipelines = runpy.run_path(
        str(REPO_ROOT / 'benchmarks/compare_pipelines.py'))
    result = json.loads((ZOO / 'pipelines.json').read_text())
    assert pipelines['table'](result) in (REPO_ROOT / 'README.md').read_text()


def test_wallpapers_are_taken_once(tmp_path):
    module = runpy.run_path(str(FOLDER / 'without_hands.py'))
    folder = tmp_path / 'usr/share/backgrounds'
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in 'ab':
        picture = cv2.resize(
            rng.integers(0, 256, (9, 16, 3), np.uint8), (1600, 900))
        cv2.imwrite(str(folder / f'{name}_large.jpg'), picture)
        cv2.imwrite(
            str(folder / f'{name}_small.jpg'),
            cv2.resize(picture, (1280, 720), interpolation=cv2.INTER_AREA))
        cv2.imwrite(
            str(folder / f'{name}_tiny.jpg'), cv2.resize(picture, (160, 90)))
    (tmp_path / 'other').mkdir()
    cv2.imwrite(str(tmp_path / 'other/c.jpg'), picture[::-1])
    found = [Path(path).name for path in module['find_wallpapers'](tmp_path)]
    assert found == ['a_large.jpg', 'b_large.jpg']
