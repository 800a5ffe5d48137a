"""Z-buffer and shadow map of triangle meshes.

Camera frame: x right, y down, z forward, millimetres. Pixel centres lie at
integer coordinates. A pixel has 2 x 2 samples.
"""
from typing import NamedTuple, Optional, Sequence

import numpy as np

from .numba_utils import cached_njit

NEAR = 50.
"""Distance of the near plane in mm; what is closer is cut off."""

SAMPLES = 2
"""Samples of a pixel in each direction."""


class Surface(NamedTuple):
    """Something to draw, in the camera frame.

    Attributes:
        vertices: (V, 3), mm.
        faces: (F, 3) int32, counter-clockwise seen from outside; a face shows
            its outside only.
        texture_coordinates: (T, 2), 0 to 1 across the texture, v down; what
            lies beyond is repeated.
        texture_faces: (F, 3) int32, texture coordinates of the corners.
        texture: (H, W, 3) float32, linear albedo.
        parts: (F,) uint8, what the faces stand for in the mask of parts; 0
            hides what is behind and is no part itself.
        relief: (H, W) float32, height in mm above the mesh, or None.
        sheen: (H, W) float32, 0 to 1, where the surface shines like varnish,
            or None.
        gloss: Strength of the mirrored light against a dielectric's.
        roughness: 0 (mirror) to 1 (matt).
        translucency: 0, or how far light spreads within, 1 for skin.
        metallic: 0, or 1 for a metal, whose colour is that of its mirror.
        fuzz: Strength of the light that cloth scatters at its edge.
    """
    vertices: np.ndarray
    faces: np.ndarray
    texture_coordinates: np.ndarray
    texture_faces: np.ndarray
    texture: np.ndarray
    parts: np.ndarray
    relief: Optional[np.ndarray] = None
    sheen: Optional[np.ndarray] = None
    gloss: float = 1.
    roughness: float = .5
    translucency: float = 0.
    metallic: float = 0.
    fuzz: float = 0.


class Layer(NamedTuple):
    """Picture of the surfaces.

    Attributes:
        color: (S, S, 3) float32, linear, premultiplied by ``alpha``.
        alpha: (S, S) float32, covered fraction of the pixel.
        part: (S, S) uint8, part of the nearest sample where at least half of
            the pixel is covered, else 0.
        inverse_depth: (S, S) float32 in 1/mm of that sample, else 0.
    """
    color: np.ndarray
    alpha: np.ndarray
    part: np.ndarray
    inverse_depth: np.ndarray


class Mesh(NamedTuple):
    """Several surfaces as one mesh.

    Attributes:
        vertices: (V, 3) float64.
        faces: (F, 3) int32.
        parts: (F,) uint8.
        starts: (N + 1,) int64, the first face of each of N surfaces.
    """
    vertices: np.ndarray
    faces: np.ndarray
    parts: np.ndarray
    starts: np.ndarray


