import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lgh_mmpose.geometry.camera import warp_points
from lgh_mmpose.geometry.crop import (Crop, crop_matrix, find_crop_fault,
                                      upright_rotation)
from lgh_mmpose.inference.crop import cut_out

SIZE = (40, 24)


@given(
    st.tuples(*[st.floats(-50, 50)] * 2), st.tuples(*[st.floats(3, 90)] * 2),
    st.sampled_from([1., 1.25, 2.]), st.booleans())
def test_the_box_fills_the_input_and_keeps_its_middle(corner, sides, padding,
                                                      use_udp):
    box = np.array([*corner, *np.add(corner, sides)])
    matrix = crop_matrix(box, SIZE, padding, use_udp)
    middle, = warp_points([(box[:2] + box[2:]) / 2], matrix)
    # of the pixel centres, or of the borders
    expected = np.subtract(SIZE, 1) / 2 if use_udp else np.divide(SIZE, 2)
    np.testing.assert_allclose(middle, expected, atol=1e-6)
    low, high = warp_points(box.reshape(2, 2), matrix)
    whole = np.subtract(SIZE, 1 if use_udp else 0)
    share = (high - low) * padding / whole
    assert share.max() == pytest.approx(1)
    assert (share <= 1 + 1e-9).all()


def test_another_side_is_the_mirror_image():
    image = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8),
        (0, 0), 2)
    box, crop = [11, 7.5, 40, 44], Crop(1.25, 1., False, 'right')
    right, warp = cut_out(image, box, crop, SIZE, 'right')
    left, mirrored = cut_out(image, box, crop, SIZE, 'left')
    np.testing.assert_array_equal(left, right[:, ::-1])
    points = np.random.default_rng(1).uniform(0, 50, (9, 2))
    straight, turned = (warp_points(points, m) for m in (warp, mirrored))
    np.testing.assert_allclose(turned[:, 0], SIZE[0] - 1 - straight[:, 0])
    np.testing.assert_allclose(turned[:, 1], straight[:, 1])
    both = crop._replace(hand_side=None)
    for side in ('left', 'right', None):
        pixels, _ = cut_out(image, box, both, SIZE, side)
        np.testing.assert_array_equal(pixels, right)


@pytest.mark.parametrize('use_udp', [False, True])
@pytest.mark.parametrize('side', ['right', 'left'])
@pytest.mark.parametrize('whole_image, padding', [(False, 1.25), (True, 1.5)])
def test_pixels_lie_where_the_warp_says(use_udp, side, whole_image, padding):
    # an image whose colours are the places
    x, y = np.meshgrid(np.arange(90), np.arange(80))
    image = np.stack([2 * x, 3 * y, 0 * x], -1).astype(np.uint8)
    box = [20, 17.5, 60, 55]
    pixels, warp = cut_out(image, box, Crop(1.25, 1.5, use_udp), SIZE, side,
                           whole_image)
    expected = crop_matrix(box, SIZE, padding, use_udp, mirror=side == 'left')
    np.testing.assert_allclose(warp, expected)
    v, u = np.mgrid[:SIZE[1], :SIZE[0]]
    places = warp_points(
        np.stack([u, v], -1).reshape(-1, 2) * 1., np.linalg.inv(warp))
    inside = (places > 0).all(1) & (places < [89, 79]).all(1)
    assert inside.sum() > 500
    # OpenCV takes places to 1/32 px
    np.testing.assert_allclose(
        pixels.reshape(-1, 3)[inside, :2], (places * [2, 3])[inside], atol=.75)


def test_whole_images_have_a_padding_of_their_own():
    image = np.zeros((24, 40, 3), np.uint8)
    _, whole = cut_out(
        image, [0, 0, 40, 24], Crop(2., 1.), SIZE, whole_image=True)
    np.testing.assert_allclose(whole, np.eye(3), atol=1e-12)
    _, tight = cut_out(image, [0, 0, 40, 24], Crop(2., 1.), SIZE)
    assert tight[0, 0] == .5


@pytest.mark.parametrize('changes, fault', [
    (dict(), None),
    (dict(hand_side=None), None),
    (dict(padding=0.), 'padding'),
    (dict(whole_image_padding=float('nan')), 'whole_image_padding'),
    (dict(use_udp=1), 'use_udp'),
    (dict(upright='yes'), 'upright'),
    (dict(hand_side='both'), 'hand_side'),
])
def test_crops_that_cannot_be_are_named(changes, fault):
    assert find_crop_fault(Crop()._replace(**changes)) == fault


@given(st.floats(-180, 180), st.sampled_from([.5, 3., 80.]))
def test_an_upright_crop_points_up(angle, length):
    way = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    rotation = upright_rotation(length * way)
    box = [10., 20., 50., 80.]
    for mirror in (False, True):
        matrix = crop_matrix(box, SIZE, 1.25, mirror=mirror, rotation=rotation)
        middle, tip = warp_points([[30., 50.], [30., 50.] + way], matrix)
        expected = np.divide(SIZE, 2)
        if mirror:
            expected = [SIZE[0] - 1 - expected[0], expected[1]]
        np.testing.assert_allclose(middle, expected, atol=1e-9)
        assert abs(tip[0] - middle[0]) < 1e-9
        assert tip[1] < middle[1]
        # neither larger nor smaller than as it is
        as_it_is = crop_matrix(box, SIZE, 1.25)
        assert np.linalg.det(matrix[:2, :2]) == pytest.approx(
            np.linalg.det(as_it_is[:2, :2]) * (-1 if mirror else 1))


def test_a_hand_that_points_nowhere_stays_as_it_is():
    assert upright_rotation([0., 0.]) == 0


@pytest.mark.parametrize('side', ['right', 'left'])
def test_only_networks_that_want_it_turn_hands(side):
    image = np.random.default_rng(0).integers(0, 256, (90, 80, 3), np.uint8)
    box, crop = [20, 17.5, 60, 55], Crop(1.25)
    as_it_is, warp = cut_out(image, box, crop, SIZE, side)
    for wanted, direction in ((False, [1, 0]), (True, None), (True, [0, -3])):
        pixels, same = cut_out(
            image,
            box,
            crop._replace(upright=wanted),
            SIZE,
            side,
            direction=direction)
        np.testing.assert_array_equal(pixels, as_it_is)
        np.testing.assert_array_equal(same, warp)
    pixels, turned = cut_out(
        image, box, crop._replace(upright=True), SIZE, side, direction=[1, 0])
    np.testing.assert_allclose(
        turned,
        crop_matrix(box, SIZE, 1.25, mirror=side == 'left', rotation=90),
        atol=1e-12)
    middle, right = warp_points([[40., 36.25], [41., 36.25]], turned)
    assert right[1] < middle[1] and abs(right[0] - middle[0]) < 1e-9
