"""Writing a trained model as a directory that runs without mmpose."""
import ast
import contextlib
import importlib
import importlib.util
import io
import json
import os
import tempfile
import warnings
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, Iterator, List, Optional, Sequence, Set, Union

import numpy as np
import torch
from mmengine.model import BaseModel

from lgh_mmpose.engine.optim_wrappers.bf16_optim_wrapper import \
    cpu_computes_bf16
from lgh_mmpose.version import __version__

from . import hand_pose_runner
from .deploy_form import DeployForm, to_deploy
from .hand_pose_runner import OUTPUTS, SCHEMA, HandPose, Network, file_sha256
from .quantization import quantize_onnx, quantize_openvino
from .verification import ExportError, Tolerance, verify, verify_crop

INFO_FILE = 'hand_pose.json'
RUNNER_FILE = 'hand_pose_runner.py'

# what one may ask for; the others would not be faster, or nothing runs them
COMBINATIONS: Dict[str, Sequence[str]] = {
    'onnx': ('fp32', 'int8'),
    'openvino': ('fp32', 'bf16', 'fp16', 'int8'),
    'torchscript': ('fp32', 'bf16'),
}
_WHY_NOT = {
    ('onnx', 'bf16'):
    'ONNX Runtime has no bf16 kernels for x86 CPUs',
    ('onnx', 'fp16'):
    'ONNX Runtime has no fp16 kernels for x86 CPUs and would convert to and '
    'fro',
    ('torchscript', 'fp16'):
    'bf16 is the 16-bit format that CPUs compute in',
    ('torchscript', 'int8'):
    'TorchScript has no post-training quantisation that torch still maintains',
}

_FILES = dict(
    onnx='hand_pose.onnx',
    openvino='hand_pose.xml',
    torchscript='hand_pose.pt')


def check_combination(backend: str, precision: str) -> None:
    """Refuse what does not exist.

    Raises:
        ValueError: With the reason and the possible combinations.
        ExportError: If this CPU cannot run, and so not verify, bf16.
    """
    if precision in COMBINATIONS.get(backend, ()):
        if precision == 'bf16' and \
                not cpu_computes_bf16():
            raise ExportError(
                'this CPU has no bf16 instructions, so that a bf16 export '
                'can neither run nor be verified here; use --precision fp32')
        return
    possible = '; '.join(f'{b}: {", ".join(p)}'
                         for b, p in COMBINATIONS.items())
    reason = _WHY_NOT.get((backend, precision))
    raise ValueError(f'no export to {backend} in {precision}'
                     f'{f" ({reason})" if reason else ""}; possible are '
                     f'{possible}')


