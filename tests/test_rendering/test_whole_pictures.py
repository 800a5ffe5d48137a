"""Whole pictures: what is in them, and whether it is told rightly."""
import numpy as np
import pytest

from lgh_mmpose.rendering import INGREDIENTS, SceneGenerator
from lgh_mmpose.rendering import whole_pictures as module
from lgh_mmpose.rendering.coco_writer import describe_hands
from lgh_mmpose.rendering.lighting import plain_light
from lgh_mmpose.rendering.whole_pictures import WholePictures

SIZE = 128


@pytest.fixture(scope='module')
def pictures():
    return WholePictures(SceneGenerator(3, size=SIZE))


@pytest.fixture(scope='module')
def plain():
    return WholePictures(SceneGenerator(3, size=SIZE, without=INGREDIENTS))


@pytest.fixture(scope='module')
def samples(pictures):
    return [pictures.sample(i) for i in range(60)]


def only(monkeypatch, kind):
    monkeypatch.setattr(module, '_KINDS', {kind: 1.})


def test_a_picture_depends_on_seed_split_and_index_only(samples):
    again = WholePictures(SceneGenerator(3, size=SIZE))
    for i in (17, 4):
        for one, other in zip(samples[i], again.sample(i)):
            np.testing.assert_array_equal(one, other)
    for other in (SceneGenerator(4, size=SIZE),
                  SceneGenerator(3, 'evaluation', size=SIZE)):
        assert (WholePictures(other).sample(4).image != samples[4].image).any()


def test_form(samples):
    for sample in samples:
        count = len(sample.sides)
        assert sample.image.shape == (SIZE, SIZE, 3)
        assert sample.image.dtype == np.uint8
        assert sample.keypoints.shape == (count, 21, 2)
        assert sample.visible.shape == (count, 21)
        assert sample.areas.shape == sample.legible.shape == (count, )
        assert set(sample.sides) <= {'left', 'right'}


def test_sizes_sides_and_numbers_spread(samples):
    spans, sides, numbers = [], [], []
    for sample in samples:
        hands = [h for h in describe_hands(sample) if not h['iscrowd']]
        spans += [max(hand['bbox'][2:]) / SIZE for hand in hands]
        sides += [hand['category_id'] for hand in hands]
        numbers.append(len(hands))
    spans = np.array(spans)
    assert (spans < .12).sum() > 5 and (spans > .35).sum() > 5
    assert .3 < np.mean(np.array(sides) == 1) < .7
    counts = np.bincount(numbers)
    assert (counts[:3] >= 4).all() and len(counts) > 4


def test_joints_that_are_seen_are_in_the_picture_and_on_a_hand(
        plain, monkeypatch):
    """Without objects and camera the hands are where they are said to be."""
    only(monkeypatch, 'hands')
    hits, canvases = [], []
    take = plain._take

    def keep(rng, canvas):
        canvases.append(canvas)
        return take(rng, canvas)

    monkeypatch.setattr(plain, '_take', keep)
    for i in range(10):
        sample = plain.sample(i)
        canvas = canvases[-1]
        for k, (uv, visible) in enumerate(
                zip(sample.keypoints, sample.visible), 1):
            seen = np.rint(uv[visible]).astype(int)
            assert ((seen >= 0) & (seen < SIZE)).all()
            owner = canvas.owner[seen[:, 1], seen[:, 0]]
            hits += (owner == k).tolist()
        np.testing.assert_array_equal(
            sample.areas, [(canvas.owner == k).sum()
                           for k in range(1, 1 + len(sample.sides))])
    # thin finger tips cover less than half of their pixel
    assert len(hits) > 100 and np.mean(hits) > .85


def test_empty_pictures_have_no_hands(pictures, monkeypatch):
    only(monkeypatch, 'empty')
    for i in range(6):
        assert not pictures.sample(i).sides


def test_hands_of_portraits_are_hardly_seen(pictures, monkeypatch):
    """But somebody is."""
    only(monkeypatch, 'portrait')
    covered = []
    add_body = module._Canvas._add_body

    def note(canvas, figure):
        body = add_body(canvas, figure)
        covered.append(0 if body is None else body.mean())
        return body

    monkeypatch.setattr(module._Canvas, '_add_body', note)
    found = [
        not hand['iscrowd'] for i in range(20)
        for hand in describe_hands(pictures.sample(i))
    ]
    assert sum(found) <= 6
    assert len(covered) == 20 and np.median(covered) > .02


