"""Writing a trained model as a directory that runs without mmpose."""
import importlib
import importlib.util
import io
import os
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, Dict, List, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from mmengine.model import BaseModel
from torch import nn

from lgh_mmpose.cpu import bf16_instructions, describe_bf16
from lgh_mmpose.fileio import put_in_place, unfinished_directory, write_json
from lgh_mmpose.version import __version__

from ..geometry.crop import Crop
from ..inference.backends.exported import (INFO_FILE, SCHEMA, ExportedNetwork,
                                           info_to_json, output_names)
from ..inference.backends.exports import file_sha256
from ..inference.backends.torch import network_info
from .deploy_form import DeployForm, to_deploy
from .half_weights import halve_weights
from .quantization import quantize_onnx, quantize_openvino
from .verification import ExportError, Tolerance, verify, verify_crop

# what one may ask for; the others would not be faster, or nothing runs them
COMBINATIONS: Dict[str, Sequence[str]] = {
    'onnx': ('fp32', 'fp16', 'int8'),
    'openvino': ('fp32', 'bf16', 'fp16', 'int8'),
    'torchscript': ('fp32', 'bf16'),
}
_WHY_NOT = {
    ('onnx', 'bf16'):
    'ONNX Runtime has no bf16 kernels for x86 CPUs',
    ('torchscript', 'fp16'):
    'bf16 is the 16-bit format that CPUs compute in',
    ('torchscript', 'int8'):
    'TorchScript has no post-training quantisation that torch still maintains',
}

_FILES = dict(
    onnx='hand_pose.onnx',
    openvino='hand_pose.xml',
    torchscript='hand_pose.pt')


def choose_precision(backend: str, precision: str = 'auto') -> Tuple[str, str]:
    """What a model is exported in, and why.

    Args:
        backend (str): See :func:`export`.
        precision (str): See :func:`export`. Defaults to ``'auto'``: bf16
            where the backend and this CPU compute it, else fp32.

    Returns:
        tuple[str, str]: The precision, one of :data:`COMBINATIONS`, and the
        reason, a clause.

    Raises:
        ValueError: If there is no such combination, with the reason and the
            possible ones.
        ExportError: If bf16 is asked for that this CPU cannot compute, and
            so not verify.
    """
    known = COMBINATIONS.get(backend, ())
    if precision == 'auto' and known:
        if 'bf16' not in known:
            return 'fp32', _WHY_NOT[backend, 'bf16']
        return 'bf16' if bf16_instructions() else 'fp32', describe_bf16()
    if precision in known:
        if precision == 'bf16' and not bf16_instructions():
            raise ExportError(
                f'{describe_bf16()}, so that a bf16 export can neither run '
                'nor be verified here: leave --precision out, which takes '
                'fp32, or export where the CPU has them')
        return precision, 'as asked for'
    possible = '; '.join(f'{b}: {", ".join(p)}'
                         for b, p in COMBINATIONS.items())
    reason = _WHY_NOT.get((backend, precision))
    raise ValueError(f'no export to {backend} in {precision}'
                     f'{f" ({reason})" if reason else ""}; possible are '
                     f'{possible}')


