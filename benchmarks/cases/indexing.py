"""Cases of indexing: what it takes to list the samples of a data set."""
import contextlib
import io
import json
from pathlib import Path

import cv2
import numpy as np

from ..timing import Case

NUM_VERSIONS = 4  # of each image in FreiHAND's training set


def write_freihand(root: Path, num_unique: int) -> None:
    """Write hands that differ a little in FreiHAND's layout, and four images.
    """
    rng = np.random.default_rng(0)
    camera = [[480., 0., 112.], [0., 480., 112.], [0., 0., 1.]]
    # a flat hand: straight fingers from the wrist
    angles = np.deg2rad([-50., -14., 0., 13., 26.])
    ends = np.cumsum([.09, .045, .027, .018])
    hand = np.zeros((21, 3))
    directions = np.stack([np.sin(angles), -np.cos(angles)], axis=-1)
    hand[1:, :2] = (directions[:, None] * ends[:, None]).reshape(20, 2)
    xyz = rng.normal(hand + [0, .05, .7], .002, (num_unique, 21, 3))
    # of the middle finger's first bone, which the data set compares
    bones = np.linalg.norm(xyz[:, 10] - xyz[:, 9], axis=-1)
    image_dir = root / 'training' / 'rgb'
    image_dir.mkdir(parents=True)
    for name, data in (('K', [camera] * num_unique), ('xyz', xyz.tolist()),
                       ('scale', bones.tolist())):
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
    with open(root / 'coco.json', 'w') as file:
        json.dump(
            dict(
                images=images,
                annotations=annotations,
                categories=[dict(id=1, name='hand')]), file)


def index(kind: str, root: Path, num_samples: int) -> Case:
    """Building ``FreiHand3DDataset`` or mmpose's ``FreiHandDataset``."""
    folder = root / f'index_{kind}_{num_samples}'

    def prepare():
        folder.mkdir()
        if kind == 'ours':
            write_freihand(folder, num_samples // NUM_VERSIONS)
        else:
            write_coco(folder, num_samples)

    def setup():
        from mmpose.datasets import FreiHandDataset

        from lgh_mmpose.datasets import FreiHand3DDataset

        def call():
            with contextlib.redirect_stdout(io.StringIO()):
                if kind == 'ours':
                    return FreiHand3DDataset(data_root=str(folder))
                return FreiHandDataset(ann_file=str(folder / 'coco.json'))

        return call

    return Case(setup, num_samples, prepare=prepare)
