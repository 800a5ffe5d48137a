"""How the picture of an MP4 or MOV is to be shown, by its track's header."""
import itertools
import struct
from typing import BinaryIO, Iterator, Optional, Tuple

# of the matrix that is applied to what is stored, the signs of a, b, c and d
# (x' = a x + c y, y' = b x + d y) -> EXIF's number
_MIRRORED = {
    (-1, 0, 0, 1): 2,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, -1, -1, 0): 7
}
# parts of a box that are looked at; real films have a dozen
_MAX_BOXES = 1000


def find_mirrored_orientation(path: str) -> Optional[int]:
    """Say how a film is mirrored, as those of front cameras may be.

    FFmpeg tells OpenCV of the turn of a track alone, so that what is only
    mirrored would be turned upside down.

    Args:
        path (str): The film.

    Returns:
        int | None: 2, 4, 5 or 7, as EXIF numbers them; None if its first
        picture track is not mirrored, or this is no MP4 or MOV.
    """
    with open(path, 'rb') as file:
        end = file.seek(0, 2)
        file.seek(0)
        for kind, stop in _boxes(file, end):
            if kind == b'moov':
                for kind, stop_track in _boxes(file, stop):
                    if kind == b'trak':
                        handler, signs = _read_track(file, stop_track)
                        if handler == b'vide':
                            return _MIRRORED.get(signs)
    return None


def _boxes(file: BinaryIO, end: int) -> Iterator[Tuple[bytes, int]]:
    """Kind and end of the boxes from here on; the file stands in each."""
    for _ in itertools.repeat(None, _MAX_BOXES):
        start = file.tell()
        head = file.read(8)
        if start + 8 > end or len(head) < 8:
            return
        size, kind = struct.unpack('>I4s', head)
        if size == 1:
            size = int.from_bytes(file.read(8), 'big')
        elif size == 0:
            size = end - start
        if size < 8:
            return
        stop = min(start + size, end)
        yield kind, stop
        file.seek(stop)


def _read_track(file: BinaryIO, end: int) -> Tuple[bytes, tuple]:
    """Handler of a track and the signs of its matrix."""
    handler, signs = b'', ()
    for kind, stop in _boxes(file, end):
        if kind == b'tkhd':
            # times and durations are longer in version 1
            skipped = 51 if file.read(1) == b'\1' else 39
            matrix = file.read(skipped + 20)[skipped:]
            if len(matrix) == 20:
                a, b, _, c, d = struct.unpack('>5i', matrix)
                signs = tuple((n > 0) - (n < 0) for n in (a, b, c, d))
        elif kind == b'mdia':
            for kind, _ in _boxes(file, stop):
                if kind == b'hdlr':
                    handler = file.read(12)[8:]
    return handler, signs
