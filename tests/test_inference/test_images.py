"""Decoding of pictures: what each kind of file means, and what is refused."""
import io
import os
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from helpers import REPO_ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lgh_mmpose.inference import images
from lgh_mmpose.inference.images import (ImageError, count_pictures,
                                         decode_image, decode_labels,
                                         decode_reduced, find_file_fault,
                                         find_image_fault, from_pillow,
                                         image_size, read_image,
                                         read_image_size, to_bgr)

# smooth, so that what is lossy loses little; RGB
PICTURE = cv2.resize(
    np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8), (40, 24),
    interpolation=cv2.INTER_CUBIC)
BGR = PICTURE[..., ::-1]
GREY = PICTURE[..., 0]


def pillow(kind, picture=PICTURE, mode=None, **options):
    """A file as Pillow writes it."""
    image = picture if isinstance(picture,
                                  Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def opencv(suffix, picture):
    # or floating-point colours would be squeezed into 24 bits
    return cv2.imencode(suffix, picture,
                        [cv2.IMWRITE_TIFF_COMPRESSION, 1])[1].tobytes()


def grey3(values):
    return np.repeat(values[..., None], 3, axis=2)


def turned_by(number):
    exif = Image.Exif()
    exif[0x112] = number
    return exif


def with_xmp(text):
    info = PngInfo()
    info.add_itxt('XML:com.adobe.xmp', text)
    return info


# -- kinds of files ----------------------------------------------------------


@pytest.mark.parametrize('content', [
    pillow('JPEG'),
    pillow('JPEG', progressive=True, subsampling=0),
    pillow('JPEG', GREY),
    pillow('JPEG', mode='CMYK'),
    pillow('PNG'),
    pillow('PNG', GREY),
    pillow('PNG', mode='P'),
    pillow('PNG', mode='1'),
    pillow('BMP'),
    pillow('BMP', mode='P'),
    pillow('WEBP', quality=80),
    pillow('WEBP', lossless=True),
    pillow('TIFF'),
    pillow('TIFF', compression='tiff_lzw'),
    pillow('TIFF', compression='jpeg'),
    pillow('TIFF', mode='P'),
    pillow('TIFF', mode='1'),
    pillow('TIFF', mode='CMYK'),
    pillow('JPEG2000'),
    pillow('JPEG2000', quality_mode='rates', quality_layers=[10]),
    pillow('PPM'),
    pillow('PPM', GREY),
    opencv('.png', (BGR.astype(np.uint16) << 8) + 200),
    opencv('.png', (GREY.astype(np.uint16) << 8) + 200),
    opencv('.tiff', (GREY.astype(np.uint16) << 8) + 200),
])
def test_pixels_are_those_of_opencv(content):
    expected = cv2.imdecode(np.frombuffer(content, np.uint8), 1)
    assert np.array_equal(decode_image(content), expected)
    assert image_size(content) == (40, 24)
    assert count_pictures(content) == 1


@pytest.mark.parametrize('content', [
    pillow('GIF',
           Image.fromarray(PICTURE).quantize(256)),
    pillow('AVIF', quality=95)
])
def test_what_opencv_does_not_read(content):
    error = np.abs(decode_image(content).astype(int) - BGR)
    assert error.mean() < 6
    assert image_size(content) == (40, 24)


def test_heic():
    pytest.importorskip('pi_heif', reason="needs '.[images]'")
    # PICTURE as pillow-heif writes it, with an orientation of 6 in its EXIF
    # data; pi-heif is the part of it that reads
    content = (REPO_ROOT / 'tests/data/turned.heic').read_bytes()
    image = decode_image(content)
    assert image.shape == (40, 24, 3) and image_size(content) == (24, 40)
    turned = cv2.rotate(BGR, cv2.ROTATE_90_CLOCKWISE)
    assert np.abs(image.astype(int) - turned).mean() < 6


def test_heic_without_its_decoder_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pi_heif', None)
    content = b'\0\0\0\x18ftypheic\0\0\0\0mif1heic' + bytes(99)
    with pytest.raises(ImageError, match=r'HEIC.*lgh_mmpose\[images\]'):
        decode_image(content)


@pytest.fixture
def no_pillow(monkeypatch):
    """A function that hides Pillow from here on."""

    def hide():
        for name in ('PIL', 'PIL.Image', 'PIL.TiffImagePlugin'):
            monkeypatch.setitem(sys.modules, name, None)

    return hide


@pytest.mark.parametrize('content', [
    pillow('JPEG', exif=turned_by(6)),
    pillow('JPEG', mode='CMYK'),
    pillow('PNG'),
    pillow('PNG', mode='LA'),
    pillow('PNG', mode='P', exif=turned_by(8)),
    pillow('PNG', mode='1'),
    pillow('PNG', np.dstack([PICTURE, GREY]), exif=turned_by(3)),
    pillow('PNG',
           GREY.astype(np.uint16) * 200),
    opencv('.png',
           BGR.astype(np.uint16) * 200),
    opencv('.png',
           np.dstack([BGR, GREY]).astype(np.uint16) * 200),
    pillow('PNG', pnginfo=with_xmp('<tiff:Orientation>6</tiff:Orientation>')),
])
def test_jpeg_and_png_need_no_pillow(content, no_pillow):
    with Image.open(io.BytesIO(content)) as image:
        expected = from_pillow(image)
    no_pillow()
    image = decode_image(content)
    limit = 2 if content[:2] == b'\xff\xd8' else 0
    assert np.abs(image.astype(int) - expected).max() <= limit
    assert image_size(content) == image.shape[1::-1]
    assert count_pictures(content) == 1


@pytest.mark.parametrize('kind, content', [
    ('WebP', pillow('WEBP')),
    ('GIF', pillow('GIF', mode='P')),
    ('TIFF', pillow('TIFF')),
    ('TIFF', opencv('.tiff', np.full((5, 4, 3), .5, np.float32))),
    ('AVIF', pillow('AVIF')),
    ('BMP', pillow('BMP')),
    ('JPEG 2000', pillow('JPEG2000')),
    (r'Netpbm picture \(PPM\)', pillow('PPM')),
    ('PNG that is animated or has a transparent colour',
     pillow('PNG', GREY, transparency=9)),
    (r'HEIC picture \(HEIF\)',
     (REPO_ROOT / 'tests/data/turned.heic').read_bytes()),
])
def test_what_needs_pillow_is_named_without_it(kind, content, no_pillow,
                                               tmp_path):
    path = tmp_path / 'photo'
    path.write_bytes(content)
    no_pillow()
    with pytest.raises(
            ImageError,
            match=f'cannot read the image .*photo: it is an? {kind}; to read '
            r"it, `pip install 'lgh_mmpose\[images\]'`$"):
        read_image(path)


def test_what_nothing_reads_is_not_promised_of_pillow(no_pillow):
    no_pillow()
    with pytest.raises(ImageError, match='JPEG XL, which is not decoded'):
        decode_image(b'\xff\x0a' + bytes(50))
    with pytest.raises(ImageError, match='damaged, or of a format'):
        decode_image(b'<html>' + bytes(50))


def test_avif_without_its_decoder_is_named(monkeypatch):
    kinds = [kind for kind in images._PILLOW_FORMATS if kind != 'AVIF']
    monkeypatch.setattr(images, '_PILLOW_FORMATS', kinds)
    with pytest.raises(ImageError, match='AVIF.*pip install -U pillow'):
        decode_image(pillow('AVIF'))


@pytest.mark.parametrize('content, told', [
    (b'\xff\x0a' + bytes(50), 'JPEG XL'),
    (b'8BPS' + bytes(50), 'Photoshop'),
    (b'%PDF-1.7' + bytes(50), 'PDF'),
    (b'v/1\x01' + bytes(50), 'OpenEXR'),
    (b'#?RADIANCE\n' + bytes(50), 'Radiance'),
    (b'<svg xmlns=""/>', 'SVG'),
    (b'\0\0\0\x18ftypcrx \0\0\0\x01crx isom', 'camera raw'),
    (b'\0\0\0\x18ftypisom\0\0\0\x01isommp42', 'a film'),
    (b'<html>' + bytes(50), 'damaged, or of a format'),
    (b'II*\0\x08\0\0\0' + bytes(50), 'damaged'),
    (b'RIFF\x20\0\0\0WEBPVP8 ' + bytes(20), 'damaged'),
    (b'\xff\xd8\xff\xd9', 'header of the JPEG is damaged'),
    (b'', 'the file is empty'),
])
def test_what_cannot_be_decoded_is_named(content, told):
    for decode in (decode_image, image_size):
        with pytest.raises(ImageError, match=told):
            decode(content)


def test_a_raw_photo_is_not_taken_for_its_preview():
    from PIL.TiffImagePlugin import ImageFileDirectory_v2
    tags = ImageFileDirectory_v2()
    tags[50706] = b'\1\4\0\0'
    tags.tagtype[50706] = 1
    with pytest.raises(ImageError, match='camera raw'):
        decode_image(pillow('TIFF', tiffinfo=tags))


def test_of_an_animation_the_first_picture_is_decoded():
    first, *others = [
        Image.fromarray(np.full((8, 8, 3), level, np.uint8))
        for level in (10, 90, 200)
    ]
    for kind, options in (('GIF', {}), ('WEBP', dict(lossless=True)),
                          ('PNG', {}), ('TIFF', {})):
        content = pillow(
            kind, first, save_all=True, append_images=others, **options)
        assert (decode_image(content) == 10).all()
        assert count_pictures(content) == 3


# -- what their values mean --------------------------------------------------


def test_of_16_bits_the_upper_8_count():
    deep = np.random.default_rng(1).integers(0, 2**16, (9, 7, 3), np.uint16)
    for content in (opencv('.png', deep), opencv('.tiff', deep)):
        assert np.array_equal(decode_image(content), deep >> 8)
    for suffix in ('.png', '.tiff', '.pgm'):
        content = opencv(suffix, deep[..., 0])
        assert np.array_equal(decode_image(content), grey3(deep[..., 0] >> 8))
    assert np.array_equal(to_bgr(deep), deep >> 8)


@pytest.mark.parametrize('shape', [(4, 4), (4, 4, 3)])
def test_12_bits_in_16_are_told(shape):
    with pytest.warns(UserWarning, match='lowest 12 only.*multiply'):
        decode_image(opencv('.png', np.full(shape, 4095, np.uint16)))


def test_grey_values_of_another_range_are_scaled_to_it():
    values = struct.pack('>4H', 0, 1000, 2048, 4095)
    image = decode_image(b'P5\n4 1\n4095\n' + values)
    assert image[0, :, 0].tolist() == [0, 62, 128, 255]


def test_floating_point_from_0_to_1_is_0_to_255():
    values = np.linspace(0, 1, 32, dtype=np.float32).reshape(4, 8)
    expected = np.rint(255 * values)
    color = np.dstack([values, values / 2, 1 - values])
    for content in (opencv('.tiff', values), pillow('TIFF', values)):
        assert np.array_equal(decode_image(content), grey3(expected))
    content = opencv('.tiff', color)
    assert image_size(content) == (8, 4)
    assert np.array_equal(decode_image(content), np.rint(255 * color))
    double = opencv('.tiff', values.astype(np.float64))
    assert np.array_equal(decode_image(double), grey3(expected))


@pytest.mark.parametrize('value', [-.01, 1.01, 255, np.nan, np.inf])
def test_other_floating_point_values_have_no_known_meaning(value):
    values = np.full((4, 4), .5, np.float32)
    values[1, 2] = value
    with pytest.raises(ImageError, match='floating-point values reach'):
        decode_image(opencv('.tiff', values))
    with pytest.raises(ImageError, match='floating-point values reach'):
        to_bgr(values)


def test_whole_numbers_of_more_than_16_bits_have_no_known_meaning():
    values = np.full((4, 4), 70_000, np.int32)
    with pytest.raises(ImageError, match='more than 16 bits'):
        decode_image(pillow('TIFF', Image.fromarray(values)))


@pytest.mark.parametrize('kind', ['PNG', 'WEBP', 'TIFF'])
def test_what_is_transparent_lies_over_black(kind):
    rgba = np.dstack([PICTURE, np.full((24, 40), 255, np.uint8)])
    options = dict(lossless=True) if kind == 'WEBP' else {}
    assert np.array_equal(
        decode_image(pillow(kind, rgba, **options)), rgba[..., 2::-1])
    rgba[:12, :, 3], rgba[12:18, :, 3] = 0, 51
    image = decode_image(pillow(kind, rgba, **options))
    assert (image[:12] == 0).all()
    assert np.array_equal(image[12:18], np.rint(BGR[12:18] * .2))
    assert np.array_equal(image[18:], BGR[18:])


def test_transparent_colours_of_a_palette_and_grey():
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), 'P')
    palette.putpalette([250, 100, 50, 10, 20, 30])
    for kind in ('PNG', 'GIF'):
        image = decode_image(pillow(kind, palette, transparency=0))
        assert image.tolist() == [[[0, 0, 0], [30, 20, 10]]]
    image = decode_image(
        pillow('PNG', np.array([[9, 90]], np.uint8), transparency=9))
    assert image.tolist() == [[[0] * 3, [90] * 3]]
    image = decode_image(
        pillow('PNG', np.array([[9, 90]], np.uint8), mode='LA'))
    assert image.tolist() == [[[9] * 3, [90] * 3]]