def export(model: BaseModel,
           path: Union[str, Path],
           backend: str = 'openvino',
           precision: str = 'fp32',
           *,
           verification: Sequence[dict] = (),
           calibration: Sequence[dict] = (),
           crop: Optional[dict] = None,
           tolerance: Optional[Tolerance] = None,
           info: Optional[dict] = None) -> Dict[str, Any]:
    """Write a model, what its input and output mean, and a runner.

    The directory appears under its name only when the written model has been
    verified.

    Args:
        model (BaseModel): What :func:`to_deploy` takes.
        path (str | Path): Directory to make.
        backend (str): ``'onnx'`` (ONNX Runtime), ``'openvino'`` or
            ``'torchscript'``.
        precision (str): ``'fp32'``, ``'bf16'``, ``'fp16'`` (weights alone)
            or ``'int8'``, see :data:`COMBINATIONS`.
        verification (Sequence[dict]): Samples of a data set, ``inputs``
            (3, H, W), uint8, and ``data_samples``, on which the written file
            is compared with ``model``. Without any it is not verified, and
            the json says so. What :func:`select_samples` gives has
            ``record`` besides, the sample before the pipeline, by which the
            runner's crop is compared with the pipeline's.
        calibration (Sequence[dict]): Such samples of the training set, which
            ``'int8'`` needs.
        crop (dict, optional): ``padding``, ``use_udp`` and ``hand_side``, how
            the input is cut from the image, see :func:`read_crop`. Defaults
            to the box as it is and right hands.
        tolerance (Tolerance, optional): Differences to accept. Defaults to
            those of the precision.
        info (dict, optional): More to say in the json.

    Returns:
        dict: What ``hand_pose.json`` holds.

    Raises:
        ValueError: If there is no such combination, or ``'int8'`` is given
            no samples.
        ExportError: If the differences exceed the tolerance, the runner
            crops otherwise than the pipeline, or this CPU has no bf16.
        FileExistsError: If ``path`` exists.
        ImportError: If the backend is not installed.
    """
    check_combination(backend, precision)
    path = Path(path)
    if precision == 'int8' and not len(calibration):
        raise ValueError('int8 needs calibration samples')
    if tolerance is None:
        tolerance = Tolerance.of(precision)
    # of what is not quantised
    inference_precision = 'bf16' if precision == 'bf16' or (
        backend == 'openvino' and precision == 'int8'
        and cpu_computes_bf16()) else 'f32'
    form = to_deploy(model)
    info = dict(
        schema=SCHEMA,
        version=__version__,
        model=dict(
            file=_FILES[backend],
            backend=backend,
            precision=precision,
            inference_precision=inference_precision),
        **describe(model, form, crop),
        **(info or {}))
    images = [np.asarray(sample['inputs']) for sample in calibration]
    with _new_directory(path) as folder:
        file = folder / info['model']['file']
        _WRITERS[backend](form, file, precision, images)
        info['model']['sha256'] = {
            part.name: file_sha256(part)
            for part in sorted(folder.iterdir())
        }
        _write_json(info, folder / INFO_FILE)
        (folder / RUNNER_FILE).write_text(runner_source(), encoding='utf-8')
        info['verification'] = None
        if len(verification):
            hand_pose = HandPose(folder)
            info['verification'] = dict(
                # the cheaper one first
                crop=verify_crop(hand_pose, verification),
                **verify(model, hand_pose.network, verification, tolerance))
        _write_json(info, folder / INFO_FILE)
    return info


def load_exported(path: Union[str, Path],
                  num_threads: Optional[int] = None) -> Network:
    """The network of an exported directory, on NumPy batches.

    Args:
        path (str | Path): What :func:`export` wrote.
        num_threads (int, optional): Threads of one inference. Defaults to
            the engine's choice.

    Returns:
        Network: Takes images (B, 3, H, W), uint8, BGR and gives ``uv``
        (B, K, 2) in input px, ``depth`` (B, K) and ``scores`` (B, K).
    """
    return Network(path, num_threads)


def describe(model: BaseModel, form: DeployForm,
             crop: Optional[dict]) -> Dict[str, Any]:
    """What ``hand_pose.json`` says of input, output and joints."""
    codec = model.head.decoder
    return dict(
        input_size=list(codec.input_size),
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
            scores='mass of the heat map around its peak (batch, K), 0 to 1'),
        units=dict(image='px', length='mm'),
        joint_names=list(codec.keypoint_names),
        joint_groups=form.joint_groups.tolist(),
        num_groups=model.head.num_groups,
        root_joint=codec.root_joint,
        reference_bone=list(codec.reference_bone),
        bones=codec._bones.tolist(),
        bone_lengths=codec._bone_lengths.tolist(),
        crop=dict(
            dict(padding=1.0, use_udp=False, hand_side='right'), **(crop
                                                                    or {})))


def runner_source() -> str:
    """The runner as one file, all that it uses of the package included."""
    return '\n'.join(_inlined(hand_pose_runner, set())) + '\n'


