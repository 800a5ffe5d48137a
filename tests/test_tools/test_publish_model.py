"""A published checkpoint has the weights and what they need, no more."""
import shutil
import sys

import numpy as np
import pytest
import torch
from helpers import REPO_ROOT, full_disk, run_command, run_script

from lgh_mmpose.checkpoint import read_checkpoint

PUBLISH = REPO_ROOT / 'tools/misc/publish_model.py'


def weights(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return {
        'conv.weight': torch.randn(300, 7, 3, 3,
                                   generator=generator).to(dtype),
        'conv.bias': torch.randn(300, generator=generator),
        'depthwise.weight': torch.randn(300, 1, 3, 3, generator=generator),
        'bn.running_var': torch.full((300, ), 1e6),  # more than fp16 holds
        'bn.num_batches_tracked': torch.tensor(5),
    }


def training():
    """What mmengine writes of a training with ``EMAHook``."""
    return dict(
        meta=dict(
            cfg="work_dir = '/home/somebody'",
            dataset_meta=dict(sigmas=np.arange(3.)),
            epoch=2,
            iter=9,
            seed=0,
            time='20260101_000000',
            experiment_name='lgh_toy_20260101_000000'),
        state_dict=weights(),
        ema_state_dict=weights(),
        message_hub=dict(runtime_info=dict(cfg="data = '/home/somebody'")),
        optimizer=dict(state={0: torch.ones(10000)}),
        param_schedulers=[])


@pytest.fixture
def folder(tmp_path):
    torch.save(training(), tmp_path / 'epoch_2.pth')
    return tmp_path


def refused(folder, name, *options, out='out.pth'):
    before = sorted(folder.iterdir())
    result = run_script(PUBLISH, name, out, *options, cwd=folder, check=False)
    assert sorted(folder.iterdir()) == before
    error = f'{result.returncode}\n{result.stdout}'
    sentences = [line for line in error.splitlines() if 'error: ' in line]
    assert len(sentences) == 1
    return sentences[0]


def test_weights_in_half_the_room(folder):
    run_command(
        *(sys.executable, PUBLISH, 'epoch_2.pth', 'models/out.pth', '--fp16'),
        cwd=folder)
    out = folder / 'models/out.pth'
    published = read_checkpoint(out)
    assert set(published) == {'meta', 'state_dict'}
    assert published['meta'].pop('mmpose_version')
    assert published['meta'].pop('lgh_mmpose_version')
    sigmas = published['meta'].pop('dataset_meta')['sigmas']
    assert sigmas.tolist() == [0, 1, 2]
    assert published['meta'] == dict(config='lgh_toy', epoch=2, iter=9, seed=0)
    found, expected = published['state_dict'], weights()
    assert found['conv.weight'].dtype == torch.float16
    for name, weight in expected.items():
        if weight.numel() >= 10_000:
            weight = weight.half()
        assert torch.equal(found[name], weight), name
        assert found[name].dtype == weight.dtype
    assert out.stat().st_size < (folder / 'epoch_2.pth').stat().st_size / 3
    assert b'somebody' not in out.read_bytes()


def test_without_fp16_weights_stay_as_they_are(folder):
    printed = run_script(PUBLISH, 'epoch_2.pth', 'out.pth', cwd=folder).stdout
    assert printed.startswith('out.pth: 0.1 MB')
    found = read_checkpoint(folder / 'out.pth')['state_dict']
    assert all(torch.equal(found[k], w) for k, w in weights().items())


def test_the_same_again_is_the_same_file(folder):
    for out in ('a.pth', 'b.pth'):
        run_script(PUBLISH, 'epoch_2.pth', out, '--fp16', cwd=folder)
    assert (folder / 'a.pth').read_bytes() == (folder / 'b.pth').read_bytes()
    # of what is published the weights are the same
    run_script(PUBLISH, 'a.pth', 'c.pth', cwd=folder)
    one, other = (
        read_checkpoint(folder / name)['state_dict']
        for name in ('a.pth', 'c.pth'))
    assert all(torch.equal(one[k], other[k]) for k in one)


def test_weights_alone_of_several_processes(folder):
    torch.save({
        f'module.{k}': w
        for k, w in weights().items()
    }, folder / 'bare.pth')
    run_script(PUBLISH, 'bare.pth', 'out.pth', cwd=folder)
    published = read_checkpoint(folder / 'out.pth')
    assert set(published['state_dict']) == set(weights())
    assert set(published['meta']) == {'mmpose_version', 'lgh_mmpose_version'}


def test_faults_are_one_sentence_and_nothing_is_written(folder):
    assert 'checkpoint not found: no.pth' in refused(folder, 'no.pth')
    content = (folder / 'epoch_2.pth').read_bytes()
    (folder / 'half.pth').write_bytes(content[:len(content) // 2])
    assert 'half.pth: it is no file of torch.save' in refused(
        folder, 'half.pth')
    torch.save([1], folder / 'list.pth')
    assert 'no state_dict' in refused(folder, 'list.pth')
    torch.save({'conv.weight': torch.full((200, 60), 1e5)},
               folder / 'large.pth')
    assert 'conv.weight of large.pth has values that fp16 cannot' in refused(
        folder, 'large.pth', '--fp16')
    shutil.copy(folder / 'epoch_2.pth', folder / 'taken.pth')
    for name in ('taken.pth', 'epoch_2.pth', '.'):
        assert f'error: {name} exists: remove it' in refused(
            folder, 'epoch_2.pth', out=name)


def test_a_full_disk_leaves_nothing(folder):
    with full_disk(10000):
        assert 'cannot write out.pth' in refused(folder, 'epoch_2.pth')
