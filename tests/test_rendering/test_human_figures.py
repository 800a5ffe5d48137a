"""People whose arms lead from their shoulders to their hands."""
import json
import shutil

import numpy as np
import pytest

from lgh_mmpose.geometry.camera import project
from lgh_mmpose.rendering import SceneGenerator, assets, bodies
from lgh_mmpose.rendering import figures as module
from lgh_mmpose.rendering.bodies import HEIGHTS, Outfit, Placed, load_bodies
from lgh_mmpose.rendering.figures import GESTURES, Figures
from lgh_mmpose.rendering.lighting import plain_light

SIZE = 160
DEPTH = 1500.


@pytest.fixture(scope='module')
def figures():
    return Figures(SceneGenerator(3, size=64))


def camera(focal=200.):
    middle = (SIZE - 1) / 2
    return np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1.]])


def sample(figures, gestures, seed):
    return figures.sample(np.random.default_rng(seed), gestures, DEPTH)


@pytest.mark.parametrize('gesture', GESTURES)
def test_arms_lead_from_shoulders_to_hands(figures, gesture):
    """Their skin or sleeve passes the shoulder, and no bone is too long."""
    for seed in range(6):
        figure = sample(figures, (gesture, gesture), seed)
        points = figure.body.points()
        for side, arm in zip(('left', 'right'), figure.arms):
            assert arm.hand.side == side
            assert arm.behind == (gesture == 'hide')
            shoulder = points[f'{side}_shoulder']
            vertices = np.concatenate([s.vertices for s in arm.hand.surfaces])
            distance = np.linalg.norm(vertices - shoulder, axis=1).min()
            assert distance < 1.2 * figure.body.body.arm_radius
            reach = np.linalg.norm(arm.hand.keypoints[0] - shoulder)
            assert reach < figure.body.body.upper_arm + 320


def test_gestures(figures):
    """Hands that rest hang down, raised ones are above the shoulders."""
    heights = {}
    for gesture in ('rest', 'raise', 'show'):
        heights[gesture] = np.array([
            arm.hand.keypoints[9, 1] - figure.body.neck[1]
            for figure in (sample(figures, (gesture, gesture), seed)
                           for seed in range(8)) for arm in figure.arms
        ])
    assert (heights['rest'] > 350).all()
    assert np.median(heights['raise']) < -50
    assert np.median(heights['show']) < np.median(heights['rest']) - 200


def test_hands_are_not_within_the_body(figures):
    inside = []
    for seed in range(10):
        figure = sample(figures, ('show', 'fold'), seed)
        points = module._from_neck(figure.body)
        torso = module._Torso(points, 'left')
        for arm in figure.arms:
            keypoints = arm.hand.keypoints - figure.body.neck
            across, before = keypoints @ torso.out, keypoints @ torso.front
            inside.append(
                ((np.abs(across) < .5 * torso.half_width) &
                 (keypoints[:, 1] > 0) & (keypoints[:, 1] < torso.hips) &
                 (before < 60)).mean())
    assert np.mean(inside) < .1


def test_both_sleeves_are_alike(figures):
    seen = set()
    for seed in range(12):
        figure = sample(figures, ('rest', 'rest'), seed)
        long_sleeved = []
        for arm in figure.arms:
            hand = arm.hand
            cloth = [
                s for s in hand.surfaces if s.texture is figure.outfit.top
            ]
            # the skin's mesh reaches to the elbow
            elbow = figures._scenes.elbow_of(hand)
            forearm = elbow - hand.keypoints[0]
            near = [((s.vertices - hand.keypoints[0]) @ forearm).min() /
                    (forearm @ forearm) for s in cloth]
            long_sleeved.append(bool(near) and min(near) < .9)
        assert long_sleeved[0] == long_sleeved[1]
        seen.add(long_sleeved[0])
    assert seen == {True, False}


