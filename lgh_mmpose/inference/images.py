"""Decoding of pictures, the same for all that reads them.

Whatever a file holds becomes uint8 (H, W, 3), BGR, upright as its metadata
asks for. Of 16 bits the upper 8 are taken; floating-point values must lie
between 0 and 1, which becomes 0 to 255; what is transparent lies over black.
Colour profiles are not applied.

JPEG and PNG are decoded by OpenCV, in the pixels of ``cv2.imread``, animated
PNG, PNG with one transparent colour and all other formats by Pillow, HEIF with
pi-heif. No file name goes to any of them: OpenCV crashes on names that are not
UTF-8. Pillow and pi-heif are imported when they are needed, and need not be
installed.
"""
import importlib
import io
import os
import re
import struct
import warnings
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple, Union

import numpy as np

MAX_IMAGE_SIDE = 32_766
"""Longest side of an image in px: OpenCV warps none that is longer."""
MAX_IMAGE_PIXELS = 178_956_970
"""Most pixels of an image; Pillow, too, refuses more."""
MAX_IMAGE_BYTES = 2**30
"""Longest file of an image."""
IMAGE_EXTENSIONS = ('.apng', '.avif', '.bmp', '.dib', '.gif', '.heic', '.heif',
                    '.hif', '.j2k', '.jfif', '.jp2', '.jpe', '.jpeg', '.jpf',
                    '.jpg', '.jpx', '.mpo', '.pbm', '.pfm', '.pgm', '.png',
                    '.pnm', '.ppm', '.tif', '.tiff', '.webp')
"""What names of files end in that can be decoded."""

# of Pillow; JPEG goes past it
_PILLOW_FORMATS = ('PNG', 'BMP', 'DIB', 'WEBP', 'TIFF', 'PPM', 'JPEG2000',
                   'GIF', 'AVIF', 'HEIF')
# markers of a JPEG file without a length: TEM, RST0 to RST7, SOI
_BARE_MARKERS = frozenset([0x01, *range(0xD0, 0xD9)])
# start of frame, the segment that holds the size
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN, _APP1 = 0xDA, 0xE1
_JPEG_START, _JPEG_END = b'\xff\xd8', b'\xff\xd9'
_PNG_START, _PNG_END = b'\x89PNG\r\n\x1a\n', b'IEND'
_TIFF_STARTS = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
_EXIF_START = b'Exif\0\0'
_ORIENTATION = 0x0112
_SUBFILE_TYPE, _DNG_VERSION = 0x00FE, 0xC612
# by which a PNG has a transparent colour, or further pictures
_PNG_EXTRAS = (b'tRNS', b'acTL')
_PNG_TEXTS = (b'tEXt', b'zTXt', b'iTXt')
_PNG_EXIF, _PNG_XMP = b'Raw profile type exif', b'XML:com.adobe.xmp\0'
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_SHORT, _LONG = 3, 4  # kinds of values in TIFF
_HEIF_BRANDS = {
    b'heic', b'heix', b'heim', b'heis', b'hevc', b'hevx', b'mif1', b'msf1'
}
_AVIF_BRANDS = {b'avif', b'avis'}
# how files begin that hold pictures, but none that is decoded here
_OTHER_FORMATS = (
    (b'\xff\x0a', 'JPEG XL'),
    (b'\0\0\0\x0cJXL ', 'JPEG XL'),
    (b'8BPS', 'Photoshop'),
    (b'%PDF', 'PDF'),
    (b'v/1\x01', 'OpenEXR'),
    (b'#?RADIANCE', 'Radiance HDR'),
    (b'<svg', 'SVG'),
    (b'<?xml', 'SVG or other XML'),
    (b'FUJIFILMCCD-RAW', 'camera raw'),
    (b'IIRO', 'camera raw'),
    (b'IIU\0', 'camera raw'),
    (b'\0\0\1\0', 'icon'),
)
# how files begin that Pillow decodes
_PILLOW_STARTS = (
    (_PNG_START, 'PNG that is animated or has a transparent colour'),
    *((start, 'TIFF') for start in _TIFF_STARTS),
    (b'GIF8', 'GIF'),
    (b'BM', 'BMP'),
    (b'\xff\x4f\xff\x51', 'JPEG 2000'),
    (b'\0\0\0\x0cjP', 'JPEG 2000'),
)
_IMAGE_STARTS = (_JPEG_START + b'\xff',
                 *(start for start, _ in (*_PILLOW_STARTS, *_OTHER_FORMATS)))
