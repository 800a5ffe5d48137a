import cv2
import numpy as np
import pytest
from geometry_strategies import bone_sine, cameras, floats, hands
from helpers import REPO_ROOT
from hypothesis import assume, given
from hypothesis import strategies as st

from lgh_mmpose.geometry.camera import (RootDepthStatus, back_project, project,
                                        solve_root_depth, viewing_rays,
                                        warp_points, weak_perspective_depth)

CAMERA = np.array([[500., 0., 112.], [0., 510., 110.], [0., 0., 1.]])

DATA = REPO_ROOT / 'tests/data'


def test_project_known_answers():
    xyz = np.array([[0., 0., 700.], [70., -35., 700.]])
    np.testing.assert_allclose(
        project(xyz, CAMERA), [[112., 110.], [162., 84.5]])


def test_project_uses_skew():
    camera = CAMERA.copy()
    camera[0, 1] = 20.
    np.testing.assert_allclose(
        project(np.array([[0., 100., 1000.]]), camera), [[114., 161.]])


def test_project_agrees_with_opencv():
    hand = np.random.default_rng(0).normal([0, 0, 600.], 50., (21, 3))
    expected = cv2.projectPoints(hand, np.zeros(3), np.zeros(3), CAMERA,
                                 None)[0][:, 0]
    np.testing.assert_allclose(project(hand, CAMERA), expected, atol=1e-9)


@given(hands(), cameras())
def test_back_project_inverts_project(hand, camera):
    uv = project(hand, camera)
    np.testing.assert_allclose(
        back_project(uv, hand[:, 2], camera), hand, atol=1e-9)


def test_functions_are_batched_over_leading_axes():
    rng = np.random.default_rng(1)
    xyz = rng.normal([0, 0, 600.], 40., (2, 3, 21, 3))
    camera = np.broadcast_to(CAMERA, (2, 3, 3, 3)) * 1.
    camera[..., 0, 0] += rng.uniform(0, 100, (2, 3))
    uv = project(xyz, camera)
    back = back_project(uv, xyz[..., 2], camera)
    solved = solve_root_depth(
        uv, xyz[..., 2] - xyz[..., 9:10, 2], camera, (9, 10),
        np.linalg.norm(xyz[..., 9, :] - xyz[..., 10, :], axis=-1))
    assert uv.shape == (2, 3, 21, 2) and solved.depth.shape == (2, 3)
    np.testing.assert_allclose(back, xyz)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_allclose(uv[i, j], project(xyz[i, j], camera[i, j]))
        one = solve_root_depth(uv[i, j], xyz[i, j, :, 2] - xyz[i, j, 9, 2],
                               camera[i, j], (9, 10),
                               np.linalg.norm(xyz[i, j, 9] - xyz[i, j, 10]))
        np.testing.assert_allclose(one.depth, solved.depth[i, j])
        assert one.status == solved.status[i, j]


def test_singular_camera_is_refused():
    with pytest.raises(np.linalg.LinAlgError):
        viewing_rays(np.zeros((21, 2)), np.diag([500., 0., 1.]))


def test_warp_points_known_answer():
    # quarter turn about the origin, doubled, then shifted
    warp = np.array([[0., -2., 5.], [2., 0., 7.], [0., 0., 1.]])
    np.testing.assert_allclose(
        warp_points(np.array([[1., 0.], [0., 1.]]), warp),
        [[5., 9.], [3., 7.]])


@given(hands(), cameras(), floats(-180, 180), floats(.05, 20), st.booleans())
def test_warping_pixels_is_warping_the_camera(hand, camera, degrees, scale,
                                              mirror):
    warp = np.eye(3)
    warp[:2] = cv2.getRotationMatrix2D((100., 80.), degrees, scale)
    if mirror:
        warp = np.array([[-1., 0., 127.], [0., 1., 0.], [0., 0., 1.]]) @ warp
    np.testing.assert_allclose(
        warp_points(project(hand, camera), warp),
        project(hand, warp @ camera),
        rtol=1e-9,
        atol=1e-7)


# -- root depth --------------------------------------------------------------


def scene(hand, camera=CAMERA, bone=(9, 10)):
    """What is known of a hand at test time."""
    return dict(
        keypoints=project(hand, camera),
        relative_depth=hand[:, 2] - hand[bone[0], 2],
        camera_matrix=camera,
        reference_bone=bone,
        bone_length=np.linalg.norm(hand[bone[1]] - hand[bone[0]]))


