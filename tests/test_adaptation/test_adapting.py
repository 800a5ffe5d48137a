"""Adaptations from end to end, and what they say."""
import json
import shutil
import sys

import numpy as np
import pytest
import torch
from dataset_writers import write_image
from helpers import run_command
from mmpose.utils import register_all_modules

from lgh_mmpose import HandPose, absent_modules, adaptation
from lgh_mmpose.adaptation import adapting, command
from lgh_mmpose.adaptation.adapting import adapt, list_photographs, verdict
from lgh_mmpose.adaptation.labels import read_labels
from lgh_mmpose.checkpoint import read_checkpoint
from lgh_mmpose.datasets.freihand3d import FREIHAND_JOINTS
from lgh_mmpose.geometry.camera import project
from lgh_mmpose.inference.images import read_image
from lgh_mmpose.rendering import write_studiohand

NUM = 12


@pytest.fixture(scope='module')
def photographs(tmp_path_factory):
    """A folder of rendered hands that stand for photographs, to read only,
    and its labels in COCO's format."""
    folder = tmp_path_factory.mktemp('photographs')
    write_studiohand(
        folder / 'data', NUM, 0, seed=5, size=160, fill=(.4, .6), quiet=True)
    source = folder / 'data' / 'training'
    (folder / 'photos').mkdir()
    for i, path in enumerate(sorted((source / 'rgb').iterdir())[:NUM]):
        shutil.copy(path, folder / 'photos' / f'{i:02d}.jpg')
    joints, cameras = (
        np.array(
            json.loads(
                (folder / 'data' / f'training_{name}.json').read_text()))
        for name in ('xyz', 'K'))
    annotations = [
        dict(
            id=i,
            image_id=i,
            category_id=1,
            keypoints=np.column_stack(
                [project(1000 * xyz, camera),
                 np.full(21, 2)]).ravel().tolist())
        for i, (xyz, camera) in enumerate(zip(joints[:NUM], cameras))
    ]
    labels = folder / 'labels.json'
    labels.write_text(
        json.dumps(
            dict(
                images=[
                    dict(id=i, file_name=f'{i:02d}.jpg') for i in range(NUM)
                ],
                annotations=annotations,
                categories=[
                    dict(
                        id=1,
                        name='right_hand',
                        keypoints=list(FREIHAND_JOINTS))
                ])))
    return folder


@pytest.fixture
def small(monkeypatch):
    """Adaptations of few pictures, which leave no trace in this process."""
    register_all_modules()
    monkeypatch.setattr(adapting, '_RENDERED',
                        dict(num_train=12, num_eval=4, size=96, quiet=True))
    monkeypatch.setattr(adapting, 'MIN_HANDS', 2)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    yield
    torch.random.set_rng_state(state)
    torch.set_num_threads(threads)


def test_without_labels(photographs, small, tmp_path):
    (tmp_path / 'work' / 'round_7').mkdir(parents=True)
    report = adapt(
        photographs / 'photos',
        tmp_path / 'mine',
        rounds=2,
        max_epochs=1,
        work_dir=tmp_path / 'work')
    out = tmp_path / 'mine'
    assert sorted(path.name for path in out.iterdir()) == [
        'adaptation.json', 'hand_pose.json', 'hand_pose.onnx', 'hand_pose.pth'
    ]
    assert report == json.loads((out / 'adaptation.json').read_text())
    assert report['photographs'] == NUM and report['labels'] is None
    assert len(report['rounds']) == 2
    # nothing is left of an earlier run but what was rendered
    assert sorted(path.name for path in (tmp_path / 'work').iterdir()) == [
        'rendered', 'round_1', 'round_1_export', 'round_2', 'round_2_export',
        'scores'
    ]
    for figures in report['rounds']:
        assert 0 < figures['learned_from'] <= figures['found'] <= NUM
    assert 'no labels to tell' in report['verdict']

    # the network is another one now, and runs as any other
    image = read_image(str(photographs / 'photos' / '00.jpg'))
    before, = HandPose(detector='shipped')(image)
    after, = HandPose(out, detector='shipped')(image)
    assert len(before.keypoints) == len(after.keypoints) > 0
    difference = np.abs(before.keypoints - after.keypoints).max()
    assert 0 < difference < 40
    shipped = read_checkpoint(adapting.SHIPPED)['state_dict']
    adapted = read_checkpoint(out / 'hand_pose.pth')['state_dict']
    assert set(shipped) == set(adapted)


