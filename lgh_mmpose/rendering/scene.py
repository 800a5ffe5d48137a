"""Put hands before a camera, render them and say where their joints are."""
from pathlib import Path
from typing import Collection, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from lgh_mmpose.geometry.camera import project

from .accessories import Accessories
from .backgrounds import Backgrounds, cast_shadow
from .camera_effects import apply_camera
from .grasping import HeldObject, sample_hand, sample_hand_pair
from .hand_model import HandModel, Subject, mirror
from .lighting import Light, load_environments, sample_light
from .occluders import sample_occluder
from .rasterizer import NEAR, Surface
from .rotations import axis_rotation
from .shading import render, to_srgb
from .skins import Skin, Skins, hand_surface
from .upper_arms import upper_arm

DIFFICULTIES = ('easy', 'full')
SPLITS = ('training', 'evaluation')
MAX_SIZE = 4096
FILL = (.5, .85)
"""What share of the image a single hand spans, if nothing else is said."""
INGREDIENTS = ('subjects', 'skins', 'environment_light', 'photographs',
               'objects', 'accessories', 'camera')
"""What can be left out of the pictures, to see what it is worth: people of
different shape; of different skin; light from environment maps; environment
maps, photographs and people behind; held objects and what stands before the
hand; sleeves, jewellery and varnish; the faults of cameras."""

PERSON_ID = 1
LEFT_HAND_ID = 2
RIGHT_HAND_ID = 18
"""RHD's part ids: the forearm, and the first of a hand's 16 parts."""
_OBJECT_PART = 17  # of the surfaces of a hand, beside the model's parts
_PART_IDS = {
    side: np.array([*range(first, first + 16), PERSON_ID, 0], np.uint8)
    for side, first in (('left', LEFT_HAND_ID), ('right', RIGHT_HAND_ID))
}

_ROOT = 9  # middle finger MCP
_ORIGIN = np.zeros(3)
_SAMPLES, _PAIRS, WHOLE_PICTURES = range(3)  # streams of random numbers
_EVALUATION_SHARE = 5  # every fifth environment map is for the evaluation
_TOWARDS_CAMERA = .75  # cosine between a forearm and the way to the camera
_TURNS = 20  # tries to keep below it
_UPRIGHT = .7  # share of hands turned any way that are so loosely upright
_OCCLUDER = .12  # probability of something before the hand
_TOUCHING = .35  # of two hands that touch
_SHADOW = .25  # of a wall behind, on which the hand's shadow falls

# How far, in mm, the skin may lie before a joint that counts as visible: 95 %
# of what is measured on open hands seen from palm, back and side.
_FLESH = np.array([28., 30., 22., 12., 11.] + [21., 11., 10., 8.] * 4)

_PRESSED = 2.  # mm, how far a tip may be pressed into an object

# Rotations from the hand frame to the camera frame, fingers up.
_PALM_VIEW = np.array([[-1., 0, 0], [0, 0, 1], [0, 1, 0]])
_BACK_VIEW = np.array([[1., 0, 0], [0, 0, 1], [0, -1, 0]])


class Hand(NamedTuple):
    """A hand with what it wears and holds, mm.

    Attributes:
        surfaces: What is drawn; first the skin.
        keypoints: (21, 3) in FreiHAND's order.
        side: 'left' or 'right'. A left hand is a mirrored right one.
    """
    surfaces: Sequence[Surface]
    keypoints: np.ndarray
    side: str = 'right'

    def moved(self, shift: np.ndarray) -> 'Hand':
        """The hand elsewhere, by (3,) mm."""
        return self._replace(
            surfaces=[
                surface._replace(vertices=surface.vertices + shift)
                for surface in self.surfaces
            ],
            keypoints=self.keypoints + shift)


class SyntheticSample(NamedTuple):
    """A picture of H hands and its annotation.

    Attributes:
        image: (S, S, 3) uint8, RGB.
        part_mask: (S, S) uint8, RHD's part ids: 0 background, 1 forearm, 2-17
            left and 18-33 right hand (tip to base from thumb to little
            finger, palm). What is worn counts as what it covers; what is
            held or stands before the hand is background.
        camera_matrix: (3, 3) float64.
        keypoints_cam: (H, 21, 3) float64, mm in the camera frame.
        keypoints_visible: (H, 21) bool, in the image and neither behind an
            object nor behind another part of a hand.
        sides: H times 'left' or 'right'.
        depth: (S, S) float32, mm, of hands and forearms; inf where there are
            none or something before them.
    """
    image: np.ndarray
    part_mask: np.ndarray
    camera_matrix: np.ndarray
    keypoints_cam: np.ndarray
    keypoints_visible: np.ndarray
    sides: Sequence[str]
    depth: np.ndarray


