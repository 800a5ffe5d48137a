"""Bytes of image files, read before they are decoded."""
import io

import numpy as np
import pytest
from PIL import Image

from lgh_mmpose.datasets.image_files import find_image_fault, jpeg_size


def encoded(kind, size=(37, 21), **options):
    """A picture of noise as the bytes of a file."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, size[::-1], np.uint8)
    Image.fromarray(noise).save(buffer, kind, **options)
    return buffer.getvalue()


def fault(content, tmp_path):
    path = tmp_path / 'image'
    path.write_bytes(content)
    return find_image_fault(str(path))


def with_thumbnail(content):
    """As cameras write them: a small JPEG within the header."""
    body = b'Exif\0\0' + encoded('JPEG', (8, 8))
    length = (len(body) + 2).to_bytes(2, 'big')
    return content[:2] + b'\xff\xe1' + length + body + content[2:]


def test_size_from_the_header():
    content = encoded('JPEG', progressive=True)
    assert jpeg_size(content) == (37, 21)
    assert jpeg_size(b'\xff\xd8\xff' + content[2:]) == (37, 21)  # filling
    assert jpeg_size(with_thumbnail(content)) == (37, 21)
    for end in range(0, 30):
        assert jpeg_size(content[:end]) is None
    assert jpeg_size(b'\x89PNG' + content) is None
    assert jpeg_size(content[:2] + b'\0' + content[2:]) is None


@pytest.mark.parametrize('content', [
    encoded('JPEG'),
    encoded('JPEG', progressive=True),
    with_thumbnail(encoded('JPEG')),
    encoded('PNG')
])
def test_whole_files_with_and_without_what_cameras_add(content, tmp_path):
    assert fault(content, tmp_path) is None
    assert fault(content + b'maker note' * 100, tmp_path) is None


@pytest.mark.parametrize('content', [
    encoded('JPEG'),
    encoded('JPEG', progressive=True),
    with_thumbnail(encoded('JPEG')),
    encoded('PNG')
])
def test_files_that_end_early(content, tmp_path):
    # in the header, in the thumbnail and in the picture
    for share in (.02, .1, .4, .7, .95):
        end = max(2, int(share * len(content)))
        assert fault(content[:end], tmp_path) == 'the file is truncated'


@pytest.mark.parametrize('content, told', [
    (b'', 'empty'),
    (b'<html>', 'not a JPEG or PNG file'),
])
def test_other_files(content, told, tmp_path):
    assert told in fault(content, tmp_path)


def test_missing_file(tmp_path):
    assert 'No such file' in find_image_fault(str(tmp_path / 'nothing'))
