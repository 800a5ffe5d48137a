import os
import stat

import numpy as np
import pytest

from lgh_mmpose.fileio import atomic_write, write_image


def test_file_appears_only_when_whole(tmp_path):
    path = tmp_path / 'new' / 'scores.npz'
    with atomic_write(path) as file:
        file.write(b'half')
        file.flush()
        assert not path.exists()
        file.write(b' and half')
    assert path.read_bytes() == b'half and half'
    assert os.listdir(path.parent) == ['scores.npz']


@pytest.mark.parametrize('error', [RuntimeError, KeyboardInterrupt])
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / 'scores.npz'
    path.write_bytes(b'old')
    with pytest.raises(error):
        with atomic_write(path) as file:
            file.write(b'half')
            raise error
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['scores.npz']


def test_permissions_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        with atomic_write(tmp_path / 'file') as file:
            file.write(b'x')
    finally:
        os.umask(old)
    mode = stat.S_IMODE((tmp_path / 'file').stat().st_mode)
    assert mode == 0o640


def test_folder_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError, match='give a file name'):
        with atomic_write(tmp_path):
            pass


def test_image_keeps_its_colours(tmp_path):
    import cv2
    image = np.zeros((4, 6, 3), np.uint8)
    image[..., 0] = 200  # red
    write_image(image, tmp_path / 'red.png')
    read = cv2.imread(str(tmp_path / 'red.png'))[..., ::-1]
    np.testing.assert_array_equal(read, image)


@pytest.mark.parametrize('name', ['picture', 'picture.npz'])
def test_unknown_image_format_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match='not the extension of an image'):
        write_image(np.zeros((4, 4, 3), np.uint8), tmp_path / name)
    assert not os.listdir(tmp_path)
