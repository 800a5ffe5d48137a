"""Per-pixel light: environment, key light with soft shadows, skin.

Each pixel's samples are put into groups that show one surface at one depth;
a group is shaded once.
"""
from typing import Sequence

import cv2
import numpy as np

from .lighting import Light
from .numba_utils import cached_njit
from .rasterizer import (NEAR, SAMPLES, Layer, Surface, join, shadow_map,
                         vertex_normals, visible_faces)

_CIRCLE = np.stack(
    [np.cos(np.arange(12) * 2.39996323),
     np.sin(np.arange(12) * 2.39996323)], 1) * np.sqrt(
         (np.arange(12)[:, None] + .7) / 12)
_OCCLUSION_RADIUS = 24.  # mm


def render(surfaces: Sequence[Surface],
           camera_matrix: np.ndarray,
           size: int,
           light: Light,
           occlusion: float = 1.,
           near: float = NEAR) -> Layer:
    """Draw surfaces.

    Args:
        surfaces: What is drawn; all of them throw shadows.
        camera_matrix: (3, 3).
        size: Side S of the picture in pixels.
        light: The light.
        occlusion: Strength of the darkening in creases, 0 for none.
        near: Distance of the near plane in mm; what is closer is cut off.

    Returns:
        Layer: The picture, linear: :func:`to_srgb` makes it one to look at.
    """
    layer = Layer(
        np.zeros((size, size, 3), np.float32),
        np.zeros((size, size), np.float32), np.zeros((size, size), np.uint8),
        np.zeros((size, size), np.float32))
    if not surfaces:
        return layer
    mesh = join(surfaces)
    face, inverse_depth = visible_faces(mesh, camera_matrix, size, near)
    to_ray = _inverse(camera_matrix)
    pixel, fragment_face, place, weight = _fragments(face, inverse_depth,
                                                     mesh.starts,
                                                     3. * to_ray[0, 0])
    _resolve(face, inverse_depth, mesh.parts, layer.alpha, layer.part,
             layer.inverse_depth)
    if not len(pixel):
        return layer

    rays = np.empty((len(pixel), 3))
    rays[:, 0] = (
        to_ray[0, 0] * place[:, 0] + to_ray[0, 1] * place[:, 1] + to_ray[0, 2])
    rays[:, 1] = to_ray[1, 1] * place[:, 1] + to_ray[1, 2]
    rays[:, 2] = 1
    seen = rays * place[:, 2:]
    lit = light.key_color.max() > 0
    # Shadows are about as fine as the picture.
    shadows = shadow_map(mesh, seen, light.key_direction,
                         int(np.clip(1.25 * size, 64, 320)) if lit else 16)
    # far away where there is nothing, so that it hides nothing
    depth = 1 / np.maximum(inverse_depth, np.float32(1e-6))
    normals = vertex_normals(mesh.vertices, mesh.faces)
    owner = np.searchsorted(mesh.starts, fragment_face, side='right') - 1
    # texture units per mm are those of a few faces; one level per surface
    distance = float(np.median(place[:, 2]))
    for index, surface in enumerate(surfaces):
        chosen = np.flatnonzero(owner == index)
        if not len(chosen):
            continue
        texture, relief, sheen = _textures(surface, distance * to_ray[0, 0])
        _shade(
            chosen, pixel, fragment_face, seen, weight, mesh.vertices,
            mesh.faces, normals, mesh.starts[index],
            np.ascontiguousarray(surface.texture_coordinates, np.float64),
            np.ascontiguousarray(surface.texture_faces), texture, relief,
            sheen,
            np.array([
                surface.gloss, surface.roughness, surface.translucency,
                surface.metallic, surface.fuzz
            ], np.float64), light.sh, light.key_direction, light.key_color,
            light.key_softness, light.reflection, light.rotation,
            shadows.depth, shadows.frame,
            shadows.origin, shadows.texel, lit, depth, to_ray,
            float(camera_matrix[0, 0]), _CIRCLE, _OCCLUSION_RADIUS, occlusion,
            layer.color)
    return layer


