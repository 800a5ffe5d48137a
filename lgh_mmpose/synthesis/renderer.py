"""Z-buffer rasteriser for triangle meshes with colours at the vertices.

Camera frame: x right, y down, z forward, millimetres. Pixel centres lie at
integer coordinates.
"""
from typing import NamedTuple

import numpy as np

from ..rendering.numba_utils import cached_njit

NEAR = 50.
"""Distance of the near plane in mm; what is closer is cut off."""


class Canvas(NamedTuple):
    """Supersampled picture.

    Attributes:
        color: (h, w, 3) float32, 0 to 255.
        inverse_depth: (h, w) float32 in 1/mm, 0 where nothing was drawn.
        part: (h, w) uint8, 0 where nothing was drawn.
        supersampling: Samples per pixel in each direction.
    """
    color: np.ndarray
    inverse_depth: np.ndarray
    part: np.ndarray
    supersampling: int


class Layer(NamedTuple):
    """Picture at the image's resolution.

    Attributes:
        color: (S, S, 3) float32, premultiplied by ``alpha``.
        alpha: (S, S) float32, covered fraction of the pixel.
        part: (S, S) uint8, part of the nearest sample where at least half of
            the pixel is covered, else 0.
        inverse_depth: (S, S) float32 in 1/mm of that sample, else 0.
    """
    color: np.ndarray
    alpha: np.ndarray
    part: np.ndarray
    inverse_depth: np.ndarray


def create_canvas(size: int, supersampling: int = 2) -> Canvas:
    """Return an empty canvas for a picture of ``size`` x ``size`` pixels."""
    n = size * supersampling
    return Canvas(
        np.zeros((n, n, 3), np.float32), np.zeros((n, n), np.float32),
        np.zeros((n, n), np.uint8), supersampling)


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
        normals[v] /= norm
    return normals


def draw_mesh(canvas: Canvas,
              vertices: np.ndarray,
              faces: np.ndarray,
              colors: np.ndarray,
              face_parts: np.ndarray,
              camera_matrix: np.ndarray,
              near: float = NEAR) -> None:
    """Draw a closed mesh into ``canvas``, in place.

    Faces turned away from the camera are left out; faces that reach through
    the near plane are cut there.

    Args:
        canvas: Picture to draw into.
        vertices: (V, 3) in the camera frame, mm.
        faces: (F, 3), counter-clockwise from outside.
        colors: (V, 3), 0 to 255.
        face_parts: (F,) uint8, not 0.
        camera_matrix: (3, 3) of the picture at its own resolution.
        near: Distance of the near plane in mm.
    """
    scale = canvas.supersampling
    # Samples of a pixel lie symmetrically about its centre.
    to_samples = np.array([[scale, 0, (scale - 1) / 2],
                           [0, scale, (scale - 1) / 2], [0, 0, 1.]])
    _draw_mesh(canvas.color, canvas.inverse_depth, canvas.part,
               np.ascontiguousarray(vertices, np.float64),
               np.ascontiguousarray(faces),
               np.ascontiguousarray(colors, np.float64), face_parts,
               to_samples @ camera_matrix, near)


