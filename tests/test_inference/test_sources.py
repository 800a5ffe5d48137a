import io
import os
import re
import struct
import sys
import threading
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from toy_video import damage, set_durations, turn_track
from toy_video import write_video as write_images

from lgh_mmpose.apis import open_source
from lgh_mmpose.inference.film_tracks import find_mirrored_orientation
from lgh_mmpose.inference.sources import Frame, prefetch


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

    def set(self, *_):
        return False

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
    with pytest.raises(
            FileNotFoundError, match='no image or video in the fold'):
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
    np.zeros((4, 4, 2), np.uint8),
    np.zeros((4, 4, 3), np.int64),
    np.full((4, 4, 3), 2.),
    np.zeros((2, 4, 4, 3), np.uint8),
    np.zeros((0, 4, 3), np.uint8),
    np.zeros((1, 40_000), np.uint8),
])
def test_arrays_that_are_no_images(bad):
    with pytest.raises(ValueError, match='cannot read the array: '):
        open_source(bad)


PICTURE = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
PNG = cv2.imencode('.png', PICTURE)[1].tobytes()


@pytest.mark.parametrize(
    'item, expected', [
        (PICTURE, PICTURE),
        (PICTURE[..., 0], np.stack([PICTURE[..., 0]] * 3, -1)),
        (PICTURE[..., :1], np.stack([PICTURE[..., 0]] * 3, -1)),
        (np.dstack([PICTURE, np.zeros((6, 9), np.uint8)]), 0 * PICTURE),
        (PICTURE.astype(np.uint16) << 8, PICTURE),
        (PICTURE / 255, PICTURE),
        (PNG, PICTURE),
        (bytearray(PNG), PICTURE),
        (memoryview(PNG), PICTURE),
        (Image.fromarray(PICTURE[..., ::-1]), PICTURE),
        (Image.open(io.BytesIO(PNG)), PICTURE),
    ],
    ids=lambda value: type(value).__name__)
def test_images_in_memory(item, expected):
    for inputs, index in ((item, 0), ([image(1), item], 1)):
        source = open_source(inputs)
        assert source.num_frames == index + 1
        frame = list(source)[-1]
        assert (frame.source, frame.index, frame.time) == ('array', index,
                                                           None)
        assert np.array_equal(frame.image, expected)
    assert frame.image.dtype == np.uint8 and frame.image.flags.c_contiguous


def test_open_files_are_read(tmp_path):
    (tmp_path / 'a.png').write_bytes(PNG)
    with open(tmp_path / 'a.png', 'rb') as file:
        frame, = open_source(file)
    assert np.array_equal(frame.image, PICTURE)
    with open(
            tmp_path / 'a.png', encoding='latin-1') as file, pytest.raises(
                ValueError, match="open it with 'rb'"):
        open_source(file)


@pytest.mark.parametrize(
    'item, told', [
        (b'', 'cannot read the bytes of the image: the file is empty'),
        (io.BytesIO(
            PNG[:60]), 'the bytes of the image: the file is truncated'),
        (torch.zeros(3, 4, 4), r'a tensor does not tell .*tensor\.permute'),
        (Image.new('I', (4, 4), -1), "cannot read Pillow's image: "),
        (3.5, 'not float'),
        (None, 'not NoneType'),
    ],
    ids=lambda value: type(value).__name__)
def test_what_is_no_image_in_memory_is_named(item, told):
    with pytest.raises(ValueError, match=told):
        open_source(item)


def test_files_that_are_no_images_are_named(folder, tmp_path):
    with pytest.raises(ValueError, match='notes.txt: neither an image nor'):
        open_source(str(folder / 'notes.txt'))
    (tmp_path / 'fake.jpg').write_text('no image')
    with pytest.raises(ValueError, match=r'image .*fake\.jpg: it is damaged'):
        open_source(str(tmp_path / 'fake.jpg'))
    (tmp_path / 'empty.png').touch()
    with pytest.raises(
            ValueError, match=r'image .*empty\.png: the file is empty; rest'):
        open_source(str(tmp_path / 'empty.png'))
    with pytest.raises(FileNotFoundError, match='no such file, folder'):
        open_source('nothing.jpg')
    whole = (folder / 'b.png').read_bytes()
    (folder / 'b.png').write_bytes(whole[:30])
    source = open_source(folder)
    assert names(source) == ['a.jpg', 'c.PNG']
    assert len(source.faults) == 3
    assert re.search(r'b\.png: the file is truncated', source.faults[0])


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


