"""The commands, as processes, on 12 + 6 rendered hands."""
import json
import pickle
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import REPO_ROOT, run_command, run_script, write_freihand

import lgh_mmpose  # noqa: F401  (lets torch.load read the checkpoints)

CONFIG = REPO_ROOT / 'configs/lgh_studiohand.py'
TRAIN = REPO_ROOT / 'tools/train.py'
TEST = REPO_ROOT / 'tools/test.py'


def toy_options(data_root, **more):
    """``--cfg-options`` for two epochs of three iterations."""
    options = dict(train_cfg=dict(max_epochs=2, val_interval=2))
    for loader, batch_size in (('train', 4), ('val', 3), ('test', 3)):
        options[f'{loader}_dataloader'] = dict(
            batch_size=batch_size,
            num_workers=0,
            persistent_workers=False,
            dataset=dict(data_root=data_root))
    options.update(more)

    def flatten(node, prefix=''):
        for key, value in node.items():
            if isinstance(value, dict):
                yield from flatten(value, f'{prefix}{key}.')
            else:
                yield f'{prefix}{key}={value}'

    return ['--cfg-options', *flatten(options)]


@pytest.fixture(scope='session')
def trained(studiohand_root, tmp_path_factory):
    """Folder of a finished training by tools/train.py, and what it printed."""
    folder = tmp_path_factory.mktemp('trained')
    result = run_command(
        *(sys.executable, TRAIN, CONFIG, '--work-dir', 'work'),
        *toy_options(studiohand_root),
        cwd=folder)
    return folder / 'work', result.stdout


@pytest.fixture(scope='session')
def config(trained):
    """The config as the training wrote it, data and sizes included."""
    return trained[0] / CONFIG.name


@pytest.fixture(scope='session')
def checkpoint(trained):
    return trained[0] / 'epoch_2.pth'


def validation_scores(output):
    """The scores in the last line of validation in the log."""
    line = [line for line in output.splitlines() if 'Epoch(val)' in line][-1]
    return {
        key: float(value)
        for key, value in re.findall(r'(\w*hand/\S+): ([\d.]+)', line)
    }


def assert_same_scores(path, trained):
    scores = json.loads(path.read_text())
    expected = validation_scores(trained[1])
    assert set(expected) <= set(scores)
    assert len(expected) >= 6
    for key, value in expected.items():
        # the log has six digits
        assert scores[key] == pytest.approx(value, rel=1e-4, abs=1e-5), key


def assert_one_sentence(result, message):
    """Of a script that ended with it instead of a trace."""
    error = str(result.returncode)
    assert error.startswith('error: ') and len(error.splitlines()) == 1
    assert message in error


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


# -- tools/train.py ----------------------------------------------------------


def test_train_writes_checkpoints_and_config(trained, config, checkpoint):
    work_dir, output = trained
    assert 'Epoch(train) [2][3/3]' in output
    assert (work_dir / 'epoch_1.pth').is_file()
    saved = torch.load(checkpoint)
    assert saved['meta']['iter'] == 6
    assert saved['state_dict']['head.selector.logits'].shape == (21, 3)
    assert np.isfinite(list(validation_scores(output).values())).all()
    assert config.is_file()


def test_resume_goes_on_after_the_last_epoch(trained, config, tmp_path):
    work_dir = tmp_path / 'work'
    shutil.copytree(trained[0], work_dir)
    output = run_command(
        *(sys.executable, TRAIN, config, '--work-dir', work_dir, '--resume'),
        *('--no-validate', '--cfg-options', 'train_cfg.max_epochs=3'),
        cwd=tmp_path).stdout
    assert 'resumed epoch: 2, iter: 6' in output
    assert 'Epoch(train) [3][3/3]' in output
    assert 'Epoch(train) [2]' not in output
    assert 'Epoch(val)' not in output
    assert torch.load(work_dir / 'epoch_3.pth')['meta']['iter'] == 9