@pytest.mark.parametrize('kind, method, depth_of', [
    ('hands', 'add_hands', lambda rng, hands, *more: hands[0].keypoints[9, 2]),
    ('people', 'add_figure', lambda rng, figure, *more: figure.body.neck[2]),
])
def test_what_is_farther_is_painted_first(pictures, monkeypatch, kind, method,
                                          depth_of):
    only(monkeypatch, kind)
    depths = []
    monkeypatch.setattr(module._Canvas, method,
                        lambda self, *args: depths[-1].append(depth_of(*args)))
    for i in range(40):
        depths.append([])
        pictures.sample(i)
    several = [d for d in depths if len(d) > 1]
    assert len(several) > 5
    for d in several:
        assert d == sorted(d, reverse=True)


@pytest.mark.parametrize('kind', ['touching', 'hands', 'people', 'both'])
def test_other_kinds_have_hands(pictures, monkeypatch, kind):
    only(monkeypatch, kind)
    found = [bool(describe_hands(pictures.sample(i))) for i in range(10)]
    assert sum(found) >= 7


def test_there_are_no_people_without_photographs(monkeypatch):
    pictures = WholePictures(
        SceneGenerator(3, size=SIZE, without=['photographs']))

    def fail(*args):
        raise AssertionError

    monkeypatch.setattr(pictures._figures, 'sample', fail)
    monkeypatch.setattr(pictures._figures, 'sample_pair', fail)
    for i in range(20):
        pictures.sample(i)


def camera(focal=150.):
    middle = (SIZE - 1) / 2
    return np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1.]])


def hand_of(pictures, side='right', seed=0):
    scenes = pictures.scenes
    rng = np.random.default_rng(seed)
    subject, skin = scenes.sample_person(rng)
    pose, held = scenes.sample_hand(rng, subject)
    return scenes.turn_hand(rng, scenes.dress(rng, subject, skin, pose, held),
                            side)


def canvas_of():
    return module._Canvas(
        np.full((SIZE, SIZE, 3), 90, np.float32), camera(),
        plain_light(np.random.default_rng(0)))


@pytest.mark.parametrize('span', [10., 40., 90.])
@pytest.mark.parametrize('centre', [(64, 64), (20, 100), (120, 5)])
def test_hands_are_put_where_they_belong(plain, span, centre):
    hand, = module._put([hand_of(plain)], camera(), np.array(centre), span)
    uv = module.project(hand.keypoints, camera())
    low, high = uv.min(axis=0), uv.max(axis=0)
    np.testing.assert_allclose((low + high) / 2, centre, atol=.02 * span)
    assert (high - low).max() == pytest.approx(span, rel=.02)
    assert hand.keypoints[:, 2].min() > 50


def test_the_nearer_hand_hides_the_farther(plain):
    """And what covers both hides both."""
    canvas = canvas_of()
    for span in (60., 61.):
        hand, = module._put([hand_of(plain)], camera(), np.full(2, 63.), span)
        canvas.add_hands(None, [hand])
    areas = np.bincount(canvas.owner.ravel(), minlength=3)
    assert areas[2] > 3 * areas[1]
    assert canvas.visible[1].sum() > 2 * canvas.visible[0].sum()
    canvas.cover(
        np.ones((SIZE, SIZE), np.float32), np.zeros((SIZE, SIZE, 3),
                                                    np.float32))
    assert not canvas.owner.any() and not np.any(canvas.visible)
    assert not canvas.image.any()


def test_a_layer_draws_what_the_whole_picture_would(plain):
    """A hand is drawn in its own window; what is around is left alone."""
    hand, = module._put([hand_of(plain)], camera(), np.array([40., 90.]), 30.)
    hand = hand._replace(surfaces=hand.surfaces[:1])
    canvas = canvas_of()
    canvas.add_hands(None, [hand])
    whole = module.render(
        module.surfaces_of([hand]), camera(), SIZE, canvas.light)
    np.testing.assert_array_equal(canvas.owner > 0, whole.part > 1)
    drawn = np.abs(canvas.image - 90).max(axis=2) > 1
    assert not (drawn & (whole.alpha == 0)).any()
    expected = module.to_srgb(whole.color)
    inside = whole.alpha == 1
    # the shadow map is finer for a larger picture
    error = np.abs(canvas.image - expected)[inside]
    assert np.median(error) < 1 and error.mean() < 6


