"""Poses that people's hands take, within anatomical limits.

A posture is written down as the angles of its fingers and, where skin touches
skin, as the points that touch: the tips of a pinch, the thumb on a fist. Noise
is added, and :meth:`HandBody.solve` then moves the joints until the points
touch and nothing runs through anything else.

Angles are degrees: flexion, abduction, twist of each of the J = 26 joints.
Flexion of the four fingers is anatomical (0: in line with the bone before),
the thumb's counts from the mesh's rest pose. Arrays of four run from the index
to the little finger.
"""
from typing import Dict, NamedTuple, Optional

import numpy as np

from .hand_body import HandBody, Touch
from .hand_model import FINGER_JOINTS, JOINT_INDEX, JOINT_NAMES, WRIST

_METACARPAL, _PROXIMAL, _INTERMEDIATE, _DISTAL = np.array(
    [[JOINT_INDEX[name] for name in joints[:4]]
     for joints in FINGER_JOINTS[1:]]).T
_THUMB = [JOINT_INDEX[name] for name in FINGER_JOINTS[0][:3]]


def _pose_limits() -> np.ndarray:
    """Active ranges of motion with some room for supple hands.

    Textbook values (American Academy of Orthopaedic Surgeons; e-hand.com,
    "Normal range of motion reference values"): wrist 70 extension, 75 flexion,
    20 radial, 35 ulnar; MCP up to 45 hyperextension, 90 flexion, 20 abduction;
    PIP 0 to 100 (on average 110: Magee, "Orthopedic Physical Assessment");
    DIP 0 to 80; thumb MCP -10 to 55, IP -15 to 80, CMC from contact to 45
    palmar and to 60 radial abduction.
    """
    limits = np.zeros((len(JOINT_NAMES), 3, 2))
    limits[WRIST] = (-70, 75), (-35, 20), (0, 0)
    cmc, mcp, ip = _THUMB
    limits[cmc] = (-25, 58), (-28, 32), (-15, 50)
    limits[mcp] = (-28, 55), (-10, 10), (-5, 5)  # 15 at rest
    limits[ip] = (-30, 85), (0, 0), (0, 0)
    limits[_PROXIMAL, 0] = -35, 95
    limits[_PROXIMAL, 1] = (-20, 22), (-16, 16), (-16, 14), (-26, 22)
    limits[_INTERMEDIATE, 0] = -12, 112
    limits[_DISTAL, 0] = -15, 85
    limits[_METACARPAL, 0] = (0, 0), (0, 0), (0, 8), (0, 14)  # cupping
    return limits


POSE_LIMITS = _pose_limits()
"""(J, 3, 2) lowest and highest flexion, abduction and twist in degrees."""


def _mobility() -> np.ndarray:
    """(J, 3) how readily the solver moves a joint."""
    mobility = np.zeros((len(JOINT_NAMES), 3))
    cmc, mcp, ip = _THUMB
    mobility[cmc] = 1, 1, 1
    mobility[mcp, 0], mobility[ip, 0] = .8, .6
    mobility[_PROXIMAL, 0], mobility[_PROXIMAL, 1] = .6, .5
    mobility[_INTERMEDIATE, 0], mobility[_DISTAL, 0] = .6, .2
    return mobility


MOBILITY = _mobility()
"""(J, 3) how readily the solver moves an angle."""

# Thumb: CMC flexion, abduction, twist, MCP and IP flexion.
_OUT = (-18, -4, 0, -12, -8)  # away from the palm, in its plane
_UP = (-16, -12, -5, -12, -12)  # beside a fist
_FREE = (0, 0, 5, -4, 5)
_BESIDE = (8, -20, 0, -8, 0)  # along the index finger
_OPPOSED = (12, 20, 25, 0, 15)  # before the fingers
_ACROSS = (32, 8, 25, 22, 32)  # over the palm

_FOLD = (82, 98)  # MCP and PIP flexion of a finger of a fist


