"""Put hands before a camera, render them and say where their joints are."""
from typing import NamedTuple, Sequence, Tuple

import numpy as np

from lgh_mmpose.geometry.camera import project

from .appearance import (BackgroundPool, HandAppearance, Light, apply_camera,
                         sample_occluder, shade_crevices)
from .pose_sampler import CollisionTest, sample_hand, sample_shape
from .renderer import NEAR, create_canvas, draw_mesh, resolve, vertex_normals
from .rig import (FOREARM_PART, HandGeometry, HandRig, mirror, rotation_x,
                  rotation_z)

DIFFICULTIES = ('easy', 'full')
SPLITS = ('training', 'evaluation')

PERSON_ID = 1
LEFT_HAND_ID = 2
RIGHT_HAND_ID = 18
"""RHD's part ids: the forearm, and the first of a hand's 16 parts."""

_ROOT = 9  # middle finger MCP
_SAMPLES, _BACKGROUNDS, _PAIRS = range(3)  # streams of random numbers

# How far, in mm, the skin may lie before a joint that counts as visible: 95 %
# of what is measured on open hands seen from palm, back and side.
_FLESH = np.array([30., 27., 22., 14., 11.] + [21., 13., 11., 10.] * 4)

# Rotations from the wrist frame to the camera frame, fingers up.
_PALM_VIEW = np.array([[-1., 0, 0], [0, 0, 1], [0, 1, 0]])
_BACK_VIEW = np.array([[1., 0, 0], [0, 0, 1], [0, -1, 0]])


class PlacedHand(NamedTuple):
    """A hand in the camera frame, mm.

    Attributes:
        vertices: (V, 3).
        keypoints: (21, 3) in FreiHAND's order.
        side: 'left' or 'right'. A left hand is a mirrored right one.
    """
    vertices: np.ndarray
    keypoints: np.ndarray
    side: str


