"""Checkpoints are read whole, safely, or refused in one sentence."""
import io
import os
import pickle
import shutil

import pytest
import torch
from helpers import REPO_ROOT

from lgh_mmpose import checkpoint as C
from lgh_mmpose.config import load_config
from lgh_mmpose.inference import shipped


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.value = function, arguments

    def __reduce__(self):
        return self.value


def save(path, value, legacy=False):
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)


def whole():
    stream = io.BytesIO()
    torch.save(dict(state_dict=dict(weight=torch.ones(1000))), stream)
    return stream.getvalue()


@pytest.mark.parametrize('content', [
    b'',
    b'PK',
    b'a text',
    b'import os, sys\nos.system(1)\n',
    whole()[:2000],
    whole()[:-30],
    pickle.dumps({}, protocol=4)[:-1],
    b'\x80\x02.',
    b'\x80\x02J\x00',
])
def test_damaged_files_are_called_damaged(content, tmp_path):
    path = tmp_path / 'half.pth'
    path.write_bytes(content)
    with pytest.raises(
            C.DamagedCheckpointError, match=r'half\.pth: .*damaged'):
        C.read_checkpoint(path)


@pytest.mark.parametrize('protocol', [0, 1, 2, 3, 4, 5, 'torch', 'legacy'])
@pytest.mark.parametrize('function', ['system', 'eval'])
def test_code_is_called_dangerous_and_not_run(function, protocol, tmp_path):
    mark, path = tmp_path / 'mark', tmp_path / 'epoch_1.pth'
    payload = Call(eval, f'open({str(mark)!r}, "w")')
    if function == 'system':
        payload = Call(os.system, f'touch {mark}')
    value = dict(state_dict=dict(weight=1), meta=payload)
    if isinstance(protocol, int):
        path.write_bytes(pickle.dumps(value, protocol))
    else:
        save(path, value, legacy=protocol == 'legacy')
    with pytest.raises(ValueError, match=f'dangerous.*{function}') as error:
        C.read_checkpoint(path)
    assert not isinstance(error.value, C.DamagedCheckpointError)
    assert not mark.exists()


def test_what_is_no_file_is_named(tmp_path, monkeypatch):
    with pytest.raises(
            FileNotFoundError, match='checkpoint not found: no.pth'):
        C.read_checkpoint('no.pth')
    with pytest.raises(IsADirectoryError, match='is a folder: give a file'):
        C.read_checkpoint(tmp_path)
    os.mkfifo(tmp_path / 'pipe')  # to open it would wait for ever
    with pytest.raises(OSError, match='is no regular file'):
        C.read_checkpoint(tmp_path / 'pipe')

    def forbid(*_):
        raise PermissionError(13, 'Permission denied')

    save(tmp_path / 'mine.pth', {})
    # permissions do not stop root, who may run this
    monkeypatch.setattr(C, 'open', forbid, raising=False)
    with pytest.raises(PermissionError, match='mine.pth: Permission denied'):
        C.read_checkpoint(tmp_path / 'mine.pth')


# -- those of the package ----------------------------------------------------

SHIPPED = 'lgh_mmpose://hand_pose'


def test_a_checkpoint_of_the_package_by_its_name():
    """As read here, and as mmengine's runners and init_cfg read it."""
    from mmengine.runner import CheckpointLoader
    from mmpose.registry import MODELS
    weights = C.weights_of(C.read_checkpoint(SHIPPED), SHIPPED)
    assert weights['head.selector.logits'].shape == (21, 3)
    loaded = CheckpointLoader.load_checkpoint(SHIPPED, map_location='cpu')
    assert loaded['meta']['config'] == 'lgh_hands_studiohand'
    cfg = load_config(REPO_ROOT / 'configs/lgh_hands_studiohand.py').model
    C.load_weights(MODELS.build(cfg), SHIPPED)
    backbone = MODELS.build(
        dict(
            cfg.backbone,
            init_cfg=dict(
                type='Pretrained', checkpoint=SHIPPED, prefix='backbone')))
    backbone.init_weights()
    for name, weight in backbone.state_dict().items():
        assert torch.equal(weight, weights[f'backbone.{name}'].to(weight))


