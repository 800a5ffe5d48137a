"""Skins of all tones with palms, creases, nails and veins."""
from typing import NamedTuple, Optional

import cv2
import numpy as np

from .assets import asset_path, read_picture
from .hand_model import HandModel, Subject
from .numba_utils import cached_njit
from .rasterizer import Surface

AGES = {'young': 25., 'middleage': 45., 'old': 68.}
"""Ages of the skins in years."""

SKINS = ('middleage_dark_female_1', 'middleage_dark_male_1',
         'middleage_light_female_1', 'middleage_light_female_2',
         'middleage_light_male_1', 'middleage_light_male_2',
         'old_dark_female_1', 'old_dark_male_1', 'old_light_female_1',
         'old_light_female_2', 'old_light_male_1', 'old_light_male_2',
         'young_dark_female_1', 'young_dark_male_1', 'young_light_female_1',
         'young_light_female_2', 'young_light_female_3', 'young_light_male_1',
         'young_light_male_2', 'young_light_male_3')
"""Names of the skins: age, tone, sex, number."""

TONES = np.array([[.80, .56, .44], [.72, .46, .34], [.60, .35, .23],
                  [.45, .24, .14], [.30, .14, .075], [.16, .068, .034],
                  [.085, .038, .022]])
"""Linear albedos of the back of hands, from very light to very dark."""

_ATLAS_SHAPE = (512, 512, 3)
_LIGHT_PALM = np.array([.56, .34, .25])


class Skin(NamedTuple):
    """How a hand's surface looks, in the atlas of the hand model.

    Attributes:
        texture: (N, N, 3) float32, linear albedo.
        relief: (N, N) float32, mm.
        sheen: (N, N) float32, 0 to 1, where it shines like varnish.
        gloss: Strength of the mirrored light against a dielectric's.
        roughness: 0 (mirror) to 1 (matt).
        translucency: 0, or how far light spreads within.
    """
    texture: np.ndarray
    relief: Optional[np.ndarray]
    sheen: Optional[np.ndarray]
    gloss: float
    roughness: float
    translucency: float


def hand_surface(model: HandModel, vertices: np.ndarray,
                 skin: Skin) -> Surface:
    """The hand to draw, in the frame of ``vertices``.

    Args:
        model: The hand model.
        vertices: (V, 3) of a posed hand.
        skin: Its skin.

    Returns:
        Surface: Its parts are the model's ``face_parts``.
    """
    return Surface(vertices, model.faces, model.texture_coordinates,
                   model.texture_faces, skin.texture, model.face_parts,
                   *skin[1:])


def _read(name: str, *shape: int) -> np.ndarray:
    return read_picture(asset_path(f'skins/{name}'), shape or _ATLAS_SHAPE)