_NETPBM = re.compile(rb'P[1-7Ff]\s')
# 12 bits in 16: cameras for measuring write that
_FULL_12_BITS = 4096

PathLike = Union[str, Path]


class ImageError(ValueError):
    """An image that cannot be decoded; the message says why."""


class _DamagedError(ImageError):
    """An image that the decoder for its format cannot read."""


class _Header(NamedTuple):
    """What is known of an image before it is decoded.

    Attributes:
        size (tuple[int, int]): Width and height as stored, px.
        orientation (int): EXIF's, 1 to 8.
        image (Any): Pillow's image; None where OpenCV decodes.
        unchanged (bool): Whether OpenCV is to keep depth and channels.
    """
    size: Tuple[int, int]
    orientation: int = 1
    image: Any = None
    unchanged: bool = False


def read_image(path: PathLike) -> np.ndarray:
    """Read an image file.

    Args:
        path (str | Path): The file; its content decides on the format.

    Returns:
        np.ndarray: BGR, uint8 (H, W, 3), upright.

    Raises:
        OSError: If the file cannot be read.
        ImageError: If it cannot be decoded, with its name and the reason.
    """
    with _naming(path):
        return decode_image(read_bytes(path))


def read_image_size(path: PathLike) -> Tuple[int, int]:
    """Size of an image file, upright, by its header.

    Args:
        path (str | Path): The file.

    Returns:
        tuple[int, int]: Width and height in px.

    Raises:
        OSError: If the file cannot be read.
        ImageError: If it cannot be decoded, as far as the header tells.
    """
    with _naming(path):
        return image_size(read_bytes(path))


def read_bytes(path: PathLike) -> bytes:
    """Content of an image file.

    Args:
        path (str | Path): The file.

    Raises:
        OSError: If the file cannot be read.
        ImageError: If it is larger than any image.
    """
    with open(path, 'rb') as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_IMAGE_BYTES:
            raise ImageError(f'the file has {size:,} bytes, more than an '
                             f'image may have ({MAX_IMAGE_BYTES:,})')
        return file.read()


def list_pictures(folder: PathLike) -> List[str]:
    """List the pictures in a folder and its folders, by their names.

    Args:
        folder (str | Path): The folder.

    Returns:
        list[str]: Their paths, sorted.

    Raises:
        OSError: If the folder or one in it cannot be read; says why.
    """

    def complain(error: OSError) -> None:
        if isinstance(error, FileNotFoundError):
            message = f'there is no folder {error.filename}'
        elif isinstance(error, NotADirectoryError):
            message = f'{error.filename} is no folder'
        else:
            message = (f'cannot read the folder {error.filename}: '
                       f'{error.strerror}')
        raise type(error)(message) from None

    return sorted(
        os.path.join(root, name)
        for root, _, names in os.walk(folder, onerror=complain)
        for name in names if name.lower().endswith(IMAGE_EXTENSIONS))


class _naming:
    """Puts the name of a file into the error of its image."""

    def __init__(self, path: PathLike) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, _: Any) -> None:
        if isinstance(error, ImageError):
            raise name_image_error(error, self.path) from error


