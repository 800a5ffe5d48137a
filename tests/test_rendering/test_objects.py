import numpy as np
import pytest

from lgh_mmpose.rendering.objects import (OBJECTS, distance_field, draw_name,
                                          object_mesh, sample_object,
                                          signed_distance)


def _volume(vertices, faces):
    a, b, c = vertices[faces].transpose(1, 0, 2)
    return (a * np.cross(b, c)).sum() / 6


@pytest.mark.parametrize('name', OBJECTS)
def test_meshes_are_closed_and_face_outwards(name):
    rng = np.random.default_rng(0)
    for _ in range(5):
        mesh = object_mesh(sample_object(rng, name), np.eye(3), np.zeros(3))
        edges = mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).tolist()
        assert len(edges) == len({tuple(e) for e in edges})
        assert {tuple(e) for e in edges} == {(b, a) for a, b in edges}
        assert _volume(mesh.vertices, mesh.faces) > 100
        assert mesh.texture_faces.shape == mesh.faces.shape
        assert mesh.texture_faces.max() < len(mesh.texture_coordinates)
        assert mesh.texture_coordinates.min() >= 0
        assert mesh.texture_coordinates.max() <= 1


@pytest.mark.parametrize('name', OBJECTS)
def test_the_distance_is_zero_on_the_mesh(name):
    rng = np.random.default_rng(1)
    for _ in range(5):
        thing = sample_object(rng, name)
        rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        rotation *= np.linalg.det(rotation)
        position = rng.normal(0, 50, 3)
        mesh = object_mesh(thing, rotation, position)
        field = distance_field(thing, rotation, position)
        distance = signed_distance(mesh.vertices, *field)
        # Where two solids overlap, the surface of one lies inside the other.
        assert distance.max() < 1e-6
        corners = mesh.vertices[mesh.faces]
        normals = np.cross(corners[:, 1] - corners[:, 0],
                           corners[:, 2] - corners[:, 0])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        centres = corners.mean(axis=1)
        # Between the corners of turned solids the mesh lies a little inside.
        free = np.abs(signed_distance(centres, *field)) < .5
        assert free.mean() > (.99 if len(thing.solids) == 1 else .4)
        outside = signed_distance(centres + normals, *field)[free]
        # Next to another solid it is nearer to that.
        share = .999 if len(thing.solids) == 1 else .85
        assert (np.abs(outside - 1) < .6).mean() > share
        inside = signed_distance(centres - .3 * normals, *field)[free]
        assert (inside < .1).all()


def test_known_distances():
    rng = np.random.default_rng(0)
    box = sample_object(rng, 'phone')
    width, height, depth = box.size
    field = distance_field(box, np.eye(3), np.array([1., 2., 3.]))
    points = np.array([[1, 2, 3 + depth], [1, 2, 3], [1 + width, 2, 3],
                       [1, 2 - height, 3]])
    np.testing.assert_allclose(
        signed_distance(points, *field),
        [depth / 2, -depth / 2, width / 2, height / 2])
    can = sample_object(rng, 'can')
    field = distance_field(can, np.eye(3), np.zeros(3))
    points = np.array([[can.size[0], 0, 0], [0, 0, can.size[0]], [0, 0, 0],
                       [0, can.size[1], 0]])
    radius = can.size[0] / 2
    np.testing.assert_allclose(
        signed_distance(points, *field),
        [radius, radius, -min(radius, can.size[1] / 2), can.size[1] / 2])


def test_any_kind_is_drawn():
    assert sum(p for p, _ in OBJECTS.values()) == pytest.approx(1)
    rng = np.random.default_rng(0)
    names = {draw_name(rng) for _ in range(400)}
    assert names == set(OBJECTS)
