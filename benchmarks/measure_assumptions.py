"""What HandInferencer's assumptions cost on a test set with known truth.

Runs it on the right hands of a set in FreiHAND's layout, with and without
their cameras and bone lengths, and asks hand_side='auto' for the side of each
image and of its mirror image, which shows a left hand:

    python benchmarks/measure_assumptions.py CONFIG CHECKPOINT data/studiohand

Errors are means over joints and images in mm: root-aligned, and after the best
similarity transform (PA). The distance is that of the root from the camera, as
a share of the true one: the median of the ratio, and half the width of the
range that holds two thirds of them.
"""
import argparse

import numpy as np


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of the model')
    parser.add_argument('checkpoint', help='its weights')
    parser.add_argument('data_root', help="data set in FreiHAND's layout")
    parser.add_argument(
        '--num-images',
        type=int,
        default=500,
        help='take so many images (default: 500)')
    parser.add_argument('--device', default='cpu')
    return parser.parse_args()


def measure(args: argparse.Namespace) -> None:
    from lgh_mmpose.apis import HandInferencer
    from lgh_mmpose.datasets import FreiHand3DDataset
    from lgh_mmpose.inference.images import read_image
    dataset = FreiHand3DDataset(
        data_root=args.data_root, split='evaluation', test_mode=True)
    samples = [
        dataset.get_data_info(i)
        for i in range(min(args.num_images, len(dataset)))
    ]
    images = [read_image(sample['img_path']) for sample in samples]
    inferencer = HandInferencer(
        args.config, args.checkpoint, args.device, hand_side='right')

    print(f'{len(samples)} images')
    print('camera   bone length  root-aligned    PA  distance')
    for camera in ('given', 'assumed'):
        for bone in ('given', 'average'):
            print(f'{camera:8} {bone:12}' +
                  errors(inferencer, samples, images, camera, bone))

    auto = HandInferencer(args.config, args.checkpoint, args.device)
    mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in images]
    for side, pictures in (('right', images), ('left', mirrored)):
        found = [frame['hands'][0]['hand_side'] for frame in auto(pictures)]
        hits = np.mean([name == side for name in found])
        print(f'{side} hands called {side}: {100 * hits:.1f} %')


def errors(inferencer, samples: list, images: list, camera: str,
           bone: str) -> str:
    """One row of the table."""
    from lgh_mmpose.evaluation.functional import (keypoint_errors,
                                                  procrustes_align, root_align)
    frames = (next(
        inferencer(
            image,
            camera_matrix=sample['camera_matrix']
            if camera == 'given' else None,
            bone_length=float(sample['bone_length'])
            if bone == 'given' else None))
              for sample, image in zip(samples, images))
    pred = np.array([frame['hands'][0]['keypoints_cam'] for frame in frames])
    truth = np.array([sample['keypoints_cam'][0] for sample in samples])
    root = 9
    low, middle, high = np.quantile(pred[:, root, 2] / truth[:, root, 2],
                                    [1 / 6, .5, 5 / 6])
    mean_errors = [
        keypoint_errors(aligned, truth).mean()
        for aligned in (root_align(pred, truth, root),
                        procrustes_align(pred, truth))
    ]
    return (f'{mean_errors[0]:13.1f}{mean_errors[1]:6.1f}'
            f'{100 * middle:7.0f} % +- {50 * (high - low):.0f} %')


def main() -> None:
    args = parse_args()
    try:
        measure(args)
    except (ValueError, OSError) as error:
        raise SystemExit(f'error: {error}') from None


if __name__ == '__main__':
    main()
