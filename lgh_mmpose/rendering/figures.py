"""People before a camera, with bodies, arms and hands."""
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from lgh_mmpose.geometry.hand import SIDES

from .accessories import CIRCLE, cloth_texture, tube
from .bodies import Body, Outfit, Placed, load_bodies
from .hand_model import FOREARM_PART, Subject
from .rasterizer import Surface
from .scene import Hand, SceneGenerator, place_hand, uniform_rotation
from .skins import Skin, Skins
from .upper_arms import arm_to_shoulder, sleeves_of

GESTURES = ('show', 'raise', 'fold', 'rest', 'hide')
"""What an arm does: holds up its hand with the forearm turned any way; the
same, the elbow high; lies before the body; hangs down; goes behind the back.
"""

_TRIES = 30  # to hold an arm as people can
_BEND = np.cos(np.radians(150))  # of forearm and upper arm, at most
_AT_BODY = 110.  # mm before the shoulders' plane: what touches the chest
_ELBOW = 60.  # mm from the middle of the body to its side
_AT_HEAD = 115.  # mm from the middle of the head
_APART = 70.  # mm between two hands
_SLIM = .88  # of an arm that lies at no body
_PAIR_TRIES, _PAIR_CHOICES = 600, 16  # to hold both hands so
_STRETCH = .12  # of an upper arm's length, either way
_MOST_STRAIN = .5
_RESCUES = 8  # tries to dress both hands alike
_INDEX, _LITTLE = 5, 17  # key points: the knuckles at the hand's sides


class Arm(NamedTuple):
    """An arm of a person.

    Attributes:
        hand: Hand and arm up to the shoulder.
        behind: Whether the arm is behind the body.
    """
    hand: Hand
    behind: bool


class Figure(NamedTuple):
    """A person, in the camera frame, mm.

    Attributes:
        body: What is drawn of the person beside the arms.
        outfit: Its colours.
        arms: Left and right.
    """
    body: Placed
    outfit: Outfit
    arms: Sequence[Arm]

    def moved(self, shift: np.ndarray) -> 'Figure':
        """The person elsewhere, by (3,) mm."""
        return self._replace(
            body=self.body._replace(neck=self.body.neck + shift),
            arms=[
                arm._replace(hand=arm.hand.moved(shift)) for arm in self.arms
            ])


