"""Write pictures without hands, to count what a detector finds on them.

    python .dev_scripts/models/without_hands.py data/hands/without

takes the wallpapers of some Debian packages (needs apt-get and dpkg-deb): each
as it is and two parts of it, 640 px on the longer side. None of them is a
background of rendered hands.
"""
import argparse
import subprocess
import tempfile
from pathlib import Path
from typing import List

import cv2
import numpy as np
from PIL import Image

from lgh_mmpose.fileio import put_in_place, unfinished_directory

PACKAGES = ('desktop-base', 'gnome-backgrounds', 'lomiri-wallpapers',
            'lomiri-wallpapers-20.04', 'mate-backgrounds',
            'plasma-workspace-wallpapers', 'ukui-wallpapers')
FOLDERS = 'backgrounds', 'wallpapers'
SIDE = 640  # px
PARTS = 2
SEED = 0
SAME = 3  # grey levels by which two sizes of a picture differ


def find_wallpapers(folder: Path) -> List[Path]:
    """Pictures of unpacked packages, without thumbnails, one of each."""
    found, looks = [], np.empty((0, 16, 16, 3))
    for path in sorted(folder.rglob('*')):
        if path.suffix.lower() not in ('.jpg', '.jpeg', '.png', '.webp') or \
                path.is_symlink() or not set(FOLDERS) & set(path.parts):
            continue
        with Image.open(path) as picture:
            if min(picture.size) < SIDE:
                continue
            small = picture.convert('RGB').resize((16, 16), Image.BOX)
        # some come in several sizes
        look = np.asarray(small, np.float64)[None]
        if (np.abs(looks - look).mean(axis=(1, 2, 3)) < SAME).any():
            continue
        found.append(path)
        looks = np.concatenate([looks, look])
    return found


def write(picture: np.ndarray, path: Path) -> None:
    scale = SIDE / max(picture.shape[:2])
    picture = cv2.resize(
        picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if not cv2.imwrite(str(path), picture):
        raise SystemExit(f'error: cannot write {path}')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', type=Path, help='folder to write; must not be')
    args = parser.parse_args()
    if args.out.exists():
        raise SystemExit(f'error: {args.out} exists: remove it, or give '
                         'another folder')
    rng = np.random.default_rng(SEED)
    with tempfile.TemporaryDirectory() as work:
        try:
            subprocess.run(['apt-get', 'download', *PACKAGES],
                           cwd=work,
                           check=True)
            for package in sorted(Path(work).glob('*.deb')):
                subprocess.run(['dpkg-deb', '-x', package, work], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(f'error: {error}') from None
        wallpapers = find_wallpapers(Path(work))
        with unfinished_directory(args.out) as out:
            for number, path in enumerate(wallpapers):
                with Image.open(path) as image:
                    picture = np.asarray(image.convert('RGB'))[..., ::-1]
                write(picture, out / f'{number:03d}_whole.jpg')
                height, width = picture.shape[:2]
                for part in range(PARTS):
                    share = rng.uniform(.3, .7)
                    h, w = int(share * height), int(share * width)
                    y, x = rng.integers(height - h), rng.integers(width - w)
                    write(picture[y:y + h, x:x + w],
                          out / f'{number:03d}_part{part}.jpg')
            put_in_place(out, args.out)
    print(f'{args.out}: {len(wallpapers)} wallpapers, '
          f'{(1 + PARTS) * len(wallpapers)} pictures')


if __name__ == '__main__':
    main()
