"""Whole pictures, with hands of all sizes, to train a detector of hands."""
from typing import List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np

from lgh_mmpose.geometry.camera import project

from .backgrounds import cast_shadow
from .camera_effects import apply_camera
from .figures import GESTURES, Figure, Figures
from .lighting import Light
from .occluders import sample_occluder
from .rasterizer import NEAR
from .scene import (PERSON_ID, RIGHT_HAND_ID, WHOLE_PICTURES, Hand,
                    SceneGenerator, surfaces_of, visible_joints)
from .shading import render, to_srgb
from .skins import Skins

_NEAREST = 150.  # mm from the camera to the middle of a hand's near side
_FINE_SKIN = 130  # px that a hand spans from where skins are finer than 256
_OCCLUDER = .15  # probability of something before a hand
_SHADOW = .25  # of a wall behind, on which the shadow of a hand falls
_SHADOW_SPAN = .25  # share of the picture that such a hand spans at least
_KINDS = {
    'empty': .075,
    'portrait': .045,
    'touching': .1,
    'hands': .31,
    'people': .41,
    'both': .06
}
"""Kinds of pictures and how frequent they are: without hands; with someone
whose hands are hardly seen; with two hands that touch; with hands whose arms
come from anywhere; with people from head to foot; with those and hands."""
_DESK = .2  # of people close to the camera who sit behind a desk
_PAIR_SPAN = .6  # of the picture, of two hands before their body, at most
_HAND, _STATURE = 165., 1700.  # mm
_CLOSE = (.7, .06, .2, .04, 0), (.2, .03, .27, .25, .25)
_ALONE = (.5, .1, .2, .2, 0), (.2, .03, .17, .3, .3)
_IN_COMPANY = (.25, .05, .2, .35, .15), (.15, .05, .2, .4, .2)
"""How often either arm makes each of :data:`GESTURES`: of people close to the
camera, alone, and in company."""
_GAP = 45.  # mm between an arm and the body on which its shadow falls
_CONTRAST = 3.  # levels of a colour between a hand and what is about it


class WholePicture(NamedTuple):
    """A picture of H hands, of none at times.

    Attributes:
        image: (S, S, 3) uint8, RGB.
        keypoints: (H, 21, 2) float64, px, in FreiHAND's order.
        visible: (H, 21) bool, in the picture and not hidden.
        areas: (H,) int, how many pixels show a hand.
        legible: (H,) bool, whether a hand stands out; what is black, burnt
            out or lost in noise does not.
        sides: H times 'left' or 'right'.
    """
    image: np.ndarray
    keypoints: np.ndarray
    visible: np.ndarray
    areas: np.ndarray
    legible: np.ndarray
    sides: Sequence[str]