class Figures:
    """Makes people.

    Args:
        scenes: What makes hands.
    """

    def __init__(self, scenes: SceneGenerator):
        self._scenes = scenes
        self._bodies = load_bodies()

    def sample(self,
               rng: np.random.Generator,
               gestures: Sequence[str],
               depth: float,
               skins: Optional[Skins] = None) -> Figure:
        """Draw a person whose neck is in the middle of the picture.

        Args:
            rng: Source of randomness.
            gestures: What left and right arm do: 'show', 'raise', 'rest',
                'fold' or 'hide'.
            depth: mm from the camera to the neck.
            skins: See :meth:`SceneGenerator.sample_person`.
        """
        subject, skin = self._scenes.sample_person(rng, skins)
        placed, outfit = self._sample_body(rng, subject, skin, depth)
        body = placed.body
        points = _from_neck(placed)
        arms: List[Arm] = []
        long_sleeved = False if body.bare else None
        for side, gesture in zip(SIDES, gestures):
            hand, long_sleeved = self._dress(rng, subject, skin, outfit,
                                             long_sleeved)
            others = [arm.hand.keypoints for arm in arms]
            arms.append(
                self._hold(rng, hand, side, gesture, points, body, outfit,
                           others))
        return Figure(
            placed, outfit,
            [arm._replace(hand=arm.hand.moved(placed.neck)) for arm in arms])

    def sample_pair(self,
                    rng: np.random.Generator,
                    depth: float,
                    skins: Optional[Skins] = None) -> Optional[Figure]:
        """Draw a person whose hands touch before the body.

        Args:
            rng: Source of randomness.
            depth: mm from the camera to the neck.
            skins: See :meth:`SceneGenerator.sample_person`.

        Returns:
            Figure: The person; None where nobody can hold these hands so.
        """
        subject, skin = self._scenes.sample_person(rng, skins)
        placed, outfit = self._sample_body(rng, subject, skin, depth)
        body = placed.body
        points = _from_neck(placed)
        hands = self._scenes.sample_touching(rng, subject, skin)
        elbows = np.stack([self._scenes.elbow_of(hand) for hand in hands])
        torsos = [_Torso(points, hand.side) for hand in hands]
        turns = np.stack([uniform_rotation(rng) for _ in range(_PAIR_TRIES)])
        front = torsos[0].front
        places = front * rng.uniform(180, 420, (_PAIR_TRIES, 1)) + np.array(
            [0, 1., 0]) * rng.uniform(60, 480, (_PAIR_TRIES, 1))
        places += torsos[0].out * rng.normal(0, 60, (_PAIR_TRIES, 1))
        middle = np.concatenate([hand.keypoints
                                 for hand in hands]).mean(axis=0)
        held = np.einsum('tij,hj->thi', turns, elbows - middle) + places[:,
                                                                         None]
        reach = np.linalg.norm(
            held - [torso.shoulder for torso in torsos], axis=-1)
        excess = np.maximum(np.abs(reach / body.upper_arm - 1) - _STRETCH,
                            0).sum(axis=1)
        best = None
        for at in np.argsort(excess, kind='stable')[:_PAIR_CHOICES]:
            strain = 4 * excess[at]
            for torso, hand, elbow in zip(torsos, hands, held[at]):
                along = elbow - torso.shoulder
                strain += torso.strain(
                    'fold', along / np.linalg.norm(along), elbow,
                    (hand.keypoints - middle) @ turns[at].T + places[at], ())
            if best is None or strain < best[0]:
                best = strain, at
        strain, at = best
        if strain > _MOST_STRAIN:
            return None
        sleeves = [
            sleeves_of(hand.surfaces, hand.keypoints[0], elbow)
            for hand, elbow in zip(hands, elbows)
        ]
        long_sleeved = not body.bare and all(map(len, sleeves))
        arms = []
        for k, hand in enumerate(hands):
            hand = _put_on(hand, sleeves[k], outfit, long_sleeved)
            hand = Hand([
                surface._replace(
                    vertices=(surface.vertices - middle) @ turns[at].T +
                    places[at]) for surface in hand.surfaces
            ], (hand.keypoints - middle) @ turns[at].T + places[at], hand.side)
            hand = self._attach(rng, hand, held[at, k], torsos[k], body,
                                outfit)
            arms.append(Arm(hand.moved(placed.neck), False))
        return Figure(placed, outfit, arms)

    def _sample_body(self, rng: np.random.Generator, subject: Subject,
                     skin: Skin, depth: float) -> Tuple[Placed, Outfit]:
        """A body that suits the hands, in the middle of the picture."""
        tone = _tone_of(skin)
        body = self._choose_body(rng, subject, tone)
        top, relief = cloth_texture(rng)
        trousers = cloth_texture(rng)[0].mean(axis=(0, 1))
        outfit = Outfit(top, relief, trousers.astype(np.float64), tone)
        return Placed(body, np.array([0, 0, depth]), bool(rng.random() < .5),
                      float(np.clip(rng.normal(0, .05), -.12, .12))), outfit

    def _choose_body(self, rng: np.random.Generator, subject: Subject,
                     tone: np.ndarray) -> Body:
        """A body of the same sex and much the same skin."""
        unlike = np.array([
            np.abs(np.log(body.tone / tone)).mean() + 3. *
            (body.male != (subject.male > .5)) for body in self._bodies
        ])
        weights = np.exp(-2.5 * (unlike - unlike.min()))
        return self._bodies[rng.choice(
            len(weights), p=weights / weights.sum())]

    def _dress(self, rng: np.random.Generator, subject: Subject, skin: Skin,
               outfit: Outfit,
               long_sleeved: Optional[bool]) -> Tuple[Hand, bool]:
        """A right hand in its own frame with a sleeve like the other's."""
        pose, held = self._scenes.sample_hand(rng, subject)
        for _ in range(_RESCUES):
            hand = self._scenes.dress(rng, subject, skin, pose, held)
            elbow = self._scenes.elbow_of(hand)
            sleeves = sleeves_of(hand.surfaces, hand.keypoints[0], elbow)
            if not long_sleeved or sleeves:  # one too many is taken off
                break
        if long_sleeved is None:
            long_sleeved = bool(sleeves)
        return _put_on(hand, sleeves, outfit, long_sleeved), long_sleeved

    def _hold(self, rng: np.random.Generator, hand: Hand, side: str,
              gesture: str, points: Dict[str, np.ndarray], body: Body,
              outfit: Outfit, others: Sequence[np.ndarray]) -> Arm:
        """Hold a hand as the gesture says."""
        torso = _Torso(points, side)
        mirror = np.array([-1 if side == 'left' else 1, 1, 1])
        local = (hand.keypoints - hand.keypoints[0]) * mirror
        forearm = (self._scenes.elbow_of(hand) - hand.keypoints[0]) * mirror
        best = None
        for _ in range(_TRIES):
            along = _sample_upper_arm(rng, gesture, torso)
            elbow = torso.shoulder + body.upper_arm * along
            turn = self._sample_turn(rng, gesture, torso, along, forearm)
            wrist = elbow - turn @ forearm
            keypoints = wrist + local @ turn.T
            strain = torso.strain(gesture, along, elbow, keypoints, others)
            if best is None or strain < best[0]:
                best = strain, turn, wrist
            if not strain:
                break
        _, turn, wrist = best
        hand = place_hand(hand, turn, wrist, side=side, root=0)
        return Arm(
            self._attach(rng, hand, wrist + turn @ forearm, torso, body,
                         outfit), gesture == 'hide')

    def _attach(self, rng: np.random.Generator, hand: Hand, elbow: np.ndarray,
                torso: '_Torso', body: Body, outfit: Outfit) -> Hand:
        """Give a hand its upper arm."""
        wrist = hand.keypoints[0]
        surfaces = list(hand.surfaces)
        upper = arm_to_shoulder(rng, surfaces, wrist, elbow, torso.shoulder,
                                _SLIM * body.arm_radius)
        if upper is not None:
            surfaces.append(upper)
            if not body.bare and not sleeves_of(hand.surfaces, wrist, elbow):
                surfaces.append(
                    _short_sleeve(rng, torso.shoulder, elbow, body, outfit))
        return hand._replace(surfaces=surfaces)

    def _sample_turn(self, rng: np.random.Generator, gesture: str,
                     torso: '_Torso', along: np.ndarray,
                     forearm: np.ndarray) -> np.ndarray:
        """Rotation of a hand, from its own frame to the camera's."""
        if gesture in ('show', 'raise'):
            return self._scenes.turn(rng)
        out, front, up = torso.out, torso.front, torso.up
        if gesture == 'rest':
            way = along + rng.normal(0, .13, 3) + rng.uniform(0, .35) * front
            palm = -out + rng.normal(0, .45, 3)
        elif gesture == 'hide':
            way = -out * rng.uniform(.3, 1) - .5 * front + rng.uniform(
                -.7, .2) * up
            palm = -front + rng.normal(0, .4, 3)
        else:
            way = -out * rng.uniform(.1, 1) + front * rng.uniform(
                .3, 1) + up * rng.uniform(-.5, .8)
            palm = (-front, -out, -up, up)[rng.choice(
                4, p=(.4, .3, .2, .1))] + rng.normal(0, .35, 3)
        way /= np.linalg.norm(way)
        palm = palm - way * (palm @ way)
        palm /= np.linalg.norm(palm)
        # the hand's own: the back is up (y), the forearm behind
        back = forearm / np.linalg.norm(forearm)
        down = np.array([0, -1., 0]) + back * back[1]
        down /= np.linalg.norm(down)
        own = np.stack([np.cross(down, back), down, back], 1)
        wanted = np.stack([np.cross(palm, -way), palm, -way], 1)
        return wanted @ own.T