def export(model: BaseModel,
           path: Union[str, Path],
           backend: str = 'openvino',
           precision: str = 'auto',
           *,
           verification: Sequence[dict] = (),
           calibration: Sequence[dict] = (),
           crop: Optional[Crop] = None,
           tolerance: Optional[Tolerance] = None,
           info: Optional[dict] = None) -> Dict[str, Any]:
    """Write a model, and what its input and output mean.

    The directory appears under its name only when the written model has been
    verified.

    Args:
        model (BaseModel): What :func:`to_deploy` takes.
        path (str | Path): Directory to make.
        backend (str): ``'onnx'`` (ONNX Runtime), ``'openvino'`` or
            ``'torchscript'``.
        precision (str): ``'fp32'``, ``'bf16'``, ``'fp16'`` (weights alone)
            or ``'int8'``, see :data:`COMBINATIONS`. Defaults to ``'auto'``,
            see :func:`choose_precision`; what it is and why stands in the
            json.
        verification (Sequence[dict]): Samples of a data set, ``inputs``
            (3, H, W), uint8, and ``data_samples``, on which the written file
            is compared with ``model``. Without any it is not verified, and
            the json says so. What :func:`select_samples` gives has
            ``record`` besides, the sample before the pipeline, by which the
            crop is compared with the pipeline's.
        calibration (Sequence[dict]): Such samples of the training set, which
            ``'int8'`` needs.
        crop (Crop, optional): How the input is cut from the image, see
            :func:`read_crop`. Defaults to the box as it is and right hands.
        tolerance (Tolerance, optional): Differences to accept. Defaults to
            those of the precision.
        info (dict, optional): More to say in the json.

    Returns:
        dict: What ``hand_pose.json`` holds.

    Raises:
        ValueError: If there is no such combination, or ``'int8'`` is given
            no samples.
        ExportError: If the differences exceed the tolerance, the crop is
            another than the pipeline's, or ``'bf16'`` is asked for
            and this CPU has none.
        FileExistsError: If ``path`` exists, from the beginning or at the
            end (the directory then gets a name beside it), or another process
            is writing it.
        ImportError: If the backend is not installed.
    """
    precision, reason = choose_precision(backend, precision)
    path = Path(path)
    if precision == 'int8' and not len(calibration):
        raise ValueError('int8 needs calibration samples')
    if tolerance is None:
        tolerance = Tolerance.of(precision)
    inference_precision = 'bf16' if precision == 'bf16' else 'f32'
    if (backend, precision) == ('openvino', 'int8'):
        inference_precision = 'bf16' if bf16_instructions() else 'f32'
        reason += (f'; what is not quantised in {inference_precision}: '
                   f'{describe_bf16()}')
    form = to_deploy(model)
    info = dict(
        schema=SCHEMA,
        version=__version__,
        model=dict(
            file=_FILES[backend],
            backend=backend,
            precision=precision,
            precision_reason=reason,
            inference_precision=inference_precision),
        **describe(model, form, crop or Crop()),
        **(info or {}))
    images = [np.asarray(sample['inputs']) for sample in calibration]
    with unfinished_directory(path) as folder:
        if os.path.lexists(path):
            raise FileExistsError(
                f'{path} exists: remove it, or give another directory')
        file = folder / info['model']['file']
        _WRITERS[backend](form, file, precision, images)
        info['model']['sha256'] = {
            part.name: file_sha256(part)
            for part in sorted(folder.iterdir())
        }
        write_json(folder / INFO_FILE, info, indent=1)
        info['verification'] = None
        # the engine reads it in any case
        network = ExportedNetwork(folder)
        if len(verification):
            # the cheaper one first
            crop_report = verify_crop(network.info, verification)
            try:
                report = verify(model, network, verification, tolerance)
            except ExportError as error:
                if precision != 'bf16':
                    raise
                raise ExportError(
                    f'{error}; this was bf16 ({reason}): --precision fp32 '
                    'is exact, --tolerance-* accepts more') from error
            info['verification'] = dict(crop=crop_report, **report)
        write_json(folder / INFO_FILE, info, indent=1)
        put_in_place(folder, path)
    return info


def load_exported(path: Union[str, Path],
                  num_threads: Optional[int] = None) -> ExportedNetwork:
    """The network of an exported directory, on NumPy batches.

    Args:
        path (str | Path): What :func:`export` wrote.
        num_threads (int, optional): Threads of one inference. Defaults to
            the engine's choice.

    Returns:
        ExportedNetwork: Takes images (B, 3, H, W), uint8, BGR and gives ``uv``
        (B, K, 2) in input px, ``depth`` (B, K) and ``scores`` (B, K).
    """
    return ExportedNetwork(path, num_threads)


