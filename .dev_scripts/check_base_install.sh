#!/bin/sh
# Install the base of this checkout into an environment of its own, and say how
# long that takes and how large it is:
#   .dev_scripts/check_base_install.sh PYTHON [NUMPY]
# NUMPY is a requirement such as 'numpy<2'; by default pip chooses. Fails above
# 60 seconds or 310 MiB (320 up to Python 3.10), with torch or Pillow in it, or
# if the package does not work.
set -eu

PYTHON=$1
NUMPY=${2:-numpy}
ROOT=$(cd "$(dirname "$0")/.." && pwd)
FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT INT TERM

"$PYTHON" -m venv "$FOLDER/venv"
mkdir "$FOLDER/source"
# a copy: a build leaves files in its source tree
(cd "$ROOT" && git ls-files -z --cached --others --exclude-standard |
    tar -cf - --null -T -) | tar -xf - -C "$FOLDER/source"
cd "$FOLDER"
venv/bin/python - ./source "$NUMPY" <<'END'
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

start = time.perf_counter()
subprocess.run([
    sys.executable, '-m', 'pip', 'install', '--quiet', sys.argv[1], sys.argv[2]
], check=True)
seconds = time.perf_counter() - start
site_packages = Path(sysconfig.get_path('purelib'))
num_bytes = sum(
    path.stat().st_size for path in site_packages.rglob('*')
    if path.is_file() and not path.relative_to(site_packages).parts[0]
    .startswith(('pip', 'setuptools', 'pkg_resources', '_distutils_hack')))
import numpy

print(f'Python {sys.version.split()[0]}, NumPy {numpy.__version__}: '
      f'{seconds:.0f} s, {num_bytes / 2**20:.1f} MiB '
      f'({num_bytes / 1e6:.1f} million bytes)')
if seconds > 60:
    sys.exit('it takes more than a minute')
# up to Python 3.10 ONNX Runtime brings SymPy
limit = 310 if sys.version_info >= (3, 11) else 320
if num_bytes > limit * 2**20:
    sys.exit(f'it has more than {limit} MiB')
END
venv/bin/python - <<'END'
import importlib.util

heavy = ('torch', 'mmpose', 'mmengine', 'PIL', 'matplotlib', 'scipy')
found = [name for name in heavy if importlib.util.find_spec(name)]
if found:
    raise SystemExit(f'it brings {", ".join(found)}')
import cv2
import numpy as np

import lgh_mmpose
from lgh_mmpose.inference.sources import open_source

lgh_mmpose.HandPose, lgh_mmpose.Hands
picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
cv2.imwrite('picture.png', picture)
frame, = open_source('picture.png')
assert np.array_equal(frame.image, picture)
END
venv/bin/lgh-hands --help >/dev/null
venv/bin/python -m pip check
