import io
import os
import subprocess
import sys
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from pickle import UnpicklingError
from threading import Thread

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner.checkpoint import load_checkpoint

from lgh_mmpose import compat
from lgh_mmpose.checkpoint import read_checkpoint

# a process in which the package does not install it
LOAD_COMPAT = f'''
import sys, types
package = types.ModuleType('lgh_mmpose')
package.__path__ = [{str(Path(compat.__file__).parent)!r}]
sys.modules['lgh_mmpose'] = package
from lgh_mmpose import compat
'''


def run_python(code: str, **env) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, '-c', code],
                          env={
                              **os.environ,
                              **env
                          },
                          capture_output=True,
                          text=True)


def has_full_mmcv() -> bool:
    try:
        return bool(version('mmcv'))
    except PackageNotFoundError:
        return False


needs_mmcv_lite = pytest.mark.skipif(
    has_full_mmcv(), reason='full mmcv has the compiled ops itself')

# -- compiled ops ------------------------------------------------------------


@needs_mmcv_lite
def test_mmpose_models_need_the_stand_in():
    without = run_python('import mmpose.models')
    assert without.returncode != 0
    assert "No module named 'mmcv._ext'" in without.stderr

    with_stub = run_python(LOAD_COMPAT + '''
compat.install()
import mmpose.models
from mmengine.utils.dl_utils import mmcv_full_available
assert not mmcv_full_available()
''')
    assert with_stub.returncode == 0, with_stub.stderr


@needs_mmcv_lite
def test_stand_in_is_installed_once():
    stub = sys.modules['mmcv._ext']
    assert compat.install_mmcv_ext_stub()
    assert sys.modules['mmcv._ext'] is stub
    assert not hasattr(stub, '__wrapped__')


def test_full_mmcv_is_left_alone(tmp_path):
    (tmp_path / 'mmcv').mkdir()
    (tmp_path / 'mmcv/__init__.py').touch()
    (tmp_path / 'mmcv/_ext.py').write_text('compiled = True\n')
    result = run_python(
        LOAD_COMPAT + '''
assert compat.install_mmcv_ext_stub() is False
import mmcv._ext
assert mmcv._ext.compiled
assert compat.install_mmcv_ext_stub() is False  # also when it is loaded
''',
        PYTHONPATH=str(tmp_path))
    assert result.returncode == 0, result.stderr


def test_missing_mmcv_is_named():
    result = run_python(LOAD_COMPAT + '''
import sys
sys.modules['mmcv'] = None  # as if it were not installed
compat.install()
''')
    assert result.stderr.strip().splitlines()[-1].startswith(
        'ImportError: mmcv is not installed. Install it with `pip install')


@needs_mmcv_lite
def test_compiled_op_names_the_mend_when_called():
    from mmcv.ops import soft_nms
    boxes, scores = torch.rand(3, 4), torch.rand(3)
    with pytest.raises(RuntimeError, match='"softnms".*mim install "mmcv'):
        soft_nms(boxes, scores)


def greedy_nms(boxes, scores, threshold, offset):
    """The textbook algorithm, in NumPy, one pair at a time."""
    area = np.prod(boxes[:, 2:] - boxes[:, :2] + offset, axis=1)
    kept = []
    for i in np.argsort(-scores, kind='stable'):
        for j in kept:
            low = np.maximum(boxes[i, :2], boxes[j, :2])
            high = np.minimum(boxes[i, 2:], boxes[j, 2:])
            overlap = np.prod(np.maximum(high - low + offset, 0))
            if overlap / (area[i] + area[j] - overlap) > threshold:
                break
        else:
            kept.append(i)
    return kept


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('seed', range(5))
def test_nms_is_greedy_nms(seed, offset):
    from mmcv.ops import nms
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 12, (40, 2))
    boxes = np.hstack((corner, corner + rng.uniform(1, 9, (40, 2))))
    boxes = boxes.astype(np.float32)
    scores = rng.permutation(40).astype(np.float32) / 40
    dets, indices = nms(boxes, scores, iou_threshold=0.3, offset=offset)
    expected = greedy_nms(boxes, scores, 0.3, offset)
    assert 1 < len(expected) < 40
    assert indices.tolist() == expected
    np.testing.assert_array_equal(dets[:, :4], boxes[expected])