def describe(model: BaseModel, form: DeployForm, crop: Crop) -> Dict[str, Any]:
    """What ``hand_pose.json`` says of input, output and joints."""
    codec = model.head.decoder
    return dict(
        **info_to_json(network_info(model, crop)),
        input=dict(
            name='images',
            shape=['batch', 3, codec.input_size[1], codec.input_size[0]],
            dtype='uint8',
            layout='NCHW',
            channels='BGR',
            # the network itself normalises
            normalization=dict(
                inside=True,
                to_rgb=form.swap_channels,
                mean=form.mean.flatten().tolist(),
                std=form.std.flatten().tolist())),
        outputs=dict(
            uv='joints (batch, K, 2), px of the input, pixel centres at '
            'integers',
            depth='depth relative to the root joint (batch, K), in lengths of '
            'the reference bone',
            scores='mass of the heat map around its peak (batch, K), 0 to 1',
            **(dict(right='probability of a right hand (batch,)')
               if model.head.side_layers is not None else {})),
        units=dict(image='px', length='mm'),
        num_groups=model.head.num_groups)


# -- backends ----------------------------------------------------------------


def _write_onnx(form: DeployForm, file: Path, precision: str,
                images: List[np.ndarray]) -> None:
    require_packages('onnx', 'onnxruntime')
    if precision == 'int8':
        with tempfile.TemporaryDirectory() as folder:
            exact = Path(folder) / file.name
            to_onnx(form, output_names(form.gives_side), exact)
            quantize_onnx(exact, file, images)
    else:
        to_onnx(form, output_names(form.gives_side), file)
    if precision == 'fp16':
        halve_weights(file)


def _write_openvino(form: DeployForm, file: Path, precision: str,
                    images: List[np.ndarray]) -> None:
    require_packages('onnx', 'openvino',
                     *(['nncf'] if precision == 'int8' else []))
    import openvino
    with tempfile.TemporaryDirectory() as folder:
        exact = Path(folder) / 'hand_pose.onnx'
        to_onnx(form, output_names(form.gives_side), exact)
        model = openvino.Core().read_model(str(exact))
    if precision == 'int8':
        model = quantize_openvino(model, images)
    try:
        openvino.save_model(
            model, str(file), compress_to_fp16=precision == 'fp16')
    except RuntimeError as error:
        raise OSError(f'cannot write {file.name}: OpenVINO says {error}; is '
                      'the disk full?') from error


def _write_torchscript(form: DeployForm, file: Path, precision: str,
                       images: List[np.ndarray]) -> None:
    if precision == 'bf16':
        form.trunk.to(torch.bfloat16)
    with warnings.catch_warnings(), torch.no_grad():
        # deprecated for torch.export, which C++ programs cannot load as simply
        warnings.simplefilter('ignore', FutureWarning)
        warnings.simplefilter('ignore', DeprecationWarning)
        traced = torch.jit.freeze(torch.jit.trace(form, _example(form)))
        # in a file, on a full disk, it would end the process
        content = io.BytesIO()
        torch.jit.save(traced, content)
    _without_debug_files(content, file)


def _without_debug_files(content: BinaryIO, file: Path) -> None:
    """Leave out where the operators stand in the files of this machine.

    torch.jit.save has no option for it; whoever runs the file needs them not.
    """
    with zipfile.ZipFile(content) as old, zipfile.ZipFile(file, 'w') as new:
        for entry in old.infolist():
            if not entry.filename.endswith('.debug_pkl'):
                new.writestr(entry, old.read(entry))


_WRITERS = dict(
    onnx=_write_onnx, openvino=_write_openvino, torchscript=_write_torchscript)


def to_onnx(form: nn.Module, outputs: Sequence[str], file: Path) -> None:
    """Write a network for any number of images.

    Args:
        form (nn.Module): Takes images (B, 3, H, W), uint8, of its
            ``input_size``.
        outputs (Sequence[str]): Names of what it gives.
        file (Path): The ONNX file.
    """
    names = ('images', *outputs)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        torch.onnx.export(
            form, (_example(form), ),
            str(file),
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes={name: {
                0: 'batch'
            }
                          for name in names},
            opset_version=17,
            dynamo=False)


def _example(form: nn.Module) -> torch.Tensor:
    width, height = form.input_size
    return torch.zeros(2, 3, height, width, dtype=torch.uint8)


def require_packages(*packages: str) -> None:
    """Raise ImportError for the first package that is not installed."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise ImportError(
                f'this export needs {package}, which is not installed: '
                "`pip install 'lgh_mmpose[deploy]'`")
