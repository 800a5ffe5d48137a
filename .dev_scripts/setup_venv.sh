#!/bin/sh
# Install lgh_mmpose from this checkout, editable, with everything that its
# commands and tests need:
#   .dev_scripts/setup_venv.sh VENV PYTHON
# Makes VENV with PYTHON if there is none yet. A full mmcv found in VENV stays.
set -eu

VENV=$1
PYTHON=$2
PY=$VENV/bin/python

fail() {
    echo "set-up failed: $1" >&2
    exit 1
}

supported() {
    "$1" -c 'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] < (3, 12))'
}

cd "$(dirname "$0")/.."
if [ -x "$PY" ]; then
    supported "$PY" ||
        fail "$VENV has $("$PY" -V), but mmpose 1.3.2's dependencies need Python 3.9 to 3.11; name another folder with VENV=."
else
    command -v "$PYTHON" >/dev/null ||
        fail "$PYTHON is not installed; install Python 3.11 or name one with PYTHON=."
    supported "$PYTHON" ||
        fail "$PYTHON is $("$PYTHON" -V), but mmpose 1.3.2's dependencies need Python 3.9 to 3.11; name one with PYTHON=."
    echo "Making the virtual environment $VENV"
fi
if ! "$PY" -m pip --version >/dev/null 2>&1; then
    # also mends one whose making was interrupted
    "$PYTHON" -m venv "$VENV" ||
        fail "python -m venv does not work; on Debian: apt-get install python3.11-venv"
fi

# from here on no stamp of an older install holds
rm -f "$VENV"/.lgh_mmpose-*

if "$PY" -c 'from importlib.metadata import version; version("mmcv")' 2>/dev/null; then
    EXTRAS=openmmlab-without-mmcv
else
    EXTRAS=openmmlab
fi
echo "Installing lgh_mmpose[$EXTRAS,dev] into $VENV (minutes the first time)"
"$PY" -m pip install --disable-pip-version-check --no-input \
    -e ".[$EXTRAS,dev]"

"$PY" -c 'import cv2' ||
    fail "OpenCV needs system libraries; on Debian: apt-get install libgl1 libglib2.0-0"
"$PY" -c 'import lgh_mmpose' || fail "the installed package cannot be imported"