@pytest.mark.parametrize('pixels', [
    np.zeros((4, 4, 2), np.uint8),
    np.zeros((0, 4, 3), np.uint8),
    np.zeros((4, ), np.uint8),
    np.zeros((4, 4), np.int32),
    np.zeros((4, 4), bool),
    np.zeros((4, 4, 3), complex),
])
def test_arrays_without_the_form_of_an_image(pixels):
    with pytest.raises(ImageError):
        to_bgr(pixels)


def test_labels_are_values_as_stored():
    labels = np.arange(35, dtype=np.uint8).reshape(5, 7)
    assert np.array_equal(decode_labels(opencv('.png', labels)), labels)
    deep = labels.astype(np.uint16) * 300
    assert np.array_equal(decode_labels(opencv('.png', deep)), deep)
    for content in (pillow('PNG'), pillow('PNG', mode='P')):
        with pytest.raises(ImageError, match='no grey image of numbers'):
            decode_labels(content)
    with pytest.raises(ImageError, match='truncated'):
        decode_labels(opencv('.png', labels)[:40])


# -- upright -----------------------------------------------------------------

# EXIF's number -> where the first row and the first column are
TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}
KINDS = dict(
    JPEG=dict(quality=95),
    PNG={},
    WEBP=dict(lossless=True),
    TIFF={},
    AVIF=dict(quality=95))


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('number', TURNS)
def test_images_are_turned_as_exif_says(kind, number):
    exif = Image.Exif()
    exif[0x112] = number
    content = pillow(kind, exif=exif, **KINDS[kind])
    plain = decode_image(pillow(kind, **KINDS[kind]))
    image = decode_image(content)
    assert np.array_equal(image, TURNS[number](plain))
    assert image.flags.c_contiguous
    assert image_size(content) == image.shape[1::-1]
    assert np.array_equal(to_bgr(plain, number), image)
    if kind == 'JPEG':  # as before for data sets
        assert np.array_equal(
            cv2.imdecode(np.frombuffer(content, np.uint8), 1), image)
    with Image.open(io.BytesIO(content)) as opened:
        error = np.abs(from_pillow(opened).astype(int) - image)
        assert error.max() <= (2 if kind == 'JPEG' else 0)