class SyntheticSample(NamedTuple):
    """A picture of H hands and its annotation.

    Attributes:
        image: (S, S, 3) uint8, RGB.
        part_mask: (S, S) uint8, RHD's part ids: 0 background, 1 forearm, 2-17
            left and 18-33 right hand (tip to base from thumb to little
            finger, palm). Occluders are background.
        camera_matrix: (3, 3) float64.
        keypoints_cam: (H, 21, 3) float64, mm in the camera frame.
        keypoints_visible: (H, 21) bool, in the image and neither behind an
            occluder nor behind another part of a hand.
        sides: H times 'left' or 'right'.
        depth: (S, S) float32, mm, of hands and forearms; inf where there are
            none or an occluder.
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
    axis = rotation_z(rng.uniform(0, 2 * np.pi))
    lean = axis @ rotation_x(np.radians(rng.normal(0, tilt))) @ axis.T
    return rotation_z(np.radians(rng.uniform(-roll, roll))) @ lean @ view


class SceneGenerator:
    """Makes samples; each depends on the seed, the split and its index only.

    Args:
        seed: Seed of the data set.
        split: 'training' or 'evaluation'. They share neither samples nor
            backgrounds.
        size: Side of the images in pixels.
        difficulty: 'full', hands turned any way, or 'easy', palm or back
            towards the camera with the fingers up.
        num_backgrounds: Size of the pool of backgrounds.
        occluder_prob: Probability of an object before the hand.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(self,
                 seed: int,
                 split: str = 'training',
                 size: int = 224,
                 difficulty: str = 'full',
                 num_backgrounds: int = 200,
                 occluder_prob: float = .3):
        if split not in SPLITS:
            raise ValueError(f'split is {split!r}, expected one of {SPLITS}')
        if difficulty not in DIFFICULTIES:
            raise ValueError(f'difficulty is {difficulty!r}, expected one of '
                             f'{DIFFICULTIES}')
        if seed < 0:
            raise ValueError(f'seed is {seed}, expected 0 or more')
        if size < 16:
            raise ValueError(f'size is {size}, expected at least 16 pixels')
        if num_backgrounds < 1:
            raise ValueError('num_backgrounds is to be at least 1')
        self.size = size
        self.difficulty = difficulty
        self.occluder_prob = occluder_prob
        self.rig = HandRig()
        self._key = (seed, SPLITS.index(split))
        self._appearance = HandAppearance(self.rig)
        self._collides = CollisionTest()
        self.backgrounds = BackgroundPool(
            [self._seed(_BACKGROUNDS, i) for i in range(num_backgrounds)])

    def _seed(self, stream: int, index: int) -> np.random.SeedSequence:
        seed, split = self._key
        return np.random.SeedSequence(seed, spawn_key=(split, stream, index))

    def sample(self, index: int) -> SyntheticSample:
        """Make the sample of a single right hand with this index."""
        rng = np.random.default_rng(self._seed(_SAMPLES, index))
        geometry = self.rig.deform(*sample_hand(rng, self.rig, self._collides))
        rotation = upright_rotation(
            rng) if self.difficulty == 'easy' else uniform_rotation(rng)
        hand, camera_matrix = self._frame_hand(rng, geometry, rotation)
        return self.render(rng, [hand], camera_matrix)

    def _frame_hand(self, rng: np.random.Generator, geometry: HandGeometry,
                    rotation: np.ndarray) -> Tuple[PlacedHand, np.ndarray]:
        """Choose place and focal length so that the key points span 50 to
        85 % of the image."""
        size = self.size
        depth = rng.uniform(300, 800)
        fill = rng.uniform(.5, .85)
        principal_point = (size - 1) / 2 + rng.normal(0, .02 * size, 2)
        centre = (size - 1) / 2 + rng.uniform(-.07, .07, 2) * size

        hand = place_hand(geometry, rotation, np.array([0, 0, depth]))
        shift = np.zeros(3)
        for _ in range(3):  # perspective makes this a fixed-point iteration
            moved = hand.keypoints + shift
            rays = moved[:, :2] / moved[:, 2:]
            low, high = rays.min(axis=0), rays.max(axis=0)
            focal = fill * size / (high - low).max()
            shift[:2] += depth * ((centre - principal_point) / focal -
                                  (low + high) / 2)
        hand = hand._replace(
            vertices=hand.vertices + shift, keypoints=hand.keypoints + shift)
        camera_matrix = np.array([[focal, 0, principal_point[0]],
                                  [0, focal, principal_point[1]], [0, 0, 1]])
        return hand, camera_matrix

    def sample_both_hands(self, index: int) -> SyntheticSample:
        """Make the sample of a person's left and right hand, in that order.

        One of them spans 20 to 55 % of the image and lies inside; the other
        is on its left or right, may cover it or be covered and may leave the
        image.
        """
        rng = np.random.default_rng(self._seed(_PAIRS, index))
        turn = (
            upright_rotation
            if self.difficulty == 'easy' else uniform_rotation)
        bone_scale = sample_shape(rng)
        hands = []
        for side in ('left', 'right'):
            pose, _ = sample_hand(
                rng, self.rig, self._collides, bone_scale=bone_scale)
            geometry = self.rig.deform(pose, bone_scale)
            hands.append(place_hand(geometry, turn(rng), np.zeros(3), side))
        hands, camera_matrix = self._frame_both_hands(rng, hands)
        return self.render(rng, hands, camera_matrix)

    def _frame_both_hands(
        self, rng: np.random.Generator, hands: Sequence[PlacedHand]
    ) -> Tuple[Sequence[PlacedHand], np.ndarray]:
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
        camera_matrix = np.array([[focal, 0, size / 2], [0, focal, size / 2],
                                  [0, 0, 1]])
        return [
            hand._replace(
                vertices=hand.vertices + shift,
                keypoints=hand.keypoints + shift)
            for hand, shift in zip(hands, shifts)
        ], camera_matrix

    def render(self, rng: np.random.Generator, hands: Sequence[PlacedHand],
               camera_matrix: np.ndarray) -> SyntheticSample:
        """Render one person's hands before a random background.

        Args:
            rng: Source of randomness for colours, light, background,
                occluder, blur and noise.
            hands: The hands, e.g. from :func:`place_hand`.
            camera_matrix: (3, 3) float64.

        Returns:
            SyntheticSample: Picture and annotation.
        """
        canvas = create_canvas(self.size)
        albedo = self._appearance.sample_albedo(rng)
        light = Light(rng)
        for hand in hands:
            faces = self.rig.faces
            first_id = RIGHT_HAND_ID
            if hand.side == 'left':
                faces = faces[:, ::-1]
                first_id = LEFT_HAND_ID
            parts = np.where(self.rig.face_parts == FOREARM_PART, PERSON_ID,
                             first_id + self.rig.face_parts).astype(np.uint8)
            normals = vertex_normals(hand.vertices, faces)
            colors = light.shade(hand.vertices, normals, albedo)
            draw_mesh(canvas, hand.vertices, faces, colors, parts,
                      camera_matrix)
        if rng.random() < .8:
            shade_crevices(canvas, rng.uniform(8, 22))
        layer = resolve(canvas)
        image = self.backgrounds.sample(rng, self.size)
        image = image * (1 - layer.alpha[..., None]) + layer.color

        part_mask = layer.part
        occluded = np.zeros(part_mask.shape, bool)
        if rng.random() < self.occluder_prob:
            coverage = sample_occluder(rng, part_mask > PERSON_ID)
            texture = np.clip(self.backgrounds.sample(rng, self.size), 0, 255)
            image += coverage[..., None] * (texture - image)
            occluded = coverage >= .5
            part_mask[occluded] = 0
        return SyntheticSample(
            image=apply_camera(rng, image),
            part_mask=part_mask,
            camera_matrix=camera_matrix,
            keypoints_cam=np.stack([hand.keypoints for hand in hands]),
            keypoints_visible=np.stack([
                _visible(hand.keypoints, camera_matrix, layer.inverse_depth,
                         occluded) for hand in hands
            ]),
            sides=tuple(hand.side for hand in hands),
            depth=np.divide(
                1,
                layer.inverse_depth,
                out=np.full_like(layer.inverse_depth, np.inf),
                where=(layer.inverse_depth > 0) & ~occluded))


