import json
import os
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import torch
from helpers import REPO_ROOT, full_disk, run_script, start_command
from toy_video import (damage, joints_at, see_squares, squares, turn_track,
                       write_video)

from lgh_mmpose import apis
from lgh_mmpose.inference.command import StopRequest

DEMO = REPO_ROOT / 'demo/hand3d_demo.py'
CONFIG = REPO_ROOT / 'configs/lgh_studiohand.py'
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory):
    from mmpose.apis import init_model
    torch.manual_seed(0)
    model = init_model(str(CONFIG), device='cpu')
    with torch.no_grad():
        model.head.heatmap_layers[-1].weight.mul_(300)
    path = tmp_path_factory.mktemp('demo_weights') / 'random.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return path


@pytest.fixture
def demo(checkpoint, tmp_path):

    def run(*arguments, check=True):
        return run_script(
            DEMO,
            *arguments,
            *('--config', CONFIG, '--checkpoint', checkpoint),
            cwd=tmp_path,
            check=check)

    return run


@pytest.fixture
def film(freihand_root, tmp_path):
    path = tmp_path / 'film.mp4'
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*'mp4v'), 25, (64, 64))
    image = cv2.imread(str(freihand_root / 'training/rgb/00000000.jpg'))
    for _ in range(6):
        writer.write(image)
    writer.release()
    return path


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_folder_as_a_process(freihand_root, checkpoint, tmp_path):
    folder = freihand_root / 'evaluation/rgb'
    command = [
        sys.executable, DEMO, folder, '--config', CONFIG, '--checkpoint',
        checkpoint, '--out-dir', 'out', '--json', '-', '--batch-size', 3
    ]
    result = subprocess.run([str(part) for part in command],
                            cwd=tmp_path,
                            capture_output=True,
                            text=True)
    assert result.returncode == 0, result.stderr
    # each line, with nothing between them, is a frame
    frames = [json.loads(line) for line in result.stdout.splitlines()]
    assert [frame['source'] for frame in frames
            ] == [str(path) for path in sorted(folder.glob('*.jpg'))]
    for frame in frames:
        assert frame['schema'] == apis.SCHEMA and len(frame['hands']) == 1
        name = os.path.basename(frame['source'])
        picture = cv2.imread(str(tmp_path / 'out' / name))
        assert picture.shape == (64, 64, 3)
        assert np.abs(picture -
                      cv2.imread(frame['source']).astype(int)).max() > 60
    # the progress, and each assumption, once
    assert 'metainfo' not in result.stderr
    assert '4/4' in result.stderr and '4 frames, 4 hands' in result.stderr
    for said in ('60 degrees is assumed', '44.6 mm', 'side of each hand'):
        assert result.stderr.count(said) == 1


@pytest.fixture
def phone(freihand_root, tmp_path):
    """A folder of which one file can be read and two cannot."""
    folder = tmp_path / 'phone'
    folder.mkdir()
    (folder / 'a.heic').write_bytes(b'\0\0\0\x18ftypheic\0\0\0\0mif1heic')
    shutil.copy(freihand_root / 'training/rgb/00000000.jpg', folder / 'b.jpg')
    (folder / 'c.png').write_bytes(b'no image')
    return folder


