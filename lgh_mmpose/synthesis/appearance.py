"""What hands, surroundings and camera look like.

Colours are RGB from 0 to 255.
"""
import cv2
import numpy as np

from .renderer import Canvas, vertex_normals
from .rig import FINGER_JOINTS, FOREARM_RINGS, JOINT_INDEX, PALM_PART, HandRig

SKIN_TONES = np.array(
    [[255, 224, 200], [243, 202, 168], [228, 180, 140], [205, 150, 108],
     [172, 116, 80], [130, 84, 58], [92, 60, 44]], np.float64)

# Between the forearm's rings, or the edge of the sleeve would be ragged.
_SLEEVE_STARTS = np.array([
    (a[0] + b[0]) / 2 for a, b in zip(FOREARM_RINGS[2:7], FOREARM_RINGS[3:8])
])


def sample_skin_tone(rng: np.random.Generator) -> np.ndarray:
    """Return a (3,) colour between two neighbours of SKIN_TONES."""
    t = rng.uniform(0, len(SKIN_TONES) - 1)
    i = min(int(t), len(SKIN_TONES) - 2)
    return SKIN_TONES[i] + (t - i) * (SKIN_TONES[i + 1] - SKIN_TONES[i])


class HandAppearance:
    """Colour and shading of a hand's vertices.

    Args:
        rig: The hand whose rest pose tells palm, knuckles and nails apart.
    """

    def __init__(self, rig: HandRig):
        self._vertices = vertices = rig.vertices
        normals = vertex_normals(vertices, rig.faces)
        self._palmar = np.clip(-normals[:, 1], 0, 1)
        vertex_part = np.full(len(vertices), PALM_PART)
        vertex_part[rig.faces.T] = rig.face_parts

        self._nail = np.zeros(len(vertices), bool)
        self._fingertip = np.zeros(len(vertices))
        self._knuckle = np.zeros(len(vertices))
        for f, joints in enumerate(FINGER_JOINTS):
            distal, tip = (JOINT_INDEX[name] for name in joints[-2:])
            rotation = rig.rest_rotation[distal]
            local = (vertices - rig.rest_position[distal]) @ rotation
            dorsal = (normals @ rotation)[:, 1]
            length = np.linalg.norm(rig.rest_position[tip] -
                                    rig.rest_position[distal])
            along = -local[:, 2] / length
            on_tip = vertex_part == 3 * f
            self._fingertip[on_tip] = 1
            self._nail |= on_tip & (dorsal > .55) & (along > .35) & (
                along < 1.35)
            for name in joints[1:-1]:
                distance = np.linalg.norm(
                    vertices - rig.rest_position[JOINT_INDEX[name]], axis=1)
                self._knuckle = np.maximum(self._knuckle,
                                           np.exp(-(distance / 10)**2))

    def sample_albedo(self, rng: np.random.Generator) -> np.ndarray:
        """Return (V, 3) colours: skin, palm, knuckles, nails, sleeve."""
        base = sample_skin_tone(rng) * rng.uniform(.9, 1.08, 3)
        # Palms are lighter, the more so the darker the skin.
        darkness = max(0., .6 - base.mean() / 255)
        palm = rng.uniform(0, .12) + darkness * rng.uniform(.2, 1)
        albedo = base * (1 + palm * self._palmar[:, None])
        redness = rng.uniform(0, 1) * self._fingertip + rng.uniform(
            0, 1) * self._knuckle
        albedo *= 1 - np.outer(redness, [.02, .13, .13])
        # Blotches of a few centimetres.
        waves = rng.normal(size=(4, 3)) * rng.uniform(.02, .12, (4, 1))
        blotches = np.sin(self._vertices @ waves.T +
                          rng.uniform(0, 2 * np.pi, 4)).mean(axis=1)
        albedo *= 1 + .1 * np.outer(blotches, rng.uniform(0, 1, 3))
        if rng.random() < .85:
            varnished = rng.random() < .15
            nail = rng.uniform(0, 255, 3) if varnished else np.clip(
                1.05 * base + (18, 8, 8), 0, 255)
            albedo[self._nail] = .8 * nail + .2 * albedo[self._nail]
        if rng.random() < .5:
            sleeve = self._vertices[:, 2] > rng.choice(_SLEEVE_STARTS)
            albedo[sleeve] = rng.uniform(10, 250, 3)
        return albedo


