import json
import os
import shutil
import signal

import cv2
import numpy as np
import pytest
from dataset_writers import digests

from lgh_mmpose.datasets import FreiHand3DDataset
from lgh_mmpose.fileio import unfinished_directory
from lgh_mmpose.geometry.camera import project
from lgh_mmpose.rendering import (GENERATOR_VERSION, SceneGenerator,
                                  dataset_writer, write_studiohand)
from lgh_mmpose.rendering.scene import PERSON_ID

PARAMETERS = {
    'num_train': 37,  # more than one piece of work
    'num_eval': 3,
    'seed': 5,
    'size': 48,
    'difficulty': 'easy',
    'quiet': True
}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    out = tmp_path_factory.mktemp('studiohand') / 'data'
    assert write_studiohand(out, **PARAMETERS) is True
    return out


def load(root, name):
    return np.array(json.loads((root / name).read_text()))


def test_layout_is_that_of_freihand(root):
    expected = {'studiohand.json'}
    for split, count in (('training', 37), ('evaluation', 3)):
        expected |= {f'{split}_{n}.json' for n in ('K', 'xyz', 'scale')}
        expected |= {
            f'{split}/{kind}/{i:08d}.jpg'
            for kind in ('rgb', 'mask')
            for i in range(count)
        }
        assert load(root, f'{split}_K.json').shape == (count, 3, 3)
        assert load(root, f'{split}_xyz.json').shape == (count, 21, 3)
        assert load(root, f'{split}_scale.json').shape == (count, )
    assert set(digests(root)) == expected
    assert json.loads((root / 'studiohand.json').read_text()) == {
        'generator_version': GENERATOR_VERSION,
        'layout': 'freihand',
        'backgrounds': None,
        'without': [],
        **{
            k: v
            for k, v in PARAMETERS.items() if k != 'quiet'
        }
    }


def test_no_number_has_digits_that_depend_on_the_processor(root):
    for name in ('K', 'xyz', 'scale'):
        values = load(root, f'training_{name}.json')
        np.testing.assert_array_equal(values, values.round(9))


def test_units_are_metres_and_scale_is_the_reference_bone(root):
    xyz = load(root, 'training_xyz.json')
    assert .15 < xyz[..., 2].min() < xyz[..., 2].max() < 1.
    np.testing.assert_allclose(
        load(root, 'training_scale.json'),
        np.linalg.norm(xyz[:, 10] - xyz[:, 9], axis=1),
        atol=1e-8)


