"""Scores on labelled photographs: known answers, and those of score.py."""
import json
import subprocess
import sys

import numpy as np
import pytest
from dataset_writers import FREIHAND_NAMES, write_photos
from helpers import REPO_ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lgh_mmpose.evaluation.photographs import (PhotoPrediction, compare_photos,
                                               draw_photos, interval,
                                               measure_photos, photos_table,
                                               predict_photos, read_photos,
                                               read_predictions, score_photos,
                                               weighted, write_predictions)
from lgh_mmpose.geometry.crop import Crop
from lgh_mmpose.geometry.hand import HandSkeleton
from lgh_mmpose.inference.network import Joints, NetworkInfo
from lgh_mmpose.inference.pipeline import HandPose

REAL = REPO_ROOT.parent / 'shared/real'
FIGURES = ('count', 'found', 'error', 'median', 'pck05', 'pck10', 'pa_mm')


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('photos')
    write_photos(folder, 8)
    return folder


@pytest.fixture(scope='module')
def hands(photos):
    return read_photos(photos)


def off_by(hands, shares):
    """Predictions whose joints are all so many hand sizes off."""
    return [
        None if share is None else PhotoPrediction(
            np.where(np.isnan(hand.keypoints), 9., hand.keypoints) +
            [share * hand.size, 0]) for hand, share in zip(hands, shares)
    ]


# -- figures -----------------------------------------------------------------


def test_errors_are_shares_of_the_hands_size(hands):
    shares = [.01, .04, .07, None, .2, .02, .03, .3]
    scores = score_photos(hands, off_by(hands, shares))
    # true are 0, 1, 4, 5
    assert scores['true'] == dict(
        count=4,
        found=4,
        error=pytest.approx(.0675),
        median=pytest.approx(.03),
        pck05=.75,
        pck10=.75,
        pa_mm=None)
    # the last one has no wrist and not all joints
    assert scores['accepted'] == dict(
        count=4,
        found=3,
        error=pytest.approx(.4 / 3),
        median=pytest.approx(.07),
        pck05=pytest.approx(1 / 3),
        pck10=pytest.approx(2 / 3),
        pa_mm=None)
    assert scores['sources']['a']['count'] == 4
    assert scores['sources']['a']['error'] == pytest.approx(.31 / 4)
    low, high = scores['intervals']['true']['error']
    assert .01 < low < .0675 < high < .2
    assert scores == score_photos(hands, off_by(hands, shares))
    json.dumps(scores, allow_nan=False)
    assert 'error  6.75 %' in photos_table(scores)


def test_nothing_found_and_nothing_there(hands):
    scores = score_photos(hands[:2], [None, None])
    empty = dict.fromkeys(('error', 'median', 'pck05', 'pck10', 'pa_mm'))
    assert scores['true'] == dict(empty, count=2, found=0)
    assert scores['accepted'] == dict(empty, count=0, found=0)
    assert scores['intervals']['true'] == empty
    assert 'found     0' in photos_table(scores)


def test_only_seen_joints_count(hands):
    hand = hands[7]
    assert not hand.seen[0] and not hand.seen[5] and hand.seen.sum() == 19
    keypoints = hand.keypoints.copy()
    keypoints[[0, 5]] = 1e4
    keypoints[2] += [0, .5 * hand.size]
    values = measure_photos([hand], [PhotoPrediction(keypoints)])
    assert values['error'][0] == pytest.approx(.5 / 19)
    assert values['pck05'][0] == values['pck10'][0] == pytest.approx(18 / 19)


def test_pa_undoes_similarities_but_no_reflection(hands):
    truth = hands[0].keypoints_cam
    turned = 3 * truth[:, [1, 2, 0]] + 40
    mirrored = truth * [-1, 1, 1]
    pa = [
        measure_photos(hands[:1],
                       [PhotoPrediction(hands[0].keypoints, xyz)])['pa_mm'][0]
        for xyz in (turned, mirrored)
    ]
    assert pa[0] == pytest.approx(0, abs=1e-3) and pa[1] > 5


