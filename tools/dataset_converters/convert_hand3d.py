"""Convert the data sets of a config to the json of one's own data, or to
FreiHAND's layout.

Examples::

    python tools/dataset_converters/convert_hand3d.py \
        configs/lgh_stb.py data/stb_json --layout json
    python tools/dataset_converters/convert_hand3d.py \
        configs/lgh_own-data.py data/own_freihand --layout freihand
"""
import argparse
import os.path as osp
import sys
from typing import Iterator, List, Optional, Sequence, Tuple

import numpy as np
from mmengine.config import Config, DictAction
from mmengine.dataset import Compose
from mmpose.registry import DATASETS
from mmpose.utils import register_all_modules
from tqdm import tqdm

from lgh_mmpose.config import merge_cfg_options
from lgh_mmpose.datasets.base_hand3d import (find_annotation_fault,
                                             portable_name)
from lgh_mmpose.datasets.freihand3d import FREIHAND_JOINTS, FreiHand3DDataset
from lgh_mmpose.datasets.hand3d_json import Hand3DJsonDataset
from lgh_mmpose.fileio import (put_in_place, unfinished_directory, write_image,
                               write_json)
from lgh_mmpose.inference.images import ImageError, read_image_size

# data loader of the config -> name of the split in both layouts
SPLITS = dict(train_dataloader='training', test_dataloader='evaluation')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Convert the training and test data sets of a config.')
    parser.add_argument('config', help='config of the data sets')
    parser.add_argument('out', help='folder to create')
    parser.add_argument(
        '--layout',
        choices=['json', 'freihand'],
        required=True,
        help='json: training.json and evaluation.json for Hand3DJsonDataset, '
        'which refer to the images where they are; freihand: crops of the '
        'hands, left ones mirrored, in the layout of FreiHAND v2')
    parser.add_argument(
        '--splits',
        nargs='+',
        choices=SPLITS.values(),
        help='those to convert (default: all of the config)')
    parser.add_argument(
        '--size',
        type=int,
        default=224,
        help='freihand: side of the images in pixels (default: %(default)s)')
    parser.add_argument(
        '--padding',
        type=float,
        default=1.25,
        help='freihand: side of the crop over that of the box '
        '(default: %(default)s)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of the config, e.g. data_root=DIR')
    return parser.parse_args()


def without_pipelines(dataset: dict) -> dict:
    """A data set that gives records, wrapped data sets likewise."""
    dataset.pipeline = []
    for part in dataset.get('datasets', []):
        without_pipelines(part)
    return dataset


def describe(record: dict) -> str:
    return f'sample {record.get("id")} ({record.get("img_path")})'


def read_records(dataset) -> Iterator[dict]:
    """Records of a data set with the ``image_size`` of each.

    They are checked for 3D joints of one order, and against their images.

    Raises:
        OSError: If an image cannot be read.
        ValueError: If a sample has no 3D joints, no names, or other ones than
            the first sample, or its image is not the one that was annotated.
    """
    first = None
    for i in tqdm(range(len(dataset)), leave=False):
        record = dataset.get_data_info(i)
        lacking = [
            key for key in ('keypoints_cam', 'keypoint_names', 'camera_matrix',
                            'hand_side') if key not in record
        ]
        if lacking:
            raise ValueError(f'{describe(record)} has no '
                             f'{", ".join(lacking)}: only data sets with 3D '
                             'joints in the camera frame can be converted')
        first = first or record
        if record['keypoint_names'] != first['keypoint_names']:
            raise ValueError(
                f'{describe(record)} has its joints in another order than '
                f'{describe(first)}: give the data sets the same metainfo')
        try:
            # upright, as the pixels are read
            record['image_size'] = read_image_size(record['img_path'])
        except ImageError as error:
            raise ValueError(f'{describe(record)}: {error}') from error
        fault = find_annotation_fault(record, record['image_size'])
        if fault is not None:
            raise ValueError(f'{describe(record)}: {fault}')
        yield record


def to_json(dataset, path: str) -> str:
    """Write the json that ``Hand3DJsonDataset`` reads."""
    images, annotations, names = {}, [], None
    for record in read_records(dataset):
        names = record['keypoint_names']
        img_path = record['img_path']
        if img_path not in images:
            width, height = record['image_size']
            images[img_path] = dict(
                id=len(images),
                file_name=portable_name(img_path, osp.dirname(path)),
                width=width,
                height=height)
        annotated = record['keypoints_visible'][0] > 0
        # RHD tells which joints are in sight
        in_sight = record.get('keypoints_in_sight', annotated[None])[0] > 0
        flags = np.where(annotated, 1 + in_sight, 0)
        known = annotated[:, None]
        x1, y1, x2, y2 = record['bbox'][0].tolist()
        annotation = dict(
            id=len(annotations),
            image_id=images[img_path]['id'],
            category_id=1,
            iscrowd=0,
            hand_side=record['hand_side'],
            camera_matrix=record['camera_matrix'].tolist(),
            keypoints=np.column_stack(
                [np.where(known, record['keypoints'][0], 0),
                 flags]).ravel().tolist(),
            num_keypoints=int(annotated.sum()),
            keypoints_cam=np.where(known, record['keypoints_cam'][0],
                                   0).tolist(),
            bbox=[x1, y1, x2 - x1, y2 - y1],
            area=(x2 - x1) * (y2 - y1))
        if 'bone_length' in record:
            annotation['bone_length'] = record['bone_length']
        annotations.append(annotation)
    category = dict(id=1, name='hand', keypoints=names, skeleton=[])
    content = dict(
        images=list(images.values()),
        annotations=annotations,
        categories=[category])
    write_json(path, content)
    return f'{path}: {len(annotations)} hands in {len(images)} images'


