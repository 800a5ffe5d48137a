"""What a training begins with: its checkpoint, its schedule, its data."""
import re

import pytest
import torch
from helpers import REPO_ROOT, run_script

TRAIN = REPO_ROOT / 'tools/train.py'
CONFIG = '''
_base_ = [{base!r}]
model = dict(
    backbone=dict(stem_channels=8, base_channels=8),
    neck=dict(in_channels=(8, 16, 32), stem_channels=16,
              shared_channels=(16, ), group_channels=8),
    head=dict(in_channels=8))
optim_wrapper = dict(
    _delete_=True, type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-3),
    paramwise_cfg=_base_.optim_wrapper.paramwise_cfg)
param_scheduler = [_base_.param_scheduler[1]]
train_cfg = dict(max_epochs=2)
train_dataloader = dict(
    batch_size=4, num_workers=0, persistent_workers=False,
    dataset=dict(data_root={data!r}))
val_cfg = val_dataloader = val_evaluator = None
custom_hooks = [_base_.custom_hooks[1]]
'''


@pytest.fixture(scope='module')
def folder(freihand_root, tmp_path_factory):
    """With the config of a tiny training."""
    folder = tmp_path_factory.mktemp('start')
    (folder / 'toy.py').write_text(
        CONFIG.format(
            base=str(REPO_ROOT / 'configs/lgh_studiohand.py'),
            data=str(freihand_root)))
    return folder


def train(folder, *arguments, work_dir, check=True):
    return run_script(
        *(TRAIN, folder / 'toy.py', '--work-dir', work_dir, *arguments),
        cwd=folder,
        check=check)


@pytest.fixture(scope='module')
def checkpoint(folder):
    train(folder, work_dir='done')
    return folder / 'done/epoch_2.pth'


def sentence(folder, tmp_path, *arguments):
    """The one line that a refused training ends with."""
    result = train(folder, *arguments, work_dir=tmp_path / 'work', check=False)
    error = str(result.returncode)
    assert error.startswith('error: ') and len(error.splitlines()) == 1
    return error


@pytest.mark.parametrize('option', ['train_cfg.max_epochs=3', 'max_epochs=3'])
def test_the_schedule_ends_with_the_training(option, folder, tmp_path):
    train(folder, '--cfg-options', option, work_dir=tmp_path)
    assert (tmp_path / 'epoch_3.pth').is_file()
    assert not (tmp_path / 'epoch_4.pth').exists()
    # the last of six iterations is the last before the end of the cosine
    scheduler, = torch.load(tmp_path / 'epoch_3.pth')['param_schedulers']
    assert (scheduler['last_step'], scheduler['end']) == (5, 6)


def test_resume_without_a_checkpoint_keeps_load_from(folder, checkpoint,
                                                     tmp_path):
    """The command of a job that may be started again."""
    command = ('--resume', '--cfg-options', f'load_from={checkpoint}',
               'optim_wrapper.optimizer.lr=0')
    first = train(folder, *command, 'max_epochs=1', work_dir=tmp_path).stdout
    assert 'nothing to resume' in first
    assert 'resumed epoch' not in first
    weights = torch.load(tmp_path / 'epoch_1.pth')['state_dict']
    for name, value in torch.load(checkpoint)['state_dict'].items():
        if not re.search('running|num_batches|temperature', name):
            assert torch.equal(weights[name], value), name
    # and again: now there is one
    second = train(folder, *command, work_dir=tmp_path).stdout
    assert 'resumed epoch: 1' in second
    assert (tmp_path / 'epoch_2.pth').is_file()


def test_another_length_than_that_of_the_schedule_is_told(
        folder, checkpoint, tmp_path):
    command = ('--resume', checkpoint, '--cfg-options')
    longer = train(folder, *command, 'max_epochs=3', work_dir=tmp_path).stdout
    assert 'the CosineAnnealingLR of the checkpoint goes on: it ends with ' \
        'step 4,' in longer and 'by this config it would end with step 6' in \
        longer
    same = train(folder, *command, 'max_epochs=2', work_dir=tmp_path).stdout
    assert 'of the checkpoint goes on' not in same


def other_network(checkpoint):
    return ([
        '--resume', checkpoint, '--cfg-options', 'num_groups=2'
    ], r'weights are not those of this config, \S+: \(.*more; .*load_from=')