class Skins:
    """Makes skins.

    Args:
        size: Side of the textures: 256 is enough for pictures of 128 pixels,
            512 for those of more than 160.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged.
    """

    def __init__(self, size: int = 256):
        self.size = size
        age, tone, sex, _ = zip(*(name.split('_') for name in SKINS))
        self._ages = np.array([AGES[name] for name in age])
        self._dark = np.array(tone) == 'dark'
        self._male = np.array(sex) == 'male'
        marks = self._scale(_read('marks.png')) / np.float32(255)
        self._marks = np.ascontiguousarray(marks)  # palmar, crease, vein
        nails = _read('nails.png')
        self._nail = self._scale(nails)[..., 0] / np.float32(255)
        along = self._scale(nails)[..., 1] / np.float32(255)
        self._nail_texels = np.nonzero(self._nail > .01)
        self._along_nail = along[self._nail_texels]
        self._detail = self._scale(_read('detail.jpg', 1024, 1024)) - 128
        self._detail *= np.float32(1 / 128)
        # A skin is its structure, without its tone and without its nails,
        # whose highlights are painted.
        back = (marks[..., 0] < .2) & (self._nail < .01)
        soft = cv2.GaussianBlur(
            cv2.dilate(self._nail, np.ones((5, 5))), (0, 0), size / 256)[...,
                                                                         None]
        soft = np.clip(1.5 * soft, 0, 1)
        palm = marks[..., 0] > .8
        self._maps, self._palm_lifts = [], []
        for name in SKINS:
            picture = self._scale(_read(f'{name}.jpg'))
            linear = (picture / np.float32(255))**2.2
            around = cv2.blur(linear * (1 - soft), (31, 31)) / np.maximum(
                cv2.blur(1 - soft[..., 0], (31, 31)), .05)[..., None]
            linear += soft * (around - linear)
            structure = np.log(
                np.maximum(linear / np.median(linear[back], axis=0), .02))
            self._maps.append(structure.astype(np.float32))
            self._palm_lifts.append(np.median(structure[palm], axis=0))

    def _scale(self, picture: np.ndarray) -> np.ndarray:
        return cv2.resize(
            picture, (self.size, self.size),
            interpolation=cv2.INTER_AREA).astype(np.float32)

    def plain(self, rng: np.random.Generator) -> Skin:
        """One skin colour all over, without structure."""
        texture = np.empty((4, 4, 3), np.float32)
        texture[:] = _sample_tone(rng, .5 < rng.random())
        return Skin(texture, None, None, 1., .45, 0.)

    def sample(self, rng: np.random.Generator, subject: Subject) -> Skin:
        """Draw a skin that suits a person's sex and age.

        Args:
            rng: Source of randomness.
            subject: The person.
        """
        dark = rng.random() < .42
        tone = _sample_tone(rng, dark)
        unlike = (
            np.abs(self._ages - subject.age) / 12 + 1.5 *
            (self._male != (subject.male > .5)))
        weights = np.exp(-unlike) * np.where(self._dark == dark, 1, .02)
        first, second = rng.choice(len(weights), 2, p=weights / weights.sum())
        share = rng.uniform(0, .5)
        strength = rng.uniform(.55, 1.05)
        # Palms are light, but no lighter than a light skin's.
        lift = (1 - share) * self._palm_lifts[first] + (
            share * self._palm_lifts[second])
        room = np.log(_LIGHT_PALM / tone)
        strength = np.where(lift > .2,
                            np.clip(room / np.maximum(lift, .2), .1, strength),
                            strength)
        old = np.clip((subject.age - 30) / 40, 0, 1)
        detail = rng.uniform(.3, 1.) * (.7 + .5 * old)
        creases = rng.uniform(.15, .6) * (.7 + .6 * old)
        veins = max(rng.normal(0, .4), 0) * (.5 + old + .3 * subject.male)

        # blood shows in palms, finger tips and creases
        shifts = np.stack([
            rng.uniform(.05, .35) * np.array([.1, -.25, -.2]),
            creases * np.array([-.45, -.65, -.65]),
            veins * np.array([-.14, -.06, -.03])
        ])
        ink, ink_color = self._draw_spots(rng, subject.age, dark)
        texture = np.empty((self.size, self.size, 3), np.float32)
        relief = np.empty((self.size, self.size), np.float32)
        _compose(
            texture, relief, self._maps[first], self._maps[second],
            (strength * (1 - share)).astype(np.float32),
            (strength * share).astype(np.float32), self._marks, self._detail,
            shifts.astype(np.float32), np.float32(detail), ink, ink_color,
            tone.astype(np.float32),
            np.array([.8 * detail, -.4 * creases, .55 * veins], np.float32))
        sheen = self._paint_nails(rng, texture, relief, tone, subject)
        oily = rng.random()**1.5
        return Skin(
            texture=texture,
            relief=relief,
            sheen=sheen,
            gloss=float(.45 + .6 * oily),
            roughness=float(np.clip(.6 - .16 * oily + .05 * old, .4, .65)),
            translucency=float(rng.uniform(.6, 1.1)))

    def _draw_spots(self, rng: np.random.Generator, age: float,
                    dark: bool) -> tuple:
        """Moles, freckles and stains of age, or a tattoo.

        Returns:
            tuple: (N, N) float32 density and (3,) how much it takes from the
            logarithm of the albedo.
        """
        scale = self.size / 512
        ink = np.zeros((self.size, self.size), np.float32)
        color = np.array([.35, .55, .7], np.float32)
        if rng.random() < .04:  # a tattoo on arm or back of the hand
            centre = self.size * np.array([
                rng.uniform(.2, .4),
                rng.uniform(.1, .4) if rng.random() < .7 else .6
            ])
            for _ in range(rng.integers(2, 7)):
                points = centre + np.cumsum(
                    rng.normal(0, 14 * scale, (6, 2)), axis=0)
                cv2.polylines(ink, [np.rint(points).astype(np.int32)],
                              bool(rng.random() < .4), rng.uniform(.5, 1.),
                              int(np.ceil(rng.uniform(1, 4) * scale)),
                              cv2.LINE_AA)
            color = rng.uniform(.2, 1.8, 3) if rng.random() < .2 else np.array(
                [1.6, 1.4, 1.2])
            return ink, color.astype(np.float32)
        count = rng.poisson(3 if dark else 6)
        if not dark and rng.random() < .15:
            count += 120
        if age > 50:
            count += rng.poisson(25)
        places = rng.uniform(0, 1, (count, 2)) * [.64, 1] * self.size
        radii = np.exp(rng.normal(-.1, .5, count)) * scale
        depths = rng.uniform(.2, .9, count) * (1 if scale == 1 else .7)
        for place, radius, depth in zip(
                np.rint(16 * places).astype(int).tolist(),
                np.maximum(16 * radii, 8).astype(int).tolist(),
                depths.tolist()):
            cv2.circle(ink, place, radius, depth, -1, cv2.LINE_AA, 4)
        return ink, color

    def _paint_nails(self, rng: np.random.Generator, texture: np.ndarray,
                     relief: np.ndarray, tone: np.ndarray,
                     subject: Subject) -> np.ndarray:
        """Colour the nails in place and return where they shine."""
        texels, along = self._nail_texels, self._along_nail
        cover = self._nail[texels][:, None]
        varnished = rng.random() < (.15 if subject.male < .5 else .01)
        if varnished:
            hue = rng.random()
            if hue < .55:  # reds and pinks
                paint = np.array([rng.uniform(.3, .8), 0, 0])
                paint[1:] = paint[0] * rng.uniform(.02, .6)
                paint[2] *= rng.uniform(.8, 1.5)
            elif hue < .75:  # near the skin
                paint = np.clip(tone * rng.uniform(.8, 1.5), .02, .8)
            else:
                paint = rng.uniform(.01, .8, 3)
            color = np.broadcast_to(paint, (len(along), 3)).copy()
            cover = cover * .97
            shine = rng.uniform(.7, 1)
        else:
            bed = tone * .75 + .25 * np.array([.62, .36, .32])
            bed = bed * np.array([1.1, .98, 1.])
            color = np.broadcast_to(bed, (len(along), 3)).copy()
            root = rng.uniform(.12, .22)
            lunula = np.clip((root - along) / .06, 0, 1) * rng.uniform(0, .6)
            rim = rng.uniform(.86, .97)
            edge = np.clip((along - rim) / .05, 0, 1) * rng.uniform(.3, .9)
            white = np.clip(tone * .6 + .4 * np.array([.8, .74, .66]), 0, .8)
            for share in (lunula, edge):
                color += share[:, None] * (white - color)
            cover = cover * .85
            shine = rng.uniform(.15, .65)
        texture[texels] += cover * (color - texture[texels])
        # the nail is smooth and stands out of its fold
        nail = self._nail[texels]
        relief[texels] = relief[texels] * (1 - nail) + .12 * nail
        sheen = np.zeros((self.size, self.size), np.float32)
        sheen[texels] = shine * nail
        return sheen