@pytest.mark.parametrize('name', ['hand_foot', '', 'hand_pose.pth', '../x'])
def test_what_does_not_ship_is_told_with_what_does(name):
    with pytest.raises(FileNotFoundError) as error:
        C.read_checkpoint(f'lgh_mmpose://{name}')
    assert str(error.value) == (
        f'no checkpoint lgh_mmpose://{name} ships with this version of '
        f'lgh_mmpose, only {SHIPPED}')


def test_a_version_without_checkpoints(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped.resources, 'files', lambda name: tmp_path)
    with pytest.raises(FileNotFoundError, match='nor any other$'):
        C.read_checkpoint(SHIPPED)


# -- the latest one of a training --------------------------------------------


@pytest.fixture
def work_dir(tmp_path):
    for name in ('epoch_9', 'epoch_10', 'best_hand_MPJPE_epoch_9'):
        save(tmp_path / f'{name}.pth', dict(state_dict={}))
    return tmp_path


def test_nothing_to_resume(tmp_path):
    assert C.latest_checkpoint(tmp_path) is None
    assert C.latest_checkpoint(tmp_path / 'not_there') is None


@pytest.mark.parametrize('note', [None, '', 'epoch_11.pth'])
def test_the_highest_number_without_a_good_note(note, work_dir):
    if note is not None:
        (work_dir / 'last_checkpoint').write_text(note)
    assert C.latest_checkpoint(work_dir).name == 'epoch_10.pth'


def test_the_note_comes_first(work_dir):
    """A later training in the same folder has had fewer epochs."""
    (work_dir / 'last_checkpoint').write_text(str(work_dir / 'epoch_9.pth'))
    assert C.latest_checkpoint(work_dir) == work_dir / 'epoch_9.pth'


def test_the_note_of_a_moved_folder(work_dir, tmp_path_factory):
    (work_dir / 'last_checkpoint').write_text(str(work_dir / 'epoch_9.pth'))
    moved = tmp_path_factory.mktemp('moved') / 'work'
    shutil.move(work_dir, moved)
    assert C.latest_checkpoint(moved) == moved / 'epoch_9.pth'


def test_checkpoints_in_another_folder(tmp_path):
    save(tmp_path / 'iter_5.pth', {})
    work_dir = tmp_path / 'work'
    work_dir.mkdir()
    (work_dir / 'last_checkpoint').write_text(str(tmp_path / 'iter_5.pth'))
    assert C.latest_checkpoint(work_dir) == tmp_path / 'iter_5.pth'


def test_half_a_file_is_passed_over(work_dir):
    (work_dir / 'epoch_10.pth').write_bytes(whole()[:500])
    (work_dir / 'last_checkpoint').write_text('epoch_10.pth')
    assert C.latest_checkpoint(work_dir).name == 'epoch_9.pth'
    (work_dir / 'epoch_9.pth').write_bytes(b'')
    with pytest.raises(
            C.DamagedCheckpointError,
            match=r'epoch_10\.pth: .*damaged; remove it to begin anew'):
        C.latest_checkpoint(work_dir)


def test_a_note_of_nothing_is_named(tmp_path):
    (tmp_path / 'last_checkpoint').write_text('/gone/epoch_3.pth')
    with pytest.raises(FileNotFoundError, match='/gone/epoch_3.pth, which is'):
        C.latest_checkpoint(tmp_path)


def test_code_in_the_latest_one_is_not_passed_over(work_dir):
    save(work_dir / 'epoch_11.pth', Call(os.system, 'true'))
    with pytest.raises(ValueError, match='epoch_11.pth may be dangerous'):
        C.latest_checkpoint(work_dir)