@pytest.mark.parametrize('split', ['training', 'evaluation'])
def test_files_project_to_what_was_rendered(root, split):
    scenes = SceneGenerator(5, split, 48, 'easy')
    uv = project(
        load(root, f'{split}_xyz.json'), load(root, f'{split}_K.json'))
    for i in range(3):
        sample = scenes.sample(i)
        rendered = project(sample.keypoints_cam[0], sample.camera_matrix)
        np.testing.assert_allclose(uv[i], rendered, atol=1e-3)
        image = cv2.imread(str(root / split / f'rgb/{i:08d}.jpg'))
        assert image.shape == (48, 48, 3)
        error = np.abs(image[..., ::-1].astype(int) - sample.image)
        assert error.mean() < 20  # jpeg; another sample is off by 50
        mask = cv2.imread(
            str(root / split / f'mask/{i:08d}.jpg'), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(mask > 127, sample.part_mask > PERSON_ID)


def test_real_adapter_reads_it(root):
    dataset = FreiHand3DDataset(str(root), split='evaluation', pipeline=[])
    xyz = load(root, 'evaluation_xyz.json')
    assert len(dataset) == 3
    for i in range(3):
        info = dataset.get_data_info(i)
        np.testing.assert_allclose(
            info['keypoints_cam'][0], 1000 * xyz[i], atol=1e-3)
        assert info['hand_side'] == 'right'
        assert os.path.isfile(info['img_path'])


def test_bytes_do_not_depend_on_the_number_of_workers(root, tmp_path):
    write_studiohand(tmp_path / 'two', workers=2, **PARAMETERS)
    assert digests(tmp_path / 'two') == digests(root)


def test_other_seed_gives_other_samples(root, tmp_path):
    write_studiohand(tmp_path / 'other', **{**PARAMETERS, 'seed': 6})
    assert np.abs(
        load(tmp_path / 'other', 'training_xyz.json') -
        load(root, 'training_xyz.json')).max(axis=(1, 2)).min() > 1e-3


def test_training_and_evaluation_differ(root):
    training, evaluation = (
        load(root, f'{split}_xyz.json')
        for split in ('training', 'evaluation'))
    difference = np.abs(training[:, None] - evaluation).max(axis=(2, 3))
    assert difference.min() > 1e-3


class TestExistingDirectory:
    SMALL = {**PARAMETERS, 'num_train': 2, 'num_eval': 1}

    @pytest.fixture
    def out(self, tmp_path):
        out = tmp_path / 'data'
        write_studiohand(out, **self.SMALL)
        return out

    def test_the_same_data_set_is_left_alone(self, out):
        before = digests(out)
        stamp = (out / 'training_K.json').stat().st_mtime_ns
        assert write_studiohand(out, **self.SMALL) is False
        assert digests(out) == before
        assert (out / 'training_K.json').stat().st_mtime_ns == stamp

    @pytest.mark.parametrize('change', [{
        'seed': 9
    }, {
        'num_eval': 2
    }, {
        'size': 64
    }, {
        'difficulty': 'full'
    }, {
        'fill': [.4, .6]
    }])
    def test_another_one_is_refused(self, out, change):
        before = digests(out)
        with pytest.raises(FileExistsError, match='other parameters'):
            write_studiohand(out, **{**self.SMALL, **change})
        assert digests(out) == before

    def test_overwrite_replaces_it(self, out, tmp_path):
        changed = {**self.SMALL, 'num_train': 1}
        assert write_studiohand(out, overwrite=True, **changed) is True
        assert len(load(out, 'training_K.json')) == 1
        assert len(os.listdir(out / 'training/rgb')) == 1
        assert os.listdir(tmp_path) == ['data']

    @pytest.mark.parametrize(
        'name', ['training/mask/00000001.jpg', 'evaluation_xyz.json'])
    def test_incomplete_one_is_not_taken_for_whole(self, out, name):
        (out / name).unlink()
        with pytest.raises(FileExistsError, match='missing files'):
            write_studiohand(out, **self.SMALL)
        assert write_studiohand(out, overwrite=True, **self.SMALL) is True
        assert (out / name).is_file()

    @pytest.mark.parametrize('overwrite', [False, True])
    def test_foreign_data_is_never_replaced(self, tmp_path, overwrite):
        (tmp_path / 'real').mkdir()
        (tmp_path / 'real/training_K.json').write_text('[]')
        with pytest.raises(FileExistsError, match='left alone'):
            write_studiohand(
                tmp_path / 'real', overwrite=overwrite, **self.SMALL)
        assert os.listdir(tmp_path) == ['real']
        assert os.listdir(tmp_path / 'real') == ['training_K.json']

    def test_own_files_in_it_are_never_deleted(self, out):
        (out / 'training/notes.txt').write_text('mine')
        before = digests(out)
        changed = {**self.SMALL, 'num_train': 1}
        with pytest.raises(
                FileExistsError, match='holds training/notes.txt too'):
            write_studiohand(out, overwrite=True, **changed)
        assert digests(out) == before

    @pytest.mark.parametrize('overwrite', [False, True])
    @pytest.mark.parametrize('place', ['', 'training/'])
    def test_what_comes_while_it_works_stays(self, out, tmp_path, monkeypatch,
                                             overwrite, place):
        if not overwrite:
            shutil.rmtree(out)
        write_splits = dataset_writer._write_splits

        def render(*args):
            write_splits(*args)
            (out / place).mkdir(parents=True, exist_ok=True)
            (out / place / 'notes.txt').write_text('mine')

        monkeypatch.setattr(dataset_writer, '_write_splits', render)
        with pytest.raises(FileExistsError, match='is whole, in .*data_2'):
            write_studiohand(
                out, overwrite=overwrite, **{
                    **self.SMALL, 'num_train': 1
                })
        assert (out / place / 'notes.txt').read_text() == 'mine'
        assert (out / 'studiohand.json').exists() == overwrite
        assert len(load(tmp_path / 'data_2', 'training_K.json')) == 1
        assert sorted(os.listdir(tmp_path)) == ['data', 'data_2']

    @pytest.mark.parametrize('overwrite', [False, True])
    def test_a_second_run_at_once_is_refused(self, out, monkeypatch,
                                             overwrite):
        before = digests(out)
        with unfinished_directory(out):
            monkeypatch.delattr(dataset_writer, '_write_splits')
            with pytest.raises(FileExistsError, match='another run is writin'):
                write_studiohand(
                    out, overwrite=overwrite, **{
                        **self.SMALL, 'num_train': 1
                    })
        assert digests(out) == before

    def test_file_in_the_way_is_left_alone(self, tmp_path):
        (tmp_path / 'data').write_text('mine')
        with pytest.raises(FileExistsError, match='left alone'):
            write_studiohand(tmp_path / 'data', **self.SMALL)

    def test_empty_directory_is_used(self, tmp_path):
        (tmp_path / 'data').mkdir()
        assert write_studiohand(tmp_path / 'data', **self.SMALL) is True


def fail_late(root, layout, split, first, samples, scene):
    """Stand-in for a worker's task; on module level to be pickled."""
    if 32 in samples:
        raise RuntimeError('the disk is full')
    return [([], [], 0.)] * len(samples)


def die(*task):
    os._exit(9)


@pytest.mark.usefixtures('interruptible')
@pytest.mark.parametrize('method', ['__init__', 'sample'])
def test_an_interrupt_within_compiled_code_is_one(tmp_path, monkeypatch,
                                                  method):
    """Python makes a SystemError of it, as that of no sample."""

    def interrupted(*args, **kwargs):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            raise SystemError('<built-in function f> returned a result with '
                              'an exception set') from error

    monkeypatch.setattr(SceneGenerator, method, interrupted)
    monkeypatch.setattr(dataset_writer, '_WARM_UP', 0)
    with pytest.raises(KeyboardInterrupt):
        write_studiohand(tmp_path / 'data', **PARAMETERS)
    assert os.listdir(tmp_path) == []


def test_failure_names_the_sample_and_leaves_nothing(tmp_path, monkeypatch):
    sample = SceneGenerator.sample

    def fail(self, index, fill):
        if index == 33:
            raise ArithmeticError('no such hand')
        return sample(self, index, fill)

    monkeypatch.setattr(SceneGenerator, 'sample', fail)
    with pytest.raises(
            RuntimeError, match='training sample 33 .*no such hand'):
        write_studiohand(tmp_path / 'data', **PARAMETERS)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('task, message', [
    (fail_late, 'the disk is full'),
    (die, 'ended unexpectedly'),
])
def test_failing_worker_fails_the_run(tmp_path, monkeypatch, task, message):
    monkeypatch.setattr(dataset_writer, '_write_samples', task)
    with pytest.raises(RuntimeError, match=message):
        write_studiohand(tmp_path / 'data', workers=2, **PARAMETERS)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('change, message', [
    ({
        'num_train': -1
    }, 'numbers of images'),
    ({
        'num_train': 0,
        'num_eval': 0
    }, 'numbers of images'),
    ({
        'workers': 0
    }, 'number of workers is 0'),
    ({
        'size': 2
    }, 'size is 2'),
    ({
        'size': 100_000
    }, 'size is 100000, expected 16 to 4096 pixels'),
    ({
        'difficulty': 'hard'
    }, "difficulty is 'hard'"),
    ({
        'fill': [.6, .4]
    }, 'fill is .*the smaller one first'),
    ({
        'fill': [.5, 1.]
    }, 'fill is'),
    ({
        'fill': [.5, .6],
        'layout': 'rhd'
    }, "'rhd' has no fill"),
])
def test_bad_parameters_are_named(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        write_studiohand(tmp_path / 'data', **{**PARAMETERS, **change})
    assert os.listdir(tmp_path) == []


def test_hands_span_what_is_asked_for(tmp_path):
    out = tmp_path / 'data'
    write_studiohand(out, **{**PARAMETERS, 'fill': [.3, .35]})
    parameters = json.loads((out / 'studiohand.json').read_text())
    assert parameters['fill'] == [.3, .35]
    for K, xyz in zip(*(json.loads((out / f'training_{name}.json').read_text())
                        for name in ('K', 'xyz'))):
        uv = project(np.array(xyz), np.array(K))
        share = np.ptp(uv, axis=0).max() / PARAMETERS['size']
        assert .29 < share < .36
