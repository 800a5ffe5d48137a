"""The engines that exported networks run on."""
import importlib
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

import numpy as np

from ...cpu import bf16_instructions, describe_bf16

OUTPUTS = ('uv', 'depth', 'scores', 'right')
"""Names of the outputs of a hand pose network, in order, of which one that
does not tell the side lacks the last; its input is ``images``."""

Run = Callable[[np.ndarray], Tuple[np.ndarray, ...]]
"""Images (B, 3, H, W), uint8 -> the outputs asked for, such as
:data:`OUTPUTS`."""


def _onnx(path: Path, model: dict, num_threads: Optional[int],
          outputs: Sequence[str]) -> Run:
    onnxruntime = _import('onnxruntime')
    options = onnxruntime.SessionOptions()
    if num_threads is not None:
        options.intra_op_num_threads = num_threads
        options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(path), options, providers=['CPUExecutionProvider'])
    return lambda images: tuple(session.run(outputs, {'images': images}))


def _openvino(path: Path, model: dict, num_threads: Optional[int],
              outputs: Sequence[str]) -> Run:
    openvino = _import('openvino')
    core = openvino.Core()
    hint = model['inference_precision']
    if hint == 'bf16' and not bf16_instructions():
        warnings.warn(
            f'{describe_bf16()}: what should run in bf16 runs in fp32',
            stacklevel=3)
        hint = 'f32'
    # given in any case: by itself OpenVINO takes bf16 where it can
    config = dict(PERFORMANCE_HINT='LATENCY', INFERENCE_PRECISION_HINT=hint)
    if num_threads is not None:
        config['INFERENCE_NUM_THREADS'] = num_threads
    network = core.read_model(str(path))
    compiled: Dict[int, Any] = {}

    def run(images: np.ndarray) -> Tuple[np.ndarray, ...]:
        # shapes known beforehand make faster code
        if len(images) not in compiled:
            shaped = network.clone()
            shaped.reshape(list(images.shape))
            compiled[len(images)] = core.compile_model(
                shaped, 'CPU', config).create_infer_request()
        results = compiled[len(images)].infer([images], share_inputs=True)
        return tuple(results[name] for name in outputs)

    return run


def _torchscript(path: Path, model: dict, num_threads: Optional[int],
                 outputs: Sequence[str]) -> Run:
    torch = _import('torch')
    if model['inference_precision'] == 'bf16' and not bf16_instructions():
        warnings.warn(
            f'{describe_bf16()}, and torch imitates bf16, slowly: export the '
            'model with --precision fp32 for it',
            stacklevel=3)
    if num_threads is not None:
        torch.set_num_threads(num_threads)
    with warnings.catch_warnings():
        # deprecated, which whoever runs the file cannot change
        warnings.simplefilter('ignore', FutureWarning)
        network = torch.jit.load(str(path), map_location='cpu')

    def run(images: np.ndarray) -> Tuple[np.ndarray, ...]:
        with torch.inference_mode():
            return tuple(output.numpy()
                         for output in network(torch.from_numpy(images)))

    return run


ENGINES: Dict[str, Callable[[Path, dict, Optional[int], Sequence[str]],
                            Run]] = dict(
                                onnx=_onnx,
                                openvino=_openvino,
                                torchscript=_torchscript)
"""By the name of the backend in ``hand_pose.json``: opens a file."""


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f'this export runs on {name}, which is not '
                          f'installed: `pip install {name}`') from error