def name_image_error(error: ImageError, name: PathLike) -> ImageError:
    """The error of an image as a sentence with its name."""
    mend = '; restore it or leave it out' if isinstance(error,
                                                        _DamagedError) else ''
    return ImageError(f'cannot read the image {name}: {error}{mend}')


def decode_image(content: bytes) -> np.ndarray:
    """Decode an image.

    Args:
        content (bytes): The whole file.

    Returns:
        np.ndarray: BGR, uint8 (H, W, 3), upright.

    Raises:
        ImageError: If it cannot be decoded, with the reason.
    """
    return decode_reduced(content, 1)[0]


def decode_reduced(content: bytes,
                   max_reduction: float) -> Tuple[np.ndarray, int]:
    """Decode an image, a JPEG at less cost where fewer pixels will do.

    JPEG stores blocks of 8 x 8 px, which can be decoded to 4 x 4, 2 x 2 or
    one pixel. That is done where both sides are multiples of the reduction,
    so that a pixel ``i`` lies at ``f * i + (f - 1) / 2`` of the whole image.

    Args:
        content (bytes): The whole file.
        max_reduction (float): Pixels of the whole image per pixel, at most.

    Returns:
        tuple: The image in BGR, uint8 (H, W, 3), upright, and its reduction
        (1, 2, 4 or 8).

    Raises:
        ImageError: If it cannot be decoded, with the reason.
    """
    header = _inspect(content)
    fault = find_image_fault(content)
    if fault is not None:
        raise _DamagedError(fault)
    if header.image is not None:
        return to_bgr(*_load(header.image, header.orientation)), 1
    cv2 = importlib.import_module('cv2')
    flags, reduction = cv2.IMREAD_COLOR, 1
    if header.unchanged:
        flags = cv2.IMREAD_UNCHANGED
    elif max_reduction >= 2 and content.startswith(_JPEG_START):
        reduction = next(
            (n for n in (8, 4, 2)
             if n <= max_reduction and not any(side % n
                                               for side in header.size)), 1)
        flags = getattr(cv2, f'IMREAD_REDUCED_COLOR_{reduction}', flags)
    try:
        pixels = cv2.imdecode(
            np.frombuffer(content, np.uint8),
            flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise _DamagedError(f'OpenCV refuses it ({error.err})') from error
    if pixels is None:
        raise _DamagedError('the file does not decode, it is damaged')
    # OpenCV and Pillow may read a damaged header differently
    if tuple(reduction * n for n in pixels.shape[1::-1]) != header.size:
        raise _DamagedError('its header is damaged')
    return to_bgr(pixels, header.orientation), reduction


def image_size(content: bytes) -> Tuple[int, int]:
    """Size of an image, upright, by its header.

    Args:
        content (bytes): The whole file.

    Returns:
        tuple[int, int]: Width and height in px.

    Raises:
        ImageError: If it cannot be decoded, as far as the header tells.
    """
    header = _inspect(content)
    fault = find_image_fault(content)
    if fault is not None:
        raise _DamagedError(fault)
    return header.size[::-1] if header.orientation > 4 else header.size


def count_pictures(content: bytes) -> int:
    """How many pictures a file holds, such as an animation; 1 of a JPEG.

    Raises:
        ImageError: If it cannot be decoded, as far as the header tells.
    """
    image = _inspect(content).image
    return 1 if image is None else getattr(image, 'n_frames', 1)


def from_pillow(image: Any) -> np.ndarray:
    """Pixels of an image that Pillow has opened or made.

    Args:
        image (PIL.Image.Image): The image; turned as its EXIF data says.

    Returns:
        np.ndarray: BGR, uint8 (H, W, 3), upright.

    Raises:
        ImageError: If it cannot be decoded or its kind of pixels has no
            unique meaning.
    """
    check_image_size(*image.size)
    return to_bgr(*_load(image, _orientation_of(image)))


def decode_labels(content: bytes) -> np.ndarray:
    """Decode a grey image whose values are numbers, no brightness.

    Args:
        content (bytes): The whole file.

    Returns:
        np.ndarray: The values as stored, uint8 or uint16 (H, W).

    Raises:
        ImageError: If it cannot be decoded or is not grey.
    """
    fault = find_image_fault(content)
    if fault is not None:
        raise _DamagedError(fault)
    image = _open(content)
    if image.mode not in ('L', 'I;16', 'I;16B'):
        raise ImageError('it is no grey image of numbers')
    return _load(image, 1)[0]


# -- pixels ------------------------------------------------------------------


def to_bgr(pixels: np.ndarray, orientation: int = 1) -> np.ndarray:
    """Bring pixels of any depth and number of channels into one form.

    Args:
        pixels (np.ndarray): (H, W) or (H, W, 1), grey, (H, W, 3), BGR, or
            (H, W, 4), BGR and alpha; uint8, uint16 of full scale, or
            floating point from 0 to 1.
        orientation (int): As EXIF numbers it, 1 to 8; 1 is upright.

    Returns:
        np.ndarray: BGR, uint8 (H, W, 3), upright.

    Raises:
        ImageError: If the pixels are of another kind, or out of range.
    """
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if not pixels.size or pixels.ndim not in (2, 3) or \
            pixels.ndim == 3 and pixels.shape[2] not in (3, 4):
        raise ImageError('an image has the shape (H, W), (H, W, 3) or '
                         f'(H, W, 4), not {pixels.shape}')
    check_image_size(*pixels.shape[1::-1])
    pixels = _to_8_bits(pixels)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    elif pixels.shape[2] == 4:
        pixels = _over_black(pixels)
    return _upright(pixels, orientation)


def _to_8_bits(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        if 0 < pixels.max() < _FULL_12_BITS:
            warnings.warn(
                'an image of 16 bits uses its lowest 12 only, and is seen '
                'nearly black: full scale is 65535; multiply what has 12 bits '
                'by 16',
                stacklevel=2)
        return (pixels >> 8).astype(np.uint8)
    if pixels.dtype.kind == 'f':
        low, high = pixels.min(), pixels.max()
        if not (0 <= low and high <= 1):  # NaN too
            raise ImageError(
                f'its floating-point values reach from {low:g} to {high:g}, '
                'and only those from 0 to 1 have a known meaning; scale them, '
                'or save the image in 8 bits')
        return np.rint(pixels * 255).astype(np.uint8)
    raise ImageError(f'its values are {pixels.dtype}; those of an image are '
                     'uint8, uint16, or floating point from 0 to 1')


def _over_black(pixels: np.ndarray) -> np.ndarray:
    """Colours (H, W, 3) of uint8 (H, W, 4), where nothing is behind them."""
    alpha = pixels[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(pixels[..., :3])
    product = pixels[..., :3].astype(np.uint16) * alpha + 127
    return (product // 255).astype(np.uint8)


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn pixels as EXIF's number says."""
    if orientation == 1:
        return np.ascontiguousarray(pixels)
    cv2 = importlib.import_module('cv2')
    if orientation == 3:
        return cv2.rotate(pixels, cv2.ROTATE_180)
    if orientation in (2, 4):
        return cv2.flip(pixels, 1 if orientation == 2 else 0)
    # rows become columns; then to the right, upside down, or to the left
    pixels = cv2.transpose(pixels)
    if orientation == 5:
        return pixels
    return cv2.flip(pixels, {6: 1, 7: -1, 8: 0}[orientation])


def check_image_size(width: int, height: int) -> None:
    """Complain of an image that is too large to be used.

    Raises:
        ImageError: If a side or the number of pixels is.
    """
    if max(width, height) > MAX_IMAGE_SIDE or \
            width * height > MAX_IMAGE_PIXELS:
        raise ImageError(
            f'it is too large, {width} x {height} px: at most '
            f'{MAX_IMAGE_SIDE:,} px a side and {MAX_IMAGE_PIXELS:,} px '
            'altogether can be used')


# -- headers -----------------------------------------------------------------


def find_image_fault(content: bytes) -> Optional[str]:
    """Say why an image file cannot be whole, without decoding it.

    Decoders fill up a truncated JPEG or PNG with grey and succeed, so this
    must be asked beforehand. What cameras write behind the end of the image
    does no harm. Other formats are found damaged when they are decoded.

    Args:
        content (bytes): The whole file.

    Returns:
        str | None: What is wrong, or None.
    """
    if not content:
        return 'the file is empty'
    if content.startswith(_JPEG_START):
        if _JPEG_END in content[-32:]:  # nearly always there
            return None
        # the thumbnail in a header has an end of its own, a scan has no other
        begin = next((at for marker, at in _jpeg_segments(content)
                      if marker == _START_OF_SCAN), len(content))
        whole = content.find(_JPEG_END, begin) >= 0
    else:
        whole = not content.startswith(_PNG_START[:2]) or \
            _PNG_END in content[-32:] or _PNG_END in content
    return None if whole else 'the file is truncated'


def find_file_fault(path: PathLike) -> Optional[str]:
    """As :func:`find_image_fault`, reading no more of a file than it needs.

    Args:
        path (str | Path): The file.

    Returns:
        str | None: What is wrong, or None.
    """
    try:
        with open(path, 'rb') as file:
            start = file.read(8)
            file.seek(max(0, os.fstat(file.fileno()).st_size - 32))
            if find_image_fault(start + file.read()) is None:
                return None
            file.seek(0)
            return find_image_fault(file.read())
    except OSError as error:
        return error.strerror or str(error)


def find_decoding_fault(path: PathLike) -> Optional[str]:
    """Say why an image file cannot be read, by reading it.

    Args:
        path (str | Path): The file.

    Returns:
        str | None: What is wrong, or None.
    """
    try:
        decode_image(read_bytes(path))
    except ImageError as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)
    return None


def looks_like_image(start: bytes) -> bool:
    """Whether a file begins as pictures do, decoded here or not.

    Args:
        start (bytes): Its first 64 bytes or more.
    """
    brands = _HEIF_BRANDS | _AVIF_BRANDS | {b'crx '}
    return start.startswith(_IMAGE_STARTS) or start[8:12] == b'WEBP' or \
        _NETPBM.match(start) is not None or \
        bool(_brands(start) & brands)


def _inspect(content: bytes) -> _Header:
    """The header, once the image is known not to be too large."""
    if not content:
        raise _DamagedError('the file is empty')
    header = _plain_png_header(content)
    if content.startswith(_JPEG_START):
        header = _jpeg_header(content)
        if header is None:
            raise _DamagedError('the header of the JPEG is damaged')
    if header is None:
        header = _pillow_header(content)
    check_image_size(*header.size)
    return header


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


def _jpeg_header(content: bytes) -> Optional[_Header]:
    if not content.startswith(_JPEG_START):
        return None
    orientation = None
    for marker, at in _jpeg_segments(content):
        if marker == _APP1 and orientation is None:
            length = int.from_bytes(content[at + 2:at + 4], 'big')
            orientation = _exif_orientation(content[at + 4:at + 2 + length])
        if marker in _FRAME_MARKERS and at + 9 <= len(content):
            height, width = struct.unpack_from('>HH', content, at + 5)
            return _Header((width, height), orientation or 1)
    return None


def _exif_orientation(segment: bytes) -> Optional[int]:
    if not segment.startswith(_EXIF_START):
        return None
    return _tiff_orientation(segment[len(_EXIF_START):]) or 1


def _tiff_orientation(content: bytes) -> Optional[int]:
    """The orientation in EXIF data, which are a TIFF file without picture.

    Returns:
        int | None: 1 to 8; None if they hold none, or are damaged.
    """
    order = {b'II': '<', b'MM': '>'}.get(content[:2])
    if order is None or len(content) < 8:
        return None
    at, = struct.unpack_from(f'{order}I', content, 4)
    if at + 2 > len(content):
        return None
    number, = struct.unpack_from(f'{order}H', content, at)
    at += 2
    for entry in range(at, min(at + 12 * number, len(content) - 11), 12):
        tag, kind, count = struct.unpack_from(f'{order}HHI', content, entry)
        if tag == _ORIENTATION and kind in (_SHORT, _LONG) and count == 1:
            value, = struct.unpack_from(order + 'HI'[kind == _LONG], content,
                                        entry + 8)
            return _as_orientation(value)
    return None


def _as_orientation(value: Any) -> int:
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _plain_png_header(content: bytes) -> Optional[_Header]:
    """Of a PNG that is one picture, without a transparent colour."""
    if not content.startswith(_PNG_START) or content[12:16] != b'IHDR' or \
            len(content) < 26:
        return None
    by_exif = by_xmp = None
    at = len(_PNG_START)
    while at + 8 <= len(content):
        length, kind = struct.unpack_from('>I4s', content, at)
        at += 8
        if kind in _PNG_EXTRAS or \
                kind in _PNG_TEXTS and content.startswith(_PNG_EXIF, at):
            return None
        if kind == b'eXIf':
            by_exif = _tiff_orientation(content[at:at + length])
        elif kind == b'iTXt' and content.startswith(_PNG_XMP, at):
            text = content[at + len(_PNG_XMP):at + length]
            if text[:1] != b'\0':  # compressed
                return None
            found = _XMP_ORIENTATION.search(text)
            by_xmp = found and _as_orientation(int(found[1]))
        at += length + 4
    depth, colors = content[24:26]
    return _Header(
        struct.unpack_from('>II', content, 16),
        by_exif or by_xmp or 1,
        # 8 bits of grey or colour become colour without a loss
        unchanged=depth != 8 or colors not in (0, 2))


def _pillow_header(content: bytes) -> _Header:
    try:
        image = _open(content)
    except ImageError:
        header = _float_tiff_header(content)
        if header is None:
            raise
        return header
    size = image.size
    check_image_size(*size)
    if image.format == 'TIFF':  # Pillow may give the size after the turn
        if _DNG_VERSION in image.tag_v2 or content[8:10] == b'CR' or \
                image.tag_v2.get(_SUBFILE_TYPE, 0) & 1:
            raise ImageError('it is a camera raw file, of which only a '
                             'preview could be read: develop it into a JPEG '
                             'or TIFF')
        size = image.tag_v2[256], image.tag_v2[257]
    return _Header(size, _orientation_of(image), image)


def _orientation_of(image: Any) -> int:
    try:
        return _as_orientation(image.getexif().get(_ORIENTATION))
    except Exception:  # of EXIF data that are damaged nothing else is read
        return 1


def _open(content: bytes) -> Any:
    """Pillow's image, not yet decoded."""
    try:
        image_module = importlib.import_module('PIL.Image')
        if _is_heif(content):
            importlib.import_module('pi_heif').register_heif_opener()
    except ImportError as error:
        raise ImageError(_describe_undecoded(content)) from error
    image_module.init()
    try:
        return image_module.open(
            io.BytesIO(content),
            formats=[f for f in _PILLOW_FORMATS if f in image_module.OPEN])
    except image_module.DecompressionBombError as error:
        raise ImageError(
            f'it is too large: at most {MAX_IMAGE_SIDE:,} px a side and '
            f'{MAX_IMAGE_PIXELS:,} px altogether can be used') from error
    except image_module.UnidentifiedImageError as error:
        raise ImageError(_describe_unknown(content)) from error
    except Exception as error:  # there is no list of what a parser raises
        raise _DamagedError(f'its header is damaged ({error})') from error


def _brands(content: bytes) -> set:
    """Brands of an ISO media file, such as HEIF, AVIF and MP4; else none."""
    if content[4:8] != b'ftyp':
        return set()
    end = min(int.from_bytes(content[:4], 'big'), 256)
    return {content[8:12], *(content[i:i + 4] for i in range(16, end, 4))}


def _is_heif(content: bytes) -> bool:
    brands = _brands(content)
    return bool(brands & _HEIF_BRANDS and not brands & _AVIF_BRANDS)


def _describe_undecoded(content: bytes) -> str:
    """What an image is whose decoder is not installed."""
    if _is_heif(content):
        name = 'HEIC picture (HEIF)'
    elif _brands(content) & _AVIF_BRANDS:
        name = 'AVIF'
    elif content[8:12] == b'WEBP':
        name = 'WebP'
    elif _NETPBM.match(content):
        name = 'Netpbm picture (PPM)'
    else:
        name = next(
            (name
             for start, name in _PILLOW_STARTS if content.startswith(start)),
            None)
        if name is None:
            return _describe_unknown(content)
    article = 'an' if name == 'AVIF' else 'a'
    return (f'it is {article} {name}; to read it, '
            "`pip install 'lgh_mmpose[images]'`")


def _describe_unknown(content: bytes) -> str:
    brands = _brands(content)
    if brands & _AVIF_BRANDS:
        return 'it is an AVIF picture, which Pillow decodes from 11.3 on: ' \
            '`pip install -U pillow`'
    if b'crx ' in brands:
        return 'it is a camera raw file: develop it into a JPEG or TIFF'
    if brands and not brands & _HEIF_BRANDS:
        return 'it is a film, no image'
    for start, name in _OTHER_FORMATS:
        if content.startswith(start):
            return f'it is a file of {name}, which is not decoded here: ' \
                'convert it to PNG or JPEG'
    return 'it is damaged, or of a format that is not decoded here; convert ' \
        'it to PNG or JPEG'


def _float_tiff_header(content: bytes) -> Optional[_Header]:
    """Of a floating-point TIFF in colour, which only OpenCV decodes."""
    if not content.startswith(_TIFF_STARTS[:2]):
        return None
    try:
        plugin = importlib.import_module('PIL.TiffImagePlugin')
        tags = plugin.ImageFileDirectory_v2(content[:8])
        file = io.BytesIO(content)
        file.seek(tags.next)
        tags.load(file)
        if set(tags.get(339, ())) != {3} or tags.get(_ORIENTATION, 1) != 1:
            return None
        return _Header((tags[256], tags[257]), unchanged=True)
    except Exception:  # what Pillow has found damaged, or no Pillow
        return None


def _load(image: Any, orientation: int) -> Tuple[np.ndarray, int]:
    """Decoded pixels for :func:`to_bgr`, and the turn they still need."""
    try:
        image.load()
        if image.format == 'TIFF':  # Pillow may have turned it
            orientation = _orientation_of(image)
        return _pillow_pixels(image), orientation
    except ImageError:
        raise
    except Exception as error:  # there is no list of what a decoder raises
        raise _DamagedError(f'the file does not decode ({error})') from error


def _pillow_pixels(image: Any) -> np.ndarray:
    if image.mode == 'F' or image.mode.startswith('I;16'):
        return np.asarray(image).astype(np.float32 if image.mode ==
                                        'F' else np.uint16)
    if image.mode == 'I':
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ImageError('its whole numbers reach from '
                             f'{values.min()} to {values.max()}: of more than '
                             '16 bits the meaning is not known')
        return values.astype(np.uint16)
    if image.has_transparency_data:
        return np.asarray(image.convert('RGBA'))[..., [2, 1, 0, 3]]
    if image.mode in ('1', 'L'):
        return np.asarray(image.convert('L'))
    return np.asarray(image.convert('RGB'))[..., ::-1]