def _inlined(module: ModuleType, done: Set[str]) -> List[str]:
    """Lines of a module, what it imports of the package in their place.

    Args:
        module (ModuleType): It imports names of the package at its top.
        done (set[str]): Modules that the file has already; extended.

    Returns:
        list[str]: The lines.
    """
    source = Path(module.__file__).read_text(encoding='utf-8')
    lines, nodes = source.splitlines(), ast.parse(source).body
    # one docstring is enough
    start = nodes[0].end_lineno if done else 0
    result = []
    for node in nodes:
        name = ''
        if isinstance(node, ast.ImportFrom):
            name = importlib.util.resolve_name(
                '.' * node.level + (node.module or ''), module.__package__)
        if not name.startswith('lgh_mmpose.'):
            continue
        result += lines[start:node.lineno - 1]
        start = node.end_lineno
        if name not in done:
            done.add(name)
            result += [
                f'# -- {name.replace(".", "/")}.py '.ljust(79, '-'),
                *_inlined(importlib.import_module(name), done)
            ]
    return result + lines[start:]


# -- backends ----------------------------------------------------------------


def _write_onnx(form: DeployForm, file: Path, precision: str,
                images: List[np.ndarray]) -> None:
    _require('onnx', 'onnxruntime')
    if precision == 'int8':
        with tempfile.TemporaryDirectory() as folder:
            exact = Path(folder) / file.name
            _to_onnx(form, exact)
            quantize_onnx(exact, file, images)
    else:
        _to_onnx(form, file)


def _write_openvino(form: DeployForm, file: Path, precision: str,
                    images: List[np.ndarray]) -> None:
    _require('onnx', 'openvino', *(['nncf'] if precision == 'int8' else []))
    import openvino
    with tempfile.TemporaryDirectory() as folder:
        exact = Path(folder) / 'hand_pose.onnx'
        _to_onnx(form, exact)
        model = openvino.Core().read_model(str(exact))
    if precision == 'int8':
        model = quantize_openvino(model, images)
    openvino.save_model(model, str(file), compress_to_fp16=precision == 'fp16')


def _write_torchscript(form: DeployForm, file: Path, precision: str,
                       images: List[np.ndarray]) -> None:
    if precision == 'bf16':
        form.trunk.to(torch.bfloat16)
    with warnings.catch_warnings(), torch.no_grad():
        # deprecated for torch.export, which C++ programs cannot load as simply
        warnings.simplefilter('ignore', FutureWarning)
        warnings.simplefilter('ignore', DeprecationWarning)
        traced = torch.jit.freeze(torch.jit.trace(form, _example(form)))
        torch.jit.save(traced, str(file))
    _drop_debug_files(file)


def _drop_debug_files(file: Path) -> None:
    """Take out where the operators stand in the source files of this machine.

    torch.jit.save has no option for it; whoever runs the file needs them not.
    """
    content = io.BytesIO(file.read_bytes())
    with zipfile.ZipFile(content) as old, zipfile.ZipFile(file, 'w') as new:
        for entry in old.infolist():
            if not entry.filename.endswith('.debug_pkl'):
                new.writestr(entry, old.read(entry))


_WRITERS = dict(
    onnx=_write_onnx, openvino=_write_openvino, torchscript=_write_torchscript)


def _to_onnx(form: DeployForm, file: Path) -> None:
    names = ('images', *OUTPUTS)
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


def _example(form: DeployForm) -> torch.Tensor:
    width, height = form.input_size
    return torch.zeros(2, 3, height, width, dtype=torch.uint8)


def _require(*packages: str) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise ImportError(
                f'this export needs {package}, which is not installed: '
                "`pip install 'lgh_mmpose[deploy]'`")


# -- files -------------------------------------------------------------------


@contextlib.contextmanager
def _new_directory(path: Path) -> Iterator[Path]:
    """A directory that appears under its name only when it is whole."""
    if path.exists():
        raise FileExistsError(
            f'{path} exists: remove it, or give another directory')
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
            dir=path.parent, prefix=f'.{path.name}.') as parent:
        folder = Path(parent) / path.name
        folder.mkdir()
        yield folder
        os.rename(folder, path)


def _write_json(info: dict, file: Path) -> None:
    file.write_text(json.dumps(info, indent=1) + '\n', encoding='utf-8')
