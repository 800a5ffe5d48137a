"""Speed of an exported model beside MediaPipe's hand landmark models.

MediaPipe wants other versions of packages than mmpose, so its models run in an
environment of their own, which is made once:

    python3.11 -m venv mediapipe
    mediapipe/bin/pip install mediapipe==0.10.21 'numpy<2' ai-edge-litert

Its wheel holds the models; LiteRT is the interpreter that MediaPipe itself
runs them with (XNNPACK). All get the same crop of the same image, each at its
own input size, one image at a time, on one thread. In each round every model
runs ``--repeats`` times in turn, so that whatever else the machine does hits
all. What is measured is the network alone, without detector, crop and what
follows: CPU time, and wall time beside it. Ratios over 1 mean that the
exported model is faster.
"""
import argparse
import contextlib
import importlib.util
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import numpy as np
from worker import Worker, answer, questions

MODELS = ('lite', 'full')
MODEL_INPUT = (224, 224)
WARM_UP = 5


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'export', type=Path, help='directory of tools/deployment/export.py')
    parser.add_argument('image', type=Path, help='image of a hand')
    parser.add_argument(
        '--mediapipe-python',
        required=True,
        metavar='PYTHON',
        help="Python of MediaPipe's environment")
    parser.add_argument(
        '--bbox',
        nargs=4,
        type=float,
        metavar=('X', 'Y', 'WIDTH', 'HEIGHT'),
        help='box of the hand in px (default: the whole image)')
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--repeats', type=int, default=20)
    parser.add_argument('--json', type=Path, help='file to write')
    args = parser.parse_args()
    if min(args.rounds, args.repeats) < 1:
        parser.error('--rounds and --repeats must be at least 1')
    return args


def measure(infer: Callable[[], object], repeats: int) -> List[List[float]]:
    """CPU and wall milliseconds of each of some inferences."""
    times = []
    for _ in range(repeats):
        cpu, wall = time.process_time(), time.perf_counter()
        infer()
        times.append([
            1e3 * (time.process_time() - cpu),
            1e3 * (time.perf_counter() - wall)
        ])
    return times


# -- in MediaPipe's environment, which has NumPy but nothing of mmpose -------


def work(model: str, crop_file: str) -> None:
    """Answer each number of repeats with that many times."""
    package = importlib.util.find_spec('mediapipe')
    if package is None:
        raise SystemExit(f'{sys.executable} has no mediapipe')
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise SystemExit(f'{sys.executable}: {error}; pip install '
                         'ai-edge-litert') from error
    path = Path(package.submodule_search_locations[0],
                f'modules/hand_landmark/hand_landmark_{model}.tflite')
    if not path.is_file():
        raise SystemExit(f'{path} is not there; mediapipe 0.10.21 has it')
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    index = interpreter.get_input_details()[0]['index']
    interpreter.set_tensor(index, np.load(crop_file))
    measure(interpreter.invoke, WARM_UP)
    for repeats in questions():
        answer(measure(interpreter.invoke, repeats))


# -- here --------------------------------------------------------------------


def read_crops(args: argparse.Namespace) -> Tuple[object, np.ndarray]:
    """What to measure here, and MediaPipe's input, float32 (1, 224, 224, 3).

    Raises:
        SystemExit: If the image cannot be read.
    """
    from lgh_mmpose.geometry.crop import Crop
    from lgh_mmpose.inference.backends.exported import ExportedNetwork
    from lgh_mmpose.inference.crop import cut_out
    from lgh_mmpose.inference.images import read_image
    try:
        image = read_image(args.image)
    except OSError as error:
        raise SystemExit(f'cannot read the image {args.image}: '
                         f'{error.strerror}') from None
    except ValueError as error:
        raise SystemExit(str(error)) from None
    height, width = image.shape[:2]
    whole_image = args.bbox is None
    x, y, w, h = args.bbox or (0, 0, width, height)
    bbox = x, y, x + w, y + h
    network = ExportedNetwork(args.export, num_threads=1)
    info = network.info
    ours, _ = cut_out(
        image, bbox, info.crop, info.input_size, whole_image=whole_image)
    ours = np.ascontiguousarray(ours.transpose(2, 0, 1)[None])
    padding = info.crop.whole_image_padding if whole_image else \
        info.crop.padding
    theirs, _ = cut_out(image, bbox, Crop(padding), MODEL_INPUT)
    theirs = theirs[None, ..., ::-1].astype(np.float32) / 255
    return lambda: network(ours), theirs


def compare(args: argparse.Namespace) -> Dict[str, List[List[float]]]:
    """CPU and wall milliseconds of each inference, by model."""
    infer, crop = read_crops(args)
    measure(infer, WARM_UP)
    times = {'exported': []}
    workers = {}
    with tempfile.TemporaryDirectory() as folder:
        crop_file = Path(folder) / 'crop.npy'
        np.save(crop_file, crop)
        with contextlib.ExitStack() as stack:
            for model in MODELS:
                worker = Worker(args.mediapipe_python, __file__, '--work',
                                model, str(crop_file))
                workers[model] = stack.enter_context(worker)
                times[f'mediapipe_{model}'] = []
            for _ in range(args.rounds):
                times['exported'] += measure(infer, args.repeats)
                for model, worker in workers.items():
                    times[f'mediapipe_{model}'] += worker(args.repeats)
    return times


def summarize(times: Dict[str, List[List[float]]]) -> dict:
    """Medians, and how often faster the exported model is in CPU time."""
    medians = {name: np.median(t, axis=0) for name, t in times.items()}
    ours = medians['exported'][0]
    return dict(
        ms={
            name: float(cpu)
            for name, (cpu, _) in medians.items()
        },
        wall_ms={
            name: float(wall)
            for name, (_, wall) in medians.items()
        },
        ratio={
            f'exported_vs_{name}': float(cpu / ours)
            for name, (cpu, _) in medians.items() if name != 'exported'
        })


def table(summary: dict) -> str:
    lines = ['| network | CPU ms | wall ms | ratio |', '|---' * 4 + '|']
    for name, cpu in summary['ms'].items():
        ratio = summary['ratio'].get(f'exported_vs_{name}')
        lines.append(f'| {name} | {cpu:.2f} | {summary["wall_ms"][name]:.2f} '
                     f'| {f"{ratio:.1f}" if ratio else ""} |')
    return '\n'.join(lines)


def main() -> None:
    args = parse_args()
    summary = summarize(compare(args))
    print(table(summary))
    if args.json:
        from lgh_mmpose.fileio import write_json
        write_json(args.json, summary, indent=2)


if __name__ == '__main__':
    # this file also runs in MediaPipe's environment
    if sys.argv[1:2] == ['--work']:
        work(*sys.argv[2:])
    else:
        main()
