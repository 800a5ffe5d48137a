"""Two real processes: gradients, draws of the selector, FSDP."""
import json
import math
import sys

import pytest
import torch
from helpers import REPO_ROOT, run_command

import lgh_mmpose  # noqa: F401  (lets torch.load read the checkpoint)

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available() and torch.cuda.device_count() < 2,
    reason='two processes need two GPUs, or none')


@pytest.fixture(scope='module')
def processes(freihand_root, tmp_path_factory):
    """Folder of what tests/distributed_steps.py wrote, and its result."""
    folder = tmp_path_factory.mktemp('distributed')
    run_command(
        *(sys.executable, '-m', 'torch.distributed.run', '--standalone'),
        *('--nproc_per_node', 2, REPO_ROOT / 'tests/distributed_steps.py'),
        *(freihand_root, folder),
        cwd=folder)
    return folder, json.loads((folder / 'result.json').read_text())


def test_gradients_are_those_of_one_process_with_all_samples(processes):
    result = processes[1]
    assert result['num_gradients'] > 50
    assert result['largest_gradient'] > 1e-3
    # relative to the largest of each tensor
    assert result['gradient_error'] < 1e-5


def test_each_process_draws_its_own_groups_for_the_same_weights(processes):
    one, other = processes[1]['draws']
    assert one['selector'] != other['selector']
    assert one['numpy'] != other['numpy']  # augmentation
    assert one['weight'] != other['weight']
    # once wrapped they have those of the first
    assert processes[1]['weights'] == [one['weight']] * 2


def test_the_shipped_fsdp_config_takes_a_step(processes):
    result = processes[1]
    assert math.isfinite(result['loss'])
    # residual branches start at zero, so that most weights of a ResNet have no
    # gradient in the first step
    assert result['changed'] > .1


def test_fsdp_is_resumed(processes):
    folder, result = processes
    assert result['iterations'] == [1, 2]
    steps = [
        state['step']
        for state in torch.load(folder /
                                'epoch_2.pth')['optimizer']['state'].values()
    ]
    # with the moments of the optimizer, which count its steps
    assert steps and set(map(int, steps)) == {2}


def test_fsdp_divides_the_weights_and_writes_whole_checkpoints(processes):
    folder, result = processes
    assert result['wrapper'] == 'MMFullyShardedDataParallel'
    weights = torch.load(folder / 'epoch_1.pth')['state_dict']
    assert weights['head.selector.logits'].shape == (21, 3)
    assert weights['backbone.conv1.weight'].ndim == 4
    whole = sum(value.numel() for name, value in weights.items()
                if not name.endswith(('running_mean', 'running_var',
                                      'num_batches_tracked', 'temperature')))
    assert .4 * whole < result['parameters_here'] < .6 * whole
