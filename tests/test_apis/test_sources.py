import struct
import threading
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from toy_video import damage, set_durations

from lgh_mmpose.apis import open_source
from lgh_mmpose.apis.sources import Frame, prefetch


def image(value, size=(8, 12)):
    return np.full((*size, 3), value, np.uint8)


@pytest.fixture
def folder(tmp_path):
    for i, name in enumerate(['b.png', 'a.jpg', 'c.PNG', '._a.jpg']):
        suffix = Path(name).suffix.lower()
        data = cv2.imencode(suffix, image(40 * i))[1]
        (tmp_path / name).write_bytes(data)
    (tmp_path / 'notes.txt').write_text('no image')
    (tmp_path / 'sub').mkdir()
    return tmp_path


def write_video(path, values, fps=25):
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*'mp4v'), fps, (64, 48))
    for value in values:
        writer.write(image(value, (48, 64)))
    writer.release()
    return str(path)


class Webcam:
    """A stand-in for cv2.VideoCapture with five frames."""
    released = 0

    def __init__(self, index):
        self.index, self.left = index, 5

    def isOpened(self):
        return self.index == 0

    def get(self, _):
        return 0.  # as cameras that do not say

    def read(self):
        self.left -= 1
        return self.left >= 0, image(self.left)

    def release(self):
        Webcam.released += 1


def names(source):
    return [Path(frame.source).name for frame in source]


def test_a_folder_is_its_images_in_order(folder):
    source = open_source(folder)
    assert source.num_frames == 3
    frames = list(source)
    assert names(frames) == ['a.jpg', 'b.png', 'c.PNG']
    assert all(frame.time is None and frame.index == 0 for frame in frames)
    assert frames[1].image[0, 0, 0] == 0
    (folder / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='no image in the folder'):
        open_source(folder / 'empty')


def test_a_pattern_is_the_files_that_match(folder):
    source = open_source(str(folder / '[ab].*'))
    assert source.num_frames == 2
    assert names(source) == ['a.jpg', 'b.png']
    with pytest.raises(FileNotFoundError, match='no file matches'):
        open_source(str(folder / '*.gif'))


def test_a_file_that_looks_like_a_pattern_is_the_file(tmp_path):
    path = tmp_path / 'hand[1].png'
    path.write_bytes(cv2.imencode('.png', image(7))[1])
    frame, = open_source(str(path))
    assert frame.image[0, 0, 0] == 7


def test_a_video_is_its_frames_with_their_times(tmp_path):
    source = open_source(write_video(tmp_path / 'a.mp4', [10, 90, 170]))
    assert source.num_frames == 3
    frames = list(source)
    assert [frame.fps for frame in frames] == pytest.approx([25] * 3)
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [frame.time for frame in frames] == pytest.approx([0, .04, .08])
    levels = [frame.image.mean() for frame in frames]
    assert levels == pytest.approx([10, 90, 170], abs=6)


def test_a_film_of_variable_frame_rate_has_the_times_it_says(tmp_path):
    path = Path(write_video(tmp_path / 'a.mp4', range(0, 240, 40)))
    set_durations(path, [.5, .5, 2, 1, .5, 1.5])
    source = open_source(path)
    assert source.video
    assert [frame.time
            for frame in source] == pytest.approx([0, .02, .04, .12, .16, .18])


@pytest.mark.parametrize('stamps, times', [
    ([0, 40, 160, 200], [0, .04, .16, .2]),
    ([80, 120, 240, 280], [0, .04, .16, .2]),
    ([0, 0, 0, 0], [0, .1, .2, .3]),
    ([-1, -1, -1, -1], [0, .1, .2, .3]),
    ([np.nan] * 4, [0, .1, .2, .3]),
    ([0, 120, 0, 320], [0, .12, .22, .32]),
    ([0, 120, 9e7, 9e7 + 10], [0, .12, .22, .32]),
])
def test_time_stamps_without_sense_give_way_to_the_frame_rate(
        monkeypatch, tmp_path, stamps, times):

    class Film(Webcam):

        def __init__(self, path):
            super().__init__(0)
            self.left = len(stamps)

        def get(self, what):
            if what == cv2.CAP_PROP_POS_MSEC:
                return stamps[len(stamps) - self.left - 1]
            return 10 if what == cv2.CAP_PROP_FPS else 0

    monkeypatch.setattr(cv2, 'VideoCapture', Film)
    (tmp_path / 'a.mp4').write_bytes(b'film')
    frames = list(open_source(tmp_path / 'a.mp4'))
    assert [frame.time for frame in frames] == pytest.approx(times)


