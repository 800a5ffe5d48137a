"""Backgrounds: pictures, maps, drawn ones, people."""
import pickle
import shutil
import warnings

import cv2
import numpy as np
import pytest
from damaged_pictures import DAMAGES

from lgh_mmpose.rendering import backgrounds
from lgh_mmpose.rendering.assets import ASSETS, asset_path
from lgh_mmpose.rendering.backgrounds import (PEOPLE, PHOTOGRAPHS, Backgrounds,
                                              cast_shadow, load_folder,
                                              sample_person)

GREEN = (0, 200, 0)


def panorama_of_directions():
    """A (64, 128, 3) map whose colour is the direction, -1..1 as 0..255."""
    v, u = (np.mgrid[:64, :128] + .5) * np.pi / 64
    directions = np.stack(
        [np.sin(v) * np.sin(u), -np.cos(v),
         np.sin(v) * np.cos(u)], -1)
    return np.rint(127.5 * (directions + 1)).astype(np.uint8)


def write_pictures(folder,
                   count,
                   color=GREEN,
                   size=(64, 48),
                   extension='.png'):
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        image = np.full((*size[::-1], 3), color[::-1], np.uint8)
        cv2.imwrite(str(folder / f'{i:03d}{extension}'), image)
    return folder


@pytest.fixture(scope='module')
def shipped():
    return Backgrounds(panoramas=[panorama_of_directions()])


def draw_many(made, count=40, size=24):
    return [
        made.sample(np.random.default_rng([1, i]), size) for i in range(count)
    ]


# -- sampling ----------------------------------------------------------------


@pytest.mark.parametrize('size', [16, 33, 128])
@pytest.mark.parametrize('photographs', [True, False])
def test_backgrounds_are_pictures(size, photographs):
    made = Backgrounds(photographs=photographs)
    for picture in draw_many(made, 30, size):
        assert picture.shape == (size, size, 3)
        assert picture.dtype == np.float32
        assert 0 <= picture.min() and picture.max() <= 255


def test_background_depends_on_the_generator_only(shipped):
    first = draw_many(shipped)
    again = draw_many(Backgrounds(panoramas=[panorama_of_directions()]))[::-1]
    np.testing.assert_array_equal(first, again[::-1])


def test_backgrounds_travel_to_workers(tmp_path):
    made = Backgrounds(write_pictures(tmp_path, 3))
    np.testing.assert_array_equal(
        draw_many(made, 10), draw_many(pickle.loads(pickle.dumps(made)), 10))


def test_backgrounds_vary(shipped):
    means = np.array([picture.mean((0, 1)) for picture in draw_many(shipped)])
    assert len(np.unique(means.round(3), axis=0)) == len(means)
    assert (means.std(axis=0) > 30).all()


@pytest.mark.parametrize('part', [
    '_look_into', '_cut_view', '_half_plane', '_falloff', '_sample_texture',
    'sample_person', '_defocus', '_add_clutter'
])
def test_every_part_of_a_background_occurs(shipped, monkeypatch, part):
    calls = []
    original = getattr(backgrounds, part)

    def spy(*args):
        calls.append(args)
        return original(*args)

    monkeypatch.setattr(backgrounds, part, spy)
    draw_many(shipped, 80, 16)
    assert 2 < len(calls)


def test_without_photographs_all_is_drawn(monkeypatch):

    def refuse(*args):
        raise AssertionError('a picture, a map or a person')

    for name in ('_look_into', 'sample_person', '_shipped_photographs'):
        monkeypatch.setattr(backgrounds, name, refuse)
    made = Backgrounds(photographs=False, panoramas=[panorama_of_directions()])
    assert len(draw_many(made, 80)) == 80


# -- environment maps --------------------------------------------------------


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_map_is_seen_in_perspective(axis):
    turn = np.zeros(3)
    turn[axis] = .7
    rotation = cv2.Rodrigues(turn)[0]
    size, field_of_view = 65, 1.
    view = backgrounds._look_into(panorama_of_directions(), rotation,
                                  field_of_view, size)
    rays = np.ones((size, size, 3))
    tangent = np.tan(field_of_view / 2)
    across = ((np.arange(size) + .5) / size * 2 - 1) * tangent
    rays[..., 0], rays[..., 1] = across, across[:, None]
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    seen = view / 127.5 - 1
    np.testing.assert_allclose(seen, rays @ rotation.T, atol=.03)


def test_map_of_the_light_lies_behind(monkeypatch):
    seen = []
    monkeypatch.setattr(
        backgrounds, '_look_into', lambda panorama, rotation, _, size:
        (seen.append(
            (panorama[0, 0, 0], rotation)), np.zeros(
                (size, size, 3), np.uint8))[1])
    maps = [np.full((8, 16, 3), i, np.uint8) for i in range(5)]
    made = Backgrounds(panoramas=maps)
    rotation = cv2.Rodrigues(np.array([.1, .2, .3]))[0]
    for i in range(30):
        made.sample(np.random.default_rng(i), 16, 3, rotation)
    assert len(seen) > 2
    assert all(index == 3 and turn is rotation for index, turn in seen)