def uniform_rotation(rng: np.random.Generator) -> np.ndarray:
    """Return a (3, 3) rotation, uniform over all rotations."""
    q = rng.normal(size=4)
    w, x, y, z = q / np.linalg.norm(q)
    return np.array(
        [[1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
         [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
         [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)]])


def upright_rotation(rng: np.random.Generator,
                     tilt: float = 25.,
                     roll: float = 60.) -> np.ndarray:
    """Return a rotation that shows palm or back of the hand, fingers up.

    Args:
        rng: Source of randomness.
        tilt: Standard deviation in degrees about a random image axis.
        roll: Largest angle in degrees in the image plane.
    """
    view = _PALM_VIEW if rng.random() < .5 else _BACK_VIEW
    axis = axis_rotation(2, rng.uniform(0, 360))
    lean = axis @ axis_rotation(0, rng.normal(0, tilt)) @ axis.T
    return axis_rotation(2, rng.uniform(-roll, roll)) @ lean @ view


def any_rotation(rng: np.random.Generator) -> np.ndarray:
    """Return a rotation as of hands on photographs.

    Most of them are upright as hands are that are shown to a camera, if
    loosely; the others are uniform over all rotations.
    """
    if rng.random() < _UPRIGHT:
        return upright_rotation(rng, tilt=35., roll=75.)
    return uniform_rotation(rng)


class SceneGenerator:
    """Makes samples; each depends on the seed, the split and its index only.

    Args:
        seed: Seed of the data set.
        split: 'training' or 'evaluation'. They share neither samples nor
            environment maps.
        size: Side of the images in pixels, 16 to 4096.
        difficulty: 'full', hands turned any way, or 'easy', palm or back
            towards the camera with the fingers up.
        backgrounds: Folder of photographs for the background, in place of
            those that ship with the package.
        without: What is left out, some of :data:`INGREDIENTS`.

    Raises:
        FileNotFoundError: If a file that ships with the package is missing.
        OSError: If the folder cannot be read.
        ValueError: If an argument is out of its range, the folder has no
            picture that can be used, or a file is damaged.
    """

    def __init__(self,
                 seed: int,
                 split: str = 'training',
                 size: int = 224,
                 difficulty: str = 'full',
                 backgrounds: Optional[Union[str, Path]] = None,
                 without: Collection[str] = ()):
        if split not in SPLITS:
            raise ValueError(f'split is {split!r}, expected one of {SPLITS}')
        if difficulty not in DIFFICULTIES:
            raise ValueError(f'difficulty is {difficulty!r}, expected one of '
                             f'{DIFFICULTIES}')
        if seed < 0:
            raise ValueError(f'seed is {seed}, expected 0 or more')
        if not 16 <= size <= MAX_SIZE:
            raise ValueError(f'size is {size}, expected 16 to {MAX_SIZE} '
                             'pixels')
        unknown = sorted(set(without) - set(INGREDIENTS))
        if unknown:
            raise ValueError(f'{unknown[0]!r} cannot be left out; '
                             f'expected some of {INGREDIENTS}')
        if backgrounds is not None and 'photographs' in without:
            raise ValueError('a folder of backgrounds is of no use without '
                             'photographs')
        self.size = size
        self.without = frozenset(without)
        self._key = (seed, SPLITS.index(split))
        self.turn = (
            upright_rotation if difficulty == 'easy' else any_rotation)
        self.model = HandModel()
        self._environments = [
            environment for i, environment in enumerate(load_environments())
            if (i % _EVALUATION_SHARE == 0) == (split == 'evaluation')
        ]
        depth = self.model.mean_subject.vertices[:, 2]
        self._elbow = np.flatnonzero(depth > depth.max() - 12)
        self._accessories = Accessories(self.model)
        # finer than a pixel of hands that fill the picture
        self._skins = Skins(256 if size <= 160 else 512)
        self.backgrounds = Backgrounds(
            backgrounds,
            photographs='photographs' not in without,
            panoramas=[e.panorama for e in self._environments])

    def random(self, stream: int, index: int) -> np.random.Generator:
        seed, split = self._key
        return np.random.default_rng(
            np.random.SeedSequence(seed, spawn_key=(split, stream, index)))

    def sample(self,
               index: int,
               fill: Tuple[float, float] = FILL) -> SyntheticSample:
        """Make the sample of a single right hand with this index, 0 or more.

        Args:
            index: Index of the sample.
            fill: Least and largest share of the image that its key points,
                which lie in it, span.
        """
        rng = self.random(_SAMPLES, index)
        subject, skin = self.sample_person(rng)
        pose, held = self.sample_hand(rng, subject)
        hand = self.turn_hand(rng, self.dress(rng, subject, skin, pose, held),
                              'right')
        hand, camera_matrix = self._frame_hand(rng, hand, fill)
        hands = self.add_upper_arms(rng, [hand], camera_matrix)
        return self.render(rng, hands, camera_matrix)

    def sample_person(self,
                      rng: np.random.Generator,
                      skins: Optional[Skins] = None) -> Tuple[Subject, Skin]:
        """Draw shape and skin of a person's hands.

        Args:
            rng: Source of randomness.
            skins: Skins of a resolution that suits hands of another size.
        """
        skins = skins or self._skins
        subject = self.model.mean_subject if 'subjects' in self.without \
            else self.model.sample_subject(rng)
        skin = skins.plain(rng) if 'skins' in self.without \
            else skins.sample(rng, subject)
        return subject, skin

    def sample_hand(
            self, rng: np.random.Generator,
            subject: Subject) -> Tuple[np.ndarray, Optional[HeldObject]]:
        """Draw the pose of a hand and what it holds."""
        return sample_hand(
            rng, self.model, subject, objects='objects' not in self.without)

    def dress(self,
              rng: np.random.Generator,
              subject: Subject,
              skin: Skin,
              pose: np.ndarray,
              held: Optional[HeldObject] = None) -> Hand:
        """A hand, in its own frame, with what it wears and holds."""
        vertices, keypoints = self.model.deform(pose, subject)
        surfaces = [hand_surface(self.model, vertices, skin)]
        if 'accessories' not in self.without:
            surfaces += self._accessories.sample(rng, subject, pose, vertices)
        if held is not None:
            surfaces.append(self._held_surface(rng, held))
        return Hand(surfaces, keypoints)

    def _held_surface(self, rng: np.random.Generator,
                      held: HeldObject) -> Surface:
        """A thing of any colour, or with a picture on it."""
        mesh = held.mesh
        if rng.random() < .5:
            texture = self.backgrounds.sample(rng, 64) / 255
            texture **= 2.2
        else:
            texture = np.empty((4, 4, 3), np.float32)
            texture[:] = rng.uniform(
                .01, .85, 3) if rng.random() < .6 else rng.uniform(.01, .85)
        return Surface(
            mesh.vertices,
            mesh.faces,
            mesh.texture_coordinates,
            mesh.texture_faces,
            texture,
            np.full(len(mesh.faces), _OBJECT_PART, np.uint8),
            gloss=rng.uniform(.3, 1.5),
            roughness=rng.uniform(.15, .8),
            metallic=float(rng.random() < .1))

    def turn_hand(self, rng: np.random.Generator, hand: Hand,
                  side: str) -> Hand:
        """Turn a hand so that its own forearm does not hide it."""
        for _ in range(_TURNS):
            placed = place_hand(hand, self.turn(rng), side=side)
            if self._is_in_view(placed):
                break
        return placed

    def _is_in_view(self, hand: Hand) -> bool:
        """Whether the forearm does not point towards the camera."""
        forearm = self.elbow_of(hand) - hand.keypoints[0]
        return forearm[2] > -_TOWARDS_CAMERA * np.linalg.norm(forearm)

    def add_upper_arms(self, rng: np.random.Generator, hands: Sequence[Hand],
                       camera_matrix: np.ndarray) -> Sequence[Hand]:
        """Let no arm end within the picture."""
        keypoints = np.concatenate([hand.keypoints for hand in hands])
        arms = [
            upper_arm(rng, hand.surfaces, hand.keypoints[0],
                      self.elbow_of(hand), camera_matrix, self.size, keypoints)
            for hand in hands
        ]
        return [
            hand if arm is None else hand._replace(
                surfaces=[*hand.surfaces, arm])
            for hand, arm in zip(hands, arms)
        ]

    def elbow_of(self, hand: Hand) -> np.ndarray:
        return hand.surfaces[0].vertices[self._elbow].mean(axis=0)

    def _frame_hand(self, rng: np.random.Generator, hand: Hand,
                    fill: Tuple[float, float]) -> Tuple[Hand, np.ndarray]:
        """Choose place and focal length so that the key points span a share
        of the image."""
        size = self.size
        depth = np.exp(rng.uniform(np.log(280), np.log(1000)))
        fill = rng.uniform(*fill)
        principal_point = (size - 1) / 2 + rng.normal(0, .02 * size, 2)
        centre = (size - 1) / 2 + rng.uniform(-.07, .07, 2) * size

        shift = np.array([0, 0, depth])
        for _ in range(3):  # perspective makes this a fixed-point iteration
            moved = hand.keypoints + shift
            rays = moved[:, :2] / moved[:, 2:]
            low, high = rays.min(axis=0), rays.max(axis=0)
            focal = fill * size / (high - low).max()
            shift[:2] += depth * ((centre - principal_point) / focal -
                                  (low + high) / 2)
        camera_matrix = np.array([[focal, 0, principal_point[0]],
                                  [0, focal, principal_point[1]], [0, 0, 1]])
        return hand.moved(shift), camera_matrix

    def sample_both_hands(self, index: int) -> SyntheticSample:
        """Make the sample of a person's left and right hand, in that order.

        Apart, one of them spans 20 to 55 % of the image and lies inside; the
        other is on its left or right, may cover it or be covered and may
        leave the image. Hands that touch or hold each other lie inside.
        """
        rng = self.random(_PAIRS, index)
        subject, skin = self.sample_person(rng)
        if rng.random() < _TOUCHING:
            hands = self.sample_touching(rng, subject, skin)
            hands, camera_matrix = self._frame_touching(rng, hands)
        else:
            hands = [
                self.turn_hand(
                    rng,
                    self.dress(rng, subject, skin,
                               *self.sample_hand(rng, subject)), side)
                for side in ('left', 'right')
            ]
            hands, camera_matrix = self._frame_both_hands(rng, hands)
        hands = self.add_upper_arms(rng, hands, camera_matrix)
        return self.render(rng, hands, camera_matrix)

    def sample_touching(self, rng: np.random.Generator, subject: Subject,
                        skin: Skin) -> Sequence[Hand]:
        """Left and right hand in one frame, turned at random."""
        pair = sample_hand_pair(rng, self.model, subject)
        left, right = (
            self.dress(rng, subject, skin, pose)
            for pose in (pair.left, pair.right))
        for _ in range(_TURNS):
            turn = self.turn(rng)
            # the wrists are the origins of the hands' frames
            hands = [
                place_hand(
                    left,
                    turn @ pair.rotation,
                    turn @ pair.position,
                    side='left',
                    root=0),
                place_hand(right, turn, root=0)
            ]
            if all(map(self._is_in_view, hands)):
                break
        return hands

    def _frame_touching(
            self, rng: np.random.Generator,
            hands: Sequence[Hand]) -> Tuple[Sequence[Hand], np.ndarray]:
        """Choose the camera so that both span 35 to 80 % of the image."""
        size = self.size
        focal = rng.uniform(.8, 1.2) * size
        keypoints = np.concatenate([hand.keypoints for hand in hands])
        low, high = keypoints.min(axis=0), keypoints.max(axis=0)
        extent = (high - low)[:2].max() + 30  # mm of flesh around the joints
        fill = rng.uniform(.35, .8)
        # a near plane would cut what is too close
        nearest = (high - low)[2] / 2 + 150
        depth = max(focal * extent / (fill * size), nearest)
        room = (1 - fill) / 2 * size
        centre = rng.uniform(-room, room, 2)
        middle = (low + high) / 2
        shift = depth * np.append(centre / focal, 1) - middle
        for _ in range(3):  # what is nearer is larger than that
            moved = keypoints + shift
            rays = moved[:, :2] / moved[:, 2:]
            low, high = rays.min(axis=0), rays.max(axis=0)
            span = focal * ((high - low).max() + 30 / depth)
            depth = max(depth * span / (fill * size), nearest)
            shift[:2] += depth * (centre / focal - (low + high) / 2)
            shift[2] = depth - middle[2]
        camera_matrix = np.array([[focal, 0, size / 2], [0, focal, size / 2],
                                  [0, 0, 1]])
        return [hand.moved(shift) for hand in hands], camera_matrix

    def _frame_both_hands(
            self, rng: np.random.Generator,
            hands: Sequence[Hand]) -> Tuple[Sequence[Hand], np.ndarray]:
        """Choose the camera and the places of two hands at the origin."""
        size = self.size
        focal = rng.uniform(.8, 1.2) * size
        low = np.stack([hand.keypoints.min(axis=0) for hand in hands])
        high = np.stack([hand.keypoints.max(axis=0) for hand in hands])
        half = (high - low) / 2 + 15  # mm of flesh around the joints

        main = int(rng.integers(2))
        other = 1 - main
        direction = rng.choice([-1, 1])  # where the main hand stands
        depth = np.empty(2)
        depth[main] = np.clip(
            focal * 2 * half[main, :2].max() / (rng.uniform(.2, .55) * size),
            250, 900)
        depth[other] = np.clip(depth[main] * rng.uniform(.85, 1.2), 250, 900)
        radius = focal * half[:, :2] / depth[:, None]
        centre = np.empty((2, 2))
        centre[main] = size / 2 + size * np.array(
            [direction * rng.uniform(.05, .3),
             rng.uniform(-.2, .2)])
        room = np.minimum(radius[main], size / 2)
        centre[main] = np.clip(centre[main], room, size - room)
        reach = radius.sum(axis=0)
        step = np.array([
            -direction * rng.uniform(.7, 1.5) * reach[0],
            rng.uniform(-.25, .25) * size
        ])
        centre[other] = centre[main] + step
        if (np.abs(step) < reach).all():
            # they overlap in the picture, so one stands behind the other
            gap = half[:, 2].sum()
            behind = rng.random() < .5 or depth[main] - gap < 250
            depth[other] = depth[main] + (gap if behind else -gap)

        rays = np.column_stack([(centre - size / 2) / focal, np.ones(2)])
        shifts = depth[:, None] * rays - (low + high) / 2
        for _ in range(3):  # what is nearer is larger and farther out
            moved = hands[main].keypoints + shifts[main]
            uv = focal * moved[:, :2] / moved[:, 2:] + size / 2
            outside = np.maximum(-uv.min(axis=0), 0) - np.maximum(
                uv.max(axis=0) - (size - 1), 0)
            shifts[:, :2] += depth[:, None] * outside / focal
        camera_matrix = np.array([[focal, 0, size / 2], [0, focal, size / 2],
                                  [0, 0, 1]])
        return [hand.moved(shift)
                for hand, shift in zip(hands, shifts)], camera_matrix

    def sample_light(self, rng: np.random.Generator) -> Light:
        """Draw the light of a scene."""
        return sample_light(
            rng, self._environments, plain='environment_light' in self.without)

    def render(self, rng: np.random.Generator, hands: Sequence[Hand],
               camera_matrix: np.ndarray) -> SyntheticSample:
        """Render one person's hands before a random background.

        Args:
            rng: Source of randomness for light, background, occluder and
                camera.
            hands: The hands, from :func:`place_hand`.
            camera_matrix: (3, 3) float64.

        Returns:
            SyntheticSample: Picture and annotation.
        """
        light = self.sample_light(rng)
        layer = render(surfaces_of(hands), camera_matrix, self.size, light)
        image = self._before_background(rng, layer.color, layer.alpha, light)

        part_mask = layer.part
        occluded = np.zeros(part_mask.shape, bool)
        if 'objects' not in self.without and rng.random() < _OCCLUDER:
            coverage, picture = sample_occluder(rng, part_mask > PERSON_ID,
                                                self.backgrounds)
            image += coverage[..., None] * (picture - image)
            occluded = coverage >= .5
            part_mask[occluded] = 0
        if 'camera' in self.without:
            image = np.rint(np.clip(image, 0, 255)).astype(np.uint8)
        else:
            image = apply_camera(rng, image, part_mask > PERSON_ID)
        depth = np.full(layer.inverse_depth.shape, np.inf, np.float32)
        np.divide(1, layer.inverse_depth, out=depth, where=part_mask > 0)
        return SyntheticSample(
            image=image,
            part_mask=part_mask,
            camera_matrix=camera_matrix,
            keypoints_cam=np.stack([hand.keypoints for hand in hands]),
            keypoints_visible=np.stack([
                visible_joints(hand.keypoints, camera_matrix,
                               layer.inverse_depth, part_mask, occluded)
                for hand in hands
            ]),
            sides=tuple(hand.side for hand in hands),
            depth=depth)

    def sample_background(self,
                          rng: np.random.Generator,
                          light: Light,
                          people: bool = True) -> np.ndarray:
        """Draw a background, (S, S, 3) float32, perhaps with people."""
        # with the light's own map behind, most of the time in its place
        view = (None, None)
        if light.environment is not None and rng.random() < .7:
            view = light.environment, light.rotation
        return self.backgrounds.sample(rng, self.size, *view, people=people)

    def _before_background(self, rng: np.random.Generator, color: np.ndarray,
                           alpha: np.ndarray, light: Light) -> np.ndarray:
        """Develop a linear picture and put it before a background."""
        image = self.sample_background(rng, light)
        if rng.random() < _SHADOW:
            image = cast_shadow(rng, image, alpha, light.key_direction)
        alpha = alpha[..., None]
        front = to_srgb(color / np.maximum(alpha, 1e-6))
        return image + alpha * (front - image)


def place_hand(hand: Hand,
               rotation: np.ndarray,
               translation: np.ndarray = _ORIGIN,
               side: str = 'right',
               root: int = _ROOT) -> Hand:
    """Put a hand before the camera.

    Args:
        hand: A right hand in the hand frame.
        rotation: (3, 3), hand frame to camera frame.
        translation: (3,) place of the root in mm. Defaults to the origin.
        side: 'right', or 'left' to mirror the hand first.
        root: The key point that is put there. Defaults to the middle finger's
            MCP.

    Returns:
        Hand: The hand in the camera frame.

    Raises:
        ValueError: If the side is neither.
    """
    if side not in ('left', 'right'):
        raise ValueError(f"side is {side!r}, expected 'left' or 'right'")
    origin = hand.keypoints[root] * ([-1, 1, 1] if side == 'left' else 1)

    def move(points: np.ndarray) -> np.ndarray:
        points = mirror(points) if side == 'left' else points
        return (points - origin) @ rotation.T + translation

    surfaces = []
    for surface in hand.surfaces:
        surface = surface._replace(vertices=move(surface.vertices))
        if side == 'left':
            surface = surface._replace(
                faces=surface.faces[:, ::-1],
                texture_faces=surface.texture_faces[:, ::-1])
        surfaces.append(surface)
    return Hand(surfaces, move(hand.keypoints), side)


def surfaces_of(hands: Sequence[Hand]) -> Sequence[Surface]:
    """All surfaces of hands, their parts numbered as in RHD."""
    return [
        surface._replace(parts=_PART_IDS[hand.side][surface.parts])
        for hand in hands for surface in hand.surfaces
    ]


def visible_joints(keypoints: np.ndarray, camera_matrix: np.ndarray,
                   inverse_depth: np.ndarray, part_mask: np.ndarray,
                   occluded: np.ndarray) -> np.ndarray:
    """(21,) bool, see :class:`SyntheticSample`."""
    size = len(inverse_depth)
    uv = np.rint(project(keypoints, camera_matrix))
    inside = ((uv >= 0) & (uv < size)).all(axis=1) & (keypoints[:, 2] > NEAR)
    column, row = np.where(inside[:, None], uv, 0).astype(int).T
    nearest = inverse_depth[row, column]
    # An object hides joints though it lies on the skin.
    reach = np.where(part_mask[row, column] > 0, _FLESH, _PRESSED)
    # That is z - reach > 1 / nearest, where nearest is 0 without a surface.
    in_front = (keypoints[:, 2] - reach) * nearest > 1
    return inside & ~in_front & ~occluded[row, column]
