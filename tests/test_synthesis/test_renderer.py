import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lgh_mmpose.synthesis.renderer import (NEAR, create_canvas, draw_mesh,
                                           resolve, vertex_normals)

SIZE = 16
CAMERA = np.array([[20., 0, 7.5], [0, 18., 8.25], [0, 0, 1]])
FACE = np.array([[0, 1, 2]], np.int32)


def draw(triangles, supersampling=1, parts=None, colors=None):
    """Draw (T, 3, 3) triangles on an empty canvas."""
    triangles = np.asarray(triangles, np.float64)
    canvas = create_canvas(SIZE, supersampling)
    vertices = triangles.reshape(-1, 3)
    faces = np.arange(len(vertices), dtype=np.int32).reshape(-1, 3)
    if parts is None:
        parts = np.arange(1, len(faces) + 1)
    if colors is None:
        colors = np.full_like(vertices, 100.)
    draw_mesh(canvas, vertices, faces, colors, np.asarray(parts, np.uint8),
              CAMERA)
    return canvas


def facing_square(z, half=10**4):
    """Two triangles that face the camera at depth z."""
    a, b, c, d = [[x, y, z] for x, y in ((-half, -half), (half, -half),
                                         (half, half), (-half, half))]
    return [[a, c, b], [a, d, c]]


def test_square_before_the_camera_fills_the_picture():
    canvas = draw(facing_square(200.))
    np.testing.assert_allclose(canvas.inverse_depth, 1 / 200, rtol=1e-6)
    np.testing.assert_allclose(canvas.color, 100, rtol=1e-5)
    assert set(np.unique(canvas.part)) == {1, 2}


def test_faces_turned_away_are_left_out():
    back = [triangle[::-1] for triangle in facing_square(200.)]
    assert not draw(back).part.any()


def test_nearest_surface_wins_in_any_order():
    near, far = facing_square(100.), facing_square(200.)
    for triangles, parts in ((near + far, [1, 1, 2,
                                           2]), (far + near, [2, 2, 1, 1])):
        canvas = draw(triangles, parts=parts)
        assert (canvas.part == 1).all()
        np.testing.assert_allclose(canvas.inverse_depth, .01, rtol=1e-6)


def test_what_lies_behind_the_camera_or_too_near_is_left_out():
    for z in (-200., 0., NEAR - 1):
        assert not draw(facing_square(z)).part.any()


coordinate = st.floats(-300, 300, allow_subnormal=False)
corner = st.tuples(coordinate, coordinate, st.floats(-200, 400))


@settings(max_examples=150, deadline=None)
@given(st.lists(corner, min_size=3, max_size=3))
def test_triangle_matches_ray_casting(corners):
    """Also through the near plane, where the triangle is cut."""
    a, b, c = np.array(corners)
    normal = np.cross(b - a, c - a)
    assume(np.linalg.norm(normal) > 100)
    normal /= np.linalg.norm(normal)
    assume(abs(normal @ a) > 1)  # not seen from the edge
    canvas = draw([[a, b, c]])

    v, u = np.mgrid[:SIZE, :SIZE]
    rays = np.stack([(u - CAMERA[0, 2]) / CAMERA[0, 0],
                     (v - CAMERA[1, 2]) / CAMERA[1, 1],
                     np.ones((SIZE, SIZE))], -1)
    slope = rays @ normal
    z = (normal @ a) / np.where(np.abs(slope) < 1e-9, 1e-9, slope)
    points = rays * z[..., None]
    basis = np.stack([b - a, c - a], 1)
    uv = np.linalg.lstsq(basis, (points - a).reshape(-1, 3).T, rcond=None)[0]
    weights = np.stack([1 - uv.sum(axis=0), *uv]).min(axis=0)
    weights = weights.reshape(SIZE, SIZE)
    front = normal @ a < 0
    margin = 1e-3
    inside = front & (weights > margin) & (z > NEAR * (1 + margin))
    outside = ~front | (weights < -margin) | (z < NEAR * (1 - margin))
    drawn = canvas.part > 0
    assert drawn[inside].all()
    assert not drawn[outside].any()
    np.testing.assert_allclose(
        canvas.inverse_depth[inside], 1 / z[inside], rtol=1e-3)


def test_color_is_interpolated():
    square = facing_square(200., half=150)
    colors = np.array(square).reshape(-1, 3)[:, :1] * [1, 0, 0] + 150
    canvas = draw(square, colors=colors)
    columns = np.arange(SIZE)
    x = 200 * (columns - CAMERA[0, 2]) / CAMERA[0, 0]
    covered = np.flatnonzero(np.abs(x) < 145)
    np.testing.assert_allclose(
        canvas.color[8, covered, 0], x[covered] + 150, atol=1e-2)


@pytest.mark.parametrize('supersampling', [1, 2, 3])
def test_samples_lie_symmetrically_about_the_pixel_centre(supersampling):
    """A square about the axis covers as much on either side of it."""
    camera = np.array([[20., 0, 7.5], [0, 20, 7.5], [0, 0, 1]])
    canvas = create_canvas(SIZE, supersampling)
    vertices = np.array(facing_square(200., half=51.)).reshape(-1, 3)
    draw_mesh(canvas, vertices,
              np.arange(6, dtype=np.int32).reshape(2, 3),
              np.full_like(vertices, 60.), np.array([1, 1], np.uint8), camera)
    alpha = resolve(canvas).alpha
    np.testing.assert_array_equal(alpha, alpha[::-1])
    np.testing.assert_array_equal(alpha, alpha[:, ::-1])
    assert alpha.sum() == pytest.approx(10.2**2, rel=.1)


def test_resolve_averages_samples_and_keeps_the_nearest_part():
    canvas = create_canvas(2)
    canvas.color[:2, :2] = 80
    canvas.inverse_depth[:2, :2] = [[.01, .01], [.02, 0]]
    canvas.part[:2, :2] = [[3, 3], [4, 0]]
    canvas.color[0, 2] = 80
    canvas.inverse_depth[0, 2] = .01
    canvas.part[0, 2] = 5
    layer = resolve(canvas)
    np.testing.assert_allclose(layer.alpha, [[.75, .25], [0, 0]])
    np.testing.assert_allclose(layer.color[0, :, 0], [60, 20])
    np.testing.assert_array_equal(layer.part, [[4, 0], [0, 0]])
    np.testing.assert_allclose(layer.inverse_depth, [[.02, 0], [0, 0]])


def test_normals_of_a_tetrahedron_point_outwards():
    vertices = np.array([[1., 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    faces = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    np.testing.assert_allclose(
        vertex_normals(vertices, faces), vertices / 3**.5, atol=1e-12)
