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

import cv2
import numpy as np
from PIL import Image

PACKAGES = ('desktop-base', 'gnome-backgrounds', 'lomiri-wallpapers',
            'lomiri-wallpapers-20.04', 'mate-backgrounds',
            'plasma-workspace-wallpapers', 'ukui-wallpapers')
FOLDERS = 'backgrounds', 'wallpapers'
SIDE = 640  # px
PARTS = 2
SEED = 0


def find_wallpapers(folder: Path) -> list:
    """Pictures of unpacked packages, without thumbnails, one of each."""
    found = {}
    for path in sorted(folder.rglob('*')):
        if path.suffix.lower() not in ('.jpg', '.jpeg', '.png', '.webp') or \
                path.is_symlink() or not set(FOLDERS) & set(path.parts):
            continue
        with Image.open(path) as picture:
            if min(picture.size) < SIDE:
                continue
            # some come in several sizes
            small = picture.convert('RGB').resize((16, 16), Image.BOX)
        key = (np.asarray(small) // 32).tobytes()
        found.setdefault(key, path)
    return list(found.values())


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
    args.out.mkdir(parents=True)
    rng = np.random.default_rng(SEED)
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(['apt-get', 'download', *PACKAGES],
                       cwd=work,
                       check=True)
        for package in sorted(Path(work).glob('*.deb')):
            subprocess.run(['dpkg-deb', '-x', package, work], check=True)
        wallpapers = find_wallpapers(Path(work))
        for number, path in enumerate(wallpapers):
            with Image.open(path) as image:
                picture = np.asarray(image.convert('RGB'))[..., ::-1]
            write(picture, args.out / f'{number:03d}_whole.jpg')
            height, width = picture.shape[:2]
            for part in range(PARTS):
                share = rng.uniform(.3, .7)
                h, w = int(share * height), int(share * width)
                y, x = rng.integers(height - h), rng.integers(width - w)
                write(picture[y:y + h, x:x + w],
                      args.out / f'{number:03d}_part{part}.jpg')
    print(f'{args.out}: {len(wallpapers)} wallpapers, '
          f'{(1 + PARTS) * len(wallpapers)} pictures')


if __name__ == '__main__':
    main()