def other_optimizer(checkpoint):
    return ([
        '--resume', checkpoint, '--cfg-options',
        'optim_wrapper.optimizer._delete_=True',
        'optim_wrapper.optimizer.type=SGD', 'optim_wrapper.optimizer.lr=1e-3',
        'optim_wrapper.optimizer.weight_decay=0'
    ], 'its optimizer has .*betas.* where SGD of this config has .*momentum')


def weights_alone(checkpoint):
    path = checkpoint.with_name('weights.pth')
    torch.save(torch.load(checkpoint)['state_dict'], path)
    return ['--resume', path], 'it holds weights alone.*load_from='


def other_groups_of_parameters(checkpoint):
    return ([
        '--resume', checkpoint, '--cfg-options',
        'optim_wrapper.paramwise_cfg=None'
    ], 'cannot resume from the checkpoint .*parameter group')


def nothing_that_fits(checkpoint):
    path = checkpoint.with_name('other.pth')
    torch.save(dict(state_dict=dict(weight=torch.ones(1))), path)
    return ['--cfg-options', f'load_from={path}'], 'no weight that fits'


def half(checkpoint):
    path = checkpoint.with_name('half.pth')
    path.write_bytes(checkpoint.read_bytes()[:5000])
    return ['--cfg-options', f'load_from={path}'], 'half.pth: .*damaged'


def half_to_resume(checkpoint):
    half(checkpoint)
    path = checkpoint.with_name('half.pth')
    return ['--resume', path], 'half.pth: .*damaged'


def missing(checkpoint):
    return ['--cfg-options',
            'load_from=no.pth'], 'checkpoint not found: no.pth'


def missing_to_resume(checkpoint):
    return ['--resume', 'no.pth'], 'checkpoint not found: no.pth'


def a_folder(checkpoint):
    return ['--resume', checkpoint.parent], 'is a folder: give a file in it'


@pytest.mark.parametrize('case', [
    other_network, other_optimizer, weights_alone, other_groups_of_parameters,
    nothing_that_fits, half, half_to_resume, missing, missing_to_resume,
    a_folder
])
def test_a_checkpoint_that_does_not_fit_is_one_sentence(
        case, folder, checkpoint, tmp_path):
    arguments, message = case(checkpoint)
    error = sentence(folder, tmp_path, *arguments)
    assert re.search(message, error), error
    assert not list((tmp_path / 'work').glob('*.pth'))


@pytest.mark.parametrize('options, message', [
    (['model.head.num_joints=20'
      ], 'num_joints=20 of the head, but its codec has 21 joints'),
    (['model.neck.num_groups=5'], 'num_groups'),
    ([
        'optim_wrapper.optimizer._delete_=True',
        'optim_wrapper.optimizer.type=SGD', 'optim_wrapper.optimizer.lr=0.1'
    ], 'head.selector.decay_mult.*set optim_wrapper.optimizer.weight_decay'),
    (['train_dataloader.dataset.indices=[0,1,8]'
      ], r'indices has 8, but \S+ has 8 samples, 0 to 7'),
    (['train_dataloader.dataset.indices=[]'], 'indices leaves no sample'),
    (['train_dataloader.dataset.indices=3', 'train_dataloader.drop_last=True'
      ], 'training set of 3 samples does not fill one batch of 4'),
    (['max_epoch=3'], 'the option max_epoch has no effect'),
    (['max_epochs=0'], 'train_cfg.max_epochs must be a whole number, 1 or'),
    (['max_epochs=many'], 'must be a whole number, 1 or more, got .many.'),
    (['num_groups=many'], 'num_groups must be at least 1, got many'),
    (['codec.input_size=64'], 'input_size must be width and .* got 64'),
])
def test_what_does_not_fit_is_said_before_the_first_step(
        options, message, folder, tmp_path):
    error = sentence(folder, tmp_path, '--cfg-options', *options)
    assert re.search(message, error), error


@pytest.mark.parametrize('workers', [0, 1])
def test_a_fault_of_the_first_batch_is_one_sentence(workers, folder, tmp_path):
    """In a worker, torch puts a trace before it."""
    error = sentence(folder, tmp_path, '--cfg-options',
                     f'train_dataloader.num_workers={workers}',
                     'train_pipeline.1.scale_factor=(0.0,0.0)')
    assert 'Traceback' not in error and 'Caught' not in error