class _Torso:
    """Directions and limits of a body for one of its arms.

    Args:
        points: See :meth:`Placed.points`, from the neck.
        side: 'left' or 'right'.
    """

    def __init__(self, points: Dict[str, np.ndarray], side: str):
        self.shoulder = points[f'{side}_shoulder']
        other = points['left_shoulder' if side ==
                       'right' else 'right_shoulder']
        out = (self.shoulder - other) * [1, 0, 1]
        self.half_width = np.linalg.norm(out) / 2
        self.out = out / np.linalg.norm(out)
        left = self.out if side == 'left' else -self.out
        self.front = np.array([left[2], 0, -left[0]])
        self.up = np.array([0, -1., 0])
        self.head = points['head']
        self.hips = points['hips'][1]

    def strain(self, gesture: str, along: np.ndarray, elbow: np.ndarray,
               keypoints: np.ndarray, others: Sequence[np.ndarray]) -> float:
        """How far from possible it is to hold an arm so; 0 for possible.

        Args:
            along: (3,) unit vector from the shoulder to the elbow.
            elbow: (3,) mm.
            keypoints: (21, 3) mm.
            others: (21, 3) each, of the other hands.
        """
        wrist = keypoints[0]
        way = (wrist - elbow) / np.linalg.norm(wrist - elbow)
        strain = max(_BEND - way @ along, 0)
        # the hinge of the elbow, and how far the forearm is twisted
        toward = -along - way * (-along @ way)
        bend = np.linalg.norm(toward)
        if bend > .35:
            thumb = keypoints[_INDEX] - keypoints[_LITTLE]
            thumb = thumb - way * (thumb @ way)
            thumb /= np.linalg.norm(thumb) + 1e-9
            strain += max(-.2 - thumb @ toward / bend, 0)
            # an elbow does not bend backwards
            strain += max(-.3 - way @ self.front, 0) * (gesture != 'hide')
        if gesture == 'hide':
            return strain
        # elbows stay at their own side
        strain += max(_ELBOW - elbow @ self.out, 0) / 100
        places = np.vstack([keypoints, elbow])
        across, before = places @ self.out, places @ self.front
        within = (np.abs(across)
                  < .9 * self.half_width) & (places[:, 1] > -40) & (
                      places[:, 1] < self.hips + 250)
        strain += np.where(within, np.maximum(_AT_BODY - before, 0),
                           np.maximum(-150 - before, 0)).max() / 100
        at_head = np.linalg.norm(places - self.head, axis=1)
        strain += np.maximum(_AT_HEAD - at_head, 0).max() / 100
        for other in others:
            distance = np.linalg.norm(
                keypoints[:, None] - other, axis=-1).min()
            strain += max(_APART - distance, 0) / 100
        return float(strain)