class _Canvas:
    """A picture that is painted from the back to the front.

    Args:
        image: (S, S, 3) float32, the background.
        camera_matrix: (3, 3).
        light: What lights all of it.
    """

    def __init__(self, image: np.ndarray, camera_matrix: np.ndarray,
                 light: Light):
        self.image = image
        self.camera_matrix = camera_matrix
        self.light = light
        self.owner = np.zeros(image.shape[:2], np.uint8)  # 1: hands[0], ...
        self.hands: List[Hand] = []
        self.visible: List[np.ndarray] = []

    def add_hands(self,
                  rng: np.random.Generator,
                  hands: Sequence[Hand],
                  shadow: bool = False,
                  body: Optional[np.ndarray] = None) -> None:
        """Draw hands and arms that may hide each other and all before.

        Args:
            rng: Source of randomness.
            hands: The hands; of either side one at most.
            shadow: Whether their shadow falls on a wall behind.
            body: (S, S) coverage by a body, on which it falls.
        """
        surfaces = surfaces_of(hands)
        box = self._box_of(np.concatenate([s.vertices for s in surfaces]))
        if box is None:
            return
        x, y, side = box
        camera_matrix = self.camera_matrix.copy()
        camera_matrix[:2, 2] -= x, y
        layer = render(surfaces, camera_matrix, side, self.light)
        covered = layer.alpha > 0
        if not covered.any():
            return
        window = np.s_[y:y + side, x:x + side]
        if shadow:
            alpha = np.zeros(self.owner.shape, np.float32)
            alpha[window] = layer.alpha
            self.image = cast_shadow(rng, self.image, alpha,
                                     self.light.key_direction)
        place = self.image[window]
        if body is not None:
            px_per_mm = camera_matrix[0, 0] / np.mean(
                [hand.keypoints[0, 2] for hand in hands])
            place *= 1 - _shade_on_body(layer.alpha, body[window], px_per_mm,
                                        self.light.key_direction)[..., None]
        alpha = layer.alpha[covered][:, None]
        front = to_srgb(layer.color[covered] / alpha)
        place[covered] += alpha * (front - place[covered])
        self._hide(layer.alpha >= .5, (x, y))
        owner = self.owner[window]
        is_right = layer.part >= RIGHT_HAND_ID
        for hand in hands:
            self.hands.append(hand)
            owner[(layer.part > PERSON_ID)
                  & (is_right == (hand.side == 'right'))] = len(self.hands)
            self.visible.append(
                visible_joints(hand.keypoints, camera_matrix,
                               layer.inverse_depth, layer.part,
                               np.zeros(layer.part.shape, bool)))

    def add_figure(
            self,
            rng: np.random.Generator,
            figure: Figure,
            desk: Optional[Tuple[np.ndarray, np.ndarray]] = None) -> None:
        """Draw a person.

        Args:
            rng: Source of randomness.
            figure: The person.
            desk: Coverage (S, S) by a desk between the body and the arms
                before it, and its picture.
        """
        behind, before = ([
            arm.hand for arm in figure.arms if arm.behind == hidden
        ] for hidden in (True, False))
        if behind:
            self.add_hands(rng, behind)
        body = self._add_body(figure)
        if desk is not None:
            self.cover(*desk)
        if before:
            self.add_hands(rng, before, body=body)

    def _add_body(self, figure: Figure) -> Optional[np.ndarray]:
        """Draw a body and return its (S, S) coverage, if any."""
        drawn = figure.body.draw(self.camera_matrix, len(self.owner),
                                 self.light, figure.outfit)
        if drawn is None:
            return None
        x, y, colors, coverage = drawn
        height, width = coverage.shape
        window = np.s_[y:y + height, x:x + width]
        place = self.image[window]
        place += coverage[..., None] * (colors - place)
        self._hide(coverage >= .5, (x, y))
        whole = np.zeros(self.owner.shape, np.float32)
        whole[window] = coverage
        return whole

    def cover(self, coverage: np.ndarray, picture: np.ndarray) -> None:
        """Put (S, S) coverage of a picture before all."""
        self.image += coverage[..., None] * (picture - self.image)
        self._hide(coverage >= .5, (0, 0))

    def _hide(self, hidden: np.ndarray, start: Tuple[int, int]) -> None:
        """Take from sight what lies under a mask that begins somewhere."""
        height, width = hidden.shape
        owner = self.owner[start[1]:start[1] + height,
                           start[0]:start[0] + width]
        owner[hidden] = 0
        for hand, visible in zip(self.hands, self.visible):
            at = np.rint(project(hand.keypoints,
                                 self.camera_matrix)).astype(int) - start
            inside = ((at >= 0) & (at < (width, height))).all(axis=1)
            column, row = np.where(inside[:, None], at, 0).T
            visible &= ~(inside & hidden[row, column])

    def _box_of(self, vertices: np.ndarray) -> Optional[Tuple[int, int, int]]:
        """Left, top and side of a square in the picture that holds what is
        seen of (V, 3) points."""
        size = len(self.owner)
        vertices = vertices[vertices[:, 2] > NEAR]
        if not len(vertices):
            return None
        uv = project(vertices, self.camera_matrix)
        low = np.clip(np.floor(uv.min(axis=0)) - 1, 0, size).astype(int)
        high = np.clip(np.ceil(uv.max(axis=0)) + 2, 0, size).astype(int)
        side = int((high - low).max())
        if (high <= low).any():
            return None
        x, y = np.minimum(low, size - side).tolist()
        return x, y, side