def test_resume_from_a_named_checkpoint_with_amp(trained, config, tmp_path):
    output = run_command(
        *(sys.executable, TRAIN, config, '--work-dir', tmp_path / 'work'),
        *('--resume', trained[0] / 'epoch_1.pth', '--amp', '--auto-scale-lr'),
        cwd=tmp_path).stdout
    assert 'resumed epoch: 1, iter: 3' in output
    assert 'Scaling the original LR by 0.08333' in output  # 4 for 48
    assert 'Epoch(train) [2][3/3]' in output
    written = (tmp_path / 'work' / config.name).read_text()
    kind = 'Amp' if torch.cuda.is_available() else 'Bf16'
    assert f"type='{kind}OptimWrapper'" in written


def test_work_dir_is_named_after_the_config(config, tmp_path):
    # far enough for the folder to be made, but no training
    plain = tmp_path / 'my_hands.py'
    plain.write_text(f'_base_ = [{str(CONFIG)!r}]\n')
    result = run_script(
        *(TRAIN, plain, '--cfg-options'),
        'train_dataloader.dataset.data_root=nowhere',
        cwd=tmp_path,
        check=False)
    assert_one_sentence(result, 'nowhere')
    assert (tmp_path / 'work_dirs/my_hands').is_dir()


@pytest.mark.parametrize('arguments, message', [
    (['--show-dir', 'pictures'], 'visualization=dict'),
    (['--amp'], 'cannot replace optim_wrapper.type="ApexOptimWrapper"'),
    (['--auto-scale-lr'], 'auto_scale_lr=dict(base_batch_size='),
])
def test_train_names_what_the_config_lacks(arguments, message, tmp_path):
    config = tmp_path / 'bare.py'
    config.write_text('model = train_dataloader = train_cfg = dict()\n'
                      'optim_wrapper = dict(type="ApexOptimWrapper")\n')
    result = run_script(TRAIN, config, *arguments, cwd=tmp_path, check=False)
    assert_one_sentence(result, message)


# what is wrong with a config, and what is said of it
WRONG_CONFIGS = {
    'model = dict(\n':
    'cannot read the config own.py',
    "_base_ = ['nothing.py']\n":
    'nothing.py',
    '':
    'the config own.py has no model',
    "_base_ = ['{base}']\nmodel = dict(backbone=dict(_delete_=True, "
    "type='NoSuchNet'))\n":
    'own.py names: NoSuchNet is not in the',
    "_base_ = ['{base}']\nmodel = dict(backbone=dict(dpeth=18))\n":
    "own.py names: ResNet.__init__() got an unexpected keyword argument "
    "'dpeth'",
    "_base_ = ['{base}']\n{phase}_dataloader = dict(dataset=dict(splt=1))\n":
    "unexpected keyword argument 'splt'",
}
WRONG_TRAININGS = {
    "_base_ = ['{base}']\noptim_wrapper = dict(optimizer=dict(lrr=1))\n":
    "unexpected keyword argument 'lrr'",
    "_base_ = ['{base}']\nparam_scheduler = [dict(type='NoSuchLR')]\n":
    'own.py names: NoSuchLR is not in the',
}


@pytest.mark.parametrize('phase, text, message', [
    *(('train', *item) for item in (WRONG_CONFIGS | WRONG_TRAININGS).items()),
    *(('test', *item) for item in WRONG_CONFIGS.items()),
])
def test_a_wrong_config_is_one_sentence(phase, text, message, studiohand_root,
                                        checkpoint, tmp_path):
    (tmp_path / 'own.py').write_text(text.format(base=CONFIG, phase=phase))
    command = dict(train=[TRAIN, 'own.py'], test=[TEST, 'own.py', checkpoint])
    options = toy_options(studiohand_root) if '{base}' in text else []
    result = run_script(*command[phase], *options, cwd=tmp_path, check=False)
    assert_one_sentence(result, message)


def test_a_missing_checkpoint_to_resume_is_named(tmp_path):
    result = run_script(
        *(TRAIN, CONFIG, '--resume', 'no.pth'), cwd=tmp_path, check=False)
    assert_one_sentence(result, 'checkpoint not found: no.pth')


def test_a_missing_config_is_one_sentence(tmp_path):
    (tmp_path / 'weights.pth').touch()
    for command in ([TRAIN, 'no.py'], [TEST, 'no.py', 'weights.pth']):
        result = run_script(*command, cwd=tmp_path, check=False)
        assert_one_sentence(result, 'config not found: no.py')


