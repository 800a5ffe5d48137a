"""Bake assets/rendering/photographs: pictures to lie behind the hands.

``python .dev_scripts/rendering/bake_photographs.py DIR`` takes them from
DIR, where ``/usr/share/backgrounds`` of Debian's ``lomiri-wallpapers-16.04``
20.04.0-2 has been copied. None shows people. Their authors and licences are
in assets/rendering/LICENCES.md.
"""
import sys
from pathlib import Path

import cv2

from lgh_mmpose.rendering.backgrounds import PHOTOGRAPHS

OUT = Path(__file__).resolve().parents[2] / 'assets/rendering/photographs'
LONG_SIDE = 720

# our names, and how those of the files begin
SOURCES = {
    'bowl': 'Picture_0B_by',
    'brushes': 'Picture_1A_by',
    'dandelions': 'seeding_by',
    'dogs': 'friends_by',
    'gradient': 'umang_by',
    'meadow': 'aitzgorri_by',
    'mountains': 'picosdeeuropa_by',
    'room': 'Wine_by',
    'stream': 'life_by',
    'sunset': 'sunset_by',
}


def main(source: Path) -> None:
    """Reduce all photographs of a folder."""
    assert tuple(SOURCES) == PHOTOGRAPHS
    OUT.mkdir(parents=True, exist_ok=True)
    for name, start in SOURCES.items():
        path, = source.glob(f'{start}*')
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        scale = LONG_SIDE / max(image.shape[:2])
        image = cv2.resize(
            image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        cv2.imwrite(
            str(OUT / f'{name}.jpg'), image, [
                cv2.IMWRITE_JPEG_QUALITY, 88, cv2.IMWRITE_JPEG_OPTIMIZE, 1,
                cv2.IMWRITE_JPEG_PROGRESSIVE, 0
            ])


if __name__ == '__main__':
    main(Path(sys.argv[1]))
