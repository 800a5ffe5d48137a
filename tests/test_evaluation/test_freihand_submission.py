import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers import write_freihand
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import METRICS
from mmpose.structures import PoseDataSample

from lgh_mmpose.evaluation.freihand_submission import (read_submission,
                                                       score_submission,
                                                       write_submission)

DATA = Path(__file__).resolve().parents[1] / 'data'
META = parse_pose_metainfo(
    dict(from_file='configs/_base_/datasets/freihand2d.py'))
NUM = 5


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_freihand(
        tmp_path_factory.mktemp('freihand'), num_train=1, num_eval=NUM)


@pytest.fixture
def hands():
    """Joints in mm, (5, 21, 3)."""
    return np.random.default_rng(0).uniform(-60, 60,
                                            (NUM, 21, 3)) + [0, 0, 700]


def make_samples(hands, units='mm', frame='camera'):
    samples = []
    for i, points in enumerate(hands):
        sample = PoseDataSample(metainfo=dict(id=i, img_path=f'{i:08d}.jpg'))
        sample.pred_instances = InstanceData(
            keypoints_cam=points[None],
            units=np.array([units]),
            frame=np.array([frame]))
        samples.append(sample)
    return samples


def submit(samples, root, out_file, meta=META, size=None):
    evaluator = Evaluator(
        METRICS.build(
            dict(
                type='FreiHandSubmission',
                out_file=str(out_file),
                data_root=str(root))))
    evaluator.dataset_meta = meta
    for sample in samples:
        evaluator.process([sample])
    return evaluator.evaluate(len(samples) if size is None else size)


# ---- writing


def test_writes_what_the_server_reads(hands, root, tmp_path):
    assert submit(make_samples(hands), root, tmp_path / 'new/pred.json') == {}
    text = (tmp_path / 'new/pred.json').read_text()
    xyz, verts = json.loads(text)
    np.testing.assert_allclose(np.array(xyz) * 1000, hands, atol=1e-9)
    # by the server's script these two have one entry per image
    assert np.array(verts).shape == (NUM, 778, 3)
    with zipfile.ZipFile(tmp_path / 'new/pred.zip') as archive:
        assert archive.namelist() == ['pred.json']
        assert archive.read('pred.json').decode() == text
    assert len(list((tmp_path / 'new').iterdir())) == 2


def test_order_of_the_images_is_restored(hands, root, tmp_path):
    samples = make_samples(hands)
    submit([samples[i] for i in (3, 0, 4, 2, 1)], root, tmp_path / 'a.json')
    submit(samples, root, tmp_path / 'b.json')
    for suffix in ('json', 'zip'):
        first, second = (tmp_path / f'{name}.{suffix}' for name in 'ab')
        assert first.read_bytes() == second.read_bytes()


def test_padding_of_the_sampler_is_dropped(hands, root, tmp_path):
    samples = make_samples(hands)
    submit(
        samples + samples[:1], root, tmp_path / 'pred.json', size=len(samples))
    xyz, _ = read_submission(tmp_path / 'pred.json', NUM)
    np.testing.assert_allclose(xyz, hands, atol=1e-9)


def test_joints_are_put_into_freihands_order(hands, root, tmp_path):
    order = np.random.default_rng(1).permutation(21)
    names = [META['keypoint_id2name'][i] for i in order]
    meta = dict(keypoint_id2name=dict(enumerate(names)))
    submit(
        make_samples(hands[:, order]), root, tmp_path / 'pred.json', meta=meta)
    xyz, _ = read_submission(tmp_path / 'pred.json', NUM)
    np.testing.assert_allclose(xyz, hands, atol=1e-9)


@pytest.mark.parametrize('indices, message', [
    ([0, 1, 2, 4], '0 for image 3 .1 such'),
    ([0, 1, 2, 3], '0 for image 4 .1 such'),
    ([0, 1, 2, 3, 4, 2], '2 for image 2 .1 such'),
])
def test_incomplete_sets_are_refused(hands, root, tmp_path, indices, message):
    samples = make_samples(hands)
    with pytest.raises(ValueError, match=f'each of the 5 .*{message}'):
        submit([samples[i] for i in indices], root, tmp_path / 'pred.json')
    assert not list(tmp_path.iterdir())