def test_nms_of_mmdet_keeps_classes_apart():
    from mmcv.ops import batched_nms
    boxes = torch.tensor([[0., 0, 9, 9], [0, 0, 9, 9], [0, 0, 9, 8]])
    _, kept = batched_nms(boxes, torch.tensor([.9, .8, .7]),
                          torch.tensor([0, 1, 0]),
                          dict(type='nms', iou_threshold=0.5))
    assert kept.tolist() == [0, 1]


# -- checkpoints -------------------------------------------------------------


def training_checkpoint():
    hub = MessageHub('test_compat')
    for loss in (4., 2.):
        hub.update_scalar('train/loss', loss)
    hub.update_info('best_score', np.float64(1.5))
    hub.update_info('dataset_meta', dict(sigmas=np.ones(21, np.float32)))
    hub.update_info('nothing', b'')
    return dict(
        state_dict=dict(weight=torch.arange(3.)),
        message_hub=hub.state_dict(),
        meta=dict(epoch=2, ids=np.arange(4), flags=np.array([True, False])))


@pytest.fixture
def without_safe_globals():
    saved = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(saved)


def assert_is_training_checkpoint(checkpoint):
    hub = checkpoint['message_hub']
    buffer = hub['log_scalars']['train/loss']
    assert isinstance(buffer, HistoryBuffer)
    assert buffer.statistics('mean') == 3.
    assert buffer.statistics('min') == 2.
    assert hub['runtime_info']['best_score'] == 1.5
    assert hub['runtime_info']['nothing'] == b''
    assert hub['runtime_info']['dataset_meta']['sigmas'].sum() == 21
    assert checkpoint['meta']['ids'].tolist() == [0, 1, 2, 3]
    assert checkpoint['meta']['flags'].tolist() == [True, False]
    assert checkpoint['state_dict']['weight'].tolist() == [0., 1., 2.]


def test_training_checkpoint_needs_the_safe_globals(without_safe_globals,
                                                    tmp_path):
    path = tmp_path / 'epoch_2.pth'
    torch.save(training_checkpoint(), path)
    with pytest.raises(Exception, match='Weights only load failed'):
        torch.load(path)
    assert compat.add_checkpoint_safe_globals()
    assert_is_training_checkpoint(torch.load(path))


@pytest.mark.parametrize('module', ['numpy.core', 'numpy._core'])
def test_checkpoints_of_numpy_1_and_2_load(module, tmp_path):
    stream = io.BytesIO()
    torch.save(training_checkpoint(), stream)
    path = tmp_path / 'epoch_2.pth'
    with zipfile.ZipFile(stream) as source, \
            zipfile.ZipFile(path, 'w') as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith('data.pkl'):
                for other in (b'cnumpy.core.', b'cnumpy._core.'):
                    data = data.replace(other, f'c{module}.'.encode())
                assert f'c{module}.multiarray'.encode() in data
            target.writestr(name, data)
    assert_is_training_checkpoint(torch.load(path))


def touch(path):
    Path(path).touch()


class Call:
    """Pickles as a call of any function with any arguments."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


class State(Call):
    """Pickles as a HistoryBuffer with a state of the attacker's choice."""

    def __reduce__(self):
        return HistoryBuffer, (), self.function


MALICIOUS = {
    'function':
    lambda mark: Call(os.system, f'touch {mark}'),
    'own function':
    lambda mark: Call(touch, mark),
    'eval':
    lambda mark: Call(eval, f'open({mark!r}, "w")'),
    'in a buffer':
    lambda mark: State(dict(x=Call(os.mkdir, mark))),
    'globals of a method':
    lambda mark: Call(getattr, HistoryBuffer.mean, '__globals__'),
    'method of the class':
    lambda mark: Call(getattr, HistoryBuffer, 'register_statistics'),
    'getattr of a module':
    lambda mark: Call(getattr, Call(__import__, 'os'), 'system'),
    'memory':
    lambda mark: Call(bytes, 10),
    # a checkpoint can extend HistoryBuffer's table, and must gain nothing
    'statistics table':
    lambda mark: [
        State(dict(statistics_methods={'__subclasses__': None})),
        Call(getattr, HistoryBuffer, '__subclasses__')
    ],
}