def test_turned_images_of_16_bits():
    exif = Image.Exif()
    exif[0x112] = 6
    deep = np.arange(24, dtype=np.uint16).reshape(4, 6) << 11
    for kind in ('PNG', 'TIFF'):
        content = pillow(kind, Image.fromarray(deep), exif=exif)
        expected = grey3(np.rot90(deep >> 8, -1))
        assert np.array_equal(decode_image(content), expected)
        assert image_size(content) == (4, 6)


def test_exif_behind_the_pixels_of_a_png():
    content = pillow('PNG')
    exif = Image.Exif()
    exif[0x112] = 6
    body = b'eXIf' + exif.tobytes()[6:]
    chunk = struct.pack('>I',
                        len(body) - 4) + body + struct.pack(
                            '>I', zlib.crc32(body))
    content = content[:-12] + chunk + content[-12:]
    assert np.array_equal(decode_image(content), np.rot90(BGR, -1))
    assert image_size(content) == (24, 40)


@given(
    st.sampled_from('<>'),
    st.lists(
        st.tuples(
            st.sampled_from([0x10f, 0x112, 0x8769]), st.sampled_from([3, 4]),
            st.integers(1, 9)),
        max_size=4), st.integers(0, 60))
def test_the_turn_is_the_one_that_pillow_reads(order, entries, length):
    entries = {tag: (kind, value) for tag, kind, value in entries}
    tiff = {
        '<': b'II',
        '>': b'MM'
    }[order] + struct.pack(f'{order}HIH', 42, 8, len(entries))
    for tag, (kind, value) in sorted(entries.items()):
        tiff += struct.pack(f'{order}HHI', tag, kind, 1) + struct.pack(
            f'{order}{"HI"[kind == 4]}', value).ljust(4, b'\0')
    tiff += bytes(4)
    exif = Image.Exif()
    exif.load(b'Exif\0\0' + tiff)
    expected = exif.get(0x112, 1)
    assert (images._tiff_orientation(tiff) or 1) == (
        expected if expected < 9 else 1)
    # cut short, it turns as a whole one does or not at all
    assert (images._tiff_orientation(tiff[:length])
            or 1) in (1, images._tiff_orientation(tiff))