def check_root_depth(hand, root, depth, status, arguments):
    """The true depth, or where two depths fit, one that fits the bone."""
    assert status in (RootDepthStatus.SOLVED, RootDepthStatus.AMBIGUOUS)
    if status == RootDepthStatus.SOLVED:
        assert depth == pytest.approx(hand[root, 2], abs=1e-6)
    rays = viewing_rays(arguments['keypoints'], arguments['camera_matrix'])
    points = rays * (depth + arguments['relative_depth'])[:, None]
    start, end = points[list(arguments['reference_bone'])]
    assert np.linalg.norm(end - start) == pytest.approx(
        arguments['bone_length'], abs=1e-6)


@given(hands(), cameras())
def test_root_depth_is_exact_on_ground_truth(hand, camera):
    assume(bone_sine(hand) > .5)
    arguments = scene(hand, camera)
    depth, status = solve_root_depth(**arguments)
    check_root_depth(hand, 9, depth, status, arguments)


@given(hands(), cameras(), st.integers(1, 3))
def test_root_need_not_be_an_end_of_the_reference_bone(hand, camera, joint):
    assume(bone_sine(hand, joint, joint + 1) > .5)
    arguments = scene(hand, camera, (joint, joint + 1))
    arguments['relative_depth'] = hand[:, 2] - hand[0, 2]
    depth, status = solve_root_depth(**arguments, max_ratio=None)
    check_root_depth(hand, 0, depth, status, arguments)


def test_two_depths_fit_a_steep_bone_far_from_the_root():
    hand = np.tile([-6., 94., 291.], (21, 1))
    hand[:3] = [15, 137, 430], [14, 141, 390], [8, 145, 353]
    camera = np.array([[300., 0., 50.], [0., 300., 50.], [0., 0., 1.]])
    arguments = scene(hand, camera, (1, 2))
    arguments['relative_depth'] = hand[:, 2] - hand[0, 2]
    depth, status = solve_root_depth(**arguments, max_ratio=None)
    assert status == RootDepthStatus.AMBIGUOUS
    check_root_depth(hand, 0, depth, status, arguments)


# A flat skeleton: the reference bone 0-1 and a cross bone 0-2 as long as two.
BONES = dict(bones=np.array([[0, 1], [0, 2]]), bone_lengths=np.array([1., 2.]))


def steep_bone(ray_step: float, delta: float, cross: float) -> dict:
    r"""Bone with its end at the ray (1, 0, 1) and ``delta`` behind the root.

    Its roots are (-delta +- sqrt(1 - delta^2)) / ray_step. The cross bone has
    the size ``cross`` on the plane z = 1.
    """
    rays = np.array([[1. - ray_step, 0., 1.], [1., 0., 1.],
                     [1. - ray_step, cross, 1.]])
    return dict(
        keypoints=project(rays, CAMERA),
        relative_depth=np.array([0., delta, 0.]),
        camera_matrix=CAMERA,
        reference_bone=(0, 1),
        **BONES)


@pytest.mark.parametrize('truth', [4., 28.])
def test_of_two_roots_the_one_fitting_the_other_bones_is_taken(truth):
    depth, status = solve_root_depth(**steep_bone(.05, -.8, cross=2 / truth))
    assert status == RootDepthStatus.AMBIGUOUS
    assert depth == pytest.approx(truth, rel=1e-9)


def test_no_root_in_front_of_the_camera():
    # the roots are -28 and -4
    depth, status = solve_root_depth(**steep_bone(.05, .8, cross=2 / 28))
    assert status == RootDepthStatus.BEHIND_CAMERA
    assert depth == pytest.approx(28, rel=.3)


def test_root_that_puts_another_joint_behind_the_camera_is_refused():
    arguments = steep_bone(.05, -.8, cross=2 / 28)
    arguments['relative_depth'][2] = -40.
    depth, status = solve_root_depth(**arguments)
    assert status == RootDepthStatus.BEHIND_CAMERA
    assert depth > 40