def test_an_image_too_large_is_named(tmp_path):
    side = 60_000
    chunks = [(b'IHDR', struct.pack('>II5B', side, side, 8, 2, 0, 0, 0)),
              (b'IDAT', zlib.compress(bytes(99))), (b'IEND', b'')]
    data = b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(body)) + kind + body +
        struct.pack('>I', zlib.crc32(kind + body)) for kind, body in chunks)
    (tmp_path / 'large.png').write_bytes(data)
    with pytest.raises(
            ValueError, match=r'large\.png: it is too large, 60000 x '):
        list(open_source(tmp_path))


# -- folders from a phone ----------------------------------------------------


def saved(kind, picture=PICTURE, **options):
    buffer = io.BytesIO()
    Image.fromarray(picture[..., ::-1]).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def phone(tmp_path):
    """A folder as a phone leaves it."""
    folder = tmp_path / 'phone'
    folder.mkdir()
    for name, content in {
            'a.jpg': saved('JPEG'),
            'b.avif': saved('AVIF'),
            'c.jfif': saved('JPEG'),
            'd.jp2': saved('JPEG2000'),
            'e.gif': saved('GIF'),
            'f.WebP': saved('WEBP', lossless=True),
            'h.mpo': saved('MPO'),
            'i.tiff': saved('TIFF'),
    }.items():
        (folder / name).write_bytes(content)
    write_video(folder / 'g.MP4', [10, 90])
    return folder


def test_of_a_phones_folder_all_is_read(phone, caplog):
    (phone / 'notes.txt').write_text('no image')
    (phone / 'x.json').write_text('{}')
    source = open_source(phone)
    assert source.num_frames is None
    frames = list(source)
    assert names(frames) == [
        'a.jpg', 'b.avif', 'c.jfif', 'd.jp2', 'e.gif', 'f.WebP', 'g.MP4',
        'g.MP4', 'h.mpo', 'i.tiff'
    ]
    assert [frame.time is None
            for frame in frames] == [True] * 6 + [False] * 2 + [True] * 2
    assert source.faults == []
    message, = caplog.messages
    assert message.startswith(f'2 files in {phone} are passed over')
    assert message.endswith('(.json, .txt)')


def test_what_of_a_folder_cannot_be_read_is_named(phone, caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pi_heif', None)
    (phone / 'a.heic').write_bytes(b'\0\0\0\x18ftypheic\0\0\0\0mif1heic')
    (phone / 'b.dng').write_bytes(b'II*\0')
    (phone / 'd.mov').write_bytes(b'no film')
    (phone / 'z.jxl').write_bytes(b'\xff\x0a')
    for source in (open_source(phone), open_source(str(phone / '*')),
                   open_source(sorted(phone.iterdir()), skip_unreadable=True)):
        assert len(list(source)) == 10
        for fault, told in zip(source.faults, [
                r'a\.heic: it is a HEIC .*lgh_mmpose\[images\]',
                r'b\.dng: it is damaged', r'd\.mov: neither an image nor',
                r'z\.jxl: it is a file of JPEG XL.* convert it'
        ]):
            assert re.search(told, fault)
    assert len(source.faults) == 4
    assert len(caplog.records) == 12
    with pytest.raises(ValueError, match=r'a\.heic'):
        list(open_source([phone / 'a.jpg', phone / 'a.heic']))


def test_a_folder_of_which_nothing_can_be_read(tmp_path):
    for name in 'ab':
        (tmp_path / f'{name}.png').write_bytes(b'no image')
    with pytest.raises(
            ValueError, match=r'none of 2 files can be read.*a\.png: it is'):
        list(open_source(tmp_path))


def test_an_animation_is_a_film_or_its_first_picture(tmp_path, caplog):
    pictures = [
        Image.fromarray(np.full((16, 16, 3), level, np.uint8))
        for level in (10, 90, 200)
    ]
    for kind in ('gif', 'webp'):
        pictures[0].save(
            tmp_path / f'a.{kind}',
            lossless=True,
            save_all=True,
            append_images=pictures[1:],
            duration=100)
    frames = list(open_source(tmp_path / 'a.gif'))
    assert [frame.image.mean() for frame in frames] == [10, 90, 200]
    assert [frame.time for frame in frames] == pytest.approx([0, .1, .2])
    assert not caplog.records
    frame, = open_source(tmp_path / 'a.webp')
    assert frame.image.mean() == 10 and frame.time is None
    assert re.search(r'a\.webp holds 3 pictures, of which the first is read',
                     caplog.text)


# -- upright films -----------------------------------------------------------


def turned_video(path, matrix):
    """A film with a bright left upper corner, and how its track is turned."""
    corner = image(0, (48, 64))
    corner[:24, :32] = 250
    turn_track(write_images(path, 3 * [corner]), matrix)
    return path


@pytest.mark.parametrize(
    'matrix, size, corner',
    [
        ((1, 0, 0, 1), (48, 64), (0, 0)),
        ((0, 1, -1, 0), (64, 48), (0, -1)),
        ((-1, 0, 0, -1), (48, 64), (-1, -1)),
        ((0, -1, 1, 0), (64, 48), (-1, 0)),
        # mirrored, as by a front camera
        ((-1, 0, 0, 1), (48, 64), (0, -1)),
        ((1, 0, 0, -1), (48, 64), (-1, 0)),
        ((0, 1, 1, 0), (64, 48), (0, 0)),
        ((0, -1, -1, 0), (64, 48), (-1, -1)),
    ])
def test_films_are_turned_as_their_track_says(tmp_path, matrix, size, corner):
    frames = list(open_source(turned_video(tmp_path / 'a.mp4', matrix)))
    assert len(frames) == 3
    for frame in frames:
        assert frame.image.shape[:2] == size
        corners = frame.image[[8, -8]][:, [8, -8], 0]
        assert np.argwhere(corners > 200).tolist() == [[n % 2 for n in corner]]


@pytest.fixture(scope='module')
def mirrored(tmp_path_factory):
    return turned_video(
        tmp_path_factory.mktemp('mirrored') / 'a.mp4', (-1, 0, 0, 1))


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_a_damaged_head_of_a_film_does_no_harm(mirrored, data):
    content = bytearray(mirrored.read_bytes())
    start = content.find(b'moov') - 4
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(start, start + 300))
        content[at] = data.draw(st.integers(0, 255))
    path = mirrored.with_name('damaged.mp4')
    path.write_bytes(content[:data.draw(st.integers(0, len(content)))])
    assert find_mirrored_orientation(str(path)) in (None, 2, 4, 5, 7)