class _Posture(NamedTuple):
    """A posture before noise.

    Attributes:
        fingers: (MCP, PIP) of the four fingers; a single pair stands for all.
        thumb: CMC flexion, abduction, twist, MCP, IP.
        touches: Arguments of :class:`Touch`.
        spread: Fan of the fingers: 1 as far as they go, -1 side by side.
        together: Pairs of neighbours that lie side by side: 0 for index and
            middle finger, 1, 2.
        dip: DIP flexion where it does not follow the PIP joint.
        under: The thumb lies under the fingers, which close over it.
        cross: The middle finger lies on the back of the index finger.
        wrist: Flexion of the wrist where the posture prescribes it.
    """
    fingers: tuple
    thumb: tuple = _FREE
    touches: tuple = ()
    spread: float = 0.
    together: tuple = ()
    dip: Optional[tuple] = None
    under: bool = False
    cross: bool = False
    wrist: Optional[float] = None


_PAD = (0, 3, .7, 0)  # the thumb's


def _tip(finger: int) -> tuple:
    return finger, 3, .7, 0


_ON_FIST = ((_PAD, (2, 2, .5, 180)), )
_ON_INDEX = ((_PAD, (1, 2, .5, 180)), )
_ON_RING = ((_PAD, (3, 2, .5, 180)), )
_ON_LITTLE = ((_PAD, (4, 2, .5, 180)), )
_AT_SIDE = ((_PAD, (1, 1, .8, 90)), )
_IN_PALM = ((_PAD, (2, 0, .95, 0), 15), )
_STRAIGHT = (0, 2)


def _fingers(mask: str, up=_STRAIGHT, down=_FOLD) -> tuple:
    """Postures of the fingers, e.g. '1100': index and middle stretched."""
    return tuple(up if m == '1' else down for m in mask)


def _pinch(finger: int, others: tuple = (8, 10), spread: float = .3):
    fingers = [others] * 4
    fingers[finger - 1] = ((45, 50), (50, 50), (60, 52), (68, 50))[finger - 1]
    return _Posture(
        tuple(fingers), _OPPOSED, ((_PAD, _tip(finger), 9), ), spread)