@pytest.mark.parametrize('number', [0, 9, 255])
def test_numbers_that_exif_does_not_know_turn_nothing(number):
    exif = Image.Exif()
    exif[0x112] = number
    for kind in ('JPEG', 'PNG'):
        assert image_size(pillow(kind, exif=exif)) == (40, 24)


@pytest.mark.parametrize('reduction, flag', [(2, 17), (4, 33), (8, 65)])
def test_a_reduced_jpeg_is_turned_too(reduction, flag):
    exif = Image.Exif()
    exif[0x112] = 8
    content = pillow('JPEG', exif=exif)
    image, done = decode_reduced(content, reduction + .9)
    assert done == reduction
    assert np.array_equal(image,
                          cv2.imdecode(np.frombuffer(content, np.uint8), flag))


@pytest.mark.parametrize('content, wanted, done', [
    (pillow('JPEG'), 1.99, 1),
    (pillow('JPEG'), np.nan, 1),
    (pillow('JPEG', GREY[:20]), 8, 4),
    (pillow('JPEG', GREY[:, :39]), 8, 1),
    (pillow('PNG'), 8, 1),
    (pillow('WEBP'), 8, 1),
])
def test_no_more_is_reduced_than_sides_and_format_allow(content, wanted, done):
    image, reduction = decode_reduced(content, wanted)
    assert reduction == done
    assert image.shape[1] * done == image_size(content)[0]