def test_with_labels_on_all_of_them(photographs, small, tmp_path):
    report = adapt(
        photographs / 'photos',
        tmp_path / 'mine',
        labels=photographs / 'labels.json',
        rounds=1,
        max_epochs=1,
        work_dir=tmp_path / 'work')
    assert report['labelled_hands'] == NUM
    figures = report['labels']
    assert figures['hands'] == NUM // adapting.HELD_OUT
    assert 0 < figures['before'] < .5 and 0 < figures['after'] < .5
    low, high = figures['ratio_interval']
    assert low <= figures['ratio'] <= high
    learned = json.loads(
        (tmp_path / 'work' / 'round_1' / 'labels_right.json').read_text())
    assert len(learned['annotations']) == NUM - NUM // adapting.HELD_OUT
    assert not (tmp_path / 'work' / 'round_1' / 'hands.json').exists()


# -- what it says ------------------------------------------------------------


def outcome(**changes):
    return dict(
        dict(
            rendered=dict(before_mm=15., after_mm=15.5),
            doubt=dict(before=.05, after=.03),
            labelled_hands=0,
            labels=None), **changes)


@pytest.mark.parametrize('interval, text', [
    ((.7, .9), 'It got better: on 30 labelled hands'),
    ((1.1, 1.3), 'It got worse: on 30'),
    ((.8, 1.1), 'Whether it got better cannot be told from so few labels'),
])
def test_the_verdict_is_that_of_the_labels(interval, text):
    labels = dict(
        hands=30, before=.08, after=.07, ratio=.875, ratio_interval=interval)
    sentence = verdict(outcome(labels=labels))
    assert sentence.startswith(text)
    assert '8.0 % of the hand' in sentence and '7.0 % after' in sentence
    assert '15.0 mm before, 15.5 mm after' in sentence


def test_a_few_labels_prove_nothing():
    labels = dict(
        hands=3, before=.08, after=.04, ratio=.5, ratio_interval=(.5, .5))
    assert verdict(outcome(labels=labels)).startswith('Whether it got better')


def test_what_is_held_out_is_not_learned_from(photographs, tmp_path):
    """By whatever name the labels know the photographs."""
    folder = photographs / 'photos'
    (tmp_path / 'link').symlink_to(folder)
    content = json.loads((photographs / 'labels.json').read_text())
    for image in content['images']:
        image['file_name'] = str(folder / image['file_name'])
    content['annotations'] = content['annotations'][:NUM - 2]
    path = tmp_path / 'labels.json'
    path.write_text(json.dumps(content))
    labelled = read_labels(path, tmp_path / 'link')
    run = adapting._Adaptation(
        list_photographs(tmp_path / 'link'), labelled, adapting.SHIPPED,
        tmp_path, tmp_path, 0, 1)
    with_labels = {hand.image for hand in labelled}
    without = {*run.to_learn, *run.to_check}
    assert len(with_labels) == NUM - 2 and len(without) == 2
    assert not with_labels & without
    held = {hand.image for hand in run.labels_to_check}
    # nor with another seed, or in another folder
    names = [f'{i}.jpg' for i in range(50)]
    assert [f'a/{name}' for name in adapting._in_lasting_order(names)
            ] == adapting._in_lasting_order(f'a/{name}'
                                            for name in names[::-1])
    assert held and not held & {hand.image for hand in run.labels_to_learn}


def test_folders_within_are_told_of(photographs, tmp_path, caplog):
    shutil.copytree(photographs / 'photos', tmp_path / 'all')
    (tmp_path / 'all/more').mkdir()
    assert len(list_photographs(tmp_path / 'all')) == NUM
    assert f'1 folder(s) within {tmp_path / "all"} are left out' in caplog.text


def test_without_labels_nothing_is_claimed():
    sentence = verdict(outcome())
    assert sentence.startswith('There are no labels to tell whether it got')
    assert 'no proof' in sentence and '5.0 %' in sentence
    sentence = verdict(outcome(doubt=dict(before=None, after=None)))
    assert 'No hand was found' in sentence
    assert 'too few labels' in verdict(outcome(labelled_hands=4))


# -- bad input ---------------------------------------------------------------


def test_what_is_there_is_not_written_over(photographs, tmp_path):
    (tmp_path / 'mine').mkdir()
    with pytest.raises(FileExistsError, match='mine exists'):
        adapt(photographs / 'photos', tmp_path / 'mine')


def test_folders_without_photographs_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='photos is no folder'):
        list_photographs(tmp_path / 'photos')
    (tmp_path / 'notes.txt').write_text('no picture')
    with pytest.raises(ValueError, match='holds no photograph'):
        list_photographs(tmp_path)


