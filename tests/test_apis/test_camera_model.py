import numpy as np
import pytest

from lgh_mmpose.plausibility import camera_suits_image


@pytest.mark.parametrize(
    'centre, size, suits',
    [
        ((112, 112), (224, 224), True),  # FreiHAND
        ((318.5, 250.3), (640, 480), True),  # STB
        ((325, 249), (640, 480), True),  # Dexter+Object
        ((110, 120), (224, 224), True),
        ((112, 112), (1920, 1080), False),  # of a crop
        ((960, 540), (224, 224), False),
        ((640, 360), (1920, 1080), False),  # of another resolution
        ((960, 540), (1280, 720), False),
        ((540, 960), (1920, 1080), False),  # of an upright photo
        ((320, 240), (640, 360), False),  # of one with more at top and bottom
        ((-5, 112), (224, 224), False),
    ])
def test_a_camera_suits_images_of_its_size(centre, size, suits):
    matrix = np.array([[500., 0, centre[0]], [0, 500, centre[1]], [0, 0, 1]])
    assert camera_suits_image(matrix, size) == suits
