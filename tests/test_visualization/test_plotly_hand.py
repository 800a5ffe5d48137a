import sys

import numpy as np
import pytest
from work_dir_writer import JOINT_NAMES

from lgh_mmpose.inference.skeleton_2d import group_colors
from lgh_mmpose.visualization.plotly_hand import hand_figure

JOINTS = np.random.default_rng(0).uniform(-80, 80, (21, 3)).round(2)


def dots(figure, name):
    return next(t for t in figure.data
                if t.name == name and t.mode == 'markers')


def test_axes_are_the_cameras_and_equally_scaled():
    figure = hand_figure(JOINTS, truth=JOINTS + 1)
    trace = dots(figure, 'prediction')
    drawn = np.stack([trace.x, trace.y, trace.z], axis=1).astype(float)
    # right, away from the eye, down
    np.testing.assert_allclose(drawn, JOINTS[:, [0, 2, 1]])
    assert figure.layout.scene.zaxis.autorange == 'reversed'
    assert figure.layout.scene.aspectmode == 'data'
    # seen as the camera does: from before the hand, x to the right
    eye = figure.layout.scene.camera.eye
    assert eye.y < 0 and abs(eye.y) > abs(eye.x)
    np.testing.assert_allclose(
        np.array(dots(figure, 'truth').x, float), JOINTS[:, 0] + 1)


def test_a_deep_hand_has_few_ticks():
    """They would lie on each other where the depth is seen end on."""
    scene = hand_figure(JOINTS * [1, 1, 3]).layout.scene
    assert scene.xaxis.title.text.endswith('x (mm)')
    for axis, most in ((scene.xaxis, 5), (scene.yaxis, 3), (scene.zaxis, 5)):
        assert axis.dtick is None and axis.nticks <= most


def test_a_flat_hand_fits_into_the_view():
    flat = JOINTS * [1, 1, .01]
    flat[3] = np.nan
    figure = hand_figure(flat)
    sizes = [
        np.ptp(
            [v for trace in figure.data for v in trace[axis] if v is not None])
        for axis in 'xyz'
    ]
    # what Plotly makes of equal axes; a narrow view, with the titles of the
    # axes, has room for 1.2
    ratio = max(sizes) / np.prod(sizes)**(1 / 3)
    assert ratio < 1.2
    assert dots(figure, 'room').marker.opacity == 0
    # the hand stays in the middle
    seen = dots(figure, 'prediction')
    for axis in 'xyz':
        low, high = dots(figure, 'room')[axis]
        known = [v for v in seen[axis] if v is not None]
        assert low + high == pytest.approx(min(known) + max(known), abs=.05)


def test_joints_are_named_and_their_errors_told():
    figure = hand_figure(JOINTS, truth=JOINTS + [0, 3, 4], groups=[2] * 21)
    label = dots(figure, 'prediction').text[1]
    assert label.startswith('thumb1<br>x ')
    assert 'error 5.0 mm' in label and 'group 2' in label
    assert 'error' not in dots(figure, 'truth').text[1]


def test_bones_have_the_colour_of_the_outer_joints_group():
    groups = np.arange(21) % 3
    figure = hand_figure(JOINTS, groups=groups)
    lines = figure.data[0]
    expected = ['rgb({},{},{})'.format(*c) for c in group_colors(3)]
    assert len(lines.x) == 20 * 3
    first, second, gap = (lines.line.color[i] for i in range(3))
    assert first == second == gap == expected[1]  # wrist to thumb1


def test_a_missing_joint_leaves_its_bones_out():
    joints = JOINTS.copy()
    joints[3] = np.nan
    lines = hand_figure(joints).data[0]
    x = np.array(lines.x, dtype=float).reshape(-1, 3)[:, :2]
    # thumb2-thumb3 and thumb3-thumb4
    assert np.isnan(x).any(axis=1).sum() == 2


def test_names_are_no_markup():
    names = ['<b>&', *JOINT_NAMES[1:]]
    assert hand_figure(
        JOINTS, joint_names=names).data[1].text[0].startswith('&lt;b&gt;&amp;')


@pytest.mark.parametrize('joints, truth, message', [
    (JOINTS[:20], None, r'joints must be \(21, 3\)'),
    (JOINTS, JOINTS[:, :2], r'truth must be \(21, 3\)'),
])
def test_shapes_must_fit_the_names(joints, truth, message):
    with pytest.raises(ValueError, match=message):
        hand_figure(joints, truth)


def test_the_extra_to_install_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'plotly.graph_objects', None)
    with pytest.raises(ImportError, match=r'lgh_mmpose\[report\]'):
        hand_figure(JOINTS)