def _from_neck(placed: Placed) -> Dict[str, np.ndarray]:
    """The body's points as seen from its neck, mm."""
    return {
        name: point - placed.neck
        for name, point in placed.points().items()
    }


def _sample_upper_arm(rng: np.random.Generator, gesture: str,
                      torso: _Torso) -> np.ndarray:
    """(3,) unit vector from the shoulder to the elbow."""
    low, high = {
        'show': ((0, -.2, -1), (.9, .9, -.1)),
        'raise': ((.2, 0, -.3), (1, .7, 1)),
        'rest': ((.05, -.2, -1), (.3, .2, -1)),
        'fold': ((.05, -.2, -1), (.4, .5, -.8)),
        'hide': ((.25, -.5, -1), (.5, -.2, -1)),
    }[gesture]
    out, front, up = rng.uniform(low, high)
    along = out * torso.out + front * torso.front + up * torso.up
    return along / np.linalg.norm(along)


def _short_sleeve(rng: np.random.Generator, shoulder: np.ndarray,
                  elbow: np.ndarray, body: Body, outfit: Outfit) -> Surface:
    """A sleeve that covers the upper arm from the shoulder on."""
    axis = elbow - shoulder
    length = np.linalg.norm(axis)
    axis = axis / length
    across = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
    across /= np.linalg.norm(across)
    bases = np.stack([across, np.cross(across, axis)])
    end = rng.uniform(.3, .85) * length
    radius = _SLIM * body.arm_radius
    places = np.array(
        [end - 12, end, end, .66 * end, .33 * end, 0, -.3, -.5, -.55])
    places[6:] *= radius
    gap = rng.uniform(3, 8)
    widths = radius * np.array([.6, .97, 1, 1.01, 1.03, 1.02, .88, .5, .02
                                ]) + gap
    widths[-1] = 1
    rings = shoulder + places[:, None, None] * axis + widths[:, None, None] * (
        CIRCLE @ bases)
    return tube(
        rings,
        FOREARM_PART,
        outfit.top, (4., end / 90 * 1.5),
        relief=outfit.relief,
        gloss=.3,
        roughness=.8,
        fuzz=.2)


def _put_on(hand: Hand, sleeves: Sequence[Surface], outfit: Outfit,
            long_sleeved: bool) -> Hand:
    """The hand with its sleeves of the outfit's cloth, or without them."""
    worn = set(map(id, sleeves))
    return hand._replace(surfaces=[
        surface._replace(texture=outfit.top, relief=outfit.relief
                         ) if id(surface) in worn else surface
        for surface in hand.surfaces if long_sleeved or id(surface) not in worn
    ])


def _tone_of(skin: Skin) -> np.ndarray:
    """(3,) mean linear albedo of an arm."""
    side = len(skin.texture)
    rows, columns = slice(side // 16, side // 6), slice(side // 14, side // 4)
    piece = skin.texture[rows, columns] if side >= 32 else skin.texture
    return piece.mean(axis=(0, 1)).astype(np.float64)
