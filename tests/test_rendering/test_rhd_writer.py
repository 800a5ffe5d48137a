import json
import pickle

import cv2
import numpy as np
import pytest
from dataset_writers import digests
from hypothesis import given
from hypothesis import strategies as st

from lgh_mmpose.datasets.safe_pickle import load_array_pickle
from lgh_mmpose.geometry.camera import project
from lgh_mmpose.rendering import (GENERATOR_VERSION, SceneGenerator,
                                  write_studiohand)
from lgh_mmpose.rendering.rhd_writer import encode_depth

PARAMETERS = {
    'num_train': 34,  # more than one piece of work
    'num_eval': 3,
    'seed': 5,
    'size': 96,
    'difficulty': 'full',
    'quiet': True,
    'layout': 'rhd',
    'depth': True
}
COUNTS = {'training': 34, 'evaluation': 3}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    out = tmp_path_factory.mktemp('studiohand') / 'data'
    assert write_studiohand(out, **PARAMETERS) is True
    return out


def load(root, split='training'):
    return load_array_pickle(str(root / split / f'anno_{split}.pickle'))


def read(root, kind, index, split='training'):
    return cv2.imread(
        str(root / split / kind / f'{index:05d}.png'), cv2.IMREAD_UNCHANGED)


def test_layout_is_that_of_rhd(root):
    expected = {'studiohand.json'}
    for split, count in COUNTS.items():
        expected.add(f'{split}/anno_{split}.pickle')
        expected |= {
            f'{split}/{kind}/{i:05d}.png'
            for kind in ('color', 'mask', 'depth')
            for i in range(count)
        }
        annotations = load(root, split)
        assert list(annotations) == list(range(count))
        for annotation in annotations.values():
            assert {
                name: (array.shape, array.dtype)
                for name, array in annotation.items()
            } == {
                'xyz': ((42, 3), np.float32),
                'uv_vis': ((42, 3), np.float32),
                'K': ((3, 3), np.float32)
            }
    assert set(digests(root)) == expected
    assert json.loads((root / 'studiohand.json').read_text()) == {
        'generator_version': GENERATOR_VERSION,
        'backgrounds': None,
        'without': [],
        **{
            k: v
            for k, v in PARAMETERS.items() if k != 'quiet'
        }
    }


def test_pickle_is_plain(root):
    """Any NumPy reads it, with pickle's own loader too."""
    path = root / 'training/anno_training.pickle'
    with open(path, 'rb') as file:
        plain = pickle.load(file)
    for i, annotation in load(root).items():
        for name, array in annotation.items():
            np.testing.assert_array_equal(array, plain[i][name])
    assert b'numpy._core' not in path.read_bytes()


def test_images(root):
    assert read(root, 'color', 0).shape == (96, 96, 3)
    for i in range(COUNTS['training']):
        mask = read(root, 'mask', i)
        assert mask.dtype == np.uint8 and mask.shape == (96, 96)
        assert mask.max() <= 33


