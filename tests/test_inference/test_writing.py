import io
import json
import os
import threading

import cv2
import numpy as np
import pytest
from helpers import full_disk

from lgh_mmpose.apis import Frame, JsonLinesWriter, PictureWriter


def image(value, size=(48, 64)):
    return np.full((*size, 3), value, np.uint8)


def film(value, index, name='film.avi'):
    return Frame(f'in/{name}', index, index / 25, image(value), 25)


def no_drawing(picture, _):
    return picture


def levels(path):
    capture = cv2.VideoCapture(str(path))
    assert capture.isOpened()
    found = []
    while True:
        got, frame = capture.read()
        if not got:
            return found
        found.append(frame.mean())


def test_lines_are_written_at_once():
    file = io.StringIO()
    writer = JsonLinesWriter(file)
    for i in range(3):
        writer.write(dict(frame=i))
        lines = file.getvalue().splitlines()
        assert [json.loads(line)['frame']
                for line in lines] == list(range(i + 1))
    with pytest.raises(ValueError):
        writer.write(dict(z=float('nan')))
    assert len(file.getvalue().splitlines()) == 3


def test_images_get_names_of_their_own(tmp_path):
    with PictureWriter(tmp_path / 'out', no_drawing) as writer:
        for i, source in enumerate(
            ['a/x.png', 'b/x.jpg', 'y.webp', 'array', 'x.tif']):
            writer.write(Frame(source, i, None, image(40 * i)), {})
    files = sorted(path.name for path in (tmp_path / 'out').iterdir())
    assert files == ['array_000003.jpg', 'x.jpg', 'x_2.jpg', 'x_3.jpg',
                     'y.jpg']  # yapf: disable
    assert cv2.imread(str(tmp_path / 'out/x_2.jpg')).mean() == 40


@pytest.mark.parametrize('link', [False, True])
def test_a_picture_never_takes_the_place_of_an_input(tmp_path, link):
    photo = source = tmp_path / 'photo.jpg'
    cv2.imwrite(str(photo), image(90))
    before = photo.read_bytes()
    if link:
        (tmp_path / 'links').mkdir()
        source = tmp_path / 'links/photo.jpg'
        source.symlink_to(photo)
    with pytest.raises(ValueError, match='photo.jpg lies in the folder'):
        with PictureWriter(tmp_path, no_drawing) as writer:
            writer.write(Frame(str(source), 0, None, image(0)), {})
    assert photo.read_bytes() == before


def test_the_same_video_twice_is_written_twice(tmp_path):
    with PictureWriter(tmp_path / 'out', no_drawing) as writer:
        for level in (40, 120):
            for i in range(3):
                writer.write(
                    Frame('film.mp4', i, i / 25, image(level), 25.), {})
    assert len(levels(tmp_path / 'out/film.mp4')) == 3
    assert len(levels(tmp_path / 'out/film_2.mp4')) == 3


def test_what_is_drawn_is_written(tmp_path):

    def draw(picture, frame_dict):
        return picture + np.uint8(frame_dict['more'])

    with PictureWriter(tmp_path, draw) as writer:
        writer.write(Frame('x.png', 0, None, image(10)), dict(more=50))
    assert cv2.imread(str(tmp_path / 'x.jpg')).mean() == 60


def test_frames_become_one_video_of_each_source(tmp_path):
    with PictureWriter(tmp_path, no_drawing, size=2) as writer:
        for i in range(5):
            writer.write(film(30 * i, i), {})
        # it shows up when the next one begins
        for i in range(3):
            writer.write(film(200, i, 'other.mp4'), {})
        writer.write(Frame('webcam:0', 0, .1, image(90)), {})
    assert levels(tmp_path / 'film.mp4') == pytest.approx([0, 30, 60, 90, 120],
                                                          abs=6)
    assert len(levels(tmp_path / 'other.mp4')) == 3
    assert len(levels(tmp_path / 'webcam_0.mp4')) == 1
    capture = cv2.VideoCapture(str(tmp_path / 'film.mp4'))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(25)
    assert len(list(tmp_path.iterdir())) == 3


def test_frames_that_a_camera_dropped_are_made_up_for(tmp_path):
    with PictureWriter(tmp_path, no_drawing) as writer:
        for i, (time, value) in enumerate(
            ((5., 0), (5.05, 60), (5.2, 120), (5.21, 180))):
            writer.write(Frame('webcam:0', i, time, image(value), 20.), {})
    # the last one came before its time
    assert levels(tmp_path / 'webcam_0.mp4') == pytest.approx(
        [0, 60, 120, 120, 120], abs=6)