def test_images_of_another_set_are_refused(hands, root, tmp_path):
    samples = make_samples(np.concatenate([hands, hands]))
    with pytest.raises(
            ValueError, match='each of the 5 .*1 for image 5 .5 such'):
        submit(samples, root, tmp_path / 'pred.json')


@pytest.mark.parametrize('frame', [
    dict(units='reference bones'),
    dict(frame='root'),
])
def test_predictions_without_a_place_are_refused(hands, root, tmp_path, frame):
    with pytest.raises(ValueError, match='sample 0 .*needs the camera frame'):
        submit(make_samples(hands, **frame), root, tmp_path / 'pred.json')


def test_wrong_numbers_are_refused(hands, root, tmp_path):
    hands[3, 2, 1] = np.inf
    with pytest.raises(ValueError, match=r'sample 3 \(00000003.jpg\)'):
        submit(make_samples(hands), root, tmp_path / 'pred.json')


def test_joints_in_another_order_than_the_data_sets_are_refused(
        hands, root, tmp_path):
    """Predictions by a codec that has other metainfo than the data set."""
    samples = make_samples(hands)
    names = [META['keypoint_id2name'][i] for i in range(21)]
    for sample in samples:
        sample.set_metainfo(dict(keypoint_names=tuple(names)))
    submit(samples, root, tmp_path / 'pred.json')
    names[1:5] = names[4:0:-1]  # tip to base, as in RHD
    samples[3].set_metainfo(dict(keypoint_names=tuple(names)))
    with pytest.raises(
            ValueError,
            match='joint 1 of .* sample 3 .*is thumb4, but thumb1'):
        submit(samples, root, tmp_path / 'wrong.json')
    assert not (tmp_path / 'wrong.json').exists()


def test_joints_of_another_skeleton_are_refused(hands, root, tmp_path):
    meta = dict(keypoint_id2name={0: 'palm'})
    with pytest.raises(ValueError, match=r"has \['palm'\]"):
        submit(make_samples(hands), root, tmp_path / 'pred.json', meta=meta)


def test_faults_are_found_before_the_test(root, tmp_path):
    build = METRICS.build
    with pytest.raises(ValueError, match='must end with .json'):
        build(
            dict(type='FreiHandSubmission', out_file='p.zip', data_root=root))
    with pytest.raises(FileNotFoundError, match='evaluation_K.json'):
        build(
            dict(
                type='FreiHandSubmission',
                out_file='p.json',
                data_root=str(tmp_path)))


# ---- scoring


def test_scores_are_the_official_figures():
    with np.load(DATA / 'parity_metrics.npz') as archive:
        ref = dict(archive)
    pred, gt = ref['pred'] * 1000, ref['gt'] * 1000
    # for the script a mesh is but more points
    scores = score_submission(pred, gt, pred, gt)
    for name in ('xyz', 'mesh'):
        for infix, key in (('', 'fh'), ('_al', 'fh_al')):
            assert scores[f'{name}{infix}_mean3d'] == pytest.approx(
                float(ref[f'{key}_mean_cm']), abs=1e-6)
            assert scores[f'{name}{infix}_auc3d'] == pytest.approx(
                float(ref[f'{key}_auc']), abs=1e-6)
    for infix, key in (('', 'fh'), ('_al', 'fh_al')):
        for threshold in (5, 15):
            assert scores[f'f{infix}_score_{threshold}'] == pytest.approx(
                float(ref[f'{key}_fscore_{threshold}mm_mean']), abs=1e-6)
    assert set(score_submission(pred, gt)) == {
        'xyz_mean3d', 'xyz_auc3d', 'xyz_al_mean3d', 'xyz_al_auc3d'
    }


# ---- reading what others wrote


def write(path, data):
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def valid(hands):
    return [(hands / 1000).tolist(), np.zeros((NUM, 778, 3)).tolist()]


def test_zip_and_json_read_alike(hands, tmp_path):
    zip_file = write_submission(hands, tmp_path / 'pred.json')
    for path in (zip_file, tmp_path / 'pred.json'):
        xyz, verts = read_submission(path, NUM)
        np.testing.assert_allclose(xyz, hands, atol=1e-9)
        assert verts is None


def test_a_mesh_is_read(hands, tmp_path):
    verts = np.random.default_rng(2).normal(size=(NUM, 778, 3))
    path = write(tmp_path / 'p.json', [valid(hands)[0], verts.tolist()])
    np.testing.assert_allclose(read_submission(path, NUM)[1], verts * 1000)