def test_a_film_that_cannot_be_turned_is_named(tmp_path, monkeypatch):

    class Film(Webcam):

        def get(self, what):
            return 90. if what == cv2.CAP_PROP_ORIENTATION_META else 0.

    monkeypatch.setattr(Webcam, 'isOpened', lambda self: True)
    monkeypatch.setattr(cv2, 'VideoCapture', Film)
    (tmp_path / 'a.mp4').write_bytes(b'film')
    with pytest.raises(ValueError, match=r'a\.mp4: it is turned by 90 degr'):
        open_source(tmp_path / 'a.mp4')


def test_a_film_too_large_is_named(tmp_path, monkeypatch):

    class Film(Webcam):

        def get(self, what):
            return {
                cv2.CAP_PROP_FRAME_WIDTH: 40_000.,
                cv2.CAP_PROP_FRAME_HEIGHT: 9.
            }.get(what, 0.)

    monkeypatch.setattr(Webcam, 'isOpened', lambda self: True)
    monkeypatch.setattr(cv2, 'VideoCapture', Film)
    (tmp_path / 'a.mp4').write_bytes(b'film')
    with pytest.raises(ValueError, match=r'a\.mp4: it is too large, 40000 x'):
        open_source(tmp_path / 'a.mp4')


def test_names_that_are_not_utf_8(tmp_path):
    """OpenCV would end the process, so a copy of it tries."""
    folder = os.fsencode(tmp_path)
    (tmp_path / 'h.png').write_bytes(PNG)
    os.rename(tmp_path / 'h.png', folder + b'/h\xff.png')
    write_video(tmp_path / 'f.mp4', [10, 90])
    os.rename(tmp_path / 'f.mp4', folder + b'/f\xff.mp4')
    child = os.fork()
    if not child:
        count = 0
        try:
            for name in (b'', b'/h\xff.png', b'/f\xff.mp4'):
                path = os.fsdecode(folder + name)
                count = 4 * count + len(list(open_source(path)))
        finally:
            os._exit(count)
    status = os.waitpid(child, 0)[1]
    assert os.WIFEXITED(status) and os.WEXITSTATUS(
        status) == 4 * (4 * 3 + 1) + 2


def test_a_name_with_a_colon_is_no_protocol(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / 'file:a.mp4', [10, 90])
    assert len(list(open_source('file:a.mp4'))) == 2


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
    monkeypatch.setattr('lgh_mmpose.inference.sources.MAX_QUEUE_BYTES', 1000)
    log = []
    ahead = prefetch(frames(50, log), 40)  # of 288 bytes each
    assert next(ahead).index == 0
    ahead.close()
    # the one that was taken, four in the queue, one in hand
    assert len(log) <= 6
    monkeypatch.setattr('lgh_mmpose.inference.sources.MAX_QUEUE_BYTES', 100)
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