def test_large_pictures_do_not_pile_up(tmp_path, monkeypatch):
    monkeypatch.setattr('lgh_mmpose.inference.sources.MAX_QUEUE_BYTES', 20_000)
    go_on, drawn, put = threading.Event(), [], []

    def draw(picture, _):
        go_on.wait(20)
        drawn.append(picture)
        return picture

    def write():
        with PictureWriter(tmp_path, draw) as writer:
            for i in range(10):  # of 9,216 bytes each
                writer.write(film(0, i), {})
                put.append(i)

    thread = threading.Thread(target=write)
    thread.start()
    thread.join(.5)
    # one being drawn, three in the queue
    waiting = len(put)
    go_on.set()
    thread.join(20)
    assert waiting <= 4
    assert len(drawn) == len(put) == 10


def test_a_stopped_run_leaves_no_part_of_a_video(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        with PictureWriter(tmp_path, no_drawing) as writer:
            for i in range(4):
                writer.write(film(0, i), {})
            raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_errors_of_drawing_are_raised_where_frames_are_written(tmp_path):

    def fails(*_):
        raise OSError('disk full')

    with pytest.raises(OSError, match='disk full'):
        with PictureWriter(tmp_path, fails, size=1) as writer:
            for i in range(50):
                writer.write(film(0, i), {})
            pytest.fail('50 frames were taken after the first had failed')
    with pytest.raises(OSError, match='disk full'):
        with PictureWriter(tmp_path, fails) as writer:
            writer.write(film(0, 0), {})
    assert list(tmp_path.iterdir()) == []


def noise(index):
    """A frame that takes a few kB in a film."""
    picture = np.random.default_rng(index).integers(
        0, 255, (48, 64, 3), dtype=np.uint8)
    return Frame('in/film.avi', index, index / 25, picture, 25)


def test_a_film_on_a_full_disk_is_an_error(tmp_path):
    (tmp_path / 'film.mp4').write_bytes(b'of an earlier run')
    with full_disk(20_000), pytest.raises(
            OSError, match='film.mp4: of 40 frames 0 can be read again'):
        with PictureWriter(tmp_path, no_drawing) as writer:
            for i in range(40):
                writer.write(noise(i), {})
    assert os.listdir(tmp_path) == ['film.mp4']
    assert (tmp_path / 'film.mp4').read_bytes() == b'of an earlier run'


@pytest.mark.parametrize('frames', [1, 5])
def test_a_film_that_lacks_frames_is_an_error(tmp_path, monkeypatch, frames):
    make_writer = cv2.VideoWriter

    class Lossy:
        """Drops the last frame, as an encoder might that fails."""

        def __init__(self, *args):
            self.writer = make_writer(*args)
            self.left = frames - 1

        def write(self, picture):
            if self.left:
                self.writer.write(picture)
                self.left -= 1

        def __getattr__(self, name):
            return getattr(self.writer, name)

    monkeypatch.setattr(cv2, 'VideoWriter', Lossy)
    with pytest.raises(
            OSError, match=f'of {frames} frames {frames - 1} can be read'):
        with PictureWriter(tmp_path, no_drawing) as writer:
            for i in range(frames):
                writer.write(noise(i), {})
    assert os.listdir(tmp_path) == []


def test_a_picture_on_a_full_disk_is_an_error(tmp_path):
    picture = np.tile(noise(0).image, (8, 8, 1))
    with full_disk(8000), pytest.raises(OSError, match='cannot write .*x.jpg'):
        with PictureWriter(tmp_path, no_drawing) as writer:
            writer.write(Frame('x.png', 0, None, picture), {})
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='no /dev/full')
def test_lines_on_a_full_disk_are_an_error():
    file = open('/dev/full', 'a')
    with pytest.raises(OSError, match='cannot write /dev/full: No space left'):
        JsonLinesWriter(file).write({})
    with pytest.raises(OSError):  # again
        file.close()


def test_the_longest_names_are_cut_and_stop_nothing(tmp_path):
    long = 252 * 'n'
    with PictureWriter(tmp_path, no_drawing) as writer:
        # .jpg and .mp4 are longer than these
        for source in (f'a/{long}.tf', f'b/{long}.tf', 'x.png'):
            writer.write(Frame(source, 0, None, image(40)), {})
        writer.write(film(0, 0, f'{long}.ts'), {})
    assert set(os.listdir(tmp_path)) == {
        'x.jpg', long[:251] + '.jpg', long[:249] + '_2.jpg',
        long[:251] + '.mp4'
    }


def test_a_film_is_not_given_to_opencv_where_it_would_crash(tmp_path):
    folder = os.path.join(tmp_path, '\udcff')
    with pytest.raises(ValueError, match='folder is no UTF-8; name another'):
        with PictureWriter(folder, no_drawing) as writer:
            writer.write(film(0, 0), {})
    assert os.listdir(folder) == []
    # others are no trouble, nor is the name of the film itself
    with PictureWriter(tmp_path, no_drawing) as writer:
        writer.write(film(0, 0, 'a\udcff.avi'), {})
    assert 'a\udcff.mp4' in os.listdir(tmp_path)
