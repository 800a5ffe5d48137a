import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgh_mmpose.geometry.camera import warp_points
from lgh_mmpose.inference.detections import Detections, to_image
from lgh_mmpose.inference.letterbox import FILL, letterbox, letterbox_matrix

lengths = st.integers(1, 3000)
sizes = st.tuples(lengths, lengths)


def detections(boxes):
    num = len(boxes)
    return Detections(
        np.asarray(boxes, float), np.linspace(1, .5, num),
        np.array(['left'] * num), np.tile([1., 0.], (num, 1)))


def test_half_a_wide_image_stands_in_the_middle():
    image = np.zeros((480, 640, 3), np.uint8)
    pixels, warp = letterbox(image, (320, 320))
    assert pixels.shape == (320, 320, 3) and pixels.dtype == np.uint8
    assert not pixels[40:280].any()
    assert (pixels[:40] == FILL).all() and (pixels[280:] == FILL).all()
    # two pixels at 0 and 1 become one at 0: its centre was 0.5
    np.testing.assert_allclose(warp,
                               [[.5, 0, -.25], [0, .5, 39.75], [0, 0, 1]])


def test_an_image_of_the_size_of_the_input_is_left_alone():
    image = np.random.default_rng(0).integers(0, 255, (32, 64, 3), np.uint8)
    pixels, warp = letterbox(image, (64, 32))
    np.testing.assert_array_equal(pixels, image)
    np.testing.assert_array_equal(warp, np.eye(3))


@given(sizes, st.sampled_from([(320, 320), (256, 192), (64, 96)]))
def test_the_whole_image_is_in_the_input(image_size, input_size):
    warp = letterbox_matrix(image_size, input_size)
    corners = warp_points(
        np.array([[-.5, -.5], np.subtract(image_size, .5)]), warp)
    low, high = corners
    assert (low >= -.5 - 1e-9).all()
    assert (high <= np.subtract(input_size, .5) + 1e-9).all()
    # it touches two borders, and the others are as far as each other
    free = np.stack([low + .5, np.subtract(input_size, .5) - high])
    assert (free.max(axis=0) < .5 + 1e-9).any()
    assert (np.abs(free[0] - free[1]) <= 1 + 1e-9).all()
    # corners of pixels are on corners of pixels
    np.testing.assert_allclose(corners + .5, np.round(corners + .5), atol=1e-6)


@given(sizes, st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_a_box_comes_back_to_where_it_was(image_size, shares):
    ends = np.subtract(image_size, 1.)
    x, y = np.sort(np.reshape(shares, (2, 2)), axis=1)
    box = np.array(
        [x[0] * ends[0], y[0] * ends[1], x[1] * ends[0], y[1] * ends[1]])
    warp = letterbox_matrix(image_size, (320, 320))
    there = warp_points(box.reshape(2, 2), warp).reshape(1, 4)
    back = to_image(detections(there), warp, image_size)
    if (box[2:] > box[:2] + 1e-6).all():
        np.testing.assert_allclose(back.boxes, box[None], atol=1e-6)


@pytest.mark.parametrize('size', [(300, 200), (37, 90), (64, 64), (20, 10)])
def test_what_is_seen_is_where_the_matrix_says(size):
    width, height = size
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    image = np.exp(-((u - .6 * width)**2 + (v - .3 * height)**2) /
                   (.01 * min(size)**2))
    image = cv2.merge([np.uint8(200 * image)] +
                      [np.zeros_like(u, np.uint8)] * 2)
    pixels, warp = letterbox(image, (64, 64))
    weights = np.where(pixels[..., 1] == FILL, 0., pixels[..., 0])
    u, v = np.meshgrid(np.arange(64), np.arange(64))
    centre = [(weights * u).sum(), (weights * v).sum()] / weights.sum()
    expected = warp_points(np.array([[.6 * width, .3 * height]]), warp)[0]
    np.testing.assert_allclose(centre, expected, atol=.35)


def test_boxes_are_cut_at_the_border_and_dropped_outside():
    warp = letterbox_matrix((100, 50), (50, 50))
    boxes = [[-5, 5, 20, 30], [10, -10, 20, -1], [10, 0, 20, 9]]
    found = to_image(detections(boxes), warp, (100, 50))
    # the image fills rows 12 to 36 of the input
    np.testing.assert_allclose(found.boxes, [[0, 0, 40.5, 36.5]])
    assert found.scores.tolist() == [1] and len(found.directions) == 1