class WholePictures:
    """Makes whole pictures; each depends on the seed, the split and its index
    only.

    Args:
        scenes: What makes hands, light and backgrounds.
    """

    def __init__(self, scenes: SceneGenerator):
        self.scenes = scenes
        self._coarse_skins = Skins(256)
        self._figures = Figures(scenes)

    def sample(self, index: int) -> WholePicture:
        """Make the picture with this index, 0 or more."""
        scenes = self.scenes
        size = scenes.size
        rng = scenes.random(WHOLE_PICTURES, index)
        light = scenes.sample_light(rng)
        focal = size * np.exp(rng.uniform(np.log(.75), np.log(1.4)))
        middle = (size - 1) / 2
        camera_matrix = np.array([[focal, 0, middle], [0, focal, middle],
                                  [0, 0, 1]])
        kinds = [
            kind for kind in _KINDS
            if scenes.backgrounds.people or kind not in ('portrait', 'people',
                                                         'both')
        ]
        shares = np.array([_KINDS[kind] for kind in kinds])
        kind = kinds[rng.choice(len(kinds), p=shares / shares.sum())]
        canvas = _Canvas(
            scenes.sample_background(
                rng, light, people=kind not in ('people', 'both')),
            camera_matrix, light)
        if kind == 'portrait':
            self._add_portrait(rng, canvas)
        if kind in ('people', 'both'):
            self._add_people(rng, canvas)
        if kind in ('hands', 'both'):
            self._add_hands(rng, canvas)
        if kind == 'touching':
            self._add_touching(rng, canvas)
        return self._take(rng, canvas)

    def _take(self, rng: np.random.Generator, canvas: _Canvas) -> WholePicture:
        """Put something before one of the hands and take the picture."""
        without = self.scenes.without
        owners = np.unique(canvas.owner[canvas.owner > 0])
        if 'objects' not in without and len(
                owners) and rng.random() < _OCCLUDER:
            canvas.cover(*sample_occluder(rng, canvas.owner == rng.choice(
                owners), self.scenes.backgrounds))
        if 'camera' in without:
            image = np.rint(np.clip(canvas.image, 0, 255)).astype(np.uint8)
        else:
            image = apply_camera(rng, canvas.image, canvas.owner > 0)
        hands = canvas.hands
        # a joint beside the camera has its pixel far out
        keypoints = np.array([
            project(
                np.column_stack(
                    [hand.keypoints[:, :2], hand.keypoints[:, 2].clip(NEAR)]),
                canvas.camera_matrix) for hand in hands
        ]).reshape(-1, 21, 2)
        return WholePicture(
            image=image,
            keypoints=keypoints,
            visible=np.array(canvas.visible, bool).reshape(-1, 21),
            areas=np.bincount(canvas.owner.ravel(),
                              minlength=len(hands) + 1)[1:],
            legible=np.array([
                _is_legible(image, canvas.owner == k)
                for k in range(1,
                               len(hands) + 1)
            ], bool),
            sides=tuple(hand.side for hand in hands))

    def _skins_for(self, span: float) -> Optional[Skins]:
        """Skins as fine as hands that span some pixels need; None: fine."""
        return None if span > _FINE_SKIN else self._coarse_skins

    def _add_touching(self, rng: np.random.Generator, canvas: _Canvas) -> None:
        size = self.scenes.size
        span = size * np.exp(rng.uniform(np.log(.15), np.log(.85)))
        if self.scenes.backgrounds.people and span < _PAIR_SPAN * size and \
                self._add_pair(rng, canvas, span):
            return
        person = self.scenes.sample_person(rng, self._skins_for(span))
        hands = self.scenes.sample_touching(rng, *person)
        centre = rng.uniform(.25, .75, 2) * size
        hands = _put(hands, canvas.camera_matrix, centre, span)
        hands = self.scenes.add_upper_arms(rng, hands, canvas.camera_matrix)
        canvas.add_hands(rng, hands)

    def _add_pair(self, rng: np.random.Generator, canvas: _Canvas,
                  span: float) -> bool:
        """Add someone whose hands touch, spanning some px; if it can be."""
        focal = canvas.camera_matrix[0, 0]
        depth = focal * 1.3 * _HAND / span + 250
        figure = self._figures.sample_pair(rng, depth, self._skins_for(span))
        if figure is None:
            return False
        keypoints = np.concatenate([arm.hand.keypoints for arm in figure.arms])
        uv = project(keypoints, canvas.camera_matrix)
        size = self.scenes.size
        place = np.array([rng.uniform(.3, .7), rng.uniform(.4, .8)]) * size
        shift = (place - uv.mean(axis=0)) * keypoints[:, 2].mean() / focal
        canvas.add_figure(rng, figure.moved(np.append(shift, 0)))
        return True

    def _add_portrait(self, rng: np.random.Generator, canvas: _Canvas) -> None:
        """Add someone whose hands are behind the back or below the picture."""
        size = self.scenes.size
        focal = canvas.camera_matrix[0, 0]
        span = size * np.exp(rng.uniform(np.log(.08), np.log(.5)))
        depth = focal * _HAND / span
        gestures = ('hide', 'hide') if span < .2 * size else ('rest', 'hide')
        figure = self._figures.sample(rng, gestures, depth, self._coarse_skins)
        place = np.array([rng.uniform(.1, .9), rng.uniform(.45, .85)]) * size
        shift = (place - canvas.camera_matrix[:2, 2]) * depth / focal
        canvas.add_figure(rng, figure.moved(np.append(shift, 0)))

    def _add_hands(self, rng: np.random.Generator, canvas: _Canvas) -> None:
        """Add up to six hands whose arms come from anywhere."""
        size = self.scenes.size
        count = rng.choice(6, p=(.6, .24, .07, .04, .03, .02)) + 1
        largest = size * np.exp(rng.uniform(np.log(.18), np.log(1.05)))
        placed = []
        boxes = np.empty((0, 4))
        for _ in range(count):
            span = largest * (rng.uniform(.6, 1) if count > 1 else 1)
            if count > 2:
                span = min(span, .4 * size)
            person = self.scenes.sample_person(rng, self._skins_for(span))
            pose, held = self.scenes.sample_hand(rng, person[0])
            side = 'left' if rng.random() < .5 else 'right'
            hand = self.scenes.turn_hand(
                rng, self.scenes.dress(rng, *person, pose, held), side)
            for _ in range(10):
                margin = .3 * span
                centre = rng.uniform(margin, size - margin, 2)
                box = np.concatenate([centre - span / 2, centre + span / 2])
                if _overlap(box, boxes) < .15:
                    break
            else:
                continue
            boxes = np.vstack([boxes, box])
            hand, = _put([hand], canvas.camera_matrix, centre, span)
            hand, = self.scenes.add_upper_arms(rng, [hand],
                                               canvas.camera_matrix)
            placed.append((hand, span))
        placed.sort(key=lambda item: -item[0].keypoints[9, 2])
        for hand, span in placed:
            canvas.add_hands(
                rng, [hand],
                rng.random() < _SHADOW and span > _SHADOW_SPAN * size)

    def _add_people(self, rng: np.random.Generator, canvas: _Canvas) -> None:
        """Add people, from one close to the camera to some far from it."""
        size = self.scenes.size
        focal = canvas.camera_matrix[0, 0]
        span = size * np.exp(rng.uniform(np.log(.042), np.log(.5)))
        depth = focal * _HAND / span
        count = 1
        if span < .15 * size and rng.random() < .4:
            count = int(rng.integers(2, 5))
        shares = _CLOSE if span > .15 * size else _ALONE \
            if count == 1 else _IN_COMPANY
        # where the necks are seen at that depth: all stand on one floor
        tall = focal * _STATURE / depth
        neck = rng.uniform(.2, .6)
        if tall < 1.15 * size and rng.random() < .75:
            neck = rng.uniform(.8, 1.05) - .85 * tall / size
        level = (neck * size - canvas.camera_matrix[1, 2]) * depth / focal
        figures = []
        for at in range(count):
            gestures = [
                GESTURES[rng.choice(len(GESTURES), p=shares[k])]
                for k in rng.permutation(2)
            ]
            figure = self._figures.sample(
                rng, gestures,
                depth * np.exp(rng.normal(0, .15) * (count > 1)),
                self._skins_for(span))
            across = (at + rng.uniform(.15, .85)) / count
            figures.append(
                self._place(rng, figure, canvas.camera_matrix, across, level,
                            count == 1))
        figures.sort(key=lambda figure: -figure.body.neck[2])
        desk = None
        if count == 1 and span > .07 * size and rng.random() < _DESK:
            desk = self._draw_desk(rng, figures[0], canvas)
        for figure in figures:
            canvas.add_figure(rng, figure, desk)

    def _draw_desk(self, rng: np.random.Generator, figure: Figure,
                   canvas: _Canvas) -> Tuple[np.ndarray, np.ndarray]:
        """Coverage (S, S) by a desk before a person, and how it looks."""
        size = self.scenes.size
        points = figure.body.points()
        places = np.stack([points['neck'], points['hips']])
        top, bottom = project(places, canvas.camera_matrix)[:, 1]
        edge = top + rng.uniform(.5, .85) * (bottom - top)
        place = np.arange(size, dtype=np.float32)  # of columns and rows
        line = edge + rng.normal(0, .05) * (place - size / 2)
        coverage = np.clip(place[:, None] - line + .5, 0, 1)
        picture = self.scenes.backgrounds.sample(rng, size, people=False)
        return coverage.astype(np.float32), picture

    def _place(self, rng: np.random.Generator, figure: Figure,
               camera_matrix: np.ndarray, across: float, level: float,
               alone: bool) -> Figure:
        """Move a person from the middle of the picture to a place in it.

        Args:
            across: Of the neck in the picture, 0 to 1.
            level: Height of the neck, mm.
            alone: Whether the picture is the person's own.
        """
        size = self.scenes.size
        focal, centre = camera_matrix[0, 0], camera_matrix[:2, 2]
        depth = figure.body.neck[2]
        shift = np.array([(across * size - centre[0]) * depth / focal,
                          level + (rng.normal(0, 50) if not alone else 0), 0])
        shown = [arm.hand for arm in figure.arms if not arm.behind]
        if shown and rng.random() < .88:
            # the hand that is held up higher is in the picture
            hand = min(shown, key=lambda hand: hand.keypoints[:, 1].min())
            keypoints = hand.keypoints + shift
            uv = project(keypoints, camera_matrix)
            low, high = uv.min(axis=0), uv.max(axis=0)
            move = np.maximum(.02 * size - low, 0) - np.maximum(
                high - .98 * size, 0)
            move *= keypoints[:, 2].mean() / focal
            neck = centre[1] + focal * (shift[1] + move[1]) / depth
            alone &= neck > 0 or rng.random() < .4  # heads are seen mostly
            shift[:2] += move * (1, alone)
        return figure.moved(shift)


