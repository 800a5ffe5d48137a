"""Time and memory of building the index of FreiHAND-sized data sets.

Writes json files of the wanted size into a temporary folder and builds, each
in a process of its own, ``FreiHand3DDataset`` from the release's layout and
mmpose's COCO-style ``FreiHandDataset`` with as many samples. Memory is the
growth of the peak resident set over the imports.
"""
import argparse
import json
import os.path as osp
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

NUM_VERSIONS = 4


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--num-samples',
        type=int,
        default=130240,
        help='number of images; a quarter of them are unique samples')
    parser.add_argument(
        '--build', nargs=2, metavar=('KIND', 'ROOT'), help=argparse.SUPPRESS)
    return parser.parse_args()


def write_freihand(root: Path, num_unique: int) -> None:
    """Write random annotations in FreiHAND's layout, and four images."""
    rng = np.random.default_rng(0)
    camera = [[480., 0., 112.], [0., 480., 112.], [0., 0., 1.]]
    xyz = rng.normal([0, 0, .7], .03, (num_unique, 21, 3))
    image_dir = root / 'training' / 'rgb'
    image_dir.mkdir(parents=True)
    for name, data in (('K', [camera] * num_unique), ('xyz', xyz.tolist()),
                       ('scale', rng.uniform(.02, .04, num_unique).tolist())):
        (root / f'training_{name}.json').write_text(json.dumps(data))
    for version in range(NUM_VERSIONS):
        name = f'{num_unique * version:08d}.jpg'
        cv2.imwrite(str(image_dir / name), np.zeros((224, 224, 3), np.uint8))


def write_coco(root: Path, num_samples: int) -> None:
    """Write as many samples as mmpose's json of FreiHAND holds them."""
    rng = np.random.default_rng(0)
    keypoints = np.ones((num_samples, 21, 3))
    keypoints[..., :2] = rng.uniform(20, 200, (num_samples, 21, 2))
    images = [
        dict(
            id=i, file_name=f'training/rgb/{i:08d}.jpg', width=224, height=224)
        for i in range(num_samples)
    ]
    annotations = [
        dict(
            id=i,
            image_id=i,
            category_id=1,
            iscrowd=0,
            area=5e4,
            bbox=[0, 0, 224, 224],
            segmentation=None,
            keypoints=keypoints[i].reshape(-1).tolist())
        for i in range(num_samples)
    ]
    (root / 'coco.json').write_text(
        json.dumps(
            dict(
                images=images,
                annotations=annotations,
                categories=[dict(id=1, name='hand')])))


def build(kind: str, root: str) -> None:
    """Build one index and print its figures as json."""
    from mmpose.datasets import FreiHandDataset

    from lgh_mmpose.datasets import FreiHand3DDataset
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    if kind == 'ours':
        dataset = FreiHand3DDataset(data_root=root)
    else:
        dataset = FreiHandDataset(ann_file=osp.join(root, 'coco.json'))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    indices = range(0, len(dataset), max(1, len(dataset) // 2000))
    start = time.perf_counter()
    for index in indices:
        dataset.get_data_info(index)
    per_record = (time.perf_counter() - start) / len(indices)
    print(
        json.dumps(
            dict(
                samples=len(dataset),
                seconds=seconds,
                megabytes=(peak - before) / 1024,
                record_us=per_record * 1e6)))


def main():
    args = parse_args()
    if args.build:
        build(*args.build)
        return
    if args.num_samples < NUM_VERSIONS or args.num_samples % NUM_VERSIONS:
        raise SystemExit(f'--num-samples must be a multiple of {NUM_VERSIONS}')
    with tempfile.TemporaryDirectory() as folder:
        write_freihand(Path(folder), args.num_samples // NUM_VERSIONS)
        write_coco(Path(folder), args.num_samples)
        for kind, name in (('ours', 'FreiHand3DDataset (raw FreiHAND)'),
                           ('mmpose', 'FreiHandDataset (COCO style)')):
            result = subprocess.run(
                [sys.executable, __file__, '--build', kind, folder],
                stdout=subprocess.PIPE,
                check=True)
            figures = json.loads(result.stdout.splitlines()[-1])
            print(
                '{:34s} {samples} samples  {seconds:.2f} s  '
                '{megabytes:.0f} MB  {record_us:.0f} us per record'.format(
                    name, **figures),
                flush=True)


if __name__ == '__main__':
    main()
