"""What may have become of a picture that ships with the package."""
import os

import cv2
import numpy as np


def truncate(path):
    """Leave the first half."""
    os.truncate(path, path.stat().st_size // 2)


def replace_by_text(path):
    path.write_text('no picture')


def replace_by_other(path):
    """A whole picture of its format, but another."""
    cv2.imwrite(str(path), np.zeros((60, 80, 3), np.uint8))


DAMAGES = [os.remove, truncate, replace_by_text, replace_by_other]