def _shade_on_body(hand: np.ndarray, body: np.ndarray, px_per_mm: float,
                   key_direction: np.ndarray) -> np.ndarray:
    """Shadow of an arm on the body behind it, (N, N) float32 from 0 to 1.

    Args:
        hand: (N, N) coverage by arms.
        body: (N, N) coverage by the body.
        px_per_mm: Scale of the picture there.
        key_direction: (3,) unit vector towards the light.
    """
    x, y, z = key_direction
    shift = -_GAP * px_per_mm * np.array([x, y]) / max(-z, .5)
    shadow = cv2.warpAffine(hand, np.array([[1, 0, shift[0]],
                                            [0, 1, shift[1]]]), hand.shape)
    blur = .5 * _GAP * px_per_mm
    if blur > .3:
        shadow = cv2.GaussianBlur(shadow, (0, 0), blur)
    return np.float32(.45) * shadow * body


def _is_legible(image: np.ndarray, hand: np.ndarray) -> bool:
    """Whether a hand, an (S, S) mask, stands out or has light and shade."""
    rows, columns = (np.flatnonzero(hand.any(axis=k)) for k in (1, 0))
    if not len(rows):
        return False
    margin = 2 + len(rows) // 8
    window = np.s_[max(rows[0] - margin, 0):rows[-1] + 1 + margin,
                   max(columns[0] - margin, 0):columns[-1] + 1 + margin]
    hand, colors = hand[window], image[window]
    grey = colors.mean(axis=2)
    noise = (grey - cv2.blur(grey, (3, 3)))[hand].std()
    if hand.all():
        difference = 0.
    else:
        difference = np.abs(colors[hand].mean(axis=0) -
                            colors[~hand].mean(axis=0)).max()
    # the mean of some pixels has less noise
    shrink = dict(dsize=(8, 8), interpolation=cv2.INTER_AREA)
    within = cv2.resize(np.float32(hand), **shrink) > .6
    grey = cv2.resize(grey, **shrink)[within]
    shade = grey.std() if len(grey) else 0.
    return bool(max(difference, shade) >= max(_CONTRAST, .75 * noise))


