"""What lets mmpose 1.3.2 run without compiled mmcv ops, on current torch and
in process groups without a GPU. Nothing else belongs here.

Each part steps aside where it is not needed: full mmcv, a torch older than
2.6 and CUDA process groups are left as they are.
"""
import atexit
import importlib.util
import sys
from datetime import timedelta
from functools import partial
from importlib.machinery import ModuleSpec
from pickle import UnpicklingError
from types import ModuleType
from typing import Any, Callable

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device

from .pickled_arrays import NumericArray, NumericDtype, numeric_scalar

__all__ = [
    'install', 'install_mmcv_ext_stub', 'add_checkpoint_safe_globals',
    'load_urls_safely', 'order_fsdp_arguments', 'setup_cpu_distributed'
]


def install() -> None:
    """Prepare the process for ``import mmpose.models``.

    Called once by ``import lgh_mmpose``; calling it again changes nothing.

    Raises:
        ImportError: If neither mmcv nor mmcv-lite is installed.
    """
    install_mmcv_ext_stub()
    add_checkpoint_safe_globals()
    load_urls_safely()
    order_fsdp_arguments()


# -- 1. compiled ops ---------------------------------------------------------


def _nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float,
         offset: int) -> torch.Tensor:
    """``mmcv._ext.nms`` by torchvision: indices kept, best score first."""
    from torchvision.ops import nms
    if offset:
        # mmcv counts pixels: the width of a box is x2 - x1 + offset
        boxes = torch.cat((boxes[:, :2], boxes[:, 2:] + offset), dim=1)
    return nms(boxes, scores, iou_threshold)


def _missing_op(name: str) -> Callable:

    def op(*args, **kwargs):
        raise RuntimeError(
            f'The compiled op "{name}" of mmcv is not part of mmcv-lite. '
            'Install the full package: `pip uninstall mmcv-lite` and then '
            '`mim install "mmcv>=2.0.1,<2.2.0"`.')

    op.__name__ = name
    return op


def install_mmcv_ext_stub() -> bool:
    """Stand in for ``mmcv._ext`` under mmcv-lite.

    ``mmpose.models`` imports ``mmcv.ops``, which asserts at import time that
    the compiled extension has its functions. The stand-in has every function;
    ``nms`` works, any other raises a RuntimeError when it is called.

    Returns:
        bool: Whether the stand-in is in place; False with full mmcv.

    Raises:
        ImportError: If neither mmcv nor mmcv-lite is installed.
    """
    if 'mmcv._ext' in sys.modules:
        return getattr(sys.modules['mmcv._ext'], 'is_lgh_stub', None) is True
    if importlib.util.find_spec('mmcv') is None:
        raise ImportError(
            'mmcv is not installed. Install it with '
            '`pip install "mmcv-lite==2.1.0"` (no compiled ops, enough for '
            'lgh_mmpose) or `mim install "mmcv>=2.0.1,<2.2.0"`.')
    if importlib.util.find_spec('mmcv._ext') is not None:
        return False

    stub = ModuleType('mmcv._ext', 'Stand-in for the compiled ops of mmcv.')
    # mmengine looks for the loader of `mmcv._ext` to tell mmcv from
    # mmcv-lite; without a spec that look-up raises ValueError
    stub.__spec__ = ModuleSpec('mmcv._ext', loader=None)
    stub.is_lgh_stub = True
    stub.nms = _nms

    def __getattr__(name: str) -> Callable:
        # `inspect`, `pickle` and others probe modules for special names
        if name.startswith('__'):
            raise AttributeError(f"module 'mmcv._ext' has no '{name}'")
        return _missing_op(name)

    stub.__getattr__ = __getattr__
    sys.modules['mmcv._ext'] = stub
    return True


# -- 2. checkpoints ----------------------------------------------------------

# the statistics that HistoryBuffer itself registers; its own table is not
# asked, because a checkpoint can add to it
_HISTORY_STATISTICS = frozenset(('min', 'max', 'current', 'mean'))


def _history_buffer_method(obj: Any, name: str) -> Callable:
    """``getattr`` as far as the pickle of a HistoryBuffer needs it."""
    from mmengine.logging import HistoryBuffer
    if obj is HistoryBuffer and name in _HISTORY_STATISTICS:
        return getattr(HistoryBuffer, name)
    raise UnpicklingError(f'a checkpoint may not look up {name!r} of {obj!r}')


def _empty_bytes(*args: Any) -> bytes:
    """``bytes`` as far as pickle calls it: for the empty string."""
    if args:
        raise UnpicklingError(f'a checkpoint may not call bytes{args!r}')
    return b''


