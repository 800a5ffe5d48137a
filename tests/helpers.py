"""Small data that the tests write for themselves, and processes they run."""
import contextlib
import io
import json
import logging
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Dict, Iterator, Sequence, Union

import cv2
import numpy as np
import pytest
from command_server import Command, CommandServer
from mmengine.logging import MMLogger
from mmengine.visualization import Visualizer

REPO_ROOT = Path(__file__).resolve().parents[1]

# direction of each finger in the plane of the palm (degrees from "up"), and
# the bone lengths in metres from the wrist outwards
_FINGERS = (
    (-50., (.040, .038, .032, .026)),  # thumb
    (-14., (.090, .040, .026, .022)),  # forefinger
    (0., (.090, .044, .029, .023)),  # middle finger
    (13., (.085, .040, .027, .023)),  # ring finger
    (26., (.080, .032, .020, .020)),  # pinky finger
)


def toy_hand(rng: np.random.Generator) -> np.ndarray:
    """A crude right hand in FreiHAND's joint order.

    Returns:
        np.ndarray: Joint positions in the camera frame, (21, 3), in metres,
        about 0.7 m in front of the camera.
    """
    joints = np.zeros((21, 3))
    for finger, (angle, bones) in enumerate(_FINGERS):
        yaw = np.deg2rad(angle)
        curl = rng.uniform(0.0, 0.5)
        point, pitch = np.zeros(3), 0.
        for i, bone in enumerate(bones):
            direction = np.array([
                np.sin(yaw) * np.cos(pitch), -np.cos(yaw) * np.cos(pitch),
                np.sin(pitch)
            ])
            point = point + bone * direction
            joints[1 + 4 * finger + i] = point
            pitch += curl
    # any rotation about the optical axis, up to 40 degrees about the others
    rx, ry = rng.uniform(-0.7, 0.7, 2)
    rz = rng.uniform(-np.pi, np.pi)
    for rotation in ([0, 0, rz], [0, ry, 0], [rx, 0, 0]):
        joints = joints @ cv2.Rodrigues(np.array(rotation, float))[0].T
    joints -= joints.mean(axis=0)
    return joints + [*rng.uniform(-0.01, 0.01, 2), rng.uniform(0.6, 0.8)]


