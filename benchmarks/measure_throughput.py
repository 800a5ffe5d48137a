"""Pictures a second from file to JSON, by backend, in one run.

    python benchmarks/measure_throughput.py configs/lgh_studiohand.py

Takes a folder of JPEGs and a film through the whole pipeline (decoding, crop,
network, geometry, JSON), one hand a picture, with batches of 1 and 8: with the
config's model on torch, and with what ONNX Runtime and OpenVINO make of it in
fp32. Prints the median of several turns, the backends taking turns, and the
ratio to torch. Weights are random, which does not change the speed.
"""
import argparse
import io
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import cv2
import numpy as np

BACKENDS = ('torch', 'onnx', 'openvino')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of the network')
    parser.add_argument(
        '--num', type=int, default=64, help='number of pictures (default: 64)')
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=(640, 480),
        metavar=('W', 'H'),
        help='size of the pictures, px (default: 640 480)')
    parser.add_argument(
        '--turns',
        type=int,
        default=5,
        help='turns, of which the median counts (default: 5)')
    parser.add_argument(
        '--threads',
        type=int,
        default=1,
        help='threads of the network (default: 1)')
    args = parser.parse_args()
    for name in ('num', 'turns', 'threads'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1')
    return args


def write_pictures(folder: Path, num: int, size: Tuple[int,
                                                       int]) -> Dict[str, str]:
    """A folder of JPEGs and a film of the same pictures."""
    generator = np.random.default_rng(0)
    (folder / 'pictures').mkdir()
    film = cv2.VideoWriter(
        str(folder / 'film.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 25, size)
    noise = generator.integers(0, 256, (size[1] // 8, size[0] // 8, 3),
                               np.uint8)
    for i in range(num):
        picture = cv2.resize(np.roll(noise, i, axis=1), size)
        cv2.imwrite(str(folder / f'pictures/{i:04d}.jpg'), picture)
        film.write(picture)
    film.release()
    return dict(folder=str(folder / 'pictures'), film=str(folder / 'film.mp4'))


def open_backends(config: str, folder: Path,
                  threads: int) -> Dict[str, object]:
    """The network on each backend."""
    import torch
    from mmpose.apis import init_model

    from lgh_mmpose.apis import crop_of_config
    from lgh_mmpose.config import load_config
    from lgh_mmpose.deployment import export
    from lgh_mmpose.inference.backends import open_network
    torch.manual_seed(0)
    cfg = load_config(config)
    model = init_model(cfg, None, 'cpu')
    torch.save(dict(state_dict=model.state_dict(), meta={}), folder / 'w.pth')
    networks = dict(
        torch=open_network(config, str(folder / 'w.pth'), num_threads=threads))
    for backend in BACKENDS[1:]:
        export(
            model, folder / backend, backend, 'fp32', crop=crop_of_config(cfg))
        networks[backend] = open_network(folder / backend, num_threads=threads)
    return networks


def measure(runs: Dict[str, Callable[[], None]],
            turns: int) -> Dict[str, List[float]]:
    """Seconds of each turn; one turn before them does not count."""
    seconds = {name: [] for name in runs}
    for turn in range(turns + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def main() -> None:
    args = parse_args()
    import logging

    import lgh_mmpose.apis  # noqa: F401  before mmpose
    from lgh_mmpose.inference.pipeline import HandPose
    from lgh_mmpose.inference.writing import JsonLinesWriter
    logging.getLogger('lgh_mmpose').setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs = write_pictures(folder, args.num, tuple(args.size))
        networks = open_backends(args.config, folder, args.threads)

        def run(backend: str, source: str, batch_size: int) -> None:
            hand_pose = HandPose(
                networks[backend],
                hand_side='right',
                batch_size=batch_size,
                track=False)
            writer = JsonLinesWriter(io.StringIO())
            num = 0
            for hands in hand_pose(source):
                writer.write(hands.to_dict())
                num += len(hands)
            if num != args.num:
                raise RuntimeError(f'{num} hands in {args.num} pictures')

        width, height = args.size
        print(f'{args.config}, {args.num} pictures of {width} x {height} px, '
              f'{args.threads} thread(s), median of {args.turns} turns')
        print('| input | batch | ' + ' | '.join(BACKENDS) +
              ' | over torch |\n|---|---|---|---|---|---|')
        for kind, source in inputs.items():
            for batch_size in (1, 8):
                seconds = measure(
                    {
                        backend: partial(run, backend, source, batch_size)
                        for backend in BACKENDS
                    }, args.turns)
                speed = {
                    backend: args.num / statistics.median(values)
                    for backend, values in seconds.items()
                }
                ratios = ', '.join(f'{speed[b] / speed["torch"]:.2f}'
                                   for b in BACKENDS[1:])
                print(f'| {kind} | {batch_size} | ' +
                      ' | '.join(f'{speed[b]:.0f}/s'
                                 for b in BACKENDS) + f' | {ratios} |')


if __name__ == '__main__':
    main()
