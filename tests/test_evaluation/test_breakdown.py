import io
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from work_dir_writer import JOINT_NAMES, write_predictions

from lgh_mmpose.evaluation import breakdown as B

PALM = ['wrist', 'forefinger1', 'pinky_finger1']


@pytest.mark.parametrize('degrees', [0, 20, 45, 80, 90])
def test_palm_angle_of_a_turned_palm(degrees):
    flat = np.array([[0, 40, 0], [-20, -40, 0], [20, -40, 0.]])
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    about_y = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    turned = flat @ about_y.T
    # the line of sight is that to the middle of the palm
    turned += [0, 0, 500] - turned.mean(axis=0)
    # both sides, and mirrored
    hands = np.stack([turned, turned[[0, 2, 1]], turned * [-1, 1, 1]])
    np.testing.assert_allclose(B.palm_angle(hands, PALM), degrees, atol=1e-5)


def test_palm_angle_needs_its_joints():
    hands = np.full((1, 3, 3), np.nan)
    assert np.isnan(B.palm_angle(hands, PALM)).all()
    with pytest.raises(ValueError, match='without pinky_finger1'):
        B.palm_angle(hands, ['wrist', 'forefinger1', 'pinky_finger2'])


def test_a_bone_in_the_line_of_sight_hides_a_joint():
    # a bone across at 400 mm, joints behind, beside, before and just behind
    joints = np.array([[[-30, 0, 400], [30, 0, 400], [0, 0, 450], [0, 20, 450],
                        [0, 0, 300], [0, 0, 405.]]])
    hidden = B.self_occluded(joints, [(0, 1)])
    np.testing.assert_array_equal(hidden[0],
                                  [False, False, True, False, False, False])
    # a thicker bone reaches the joint beside it: 20 * 400 / 450 = 17.8 mm
    assert not B.self_occluded(joints, [(0, 1)], radius=17.)[0, 3]
    assert B.self_occluded(joints, [(0, 1)], radius=18.)[0, 3]


def test_missing_joints_neither_hide_nor_are_hidden():
    joints = np.array([[[-30, 0, 400], [np.nan] * 3, [0, 0, 450.]]])
    assert not B.self_occluded(joints, [(0, 1), (1, 2)]).any()


@given(st.integers(0, 2**32 - 1))
def test_segment_distance_is_the_least_of_a_fine_grid(seed):
    rng = np.random.default_rng(seed)
    tip, start, end = rng.normal(0, 100, (3, 3))
    got = B._distance_from_origin_segments(tip, start, end)
    s = np.linspace(0, 1, 201)
    grid = np.linalg.norm(
        s[:, None, None] * tip - (start + s[:, None] * (end - start)), axis=-1)
    step = (np.linalg.norm(tip) + np.linalg.norm(end - start)) / 200
    assert grid.min() - step <= got <= grid.min() + 1e-9


def test_errors_fall_into_bins():
    values = np.array([0, .5, 1, 1.9, 2, 3, np.nan, 1.])
    errors = np.array([1, 3, 5, 7, 9, 11, 100, np.nan])
    bins = B.errors_by(values, errors, [0, 1, 2, 3])
    assert [b.count for b in bins] == [2, 2, 2]
    assert [b.mean for b in bins] == [2, 6, 10]
    assert (bins[0].lower, bins[0].upper) == (1.5, 2.5)
    empty, = B.errors_by(values, errors, [5, 6])
    assert empty.count == 0 and np.isnan(empty.mean)


@pytest.mark.parametrize('edges', [[1], [1, 1], [2, 1]])
def test_edges_must_increase(edges):
    with pytest.raises(ValueError, match='increasing'):
        B.errors_by(np.zeros(2), np.zeros(2), edges)


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60), st.integers(1, 9))
def test_equal_count_bins_hold_every_value(values, num_bins):
    values = np.array(values)
    edges = B.equal_count_edges(values, num_bins)
    bins = B.errors_by(values, np.zeros(len(values)), edges)
    assert sum(b.count for b in bins) == len(values)
    assert len(bins) <= num_bins