def joint_order(names: Sequence[str]) -> List[int]:
    """Where FreiHAND's joints stand among the names.

    Raises:
        ValueError: If one is missing.
    """
    missing = [name for name in FREIHAND_JOINTS if name not in names]
    if missing:
        raise ValueError(f'FreiHAND has the joint {missing[0]}, the data set '
                         f'has only {", ".join(names)}')
    return [names.index(name) for name in FREIHAND_JOINTS]


def to_right_hand(crop: dict) -> Tuple[np.ndarray, np.ndarray]:
    """Camera of a crop and joints in metres, as of a right hand.

    A crop mirrors left hands by a negative focal length; mirroring x of the
    camera frame instead gives the same pixels.
    """
    mirror = np.diag([-1. if crop['flip'] else 1., 1., 1.])
    order = joint_order(crop['keypoint_names'])
    xyz = crop['keypoints_cam'][0, order] @ mirror / 1000
    return crop['warp_mat'] @ crop['camera_matrix'] @ mirror, xyz


def to_freihand(dataset, root: str, split: str, size: int,
                padding: float) -> str:
    """Write a split in FreiHAND's layout.

    Raises:
        ValueError: If a sample lacks a joint or the length of its bone.
    """
    make_crop = Compose([
        dict(type='LoadHandImage'),
        dict(type='mmpose.GetBBoxCenterScale', padding=padding),
        dict(type='mmpose.TopdownAffineCamera', input_size=(size, size)),
        dict(type='mmpose.CanonicalizeHandSide', side='right'),
    ])
    cameras, hands, lengths = [], [], []
    for record in read_records(dataset):
        if not (record['keypoints_visible'] > 0).all():
            names = np.array(record['keypoint_names'])
            lacking = names[record['keypoints_visible'][0] == 0]
            raise ValueError(f'{describe(record)} has no {lacking[0]}: '
                             'FreiHAND\'s layout has no place for joints '
                             'without annotation, use --layout json')
        if 'bone_length' not in record:
            raise ValueError(f'{describe(record)} has no bone length')
        crop = make_crop(record)
        camera, xyz = to_right_hand(crop)
        write_image(crop['img'][..., ::-1],
                    osp.join(root, split, 'rgb', f'{len(hands):08d}.jpg'))
        cameras.append(camera.tolist())
        hands.append(xyz.tolist())
        lengths.append(record['bone_length'] / 1000)
    for name, data in (('K', cameras), ('xyz', hands), ('scale', lengths)):
        write_json(osp.join(root, f'{split}_{name}.json'), data)
    return f'{split}: {len(hands)} images of {size}x{size} px'


def build(cfg: Config, loader: str) -> Optional[object]:
    dataset = cfg.get(loader) and cfg[loader].get('dataset')
    return dataset and DATASETS.build(without_pipelines(dataset))


def convert(args: argparse.Namespace) -> None:
    """Write the folder, whole or not at all."""
    out = osp.abspath(args.out)
    if osp.exists(out):
        raise FileExistsError(f'{args.out} exists already: remove it or '
                              'choose another folder')
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        merge_cfg_options(cfg, args.cfg_options)
    register_all_modules()
    # beside its final place, so that relative paths hold
    with unfinished_directory(out) as unfinished:
        reports = []
        for loader, split in SPLITS.items():
            if args.splits and split not in args.splits:
                continue
            dataset = build(cfg, loader)
            if dataset is None:
                continue
            if args.layout == 'json':
                path = osp.join(unfinished, f'{split}.json')
                reports.append(to_json(dataset, path))
                # what will read it asks more of it
                Hand3DJsonDataset(
                    unfinished,
                    f'{split}.json',
                    metainfo=cfg[loader].dataset.get('metainfo'),
                    test_mode=True)
            else:
                reports.append(
                    to_freihand(dataset, str(unfinished), split, args.size,
                                args.padding))
                FreiHand3DDataset(unfinished, split, test_mode=True)
        if not reports:
            raise ValueError(f'{args.config} has no data set to convert')
        put_in_place(unfinished, out)
    print('\n'.join(reports).replace(str(unfinished), args.out))


def main() -> int:
    args = parse_args()
    try:
        convert(args)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