def _overlap(box: np.ndarray, boxes: np.ndarray) -> float:
    """Largest part that a box, left, top, right, bottom, shares with one of
    (N, 4), of the smaller of the two."""
    if not len(boxes):
        return 0.
    shared = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(
        box[:2], boxes[:, :2])
    areas = np.minimum(
        np.prod(boxes[:, 2:] - boxes[:, :2], axis=1),
        np.prod(box[2:] - box[:2]))
    return float((np.prod(np.maximum(shared, 0), axis=1) / areas).max())


def _put(hands: Sequence[Hand], camera_matrix: np.ndarray, centre: np.ndarray,
         span: float) -> Sequence[Hand]:
    """Move hands together so that the box of their key points has its centre
    at (2,) px and a longer side of ``span`` px, unless that is too close."""
    focal = camera_matrix[0, 0]
    keypoints = np.concatenate([hand.keypoints for hand in hands])
    low, high = keypoints.min(axis=0), keypoints.max(axis=0)
    middle = (low + high) / 2
    nearest = (high - low)[2] / 2 + _NEAREST
    depth = max(focal * (high - low)[:2].max() / span, nearest)
    ray = (centre - camera_matrix[:2, 2]) / focal
    shift = depth * np.append(ray, 1) - middle
    for _ in range(4):  # what is nearer is larger and farther out
        moved = keypoints + shift
        rays = moved[:, :2] / moved[:, 2:]
        low, high = rays.min(axis=0), rays.max(axis=0)
        shift[:2] += depth * (ray - (low + high) / 2)
        before = depth
        depth = max(depth * focal * (high - low).max() / span, nearest)
        shift[2] = depth - middle[2]
        shift[:2] += (depth - before) * ray
    return [hand.moved(shift) for hand in hands]