@pytest.mark.parametrize('verts', [
    [[]] * NUM,
    [[[0., 0., 1.]] * 100] * NUM,
    [None] * NUM,
    ['x'] * NUM,
])
def test_other_meshes_are_left_alone(hands, tmp_path, verts):
    path = write(tmp_path / 'p.json', [valid(hands)[0], verts])
    assert read_submission(path, NUM)[1] is None


def spoil(change):

    def spoiled(hands):
        data = valid(hands)
        change(data)
        return data

    return spoiled


@pytest.mark.parametrize('make, message', [
    (lambda h: '', 'neither json nor a zip'),
    (lambda h: '[[1, 2', 'neither json nor a zip'),
    (lambda h: '[' * 100000, 'neither json nor a zip'),
    (lambda h: '{"xyz": []}', 'must hold two lists'),
    (lambda h: valid(h)[:1], 'must hold two lists'),
    (lambda h: [valid(h)[0], {}], 'must hold two lists'),
    (lambda h: valid(h[:3]), 'xyz has 3 entries, there are 5'),
    (spoil(lambda d: d[1].pop()), 'verts has 4 entries, there are 5'),
    (spoil(lambda d: d[0][2].pop()), 'sample 2 of xyz must be 21 x 3 finite'),
    (spoil(lambda d: d[0][3].__setitem__(1, [1, 2, '3'])), 'sample 3 of xyz'),
    (spoil(lambda d: d[0][3].__setitem__(1, [1, 2, None])), 'sample 3 of xyz'),
    (spoil(lambda d: d[0][4].__setitem__(0, [1, 2, float('nan')])),
     'sample 4 of xyz'),
    (spoil(lambda d: d[0][4].__setitem__(0, [1, 2, -1e300])),
     'sample 4 of xyz'),
    (spoil(lambda d: d[0][1].__setitem__(0, [1, 2, 10**400])),
     'sample 1 of xyz'),
    (spoil(lambda d: d[1][2].__setitem__(7, [0, 0, float('inf')])),
     'vertex 7 of sample 2 of verts must be finite'),
])
def test_broken_files_are_named(hands, tmp_path, make, message):
    path = write(tmp_path / 'pred.json', make(hands))
    with pytest.raises(ValueError, match=rf'pred\.json.*{message}'):
        read_submission(path, NUM)


def zip_of(path, **members):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace('__', '/') + '.json', text)
    return path


def test_broken_zips_are_named(hands, tmp_path):
    text = json.dumps(valid(hands))
    path = zip_of(tmp_path / 'two.zip', a=text, b=text)
    with pytest.raises(ValueError, match=r'two.zip.*2 json files.*a\.json'):
        read_submission(path, NUM)
    path = zip_of(tmp_path / 'none.zip')
    with pytest.raises(ValueError, match='none.zip.*0 json files'):
        read_submission(path, NUM)
    path = zip_of(tmp_path / 'broken.zip', pred=text)
    content = bytearray(path.read_bytes())
    content[100:200] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(ValueError, match='broken.zip is neither'):
        read_submission(path, NUM)
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        path = tmp_path / 'method.zip'
        with zipfile.ZipFile(path, 'w', method) as archive:
            archive.writestr('pred.json', text)
        content = bytearray(path.read_bytes())
        content[60:90] = bytes(30)
        path.write_bytes(content)
        with pytest.raises(ValueError, match='method.zip is neither'):
            read_submission(path, NUM)
    # in a folder of its own is fine
    assert len(read_submission(zip_of(tmp_path / 'c.zip', f__p=text), NUM)[0])


def test_zip_bombs_are_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr('lgh_mmpose.evaluation.freihand_submission._MAX_BYTES',
                        10**6)
    path = zip_of(tmp_path / 'bomb.zip', pred=' ' * (10**6 + 1))
    with pytest.raises(ValueError, match='unpacks to 1000001 bytes'):
        read_submission(path, NUM)
    with open(tmp_path / 'long.json', 'wb') as file:
        file.truncate(2**40)  # takes no room
    with pytest.raises(ValueError, match='long.json has more than 1000000'):
        read_submission(tmp_path / 'long.json', NUM)