class Light:
    """Two lamps and an ambient term: wrapped Lambert and Blinn highlights.

    Args:
        rng: Source of randomness.
    """

    def __init__(self, rng: np.random.Generator):
        direction = rng.normal(size=3)
        direction[2] = -abs(direction[2]) - .2  # from the camera's side
        self._key = direction / np.linalg.norm(direction)
        direction = rng.normal(size=3)
        self._fill = direction / np.linalg.norm(direction)
        self._wrap = rng.uniform(0, .35)
        ambient, key = rng.uniform(.22, .55), rng.uniform(.45, .9)
        exposure = min(1, 1.15 / (ambient + key))  # spares the highlights
        self._ambient = exposure * ambient
        self._key_color = exposure * key * (1 + rng.normal(0, .06, 3))
        self._fill_color = rng.uniform(0, .3) * (1 + rng.normal(0, .1, 3))
        self._shininess = rng.uniform(8, 40)
        self._gloss = rng.uniform(0, .22)

    def shade(self, vertices: np.ndarray, normals: np.ndarray,
              albedo: np.ndarray) -> np.ndarray:
        """Return (V, 3) lit colours; all arguments are (V, 3)."""
        key = np.clip((normals @ self._key + self._wrap) / (1 + self._wrap), 0,
                      None)
        fill = np.clip(normals @ self._fill, 0, None)
        ambient = self._ambient * (1 - .3 * normals[:, 1])  # more from above
        diffuse = ambient[:, None] + np.outer(key, self._key_color) + np.outer(
            fill, self._fill_color)
        half = self._key - vertices / np.linalg.norm(
            vertices, axis=1, keepdims=True)
        half /= np.linalg.norm(half, axis=1, keepdims=True)
        highlight = np.clip((normals * half).sum(axis=1), 0,
                            1)**self._shininess
        return np.clip(
            albedo * diffuse + 255 * self._gloss * highlight[:, None], 0, 255)