@pytest.mark.parametrize('hand, around, noise, legible', [
    (0, 0, 0, False),
    (255, 255, 0, False),
    (20, 20, 30, False),
    (20, 27, 40, False),
    (20, 40, 30, True),
    (120, 116, 0, True),
    (120, 118, 0, False),
    ((120, 110, 115), (110, 120, 115), 0, True),
])
def test_what_does_not_stand_out_is_not_legible(hand, around, noise, legible):
    mask = np.zeros((64, 64), bool)
    mask[20:44, 10:40] = True
    image = np.where(mask[..., None], hand, around) * np.ones(3)
    image += noise * np.random.default_rng(0).normal(0, 1, (64, 64, 3))
    image = np.clip(image, 0, 255).astype(np.uint8)
    assert module._is_legible(image, mask) == legible


def test_light_and_shade_make_a_hand_legible():
    """Though its mean is that of what is about it."""
    mask = np.ones((64, 64), bool)
    image = np.tile(np.linspace(80, 160, 64), (64, 1))[..., None]
    image = np.repeat(image, 3, axis=2).astype(np.uint8)
    assert module._is_legible(image, mask)
    assert not module._is_legible(image, ~mask)


@pytest.mark.parametrize('boxes, expected', [
    ([[20, 0, 30, 10]], 0),
    ([[5, 0, 15, 10]], .5),
    ([[2, 2, 4, 4]], 1),
    ([], 0),
])
def test_overlap(boxes, expected):
    boxes = np.array(boxes, float).reshape(-1, 4)
    assert module._overlap(np.array([0, 0, 10, 10]), boxes) == expected


def test_the_shadow_of_an_arm_falls_away_from_the_light():
    """Beside it on the body, and nowhere else."""
    y, x = np.mgrid[:80, :80]
    arm = np.float32((x - 40)**2 + (y - 40)**2 < 36)
    body = np.float32(x < 70)
    light = np.array([-.6, -.3, -.74])  # from the upper left, before them
    shadow = module._shade_on_body(arm, body, .25, light)
    weight = shadow / shadow.sum()
    middle = np.array([(x * weight).sum(), (y * weight).sum()])
    assert middle[0] > 43 and middle[1] > 41
    assert 0 < shadow.max() <= .45 and not shadow[:, 70:].any()


def test_a_shadow_on_a_wall_darkens_it(plain):
    hand, = module._put([hand_of(plain)], camera(), np.full(2, 63.), 50.)
    pictures = []
    for shadow in (False, True):
        canvas = canvas_of()
        canvas.add_hands(np.random.default_rng(0), [hand], shadow=shadow)
        pictures.append(canvas.image)
    without, with_shadow = pictures
    wall = np.abs(without - 90).max(axis=2) == 0
    assert not (with_shadow[wall] > 90).any()
    assert (with_shadow[wall] < 85).mean() > .01


def test_a_desk_hides_the_body_but_not_the_hands_before_it(pictures):
    figure = pictures._figures.sample(
        np.random.default_rng(1), ('show', 'hide'), 1000.)
    canvas = canvas_of()
    desk = np.ones((SIZE, SIZE), np.float32), np.zeros((SIZE, SIZE, 3),
                                                       np.float32)
    canvas.add_figure(np.random.default_rng(0), figure, desk)
    hidden, shown = ([arm.behind for arm in figure.arms].index(behind)
                     for behind in (True, False))
    sides = [hand.side for hand in canvas.hands]
    areas = np.bincount(canvas.owner.ravel(), minlength=len(sides) + 1)[1:]
    by_side = dict(zip(sides, areas))
    assert by_side[figure.arms[shown].hand.side] > 50
    assert not by_side.get(figure.arms[hidden].hand.side, 0)
    # black where nothing is before it
    assert (canvas.image.max(axis=2) == 0).mean() > .3
