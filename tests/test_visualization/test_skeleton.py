import matplotlib
import numpy as np
import pytest

from lgh_mmpose.geometry.hand import hand_links
from lgh_mmpose.inference.skeleton_2d import (draw_skeleton_2d, group_colors,
                                              joint_colors, text_color)
from lgh_mmpose.visualization.skeleton import (add_axes_3d, draw_skeleton_3d,
                                               figure_to_image, hand_layout,
                                               new_figure, set_view_3d)

NAMES = ['wrist'] + [
    f'{finger}{i}' for finger in ('thumb', 'forefinger', 'middle_finger',
                                  'ring_finger', 'pinky_finger')
    for i in range(1, 5)
]
RED = np.array([255, 0, 0])


@pytest.mark.parametrize('colors', [
    *(group_colors(n) for n in (1, 7, 12)),
    joint_colors(NAMES),
    matplotlib.colormaps['cividis'](np.linspace(0, 1, 256))[:, :3] * 255,
])
def test_text_is_read_on_every_colour(colors):
    """Contrast of 4.5 : 1 and more, as WCAG 2.1 asks of small text."""

    def luminance(color):
        parts = [c / 255 for c in color]
        parts = [
            p / 12.92 if p <= .04045 else ((p + .055) / 1.055)**2.4
            for p in parts
        ]
        return .2126 * parts[0] + .7152 * parts[1] + .0722 * parts[2]

    for color in colors:
        ink = luminance(
            dict(black=(0, 0, 0), white=(255, ) * 3)[text_color(color)])
        low, high = sorted([ink, luminance(color)])
        assert (high + .05) / (low + .05) >= 4.5, color


def test_each_finger_has_one_colour_of_its_own():
    colors = [tuple(c) for c in joint_colors(NAMES)]
    fingers = [set(colors[1 + 4 * i:5 + 4 * i]) for i in range(5)]
    assert all(len(finger) == 1 for finger in fingers)
    assert len(set().union(*fingers, {colors[0]})) == 6


def test_fingers_keep_their_colour_in_any_joint_order():
    order = np.random.default_rng(0).permutation(4) + 1
    # tip to base within each finger, as in RHD
    swapped = [0] + [4 * f + k for f in range(5) for k in order]
    np.testing.assert_array_equal(
        joint_colors([NAMES[i] for i in swapped]),
        joint_colors(NAMES)[swapped])


@pytest.mark.parametrize('num_groups', [1, 3, 7, 8, 21])
def test_groups_have_distinct_colours(num_groups):
    assert len({tuple(c) for c in group_colors(num_groups)}) == num_groups


def test_joints_of_a_group_share_its_colour():
    groups = np.arange(21) % 3
    np.testing.assert_array_equal(
        joint_colors(NAMES, groups),
        group_colors(3)[groups])


@pytest.mark.parametrize('groups, message', [
    (np.zeros(20, int), 'each of the 21 joints'),
    (np.full(21, -1), 'whole numbers from 0'),
    (np.zeros(21), 'whole numbers from 0'),
])
def test_groups_must_fit_the_joints(groups, message):
    with pytest.raises(ValueError, match=message):
        joint_colors(NAMES, groups)


def test_joints_and_bones_land_on_their_pixels():
    image = np.zeros((40, 60, 3), np.uint8)
    draw_skeleton_2d(
        image, np.array([[10., 20.], [50., 20.]]), [(0, 1)], RED, radius=3)
    drawn = image[..., 0] > 127
    assert drawn[20, 10:51].all()
    assert drawn[17:24, 10].all() and drawn[17:24, 50].all()
    assert not drawn[:16].any() and not drawn[25:].any()
    assert not drawn[:, :6].any() and not drawn[:, 55:].any()


def test_bone_has_the_colour_of_its_second_joint():
    image = np.zeros((20, 60, 3), np.uint8)
    draw_skeleton_2d(image, np.array([[10., 10.], [50., 10.]]), [(0, 1)],
                     np.array([[255, 0, 0], [0, 255, 0]]))
    np.testing.assert_array_equal(image[10, 30], [0, 255, 0])
    np.testing.assert_array_equal(image[10, 10], [255, 0, 0])