def shade_crevices(canvas: Canvas, strength: float) -> None:
    """Darken, in place, what lies deeper than its surroundings (a screen
    space ambient occlusion from the blurred inverse depth)."""
    depth = canvas.inverse_depth
    side = depth.shape[0]
    small = (side // 4, side // 4)
    sigma = .03 * side / canvas.supersampling
    covered = (depth > 0).astype(np.float32)
    total = cv2.GaussianBlur(
        cv2.resize(depth, small, interpolation=cv2.INTER_AREA), (0, 0), sigma)
    weight = cv2.GaussianBlur(
        cv2.resize(covered, small, interpolation=cv2.INTER_AREA), (0, 0),
        sigma)
    around = cv2.resize(total / (weight + 1e-4), depth.shape[::-1])
    hidden = strength * (around - depth) / np.maximum(depth, 1e-6)
    canvas.color[...] *= (1 - np.clip(hidden, 0, .55))[..., None]


def _value_noise(rng: np.random.Generator, size: int, cells: int,
                 channels: int) -> np.ndarray:
    """Four octaves of smooth noise, (size, size, channels) float32."""
    noise = np.zeros((size, size, channels), np.float32)
    amplitude = 1.
    for _ in range(4):
        grid = rng.random((cells, cells, channels), np.float32) - .5
        octave = cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
        noise += amplitude * octave.reshape(noise.shape)
        amplitude *= .55
        cells *= 2
    return noise


def _draw_clutter(rng: np.random.Generator, image: np.ndarray) -> None:
    """Draw up to 13 shapes, finger-like strokes and words, in place."""
    size = image.shape[0]
    for _ in range(rng.integers(0, 14)):
        skin_coloured = rng.random() < .3
        color = (sample_skin_tone(rng) if skin_coloured else rng.uniform(
            0, 255, 3)).tolist()
        centre = rng.integers(0, size, 2)
        kind = rng.random()
        if kind < .25:
            cv2.ellipse(image, centre.tolist(),
                        rng.integers(size // 60, size // 4, 2).tolist(),
                        rng.uniform(0, 180), 0, 360, color, -1, cv2.LINE_AA)
        elif kind < .5:
            corners = centre + rng.integers(-size // 4, size // 4 + 1,
                                            (rng.integers(3, 6), 2))
            cv2.fillPoly(image, [corners.astype(np.int32)], color, cv2.LINE_AA)
        elif kind < .8:
            end = centre + rng.integers(-size // 2, size // 2 + 1, 2)
            cv2.line(image, centre.tolist(), end.tolist(), color,
                     int(rng.integers(1, size // 15)), cv2.LINE_AA)
        else:
            word = ''.join(map(chr, rng.integers(65, 91, 5)))
            cv2.putText(image, word, centre.tolist(), int(rng.integers(0, 5)),
                        rng.uniform(.5, 3) * size / 320, color,
                        int(rng.integers(1, 5)), cv2.LINE_AA)


def draw_background(rng: np.random.Generator, size: int = 320) -> np.ndarray:
    """Draw a background: gradient, noise, pattern and clutter.

    Returns:
        np.ndarray: (size, size, 3) uint8.
    """
    first, second = rng.uniform(0, 255, (2, 3))
    if rng.random() < .3:
        first = sample_skin_tone(rng)
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:size, :size].astype(np.float32) / size - .5
    along = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y
    across = np.float32(np.cos(angle)) * y - np.float32(np.sin(angle)) * x
    t = np.clip(along * np.float32(rng.uniform(.5, 2)) + .5, 0, 1)[..., None]
    image = (1 - t) * first.astype(np.float32) + t * second.astype(np.float32)
    channels = 3 if rng.random() < .6 else 1
    image += _value_noise(rng, size, rng.integers(2, 24),
                          channels) * np.float32(rng.uniform(10, 130))
    pattern = rng.random()
    if pattern < .2:  # stripes or checks
        frequency = 2 * np.pi * rng.uniform(5, 50)
        wave = np.sin(frequency * along)
        if rng.random() < .5:
            wave = wave * np.sin(frequency * across)
        image += (wave > 0)[..., None] * rng.uniform(-90, 90, 3)
    elif pattern < .3:  # wood
        warp = _value_noise(rng, size, 3, 1)[..., 0] * rng.uniform(2, 9)
        image += (np.sin(along * rng.uniform(20, 90) + warp) *
                  rng.uniform(5, 35))[..., None]
    image = np.clip(image, 0, 255).astype(np.uint8)
    _draw_clutter(rng, image)
    if rng.random() < .6:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(.5, 4))
    return image


class BackgroundPool:
    """Backgrounds that are drawn when first used.

    Args:
        seeds: One seed sequence per background.
        size: Side of the backgrounds in pixels.
    """

    def __init__(self, seeds: list, size: int = 320):
        self._seeds = seeds
        self._size = size
        self._images = {}

    def __getitem__(self, index: int) -> np.ndarray:
        """Return background ``index``, (size, size, 3) uint8."""
        if index not in self._images:
            rng = np.random.default_rng(self._seeds[index])
            self._images[index] = draw_background(rng, self._size)
        return self._images[index]

    def sample(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Return a random view of a random background.

        Returns:
            np.ndarray: (size, size, 3) float32, not clipped.
        """
        image = self[int(rng.integers(len(self._seeds)))]
        side = int(rng.integers(self._size // 2, self._size + 1))
        x, y = rng.integers(0, self._size - side + 1, 2)
        view = cv2.resize(image[y:y + side, x:x + side], (size, size))
        if rng.random() < .5:
            view = view[:, ::-1]
        view = np.rot90(view, rng.integers(4)).astype(np.float32)
        gain = rng.uniform(.5, 1.2, 3).astype(np.float32)
        return view * gain + np.float32(rng.uniform(-25, 25))


def sample_occluder(rng: np.random.Generator, hand: np.ndarray) -> np.ndarray:
    """Draw a stick, a box or a disc over a point of the hand.

    Args:
        rng: Source of randomness.
        hand: (S, S) mask of the hand.

    Returns:
        np.ndarray: (S, S) float32 coverage; empty if there is no hand.
    """
    size = hand.shape[0]
    mask = np.zeros((size, size), np.uint8)
    rows, columns = np.nonzero(hand)
    if len(rows) == 0:
        return mask.astype(np.float32)
    at = rng.integers(len(rows))
    centre = np.array([columns[at], rows[at]], np.float64)
    extent = size * rng.uniform(.05, .16)
    angle = rng.uniform(0, np.pi)
    kind = rng.random()
    if kind < .4:
        direction = size * np.array([np.cos(angle), np.sin(angle)])
        start = centre - direction * rng.uniform(.1, .6)
        end = centre + direction * rng.uniform(.1, .6)
        cv2.line(mask,
                 start.astype(int).tolist(),
                 end.astype(int).tolist(), 255,
                 max(1, int(extent * rng.uniform(.5, 1.2))), cv2.LINE_AA)
    elif kind < .7:
        sides = extent * rng.uniform(1, 2.5, 2)
        box = cv2.boxPoints(
            (centre.tolist(), sides.tolist(), float(np.degrees(angle))))
        cv2.fillPoly(mask, [box.astype(np.int32)], 255, cv2.LINE_AA)
    else:
        axes = (extent * rng.uniform(.6, 1.5, 2)).astype(int) + 1
        cv2.ellipse(mask,
                    centre.astype(int).tolist(), axes.tolist(),
                    float(np.degrees(angle)), 0, 360, 255, -1, cv2.LINE_AA)
    return mask.astype(np.float32) / 255


def _motion_kernel(length: int, angle: float) -> np.ndarray:
    """Line kernel of (length, length) pixels that sums to 1."""
    kernel = np.zeros((length, length), np.float32)
    half = (length - 1) / 2
    step = half * np.array([np.cos(angle), np.sin(angle)])
    cv2.line(kernel,
             np.rint(half - step).astype(int).tolist(),
             np.rint(half + step).astype(int).tolist(), 1)
    return kernel / kernel.sum()


def apply_camera(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Apply exposure, colour balance, blur and noise.

    Args:
        rng: Source of randomness.
        image: (S, S, 3) float32.

    Returns:
        np.ndarray: (S, S, 3) uint8.
    """
    size = image.shape[0]
    balance = rng.uniform(.75, 1.2) * np.clip(rng.normal(1, .04, 3), .85, 1.15)
    image = image * balance.astype(np.float32) + np.float32(
        rng.uniform(-12, 12))
    blur = rng.random()
    if blur < .2:
        length = int(rng.integers(3, max(4, size // 28)))
        image = cv2.filter2D(image, -1,
                             _motion_kernel(length, rng.uniform(0, np.pi)))
    elif blur < .6:
        image = cv2.GaussianBlur(image, (0, 0),
                                 rng.uniform(.3, 1.3) * size / 224)
    noise = rng.standard_normal(image.shape, np.float32)
    image += noise * np.float32(rng.uniform(0, 9))
    return np.clip(image, 0, 255).astype(np.uint8)