def test_a_bug_keeps_its_trace(tmp_path, monkeypatch):
    """It is for who wrote it, and says where."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'own_net.py').write_text(
        'from mmpose.registry import MODELS\n\n'
        '@MODELS.register_module(force=True)\n'
        'class OwnNet:\n'
        '    def __init__(self, **kwargs):\n'
        '        None + 1\n')
    (tmp_path / 'own.py').write_text(
        f"_base_ = ['{CONFIG}']\ncustom_imports = dict(imports=['own_net'])\n"
        "model = dict(backbone=dict(_delete_=True, type='OwnNet'))\n")
    with pytest.raises(TypeError, match='unsupported operand') as error:
        run_script(TRAIN, 'own.py', cwd=tmp_path)
    assert error.traceback[-1].path.name == 'own_net.py'


def test_non_finite_loss_stops_and_leaves_the_last_checkpoint(
        trained, config, tmp_path):
    work_dir = tmp_path / 'work'
    shutil.copytree(trained[0], work_dir)
    result = run_command(
        *(sys.executable, TRAIN, config, '--work-dir', work_dir, '--resume'),
        *('--cfg-options', 'train_cfg.max_epochs=3'),
        'model.head.uv_loss.loss_weight=nan',
        cwd=tmp_path,
        check=False)
    assert result.returncode != 0
    message = result.stdout.splitlines()[-1]
    assert message.startswith('FloatingPointError: non-finite loss')
    assert 'iteration 7' in message
    assert len(re.findall(r'\d+ \(\S+/training/rgb/\d{8}\.jpg\)',
                          message)) == 4
    assert (work_dir / 'last_checkpoint').read_text().endswith('epoch_2.pth')
    weights = torch.load(work_dir / 'epoch_2.pth')['state_dict']
    assert all(torch.isfinite(v).all() for v in weights.values())


def test_training_goes_on_without_a_broken_image(config, studiohand_root,
                                                 tmp_path):
    root = tmp_path / 'data'
    shutil.copytree(studiohand_root, root)
    broken = root / 'training/rgb/00000003.jpg'
    broken.write_bytes(broken.read_bytes()[:200])
    output = run_command(
        *(sys.executable, TRAIN, config, '--no-validate', '--work-dir'),
        *(tmp_path / 'work', '--cfg-options', f'data_root={root}'),
        cwd=tmp_path).stdout
    assert output.count('00000003.jpg') == 1  # warned of once
    assert 'Epoch(train) [2][3/3]' in output


def test_data_root_on_the_command_line_moves_all_data_sets(tmp_path):
    result = run_script(
        *(TRAIN, CONFIG, '--cfg-options', 'data_root=moved'),
        cwd=tmp_path,
        check=False)
    assert_one_sentence(result, "data_root='moved'")


# -- tools/test.py -----------------------------------------------------------


def test_test_saves_scores_predictions_and_pictures(trained, config,
                                                    checkpoint, tmp_path):
    output = run_command(
        *(sys.executable, TEST, config, checkpoint, '--work-dir', 'work'),
        *('--out', 'new/scores.json', '--dump', 'predictions.pkl'),
        # as the config of a resumed training has it
        *('--show-dir', 'pictures', '--cfg-options', 'resume=True'),
        cwd=tmp_path).stdout
    assert 'resumed epoch' not in output
    assert (tmp_path / 'work' / config.name).is_file()
    assert_same_scores(tmp_path / 'new/scores.json', trained)
    assert [p.name for p in (tmp_path / 'new').iterdir()] == ['scores.json']

    with open(tmp_path / 'predictions.pkl', 'rb') as f:
        predictions = pickle.load(f)
    assert len(predictions) == 6
    for sample in predictions:
        assert sample['pred_instances']['keypoints'].shape == (1, 21, 2)
        assert sample['pred_instances']['keypoints_cam'].shape == (1, 21, 3)

    pictures = [
        p for p in (tmp_path / 'work').rglob('pictures/*') if p.is_file()
    ]
    assert len(pictures) == 6


def test_test_leaves_the_config_of_the_training(config, tmp_path):
    """Others read it there; the options of this test are not theirs."""
    ours = tmp_path / 'work' / config.name
    ours.parent.mkdir()
    ours.write_text('as the training wrote it')
    (tmp_path / 'damaged.pth').write_text('')
    result = run_script(
        *(TEST, config, 'damaged.pth', '--work-dir', 'work'),
        cwd=tmp_path,
        check=False)
    assert 'cannot load the checkpoint damaged.pth' in str(result.returncode)
    assert ours.read_text() == 'as the training wrote it'


@pytest.mark.parametrize('change, message', [
    (lambda weight: None, 'it lacks weights: head.selector.logits'),
    (lambda weight: weight[:, :2], 'size mismatch for head.selector.logits'),
])
def test_weights_that_are_not_the_models_are_refused(change, message, config,
                                                     checkpoint, tmp_path):
    """Else a network with random weights is what would be scored."""
    state = torch.load(checkpoint)['state_dict']
    changed = change(state.pop('head.selector.logits'))
    if changed is not None:
        state['head.selector.logits'] = changed
    torch.save(dict(state_dict=state), tmp_path / 'other.pth')
    result = run_script(
        *(TEST, config, 'other.pth', '--work-dir', 'work'),
        cwd=tmp_path,
        check=False)
    error = str(result.returncode)
    assert error.startswith('error: the checkpoint other.pth is not one of')
    assert message in error and len(error.splitlines()) == 1


def test_predicts_without_annotation(config, checkpoint, tmp_path):
    """FreiHAND's first release, by what the metric's error advises."""
    root = write_freihand(tmp_path / 'data', evaluation_xyz=False)
    command = (sys.executable, TEST, config, checkpoint, '--dump', 'all.pkl',
               '--submission', 'all.json')
    options = ('--cfg-options', f'data_root={root}',
               'model.test_cfg.root_depth=solved')
    refused = run_command(*command, *options, cwd=tmp_path, check=False)
    advice = ('give tools/test.py --dump FILE or --submission FILE with '
              '--cfg-options test_evaluator=[]')
    assert advice in refused.stdout.splitlines()[-1]
    run_command(*command, *options, 'test_evaluator=[]', cwd=tmp_path)
    with open(tmp_path / 'all.pkl', 'rb') as f:
        predictions = [sample['pred_instances'] for sample in pickle.load(f)]
    assert len(predictions) == 4
    submitted, _ = json.loads((tmp_path / 'all.json').read_text())
    assert np.shape(submitted) == (4, 21, 3)
    for instances in predictions:
        assert np.isfinite(instances['keypoints_cam']).all()
        assert (instances['frame'], instances['units']) == ('camera', 'mm')


@pytest.mark.parametrize('arguments, message', [
    (['missing.pth'], 'checkpoint not found: missing.pth'),
    (['--out', 'scores.txt', 'x.pth'], '--out must end in one of .json'),
    (['--dump', 'all.json', 'x.pth'], '--dump must end in .pkl or .pickle'),
])
def test_test_refuses_before_the_work_begins(arguments, message, tmp_path):
    (tmp_path / 'x.pth').touch()
    result = run_script(TEST, CONFIG, *arguments, cwd=tmp_path, check=False)
    assert result.returncode == 2
    assert message in result.stdout.splitlines()[-1]


def test_badcase_draws_the_worst(config, checkpoint, tmp_path):
    run_command(
        *(sys.executable, TEST, config, checkpoint, '--badcase'),
        *('--work-dir', tmp_path, '--cfg-options'),
        'default_hooks.badcase.metric.type=L1Loss',
        'default_hooks.badcase.badcase_thr=0.0',
        cwd=tmp_path)
    results, = tmp_path.rglob('badcase/results.json')
    assert len(json.loads(results.read_text())) == 6
    assert len(list(results.parent.glob('*.jpg'))) == 6


def test_real_photographs_are_scored_in_2d(checkpoint, tmp_path):
    """FreiHAND's images with mmpose's 2D annotation, read in place."""
    samples = REPO_ROOT / '../shared/samples/freihand'
    if not samples.is_dir():
        pytest.skip('the real FreiHAND samples are not at hand')
    config = REPO_ROOT / 'configs/lgh_studiohand_test-freihand2d.py'
    run_command(
        *(sys.executable, TEST, config, checkpoint, '--work-dir', 'work'),
        *('--out', tmp_path / 'scores.json', '--show-dir', 'pictures'),
        *('--cfg-options', f'data_root={samples.resolve()}'),
        'test_dataloader.dataset.ann_file=test_freihand.json',
        cwd=tmp_path)
    scores = json.loads((tmp_path / 'scores.json').read_text())
    assert set(scores) == {'hand/EPE_2d_px'}
    # hardly trained: within the image, no more
    assert 0 < scores['hand/EPE_2d_px'] < 224
    assert len(list((tmp_path / 'work').glob('*/pictures/*.jpg'))) == 8


# -- mim, from an editable install and from a wheel --------------------------


@pytest.fixture(params=['editable', 'wheel'])
def python(request):
    if request.param == 'wheel':
        return request.getfixturevalue('wheel_python')
    return sys.executable


def test_mim_train_finds_config_and_script_by_name(python, studiohand_root,
                                                   tmp_path):
    output = run_command(
        *(python, '-m', 'mim', 'train', 'lgh_mmpose', CONFIG.name),
        *('--gpus', 0, '--work-dir', 'work'),
        *toy_options(
            studiohand_root,
            train_cfg=dict(max_epochs=1, val_interval=1, by_epoch=True)),
        cwd=tmp_path).stdout
    assert 'Epoch(train) [1][3/3]' in output
    assert (tmp_path / 'work/epoch_1.pth').is_file()
    # the one that belongs to this install
    command = output[output.index('Training command is'):].splitlines()[0]
    home = REPO_ROOT if python == sys.executable else Path(python).parents[1]
    assert str(home.resolve()) in command.replace(sys.executable, '')


@pytest.mark.parametrize('package', ['lgh_mmpose', 'mmpose'])
def test_mim_test_gives_the_scores_of_the_training(python, package, trained,
                                                   config, checkpoint,
                                                   tmp_path):
    run_command(
        *(python, '-m', 'mim', 'test', package, config, '-C', checkpoint),
        *('--out', 'scores.json', '--work-dir', 'work'),
        cwd=tmp_path)
    assert_same_scores(tmp_path / 'scores.json', trained)


# -- several processes -------------------------------------------------------

needs_cpu = pytest.mark.skipif(
    torch.cuda.is_available() and torch.cuda.device_count() < 2,
    reason='two processes need two GPUs, or none')


@needs_cpu
def test_two_processes_train(config, tmp_path):
    output = run_command(
        *(sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node'),
        *(2, '--master_port', free_port(), TRAIN, config),
        *('--launcher', 'pytorch', '--work-dir', 'work'),
        *('--cfg-options', 'train_dataloader.batch_size=3'),
        cwd=tmp_path).stdout
    # 12 images by 2 processes by 3 images are 2 iterations, logged once
    assert output.count('Epoch(train) [2][2/2]') == 1
    saved = torch.load(tmp_path / 'work/epoch_2.pth')
    assert saved['meta']['iter'] == 4
    assert not any(key.startswith('module.') for key in saved['state_dict'])
    # channels_last must not cost a copy of all gradients
    assert 'do not match bucket view' not in output


@needs_cpu
def test_two_processes_give_the_scores_of_one(trained, config, checkpoint,
                                              tmp_path):
    run_command(
        *(REPO_ROOT / 'tools/dist_test.sh', config, checkpoint, 2),
        *('--out', 'scores.json', '--work-dir', 'work'),
        cwd=tmp_path,
        PYTHON=sys.executable,
        PORT=str(free_port()))
    assert_same_scores(tmp_path / 'scores.json', trained)


@pytest.mark.parametrize('script', sorted(REPO_ROOT.glob('tools/*.sh')))
def test_launch_scripts_parse(script):
    subprocess.run(['bash', '-n', script], check=True)