SIGNS: Dict[str, _Posture] = {
    # American manual alphabet. J and Z are I and the pointing hand, moved.
    'A':
    _Posture((_FOLD, ), _BESIDE, _AT_SIDE),
    'B':
    _Posture((_STRAIGHT, ), _ACROSS, _IN_PALM, together=(0, 1, 2)),
    'C':
    _Posture(((35, 50), ), _OPPOSED, together=(0, 1)),
    'D':
    _Posture(((0, 3), (55, 60), (60, 65), (65, 65)), _OPPOSED,
             ((_PAD, _tip(2)), )),
    'E':
    _Posture(((38, 100), ),
             _ACROSS, ((_PAD, (2, 0, .95, 0), 24), ),
             together=(0, 1, 2)),
    'F':
    _pinch(1),
    'G':
    _Posture(((25, 5), ) + (_FOLD, ) * 3, _BESIDE, wrist=20),
    'H':
    _Posture(_fingers('1100'), _ACROSS, _ON_RING, together=(0, )),
    'I':
    _Posture(_fingers('0001'), _ACROSS, _ON_FIST),
    'K':
    _Posture(((0, 3), (40, 8), _FOLD, _FOLD), _FREE,
             ((_PAD, (2, 1, .7, 40), 14), ), .5),
    'L':
    _Posture(_fingers('1000'), _OUT),
    'M':
    _Posture(
        ((62, 85), ) * 3 + (_FOLD, ),
        _ACROSS, ((_PAD, (3, 0, 1., 0), 16), ),
        under=True),
    'N':
    _Posture(
        ((62, 85), ) * 2 + (_FOLD, ) * 2,
        _ACROSS, ((_PAD, (2, 0, 1., 0), 16), ),
        under=True),
    'O':
    _Posture(((52, 50), ), _OPPOSED, ((_PAD, _tip(2), 9), ), together=(0, 1)),
    'P':
    _Posture(((5, 3), (50, 8), _FOLD, _FOLD),
             _FREE, ((_PAD, (2, 1, .7, 40), 14), ),
             .5,
             wrist=50),
    'Q':
    _Posture(((35, 5), ) + (_FOLD, ) * 3, _BESIDE, wrist=50),
    'R':
    _Posture(((24, 3), (0, 14), _FOLD, _FOLD),
             _ACROSS, (*_ON_RING, ((2, 3, .4, 0), (1, 3, .3, 180), 3)),
             cross=True),
    'S':
    _Posture((_FOLD, ), _ACROSS, _ON_FIST),
    'T':
    _Posture(
        ((65, 80), ) + (_FOLD, ) * 3,
        _BESIDE, ((_PAD, (2, 1, .9, 90), 12), ),
        under=True),
    'U':
    _Posture(_fingers('1100'), _ACROSS, _ON_RING, together=(0, )),
    'V':
    _Posture(_fingers('1100'), _ACROSS, _ON_RING, .9),
    'W':
    _Posture(_fingers('1110'), _ACROSS, _ON_LITTLE, .8),
    'X':
    _Posture(((15, 85), ) + (_FOLD, ) * 3, _ACROSS, _ON_FIST),
    'Y':
    _Posture(_fingers('0001'), _OUT, spread=.6),
    # Digits of the American and Turkish sign languages, beyond the letters.
    '1':
    _Posture(_fingers('1000'), _ACROSS, _ON_FIST),
    '3':
    _Posture(_fingers('1100'), _OUT, spread=.8),
    '4':
    _Posture((_STRAIGHT, ), _ACROSS, _IN_PALM, .7),
    '5':
    _Posture((_STRAIGHT, ), _OUT, spread=1.),
    '6':
    _pinch(4, (0, 4), .6),
    '7':
    _pinch(3, (0, 4), .6),
    '8':
    _pinch(2, (0, 4), .6),
    # Chinese ones: 7 joins three tips, 8 is L, 9 X, 6 Y.
    'seven':
    _Posture(((60, 35), (60, 35), _FOLD, _FOLD),
             _OPPOSED, ((_PAD, _tip(2), 9), ),
             together=(0, )),
    'three':
    _Posture(_fingers('0111'), _OPPOSED, ((_PAD, (1, 2, .7, 180)), ), .5),
    # Gestures of selfies and of everyday life.
    'rock':
    _Posture(_fingers('1001'), _ACROSS, _ON_FIST, .5),
    'love':
    _Posture(_fingers('1001'), _OUT, spread=.6),
    'gun':
    _Posture(_fingers('1100'), _OUT, together=(0, )),
    'heart':
    _Posture(((50, 30), ) + (_FOLD, ) * 3, _BESIDE, ((_PAD, (1, 3, .2, 0)), )),
    'crane':
    _Posture(((60, 10), ), _OPPOSED, ((_PAD, _tip(2), 10), )),
}
"""Signs of alphabets, digits and gestures."""

POSE_KINDS: Dict[str, float] = {
    'open': .09,
    'flat': .06,
    'relaxed': .12,
    'fist': .07,
    'point': .07,
    'count': .08,
    'pinch': .07,
    'grasp': .08,
    'thumb_up': .04,
    'typing': .04,
    'hook': .03,
    'claw': .03,
    'sign': .12,
    'between': .05,
    'random': .05,
}
"""Kinds of pose and their probabilities. ``between`` blends two others."""

_PATIENCE = 25  # tries before another kind is drawn
_FAN = np.array([18., 5., -9., -22.])  # abduction at full spread
_SIDE_BY_SIDE = np.array([-6., -2., 3., 12.])


def _thumb_between(rng, first: tuple, second: tuple) -> tuple:
    u = rng.uniform(0, 1, 5) if rng.random() < .3 else rng.uniform()
    first, second = np.array(first, float), np.array(second, float)
    return tuple(first + u * (second - first))