def join(surfaces: Sequence[Surface]) -> Mesh:
    """Put the meshes of surfaces into one."""
    vertices = [s.vertices for s in surfaces]
    offsets = np.cumsum([0] + [len(v) for v in vertices])
    return Mesh(
        np.ascontiguousarray(np.concatenate(vertices), np.float64),
        np.concatenate([
            np.asarray(s.faces, np.int32) + np.int32(offset)
            for s, offset in zip(surfaces, offsets)
        ]), np.concatenate([np.asarray(s.parts, np.uint8) for s in surfaces]),
        np.cumsum([0] + [len(s.faces) for s in surfaces]))


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return unit normals of the vertices, weighted by the faces' areas.

    Args:
        vertices: (V, 3).
        faces: (F, 3), counter-clockwise from outside.

    Returns:
        np.ndarray: (V, 3), pointing outwards.
    """
    return _vertex_normals(vertices, faces)


@cached_njit
def _vertex_normals(vertices, faces):
    normals = np.zeros_like(vertices)
    for f in range(len(faces)):
        i, j, k = faces[f]
        ax = vertices[j, 0] - vertices[i, 0]
        ay = vertices[j, 1] - vertices[i, 1]
        az = vertices[j, 2] - vertices[i, 2]
        bx = vertices[k, 0] - vertices[i, 0]
        by = vertices[k, 1] - vertices[i, 1]
        bz = vertices[k, 2] - vertices[i, 2]
        x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        for v in (i, j, k):
            normals[v, 0] += x
            normals[v, 1] += y
            normals[v, 2] += z
    for v in range(len(normals)):
        x, y, z = normals[v]
        norm = max(np.sqrt(x * x + y * y + z * z), 1e-12)
        normals[v, 0] /= norm
        normals[v, 1] /= norm
        normals[v, 2] /= norm
    return normals


def visible_faces(mesh: Mesh,
                  camera_matrix: np.ndarray,
                  size: int,
                  near: float = NEAR):
    """Find the nearest face at each sample.

    Faces turned away from the camera are left out; faces that reach through
    the near plane are cut there.

    Args:
        mesh: The mesh.
        camera_matrix: (3, 3) of the picture at its own resolution.
        size: Side S of the picture in pixels.
        near: Distance of the near plane in mm.

    Returns:
        tuple: (2 S, 2 S) int32 faces, -1 where there is none, and (2 S, 2 S)
        float32 inverse depths in 1/mm, 0 there.
    """
    n = SAMPLES * size
    face = np.full((n, n), -1, np.int32)
    inverse_depth = np.zeros((n, n), np.float32)
    # Samples of a pixel lie symmetrically about its centre.
    to_samples = np.array([[SAMPLES, 0, (SAMPLES - 1) / 2],
                           [0, SAMPLES, (SAMPLES - 1) / 2], [0, 0, 1.]])
    _draw_mesh(face, inverse_depth, mesh.vertices, mesh.faces,
               to_samples @ camera_matrix, near)
    return face, inverse_depth


@cached_njit
def _draw_triangle(face, inverse_depth, corners, i, j, k, face_id):
    """Draw one projected triangle; corners i, j, k: x, y, 1/z."""
    height, width = inverse_depth.shape
    ax, ay = corners[i, 0], corners[i, 1]
    bx, by = corners[j, 0], corners[j, 1]
    cx, cy = corners[k, 0], corners[k, 1]
    e1x, e1y = bx - ax, by - ay
    e2x, e2y = cx - ax, cy - ay
    area = e1x * e2y - e1y * e2x
    if area >= -1e-6:  # seen from behind (y points down) or from the edge
        return
    left, right = min(ax, bx, cx), max(ax, bx, cx)
    top, bottom = min(ay, by, cy), max(ay, by, cy)
    if right < 0 or bottom < 0 or left > width - 1 or top > height - 1:
        return
    x0, x1 = int(np.ceil(max(left, 0.))), int(min(right, width - 1.))
    y0, y1 = int(np.ceil(max(top, 0.))), int(min(bottom, height - 1.))
    inv = 1. / area
    q0 = corners[i, 2]
    q1, q2 = corners[j, 2] - q0, corners[k, 2] - q0
    for y in range(y0, y1 + 1):
        dy = y - ay
        for x in range(x0, x1 + 1):
            dx = x - ax
            w1 = (dx * e2y - dy * e2x) * inv
            w2 = (dy * e1x - dx * e1y) * inv
            # The tolerance closes the seams between neighbours.
            if w1 >= -1e-6 and w2 >= -1e-6 and w1 + w2 <= 1.000001:
                q = np.float32(q0 + w1 * q1 + w2 * q2)
                if q > inverse_depth[y, x]:
                    inverse_depth[y, x] = q
                    face[y, x] = face_id


@cached_njit
def _draw_mesh(face, inverse_depth, vertices, faces, camera, near):
    projected = np.zeros((len(vertices), 3))
    for v in range(len(vertices)):
        x, y, z = vertices[v]
        if z > near:
            projected[
                v,
                0] = (camera[0, 0] * x + camera[0, 1] * y) / z + camera[0, 2]
            projected[v, 1] = camera[1, 1] * y / z + camera[1, 2]
            projected[v, 2] = 1. / z
    polygon = np.empty((4, 3))
    for f in range(len(faces)):
        in_front = 0
        for i in range(3):
            in_front += projected[faces[f, i], 2] > 0
        if in_front == 0:
            continue
        if in_front == 3:
            _draw_triangle(face, inverse_depth, projected, faces[f, 0],
                           faces[f, 1], faces[f, 2], f)
            continue
        # Cut at the near plane (Sutherland & Hodgman): 3 or 4 corners remain.
        count = 0
        for i in range(3):
            a, b = faces[f, i], faces[f, (i + 1) % 3]
            za, zb = vertices[a, 2], vertices[b, 2]
            if za > near:
                polygon[count] = projected[a]
                count += 1
            if (za > near) != (zb > near):
                t = (near - za) / (zb - za)
                x = vertices[a, 0] + t * (vertices[b, 0] - vertices[a, 0])
                y = vertices[a, 1] + t * (vertices[b, 1] - vertices[a, 1])
                polygon[count, 0] = (camera[0, 0] * x +
                                     camera[0, 1] * y) / near + camera[0, 2]
                polygon[count, 1] = camera[1, 1] * y / near + camera[1, 2]
                polygon[count, 2] = 1. / near
                count += 1
        for i in range(1, count - 1):
            _draw_triangle(face, inverse_depth, polygon, 0, i, i + 1, f)


class ShadowMap(NamedTuple):
    """What a distant lamp sees.

    Attributes:
        depth: (N, N) float32, mm along the light of the nearest surface, inf
            where there is none.
        frame: (3, 3), rows: right and down in the map, and along the light.
        origin: (2,) mm, the map's first texel in that frame.
        texel: Side of a texel in mm.
    """
    depth: np.ndarray
    frame: np.ndarray
    origin: np.ndarray
    texel: float


def shadow_map(mesh: Mesh, receivers: np.ndarray, direction: np.ndarray,
               size: int) -> ShadowMap:
    """Draw the mesh as a distant lamp sees it.

    Args:
        mesh: All that throws shadows.
        receivers: (N, 3) points that the map is to hold.
        direction: (3,) unit vector towards the lamp.
        size: Side of the map in texels.
    """
    along = -np.asarray(direction, np.float64)
    right = np.cross(along, np.eye(3)[np.abs(along).argmin()])
    right /= np.linalg.norm(right)
    frame = np.stack([right, np.cross(along, right), along])
    seen = np.einsum('vd,fd->fv', receivers, frame[:2])
    low, high = seen.min(axis=1), seen.max(axis=1)
    border = 5
    texel = max(float((high - low).max()), 1.) / (size - 2 * border)
    origin = low - border * texel
    depth = np.full((size, size), np.inf, np.float32)
    points = np.einsum('vd,fd->vf', mesh.vertices, frame)
    points[:, :2] = (points[:, :2] - origin) / texel
    _draw_depth(depth, points, mesh.faces)
    return ShadowMap(depth, frame, origin, texel)


@cached_njit
def _draw_depth(depth, points, faces):
    size = depth.shape[0]
    for f in range(len(faces)):
        i, j, k = faces[f]
        ax, ay = points[i, 0], points[i, 1]
        e1x, e1y = points[j, 0] - ax, points[j, 1] - ay
        e2x, e2y = points[k, 0] - ax, points[k, 1] - ay
        area = e1x * e2y - e1y * e2x
        if area >= -1e-9:
            continue
        left = min(ax, points[j, 0], points[k, 0])
        right = max(ax, points[j, 0], points[k, 0])
        top = min(ay, points[j, 1], points[k, 1])
        bottom = max(ay, points[j, 1], points[k, 1])
        if right < 0 or bottom < 0 or left > size - 1 or top > size - 1:
            continue
        inv = 1. / area
        z0 = points[i, 2]
        z1, z2 = points[j, 2] - z0, points[k, 2] - z0
        for y in range(
                int(np.ceil(max(top, 0.))),
                int(min(bottom, size - 1.)) + 1):
            dy = y - ay
            for x in range(
                    int(np.ceil(max(left, 0.))),
                    int(min(right, size - 1.)) + 1):
                dx = x - ax
                w1 = (dx * e2y - dy * e2x) * inv
                w2 = (dy * e1x - dx * e1y) * inv
                if w1 >= -1e-6 and w2 >= -1e-6 and w1 + w2 <= 1.000001:
                    z = np.float32(z0 + w1 * z1 + w2 * z2)
                    if z < depth[y, x]:
                        depth[y, x] = z