def test_bodies_are_of_the_hands_sex_and_skin(figures):
    rng = np.random.default_rng(0)
    subject, _ = figures._scenes.sample_person(rng)
    for male in (0., 1.):
        for tone in ((.12, .04, .02), (.72, .44, .3)):
            chosen = [
                figures._choose_body(rng, subject._replace(male=male),
                                     np.array(tone)) for _ in range(20)
            ]
            assert np.mean([body.male == bool(male) for body in chosen]) > .8
            dark = [body.tone[0] < .3 for body in chosen]
            assert np.mean(dark) > .8 if tone[0] < .3 else np.mean(dark) < .2


def test_hands_that_touch_belong_to_a_body(figures):
    found = [
        figures.sample_pair(np.random.default_rng(seed), DEPTH)
        for seed in range(8)
    ]
    found = [figure for figure in found if figure is not None]
    assert len(found) >= 3
    for figure in found:
        left, right = (arm.hand.keypoints for arm in figure.arms)
        gap = np.linalg.norm(left[:, None] - right, axis=-1).min()
        assert gap < 60
        for arm in figure.arms:
            shoulder = figure.body.points()[f'{arm.hand.side}_shoulder']
            elbow = figures._scenes.elbow_of(arm.hand)
            reach = np.linalg.norm(elbow - shoulder)
            assert reach == pytest.approx(figure.body.body.upper_arm, rel=.3)


# -- bodies -------------------------------------------------------------------


def outfit(top=(.02, .3, .05), trousers=(.1, .1, .6), skin=(.5, .3, .2)):
    cloth = np.empty((64, 64, 3), np.float32)
    cloth[:] = top
    return Outfit(cloth, np.zeros((64, 64), np.float32), np.array(trousers),
                  np.array(skin))


def lit():
    light = plain_light(np.random.default_rng(0))
    return light._replace(key_color=np.zeros(3))


def draw(body, mirrored=False, neck=(0, -450, 3000.), roll=0., **colors):
    """A body, (S, S, 3) and coverage, of a whole picture."""
    placed = Placed(body, np.array(neck, float), mirrored, roll)
    drawn = placed.draw(camera(), SIZE, lit(), outfit(**colors))
    image, alpha = np.zeros((SIZE, SIZE, 3)), np.zeros((SIZE, SIZE))
    if drawn is not None:
        x, y, colors, coverage = drawn
        height, width = coverage.shape
        image[y:y + height, x:x + width] = colors
        alpha[y:y + height, x:x + width] = coverage
    return placed, image, alpha


def test_there_are_bodies_of_both_sexes_and_all_skins():
    loaded = load_bodies()
    assert .25 < np.mean([body.male for body in loaded]) < .75
    assert .25 < np.mean([body.tone[0] < .3 for body in loaded]) < .75
    for body in loaded:
        assert 200 < body.upper_arm < 330 and 35 < body.arm_radius < 75
        for kind, cutout in body.cutouts.items():
            assert cutout.colors[0].shape[0] == HEIGHTS[kind]


@pytest.mark.parametrize('mirrored', [False, True])
@pytest.mark.parametrize('roll', [0., .1, -.35])
def test_points_lie_on_the_body(mirrored, roll):
    """A person who looks at the camera has the left hand at the right."""
    for body in load_bodies()[:8]:
        placed, _, alpha = draw(body, mirrored, roll=roll)
        points = placed.points()
        for name in ('neck', 'head', 'hips'):
            u, v = np.rint(project(points[name][None],
                                   camera())[0]).astype(int)
            assert alpha[v - 1:v + 2, u - 1:u + 2].mean() > .6, name
        assert points['left_shoulder'][0] > points['right_shoulder'][0]
        top = np.flatnonzero(alpha.any(axis=1))[0]
        head = project(points['head'][None], camera())[0, 1]
        neck = project(points['neck'][None], camera())[0, 1]
        assert top < head < neck


