import numpy as np
import pytest

from lgh_mmpose.rendering.lighting import Light
from lgh_mmpose.rendering.rasterizer import Surface
from lgh_mmpose.rendering.shading import render, to_srgb

SIZE = 24
CAMERA = np.array([[50., 0, 11.5], [0, 50., 11.5], [0, 0, 1]])
TOWARDS_CAMERA = np.array([0, 0, -1.])


def light(ambient=1., key=0., direction=TOWARDS_CAMERA, softness=0.):
    sh = np.zeros((9, 3))
    sh[0] = ambient
    return Light(sh, np.asarray(direction, float),
                 np.full(3, float(key)), softness,
                 np.full((32, 64, 3), ambient, np.float32), np.eye(3), None)


def square(z=200., half=10**3, texture=.5, parts=(1, 1), **material):
    vertices = np.array([[x, y, z] for x, y in ((-half, -half), (half, -half),
                                                (half, half), (-half, half))])
    faces = np.array([[0, 2, 1], [0, 3, 2]], np.int32)
    places = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    if np.ndim(texture) == 0:
        texture = np.full((4, 4, 3), texture, np.float32)
    material = {'gloss': 0., **material}
    return Surface(vertices, faces, places, faces, texture,
                   np.array(parts, np.uint8), **material)


def test_matt_surface_returns_its_share_of_the_light():
    layer = render([square(texture=.25)], CAMERA, SIZE, light(1.6))
    np.testing.assert_allclose(layer.color, .4, rtol=1e-4)
    np.testing.assert_array_equal(layer.alpha, 1)
    np.testing.assert_array_equal(layer.part, 1)
    np.testing.assert_allclose(layer.inverse_depth, 1 / 200, rtol=1e-6)


@pytest.mark.parametrize('degrees', [0, 30, 60])
def test_key_light_follows_lamberts_law(degrees):
    angle = np.radians(degrees)
    layer = render([square(texture=.5)], CAMERA, SIZE,
                   light(0, .8, [np.sin(angle), 0, -np.cos(angle)]))
    np.testing.assert_allclose(
        layer.color[12, 12], .4 * np.cos(angle), rtol=1e-3)


def test_no_surfaces_make_an_empty_picture():
    for surfaces in ([], [square(-100.)]):
        layer = render(surfaces, CAMERA, SIZE, light(1, 1))
        assert not any(array.any() for array in layer)


@pytest.mark.parametrize('repeat', [False, True])
def test_texture_is_interpolated_in_perspective(repeat):
    """Colours are those of the point seen, on a slanted square."""
    ramp = np.linspace(.1, .9, 256, dtype=np.float32)
    texture = np.repeat(np.tile(ramp[None, :, None], (8, 1, 1)), 3, 2)
    surface = square(half=60., texture=texture)
    surface.vertices[:, 2] += .6 * surface.vertices[:, 0]
    if repeat:  # one turn of the texture further on
        surface = surface._replace(
            texture_coordinates=surface.texture_coordinates + 3)
    layer = render([surface], CAMERA, SIZE, light(1), occlusion=0)
    column = np.arange(8, 16)
    # samples of a pixel are shaded once, at one of them
    ray = (column - CAMERA[0, 2]) / CAMERA[0, 0]
    x = 200 * ray / (1 - .6 * ray)
    expected = .1 + .8 * (x + 60) / 120
    np.testing.assert_allclose(layer.color[12, column, 0], expected, atol=.02)


def test_pixels_at_the_edge_are_covered_in_part():
    surface = square(half=30.)
    layer = render([surface], CAMERA, SIZE, light(1))
    assert set(np.unique(layer.alpha)) <= {0, .25, .5, .75, 1}
    np.testing.assert_allclose(
        layer.color, .5 * layer.alpha[..., None] * np.ones(3), rtol=1e-4)
    assert layer.alpha.sum() == pytest.approx((2 * 30 * 50 / 200)**2, rel=.05)
    np.testing.assert_array_equal(layer.part > 0, layer.alpha >= .5)
    np.testing.assert_array_equal(layer.inverse_depth > 0, layer.part > 0)


def test_nearer_surface_hides_the_other_and_may_be_no_part():
    layer = render([square(200.), square(150., 20., .1, (0, 0))],
                   CAMERA,
                   SIZE,
                   light(1),
                   occlusion=0)
    assert layer.part[12, 12] == 0 and layer.part[0, 0] == 1
    assert layer.inverse_depth[12, 12] == pytest.approx(1 / 150)
    np.testing.assert_allclose(layer.color[12, 12], .1, rtol=1e-4)


def test_surfaces_throw_shadows_and_soft_light_softens_them():
    above = np.array([.5, 0, -1]) / np.hypot(.5, 1)
    lit = render([square(200.)], CAMERA, SIZE, light(.1, 1, above))
    edges = []
    for softness in (0., .3):
        layer = render([square(200.), square(160., 12.)],
                       CAMERA,
                       SIZE,
                       light(.1, 1, above, softness),
                       occlusion=0)
        shadow = layer.color[..., 0] / lit.color[..., 0]
        back = layer.inverse_depth < 1 / 180
        assert shadow[back].min() == pytest.approx(.1 / (.1 + .894), abs=.08)
        assert np.median(shadow[back]) == pytest.approx(1, abs=.01)
        edges.append(((shadow > .3) & (shadow < .9) & back).sum())
    assert edges[1] > edges[0]