@pytest.mark.parametrize('split', COUNTS)
def test_files_hold_what_was_rendered(root, split):
    scenes = SceneGenerator(5, split, 96, 'full')
    annotations = load(root, split)
    tip_to_base = [0] + [4 * f + i for f in range(5) for i in (4, 3, 2, 1)]
    for i in range(2):
        sample = scenes.sample_both_hands(i)
        assert sample.sides == ('left', 'right')
        np.testing.assert_array_equal(
            read(root, 'color', i, split)[..., ::-1], sample.image)
        np.testing.assert_array_equal(
            read(root, 'mask', i, split), sample.part_mask)
        xyz = sample.keypoints_cam[:, tip_to_base].reshape(42, 3)
        np.testing.assert_allclose(
            annotations[i]['xyz'], xyz / 1000, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(
            annotations[i]['uv_vis'][:, :2],
            project(xyz, sample.camera_matrix),
            rtol=1e-6,
            atol=1e-4)
        np.testing.assert_array_equal(
            annotations[i]['uv_vis'][:, 2],
            sample.keypoints_visible[:, tip_to_base].reshape(42))
        np.testing.assert_allclose(
            annotations[i]['K'], sample.camera_matrix, rtol=1e-6)


def test_joints_in_sight_lie_on_their_parts(root):
    """Side, finger and order: the mask is drawn from the mesh."""
    agree = []
    for i, annotation in load(root).items():
        mask = np.pad(read(root, 'mask', i), 2)
        for joint, (u, v, in_sight) in enumerate(annotation['uv_vis']):
            finger, bone = divmod(joint % 21 - 1, 4)
            if not in_sight or joint % 21 == 0 or bone == 3:
                continue
            # tip, outer joint and middle joint: at an end of the outer parts
            parts = {
                2 + 16 * (joint >= 21) + 3 * finger + part
                for part in (max(bone - 1, 0), bone)
            }
            column, row = int(round(u)), int(round(v))
            around = mask[row:row + 5, column:column + 5]
            agree.append(bool(parts & set(around.ravel().tolist())))
    assert len(agree) > 200 and np.mean(agree) > .97


def test_joints_in_sight_are_near_the_surface(root):
    for i, annotation in load(root).items():
        encoded = read(root, 'depth', i).astype(float)
        assert not encoded[..., 0].any()  # blue
        depth = (256 * encoded[..., 2] + encoded[..., 1]) / 65535 * 5000
        np.testing.assert_array_less(depth[depth < 5000], 1500)
        for xyz, (u, v, in_sight) in zip(annotation['xyz'],
                                         annotation['uv_vis']):
            if in_sight:
                surface = depth[int(round(v)), int(round(u))]
                assert surface > 1000 * xyz[2] - 31  # flesh before a joint


@given(st.lists(st.floats(0, 5000), min_size=1, max_size=20))
def test_depth_is_coded_to_a_tenth_of_a_millimetre(depth):
    depth = np.array([depth])
    code = encode_depth(depth).astype(float)
    decoded = (256 * code[..., 0] + code[..., 1]) / 65535 * 5000
    np.testing.assert_allclose(decoded, depth, rtol=0, atol=.0382)


def test_far_and_empty_pixels_have_the_last_depth_code():
    code = encode_depth(np.array([[np.inf, 6000., 5000., 0.]]))
    assert code[0].tolist() == [[255, 255, 0]] * 3 + [[0, 0, 0]]


def test_both_sides_stand_on_both_sides_of_the_image(root):
    left_of = [
        annotation['uv_vis'][:21, 0].mean() < annotation['uv_vis'][21:,
                                                                   0].mean()
        for annotation in load(root).values()
    ]
    assert 5 < sum(left_of) < len(left_of) - 5
    larger = [
        np.count_nonzero((mask > 1) & (mask < 18))
        > np.count_nonzero(mask > 17)
        for mask in (read(root, 'mask', i) for i in range(34))
    ]
    assert 5 < sum(larger) < len(larger) - 5


def test_one_hand_is_inside_the_image(root):
    for annotation in load(root).values():
        inside = ((annotation['uv_vis'][:, :2] >= 0) &
                  (annotation['uv_vis'][:, :2] < 96)).all(1)
        assert inside[:21].all() or inside[21:].all()


def test_bytes_do_not_depend_on_the_number_of_workers(root, tmp_path):
    write_studiohand(tmp_path / 'two', workers=2, **PARAMETERS)
    assert digests(tmp_path / 'two') == digests(root)


def test_other_seed_split_and_layout_give_other_hands(root, tmp_path):
    write_studiohand(tmp_path / 'other', **{
        **PARAMETERS, 'seed': 6,
        'num_train': 2
    })
    one, other, evaluation = (
        folder[0]['xyz'] for folder in (load(root), load(tmp_path / 'other'),
                                        load(root, 'evaluation')))
    assert np.abs(one - other).max() > 1e-3
    assert np.abs(one - evaluation).max() > 1e-3
    single = SceneGenerator(5, 'training', 96, 'full').sample(0)
    assert np.abs(one[21:, 2] -
                  single.keypoints_cam[0, :, 2] / 1000).max() > (1e-3)


def test_complete_data_set_is_left_alone(root):
    assert write_studiohand(root, **PARAMETERS) is False
    with pytest.raises(FileExistsError, match='other parameters'):
        write_studiohand(root, **{**PARAMETERS, 'depth': False})
    with pytest.raises(FileExistsError, match='other parameters'):
        write_studiohand(
            root, **{
                **PARAMETERS, 'layout': 'freihand',
                'depth': False
            })


@pytest.mark.parametrize('change, message', [
    ({
        'layout': 'voc'
    }, "layout is 'voc', expected one of"),
    ({
        'layout': 'freihand'
    }, "'freihand' has no depth maps"),
])
def test_bad_parameters_are_named(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        write_studiohand(tmp_path / 'data', **{**PARAMETERS, **change})