def _draw_posture(rng: np.random.Generator, kind: str) -> _Posture:
    """Draw what a kind of pose prescribes."""

    def pairs(mcp, pip) -> tuple:
        return tuple(zip(np.broadcast_to(mcp, 4), np.broadcast_to(pip, 4)))

    spread = rng.normal(0, .4)
    if kind == 'sign':
        return SIGNS[rng.choice(list(SIGNS))]
    if kind == 'open':
        # Stretched to hyperextended; some let the fingers hang a little.
        mcp = rng.uniform(-25, 15) + rng.normal(0, 4, 4)
        pip = rng.uniform(-5, 15) + rng.normal(0, 4, 4)
        thumb = _thumb_between(rng, _OUT, _FREE)
        return _Posture(pairs(mcp, pip), thumb, spread=rng.uniform(-.3, 1.1))
    if kind == 'flat':
        thumb = [_BESIDE, _OUT, _FREE, _ACROSS][rng.integers(4)]
        touches = _IN_PALM if thumb == _ACROSS else ()
        mcp = rng.uniform(-12, 20) if rng.random() < .8 else rng.uniform(
            20, 85)
        return _Posture(
            pairs(mcp + rng.normal(0, 2, 4), rng.uniform(-3, 10)),
            thumb,
            touches,
            together=(0, 1, 2))
    if kind == 'relaxed':
        common = rng.uniform(5, 50)
        pip = common * (1 + np.array([0, .1, .2, .3])) + rng.normal(0, 6, 4)
        mcp = .7 * common + rng.uniform(-8, 12) + rng.normal(0, 5, 4)
        thumb = _thumb_between(rng, _FREE, _OPPOSED)
        return _Posture(pairs(mcp, pip), thumb, spread=.6 * spread)
    if kind == 'fist':
        touches = [_ON_FIST, _ON_INDEX, _AT_SIDE, _ON_RING][rng.integers(4)]
        thumb = _BESIDE if touches == _AT_SIDE else _ACROSS
        return _Posture(
            pairs(rng.uniform(65, 92), rng.uniform(88, 110)), thumb, touches)
    if kind == 'thumb_up':
        return _Posture((_FOLD, ), _thumb_between(rng, _UP, _OUT))
    if kind in ('point', 'count'):
        if kind == 'point':
            mask = '1000'
        else:
            mask = ''.join(rng.choice(['0', '1'], 4))
        up = (rng.uniform(-12, 30), rng.uniform(-3, 18))
        fingers = _fingers(mask, up, (rng.uniform(50, 88), 98))
        choice = rng.integers(4)
        if choice == 0 or mask == '1111':
            thumb, touches = _thumb_between(rng, _OUT, _FREE), ()
        elif choice == 1:
            thumb, touches = _BESIDE, ()
        else:
            down = [f for f in (2, 3, 1, 4) if mask[f - 1] == '0']
            touches = ((_PAD, (down[0], 2, rng.uniform(.3, .7), 180)), )
            thumb = _ACROSS
        return _Posture(fingers, thumb, touches, rng.uniform(-.3, 1.1))
    if kind == 'pinch':
        finger = rng.choice([1, 2, 3, 4], p=[.6, .25, .1, .05])
        others = rng.uniform([-5, 0], [60, 75])
        posture = _pinch(finger, tuple(others), rng.uniform(-.3, .8))
        fingers = list(posture.fingers)
        fingers[finger - 1] = tuple(fingers[finger - 1] +
                                    rng.uniform(-20, 15, 2))
        along = rng.uniform(.4, .9)
        touch = ((0, 3, rng.uniform(.4, .9), 0), (finger, 3, along, 0))
        touches = (touch, )
        if finger == 1 and rng.random() < .3:  # the middle finger joins in
            fingers[1] = fingers[0]
            touches += (((0, 3, .7, -40), (2, 3, along, 0)), )
        return posture._replace(fingers=tuple(fingers), touches=touches)
    if kind == 'grasp':
        mcp = rng.uniform(10, 65) + rng.normal(0, 6, 4)
        pip = rng.uniform(15, 85) + rng.normal(0, 6, 4)
        thumb = _thumb_between(rng, _OPPOSED, _FREE)
        return _Posture(pairs(mcp, pip), thumb, spread=.6 * spread)
    if kind == 'typing':
        mcp = rng.uniform(-5, 35) + rng.normal(0, 9, 4)
        pip = rng.uniform(20, 60) + rng.normal(0, 9, 4)
        thumb = _thumb_between(rng, _FREE, _OPPOSED)
        return _Posture(
            pairs(mcp, pip),
            thumb,
            spread=rng.uniform(0, .8),
            wrist=rng.uniform(-45, 5))
    if kind == 'hook':
        thumb = _thumb_between(rng, _FREE, _BESIDE)
        return _Posture(
            pairs(rng.uniform(-20, 20), rng.uniform(70, 108)),
            thumb,
            spread=.3 * spread)
    if kind == 'claw':
        thumb = _thumb_between(rng, _OUT, _OPPOSED)
        return _Posture(
            pairs(rng.uniform(-30, 15), rng.uniform(35, 85)),
            thumb,
            spread=rng.uniform(.2, 1.1))
    raise ValueError(f'Unknown kind of pose {kind!r}, known: '
                     f'{", ".join(POSE_KINDS)}')


