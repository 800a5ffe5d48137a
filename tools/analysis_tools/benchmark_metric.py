"""Time and memory of a config's metrics, beside the time of its network.

Runs the untrained network of a config on noise in FreiHAND's layout, feeds
what it predicts to the config's test_evaluator as a test of so many samples
would, and prints the time of the metrics (taking up each batch, and the scores
in the end) as a share of the network's forward pass. Memory is the growth of
the peak resident set from the first batch to the scores, each number of
samples in a process of its own.
"""
import argparse
import copy
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import List, Tuple

import cv2
import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope

import lgh_mmpose  # noqa: F401  (registers the components)
from lgh_mmpose.config import merge_cfg_options, set_data_root

REPO = Path(__file__).resolve().parents[2]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'config',
        nargs='?',
        default=REPO / 'configs' / 'lgh_freihand.py',
        help='config that is tested on FreiHAND (default: lgh_freihand.py)')
    parser.add_argument(
        '--num-samples',
        type=int,
        nargs='+',
        default=[1000, 3960],
        help="numbers of samples (default: 1000 3960, the latter FreiHAND's)")
    parser.add_argument('--batch-size', type=int, default=8)
    parser.add_argument(
        '--repeats',
        type=int,
        default=5,
        help='forward passes, of which the median counts (default: 5)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='override settings of the config, e.g. '
        'test_evaluator.0.protocol=rhd')
    return parser.parse_args()


def write_freihand(root: Path, num_samples: int) -> None:
    """Write images of noise with random hands in FreiHAND's layout."""
    rng = np.random.default_rng(0)
    camera = [[480., 0., 112.], [0., 480., 112.], [0., 0., 1.]]
    xyz = rng.normal([0, 0, .7], .03, (num_samples, 21, 3))
    images = root / 'evaluation' / 'rgb'
    images.mkdir(parents=True)
    for name, data in (('K', [camera] * num_samples), ('xyz', xyz.tolist()),
                       ('scale', [.03] * num_samples)):
        (root / f'evaluation_{name}.json').write_text(json.dumps(data))
    for i in range(num_samples):
        cv2.imwrite(
            str(images / f'{i:08d}.jpg'),
            rng.integers(0, 256, (224, 224, 3), dtype=np.uint8))


def run_network(cfg: Config, batch_size: int,
                repeats: int) -> Tuple[float, list, dict]:
    """Seconds per sample, data samples of a batch, metainfo."""
    from mmpose.registry import DATASETS, MODELS
    with tempfile.TemporaryDirectory() as folder:
        write_freihand(Path(folder), batch_size)
        set_data_root(cfg, folder)
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
        batch = pseudo_collate([dataset[i] for i in range(batch_size)])
    model = MODELS.build(cfg.model).eval()
    with torch.no_grad():
        samples = model.test_step(batch)  # warms up, too
        data = model.data_preprocessor(batch)
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            model(data['inputs'], data['data_samples'], mode='tensor')
            seconds.append(time.perf_counter() - start)
    return np.median(seconds) / batch_size, samples, dataset.metainfo


def run_metric(cfg: Config, batch: list, metainfo: dict,
               num_samples: int) -> Tuple[float, float, float]:
    """Seconds of process() and of evaluate(), peak memory in MB."""
    evaluator = Evaluator(cfg.test_evaluator)
    evaluator.dataset_meta = metainfo

    def peak_kilobytes() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    processing = 0.
    before = peak_kilobytes()
    for begin in range(0, num_samples, len(batch)):
        samples: List = copy.deepcopy(batch[:num_samples - begin])
        for i, sample in enumerate(samples):
            sample.set_metainfo(dict(id=begin + i))
        start = time.perf_counter()
        evaluator.process(samples)
        processing += time.perf_counter() - start
    start = time.perf_counter()
    evaluator.evaluate(num_samples)
    scoring = time.perf_counter() - start
    return processing, scoring, (peak_kilobytes() - before) / 1024


def main() -> None:
    args = parse_args()
    cfg = Config.fromfile(args.config)
    merge_cfg_options(cfg, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    network, batch, metainfo = run_network(cfg, args.batch_size, args.repeats)
    print(f'network: {1000 * network:.2f} ms per sample, batches of '
          f'{args.batch_size}, {torch.get_num_threads()} threads')
    # forked: starting from the same memory, with the predictions at hand
    context = multiprocessing.get_context('fork')
    for num_samples in args.num_samples:
        with context.Pool(1) as pool:
            processing, scoring, megabytes = pool.apply(
                run_metric, (cfg, batch, metainfo, num_samples))
        share = (processing + scoring) / num_samples / network
        print(
            f'{num_samples} samples: process {1000 * processing:.0f} ms + '
            f'evaluate {1000 * scoring:.0f} ms, '
            f'{1e6 * (processing + scoring) / num_samples:.0f} us per sample, '
            f'{100 * share:.2f} % of the network; peak memory '
            f'+{megabytes:.1f} MB',
            flush=True)


if __name__ == '__main__':
    main()