def test_bone_along_the_viewing_ray():
    hand = np.array([[0., 0., 28.], [0., 0., 29.], [2., 0., 28.]])
    depth, status = solve_root_depth(**scene(hand, bone=(0, 1)), **BONES)
    assert status == RootDepthStatus.FORESHORTENED
    assert depth == pytest.approx(28, rel=1e-6)


def test_bone_almost_along_the_viewing_ray_is_told_from_a_solvable_one():
    for sine, expected in ((.015, RootDepthStatus.FORESHORTENED),
                           (.03, RootDepthStatus.SOLVED)):
        hand = np.array([[0., 0., 28.], [sine, 0., 28. + np.sqrt(1 - sine**2)],
                         [2., 0., 28.]])
        depth, status = solve_root_depth(**scene(hand, bone=(0, 1)), **BONES)
        assert status == expected
        assert depth == pytest.approx(28, rel=1e-2)


def test_contradicting_prediction():
    # depth difference of 1.5 bone lengths: no root depth explains it
    hand = np.array([[0., 0., 28.], [.5, 0., 28.], [0., 2., 28.]])
    arguments = scene(hand, bone=(0, 1))
    arguments.update(
        relative_depth=np.array([0., 1.5, 0.]), bone_length=1., **BONES)
    depth, status = solve_root_depth(**arguments)
    assert status == RootDepthStatus.INCONSISTENT
    assert depth == pytest.approx(28, rel=.1)


def test_root_far_off_the_size_of_the_hand_is_refused():
    # image length of a bone seen from the side, depth of one seen end on
    hand = np.array([[0., 0., 28.], [1., 0., 28.], [0., 2., 28.]])
    arguments = scene(hand, bone=(0, 1))
    arguments.update(relative_depth=np.array([0., .98, 0.]), **BONES)
    depth, status = solve_root_depth(**arguments)
    assert status == RootDepthStatus.IMPLAUSIBLE
    assert depth == pytest.approx(28, rel=.2)
    depth, status = solve_root_depth(**arguments, max_ratio=None)
    assert status == RootDepthStatus.SOLVED
    assert depth == pytest.approx(28 * np.sqrt(1 - .98**2) - .98)


points = st.lists(
    st.tuples(floats(-1e4, 1e4), floats(-1e4, 1e4), floats(-1e3, 1e3)),
    min_size=3,
    max_size=3)


@given(points, cameras(), floats(1e-3, 1e3))
def test_root_depth_is_finite_and_all_joints_are_in_front(
        joints, camera, bone_length):
    joints = np.array(joints)
    joints[:, 2] -= joints[0, 2]
    depth, status = solve_root_depth(joints[:, :2], joints[:, 2] * bone_length,
                                     camera, (0, 1), bone_length, **BONES)
    assert np.isfinite(depth) and depth > 0
    assert (depth + joints[:, 2] * bone_length > 0).all()
    assert status in list(RootDepthStatus)


def magnitudes(low, high):
    return st.builds(lambda exponent, sign: sign * 10.**exponent,
                     floats(low, high), st.sampled_from([-1, 1]))


@given(
    st.lists(
        st.tuples(*[magnitudes(-50, 50) | st.just(0.)] * 3),
        min_size=3,
        max_size=3), floats(-7, 7), floats(-50, 50), st.booleans())
def test_so_it_is_in_the_whole_domain(joints, focal, bone_length, any_root):
    camera = np.diag([10.**focal, 10.**focal, 1])
    bone_length = 10.**bone_length
    joints = np.array(joints) * [10.**focal, 10.**focal, bone_length]
    joints[:, 2] -= joints[0, 2]
    # within the domain though numbers are rounded
    joints *= .4
    with np.errstate(over='raise', invalid='raise'):
        depth, status = solve_root_depth(
            joints[:, :2],
            joints[:, 2],
            camera, (0, 1),
            max(bone_length, 1e-50),
            **BONES,
            max_ratio=None if any_root else 2.)
    assert np.isfinite(depth) and depth > 0
    assert (depth + joints[:, 2] > 0).all()
    assert status in list(RootDepthStatus)


@given(
    st.lists(
        st.tuples(
            *[st.floats(width=32, allow_nan=False, allow_infinity=False)] * 3),
        min_size=3,
        max_size=3), floats(-7, 7), floats(-2, 4))