def test_a_video_without_frames_is_named(tmp_path):
    path = write_video(tmp_path / 'a.avi', [])
    with pytest.raises(ValueError, match=r'a\.avi'):
        list(open_source(path))


def test_a_damaged_video_is_named_with_both_numbers(tmp_path, caplog):
    whole = write_video(tmp_path / 'a.mp4', range(0, 240, 8))
    cut = write_video(tmp_path / 'b.mp4', range(0, 240, 8))
    damage(Path(cut))
    source = open_source([whole, cut, whole])
    frames = list(source)
    left = sum(frame.source == cut for frame in frames)
    assert 0 < left < 28 and len(frames) == 60 + left
    fault, = source.faults
    assert f'{cut} says that it has 30 frames, but {left} can be read' in fault
    assert [record.message for record in caplog.records] == [fault]


@pytest.mark.parametrize('name, fps, read, told', [
    ('a.mp4', 10., 27, True),
    ('a.mp4', 10., 28, False),
    ('a.AVI', 10., 10, True),
    ('a.mkv', 10., 10, True),
    ('a.mkv', 10., 24, False),
    ('a.mkv', 10., 40, False),
    ('a.webm', 1000., 1, False),
])
def test_a_count_that_is_reckoned_from_a_duration_may_be_wrong(
        monkeypatch, tmp_path, name, fps, read, told):
    """Nor is a second of sound more than pictures a fault."""

    class Film(Webcam):

        def __init__(self, path):
            super().__init__(0)
            self.left = read

        def get(self, what):
            return {
                cv2.CAP_PROP_FPS: fps,
                cv2.CAP_PROP_FRAME_COUNT: 99. if fps > 99 else 30.
            }.get(what, 0.)

    monkeypatch.setattr(cv2, 'VideoCapture', Film)
    (tmp_path / name).write_bytes(b'film')
    source = open_source(tmp_path / name)
    assert len(list(source)) == read
    assert bool(source.faults) == told


def test_a_film_of_few_frames_that_lasts_as_long_is_whole(
        monkeypatch, tmp_path):
    """Of variable frame rate, in a container that does not count."""

    class Film(Webcam):

        def get(self, what):
            return {
                cv2.CAP_PROP_FPS: 10.,
                cv2.CAP_PROP_FRAME_COUNT: 30.,
                cv2.CAP_PROP_POS_MSEC: 600. * (4 - self.left)
            }.get(what, 0.)

    monkeypatch.setattr(Webcam, 'isOpened', lambda self: True)
    monkeypatch.setattr(cv2, 'VideoCapture', Film)
    (tmp_path / 'a.mkv').write_bytes(b'film')
    source = open_source(tmp_path / 'a.mkv')
    assert [frame.time
            for frame in source] == pytest.approx([0, .6, 1.2, 1.8, 2.4])
    assert source.faults == []


@pytest.mark.parametrize('index', [0, '0', 'webcam', 'webcam:0'])
def test_a_webcam_is_read_until_it_ends(index, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cv2, 'VideoCapture', Webcam)
    released = Webcam.released
    source = open_source(index)
    assert source.live and source.num_frames is None
    frames = list(source)
    assert {frame.fps for frame in frames} == {30}
    assert [frame.image[0, 0, 0] for frame in frames] == [4, 3, 2, 1, 0]
    assert {frame.source for frame in frames} == {'webcam:0'}
    times = [frame.time for frame in frames]
    assert times == sorted(times)
    assert Webcam.released == released + 1


def test_a_webcam_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(cv2, 'VideoCapture', Webcam)
    with pytest.raises(ValueError, match='cannot open webcam 3'):
        open_source(3)


def test_lists_mix_kinds(folder, tmp_path):
    film = write_video(tmp_path / 'z.mp4', [0, 50])
    items = [image(1), str(folder / 'a.jpg'), image(2), Path(film)]
    frames = list(open_source(iter(items)))
    assert [frame.source
            for frame in frames] == ['array', items[1], 'array', film, film]
    assert [frame.index for frame in frames] == [0, 0, 1, 0, 1]
    assert open_source(items).num_frames is None
    assert open_source(items[:1]).num_frames == 1
    assert open_source([items[1]] * 3).num_frames == 3


@pytest.mark.parametrize('bad', [
    np.zeros((4, 4), np.uint8),
    np.zeros((4, 4, 4), np.uint8),
    np.zeros((4, 4, 3)),
    np.zeros((0, 4, 3), np.uint8)
])
def test_arrays_that_are_no_images(bad):
    with pytest.raises(ValueError, match='the array must be an image in BGR'):
        open_source(bad)


