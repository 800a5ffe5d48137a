"""What the bytes of an image file tell before it is decoded."""
import os
from typing import Iterator, Optional, Tuple

from PIL import Image

# markers of a JPEG file without a length: TEM, RST0 to RST7, SOI
_BARE_MARKERS = frozenset([0x01, *range(0xD0, 0xD9)])
# start of frame, the segment that holds the size
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA
_JPEG_START, _JPEG_END = b'\xff\xd8', b'\xff\xd9'
_PNG_START, _PNG_END = b'\x89P', b'IEND'


def _jpeg_segments(content: bytes) -> Iterator[Tuple[int, int]]:
    """Markers of a JPEG file and where they stand, up to its first scan."""
    at = len(_JPEG_START)
    while at + 2 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # a filling byte
            at += 1
            continue
        yield marker, at
        if marker == _START_OF_SCAN:
            return
        at += 2
        if marker not in _BARE_MARKERS:
            at += max(2, int.from_bytes(content[at:at + 2], 'big'))


def jpeg_size(content: bytes) -> Optional[Tuple[int, int]]:
    """Size of a JPEG image by its header, before any turn that EXIF asks for.

    Args:
        content (bytes): The file.

    Returns:
        tuple[int, int] | None: Width and height in px; None if this is no
        JPEG file or its header is damaged.
    """
    if not content.startswith(_JPEG_START):
        return None
    for marker, at in _jpeg_segments(content):
        if marker in _FRAME_MARKERS and at + 9 <= len(content):
            height, width = (
                int.from_bytes(content[at + i:at + i + 2], 'big')
                for i in (5, 7))
            return width, height
    return None


def read_image_size(img_path: str) -> Tuple[int, int]:
    """Size of an image file, upright, by its header.

    Args:
        img_path (str): The file.

    Returns:
        tuple[int, int]: Width and height in px.

    Raises:
        OSError: If it cannot be read or is no image.
    """
    with Image.open(img_path) as image:
        turned = image.getexif().get(0x0112, 1) >= 5
        return image.size[::-1] if turned else image.size


def find_image_fault(img_path: str) -> Optional[str]:
    """Say why an image file cannot be whole, without decoding it.

    Decoders fill up a truncated file with grey and succeed, so this must be
    asked beforehand. What cameras write behind the end of the image does no
    harm.

    Args:
        img_path (str): A JPEG or PNG file.

    Returns:
        str | None: What is wrong, or None.
    """
    try:
        with open(img_path, 'rb') as file:
            start = file.read(2)
            end = {_JPEG_START: _JPEG_END, _PNG_START: _PNG_END}.get(start)
            if end is None:
                return 'not a JPEG or PNG file' if start else \
                    'the file is empty'
            # nearly always it is the last that there is
            file.seek(max(0, os.fstat(file.fileno()).st_size - 32))
            if end in file.read():
                return None
            file.seek(0)
            content = file.read()
    except OSError as e:
        return e.strerror or str(e)
    # the thumbnail in a header has an end of its own, a scan has no other
    scans = (at for marker, at in _jpeg_segments(content)
             if marker == _START_OF_SCAN)
    begin = next(scans, len(content)) if start == _JPEG_START else 0
    return None if end in content[begin:] else 'the file is truncated'