# -- sizes -------------------------------------------------------------------


def png_header(width, height, bits=1, color=0):
    chunks = [(b'IHDR',
               struct.pack('>II5B', width, height, bits, color, 0, 0, 0)),
              (b'IDAT', zlib.compress(bytes(9))), (b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(body)) + kind + body +
        struct.pack('>I', zlib.crc32(kind + body)) for kind, body in chunks)


@pytest.mark.parametrize('content', [
    png_header(30_000, 30_000),
    png_header(30_000, 30_000, 8, 2),
    png_header(32_767, 1, 8, 2),
    png_header(1, 40_000),
    png_header(14_000, 14_000, 8, 6),
    png_header(2**31 - 1, 2**31 - 1, 8, 2),
    pillow('TIFF', Image.new('1', (32_767, 1))),
    pillow('JPEG', Image.new('L', (40_000, 1))),
])
def test_too_large_is_told_before_anything_is_decoded(content, monkeypatch):
    monkeypatch.setattr(cv2, 'imdecode', None)
    monkeypatch.setattr(images, '_load', None)
    for decode in (decode_image, image_size):
        with pytest.raises(ImageError, match='it is too large.*32,766 px'):
            decode(content)


def test_the_longest_side_is_read():
    row = np.zeros((1, 32_766), np.uint8)
    assert decode_image(opencv('.png', row)).shape == (1, 32_766, 3)
    with pytest.raises(ImageError, match='too large, 32767 x 1 px'):
        to_bgr(np.zeros((1, 32_767), np.uint8))
    with pytest.raises(ImageError, match='too large'):
        from_pillow(Image.new('1', (32_767, 1)))