def test_mean_pose_is_of_the_annotated_joints():
    joints = np.random.default_rng(0).normal(0, 50, (5, 3, 3))
    expected = (joints - joints[:, [1]]).mean(axis=0)
    np.testing.assert_allclose(B.mean_pose(joints, 1), expected)
    visible = np.ones((5, 3))
    visible[0, 2] = visible[:, 0] = visible[4, 1] = 0
    pose = B.mean_pose(joints, 1, visible)
    np.testing.assert_allclose(pose[2],
                               (joints[1:4, 2] - joints[1:4, 1]).mean(axis=0))
    assert np.isnan(pose[0]).all() and (pose[1] == 0).all()


def test_predictions_are_read_and_checked(tmp_path):
    path = write_predictions(tmp_path / 'run.npz', num=3)
    dump = B.load_predictions(path)
    assert B.scored_alignments(dump) == ['none', 'root', 'procrustes']
    assert dump['joint_names'].tolist() == JOINT_NAMES


@pytest.mark.parametrize('change, message', [
    (dict(pred_keypoints=np.zeros((3, 20, 2))), 'pred_keypoints has shape'),
    (dict(errors_root=np.array(['x'])), 'errors_root has shape'),
    (dict(joint_names=np.arange(21)), 'joint_names has shape'),
    (dict(img_path=None), 'img_path'),
    (dict(errors_none=None, errors_root=None,
          errors_procrustes=None), 'no 3D errors'),
    (dict(id=np.array([{}] * 3)), 'allow_pickle'),
    (dict(errors_root=np.full((3, 21), np.nan)), 'no joint is compared'),
    (dict(errors_root=np.full((3, 21), np.inf)), 'of sample 0 are not finite'),
    (dict(pred_keypoints_cam=np.full((3, 21, 3), np.nan)),
     'pred_keypoints_cam of sample 0 are not finite'),
    (dict(pred_keypoints=np.full((3, 21, 2), np.nan)),
     'pred_keypoints of sample 0 are not finite'),
])
def test_other_files_are_named(tmp_path, change, message):
    path = write_predictions(tmp_path / 'run.npz', num=3)
    arrays = dict(np.load(path), **change)
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(ValueError, match=f'run.npz.*{message}'):
        B.load_predictions(path)


def header(descr, shape):
    text = str(dict(descr=descr, fortran_order=False, shape=shape)) + '\n'
    return b'\x93NUMPY\x01\x00' + struct.pack('<H', len(text)) + text.encode()


def archive_of(content, method=zipfile.ZIP_DEFLATED, at=None):
    """A zip of one array, damaged at a place."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w', method) as archive:
        archive.writestr('annotated.npy', content)
    data = bytearray(stream.getvalue())
    if at is not None:
        data[at:at + 9] = b'\xff' * 9
    return bytes(data)


ARRAY = header('<f8', (9, )) + bytes(72)


@pytest.mark.parametrize(
    'content', [
        b'PK',
        ARRAY,
        archive_of(b'no array'),
        archive_of(ARRAY, at=45),
        archive_of(ARRAY, zipfile.ZIP_BZIP2, at=60),
        archive_of(ARRAY, zipfile.ZIP_LZMA, at=48),
        archive_of(ARRAY, at=8),
        archive_of(header('<f8', (10**13, ))),
        archive_of(header('<f8', (-1, ))),
        archive_of(header('O', (1, )) + b'\x80\x04N.'),
        archive_of(b'\x93NUMPY\x01\x00\x05\x00((((\n'),
        archive_of(b'\x93NUMPY\x01\x00\x03\x00 {\n'),
        b'',
    ],
    ids=range(13))
def test_damaged_archive_is_named(tmp_path, content):
    path = tmp_path / 'a.npz'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'a\.npz is not what') as error:
        B.load_predictions(path)
    assert len(str(error.value)) < 500


def test_archives_are_no_bombs(tmp_path, monkeypatch):
    path = write_predictions(tmp_path / 'run.npz', num=3)
    monkeypatch.setattr(B, '_MAX_DUMP_BYTES', 1000)
    with pytest.raises(ValueError, match='run.npz .* unpacks to'):
        B.load_predictions(path)


def test_damaged_dump_is_read_or_refused(tmp_path):
    content = write_predictions(tmp_path / 'run.npz', num=1).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content)
        for place in rng.integers(0, len(damaged), 20):
            damaged[place] = rng.integers(0, 256)
        (tmp_path / 'a.npz').write_bytes(damaged)
        try:
            B.load_predictions(tmp_path / 'a.npz')
        except ValueError as error:
            assert 'a.npz' in str(error)