@cached_njit
def _draw_triangle(color, inverse_depth, part, corners, part_id):
    """Draw one projected triangle; corners (3, 6): x, y, 1/z, colour."""
    height, width = inverse_depth.shape
    ax, ay = corners[0, 0], corners[0, 1]
    e1x, e1y = corners[1, 0] - ax, corners[1, 1] - ay
    e2x, e2y = corners[2, 0] - ax, corners[2, 1] - ay
    area = e1x * e2y - e1y * e2x
    if area >= -1e-6:  # seen from behind (y points down) or from the edge
        return
    left = min(ax, corners[1, 0], corners[2, 0])
    right = max(ax, corners[1, 0], corners[2, 0])
    top = min(ay, corners[1, 1], corners[2, 1])
    bottom = max(ay, corners[1, 1], corners[2, 1])
    if right < 0 or bottom < 0 or left > width - 1 or top > height - 1:
        return
    x0, x1 = int(np.ceil(max(left, 0.))), int(min(right, width - 1.))
    y0, y1 = int(np.ceil(max(top, 0.))), int(min(bottom, height - 1.))
    inv = 1. / area
    q0 = corners[0, 2]
    q1, q2 = corners[1, 2] - q0, corners[2, 2] - q0
    for y in range(y0, y1 + 1):
        dy = y - ay
        for x in range(x0, x1 + 1):
            dx = x - ax
            w1 = (dx * e2y - dy * e2x) * inv
            w2 = (dy * e1x - dx * e1y) * inv
            # The tolerance closes the seams between neighbours.
            if w1 >= -1e-6 and w2 >= -1e-6 and w1 + w2 <= 1.000001:
                q = q0 + w1 * q1 + w2 * q2
                if q > inverse_depth[y, x]:
                    inverse_depth[y, x] = q
                    part[y, x] = part_id
                    w0 = 1. - w1 - w2
                    for c in range(3):
                        color[y, x, c] = (
                            w0 * corners[0, 3 + c] + w1 * corners[1, 3 + c] +
                            w2 * corners[2, 3 + c])


@cached_njit
def _draw_mesh(color, inverse_depth, part, vertices, faces, colors, face_parts,
               camera, near):
    projected = np.empty((len(vertices), 6))
    for v in range(len(vertices)):
        x, y, z = vertices[v]
        if z > near:
            projected[
                v,
                0] = (camera[0, 0] * x + camera[0, 1] * y) / z + camera[0, 2]
            projected[v, 1] = camera[1, 1] * y / z + camera[1, 2]
            projected[v, 2] = 1. / z
            projected[v, 3:] = colors[v]
    corners = np.empty((3, 6))
    polygon = np.empty((4, 6))
    for f in range(len(faces)):
        in_front = 0
        for i in range(3):
            in_front += vertices[faces[f, i], 2] > near
        if in_front == 0:
            continue
        if in_front == 3:
            for i in range(3):
                corners[i] = projected[faces[f, i]]
            _draw_triangle(color, inverse_depth, part, corners, face_parts[f])
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
                polygon[count, 3:] = colors[a] + t * (colors[b] - colors[a])
                count += 1
        for i in range(1, count - 1):
            corners[0] = polygon[0]
            corners[1] = polygon[i]
            corners[2] = polygon[i + 1]
            _draw_triangle(color, inverse_depth, part, corners, face_parts[f])


def resolve(canvas: Canvas) -> Layer:
    """Average the samples of each pixel."""
    n = canvas.supersampling
    size = canvas.part.shape[0] // n
    layer = Layer(
        np.zeros((size, size, 3), np.float32),
        np.zeros((size, size), np.float32), np.zeros((size, size), np.uint8),
        np.zeros((size, size), np.float32))
    _resolve(canvas.color, canvas.inverse_depth, canvas.part, n, *layer)
    return layer


@cached_njit
def _resolve(color, inverse_depth, part, n, out_color, out_alpha, out_part,
             out_inverse_depth):
    size = out_part.shape[0]
    share = np.float32(1. / (n * n))
    for y in range(size):
        for x in range(size):
            covered = 0
            nearest = np.float32(0.)
            nearest_part = 0
            for sy in range(n * y, n * y + n):
                for sx in range(n * x, n * x + n):
                    q = inverse_depth[sy, sx]
                    if q > 0:
                        covered += 1
                        for c in range(3):
                            out_color[y, x, c] += color[sy, sx, c] * share
                        if q > nearest:
                            nearest = q
                            nearest_part = part[sy, sx]
            out_alpha[y, x] = covered * share
            if 2 * covered >= n * n:
                out_part[y, x] = nearest_part
                out_inverse_depth[y, x] = nearest