class Crafted:
    """Pickles as a call with a state of the attacker's choice."""

    def __init__(self, function, *args, state):
        self.reduced = function, args, state

    def __reduce__(self):
        return self.reduced


F8 = np.dtype('f8')


def crafted_array(dtype=F8, shape=(1, ), data=bytes(8)):
    reconstruct, arguments, _ = np.zeros(1).__reduce__()
    return Crafted(
        reconstruct, *arguments, state=(1, shape, dtype, False, data))


@pytest.mark.parametrize(
    'content',
    [
        # its bytes are pointers
        crafted_array(
            Crafted(
                np.dtype,
                'f8',
                False,
                True,
                state=(3, '|', None, None, None, -1, -1, 63))),
        crafted_array(np.dtype([('a', 'f8')])),
        crafted_array(shape=(2, )),
        crafted_array(shape=(-1, )),
        crafted_array(shape=(2**62, 2**62)),
        # memory that nobody has filled
        Call(np.ndarray, (1000, )),
        Call(np.zeros(1).__reduce__()[0], np.ndarray, (1000, ), 'f8'),
        np.array([{}]),
    ],
    ids=range(8))
def test_numpy_does_not_see_what_a_checkpoint_says(tmp_path, content):
    path = tmp_path / 'a.pth'
    torch.save(dict(x=content), path)
    try:
        assert not torch.load(path, weights_only=True)['x'].size
    except (UnpicklingError, TypeError):
        pass


def test_arrays_of_a_checkpoint_can_be_saved_again(tmp_path):
    arrays = dict(
        a=np.arange(6.).reshape(2, 3),
        f=np.asfortranarray(np.ones((2, 3), '>f4')),
        b=np.array([True]),
        s=np.array(3),
        e=np.zeros((0, 3)))
    for path in (tmp_path / 'a.pth', tmp_path / 'b.pth'):
        torch.save(arrays, path)
        loaded = torch.load(path, weights_only=True)
        for key, array in arrays.items():
            np.testing.assert_array_equal(loaded[key], array)
            assert loaded[key].dtype == array.dtype.newbyteorder('=')
        arrays = loaded
    # without anything of this package
    assert b'lgh_mmpose' not in path.read_bytes()


@pytest.mark.parametrize('kind', MALICIOUS)
def test_malicious_checkpoint_is_refused(kind, tmp_path):
    mark = tmp_path / 'executed'
    path = tmp_path / 'epoch_2.pth'
    payload = MALICIOUS[kind](str(mark))
    torch.save(dict(training_checkpoint(), payload=payload), path)
    try:
        with pytest.raises(Exception, match='Weights only load failed'):
            load_checkpoint(torch.nn.Linear(1, 1), str(path))
    finally:
        HistoryBuffer._statistics_methods.pop('__subclasses__', None)
    assert not mark.exists()


def test_a_malicious_checkpoint_of_the_web_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'home'))
    mark = tmp_path / 'executed'
    torch.save(
        dict(weight=Call(touch, str(mark))), tmp_path / f'{tmp_path.name}.pth')
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f'http://127.0.0.1:{server.server_port}/{tmp_path.name}.pth'
        try:
            with pytest.raises(ValueError, match='dangerous.*touch'):
                read_checkpoint(url)
        finally:
            server.shutdown()
    assert not mark.exists()


# -- process groups on CPU ---------------------------------------------------

needs_cpu = pytest.mark.skipif(
    torch.cuda.is_available(), reason='mmengine itself handles CUDA groups')