@pytest.mark.parametrize('lost', [np.nan, np.inf, 1e12])
def test_joints_that_are_nowhere_are_left_out(lost):
    image = np.zeros((20, 60, 3), np.uint8)
    points = np.array([[10., 10.], [lost, 10.], [50., 10.]])
    draw_skeleton_2d(image, points, [(0, 1), (1, 2)], RED, radius=2)
    assert image[10, 10].any() and image[10, 50].any()
    assert not image[10, 20:40].any()


def test_hidden_joints_are_left_out():
    image = np.zeros((20, 60, 3), np.uint8)
    draw_skeleton_2d(image, np.array([[10., 10.], [50., 10.]]), [(0, 1)], RED,
                     np.array([True, False]))
    assert image[10, 10].any() and not image[:, 20:].any()


def projected(points, elev=0., azim=-90.):
    """Pixels (x right, y down) at which a 3D view shows points."""
    from mpl_toolkits.mplot3d import proj3d
    figure = new_figure(300, 300)
    ax = add_axes_3d(figure, (0, 0, 1, 1))
    draw_skeleton_3d(ax, points, [(0, 1)], RED)
    set_view_3d(ax, points, elev, azim)
    figure_to_image(figure)
    x, y, z = points.T
    u, v, _ = proj3d.proj_transform(x, z, y, ax.get_proj())
    uv = ax.transData.transform(np.stack([u, v], 1))
    return np.stack([uv[:, 0], 300 - uv[:, 1]], 1)


def test_view_along_the_camera_looks_like_the_image():
    # origin, right, down and away, as far each, in the camera frame
    uv = projected(
        np.array([[0, 0, 500.], [50, 0, 500.], [0, 50, 500.], [0, 0, 550.]]))
    right, down, away = uv[1:] - uv[0]
    assert right[0] > 50 and abs(right[1]) < 1
    assert down[1] > 50 and abs(down[0]) < 1
    assert np.abs(away).max() < 1
    assert right[0] == pytest.approx(down[1], rel=1e-3)  # equal axes


def test_view_from_the_side_shows_depth():
    uv = projected(
        np.array([[0, 0, 500.], [50, 0, 500.], [0, 50, 500.], [0, 0, 550.]]),
        azim=0.)
    right, down, away = uv[1:] - uv[0]
    assert away[0] > 50 and abs(away[1]) < 1
    assert down[1] > 50 and np.abs(right).max() < 1


def test_a_hand_in_one_point_can_be_viewed():
    assert np.isfinite(projected(np.full((3, 3), 400.))).all()


def test_figures_leave_no_global_state():
    from matplotlib import pyplot as plt
    before = plt.get_fignums()
    image = figure_to_image(new_figure(70, 50))
    assert image.shape == (50, 70, 3) and image.dtype == np.uint8
    assert plt.get_fignums() == before


def test_bones_are_found_by_name_in_any_order():
    links = hand_links(NAMES)
    assert len(links) == 20 and (0, 1) in links and (1, 2) in links
    # RHD: from tip to base
    rhd = ['wrist'
           ] + [NAMES[4 * f + k] for f in range(5) for k in (4, 3, 2, 1)]
    named = {(rhd[a], rhd[b]) for a, b in hand_links(rhd)}
    assert named == {(NAMES[a], NAMES[b]) for a, b in links}
    assert hand_links(['thumb4', 'forefinger4']) == []


def test_joints_of_the_drawn_hand_do_not_touch():
    places = hand_layout(NAMES)
    distance = np.linalg.norm(places[:, None] - places, axis=-1)
    assert distance[~np.eye(21, dtype=bool)].min() > 20
    # a right hand from its back: the thumb on the left, fingers up
    assert places[1:5, 0].max() < places[5:, 0].min() + 30
    assert (places[1:, 1] < 0).all()
    np.testing.assert_array_equal(hand_layout(NAMES[::-1]), places[::-1])
    with pytest.raises(ValueError, match="'elbow' is not a joint"):
        hand_layout(['wrist', 'elbow'])
