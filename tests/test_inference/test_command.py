"""What the options of ``lgh-hands`` do, on a network that costs nothing."""
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import write_toy_detector, write_toy_export

from lgh_mmpose.inference import arguments as network_arguments
from lgh_mmpose.inference import command
from lgh_mmpose.inference.drawing import draw_hands
from lgh_mmpose.inference.pipeline import HandPose
from lgh_mmpose.inference.tracking import Smoothing


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the command runs: an export, three photos, a film of three."""
    generator = np.random.default_rng(0)
    export = write_toy_export(tmp_path / 'exported',
                              generator.uniform(4, 60, (21, 2)))
    info = json.loads((export / 'hand_pose.json').read_text())
    info['joint_groups'] = [0, 1, 2] * 7
    (export / 'hand_pose.json').write_text(json.dumps(info))
    (tmp_path / 'photos').mkdir()
    film = cv2.VideoWriter(
        str(tmp_path / 'film.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 25,
        (96, 80))
    for name in 'abc':
        image = np.full((80, 96, 3), 120, np.uint8)
        cv2.imwrite(str(tmp_path / f'photos/{name}.png'), image)
        film.write(image)
    film.release()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    command.main([*map(str, arguments), '--model', 'exported'])


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_answers_have_a_place_if_none_is_named(folder, capsys):
    run('photos/a.png')
    run('photos/b.png')  # leaves the first one's answers
    run('photos')
    run('photos/a.png', 'photos/b.png')
    for name, number in (('a', 1), ('b', 1), ('photos', 3), ('hands', 2)):
        assert len(lines(folder / f'hands/{name}.jsonl')) == number
    assert sorted(path.name for path in (folder / 'hands').glob('*.jpg')) == [
        'a.jpg', 'b.jpg', 'c.jpg'
    ]
    text = capsys.readouterr().err
    assert 'pictures: hands\nnumbers: hands/a.jsonl\n' in text


def test_answers_to_this_folder_have_its_name(folder, monkeypatch):
    monkeypatch.chdir(folder / 'photos')
    command.main(['.', '--model', str(folder / 'exported')])
    assert len(lines(folder / 'photos/hands/photos.jsonl')) == 3


def test_one_place_is_enough(folder, capsys):
    run('photos/a.png', '--json', 'a.jsonl')
    assert not (folder / 'hands').exists()
    text = capsys.readouterr().err
    assert 'numbers: a.jsonl' in text and 'pictures' not in text


def test_a_threshold_holds_for_any_detector(folder):
    write_toy_detector(folder / 'detector', [10., 20., 40., 60.])
    for threshold, number in ((.97, 0), (.5, 1)):  # it is sure by 0.95
        run('photos/a.png', '--detector', 'detector', '--det-score-thr',
            threshold, '--json', 'a.jsonl')
        frame, = lines(folder / 'a.jsonl')
        assert len(frame['hands']) == number


@pytest.mark.parametrize('arguments, message', [
    (('--detector', 'none', '--det-score-thr', .5), 'there is none'),
    (('--det-score-thr', .5), 'there is none'),
    (('--detector', 'detector', '--det-score-thr', 1.5), 'in 0 to 1'),
    (('--detector', 'detector', '--det-cat-id', 1), 'detector of mmdet'),
])
def test_a_threshold_of_nothing_is_refused(folder, capsys, arguments, message):
    with pytest.raises(SystemExit):
        run('photos/a.png', '--json', 'a.jsonl', *arguments)
    assert message in capsys.readouterr().err


USUAL = dict(
    device='cpu',
    num_threads=None,
    detector='auto',
    camera_matrix=None,
    fov=None,
    bone_length=None,
    hand_side='auto',
    batch_size=8,
    bbox_padding=None,
    hand_thr=None,
    track=True,
    smoothing=None)


@pytest.mark.parametrize('arguments, changed', [
    ([], {}),
    (['--threads', 1], dict(num_threads=1)),
    (['--fov', 50], dict(fov=50)),
    (['--bone-length', 41.5], dict(bone_length=41.5)),
    (['--bone-length', 'none'], dict(bone_length='none')),
    (['--hand-side', 'left'], dict(hand_side='left')),
    (['--batch-size', 3], dict(batch_size=3)),
    (['--bbox-padding', 1.75], dict(bbox_padding=1.75)),
    (['--hand-thr', .3], dict(hand_thr=.3)),
    (['--no-track'], dict(track=False)),
    (['--smooth'], dict(smoothing=Smoothing())),
    (['--detector', 'none'], dict(detector=None)),
    (['--detector', 'found'], dict(detector='found')),
])
def test_each_option_reaches_the_pipeline(folder, monkeypatch, arguments,
                                          changed):
    made = []

    class Noted(HandPose):

        def __init__(self, model, checkpoint, **options):
            made.append((model, checkpoint, options))
            super().__init__(model, checkpoint, **options)

    monkeypatch.setattr(network_arguments, 'HandPose', Noted)
    write_toy_detector(folder / 'found', [10, 10, 50, 50])
    run('photos/a.png', '--json', 'a.jsonl', *arguments)
    assert made == [('exported', None, dict(USUAL, **changed))]
    assert len(lines(folder / 'a.jsonl')) == 1


def test_the_device_is_that_of_a_config_and_a_detector(folder, monkeypatch):
    asked = []

    class Asked(Exception):
        pass

    def open_detector(config, checkpoint, device, **options):
        asked.append((config, checkpoint, device, options))
        return 'the detector'

    def open_pipeline(model, checkpoint, **options):
        asked.append(
            (model, checkpoint, options['device'], options['detector']))
        raise Asked

    monkeypatch.setattr('lgh_mmpose.inference.backends.mmdet.HandDetector',
                        open_detector)
    monkeypatch.setattr(network_arguments, 'HandPose', open_pipeline)
    (folder / 'net.py').write_text('')
    with pytest.raises(Asked):
        command.main([
            'photos', '--json', 'a.jsonl', '--config', 'net.py',
            '--checkpoint', 'net.pth', '--device', 'cuda:3', '--detector',
            'det.py', 'det.pth', '--det-cat-id', '2', '--det-score-thr', '.4'
        ])
    assert asked == [('det.py', 'det.pth', 'cuda:3',
                      dict(cat_id=2, score_thr=.4)),
                     ('net.py', 'net.pth', 'cuda:3', 'the detector')]


def test_no_track_takes_each_frame_for_itself(folder):
    boxes = ('--bbox', 10, 10, 80, 70, '--bone-length', 'none')
    for options, tracks in (((), [0, 0, 0]), (('--no-track', ), [None] * 3)):
        run('film.mp4', '--json', 'a.jsonl', *boxes, *options)
        frames = lines(folder / 'a.jsonl')
        assert [hand['track'] for frame in frames
                for hand in frame['hands']] == tracks
    assert [frame['hands'][0]['bbox']
            for frame in frames] == [[10, 10, 80, 70]] * 3


@pytest.mark.parametrize('color_by', ['finger', 'group'])
def test_pictures_have_the_colours_that_are_asked_for(folder, color_by):
    run('photos', '--out-dir', 'out', '--json', 'a.jsonl', '--color-by',
        color_by)
    frames = lines(folder / 'a.jsonl')
    assert len(frames) == 3
    for frame in frames:
        image = cv2.imread(frame['source'])
        written = cv2.imread(f'out/{Path(frame["source"]).stem}.jpg')
        # what JPEG leaves of them
        off = {
            kind:
            np.abs(
                draw_hands(image, frame, color_by=kind) -
                written.astype(int)).mean()
            for kind in ('finger', 'group')
        }
        assert min(off, key=off.get) == color_by
        assert max(off.values()) > 1.5 * off[color_by]


@pytest.fixture
def window(monkeypatch):
    """Stands in for OpenCV's windows; keys are pressed from a list."""
    monkeypatch.setenv('DISPLAY', ':0')
    keys, waits = [], []
    monkeypatch.setattr(cv2, 'imshow', lambda name, picture: None)

    def wait(milliseconds):
        waits.append(milliseconds)
        return keys.pop(0) if keys else -1

    monkeypatch.setattr(cv2, 'waitKey', wait)
    return keys, waits


@pytest.mark.parametrize('key', [ord('q'), 27, 0x100000 | 27])
def test_a_key_ends_the_show(folder, window, key):
    keys, waits = window
    keys += [ord('x'), key]
    run('photos', '--show', '--json', 'a.jsonl')
    assert len(lines(folder / 'a.jsonl')) == 2
    # a photo stays until a key is pressed
    assert waits == [0, 0]


def test_a_film_does_not_wait_for_a_key(folder, window):
    run('film.mp4', '--show')
    assert window[1] == [1, 1, 1]


def test_an_export_has_its_weights(folder, capsys):
    with pytest.raises(SystemExit):
        run('photos', '--json', 'a.jsonl', '--checkpoint', 'net.pth')
    assert '--checkpoint belongs to --config' in capsys.readouterr().err
    assert not (folder / 'a.jsonl').exists()