# -- photographs -------------------------------------------------------------


def test_shipped_photographs_have_their_licences():
    table = (asset_path('LICENCES.md')).read_text(encoding='utf-8')
    for name in PHOTOGRAPHS:
        row, = (
            row for row in table.splitlines()
            if f'`photographs/{name}.jpg`' in row)
        assert 'CC-BY-4.0' in row or 'CC0-1.0' in row
    assert '`people/*.webp`' in table
    shipped = {path.stem for path in asset_path('photographs').iterdir()}
    assert shipped == set(PHOTOGRAPHS)
    size = sum(path.stat().st_size for folder in ('photographs', 'people')
               for path in asset_path(folder).iterdir())
    assert size < 2.2e6


@pytest.mark.parametrize('name', ['photographs/room.jpg', 'people/07.webp'])
@pytest.mark.parametrize('damage', DAMAGES)
def test_missing_or_damaged_asset_is_named(tmp_path, monkeypatch, name,
                                           damage):
    for folder in ('photographs', 'people'):
        shutil.copytree(asset_path(folder), tmp_path / folder)
    damage(tmp_path / name)
    monkeypatch.setattr(backgrounds, 'asset_path',
                        lambda name: tmp_path / name)
    for loader in ('_shipped_photographs', '_people'):
        monkeypatch.setattr(backgrounds, loader,
                            getattr(backgrounds, loader).__wrapped__)
    with pytest.raises((FileNotFoundError, ValueError),
                       match=name.replace('.', r'\.')):
        Backgrounds()


# -- shadows -----------------------------------------------------------------


def test_shadow_of_a_hand_falls_beside_it():
    wall = np.full((64, 64, 3), 200, np.float32)
    hand = np.zeros((64, 64), np.float32)
    hand[24:40, 24:40] = 1
    darkest = []
    for i in range(20):
        picture = cast_shadow(np.random.default_rng(i), wall, hand)
        assert picture.shape == wall.shape and picture.dtype == np.float32
        assert picture.max() <= 200 and picture.min() >= 50
        assert (wall == 200).all()
        dark = 200 - picture[..., 0]
        darkest.append(dark.max())
        # the shadow lies round its own middle, not far from the hand
        y, x = np.mgrid[:64, :64]
        middle = np.array([(dark * y).sum(), (dark * x).sum()]) / dark.sum()
        assert (np.abs(middle - 31.5) < 26).all()
    assert min(darkest) > 5 and np.ptp(darkest) > 20


def test_shadow_lies_away_from_the_light():
    wall = np.full((64, 64, 3), 200, np.float32)
    hand = np.zeros((64, 64), np.float32)
    hand[28:36, 28:36] = 1
    for i in range(10):
        picture = cast_shadow(
            np.random.default_rng(i), wall, hand, np.array([-.8, 0, -.6]))
        dark = 200 - picture[..., 0]
        middle = (dark * np.arange(64)).sum() / dark.sum()
        assert middle > 32.5


# -- a user's folder ---------------------------------------------------------


def test_folder_takes_the_place_of_the_shipped_photographs(tmp_path):
    write_pictures(tmp_path / 'deep' / 'er', 3)
    (tmp_path / 'notes.txt').write_text('no picture')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        pictures = load_folder(tmp_path)
    assert len(pictures) == 3
    for levels in pictures:
        np.testing.assert_array_equal(levels[0], np.full((48, 64, 3), GREEN))
    made = Backgrounds(tmp_path)
    greens = [
        made._draw_photograph(np.random.default_rng(i), 16) for i in range(20)
    ]
    assert all(np.argmax(p.mean((0, 1))) == 1 for p in greens)


@pytest.mark.parametrize('size, kept', [
    ((1200, 900), (384, 288)),
    ((3200, 2400), (384, 288)),
    ((640, 480), (384, 288)),
    ((384, 384), (384, 384)),
    ((200, 104), (200, 104)),
    ((48, 32), (48, 32)),
])
@pytest.mark.parametrize('extension', ['.jpg', '.png'])
def test_pictures_of_a_folder_are_reduced(tmp_path, extension, size, kept):
    write_pictures(tmp_path, 1, size=size, extension=extension)
    levels, = load_folder(tmp_path)
    assert levels[0].shape == (*kept[::-1], 3)
    assert levels[-1].shape[0] == kept[1] >> (len(levels) - 1) < 96


def test_a_small_picture_is_told_by_its_true_size(tmp_path):
    write_pictures(tmp_path, 1, size=(200, 24), extension='.jpg')
    with pytest.raises(ValueError, match='too small, 200 x 24 px'):
        load_folder(tmp_path)


def test_of_many_pictures_the_same_are_kept(tmp_path):
    folder = write_pictures(tmp_path / 'a', 0)
    for i in range(30):
        cv2.imwrite(
            str(folder / f'{i}.png'), np.full((40, 40, 3), 8 * i, np.uint8))
    kept = [levels[0][0, 0, 0] for levels in load_folder(folder, 7)]
    assert len(set(kept)) == 7
    # whatever the folder is called
    folder.rename(tmp_path / 'b')
    assert kept == [
        levels[0][0, 0, 0] for levels in load_folder(tmp_path / 'b', 7)
    ]