def test_sides_count_where_they_were_estimated(hands):
    predictions = [
        one._replace(hand_side=side) for one, side in zip(
            off_by(hands[:4], [0] * 4), ('right', 'right', None, 'left'))
    ]
    scores = score_photos(hands[:4], predictions)
    assert scores['true']['side_right'] == .5
    assert scores['accepted']['side_right'] == 1.
    assert 'side right 0.500' in photos_table(scores)
    assert 'side_right' not in score_photos(hands, off_by(hands,
                                                          [0] * 8))['true']


def test_figures_are_those_of_the_script_beside_the_photographs(tmp_path):
    if not (REAL / 'score.py').is_file():
        pytest.skip(f'{REAL} is not here')
    hands = read_photos(REAL)
    rng = np.random.default_rng(0)
    predictions = []
    for i, hand in enumerate(hands):
        keypoints = np.nan_to_num(hand.keypoints)
        keypoints = keypoints + rng.normal(0, .06 * hand.size, (21, 2))
        xyz = rng.normal(0, 50, (21, 3))
        if hand.keypoints_cam is not None:
            xyz = .2 * xyz + hand.keypoints_cam * [1, 1, (-1)**i]
        predictions.append(PhotoPrediction(keypoints, xyz) if i % 9 else None)
    write_predictions(predictions, tmp_path / 'predictions.json')
    scores = score_photos(
        hands, read_predictions(tmp_path / 'predictions.json', hands))
    told = subprocess.run(
        [sys.executable, REAL / 'score.py', tmp_path / 'predictions.json'],
        capture_output=True,
        text=True,
        check=True).stdout
    expected = []
    for name, one in (('true', scores['true']), ('accepted',
                                                 scores['accepted']),
                      *scores['sources'].items()):
        words = (f'{name} {one["count"]} found {one["found"]} error '
                 f'{100 * one["error"]:.2f} % median '
                 f'{100 * one["median"]:.2f} % PCK@0.05 {one["pck05"]:.3f} '
                 f'PCK@0.1 {one["pck10"]:.3f}')
        if one['pa_mm'] is not None:
            words += f' PA {one["pa_mm"]:.1f} mm'
        expected.append(words.split())
    assert [line.split() for line in told.splitlines()] == expected
    assert sum('PA' in line for line in expected) > 2


# -- bootstrap ---------------------------------------------------------------


@given(
    arrays(float, st.integers(1, 8), elements=st.floats(-9, 9)),
    st.integers(0, 2**31 - 1))
@settings(max_examples=60, deadline=None)
def test_weights_are_repetitions(values, seed):
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 4, (3, len(values))).astype(float)
    values[rng.uniform(size=len(values)) < .2] = np.nan
    for statistic, reduce in (('mean', np.nanmean), ('median', np.nanmedian)):
        for got, row in zip(weighted(values, weights, statistic), weights):
            repeated = np.repeat(values, row.astype(int))
            if np.isnan(repeated).all():
                assert np.isnan(got)
            else:
                assert got == pytest.approx(reduce(repeated), abs=1e-9)


def test_hands_of_a_photograph_are_drawn_together():
    draws = draw_photos(['b', 'a', 'b', 'c'], num=500)
    np.testing.assert_array_equal(draws[:, 0], draws[:, 2])
    np.testing.assert_array_equal(draws[:, [0, 1, 3]].sum(axis=1), 3)
    assert abs(draws.mean(axis=0) - 1).max() < .1
    np.testing.assert_array_equal(draws,
                                  draw_photos(['b', 'a', 'b', 'c'], num=500))
    assert (draws != draw_photos(['b', 'a', 'b', 'c'], 1, 500)).any()


def test_intervals_are_those_of_the_mean():
    values = np.random.default_rng(0).normal(3, 2, 400)
    draws = draw_photos([str(i) for i in range(400)])
    low, high = interval(weighted(values, draws))
    spread = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - spread, abs=.02)
    assert high == pytest.approx(values.mean() + spread, abs=.02)


# -- comparison --------------------------------------------------------------