def test_size_is_that_of_people():
    """1.5 to 2 m, at any distance."""
    for depth in (2500., 5000.):
        for body in load_bodies()[:6]:
            _, _, alpha = draw(body, neck=(0, -400 * depth / 3000, depth))
            rows = np.flatnonzero(alpha.any(axis=1))
            height = np.ptp(rows) / 200. * depth
            assert 1480 < height < 2000


def test_colours_are_those_of_the_outfit():
    body = next(b for b in load_bodies() if not b.bare)
    for mirrored in (False, True):
        placed, image, alpha = draw(body, mirrored)
        points = placed.points()
        chest = (points['neck'] + 2 * points['hips']) / 3
        u, v = np.rint(project(chest[None], camera())[0]).astype(int)
        assert image[v, u].argmax() == 1  # green
        thigh = points['hips'] + [60, 250, 0]
        u, v = np.rint(project(thigh[None], camera())[0]).astype(int)
        assert image[v, u].argmax() == 2 or alpha[v, u] < .5
        u, v = np.rint(project(points['head'][None], camera())[0]).astype(int)
        assert image[v, u].argmax() == 0  # skin


def test_light_comes_from_where_it_comes():
    body = load_bodies()[0]
    shares = []
    for mirrored in (False, True):
        for x in (-1., 1.):
            light = lit()
            light = light._replace(
                sh=.1 * light.sh,
                key_direction=np.array([x, 0, -.3]) / np.hypot(1, .3),
                key_color=np.ones(3))
            placed = Placed(body, np.array([0, -450, 3000.]), mirrored, 0.)
            left, _, colors, coverage = placed.draw(camera(), SIZE, light,
                                                    outfit())
            grey = colors.mean(axis=2) * coverage
            middle = int(
                project(placed.points()['neck'][None], camera())[0, 0]) - left
            shares.append(grey[:, middle:].sum() / grey.sum())
    assert shares[0] < .5 < shares[1] and shares[2] < .5 < shares[3]


def test_a_body_outside_is_not_drawn():
    assert not draw(load_bodies()[0], neck=(5000, 0, 1000.))[2].any()


def test_close_bodies_end_below_the_picture():
    """The half one is taken only where its lower edge is not seen."""
    for neck in ((0, 0, 500.), (0, -300, 700.)):
        _, _, alpha = draw(load_bodies()[3], neck=neck)
        assert alpha[-1].max() > .9


@pytest.fixture
def copied(tmp_path, monkeypatch):
    folder = tmp_path / 'bodies'
    shutil.copytree(assets.asset_path('bodies'), folder)
    monkeypatch.setattr(bodies, 'asset_path', lambda name: tmp_path / name)
    load_bodies.cache_clear()
    yield folder
    load_bodies.cache_clear()


@pytest.mark.parametrize('content', ['', '[{}]', '{"a": 1}', '[1]', 'null'])
def test_damaged_files_are_named(copied, content):
    (copied / 'bodies.json').write_text(content)
    with pytest.raises(ValueError, match='bodies.json is damaged'):
        load_bodies()


@pytest.mark.parametrize('change', [
    dict(tone=[.1]),
    dict(tone='x'),
    dict(upper_arm=None),
    dict(half=None),
])
def test_wrong_values_are_named(copied, change):
    told = json.loads((copied / 'bodies.json').read_text())
    told[2].update(change)
    (copied / 'bodies.json').write_text(json.dumps(told))
    with pytest.raises(ValueError, match='bodies.json is damaged'):
        load_bodies()


def test_a_picture_of_another_size_is_named(copied):
    shutil.copy(copied / '03_half.webp', copied / '03_full.webp')
    with pytest.raises(ValueError, match='03_full.webp is damaged'):
        load_bodies()


def test_where_the_bodies_come_from_is_told():
    folder = assets.asset_path('bodies')
    assert '`bodies/*`' in (folder.parent / 'LICENCES.md').read_text()
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert size < 1e6