def test_a_file_longer_than_any_image_is_not_read(tmp_path):
    path = tmp_path / 'long.png'
    with open(path, 'wb') as file:
        file.truncate(2**30 + 1)  # takes no place
    with pytest.raises(ImageError, match=r'long\.png: the file has 1,073,7'):
        read_image(path)


# -- files -------------------------------------------------------------------


def test_files_are_read_by_what_they_hold(tmp_path):
    path = tmp_path / 'photo.jpg'
    path.write_bytes(pillow('WEBP', lossless=True))
    assert np.array_equal(read_image(path), BGR)
    assert read_image_size(str(path)) == (40, 24)
    path.write_bytes(b'no image')
    for read in (read_image, read_image_size):
        with pytest.raises(
                ImageError, match=r'cannot read the image .*photo\.jpg: it '):
            read(path)
        with pytest.raises(FileNotFoundError):
            read(tmp_path / 'nothing')


def test_names_that_are_not_utf_8(tmp_path):
    """OpenCV would end the process."""
    path = os.path.join(os.fsencode(tmp_path), b'h\xff.png')
    with open(path, 'wb') as file:
        file.write(pillow('PNG'))
    program = ('import runpy, sys; images = runpy.run_path(sys.argv[1]); '
               "print(images['read_image'](sys.argv[2]).shape)")
    done = subprocess.run(
        [sys.executable, '-c', program, images.__file__, path],
        capture_output=True,
        check=True)
    assert done.stdout == b'(24, 40, 3)\n'


def with_thumbnail(content):
    """As cameras write them: a small JPEG within the header."""
    body = b'Exif\0\0' + pillow('JPEG', GREY[:8, :8])
    length = (len(body) + 2).to_bytes(2, 'big')
    return content[:2] + b'\xff\xe1' + length + body + content[2:]


def test_the_size_of_a_jpeg_is_that_of_its_header():
    content = pillow('JPEG', progressive=True)
    assert image_size(content) == (40, 24)
    assert image_size(b'\xff\xd8\xff' + content[2:]) == (40, 24)  # filling
    assert image_size(with_thumbnail(content)) == (40, 24)
    for end in range(0, 30):
        with pytest.raises(ImageError):
            image_size(content[:end])
    with pytest.raises(ImageError):
        image_size(content[:2] + b'\0' + content[2:])


def faults(content, tmp_path):
    """Of a file, by all of it and by as little as needed."""
    path = tmp_path / 'image'
    path.write_bytes(content)
    fault = find_image_fault(content)
    assert find_file_fault(path) == fault
    return fault


NOISE = np.random.default_rng(2).integers(0, 256, (21, 37), np.uint8)


@pytest.mark.parametrize('content', [
    pillow('JPEG', NOISE),
    pillow('JPEG', NOISE, progressive=True),
    with_thumbnail(pillow('JPEG', NOISE)),
    pillow('PNG', NOISE),
])
def test_whole_files_and_files_that_end_early(content, tmp_path):
    assert faults(content, tmp_path) is None
    # what cameras add does no harm
    assert faults(content + b'maker note' * 100, tmp_path) is None
    # in the header, in the thumbnail and in the picture
    for share in (.02, .1, .4, .7, .95):
        half = content[:max(2, int(share * len(content)))]
        assert faults(half, tmp_path) == 'the file is truncated'
        with pytest.raises(ImageError):
            decode_image(half)