def _toy_image(uv: np.ndarray, size: int,
               rng: np.random.Generator) -> np.ndarray:
    """Noise with the skeleton drawn on it, (size, size, 3) uint8, BGR."""
    image = rng.integers(0, 128, (size, size, 3), dtype=np.uint8)
    for finger in range(5):
        chain = [0, *range(1 + 4 * finger, 5 + 4 * finger)]
        cv2.polylines(image, [np.round(uv[chain]).astype(np.int32)], False,
                      (120, 150, 220 - 20 * finger), max(1, size // 32))
    return image


def write_freihand(root: Union[str, Path],
                   num_train: int = 8,
                   num_eval: int = 4,
                   size: int = 64,
                   versions: int = 1,
                   seed: int = 0,
                   evaluation_xyz: bool = True) -> Path:
    """Write a tiny data set in the on-disk layout of FreiHAND v2.

    Args:
        root: Folder to write into; made if absent.
        num_train: Number of unique training samples.
        num_eval: Number of evaluation samples.
        size: Edge length of the square images in pixels.
        versions: Image versions per training sample; the image of sample
            ``i`` in version ``v`` is number ``i + num_train * v``.
        seed: Seed of poses and pixels.
        evaluation_xyz: Whether to write ``evaluation_xyz.json``, which
            FreiHAND published only later.

    Returns:
        Path: ``root``.
    """
    root = Path(root)
    rng = np.random.default_rng(seed)
    for split, num, copies in (('training', num_train, versions),
                               ('evaluation', num_eval, 1)):
        (root / split / 'rgb').mkdir(parents=True, exist_ok=True)
        (root / split / 'mask').mkdir(parents=True, exist_ok=True)
        cameras, hands, scales = [], [], []
        for i in range(num):
            focal = size * rng.uniform(2.3, 2.7)
            centre = (size - 1) / 2 + rng.uniform(-1, 1, 2)
            camera = np.array([[focal, 0, centre[0]], [0, focal, centre[1]],
                               [0, 0, 1]])
            xyz = toy_hand(rng)
            uv = xyz @ camera.T
            uv = uv[:, :2] / uv[:, 2:]
            for version in range(copies):
                name = f'{i + num * version:08d}.jpg'
                cv2.imwrite(
                    str(root / split / 'rgb' / name),
                    _toy_image(uv, size, rng))
            mask = np.zeros((size, size), np.uint8)
            cv2.fillConvexPoly(mask,
                               cv2.convexHull(np.round(uv).astype(np.int32)),
                               255)
            cv2.imwrite(str(root / split / 'mask' / f'{i:08d}.jpg'), mask)
            cameras.append(camera.tolist())
            hands.append(xyz.tolist())
            scales.append(float(np.linalg.norm(xyz[9] - xyz[10])))
        (root / f'{split}_K.json').write_text(json.dumps(cameras))
        (root / f'{split}_scale.json').write_text(json.dumps(scales))
        if split == 'training' or evaluation_xyz:
            (root / f'{split}_xyz.json').write_text(json.dumps(hands))
    return root


def write_toy_export(folder: Union[str, Path],
                     uv: np.ndarray,
                     size: int = 64) -> Path:
    """Write a directory as of ``tools/deployment/export.py``, for ONNX.

    Args:
        folder: Folder to write into; made if absent.
        uv: (21, 2), where its network sees the joints in any input, px.
        size: Edge length of the input.

    Returns:
        Path: ``folder``.
    """
    from lgh_mmpose.geometry.crop import Crop
    from lgh_mmpose.geometry.hand import HandSkeleton
    from lgh_mmpose.inference.backends.exported import (INFO_FILE, SCHEMA,
                                                        info_to_json)
    from lgh_mmpose.inference.network import NetworkInfo

    folder = Path(folder)
    model = _write_constant_network(
        folder,
        dict(
            uv=uv, depth=np.linspace(0, 1, 21), scores=np.linspace(.5, 1, 21)),
        size)
    names = ('wrist', *(f'{finger}{i}'
                        for finger in ('thumb', 'forefinger', 'middle_finger',
                                       'ring_finger', 'pinky_finger')
                        for i in range(1, 5)))
    skeleton = HandSkeleton.usual(names, 'middle_finger1',
                                  ('middle_finger1', 'middle_finger2'))
    info = info_to_json(
        NetworkInfo((size, size), Crop(), skeleton, (0, ) * 21))
    (folder / INFO_FILE).write_text(
        json.dumps(dict(schema=SCHEMA, model=model, **info)))
    return folder


def write_toy_detector(folder: Union[str, Path],
                       box: Sequence[float],
                       side: str = 'right',
                       direction: Sequence[float] = (0., -1.),
                       size: int = 64) -> Path:
    """Write a detector as of ``tools/deployment/export.py``, for ONNX.

    Args:
        folder: Folder to write into; made if absent.
        box: Where it sees a hand in any input: left, top, right, bottom, px.
        side: Of that hand.
        direction: Where it points, (2,).
        size: Edge length of the input.

    Returns:
        Path: ``folder``.
    """
    from lgh_mmpose.inference.backends.exported_detector import (INFO_FILE,
                                                                 SCHEMA)
    folder = Path(folder)
    scores = np.array([[.9, .05] if side == 'left' else [.05, .9]])
    model = _write_constant_network(
        folder,
        dict(
            boxes=np.array([box]),
            scores=scores,
            directions=np.array([direction])), size)
    (folder / INFO_FILE).write_text(
        json.dumps(
            dict(
                schema=SCHEMA,
                model=model,
                input_size=[size, size],
                score_thr=.3,
                iou_thr=.6,
                max_hands=20)))
    return folder


def _write_constant_network(folder: Path, outputs: Dict[str, np.ndarray],
                            size: int) -> dict:
    """A network that gives the same for any input, and what its json says."""
    onnx = pytest.importorskip('onnx', reason="needs '.[deploy]'")
    from onnx import TensorProto, helper, numpy_helper

    from lgh_mmpose.inference.backends.exports import file_sha256

    folder.mkdir(parents=True, exist_ok=True)
    # zeros of the batch's length, to which each output is added
    nodes = [
        helper.make_node('Cast', ['images'], ['f'], to=TensorProto.FLOAT),
        helper.make_node(
            'ReduceMean', ['f'], ['m'], axes=[1, 2, 3], keepdims=0),
        helper.make_node('Sub', ['m', 'm'], ['zeros'])
    ]
    constants, described = [], []
    for name, value in outputs.items():
        shape = [-1] + [1] * value.ndim
        constants += [
            numpy_helper.from_array(value[None].astype(np.float32),
                                    f'{name}0'),
            numpy_helper.from_array(np.array(shape), f'{name}1')
        ]
        nodes += [
            helper.make_node('Reshape', ['zeros', f'{name}1'], [f'{name}2']),
            helper.make_node('Add', [f'{name}2', f'{name}0'], [name])
        ]
        described.append(
            helper.make_tensor_value_info(name, TensorProto.FLOAT,
                                          ['B', *value.shape]))
    images = helper.make_tensor_value_info('images', TensorProto.UINT8,
                                           ['B', 3, size, size])
    onnx.save(
        helper.make_model(
            helper.make_graph(nodes, 'toy', [images], described, constants),
            opset_imports=[helper.make_opsetid('', 13)],
            ir_version=8), folder / 'toy.onnx')
    return dict(
        backend='onnx',
        precision='fp32',
        inference_precision='f32',
        file='toy.onnx',
        sha256={'toy.onnx': file_sha256(folder / 'toy.onnx')})


_server = CommandServer()


def start_command(*command, cwd: Union[str, Path], output: IO,
                  **environ: str) -> Union[Command, subprocess.Popen]:
    """Start a command as a user would, in a process of its own.

    Scripts and modules of this Python are run by a :class:`CommandServer`,
    all else, options of the interpreter included, in fresh processes.

    Args:
        command: The program and its arguments.
        cwd: Folder to run in; not the repo root, from which ``lgh_mmpose``
            could be imported without being installed.
        output: File for both streams.
        environ: Environment variables in addition to the test's own.

    Returns:
        Command | subprocess.Popen: The process.
    """
    env = {**os.environ, 'OMP_NUM_THREADS': '1', **environ}
    env.pop('PYTHONPATH', None)
    program, *arguments = map(str, command)
    if program == sys.executable and (arguments[0] == '-m'
                                      or arguments[0].endswith('.py')):
        return _server.start(arguments, str(cwd), env, output.fileno())
    return subprocess.Popen([program, *arguments],
                            cwd=cwd,
                            env=env,
                            stdin=subprocess.DEVNULL,
                            stdout=output,
                            stderr=subprocess.STDOUT)


def run_command(*command,
                cwd: Union[str, Path],
                check: bool = True,
                **environ: str) -> subprocess.CompletedProcess:
    """Run a command by :func:`start_command` and keep what it prints.

    Args:
        command: The program and its arguments.
        cwd: Folder to run in.
        check: Whether a failure of the command is one of the test.
        environ: Environment variables in addition to the test's own.

    Returns:
        subprocess.CompletedProcess: With ``stdout`` holding both streams.
    """
    with tempfile.TemporaryFile('w+') as output:
        code = start_command(
            *command, cwd=cwd, output=output, **environ).wait()
        output.seek(0)
        result = subprocess.CompletedProcess(command, code, output.read())
    if check and result.returncode:
        raise AssertionError(
            f'{" ".join(map(str, command))}\nfailed with exit code '
            f'{result.returncode}:\n{result.stdout[-4000:]}')
    return result


def run_file(script: Union[str, Path], run_name: str = '<run_path>') -> dict:
    """Run a Python file in this process, beside its folder's other modules.

    Args:
        script: The file.
        run_name: Its ``__name__``; a script works only as ``'__main__'``.

    Returns:
        dict: What it defines, by name.
    """
    # where Python finds what a script imports first
    folder = str(Path(script).absolute().parent)
    sys.path.insert(0, folder)
    try:
        return runpy.run_path(str(script), run_name=run_name)
    finally:
        sys.path.remove(folder)


def run_script(script: Union[str, Path],
               *arguments,
               cwd: Union[str, Path],
               check: bool = True) -> subprocess.CompletedProcess:
    """Run a Python script in this process, where all is imported already.

    Args:
        script: The script.
        arguments: Its arguments.
        cwd: Folder to run in.
        check: Whether a failure of the script is one of the test.

    Returns:
        subprocess.CompletedProcess: With ``stdout`` holding both streams.
    """
    # mmengine's hooks take the visualizer that was made last in the process
    Visualizer._instance_dict.clear()
    # and the logger of a run of the same second, which writes elsewhere
    MMLogger._instance_dict.clear()
    output = io.StringIO()
    here, argv = os.getcwd(), sys.argv
    level = logging.getLogger('lgh_mmpose.inference').level
    command = [str(script), *map(str, arguments)]
    code = 0
    try:
        os.chdir(cwd)
        sys.argv = command
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(
                output):
            run_file(command[0], run_name='__main__')
    except SystemExit as e:
        code = e.code or 0
    finally:
        os.chdir(here)
        sys.argv = argv
        # which score_photos.py changes, for its process
        logging.getLogger('lgh_mmpose.inference').setLevel(level)
    if check and code:
        raise AssertionError(f'{" ".join(command)}\nfailed with exit code '
                             f'{code}:\n{output.getvalue()[-4000:]}')
    return subprocess.CompletedProcess(command, code, output.getvalue())


# what a page may take on a busy machine
BROWSER_TIMEOUT_MS = 120000


@contextlib.contextmanager
def open_chromium(*arguments: str) -> Iterator:
    """A headless Chromium; without one the test is skipped, with the reason.

    Its executable is ``CHROMIUM`` of the environment, or on the ``PATH``.

    Args:
        arguments: Command line arguments in addition to the usual ones.

    Yields:
        playwright.sync_api.Browser: The browser.
    """
    sync_api = pytest.importorskip(
        'playwright.sync_api', reason='Playwright for Python is not installed')
    names = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')
    executable = os.environ.get('CHROMIUM') or next(
        filter(None, map(shutil.which, names)), None)
    if executable is None:
        pytest.skip('no Chromium is installed: apt install chromium, or set '
                    'CHROMIUM to its executable')
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=[
                '--no-sandbox', '--no-first-run', '--disable-quic',
                '--disable-background-networking', '--disable-sync',
                '--disable-component-update', '--use-angle=swiftshader',
                '--enable-unsafe-swiftshader', *arguments
            ],
            timeout=BROWSER_TIMEOUT_MS)
        yield browser
        browser.close()


@contextlib.contextmanager
def full_disk(num_bytes: int) -> Iterator[None]:
    """No file grows beyond a size, as on a disk that is full.

    Args:
        num_bytes: The size.
    """
    resource = pytest.importorskip('resource', reason='needs limits on files')
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Python ignores the signal, so the writer gets an error
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
