import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lgh_mmpose.rendering.rasterizer import (NEAR, SAMPLES, Mesh, Surface,
                                             join, shadow_map, vertex_normals,
                                             visible_faces)

SIZE = 8
CAMERA = np.array([[10., 0, 3.5], [0, 9., 3.75], [0, 0, 1]])


def mesh_of(triangles):
    """(T, 3, 3) triangles as a mesh."""
    vertices = np.asarray(triangles, np.float64).reshape(-1, 3)
    faces = np.arange(len(vertices), dtype=np.int32).reshape(-1, 3)
    return Mesh(vertices, faces, np.ones(len(faces), np.uint8),
                np.array([0, len(faces)]))


def draw(triangles):
    return visible_faces(mesh_of(triangles), CAMERA, SIZE)


def facing_square(z, half=10**4):
    """Two triangles that face the camera at depth z."""
    a, b, c, d = [[x, y, z] for x, y in ((-half, -half), (half, -half),
                                         (half, half), (-half, half))]
    return [[a, c, b], [a, d, c]]


def test_square_before_the_camera_fills_the_picture():
    face, inverse_depth = draw(facing_square(200.))
    np.testing.assert_allclose(inverse_depth, 1 / 200, rtol=1e-6)
    assert set(np.unique(face)) == {0, 1}


def test_faces_turned_away_are_left_out():
    back = [triangle[::-1] for triangle in facing_square(200.)]
    assert (draw(back)[0] == -1).all()


def test_nearest_surface_wins_in_any_order():
    near, far = facing_square(100.), facing_square(200.)
    for triangles, wanted in ((near + far, {0, 1}), (far + near, {2, 3})):
        face, inverse_depth = draw(triangles)
        assert set(np.unique(face)) == wanted
        np.testing.assert_allclose(inverse_depth, .01, rtol=1e-6)


def test_what_lies_behind_the_camera_or_too_near_is_left_out():
    for z in (-200., 0., NEAR - 1):
        assert (draw(facing_square(z))[0] == -1).all()


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
    face, inverse_depth = draw([[a, b, c]])

    # samples lie symmetrically about the pixels' centres
    v, u = (np.mgrid[:2 * SIZE, :2 * SIZE] - .5) / SAMPLES
    rays = np.stack([(u - CAMERA[0, 2]) / CAMERA[0, 0],
                     (v - CAMERA[1, 2]) / CAMERA[1, 1],
                     np.ones_like(u)], -1)
    slope = rays @ normal
    z = (normal @ a) / np.where(np.abs(slope) < 1e-9, 1e-9, slope)
    points = rays * z[..., None]
    basis = np.stack([b - a, c - a], 1)
    uv = np.linalg.lstsq(basis, (points - a).reshape(-1, 3).T, rcond=None)[0]
    weights = np.stack([1 - uv.sum(axis=0), *uv]).min(axis=0)
    weights = weights.reshape(u.shape)
    front = normal @ a < 0
    margin = 1e-3
    inside = front & (weights > margin) & (z > NEAR * (1 + margin))
    outside = ~front | (weights < -margin) | (z < NEAR * (1 - margin))
    drawn = face >= 0
    assert drawn[inside].all()
    assert not drawn[outside].any()
    np.testing.assert_allclose(inverse_depth[inside], 1 / z[inside], rtol=1e-3)


def test_joined_meshes_keep_faces_and_parts():
    plain = np.zeros((4, 4, 3), np.float32)
    surfaces = [
        Surface(
            np.array(facing_square(z)).reshape(-1, 3),
            np.arange(6, dtype=np.int32).reshape(2, 3), np.zeros((1, 2)),
            np.zeros((2, 3), np.int32), plain, np.array(parts, np.uint8))
        for z, parts in ((100., [3, 4]), (200., [5, 6]))
    ]
    mesh = join(surfaces)
    np.testing.assert_array_equal(mesh.parts, [3, 4, 5, 6])
    np.testing.assert_array_equal(mesh.starts, [0, 2, 4])
    np.testing.assert_array_equal(mesh.vertices[mesh.faces[2:]],
                                  facing_square(200.))


@pytest.mark.parametrize('direction',
                         [[0, 0, -1.], [.6, -.8, 0.], [-.48, .6, -.64]])
def test_shadow_map_holds_the_distance_of_the_nearest_surface(direction):
    direction = np.array(direction)
    right = np.cross(direction, [.3, .2, .9])
    right /= np.linalg.norm(right)
    up = np.cross(direction, right)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 40

    def square(distance):
        """Faces the lamp, at this distance towards it."""
        a, b, c, d = corners[:, :1] * right + corners[:, 1:] * up + (
            distance * direction)
        # anticlockwise about the direction towards the lamp
        if np.cross(b - a, c - a) @ direction < 0:
            b, d = d, b
        return [[a, b, c], [a, c, d]]

    mesh = mesh_of(square(30.) + square(-20.))
    result = shadow_map(mesh, mesh.vertices, direction, 32)
    inner = result.depth[np.isfinite(result.depth)]
    assert len(inner) > 200
    np.testing.assert_allclose(inner, -30, atol=1e-3)


def test_normals_of_a_tetrahedron_point_outwards():
    vertices = np.array([[1., 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    faces = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    np.testing.assert_allclose(
        vertex_normals(vertices, faces), vertices / 3**.5, atol=1e-12)