def test_networks_are_compared_on_the_same_photographs(hands):
    first = [.1, .2, .3, .1, .2, .3, .1, .2]
    half = [share / 2 for share in first]
    lost = [None, *half[1:]]
    result = compare_photos(
        hands, {
            'first': [off_by(hands, first)],
            'half': [off_by(hands, lost)],
            'seeds': [off_by(hands, first),
                      off_by(hands, half)]
        })
    true = result['true']
    assert (true['first']['ratio'], true['first']['difference']) == (1., 0.)
    # the hand that was lost counts for neither
    assert true['half']['count'] == 3
    assert true['half']['baseline'] == pytest.approx(.7 / 3)
    # each photograph by the half, so there is no doubt of the ratio
    assert true['half']['ratio'] == pytest.approx(.5)
    np.testing.assert_allclose(true['half']['ratio_interval'], .5)
    low, high = true['half']['difference_interval']
    assert true['half']['difference'] == pytest.approx(-.35 / 3)
    assert low < -.35 / 3 < high
    assert true['seeds']['count'] == 4
    assert true['seeds']['error'] == pytest.approx(.15)


def test_a_comparison_of_nothing(hands):
    result = compare_photos(hands[:2], {
        'a': [off_by(hands[:2], [.1, .1])],
        'b': [[None, None]]
    })
    one = result['true']['b']
    assert one.pop('count') == 0 and set(one.values()) == {None}


# -- predictions -------------------------------------------------------------


class Toy:
    """Sees the same spread hand in each crop, surer of light ones."""
    files = ()

    def __init__(self, names=FREIHAND_NAMES, crop=Crop(1.5, 1.)):  # noqa: B008
        bone = 'middle_finger1', 'middle_finger2'
        self.info = NetworkInfo((32, 32), crop,
                                HandSkeleton.usual(names, bone[0], bone),
                                (0, ) * len(names))
        self.uv = np.random.default_rng(0).uniform(
            4, 28, (len(names), 2)).astype(np.float32)

    def __call__(self, images):
        num, joints = len(images), len(self.uv)
        return Joints(
            np.repeat(self.uv[None], num, 0),
            np.tile(np.linspace(0, 1, joints, dtype=np.float32), (num, 1)),
            np.tile(
                images.reshape(num, -1)[:, :1] / np.float32(255),
                (1, joints)).astype(np.float32))


def test_given_boxes_are_cropped_as_in_training(hands):
    network = Toy()
    for padding in (None, 2.):
        pose = HandPose(network, bbox_padding=padding)
        for hand, one in zip(hands, predict_photos(pose, hands)):
            centre = (hand.box[:2] + hand.box[2:]) / 2
            uv = network.uv.astype(float)
            if hand.hand_side == 'left':
                uv = [31, 0] + uv * [-1, 1]
            if hand.hand_side is not None:
                # the box, so much larger, fills the 32 px of the input
                expected = centre + (uv - 16) * (padding
                                                 or 1.5) * hand.size / 32
                np.testing.assert_allclose(one.keypoints, expected, atol=1e-6)
                assert one.hand_side is None
            else:
                assert one.hand_side in ('left', 'right')
    with_camera = predict_photos(HandPose(network), hands[:1])[0]
    camera = hands[0].camera_matrix
    uv = with_camera.keypoints_cam @ camera.T
    np.testing.assert_allclose(
        uv[:, :2] / uv[:, 2:], with_camera.keypoints, atol=1e-6)


def test_a_label_may_tell_the_direction(hands):
    hand = hands[0]
    seen = []

    class Pose:
        info = Toy().info
        detector = None

        def __call__(self, image, **known):
            seen.append(known)
            return HandPose(Toy())(image, **known)

    for boxes in ('given', 'upright'):
        predict_photos(Pose(), [hand], boxes)
    # of a hand whose knuckle is not annotated
    unknown = hand.keypoints.copy()
    unknown[9] = np.nan
    hidden = hand._replace(
        keypoints=unknown, seen=hand.seen & (np.arange(21) != 9))
    predict_photos(Pose(), [hidden], 'upright')
    directions = [known.get('directions') for known in seen]
    assert directions[0] is directions[2] is None
    # from the wrist to the middle finger's knuckle
    expected = hand.keypoints[9] - hand.keypoints[0]
    way, = directions[1]
    np.testing.assert_allclose(way / np.linalg.norm(way),
                               expected / np.linalg.norm(expected))


