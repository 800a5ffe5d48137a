"""From a test run to a submission and its scores, as processes."""
import json
import shutil
import socket
import sys

import numpy as np
import pytest
import torch
from helpers import REPO_ROOT, run_command, run_script, write_freihand

import lgh_mmpose  # noqa: F401  (before anything of mmpose, for mmcv-lite)

NUM_EVAL = 7
CONFIG = REPO_ROOT / 'configs/lgh_studiohand.py'
TEST = REPO_ROOT / 'tools/test.py'
SCORE = REPO_ROOT / 'tools/analysis_tools/score_freihand.py'


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """A toy evaluation set of seven images, which no batch size divides."""
    return write_freihand(
        tmp_path_factory.mktemp('data'), num_train=1, num_eval=NUM_EVAL)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """An untrained network: it errs, but always in the same way."""
    from mmengine.registry import init_default_scope
    from mmpose.apis import init_model
    init_default_scope('mmpose')
    torch.manual_seed(0)
    model = init_model(str(CONFIG), device='cpu')
    path = tmp_path_factory.mktemp('weights') / 'untrained.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return path


def run_test(launch, root, checkpoint, folder, batch_size, workers, round_up):
    """Scores, dump and submission of one run of tools/test.py."""
    run_command(
        *(sys.executable, *launch, TEST, CONFIG, checkpoint),
        *('--work-dir', 'work', '--out', 'scores.json'),
        *('--submission', 'pred.json', '--cfg-options', f'data_root={root}'),
        f'test_dataloader.batch_size={batch_size}',
        f'test_dataloader.num_workers={workers}',
        'test_dataloader.persistent_workers=False',
        f'test_dataloader.sampler.round_up={round_up}',
        'test_evaluator.1.dump_file=dump.npz',
        # an untrained hand is too small for its depth to be solved
        'model.test_cfg.root_depth=given',
        cwd=folder)
    with np.load(folder / 'dump.npz') as archive:
        dump = dict(archive)
    scores = json.loads((folder / 'scores.json').read_text())
    return scores, dump, json.loads((folder / 'pred.json').read_text())


@pytest.fixture(scope='module')
def tested(root, checkpoint, tmp_path_factory):
    """Folder and results of a test in one process."""
    folder = tmp_path_factory.mktemp('tested')
    return folder, run_test([], root, checkpoint, folder, 2, 0, False)


def test_round_trip_gives_what_the_metric_logged(tested, root, tmp_path):
    folder, (logged, _, pred) = tested
    assert len(pred[0]) == len(pred[1]) == NUM_EVAL
    output = run_command(
        *(sys.executable, SCORE, folder / 'pred.zip', root),
        *('--out', 'scores.json'),
        cwd=tmp_path).stdout
    scores = json.loads((tmp_path / 'scores.json').read_text())
    for infix, prefix in (('', ''), ('_al', 'aligned-')):
        # centimetres, as the official script prints
        assert scores[f'xyz{infix}_mean3d'] * 10 == pytest.approx(
            logged[f'freihand/{prefix}EPE'], abs=1e-6)
        assert scores[f'xyz{infix}_auc3d'] == pytest.approx(
            logged[f'freihand/{prefix}AUC_0-50'], abs=1e-9)
    for key, value in scores.items():
        line, = (x for x in output.splitlines() if x.startswith(key))
        assert float(line.split()[1]) == pytest.approx(value, abs=1e-6)
    assert 'holds no mesh' in output


# seven samples by two processes: four and three, or one of them twice
@pytest.mark.skipif(
    torch.cuda.is_available() and torch.cuda.device_count() < 2,
    reason='two processes need two GPUs, or none')
@pytest.mark.parametrize('batch_size, workers, round_up', [(3, 0, True),
                                                           (4, 1, False)])
def test_same_scores_by_any_batches_workers_and_processes(
        tested, root, checkpoint, tmp_path, batch_size, workers, round_up):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    launch = ('-m', 'torch.distributed.run', '--nproc_per_node', 2,
              '--master_port', port)
    scores, dump, pred = run_test([*launch], root, checkpoint, tmp_path,
                                  batch_size, workers, round_up)
    expected_scores, expected_dump, expected_pred = tested[1]
    assert dump['id'].tolist() == list(range(NUM_EVAL))
    # the network itself rounds by the size of its batches
    np.testing.assert_allclose(
        dump['pred_keypoints_cam'],
        expected_dump['pred_keypoints_cam'],
        atol=.01)
    np.testing.assert_allclose(pred[0], expected_pred[0], atol=1e-5)
    assert pred[1] == expected_pred[1]
    assert scores == pytest.approx(expected_scores, rel=1e-4, abs=1e-4)