def test_broken_pictures_are_left_out_and_named(tmp_path):
    write_pictures(tmp_path, 2)
    for i in range(5):
        (tmp_path / f'broken{i}.jpg').write_bytes(b'\xff\xd8\xff\xe0 nothing')
    with pytest.warns(UserWarning) as warned:
        pictures = load_folder(tmp_path)
    assert len(pictures) == 2
    message, = (str(w.message) for w in warned)
    assert message.startswith('5 of the pictures')
    assert str(tmp_path) in message
    assert [f'broken{i}.jpg' in message for i in range(5)] == [1, 1, 1, 0, 0]


@pytest.mark.parametrize('content', ['nothing', 'text', 'broken', 'tiny'])
def test_folder_without_usable_pictures_is_an_error(tmp_path, content):
    if content == 'text':
        (tmp_path / 'readme.md').write_text('no picture')
    elif content == 'broken':
        (tmp_path / 'a.png').write_bytes(b'')
    elif content == 'tiny':
        write_pictures(tmp_path, 2, size=(20, 20))
    with pytest.raises(ValueError, match='folder of backgrounds') as error:
        Backgrounds(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_missing_folder_is_an_error(tmp_path):
    with pytest.raises(
            FileNotFoundError,
            match='^backgrounds: there is no folder .*nowhere; give a'):
        Backgrounds(tmp_path / 'nowhere')


def test_file_is_no_folder(tmp_path):
    path = write_pictures(tmp_path, 1) / '000.png'
    with pytest.raises(
            NotADirectoryError,
            match='^backgrounds: .*000.png is no folder; give a'):
        Backgrounds(path)


# -- people ------------------------------------------------------------------


def solid_person(monkeypatch, clothes):
    """Make everybody a white rectangle with a red lower edge."""
    colors = np.full((256, 320, 4), 255, np.uint8)
    colors[-6:] = 255, 0, 0, 255
    mask = np.full((256, 320), clothes, np.uint8)
    person = backgrounds._Person([colors], [mask], .5)
    monkeypatch.setattr(backgrounds, '_people', lambda: (person, ))


def test_people_are_cut_off_outside_the_picture(monkeypatch):
    solid_person(monkeypatch, 0)
    seen = 0
    for i in range(200):
        colors, coverage = sample_person(np.random.default_rng(i), 64)
        assert colors.shape == (64, 64, 3) and coverage.shape == (64, 64, 1)
        assert coverage.min() >= 0 and coverage.max() <= 1
        assert (colors[coverage[..., 0] == 0] == 0).all()
        inside = coverage[..., 0] > .99
        seen += inside.any()
        # the last row may show the edge of the edge
        assert (colors[:-1][inside[:-1]][:, 1] > 60).all()
    assert seen > 150


def test_cutouts_have_skin_and_clothes():
    people = backgrounds._people()
    assert len(people) == PEOPLE
    dressed = 0
    for person in people:
        colors, clothes = person.levels[0], person.clothes[0]
        bare = (colors[..., 3] > 253) & (clothes < 3)
        assert bare.mean() > .02
        skin = np.median(colors[bare], axis=0)
        assert skin[0] > skin[2]  # reddish, as all skins are
        assert colors[0, :, 3].max() == 0  # free above the head
        assert colors[-1, :, 3].max() == 255  # and cut off below
        dressed += (clothes > 127).mean() > .1
    assert dressed > .8 * PEOPLE


@pytest.mark.parametrize('clothes', [0, 255])
def test_clothes_are_dyed_and_skin_is_not(monkeypatch, clothes):
    solid_person(monkeypatch, clothes)
    colors = []
    for i in range(60):
        picture, coverage = sample_person(np.random.default_rng(i), 32)
        seen = coverage[..., 0] > .99
        if seen.any():
            colors.append(np.median(picture[seen], axis=0))
    chroma = np.ptp(colors, axis=1) / np.max(colors, axis=1)
    assert (chroma.max() > .5) == bool(clothes)
    assert (chroma < .4).sum() > 10


def test_assets_are_where_the_package_looks():
    assert asset_path('people').parts[-3:-1] == ASSETS.parts


def test_things_behind_have_soft_edges():
    cover = backgrounds._soft_edges((9, 40, 3), 4)
    assert cover.shape == (9, 40, 1)
    assert cover[:, 0].max() < .2 and cover[0].max() < .2
    np.testing.assert_array_equal(cover[4, 4:-4], 1)
    assert (np.diff(cover[4, :5, 0]) > 0).all()


def test_people_may_be_left_out(monkeypatch):
    """The rest is drawn all the same."""
    calls = []
    monkeypatch.setattr(
        backgrounds, 'sample_person',
        lambda rng, size: calls.append(size) or (np.zeros(
            (size, size, 3), np.float32), np.zeros(
                (size, size, 1), np.float32)))
    pool = Backgrounds()
    for people in (False, True):
        for seed in range(40):
            pool.sample(np.random.default_rng(seed), 16, people=people)
        assert bool(calls) == people