def place_hand(geometry: HandGeometry,
               rotation: np.ndarray,
               translation: np.ndarray,
               side: str = 'right') -> PlacedHand:
    """Put a hand before the camera.

    Args:
        geometry: A right hand in the wrist frame.
        rotation: (3, 3), wrist frame to camera frame.
        translation: (3,) place of the middle finger's MCP in mm.
        side: 'right', or 'left' to mirror the hand first.

    Returns:
        PlacedHand: The hand in the camera frame.
    """
    vertices, keypoints = geometry
    if side == 'left':
        vertices, keypoints = mirror(vertices), mirror(keypoints)
    elif side != 'right':
        raise ValueError(f"side is {side!r}, expected 'left' or 'right'")
    root = keypoints[_ROOT]
    return PlacedHand((vertices - root) @ rotation.T + translation,
                      (keypoints - root) @ rotation.T + translation, side)


def _visible(keypoints: np.ndarray, camera_matrix: np.ndarray,
             inverse_depth: np.ndarray, occluded: np.ndarray) -> np.ndarray:
    """(21,) bool, see :class:`SyntheticSample`."""
    size = len(inverse_depth)
    uv = np.rint(project(keypoints, camera_matrix))
    inside = ((uv >= 0) & (uv < size)).all(axis=1) & (keypoints[:, 2] > NEAR)
    column, row = np.where(inside[:, None], uv, 0).astype(int).T
    nearest = inverse_depth[row, column]
    # That is z - flesh > 1 / nearest, where nearest is 0 without a surface.
    in_front = (keypoints[:, 2] - _FLESH) * nearest > 1
    return inside & ~in_front & ~occluded[row, column]