def test_scores_are_those_of_the_dump(tested):
    """What the runs above are compared with."""
    _, (scores, dump, pred) = tested
    errors = np.linalg.norm(
        dump['pred_keypoints_cam'] - dump['gt_keypoints_cam'], axis=-1)
    assert errors.shape == (NUM_EVAL, 21)
    assert scores['freihand/EPE'] == pytest.approx(errors.mean())
    np.testing.assert_allclose(
        np.array(pred[0]) * 1000, dump['pred_keypoints_cam'], atol=1e-6)


def test_half_a_set_is_refused(root, checkpoint, tmp_path):
    """On FreiHAND's first release, which needs no annotated joints."""
    data = tmp_path / 'data'
    shutil.copytree(root, data)
    (data / 'evaluation_xyz.json').unlink()
    result = run_command(
        *(sys.executable, TEST, CONFIG, checkpoint, '--work-dir', 'work'),
        *('--submission', 'pred.json', '--cfg-options', f'data_root={data}'),
        *('model.test_cfg.root_depth=solved', 'test_evaluator=[]'),
        *('test_dataloader.num_workers=0',
          'test_dataloader.persistent_workers=False'),
        'test_dataloader.dataset.indices=4',
        cwd=tmp_path,
        check=False)
    assert result.returncode
    assert 'there are 0 for image 4 (3 such' in result.stdout.splitlines()[-1]
    assert not list(tmp_path.glob('pred.*'))


@pytest.mark.parametrize('arguments, message', [
    (['--submission', 'pred.zip'], '--submission must end in .json'),
    (['--submission', 'pred.json', '--cfg-options',
      'test_dataloader.dataset.split=training'],
     "a FreiHand3DDataset with split='evaluation', but it is "
     "FreiHand3DDataset with split='training'"),
])  # yapf: disable
def test_submission_of_other_things_is_refused(arguments, message, tmp_path):
    (tmp_path / 'x.pth').touch()
    result = run_command(
        *(sys.executable, TEST, CONFIG, 'x.pth', *arguments),
        cwd=tmp_path,
        check=False)
    assert result.returncode
    assert message in result.stdout.splitlines()[-1]


def test_a_strangers_file_is_checked(root, tmp_path):
    (tmp_path / 'pred.json').write_text('[[], []]')
    for arguments, message in (
        (['pred.json', root], 'xyz has 0 entries, there are 7'),
        (['pred.json', tmp_path], 'evaluation_xyz.json'),
        (['missing.json', root], 'not found: missing.json'),
    ):
        result = run_command(
            *(sys.executable, SCORE, *arguments), cwd=tmp_path, check=False)
        assert result.returncode
        assert message in result.stdout.splitlines()[-1]
        assert 'Traceback' not in result.stdout


def test_truth_that_is_no_number_is_named(tmp_path):
    for name in ('pred.json', 'bad/evaluation_xyz.json'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(
            json.dumps([[[float('nan'), 0, .5]] * 21] * 2))
    result = run_script(SCORE, 'pred.json', 'bad', cwd=tmp_path, check=False)
    assert 'evaluation_xyz.json holds a number' in result.returncode


def test_a_strangers_mesh_is_scored(root, tmp_path):
    """A perfect mesh, and joints that err by 12 mm along the ray."""
    shutil.copy(root / 'evaluation_xyz.json', tmp_path)
    verts = np.random.default_rng(0).uniform(0, .1, (NUM_EVAL, 778, 3))
    (tmp_path / 'evaluation_verts.json').write_text(json.dumps(verts.tolist()))
    xyz = np.array(json.loads((root / 'evaluation_xyz.json').read_text()))
    (tmp_path / 'theirs.json').write_text(
        json.dumps([(xyz + [0, 0, .012]).tolist(),
                    verts.tolist()]))
    run_command(
        *(sys.executable, SCORE, 'theirs.json', '.', '--out', 'scores.json'),
        cwd=tmp_path)
    scores = json.loads((tmp_path / 'scores.json').read_text())
    assert scores['xyz_mean3d'] == pytest.approx(1.2)
    assert scores['xyz_al_mean3d'] < 1e-4
    assert scores['mesh_mean3d'] == 0
    assert scores['f_score_5'] == scores['f_al_score_15'] == 1


def test_truth_in_another_unit_is_refused(tmp_path):
    root = write_freihand(tmp_path / 'data', num_train=1, num_eval=2)
    path = root / 'evaluation_xyz.json'
    truth = json.loads(path.read_text())
    (tmp_path / 'pred.json').write_text(json.dumps([truth, [[], []]]))
    path.write_text(json.dumps((1000 * np.array(truth)).tolist()))
    result = run_script(SCORE, 'pred.json', root, cwd=tmp_path, check=False)
    assert 'evaluation_xyz.json: the hand of sample 0' in result.returncode
    assert 'seem to be in mm, they must be in m ' in result.returncode