def test_files_that_are_no_images_are_named(folder, tmp_path):
    with pytest.raises(ValueError, match='notes.txt: neither an image nor'):
        open_source(str(folder / 'notes.txt'))
    (tmp_path / 'fake.jpg').write_text('no image')
    with pytest.raises(ValueError, match=r'image .*fake\.jpg: it is damaged'):
        open_source(str(tmp_path / 'fake.jpg'))
    (tmp_path / 'empty.png').touch()
    with pytest.raises(
            ValueError, match=r'image .*empty\.png: it is empty; restore it'):
        open_source(str(tmp_path / 'empty.png'))
    with pytest.raises(FileNotFoundError, match='no such file, folder'):
        open_source('nothing.jpg')
    with pytest.raises(ValueError, match='not dict|not float'):
        open_source(3.5)
    whole = (folder / 'b.png').read_bytes()
    (folder / 'b.png').write_bytes(whole[:30])
    with pytest.raises(ValueError, match=r'b\.png'):
        list(open_source(folder))


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
def test_half_an_image_is_no_image(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    whole = cv2.imencode(suffix, noise)[1].tobytes()
    path = tmp_path / f'half{suffix}'
    path.write_bytes(whole[:len(whole) // 2])
    with pytest.raises(
            ValueError, match=fr'half{suffix}: the file is truncated; rest'):
        list(open_source(path))
    # what cameras write behind the end does no harm, nor does another name
    path.write_bytes(whole + bytes(99))
    assert len(list(open_source(path))) == 1
    webp = tmp_path / f'webp{suffix}'
    webp.write_bytes(cv2.imencode('.webp', noise)[1].tobytes())
    assert len(list(open_source(webp))) == 1


def test_an_image_too_large_for_opencv_is_named(tmp_path):
    side = 60_000
    chunks = [(b'IHDR', struct.pack('>II5B', side, side, 8, 2, 0, 0, 0)),
              (b'IDAT', zlib.compress(bytes(99))), (b'IEND', b'')]
    data = b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(body)) + kind + body +
        struct.pack('>I', zlib.crc32(kind + body)) for kind, body in chunks)
    (tmp_path / 'large.png').write_bytes(data)
    with pytest.raises(ValueError, match=r'large\.png: OpenCV refuses it'):
        list(open_source(tmp_path))


# -- reading ahead -----------------------------------------------------------


def frames(number, log):
    for i in range(number):
        log.append(i)
        yield Frame('array', i, None, image(0))


def test_prefetch_keeps_order_and_reads_no_further_than_it_may():
    log = []
    ahead = prefetch(frames(50, log), 4)
    assert next(ahead).index == 0
    ahead.close()
    # the one that was taken, four in the queue, one in hand
    assert len(log) <= 6
    assert [f.index for f in prefetch(frames(50, []), 4)] == list(range(50))


def test_prefetch_holds_few_frames_that_are_large(monkeypatch):
    monkeypatch.setattr('lgh_mmpose.apis.sources.MAX_QUEUE_BYTES', 1000)
    log = []
    ahead = prefetch(frames(50, log), 40)  # of 288 bytes each
    assert next(ahead).index == 0
    ahead.close()
    # the one that was taken, four in the queue, one in hand
    assert len(log) <= 6
    monkeypatch.setattr('lgh_mmpose.apis.sources.MAX_QUEUE_BYTES', 100)
    # there is always room for one
    assert [f.index for f in prefetch(frames(50, []), 40)] == list(range(50))


def test_prefetch_raises_what_reading_raised_after_the_frames_before():

    def broken():
        yield from frames(2, [])
        raise ValueError('damaged')

    seen = []
    with pytest.raises(ValueError, match='damaged'):
        for frame in prefetch(broken(), 8):
            seen.append(frame.index)
    assert seen == [0, 1]


def test_prefetch_of_a_camera_drops_what_is_old():
    full = threading.Event()

    def camera():
        yield from frames(20, [])
        full.set()

    ahead = prefetch(camera(), 2, newest=True)
    first = next(ahead).index
    assert full.wait(10)  # the camera never waits for us
    rest = [frame.index for frame in ahead]
    assert rest[-1] == 19 and len(rest) <= 3
    assert [first] + rest == sorted([first] + rest)


def test_prefetch_closes_its_source():
    closed = threading.Event()

    def source():
        try:
            yield from frames(99, [])
        finally:
            closed.set()

    ahead = prefetch(source(), 1)
    next(ahead)
    ahead.close()
    assert closed.is_set()