def _inverse(camera_matrix: np.ndarray) -> np.ndarray:
    """Inverse of a camera matrix; LAPACK would start threads for it."""
    (fx, skew, cx), (_, fy, cy) = camera_matrix[:2]
    return np.array([[1 / fx, -skew / (fx * fy), (skew * cy / fy - cx) / fx],
                     [0, 1 / fy, -cy / fy], [0, 0, 1.]])


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """Return (...) float32 sRGB values, 0 to 255, of linear light 0 to 1."""
    linear = np.clip(linear, 0, 1).astype(np.float32, copy=False)
    return np.where(
        linear < .0031308, 3294.6 * linear,
        269.025 * cv2.pow(linear, 1 / 2.4).reshape(linear.shape) - 14.025)


_EMPTY = np.zeros((0, 0), np.float32)


def _textures(surface: Surface, pixel: float):
    """Texture, relief and sheen, coarser if they are finer than a pixel.

    Args:
        surface: The surface.
        pixel: Side of a pixel in mm.
    """
    texture = np.ascontiguousarray(surface.texture, np.float32)
    maps = [
        _EMPTY if m is None else np.ascontiguousarray(m, np.float32)
        for m in (surface.relief, surface.sheen)
    ]
    height, width = texture.shape[:2]
    for name, m in zip(('relief', 'sheen'), maps):
        if m.size and m.shape != (height, width):
            raise ValueError(f'the {name} of a surface is of shape {m.shape}, '
                             f'its texture of {texture.shape}')
    step = max(1, len(surface.faces) // 200)
    corners = surface.vertices[surface.faces[::step]]
    places = surface.texture_coordinates[surface.texture_faces[::step]]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = np.linalg.norm(np.cross(a, b), axis=1).sum()
    a, b = places[:, 1] - places[:, 0], places[:, 2] - places[:, 0]
    texels = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()
    texels *= width * height
    per_pixel = pixel * np.sqrt(texels / max(area, 1e-9))
    while per_pixel > 1.6 and min(height, width) >= 8:
        height, width = height // 2, width // 2
        per_pixel /= 2
    if texture.shape[:2] != (height, width):
        shrink = dict(dsize=(width, height), interpolation=cv2.INTER_AREA)
        texture = cv2.resize(texture, **shrink)
        maps = [cv2.resize(m, **shrink) if m.size else m for m in maps]
    return (texture, *maps)


@cached_njit
def _fragments(face, inverse_depth, starts, tolerance):
    """Group the samples of each pixel.

    Samples of one surface whose depths differ by less than ``tolerance`` times
    the depth belong together.

    Returns:
        tuple: (M,) pixels, (M,) faces, (M, 3) x, y and depth of one sample of
        the group, (M,) fraction of the pixel.
    """
    n = SAMPLES
    size = face.shape[0] // n
    count = 0
    # room for the worst case: every sample on its own
    total = 0
    for y in range(face.shape[0]):
        for x in range(face.shape[1]):
            total += face[y, x] >= 0
    pixel = np.empty(total, np.int32)
    owner = np.empty(total, np.int32)
    place = np.empty((total, 3))
    weight = np.empty(total, np.float32)
    taken = np.empty(n * n, np.bool_)
    surface = np.empty(n * n, np.int64)
    for y in range(size):
        for x in range(size):
            for s in range(n * n):
                f = face[n * y + s // n, n * x + s % n]
                taken[s] = f < 0
                if f >= 0:
                    surface[s] = np.searchsorted(starts, f, side='right')
            for s in range(n * n):
                if taken[s]:
                    continue
                z = 1. / inverse_depth[n * y + s // n, n * x + s % n]
                members = 0
                for t in range(s, n * n):
                    if taken[t] or surface[t] != surface[s]:
                        continue
                    zt = 1. / inverse_depth[n * y + t // n, n * x + t % n]
                    if abs(zt - z) <= tolerance * z:
                        taken[t] = True
                        members += 1
                pixel[count] = y * size + x
                owner[count] = face[n * y + s // n, n * x + s % n]
                place[count, 0] = x + (s % n - (n - 1) / 2) / n
                place[count, 1] = y + (s // n - (n - 1) / 2) / n
                place[count, 2] = z
                weight[count] = members / (n * n)
                count += 1
    return pixel[:count], owner[:count], place[:count], weight[:count]


@cached_njit
def _resolve(face, inverse_depth, parts, out_alpha, out_part,
             out_inverse_depth):
    n = SAMPLES
    size = out_part.shape[0]
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
                        if q > nearest:
                            nearest = q
                            nearest_part = parts[face[sy, sx]]
            out_alpha[y, x] = covered / (n * n)
            if 2 * covered >= n * n:
                out_part[y, x] = nearest_part
                out_inverse_depth[y, x] = nearest


@cached_njit
def _lit_fraction(depth, u, v, z, radius, bias):
    """Share of a square of the shadow map that lets light through to z."""
    size = depth.shape[0]
    low_u, high_u = u - radius, u + radius
    low_v, high_v = v - radius, v + radius
    lit = 0.
    total = 0.
    for j in range(int(np.floor(low_v + .5)), int(np.floor(high_v + .5)) + 1):
        wj = min(high_v, j + .5) - max(low_v, j - .5)
        jj = min(max(j, 0), size - 1)
        for i in range(
                int(np.floor(low_u + .5)),
                int(np.floor(high_u + .5)) + 1):
            w = wj * (min(high_u, i + .5) - max(low_u, i - .5))
            total += w
            if z - depth[jj, min(max(i, 0), size - 1)] < bias:
                lit += w
    return lit / total


@cached_njit
def _thickness(depth, u, v, z):
    """Mean way in mm that light takes to z behind the nearest surface."""
    size = depth.shape[0]
    iu, iv = int(np.floor(u)), int(np.floor(v))
    total = 0.
    for j in range(-1, 3):
        wj = max(2 - abs(v - iv - j), 0.)
        jj = min(max(iv + j, 0), size - 1)
        for i in range(-1, 3):
            w = wj * max(2 - abs(u - iu - i), 0.)
            ahead = z - depth[jj, min(max(iu + i, 0), size - 1)]
            # 16 is the sum of the weights
            total += w * min(max(ahead, 0.), 60.) / 16
    return total


@cached_njit
def _wrap(value, size):
    """Index of a texture that repeats."""
    if value < 0 or value >= size:
        value %= size
    return value


@cached_njit
def _shade(chosen, pixel, fragment_face, seen, weight, vertices, faces,
           normals, start, coordinates, coordinate_faces, texture, relief,
           sheen, material, sh, key, key_color, softness, reflection,
           to_environment, shadow, frame, origin, texel, has_key, depth,
           to_ray, focal, circle, radius, occlusion, out):
    gloss, base_roughness, translucency = material[0], material[1], material[2]
    metallic, fuzz = material[3], material[4]
    height, width = texture.shape[:2]
    size = out.shape[0]
    samples = depth.shape[0]
    map_size = shadow.shape[0]
    env_height, env_width = reflection.shape[:2]
    has_relief, has_sheen = relief.size > 0, sheen.size > 0
    # Skin scatters red light farthest.
    wrap = np.array([.34, .12, .07]) * translucency
    reach = np.array([4.2, 1.3, .8])  # mm
    color = np.empty(3)
    ambient = np.empty(3)
    for m in chosen:
        f = fragment_face[m]
        i, j, k = faces[f]
        px, py, pz = seen[m]
        # barycentric coordinates by the areas
        ax, ay, az = vertices[i]
        e1x, e1y, e1z = (vertices[j, 0] - ax, vertices[j, 1] - ay,
                         vertices[j, 2] - az)
        e2x, e2y, e2z = (vertices[k, 0] - ax, vertices[k, 1] - ay,
                         vertices[k, 2] - az)
        fx = e1y * e2z - e1z * e2y
        fy = e1z * e2x - e1x * e2z
        fz = e1x * e2y - e1y * e2x
        area2 = fx * fx + fy * fy + fz * fz + 1e-20
        # gradients of the barycentric coordinates over the face
        g1x = (e2y * fz - e2z * fy) / area2
        g1y = (e2z * fx - e2x * fz) / area2
        g1z = (e2x * fy - e2y * fx) / area2
        g2x = (fy * e1z - fz * e1y) / area2
        g2y = (fz * e1x - fx * e1z) / area2
        g2z = (fx * e1y - fy * e1x) / area2
        dx, dy, dz = px - ax, py - ay, pz - az
        b1 = min(max(g1x * dx + g1y * dy + g1z * dz, 0.), 1.)
        b2 = min(max(g2x * dx + g2y * dy + g2z * dz, 0.), 1.)
        b0 = max(1. - b1 - b2, 0.)
        nx = b0 * normals[i, 0] + b1 * normals[j, 0] + b2 * normals[k, 0]
        ny = b0 * normals[i, 1] + b1 * normals[j, 1] + b2 * normals[k, 1]
        nz = b0 * normals[i, 2] + b1 * normals[j, 2] + b2 * normals[k, 2]
        norm = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-12
        nx, ny, nz = nx / norm, ny / norm, nz / norm
        # the smooth normal, for what does not see the relief
        sx, sy, sz = nx, ny, nz

        t0, t1, t2 = coordinate_faces[f - start]
        u0, v0 = coordinates[t0]
        u1, v1 = coordinates[t1, 0] - u0, coordinates[t1, 1] - v0
        u2, v2 = coordinates[t2, 0] - u0, coordinates[t2, 1] - v0
        u = (u0 + b1 * u1 + b2 * u2) * width - .5
        v = (v0 + b1 * v1 + b2 * v2) * height - .5
        iu, iv = int(np.floor(u)), int(np.floor(v))
        gu, gv = u - iu, v - iv
        iu0, iu1 = _wrap(iu, width), _wrap(iu + 1, width)
        iv0, iv1 = _wrap(iv, height), _wrap(iv + 1, height)
        w00, w01 = (1 - gu) * (1 - gv), gu * (1 - gv)
        w10, w11 = (1 - gu) * gv, gu * gv
        for c in range(3):
            color[c] = (
                w00 * texture[iv0, iu0, c] + w01 * texture[iv0, iu1, c] +
                w10 * texture[iv1, iu0, c] + w11 * texture[iv1, iu1, c])
        if has_relief:
            hu = ((1 - gv) * (relief[iv0, iu1] - relief[iv0, iu0]) + gv *
                  (relief[iv1, iu1] - relief[iv1, iu0])) * width
            hv = ((1 - gu) * (relief[iv1, iu0] - relief[iv0, iu0]) + gu *
                  (relief[iv1, iu1] - relief[iv0, iu1])) * height
            h1, h2 = hu * u1 + hv * v1, hu * u2 + hv * v2
            nx -= h1 * g1x + h2 * g2x
            ny -= h1 * g1y + h2 * g2y
            nz -= h1 * g1z + h2 * g2z
            norm = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-12
            nx, ny, nz = nx / norm, ny / norm, nz / norm
        rough = base_roughness
        shine = gloss
        if has_sheen:
            polish = (
                w00 * sheen[iv0, iu0] + w01 * sheen[iv0, iu1] +
                w10 * sheen[iv1, iu0] + w11 * sheen[iv1, iu1])
            rough += polish * (.18 - rough)
            shine += polish * (1.3 - shine)

        distance = np.sqrt(px * px + py * py + pz * pz)
        vx, vy, vz = -px / distance, -py / distance, -pz / distance
        facing = nx * vx + ny * vy + nz * vz
        if facing < .02:  # the relief turned it away
            nx += (.02 - facing) * vx
            ny += (.02 - facing) * vy
            nz += (.02 - facing) * vz
            norm = np.sqrt(nx * nx + ny * ny + nz * nz)
            nx, ny, nz = nx / norm, ny / norm, nz / norm
            facing = nx * vx + ny * vy + nz * vz

        # what stands around hides the sky
        hidden = 0.
        if occlusion > 0:
            cx = (pixel[m] % size) * SAMPLES + (SAMPLES - 1) / 2
            cy = (pixel[m] // size) * SAMPLES + (SAMPLES - 1) / 2
            spread = radius * focal * SAMPLES / pz
            for s in range(len(circle)):
                ox = int(np.floor(cx + spread * circle[s, 0] + .5))
                oy = int(np.floor(cy + spread * circle[s, 1] + .5))
                if ox < 0 or oy < 0 or ox >= samples or oy >= samples:
                    continue
                z = depth[oy, ox]
                mx = (ox - (SAMPLES - 1) / 2) / SAMPLES
                my = (oy - (SAMPLES - 1) / 2) / SAMPLES
                ex = (to_ray[0, 0] * mx + to_ray[0, 1] * my +
                      to_ray[0, 2]) * z - px
                ey = (to_ray[1, 1] * my + to_ray[1, 2]) * z - py
                ez = z - pz
                rise = sx * ex + sy * ey + sz * ez
                if rise <= 0:
                    continue
                length2 = ex * ex + ey * ey + ez * ez + .01
                near = 1 - length2 / (4 * radius * radius)
                if near > 0:
                    hidden += max(rise / np.sqrt(length2) - .12, 0.) * near
        open_sky = 1 - min(occlusion * 1.9 * hidden / len(circle), .92)

        # key light
        lit, thickness = 1., 0.
        toward = nx * key[0] + ny * key[1] + nz * key[2]
        smooth_toward = sx * key[0] + sy * key[1] + sz * key[2]
        if has_key:
            # lifted off the surface, or it would shade itself
            lift = 1.1 * texel * (1 - .6 * max(smooth_toward, 0.)) + .3
            qx, qy, qz = px + lift * sx, py + lift * sy, pz + lift * sz
            lu = (frame[0, 0] * qx + frame[0, 1] * qy + frame[0, 2] * qz -
                  origin[0]) / texel
            lv = (frame[1, 0] * qx + frame[1, 1] * qy + frame[1, 2] * qz -
                  origin[1]) / texel
            lz = frame[2, 0] * qx + frame[2, 1] * qy + frame[2, 2] * qz
            blockers, gap = 0, 0.
            turned = smooth_toward < -.35 or toward < -.35
            for s in range(0 if turned else 9):
                bu = int(lu + (s % 3 - 1) * 3. + .5)
                bv = int(lv + (s // 3 - 1) * 3. + .5)
                ahead = lz - shadow[min(max(bv, 0), map_size - 1),
                                    min(max(bu, 0), map_size - 1)]
                if ahead > 2.:
                    blockers += 1
                    gap += min(ahead, 200.)
            penumbra = .9
            if blockers:
                penumbra = min(max(softness * gap / blockers / texel, .9), 3.5)
            slope = np.sqrt(max(1 - smooth_toward * smooth_toward, 0.))
            slope /= max(smooth_toward, .25)
            bias = .4 + .7 * slope * penumbra * texel
            lit = 0.
            if not turned:
                lit = _lit_fraction(shadow, lu, lv, lz, penumbra, bias)
            if translucency > 0 and smooth_toward < .35:
                # from within, or the outline would let all light through
                lift = 1.6 * texel + .6
                qx, qy, qz = px - lift * sx, py - lift * sy, pz - lift * sz
                lu = (frame[0, 0] * qx + frame[0, 1] * qy + frame[0, 2] * qz -
                      origin[0]) / texel
                lv = (frame[1, 0] * qx + frame[1, 1] * qy + frame[1, 2] * qz -
                      origin[1]) / texel
                lz = frame[2, 0] * qx + frame[2, 1] * qy + frame[2, 2] * qz
                thickness = _thickness(shadow, lu, lv, lz)
        # Schlick's Fresnel term and a GGX lobe (Karis' form of visibility)
        hx, hy, hz = key[0] + vx, key[1] + vy, key[2] + vz
        norm = np.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
        half_facing = max((hx * vx + hy * vy + hz * vz) / norm, 0.)
        half_normal = max((hx * nx + hy * ny + hz * nz) / norm, 0.)
        alpha2 = max(rough * rough, .004)
        alpha2 *= alpha2
        bottom = half_normal * half_normal * (alpha2 - 1) + 1
        lobe = alpha2 / (bottom *
                         bottom) / (4 * max(half_facing * half_facing, .1) *
                                    (rough + .5))
        lobe *= max(toward, 0.) * lit
        grazing = (1 - half_facing)**5
        rim = .55 * (1 - facing)**5 * (1 - rough)**2
        if translucency > 0:  # skin is matt at its edge
            rim *= .4
            grazing *= .5
        # mirrored surroundings
        rx, ry, rz = (2 * facing * nx - vx, 2 * facing * ny - vy,
                      2 * facing * nz - vz)
        sharp = min(max((.32 - rough) * 6, 0.), 1.) * .9
        mu, mv, eu, ev = 0., 0., 0, 0
        if sharp > 0:
            ex = (
                to_environment[0, 0] * rx + to_environment[0, 1] * ry +
                to_environment[0, 2] * rz)
            ey = (
                to_environment[1, 0] * rx + to_environment[1, 1] * ry +
                to_environment[1, 2] * rz)
            ez = (
                to_environment[2, 0] * rx + to_environment[2, 1] * ry +
                to_environment[2, 2] * rz)
            mu = np.arctan2(ex, ez) / (2 * np.pi) * env_width - .5
            mv = np.arccos(min(max(-ey, -1.), 1.)) / np.pi * env_height - .5
            mv = min(max(mv, 0.), env_height - 1.001)
            eu, ev = int(np.floor(mu)), int(mv)
            mu, mv = mu - eu, mv - ev
        eu0, eu1 = _wrap(eu, env_width), _wrap(eu + 1, env_width)
        x, y = pixel[m] % size, pixel[m] // size
        for c in range(3):
            ambient[c] = max(
                sh[0, c] + sh[1, c] * ny + sh[2, c] * nz + sh[3, c] * nx +
                sh[4, c] * nx * ny + sh[5, c] * ny * nz + sh[6, c] *
                (3 * nz * nz - 1) + sh[7, c] * nx * nz + sh[8, c] *
                (nx * nx - ny * ny), .04 * sh[0, c])
            mirrored = max(
                sh[0, c] + sh[1, c] * ry + sh[2, c] * rz + sh[3, c] * rx +
                sh[4, c] * rx * ry + sh[5, c] * ry * rz + sh[6, c] *
                (3 * rz * rz - 1) + sh[7, c] * rx * rz + sh[8, c] *
                (rx * rx - ry * ry), .04 * sh[0, c])
            if sharp > 0:
                mirrored += sharp * (
                    (1 - mu) * (1 - mv) * reflection[ev, eu0, c] + mu *
                    (1 - mv) * reflection[ev, eu1, c] +
                    (1 - mu) * mv * reflection[ev + 1, eu0, c] +
                    mu * mv * reflection[ev + 1, eu1, c] - mirrored)
            albedo = color[c]
            # light bounces between bright walls of a crease
            bounced = open_sky / (1 - albedo * (1 - open_sky))
            if translucency > 0 and c == 0:
                bounced += .25 * translucency * (1 - bounced) * open_sky
            direct = 0.
            if has_key:
                through = lit
                if translucency > 0:
                    # the penumbra of skin is red
                    through += (wrap[c] * 1.2) * (np.sqrt(lit) - lit)
                w = wrap[c]
                direct = through * max((toward + w) / ((1 + w) * (1 + w)), 0.)
                if translucency > 0 and smooth_toward < .35:
                    leak = np.exp(-thickness / (reach[c] * translucency))
                    direct += .35 * translucency * leak * max(
                        .35 - smooth_toward, 0.) * (1 - lit * .5)
            base = albedo * (1 - metallic)
            f0 = .035 * shine * (1 - metallic) + albedo * metallic
            value = base * (ambient[c] * bounced + direct * key_color[c])
            edge = shine + metallic * (1 - shine)
            value += (f0 + (edge * (1 - f0)) * grazing) * lobe * key_color[c]
            value += (f0 * (1 - .35 * rough) +
                      edge * rim) * mirrored * bounced * open_sky
            if fuzz > 0:
                value += fuzz * (1 - facing)**3 * .5 * (
                    ambient[c] * bounced + key_color[c] * lit *
                    max(toward + .3, 0.)) * (.3 + .7 * albedo)
            out[y, x, c] += weight[m] * value