RUNNER = '''
import atexit, sys, torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner
from lgh_mmpose.compat import setup_cpu_distributed


class Model(BaseModel):

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, *inputs, mode='tensor'):
        return dict(loss=self.layer(torch.stack(inputs)).mean())


# the first to be registered is the last to run
atexit.register(lambda: print('GROUP', torch.distributed.is_initialized()))
cfg = Config(dict(launcher='pytorch', work_dir=sys.argv[1]))
if sys.argv[2] == 'with':
    assert setup_cpu_distributed(cfg)
runner = Runner(
    Model(), cfg.work_dir, launcher=cfg.launcher, cfg=cfg,
    train_dataloader=dict(
        dataset=[torch.ones(1)] * 4, batch_size=2,
        sampler=dict(type='DefaultSampler', shuffle=False)),
    train_cfg=dict(by_epoch=True, max_epochs=1),
    optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)))
runner.train()
print('ITERATIONS', runner.iter)
'''


def free_port() -> int:
    import socket
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


@needs_cpu
@pytest.mark.parametrize('setup', ['with', 'without'])
def test_runner_in_a_cpu_group_needs_the_setup(setup, tmp_path):
    script = tmp_path / 'run.py'
    script.write_text(RUNNER)
    group = dict(
        RANK='0',
        LOCAL_RANK='0',
        WORLD_SIZE='1',
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(free_port()))
    result = subprocess.run([sys.executable, script, tmp_path / 'work', setup],
                            env={
                                **os.environ,
                                **group
                            },
                            capture_output=True,
                            text=True)
    if setup == 'with':
        assert result.returncode == 0, result.stderr
        assert 'ITERATIONS 2' in result.stdout
        # its threads could abort a process that ends with them
        assert 'GROUP False' in result.stdout
    else:
        assert result.returncode != 0
        assert 'set_device' in result.stderr


@pytest.mark.parametrize('launcher', ['none', 'slurm'])
def test_other_launchers_are_left_to_mmengine(launcher):
    cfg = Config(dict(launcher=launcher))
    assert not compat.setup_cpu_distributed(cfg)
    assert 'model_wrapper_cfg' not in cfg
    assert not torch.distributed.is_initialized()


@needs_cpu
def test_settings_of_the_model_wrapper_are_kept(monkeypatch):
    monkeypatch.setattr(torch.distributed, 'is_initialized', lambda: True)
    cfg = Config(
        dict(
            launcher='pytorch',
            find_unused_parameters=True,
            model_wrapper_cfg=dict(broadcast_buffers=True, device_ids=[0])))
    assert compat.setup_cpu_distributed(cfg)
    assert cfg.model_wrapper_cfg == dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=True,
        find_unused_parameters=True,
        device_ids=None)


# the second process stops, as a debugger or a full memory may stop it
STOPPED = '''
import os, signal, torch
from mmengine.config import Config

rank = 0 if (child := os.fork()) else 1
os.environ['RANK'] = os.environ['LOCAL_RANK'] = str(rank)
cfg = Config(
    dict(launcher='pytorch', env_cfg=dict(dist_cfg=dict(timeout=5))))
assert compat.setup_cpu_distributed(cfg)
torch.distributed.all_reduce(torch.ones(1))
if rank:
    os.kill(os.getpid(), signal.SIGSTOP)
try:
    torch.distributed.all_reduce(torch.ones(1))
    print('GOES ON')
except RuntimeError as error:
    print('ENDS:', error)
finally:
    os.kill(child, signal.SIGKILL)
os._exit(0)
'''


@needs_cpu
def test_a_stopped_process_ends_the_training_after_the_timeout():
    result = run_python(
        LOAD_COMPAT + STOPPED,
        WORLD_SIZE='2',
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(free_port()),
        PYTHONUNBUFFERED='1')
    assert 'ENDS:' in result.stdout, result.stdout + result.stderr
    assert 'Timed out waiting 5000ms' in result.stdout


@needs_cpu
@pytest.mark.parametrize('timeout', [0, -1, 'soon', float('nan')])
def test_a_timeout_is_a_number_of_seconds(timeout):
    cfg = Config(
        dict(launcher='pytorch', env_cfg=dict(dist_cfg=dict(timeout=timeout))))
    with pytest.raises(ValueError, match='dist_cfg.timeout must be seconds'):
        compat.setup_cpu_distributed(cfg)