def test_joints_are_taken_by_name(hands):
    shuffled = Toy(FREIHAND_NAMES[::-1])
    usual = Toy()
    shuffled.uv = usual.uv[::-1]
    both = [
        predict_photos(HandPose(network), hands[:1])[0].keypoints
        for network in (usual, shuffled)
    ]
    np.testing.assert_allclose(both[0], both[1])
    with pytest.raises(ValueError, match='no joint pinky_finger4'):
        predict_photos(HandPose(Toy(FREIHAND_NAMES[:-1])), hands)


def test_found_hands_are_matched_by_their_box(hands):
    hand = hands[0]
    # beside the hand, but in the picture
    far = np.concatenate([hand.box[:2] / 4, hand.box[:2] * 1.2])
    near = hand.box + .1 * hand.size
    usual = predict_photos(HandPose(Toy()), [hand])[0].keypoints
    image_of = {
        'both': [far, near],
        'far': [far],
        'none': np.zeros((0, 4)),
    }
    for name, boxes in image_of.items():
        pose = HandPose(
            Toy(),
            detector=lambda image, boxes=boxes: (boxes, np.ones(len(boxes))))
        one, = predict_photos(pose, [hand], 'found')
        assert (one is None) == (name != 'both')
        if one is not None:
            assert one.hand_side in ('left', 'right')
            found = one.keypoints.mean(axis=0) - usual.mean(axis=0)
            assert 0 < np.abs(found).max() < .3 * hand.size
    with pytest.raises(ValueError, match='needs a HandPose with a detector'):
        predict_photos(HandPose(Toy()), [hand], 'found')
    with pytest.raises(ValueError, match="'given', 'upright' or 'found'"):
        predict_photos(HandPose(Toy()), [hand], 'whole')


def test_what_cannot_be_looked_at_is_named(tmp_path):
    entries = write_photos(tmp_path, 3)
    entries[1]['keypoints'] = [[u + 500, v]
                               for u, v in entries[1]['keypoints']]
    (tmp_path / 'hands.json').write_text(json.dumps(entries))
    hands = read_photos(tmp_path)
    with pytest.raises(ValueError, match=r'1\.png: .*lies outside'):
        predict_photos(HandPose(Toy()), hands)
    (tmp_path / 'images/0.png').write_bytes(b'no picture')
    with pytest.raises(ValueError, match=r'0\.png'):
        predict_photos(HandPose(Toy()), hands)


# -- files -------------------------------------------------------------------


def change(**fields):
    return lambda entry: entry.update(fields)


def joint(index, value):
    return lambda entry: entry['keypoints'].__setitem__(index, value)