@cached_njit
def _compose(texture, relief, first, second, first_share, second_share, marks,
             detail_map, shifts, detail, ink, ink_color, tone, heights):
    """Fill texture and relief; see Skins.sample."""
    for y in range(texture.shape[0]):
        for x in range(texture.shape[1]):
            fine = detail_map[y, x]
            palmar, crease, vein = marks[y, x]
            spot = ink[y, x] * (np.float32(1) - palmar)
            for c in range(3):
                value = np.exp(first_share[c] * first[y, x, c] +
                               second_share[c] * second[y, x, c] +
                               palmar * shifts[0, c] + crease * shifts[1, c] +
                               vein * shifts[2, c] + detail * fine -
                               spot * ink_color[c]) * tone[c]
                texture[y, x, c] = min(max(value, .004), .85)
            relief[y, x] = (
                heights[0] * fine + heights[1] * crease + heights[2] * vein)


def _sample_tone(rng: np.random.Generator, dark: bool) -> np.ndarray:
    """Draw a linear albedo of skin."""
    place = rng.uniform(2.3, 6) if dark else rng.uniform(0, 2.7)
    i = min(int(place), len(TONES) - 2)
    tone = TONES[i] * (TONES[i + 1] / TONES[i])**(place - i)
    # blood reddens, carotene yellows
    blood, yellow = rng.normal(0, .07), rng.normal(0, .09)
    return tone * np.exp([.2 * blood, -blood, -.8 * blood - yellow]) * np.exp(
        rng.normal(0, .05))