@pytest.mark.parametrize('as_folder', [True, False])
def test_what_cannot_be_read_costs_no_other_result_but_the_exit_code(
        demo, phone, tmp_path, as_folder, caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pi_heif', None)
    inputs = [phone] if as_folder else sorted(phone.iterdir())
    result = demo(
        *inputs, '--json', 'a.jsonl', '--out-dir', 'out', check=False)
    assert result.returncode == 1
    assert [frame['source'] for frame in lines(tmp_path / 'a.jsonl')
            ] == [str(phone / 'b.jpg')]
    assert os.listdir(tmp_path / 'out') == ['b.jpg']
    assert 'a.heic: it is a HEIC picture' in caplog.text
    assert "pip install 'lgh_mmpose[images]'" in caplog.text
    assert 'c.png: it is damaged' in caplog.text


def test_nothing_that_can_be_read_is_one_sentence(demo, phone):
    (phone / 'b.jpg').unlink()
    result = demo(phone, '--json', 'a.jsonl', check=False)
    assert str(result.returncode).startswith(
        'error: none of 2 files can be read, the first since: cannot read ')


def test_a_portrait_film_is_answered_and_written_upright(demo, tmp_path):
    stored, = squares([[(10, 8)]])
    film = write_video(tmp_path / 'portrait.mp4', 4 * [stored])
    turn_track(film, (0, 1, -1, 0))
    demo(film, '--json', 'a.jsonl', '--out-dir', 'out', '--hand-side', 'right',
         '--no-track')
    frames = lines(tmp_path / 'a.jsonl')
    assert len(frames) == 4
    assert {tuple(frame['image_size']) for frame in frames} == {(96, 160)}
    upright = cv2.rotate(stored, cv2.ROTATE_90_CLOCKWISE)
    written = cv2.VideoCapture(str(tmp_path / 'out/portrait.mp4')).read()[1]
    # medians, for a hand is drawn over it
    square = upright[..., 1] > 200
    assert abs(np.median(written[square, 1]) - 230) < 12
    assert abs(np.median(written[~square, 1]) - 90) < 12


def test_a_video_is_followed_and_written(demo, film, tmp_path):
    demo(film, '--out-dir', 'out', '--json', 'f.jsonl', '--smooth', '--fov',
         26, '--bone-length', 40, '--hand-side', 'left')
    frames = lines(tmp_path / 'f.jsonl')
    assert [frame['frame'] for frame in frames] == list(range(6))
    hands = [hand for frame in frames for hand in frame['hands']]
    assert hands and all(hand['track'] is not None for hand in hands)
    assert {hand['hand_side'] for hand in hands} == {'left'}
    assert frames[0]['camera']['source'] == 'fov'
    assert hands[0]['bone_length'] == dict(mm=40., source='given')
    capture = cv2.VideoCapture(str(tmp_path / 'out/film.mp4'))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 6
    assert os.listdir(tmp_path / 'out') == ['film.mp4']


def test_a_detector_finds_both_hands_and_one_that_comes_back(
        demo, tmp_path, monkeypatch):
    detector = see_squares(monkeypatch)
    both, one = [(10, 8), (110, 40)], [(10, 8)]
    write_video(tmp_path / 'a.mp4', squares([both] * 3 + [[]] * 2 + [one] * 2))
    demo('a.mp4', '--detector', 'det.py', 'det.pth', '--det-cat-id', 2,
         '--det-score-thr', .4, '--hand-side', 'right', '--json', 'a.jsonl',
         '--out-dir', 'out')
    assert detector.made == [
        dict(config='det.py', checkpoint='det.pth', cat_id=2, score_thr=.4)
    ]
    frames = lines(tmp_path / 'a.jsonl')
    tracks = [[hand['track'] for hand in f['hands']] for f in frames]
    assert tracks == [[0, 1]] * 3 + [[]] * 2 + [[2]] * 2
    assert detector.searched == [2, 0, 0, 1]
    for frame, corners in ((frames[2], both), (frames[6], one)):
        for hand, corner in zip(frame['hands'], corners):
            np.testing.assert_allclose(
                hand['keypoints'], joints_at(corner), atol=3)
    capture = cv2.VideoCapture(str(tmp_path / 'out/a.mp4'))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 7


def test_a_camera_of_another_resolution_is_said_once(demo, tmp_path, caplog):
    (tmp_path / 'photos').mkdir()
    for name in 'ab':
        cv2.imwrite(
            str(tmp_path / f'photos/{name}.png'),
            np.zeros((108, 192, 3), np.uint8))
    np.savetxt(tmp_path / 'k.txt', [[48, 0, 11], [0, 48, 11], [0, 0, 1]])
    demo('photos', '--camera-matrix', 'k.txt', '--json', 'a.jsonl')
    said, = [r.message for r in caplog.records if 'camera' in r.message]
    assert 'photos/a.png, 192 x 108 px' in said and ' 11 11,' in said


def test_a_webcam_ends_when_it_is_unplugged(demo, film, tmp_path, monkeypatch):
    capture = cv2.VideoCapture  # a film in the place of the camera
    monkeypatch.setattr(
        cv2, 'VideoCapture', lambda index: capture(str(film))
        if index == 1 else capture(index))
    demo('1', '--json', 'w.jsonl', '--out-dir', 'out', '--hand-side', 'right')
    frames = lines(tmp_path / 'w.jsonl')
    # some may be dropped, but none is out of order
    assert frames and {frame['source'] for frame in frames} == {'webcam:1'}
    index = [frame['frame'] for frame in frames]
    assert index == sorted(set(index)) and index[-1] == 5
    assert (tmp_path / 'out/webcam_1.mp4').is_file()


def test_boxes_camera_file_and_standard_output(demo, freihand_root, tmp_path):
    matrix = [[150, 0, 32], [0, 150, 32], [0, 0, 1]]
    (tmp_path / 'k.json').write_text(json.dumps(matrix))
    result = demo(freihand_root / 'training/rgb/00000001.jpg', '--bbox', 4, 4,
                  40, 40, '--bbox', 10, 10, 60, 60, '--camera-matrix',
                  'k.json', '--bone-length', 'none', '--json', '-')
    start = result.stdout.index('{"schema"')  # after the progress bar
    frame, _ = json.JSONDecoder().raw_decode(result.stdout, start)
    assert frame['camera'] == dict(matrix=matrix, source='given')
    assert [hand['bbox'] for hand in frame['hands']] == [[4, 4, 40, 40],
                                                         [10, 10, 60, 60]]
    assert frame['hands'][0]['units'] == 'reference bones'


def test_of_a_damaged_video_what_there_is_and_a_failure(
        demo, tmp_path, caplog):
    film = write_video(tmp_path / 'a.mp4', squares([[(10, 8)]] * 30))
    damage(film)
    result = demo(
        'a.mp4',
        *('--json', 'a.jsonl', '--out-dir', 'out', '--hand-side', 'right'),
        check=False)
    assert result.returncode == 1
    frames = len(lines(tmp_path / 'a.jsonl'))
    assert 0 < frames < 28
    said, = [r.message for r in caplog.records if 'a.mp4' in r.message]
    assert f'has 30 frames, but {frames} can be read' in said
    capture = cv2.VideoCapture(str(tmp_path / 'out/a.mp4'))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == frames


@pytest.mark.parametrize('inputs, out_dir, message', [
    (['other/b.jpg', 'a.jpg'], '.', '--out-dir . is the folder of a.jpg'),
    (['other/b.jpg', '*.jpg'], 'link', '--out-dir link is the folder of'),
    (['a.jpg', 'other'], 'other/', '--out-dir other/ is the folder of'),
    (['linked.jpg'], 'other', '--out-dir other is the folder of linked.jpg'),
    (['a.jpg'], 'a.jpg', 'cannot make the folder --out-dir a.jpg: File exi'),
    (['a.jpg'], 'a.jpg/b', 'cannot make the folder --out-dir a.jpg/b: Not'),
])
def test_a_wrong_out_dir_leaves_the_file_of_an_earlier_run(
        demo, freihand_root, tmp_path, monkeypatch, inputs, out_dir, message):
    monkeypatch.chdir(tmp_path)
    image = (freihand_root / 'training/rgb/00000000.jpg').read_bytes()
    (tmp_path / 'other').mkdir()
    (tmp_path / 'link').symlink_to(tmp_path)
    (tmp_path / 'linked.jpg').symlink_to('other/b.jpg')
    for name in ('a.jpg', 'other/b.jpg'):
        (tmp_path / name).write_bytes(image)
    earlier = tmp_path / 'hands.jsonl'
    earlier.write_text('earlier')
    result = demo(
        *inputs,
        *('--out-dir', out_dir, '--json', earlier, '--batch-size', 1),
        check=False)
    assert f'error: {message}' in str(result.returncode)
    assert earlier.read_text() == 'earlier'


def heed_signals():
    """Signals may be ignored where the tests run, as in the background."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize('number', STOP_SIGNALS)
def test_a_stopped_process_leaves_no_part_of_a_video(checkpoint, tmp_path,
                                                     number):
    write_video(tmp_path / 'a.mp4', squares([[(10, 8)]] * 9999, (32, 32)))
    log = tmp_path / 'log'
    with open(log, 'w') as file:
        process = start_command(
            *(sys.executable, DEMO, 'a.mp4', '--config', CONFIG),
            *('--checkpoint', checkpoint, '--out-dir', 'out'),
            *('--json', '-', '--hand-side', 'right'),
            cwd=tmp_path,
            output=file)
    while log.read_text().count('"hands": [{') < 3:
        assert process.poll() is None, log.read_text()
        time.sleep(.05)
    process.send_signal(number)
    assert process.wait(timeout=60) == 1
    assert log.read_text().rstrip().endswith('stopped')
    assert os.listdir(tmp_path / 'out') == []


@pytest.fixture
def signals_heeded():
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    heed_signals()
    yield
    for number, handler in zip(STOP_SIGNALS, before):
        signal.signal(number, handler)


def test_a_second_signal_does_not_wait_for_the_frame(signals_heeded):
    with StopRequest() as stop:
        assert not stop.made
        signal.raise_signal(signal.SIGINT)
        assert stop.made
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_so(signals_heeded):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        assert not stop.made


def test_lines_of_frames_before_an_error_stay(demo, freihand_root, tmp_path):
    images = sorted((freihand_root / 'training/rgb').glob('*.jpg'))[:2]
    cv2.imwrite(str(tmp_path / 'c.jpg'), np.zeros((8, 8), np.uint8))
    result = demo(
        *images,
        'c.jpg',
        *('--json', 'hands.jsonl', '--batch-size', 1),
        *('--bbox', 20, 20, 50, 50),
        check=False)
    assert 'outside the 8 x 8 px of c.jpg' in str(result.returncode)
    assert [frame['source'] for frame in lines(tmp_path / 'hands.jsonl')
            ] == [str(path) for path in images]


@pytest.mark.parametrize('box, message', [
    ((9, 9, 1, 1), 'left < right'),
    ((90, 90, 99, 99), 'outside the 64 x 64 px'),
])
def test_a_mistake_leaves_the_file_of_an_earlier_run(demo, freihand_root,
                                                     tmp_path, box, message):
    earlier = tmp_path / 'hands.jsonl'
    earlier.write_text('earlier')
    result = demo(
        freihand_root / 'training/rgb/00000000.jpg',
        *('--bbox', *box, '--json', earlier),
        check=False)
    assert message in str(result.returncode)
    assert earlier.read_text() == 'earlier'


@pytest.mark.parametrize('source', ['a.jpg', '.', '*.jpg'])
def test_an_input_is_not_overwritten(demo, freihand_root, tmp_path, source):
    before = (freihand_root / 'training/rgb/00000000.jpg').read_bytes()
    (tmp_path / 'a.jpg').write_bytes(before)
    result = demo(source, '--json', tmp_path / 'a.jpg', check=False)
    assert str(result.returncode).startswith('error: --json ')
    assert 'would overwrite ' in str(result.returncode)
    assert (tmp_path / 'a.jpg').read_bytes() == before


@pytest.mark.parametrize('link', [os.link, os.symlink])
@pytest.mark.parametrize('source', ['a.jpg', '.', '*.jpg'])
def test_an_input_is_not_overwritten_by_another_name(demo, freihand_root,
                                                     tmp_path, link, source):
    before = (freihand_root / 'training/rgb/00000000.jpg').read_bytes()
    (tmp_path / 'a.jpg').write_bytes(before)
    link(tmp_path / 'a.jpg', tmp_path / 'hands.jsonl')
    result = demo(source, '--json', 'hands.jsonl', check=False)
    error = str(result.returncode)
    assert error.startswith('error: --json hands.jsonl would overwrite ')
    assert 'a.jpg' in error
    assert (tmp_path / 'a.jpg').read_bytes() == before


def test_a_link_made_while_it_works_does_no_harm(demo, freihand_root, tmp_path,
                                                 monkeypatch):
    before = (freihand_root / 'training/rgb/00000000.jpg').read_bytes()
    (tmp_path / 'a.jpg').write_bytes(before)
    run = apis.HandPose.run

    def meanwhile(self, *args):
        os.link(tmp_path / 'a.jpg', tmp_path / 'hands.jsonl')
        return run(self, *args)

    monkeypatch.setattr(apis.HandPose, 'run', meanwhile)
    result = demo('a.jpg', '--json', 'hands.jsonl', check=False)
    assert 'would overwrite a.jpg' in str(result.returncode)
    assert (tmp_path / 'a.jpg').read_bytes() == before


def test_two_runs_do_not_write_the_same_lines(demo, freihand_root, tmp_path):
    fcntl = pytest.importorskip('fcntl', reason='Windows has other locks')
    with open(tmp_path / 'hands.jsonl', 'w') as file:
        file.write('of the other run')
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        result = demo(
            freihand_root / 'training/rgb/00000000.jpg',
            *('--json', 'hands.jsonl'),
            check=False)
    assert 'error: another run is writing --json hands.jsonl' in str(
        result.returncode)
    assert (tmp_path / 'hands.jsonl').read_text() == 'of the other run'


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='no /dev/full')
def test_lines_on_a_full_disk_are_an_error(demo, freihand_root):
    result = demo(
        freihand_root / 'training/rgb/00000000.jpg',
        *('--json', '/dev/full'),
        check=False)
    assert result.returncode == \
        'error: cannot write /dev/full: No space left on device'


def test_a_film_on_a_full_disk_is_an_error(demo, tmp_path):
    write_video(tmp_path / 'a.mp4', squares([[(10, 8)]] * 30))
    with full_disk(9000):
        result = demo(
            'a.mp4',
            *('--out-dir', 'out', '--hand-side', 'right'),
            check=False)
    assert 'error: cannot write the video out/a.mp4' in str(result.returncode)
    assert os.listdir(tmp_path / 'out') == []


@pytest.mark.parametrize('name', ['film.mp4', 'raw.dng'])
def test_what_is_no_image_of_a_folder_is_not_overwritten(
        demo, freihand_root, tmp_path, name):
    photo = freihand_root / 'training/rgb/00000000.jpg'
    shutil.copy(photo, tmp_path)
    (tmp_path / name).write_text('before')
    result = demo(tmp_path, '--json', tmp_path / name, check=False)
    assert 'would overwrite ' in str(result.returncode)
    assert (tmp_path / name).read_text() == 'before'


def test_the_weights_are_not_overwritten(demo, checkpoint, freihand_root):
    before = checkpoint.stat().st_mtime_ns
    result = demo(
        freihand_root / 'training/rgb/00000000.jpg',
        *('--json', checkpoint),
        check=False)
    assert 'would overwrite' in str(result.returncode)
    assert checkpoint.stat().st_mtime_ns == before


def test_json_beside_the_images_may_be_written_again(demo, freihand_root,
                                                     tmp_path):
    image = (freihand_root / 'training/rgb/00000000.jpg').read_bytes()
    (tmp_path / 'a.jpg').write_bytes(image)
    for _ in range(2):
        demo('.', '--json', 'hands.jsonl')
    assert len(lines(tmp_path / 'hands.jsonl')) == 1


@pytest.mark.parametrize('arguments, message', [
    (('--show', ), '--show needs a display'),
    (('--json', 'x', '--detector', 'a', 'b'), 'CONFIG CHECKPOINT; give the'),
    (('--json', 'x', '--detector', 'a', '--det-cat-id', 1),
     'detector of mmdet'),
    (('--json', 'x', '--fov', 60, '--camera-matrix', 'k'), 'not allowed with'),
    (('--json', 'x', '--hand-side', 'both'), 'invalid choice'),
    (('--json', 'x', '--bone-length', 'long'), '--bone-length: invalid'),
])
def test_wrong_arguments_are_named(demo, monkeypatch, arguments, message):
    monkeypatch.delenv('DISPLAY', raising=False)
    monkeypatch.delenv('WAYLAND_DISPLAY', raising=False)
    result = demo('x.jpg', *arguments, check=False)
    assert result.returncode == 2 and message in result.stdout


@pytest.mark.parametrize('arguments, message', [
    (('nothing.jpg', ), 'no such file, folder or pattern: nothing.jpg'),
    (('.', '--camera-matrix', 'k.json'), 'no image or video in the folder'),
    (('f.jpg', '--camera-matrix', 'k.json'), 'camera file not found: k.json'),
    (('f.jpg', '--fov', '200'), 'between 1 and 135'),
    (('f.jpg', '--bbox', 9, 9, 1, 1), 'left < right'),
])
def test_wrong_input_is_one_sentence(demo, tmp_path, arguments, message):
    folder = tmp_path / 'f.jpg'
    if 'f.jpg' in arguments:
        cv2.imwrite(str(folder), np.zeros((8, 8, 3), np.uint8))
    result = demo(*arguments, '--json', 'x', check=False)
    assert str(result.returncode).startswith('error: ')
    assert message in str(result.returncode)


@pytest.mark.parametrize('text, message', [
    ('model = dict(\n', 'cannot read the config own.py'),
    ("_base_ = ['nothing.py']\n", 'nothing.py'),
    ('model = undefined\n', "name 'undefined' is not defined"),
    (f'_base_ = [{str(CONFIG)!r}]\nmodel = dict(backbone=dict('
     "_delete_=True, type='NoSuchNet'))\n", 'NoSuchNet is not in the'),
    (f'_base_ = [{str(CONFIG)!r}]\nmodel = dict(neck=dict(colour=1))\n',
     'colour'),
])
def test_a_wrong_config_is_one_sentence(checkpoint, freihand_root, tmp_path,
                                        text, message):
    (tmp_path / 'own.py').write_text(text)
    result = run_script(
        DEMO,
        freihand_root / 'training/rgb/00000000.jpg',
        *('--config', 'own.py', '--checkpoint', checkpoint, '--json', 'x'),
        cwd=tmp_path,
        check=False)
    error = str(result.returncode)
    assert error.startswith('error: ') and len(error.splitlines()) == 1
    assert 'own.py' in error and message in error