def _independent(rng: np.random.Generator) -> np.ndarray:
    """Every joint anywhere within its limits, but for the tendons."""
    pose = rng.uniform(POSE_LIMITS[..., 0], POSE_LIMITS[..., 1])
    # Few hands bend backwards as far as the limits.
    pose[_PROXIMAL, 0] = rng.uniform(-25, 92, 4)
    pose[_DISTAL, 0] = .67 * pose[_INTERMEDIATE, 0] + rng.normal(0, 8, 4)
    return pose


def _pose_of(rng: np.random.Generator, posture: _Posture) -> np.ndarray:
    """The angles of a posture, with noise."""
    pose = np.zeros((len(JOINT_NAMES), 3))
    fingers = np.broadcast_to(np.array(posture.fingers, float), (4, 2))
    pose[_PROXIMAL, 0] = fingers[:, 0] + rng.normal(0, 5, 4)
    pose[_INTERMEDIATE, 0] = fingers[:, 1] + rng.normal(0, 4, 4)
    # The last two joints of a finger share a tendon.
    pose[_DISTAL, 0] = .62 * pose[_INTERMEDIATE, 0] + rng.normal(0, 6, 4)
    if posture.dip is not None:
        pose[_DISTAL, 0] = np.array(posture.dip) + rng.normal(0, 5, 4)
    spread = posture.spread
    fan = (_FAN if spread > 0 else _SIDE_BY_SIDE) * abs(spread)
    fan = fan + rng.normal(0, 2.5, 4)
    for pair in posture.together:
        fan[pair:pair + 2] = _SIDE_BY_SIDE[pair:pair + 2]
    if posture.cross:
        fan[:2] = -14, 16
    pose[_PROXIMAL, 1] = fan
    pose[_THUMB[0]] = posture.thumb[:3] + rng.normal(0, 4, 3)
    pose[_THUMB[1:], 0] = posture.thumb[3:] + rng.normal(0, 6, 2)
    pose[_THUMB[1], 1] = rng.normal(0, 3)
    bend = np.clip(pose[_PROXIMAL[2:], 0].mean() / 90, 0, 1)
    pose[_METACARPAL, 0] = POSE_LIMITS[_METACARPAL, 0, 1] * np.clip(
        bend + rng.normal(0, .2), 0, 1)
    return pose


def bend_wrist(rng: np.random.Generator,
               pose: np.ndarray,
               flexion: Optional[float] = None) -> None:
    """Bend the wrist of a (J, 3) pose, in place: mostly near the middle, now
    and then any way.

    Args:
        rng: Source of randomness.
        pose: The pose.
        flexion: Degrees about which it is bent; by default the sampler's.
    """
    low, high = POSE_LIMITS[WRIST, :2].T
    if rng.random() < .3:
        bend = rng.uniform(low, high)
    else:
        bend = rng.normal([-8, -5], [22, 9])
    if flexion is not None:
        bend[0] = flexion + rng.normal(0, 10)
    pose[WRIST, :2] = np.clip(bend, low, high)