@pytest.mark.parametrize('kind', ['TIFF', 'WEBP', 'BMP', 'JPEG2000', 'AVIF'])
def test_half_a_file_of_another_kind(kind):
    content = pillow(kind, Image.fromarray(NOISE).convert('RGB'))
    with pytest.raises(ImageError):
        decode_image(content[:len(content) // 2])


def test_files_that_are_not_there_or_empty(tmp_path):
    assert faults(b'', tmp_path) == 'the file is empty'
    assert 'No such file' in find_file_fault(tmp_path / 'nothing')


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_damage_never_gives_another_error(data):
    content = bytearray(data.draw(st.sampled_from(_DAMAGED)))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, min(len(content), 400) - 1))
        content[at] = data.draw(st.integers(0, 255))
    try:
        image = decode_image(bytes(content))
    except ImageError:
        return
    assert image.dtype == np.uint8 and image.ndim == 3
    assert image_size(bytes(content)) == image.shape[1::-1]


_EXIF = Image.Exif()
_EXIF[0x112] = 5
_DAMAGED = [
    pillow(kind, exif=_EXIF) for kind in ('JPEG', 'PNG', 'WEBP', 'TIFF')
] + [
    pillow('BMP'),
    pillow('GIF', mode='P'),
    pillow('PNG', mode='P'),
    pillow('PPM'),
    opencv('.tiff', np.full((5, 4, 3), .5, np.float32)),
]

# -- all doors ---------------------------------------------------------------


@pytest.fixture(scope='module')
def doors():
    """All ways by which pictures come in: name -> function of a path."""
    from lgh_mmpose.apis import open_source
    from lgh_mmpose.datasets.fast_transforms import LoadHandImage
    from lgh_mmpose.visualization import figures

    def frame(inputs):
        frame, = open_source(inputs)
        return frame.image

    def opened(path):
        with Image.open(path) as image:
            return frame(image)

    return dict(
        file=frame,
        folder=lambda path: frame(path.parent),
        bytes=lambda path: frame(path.read_bytes()),
        pillow=opened,
        data_set=lambda path: LoadHandImage().transform(
            dict(img_path=str(path)))['img'],
        figures=lambda path: figures.read_image(path)[..., ::-1])


RGBA = np.dstack([PICTURE, np.linspace(0, 255, 960).reshape(24, 40)])


@pytest.mark.parametrize('content', [
    pillow('JPEG', exif=turned_by(6)),
    pillow('PNG', exif=turned_by(8)),
    pillow('PNG', RGBA.astype(np.uint8), exif=turned_by(5)),
    pillow('PNG', mode='P'),
    pillow('WEBP', exif=turned_by(7)),
    pillow('TIFF', exif=turned_by(6)),
    pillow('TIFF', mode='CMYK'),
    pillow('GIF', mode='P'),
    pillow('AVIF', exif=turned_by(3)),
    pillow('BMP'),
    pillow('JPEG2000'),
    opencv('.png',
           GREY.astype(np.uint16) << 8),
    opencv('.tiff',
           GREY.astype(np.uint16) << 8),
    opencv('.tiff',
           GREY.astype(np.float32) / 255),
    opencv('.tiff',
           BGR.astype(np.float32) / 255),
])
def test_a_picture_is_the_same_through_every_door(doors, content, tmp_path):
    path = tmp_path / 'picture.png'
    path.write_bytes(content)
    expected = decode_image(content)
    for name, read in doors.items():
        if name == 'pillow':
            try:
                Image.open(path).close()
            except OSError:  # what Pillow cannot open cannot be given so
                continue
            # JPEG comes from another build of the library
            assert np.abs(read(path).astype(int) -
                          expected).max() <= (2 if content[:2] == b'\xff\xd8'
                                              else 0), name
        else:
            assert np.array_equal(read(path), expected), name