def ball(**material):
    """A ball of 40 mm radius before the camera."""
    polar, turn = np.meshgrid(
        np.linspace(0, np.pi, 33),
        np.linspace(0, 2 * np.pi, 65)[:-1])
    rows = np.stack([
        np.sin(polar) * np.cos(turn),
        np.sin(polar) * np.sin(turn),
        np.cos(polar)
    ], -1)
    a = np.arange(64 * 33).reshape(64, 33)
    b = np.roll(a, -1, axis=0)
    faces = np.concatenate([
        np.stack([a[:, :-1], a[:, 1:], b[:, :-1]], -1).reshape(-1, 3),
        np.stack([b[:, :-1], a[:, 1:], b[:, 1:]], -1).reshape(-1, 3)
    ]).astype(np.int32)
    vertices = 40 * rows.reshape(-1, 3) + [0, 0, 200]
    return Surface(
        vertices,
        faces,
        np.zeros((1, 2)),
        np.zeros_like(faces),
        np.full((4, 4, 3), .5, np.float32),
        np.ones(len(faces), np.uint8),
        gloss=0.,
        **material)


def test_a_convex_body_throws_no_shadow_on_its_lit_side():
    """No shadow acne on a ball."""
    key = np.array([.6, -.4, -.7])
    key /= np.linalg.norm(key)
    layer = render([ball()], CAMERA, SIZE, light(0, 1, key), occlusion=0)
    v, u = np.nonzero(layer.alpha == 1)
    rays = np.stack([(u - 11.5) / 50, (v - 11.5) / 50, np.ones(len(u))], 1)
    points = rays / layer.inverse_depth[v, u][:, None]
    expected = .5 * ((points - [0, 0, 200]) / 40) @ key
    clear = expected > .12
    assert clear.sum() > 100
    # pixels are shaded at one of their samples, so outlines differ
    wrong = np.abs(layer.color[v, u, 0] - expected)[clear]
    assert np.percentile(wrong, 94) < .035 and wrong.max() < .09


def test_creases_are_dark():
    """The bottom of a groove gets less light than its upper walls."""
    walls = []
    for left, right in ((-60., 0.), (0., 60.)):
        wall = square()
        wall.vertices[:, 0] = [left, right, right, left]
        wall.vertices[:, 2] = 200 - np.abs(wall.vertices[:, 0])
        walls.append(wall)
    open_sky, groove = (
        render(walls, CAMERA, SIZE, light(1),
               occlusion=strength).color[12, :, 0] for strength in (0., 1.))
    np.testing.assert_allclose(open_sky[2:22], .5, rtol=1e-4)
    assert groove[11:13].max() < .85 * .5
    assert groove[11:13].max() < .9 * groove[[3, 20]].min()


def test_translucent_skin_is_lit_beyond_the_terminator_and_red():
    slanted = np.array([1., 0, .12])
    slanted /= np.linalg.norm(slanted)  # from behind, so to speak
    dull = render([square()], CAMERA, SIZE, light(0, 1, slanted))
    skin = render([square(translucency=1.)], CAMERA, SIZE,
                  light(0, 1, slanted))
    assert dull.color.max() < 1e-6
    red, green, blue = skin.color[12, 12]
    assert red > .01 and red > 1.5 * green >= blue


@pytest.mark.parametrize('degrees', [110, 120])
def test_light_through_skin_fades_evenly(degrees):
    """No streaks where a translucent body turns from the light."""
    angle = np.radians(degrees)
    key = [np.sin(angle), 0, -np.cos(angle)]
    size = 96
    camera = np.array([[200., 0, 47.5], [0, 200., 47.5], [0, 0, 1]])
    layer = render([ball(translucency=1.)],
                   camera,
                   size,
                   light(0, 1, key),
                   occlusion=0)
    v, u = np.mgrid[:size, :size]
    inner = np.hypot(u - 47.5, v - 47.5) < 34
    red = layer.color[..., 0]
    assert red[inner].max() > .02
    for axis in (0, 1):
        bend = np.abs(np.diff(red, 2, axis=axis))
        middle = [slice(None)] * 2
        middle[axis] = slice(1, -1)
        assert bend[inner[tuple(middle)]].max() < .02


def test_relief_turns_the_surface_towards_the_light():
    x = np.arange(64) / 64
    relief = np.tile((.2 * np.cos(2 * np.pi * x)).astype(np.float32), (64, 1))
    side = np.array([.8, 0, -.6])
    flat = square(half=40., texture=np.full((64, 64, 3), .5, np.float32))
    layers = [
        render([flat._replace(relief=r)],
               CAMERA,
               SIZE,
               light(0, 1, side),
               occlusion=0) for r in (None, relief * 20)
    ]
    row = [layer.color[12, 4:20, 0] for layer in layers]
    assert np.ptp(row[0]) < .01 < .1 < np.ptp(row[1])
    # light comes from the right: slopes that fall to the right are bright
    u = ((np.arange(4, 20) - 11.5) / 50 * 200 + 40) / 80
    falls = np.sin(2 * np.pi * u)
    assert np.corrcoef(falls, row[1])[0, 1] > .8


@pytest.mark.parametrize('name', ['relief', 'sheen'])
def test_map_of_another_size_than_the_texture_is_named(name):
    surface = square(**{name: np.zeros((8, 4), np.float32)})
    with pytest.raises(ValueError, match=f'the {name} of a surface'):
        render([surface], CAMERA, SIZE, light(1))


def test_shiny_surface_mirrors_the_key_light():
    matt, shiny = (
        render([square(texture=.1, gloss=gloss, roughness=.3)], CAMERA, SIZE,
               light(0, 1)) for gloss in (0., 1.))
    gain = shiny.color[..., 0] - matt.color[..., 0]
    assert gain[12, 12] > .05 and gain[12, 12] > 2 * gain[0, 0]


def test_srgb_is_the_standards():
    linear = np.array([0, .0021, .18, .5, 1, 3], np.float32)
    np.testing.assert_allclose(
        to_srgb(linear), [0, 6.92, 117.6, 187.5, 255, 255], atol=.1)