def _slacken(pose: np.ndarray) -> np.ndarray:
    """Bent fingers cannot be spread: the side ligaments tighten.

    Returns:
        np.ndarray: (J, 3, 2) limits that respect it; ``pose`` is changed.
    """
    looseness = .25 + .75 * np.cos(
        np.radians(np.clip(pose[_PROXIMAL, 0], 0, 90)))
    pose[_PROXIMAL, 1] *= looseness
    limits = POSE_LIMITS.copy()
    limits[_PROXIMAL, 1] *= .2 + .8 * looseness[:, None]
    return limits


def _contacts(posture: _Posture, pose: np.ndarray) -> list:
    touches = [Touch(*pair) for pair in posture.touches]
    folded = pose[_INTERMEDIATE, 0] > 70
    for pair in range(3):
        if pair in posture.together or folded[pair:pair + 2].all():
            touches.append(
                Touch((pair + 1, 2, .5, -90), (pair + 2, 2, .5, 90), np.inf,
                      True))
    return touches


def _tuck_thumb(body: HandBody, pose: np.ndarray, touches: list) -> np.ndarray:
    """Lay the thumb into the open hand and close the fingers over it."""
    opened = pose.copy()
    opened[_PROXIMAL, 0] -= 50
    opened, _, _ = body.solve(opened, POSE_LIMITS, MOBILITY, touches)
    thumb = opened[_THUMB]
    opened = pose.copy()
    opened[_THUMB] = thumb
    fingers = MOBILITY.copy()
    fingers[_THUMB] *= .1
    return body.solve(opened, POSE_LIMITS, fingers)[0]


def sample_pose(rng: np.random.Generator,
                body: HandBody,
                kind: Optional[str] = None,
                max_tries: int = 100) -> np.ndarray:
    """Draw a pose in which no part of the hand runs through another.

    The kind of pose is drawn first and kept, so that rejecting poses does not
    change the mixture; only where a subject cannot take a pose at all, another
    kind is drawn.

    Args:
        rng: Source of randomness.
        body: The subject's hand.
        kind: One of :data:`POSE_KINDS`, or one of :data:`SIGNS`; by default
            it is drawn.
        max_tries: Poses to try.

    Returns:
        np.ndarray: (J, 3) flexion, abduction and twist in degrees, within
        :data:`POSE_LIMITS`.

    Raises:
        ValueError: If the kind is unknown.
        RuntimeError: If no pose passes.
    """
    kinds = list(POSE_KINDS)
    drawn = kind
    for attempt in range(max_tries):
        if kind is None and attempt % _PATIENCE == 0:
            drawn = str(rng.choice(kinds, p=list(POSE_KINDS.values())))
        posture, touches, limits = None, [], POSE_LIMITS
        if drawn == 'between':
            first, second = (sample_pose(rng, body) for _ in range(2))
            pose = first + rng.uniform(.2, .8) * (second - first)
        elif drawn == 'random':
            pose = _independent(rng)
            limits = _slacken(pose)
        else:
            posture = SIGNS.get(drawn) or _draw_posture(rng, drawn)
            pose = _pose_of(rng, posture)
            limits = _slacken(pose)
            touches = _contacts(posture, pose)
        bend_wrist(rng, pose, None if posture is None else posture.wrist)
        pose = np.clip(pose, limits[..., 0], limits[..., 1])
        if posture is not None and posture.under:
            pose = _tuck_thumb(body, pose, touches)
            touches = []
        pose, depth, miss = body.solve(
            pose,
            limits,
            MOBILITY,
            touches,
            crossed=posture is not None and posture.cross)
        if depth < 1.5 and miss < 2:
            return pose
    raise RuntimeError(f'No {drawn!r} pose without self-penetration in '
                       f'{max_tries} tries')