def test_what_is_no_photograph_is_left_out(tmp_path, caplog):
    write_image(tmp_path / 'b.png', (64, 64))
    write_image(tmp_path / 'a.jpg', (64, 64))
    (tmp_path / 'c.jpg').write_bytes(b'no picture')
    for name in ('film.mp4', 'notes.txt'):
        (tmp_path / name).write_text('no picture')
    (tmp_path / 'more.jpg').mkdir()
    assert list_photographs(tmp_path) == [
        str(tmp_path / 'a.jpg'),
        str(tmp_path / 'b.png')
    ]
    told = [record.getMessage() for record in caplog.records]
    assert any('c.jpg is left out' in text for text in told)
    assert not any('film' in text for text in told)


def test_labels_that_do_not_fit_their_photograph_are_named(
        photographs, tmp_path):
    content = json.loads((photographs / 'labels.json').read_text())
    content['annotations'][3]['keypoints'] = [
        1000 + value for value in content['annotations'][3]['keypoints']
    ]
    labels = tmp_path / 'labels.json'
    labels.write_text(json.dumps(content))
    with pytest.raises(ValueError, match='labels.json: the label on .*03.jpg'):
        adapt(photographs / 'photos', tmp_path / 'mine', labels=labels)
    assert sorted(tmp_path.iterdir()) == [labels]


def test_too_few_hands_are_an_error_and_nothing_is_written(tmp_path):
    folder = tmp_path / 'photos'
    for i in range(3):
        write_image(folder / f'{i}.png', (64, 64), seed=i)
    result = run_command(
        sys.executable,
        '-m',
        'lgh_mmpose.adaptation.command',
        folder,
        '-o',
        tmp_path / 'mine',
        '--work-dir',
        tmp_path / 'work',
        cwd=tmp_path,
        check=False)
    assert result.returncode == 1
    errors = [
        line for line in result.stdout.splitlines()
        if line.startswith('error: ')
    ]
    assert len(errors) == 1 and 'at least 20 are needed' in errors[0]
    assert not (tmp_path / 'mine').exists()
    assert not (tmp_path / 'work' / 'rendered').exists()


def test_wrong_options_are_named(tmp_path):
    for options, text in (
        (('--rounds', 0), '--rounds must be at least 1'),
        (('--labels', 'none.json'), 'none.json is missing'),
    ):
        (tmp_path / 'photos').mkdir(exist_ok=True)
        write_image(tmp_path / 'photos' / 'a.png', (64, 64))
        result = run_command(
            sys.executable,
            '-m',
            'lgh_mmpose.adaptation.command',
            'photos',
            '-o',
            'mine',
            *options,
            cwd=tmp_path,
            check=False)
        assert result.returncode and text in result.stdout
        assert 'Traceback' not in result.stdout


def test_a_mistyped_checkpoint_is_told_at_once(photographs, tmp_path):
    with pytest.raises(FileNotFoundError, match='nothing.pth'):
        adapt(
            photographs / 'photos',
            tmp_path / 'mine',
            checkpoint=str(tmp_path / 'nothing.pth'))
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_of_another_network_is_told_at_once(
        photographs, small, tmp_path):
    other = read_checkpoint(adapting.SHIPPED)
    other['state_dict'].pop(next(iter(other['state_dict'])))
    torch.save(other, tmp_path / 'other.pth')
    with pytest.raises(ValueError, match='other.pth is not one of this'):
        adapt(
            photographs / 'photos',
            tmp_path / 'mine',
            checkpoint=str(tmp_path / 'other.pth'),
            work_dir=tmp_path / 'work')
    assert not (tmp_path / 'work').exists()


def test_rendered_hands_must_be_there(photographs, tmp_path):
    write_image(tmp_path / 'empty' / 'a.png', (64, 64))
    # the last one has no hands to be scored on
    for folder in ('nowhere', 'empty', photographs / 'data'):
        with pytest.raises(ValueError, match='is no StudioHand'):
            adapt(
                photographs / 'photos',
                tmp_path / 'mine',
                rendered=tmp_path / folder,
                work_dir=tmp_path / 'work')
    assert not (tmp_path / 'work').exists()


def test_rendered_hands_may_be_any(photographs, small, tmp_path):
    write_studiohand(tmp_path / 'hands', 9, 3, size=96, quiet=True)
    adapt(
        photographs / 'photos',
        tmp_path / 'mine',
        rounds=1,
        max_epochs=1,
        rendered=tmp_path / 'hands',
        work_dir=tmp_path / 'work')
    assert (tmp_path / 'mine' / 'hand_pose.onnx').is_file()
    assert not (tmp_path / 'work' / 'rendered').exists()


def test_without_mmpose_the_command_says_so(monkeypatch):
    module = 'lgh_mmpose.adaptation.command'
    assert absent_modules.why_absent(module) is None
    assert absent_modules.why_absent(
        module.replace('command', 'adapting'), adaptation.__path__)
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(SystemExit, match='this needs mmpose, which is not'):
        command.main(['photos', '-o', 'mine'])