class _CheckpointArray(np.ndarray):
    """An array of a checkpoint, whose state is checked before NumPy sees it.

    It is pickled as an ordinary array.
    """

    def __new__(cls) -> '_CheckpointArray':
        return super().__new__(cls, 0)

    def __setstate__(self, state: tuple) -> None:
        checked = NumericArray()
        checked.__setstate__(state)
        super().__setstate__(checked.array.__reduce__()[2])

    def __reduce_ex__(self, protocol: int) -> tuple:
        return np.asarray(self).__reduce_ex__(protocol)


def _empty_checkpoint_array(subtype: type, *_: Any) -> _CheckpointArray:
    """What NumPy's ``_reconstruct`` makes, to be filled from its state."""
    if subtype is not _CheckpointArray:
        raise UnpicklingError('a checkpoint may not hold arrays of a class')
    return _CheckpointArray()


def add_checkpoint_safe_globals() -> bool:
    """Let torch's safe loader read the checkpoints that mmengine writes.

    From torch 2.6 on ``torch.load`` admits tensors and plain containers only.
    A training checkpoint of mmengine also holds its message hub: NumPy arrays
    and scalars of numbers, and HistoryBuffer with references to four of its
    methods. Exactly these are allowed in addition; everything else in a
    checkpoint is refused as before.

    Returns:
        bool: Whether names were added; False if torch is older than 2.6.
    """
    if tuple(map(int, torch.__version__.split('.')[:2])) < (2, 6):
        return False
    from mmengine.logging import HistoryBuffer

    # NumPy itself would take any memory for an array that a file describes so
    allowed = [
        HistoryBuffer,
        (_CheckpointArray, 'numpy.ndarray'),
        (NumericDtype, 'numpy.dtype'),
        (_history_buffer_method, 'builtins.getattr'),
        (_empty_bytes, 'builtins.bytes'),
    ]
    # files written under NumPy 1 and under NumPy 2 name the module differently
    for module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
        allowed += [(_empty_checkpoint_array, f'{module}._reconstruct'),
                    (numeric_scalar, f'{module}.scalar')]
    torch.serialization.add_safe_globals(allowed)
    return True


def load_urls_safely() -> None:
    """Let mmengine read checkpoints from the web as it reads files.

    torch's function for URLs runs whatever code a checkpoint holds unless it
    is told otherwise, and mmengine does not tell it.
    """
    from mmengine.runner import checkpoint
    if not isinstance(checkpoint.load_url, partial):
        checkpoint.load_url = partial(checkpoint.load_url, weights_only=True)


def order_fsdp_arguments() -> None:
    """Let a training with FSDP be resumed.

    mmengine hands the optimizer's state to torch in the order of arguments
    that torch had before 2.1.
    """
    from mmengine._strategy.fsdp import FSDP, FSDPStrategy

    def load_optim_state_dict(self, state_dict: dict) -> None:
        self.optim_wrapper.load_state_dict(
            FSDP.optim_state_dict_to_load(self.model,
                                          self.optim_wrapper.optimizer,
                                          state_dict))

    FSDPStrategy.load_optim_state_dict = load_optim_state_dict


# -- 3. process groups on CPU ------------------------------------------------


def setup_cpu_distributed(cfg: Config) -> bool:
    """Start the process group of a ``torchrun`` launch on CPU.

    mmengine's launcher selects a CUDA device and hands ``device_ids`` to the
    model wrapper. Where there is none, this starts a gloo group, which the
    Runner then takes as it is, and empties ``device_ids``. Call it after
    ``cfg.launcher`` is set and before the Runner is built.

    The group is left when the process ends.

    Args:
        cfg (Config): Configuration of the Runner; ``model_wrapper_cfg`` and,
            for FSDP, ``strategy`` are changed in place.

    Returns:
        bool: Whether a CPU group is in use.

    Raises:
        ValueError: If ``env_cfg.dist_cfg.timeout``, the seconds that a
            process waits for another, is no positive number.
    """
    if cfg.get('launcher') != 'pytorch' or get_device() != 'cpu':
        return False
    if not torch.distributed.is_initialized():
        options = {}
        timeout = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout')
        if timeout is not None:
            if not isinstance(timeout, (int, float)) or not timeout > 0:
                raise ValueError('env_cfg.dist_cfg.timeout must be seconds, '
                                 f'more than 0, not {timeout!r}')
            options['timeout'] = timedelta(seconds=timeout)
        torch.distributed.init_process_group('gloo', **options)
        # its threads must end before Python does, or they may abort the
        # process on its last steps
        atexit.register(_leave_process_group)
    wrapper = dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False))
    wrapper.update(cfg.get('model_wrapper_cfg') or {})
    wrapper['device_ids'] = None
    cfg.model_wrapper_cfg = wrapper
    strategy = cfg.get('strategy') or {}
    if strategy.get('type') == 'FSDPStrategy':
        # by default mmengine gives the number of a GPU
        strategy.setdefault('model_wrapper', {})['device_id'] = 'cpu'
    return True


def _leave_process_group() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