@pytest.mark.parametrize('spoil, message', [
    (change(image='images/none.png'), 'images/none.png.*no such image'),
    (change(image=7), 'no file name'),
    (change(image='a\0b'), 'no file name'),
    (change(label='seen'), '"label" must be one of.*"seen"'),
    (change(label=['true']), '"label" must be one of'),
    (change(hand_side='both'), '"hand_side" must be.*"both"'),
    (change(hand_side={}), '"hand_side" must be'),
    (change(source=3), '"source" must be a text'),
    (change(keypoints=[[1, 2]] * 20), '21 pairs of numbers, got 20 entries'),
    (change(keypoints=None), '21 pairs of numbers, got null'),
    (change(keypoints='x' * 100), 'got "xxx.* ...'),
    (joint(8, [1, 2, 3]), 'joint forefinger4 .*pair.*got .1, 2, 3'),
    (joint(8, [1, float('nan')]), 'joint forefinger4 .*got .1, NaN'),
    (joint(0, [1, 10**400]), 'joint wrist .*'),
    (joint(0, ['1', '2']), 'joint wrist .*'),
    (joint(0, [[1], 2]), 'joint wrist .*'),
    (change(visible=[1] * 20), '"visible" must be 21 numbers or null'),
    (change(visible='all'), '"visible" must be'),
    (change(visible=[1] + [0] * 20), 'visible joints have no extent'),
    (change(keypoints=[[3, 4]] * 21), 'visible joints have no extent'),
    (change(keypoints_cam_mm=[[1, 2, 3]] * 20),
     '"keypoints_cam_mm" must be 21 x 3 finite numbers or null'),
    (change(keypoints_cam_mm=[[1, 2, float('inf')]] * 21),
     '"keypoints_cam_mm" must be 21 x 3'),
    (change(camera_matrix=[[1, 2], [3, 4]]), '"camera_matrix" must be 3 x 3'),
    (change(camera_matrix=np.zeros((3, 3)).tolist()), 'camera'),
])
def test_a_wrong_entry_is_named(spoil, message, tmp_path):
    entries = write_photos(tmp_path, 3)
    spoil(entries[1])
    (tmp_path / 'hands.json').write_text(json.dumps(entries))
    with pytest.raises((ValueError, FileNotFoundError),
                       match='hands.json, entry 1.*' + message) as error:
        read_photos(tmp_path)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('content, message', [
    ('{', 'hands.json is not valid json'),
    ('{"hands": []}', 'hands.json must hold a list'),
    ('[]', 'hands.json must hold a list'),
    ('[3]', 'hands.json, entry 0 is no json object'),
    ('[' * 100000, 'hands.json is not valid json'),
])
def test_a_foreign_file_is_named(content, message, tmp_path):
    (tmp_path / 'hands.json').write_text(content)
    with pytest.raises(ValueError, match=message):
        read_photos(tmp_path)


def test_a_folder_without_labels_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'holds no hands\.json'):
        read_photos(tmp_path)
    with pytest.raises(FileNotFoundError, match=r'holds no hands\.json'):
        read_photos(tmp_path / 'absent')


def test_little_is_needed(tmp_path):
    entry = write_photos(tmp_path, 2)[0]
    (tmp_path / 'hands.json').write_text(
        json.dumps([{
            key: entry[key]
            for key in ('image', 'label', 'keypoints')
        }]))
    hand, = read_photos(tmp_path)
    assert hand.hand_side is hand.camera_matrix is hand.keypoints_cam is None
    assert hand.seen.all() and hand.source == ''
    np.testing.assert_allclose(hand.keypoints, entry['keypoints'])


def test_predictions_come_back(hands, tmp_path):
    predictions = off_by(hands, [0, None, *[.1] * 6])
    predictions[2] = predictions[2]._replace(
        keypoints_cam=np.ones((21, 3)), hand_side='left')
    write_predictions(predictions, tmp_path / 'p.json')
    for before, after in zip(predictions,
                             read_predictions(tmp_path / 'p.json', hands)):
        if before is None:
            assert after is None
            continue
        for a, b in zip(before, after):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize('spoil, message', [
    (lambda entries: entries.pop(), 'each of the 8 hands, got 7 entries'),
    (lambda entries: entries.__setitem__(3, 5), r'entry 3 \(3.png\) is neit'),
    (lambda entries: entries[3].pop('keypoints'), r'entry 3 .*got null'),
    (lambda entries: joint(4, None)(entries[3]), 'entry 3 .*lacks the joint '
     'thumb4'),
    (lambda entries: joint(4, [0, float('nan')])
     (entries[3]), 'entry 3 .*joint thumb4'),
    (lambda entries: entries[3].update(keypoints_cam=[1]),
     'entry 3 .*"keypoints_cam" must be 21 x 3'),
    (lambda entries: entries[3].update(hand_side='up'), 'entry 3 .*hand_side'),
])
def test_wrong_predictions_are_named(spoil, message, hands, tmp_path):
    write_predictions(off_by(hands, [.1] * 8), tmp_path / 'p.json')
    entries = json.loads((tmp_path / 'p.json').read_text())
    spoil(entries)
    (tmp_path / 'p.json').write_text(json.dumps(entries))
    with pytest.raises(ValueError, match=message):
        read_predictions(tmp_path / 'p.json', hands)