def test_whatever_float32_holds_gives_a_depth(joints, focal, bone_length):
    """Of a network that is not trained, or lost."""
    joints = np.array(joints, np.float32).astype(float)
    camera = np.diag([10.**focal, 10.**focal, 1])
    depth = (joints[:, 2] - joints[0, 2]) * 10.**bone_length
    root, _ = solve_root_depth(joints[:, :2], depth, camera, (0, 1),
                               10.**bone_length, **BONES)
    assert (root + depth > 0).all()
    assert np.isfinite(back_project(joints[:, :2], root + depth, camera)).all()


def test_all_joints_on_one_pixel_still_give_a_depth():
    depth, status = solve_root_depth(
        np.full((3, 2), 100.), np.zeros(3), CAMERA, (0, 1), 30., **BONES)
    assert status == RootDepthStatus.FORESHORTENED
    # as far as a hand that covers about one pixel
    assert depth == pytest.approx(30 * np.sqrt(5 * 500 * 510))


@pytest.mark.parametrize('name, value', [('keypoints', np.nan),
                                         ('relative_depth', np.inf),
                                         ('keypoints', 1e55),
                                         ('relative_depth', -1e55),
                                         ('bone_length', 0.),
                                         ('bone_length', np.nan),
                                         ('bone_length', 1e-60),
                                         ('bone_length', 1e60)])
def test_senseless_input_is_refused(name, value):
    hand = np.random.default_rng(0).normal([0, 0, 600.], 40., (21, 3))
    arguments = scene(hand)
    arguments[name] = np.full_like(arguments[name], value)
    with pytest.raises(ValueError, match=name.split('_')[0]):
        solve_root_depth(**arguments)


@pytest.mark.parametrize('focal', [1e-60, 1e200, 1e308])
def test_camera_of_no_world_is_refused(focal):
    hand = np.random.default_rng(0).normal([0, 0, 600.], 40., (21, 3))
    arguments = dict(scene(hand), camera_matrix=np.diag([focal, focal, 1]))
    with pytest.raises(ValueError, match='pixel|rays'):
        solve_root_depth(**arguments)


@pytest.mark.parametrize('length', [0, np.inf, '1'])
def test_usual_lengths_are_lengths(length):
    arguments = scene(np.eye(3) + [0, 0, 9], bone=(0, 1))
    arguments.update(BONES, bone_lengths=np.array([1, length]))
    with pytest.raises(ValueError, match='usual bone lengths'):
        solve_root_depth(**arguments)


# -- weak perspective --------------------------------------------------------


@given(floats(1., 1e4), st.integers(0, 2**32 - 1))
def test_weak_perspective_is_exact_for_parallel_projection(scale, seed):
    rng = np.random.default_rng(seed)
    xyz = rng.normal(size=(4, 3))
    bones = np.array([[0, 1], [1, 2], [2, 3]])
    lengths = np.linalg.norm(xyz[bones[:, 1]] - xyz[bones[:, 0]], axis=-1)
    image = np.linalg.norm(
        (xyz[bones[:, 1]] - xyz[bones[:, 0]])[:, :2], axis=-1)
    # a hand seen edge on is left to the next test
    assume((image / lengths).min() > .5)
    found = weak_perspective_depth(xyz[:, :2] / scale, xyz[:, 2], bones,
                                   lengths)
    assert found == pytest.approx(scale, rel=1e-9)


def test_weak_perspective_ignores_depths_longer_than_the_bones():
    points = np.array([[0., 0.], [.1, 0.], [0., .2]])
    depth = np.array([0., 30., -30.])
    assert weak_perspective_depth(points, depth, BONES['bones'],
                                  BONES['bone_lengths']) == pytest.approx(10.)


def test_back_projection_equals_the_release():
    """``P2W`` of the authors' release: depth in bones, root depth given."""
    reference = np.load(DATA / 'parity_metrics.npz')
    uvd = reference['p2w_P'].astype(float)
    camera = reference['p2w_K'].astype(float)
    root_depth = camera[:, 2, 2].copy()  # where the release keeps it
    camera[:, 2, 2] = 1
    z = uvd[..., 2] * reference['p2w_bl'].reshape(-1, 1) + root_depth[:, None]
    np.testing.assert_allclose(
        back_project(uvd[..., :2], z, camera), reference['p2w_xyz'], atol=1e-6)
