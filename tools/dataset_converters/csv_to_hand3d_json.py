"""Turn a folder of images and a csv file into json files for training.

See docs/how_to/train_on_your_own_data.md for the columns. Example::

    python tools/dataset_converters/csv_to_hand3d_json.py \
        my_hands/hands.csv my_hands/images data/own --eval-fraction 0.1
"""
import argparse
import csv
import math
import os
import os.path as osp
import sys
from typing import Dict, List, Optional, Tuple

import numpy as np
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from lgh_mmpose.datasets.base_hand3d import (check_bone_length,
                                             check_camera_matrix,
                                             check_hand_sizes, local_name,
                                             measure_bones, portable_name)
from lgh_mmpose.datasets.hand3d_json import Hand3DJsonDataset
from lgh_mmpose.fileio import check_not_read, write_json
from lgh_mmpose.geometry.camera import project
from lgh_mmpose.geometry.hand import SIDES
from lgh_mmpose.geometry.plausibility import UNITS, find_placement_fault
from lgh_mmpose.inference.images import ImageError, read_image_size

SPLITS = ('training', 'evaluation')
CAMERA = ('fx', 'fy', 'cx', 'cy')
BOX = ('bbox_x', 'bbox_y', 'bbox_w', 'bbox_h')
ROOT_JOINT = 'middle_finger1'  # that of configs/lgh_own-data.py
REFERENCE_BONE = ('middle_finger1', 'middle_finger2')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Turn a folder of images and a csv file into json files '
        'for Hand3DJsonDataset.')
    parser.add_argument('csv', help='csv file, a line for each hand')
    parser.add_argument('images', help='folder of the images')
    parser.add_argument(
        'out', help='folder to write training.json and evaluation.json to')
    parser.add_argument(
        '--unit',
        choices=UNITS,
        default='mm',
        help='of the joints and bone lengths (default: %(default)s)')
    parser.add_argument(
        '--camera',
        nargs=4,
        type=float,
        metavar=('FX', 'FY', 'CX', 'CY'),
        help='camera of all images in pixels, for a csv without these '
        'columns')
    parser.add_argument(
        '--eval-fraction',
        type=float,
        default=0.1,
        help='the last part of the images to evaluate on, for a csv without '
        'a column "split" (default: %(default)s); 0 for none')
    args = parser.parse_args()
    if not 0 <= args.eval_fraction < 1:
        parser.error('--eval-fraction must be from 0 to less than 1')
    return args


class Table:
    """A csv file whose errors name the line and the column."""

    def __init__(self, path: str) -> None:
        self.path = path
        with open(path, newline='', encoding='utf-8-sig') as file:
            reader = csv.DictReader(file)
            try:
                self.columns = list(reader.fieldnames or ())
                self.rows = [(reader.line_num, row) for row in reader]
            except UnicodeDecodeError as e:
                raise ValueError(
                    f'{path} is not in UTF-8, save it as that ({e})') from None
            except csv.Error as e:
                self.fail(reader.reader.line_num, f'is no csv ({e})')
        if not self.rows:
            raise ValueError(f'{path} has no line below the names of columns')
        for line, row in self.rows:
            # where DictReader puts what has no column
            if None in row:
                self.fail(
                    line,
                    f'has more cells than there are columns, the last is '
                    f'{row[None][-1][:100]!r}; write decimal points, and '
                    'quotes around a cell with a comma')

    def check_columns(self, required: List[str], optional: List[str]) -> None:
        """Raise a ValueError if columns are missing, unknown or twice."""
        for what, names in (('lacks the columns', [
                c for c in required if c not in self.columns
        ]), ('has unknown columns', [
                c for c in self.columns
                if c not in required and c not in optional
        ]), ('has columns twice',
             [c for c in self.columns if self.columns.count(c) > 1])):
            if names:
                raise ValueError(f'{self.path} {what} '
                                 f'{", ".join(names[:5])}'
                                 f'{" ..." if len(names) > 5 else ""}')

    def fail(self, line: int, why: str) -> None:
        raise ValueError(f'{self.path}, line {line}: {why}')

    def number(self, line: int, row: Dict[str, str],
               column: str) -> Optional[float]:
        """The number in a cell; None if it is empty."""
        cell = (row[column] or '').strip()
        if not cell:
            return None
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self.fail(line, f'{column} must be a number, got {cell!r}')
        return value

    def numbers(self, line: int, row: Dict[str, str], columns: Tuple[str, ...],
                what: str) -> Optional[List[float]]:
        """The numbers in several cells; None if all are empty."""
        values = [self.number(line, row, column) for column in columns]
        if all(value is None for value in values):
            return None
        if None in values:
            self.fail(line, f'{what} lacks {columns[values.index(None)]}')
        return values

    def choice(self, line: int, row: Dict[str, str], column: str,
               choices: Tuple[str, ...]) -> str:
        cell = (row[column] or '').strip()
        if cell not in choices:
            self.fail(line, f'{column} must be one of {choices}, got {cell!r}')
        return cell


class Converter:
    """Makes COCO images and annotations of the lines of a table."""

    def __init__(self, table: Table, args: argparse.Namespace) -> None:
        self.table = table
        self.args = args
        meta = parse_pose_metainfo(
            dict(from_file='configs/_base_/datasets/freihand2d.py'))
        self.names = [meta['keypoint_id2name'][i] for i in range(21)]
        xyz = [f'{name}_{axis}' for name in self.names for axis in 'xyz']
        self.pixels = [
            f'{name}_{axis}' for name in self.names for axis in 'uv'
        ]
        self.has_pixels = any(c in table.columns for c in self.pixels)
        camera = [] if args.camera else CAMERA
        required = ['image', 'hand_side', *camera, *xyz]
        if self.has_pixels:
            required += self.pixels
        self.has_box = any(c in table.columns for c in BOX)
        if self.has_box:
            required += BOX
        table.check_columns(required, ['bone_length', 'split'])
        self.images: Dict[str, dict] = {}

    def image(self, line: int, name: str) -> dict:
        """The COCO image of a file name."""
        name = local_name(name, self.args.images)
        if name not in self.images:
            path = osp.join(self.args.images, name)
            try:
                # upright and of a format that training reads
                width, height = read_image_size(path)
            except ImageError as e:
                self.table.fail(line, str(e))
            except OSError as e:
                self.table.fail(line, f'cannot read the image {path} ({e})')
            self.images[name] = dict(
                id=len(self.images),
                file_name=portable_name(path, self.args.out),
                width=width,
                height=height)
        return self.images[name]

    def annotation(self, line: int, row: Dict[str, str]) -> dict:
        """The COCO annotation of a line, whose number is its id."""
        table, scale = self.table, UNITS[self.args.unit]
        image = self.image(line, (row['image'] or '').strip())
        size = image['width'], image['height']
        camera_matrix = self.camera_matrix(line, row)
        # what the checks of data sets call a sample
        where, ids = f'{table.path}, line {line}', [row['image'].strip()]
        check_camera_matrix(camera_matrix[None], where, ids, np.array(size))
        xyz = np.zeros((len(self.names), 3))
        visible = np.zeros(len(self.names), dtype=bool)
        uv = np.zeros((len(self.names), 2))
        for i, name in enumerate(self.names):
            joint = table.numbers(line, row,
                                  tuple(f'{name}_{axis}' for axis in 'xyz'),
                                  name)
            if joint is None:
                continue
            if joint[2] <= 0:
                table.fail(
                    line, f'{name} is not in front of the camera: {name}_z '
                    'must be positive (x right, y down, z forwards)')
            visible[i] = True
            xyz[i] = np.multiply(joint, scale)
            if self.has_pixels:
                pixel = table.numbers(line, row, (f'{name}_u', f'{name}_v'),
                                      name)
                if pixel is None:
                    table.fail(line, f'{name} has no pixel')
                uv[i] = pixel
        if not visible.any():
            table.fail(line, 'no joint is annotated')
        if not visible[self.names.index(ROOT_JOINT)]:
            table.fail(
                line, f'{ROOT_JOINT} is not annotated; all depths are '
                'relative to it, so leave the line out')
        try:
            check_hand_sizes(xyz[None], where, self.names, ids, visible[None],
                             self.args.unit)
        except ValueError as error:
            raise ValueError(
                f'{error}; --unit tells the unit of the file') from None
        if not self.has_pixels:
            uv[visible] = project(xyz[visible], camera_matrix)
        annotation = dict(
            id=line,
            image_id=image['id'],
            category_id=1,
            iscrowd=0,
            hand_side=table.choice(line, row, 'hand_side', SIDES),
            camera_matrix=camera_matrix.tolist(),
            keypoints=np.column_stack([uv, 2 * visible]).ravel().tolist(),
            keypoints_cam=xyz.tolist(),
            bbox=self.box(line, row, uv[visible]))
        if 'bone_length' in table.columns:
            length = table.number(line, row, 'bone_length')
            if length is not None:
                measured = measure_bones(xyz[None], self.names, REFERENCE_BONE)
                if not visible[self.names.index(REFERENCE_BONE[1])]:
                    measured = None
                check_bone_length(
                    np.array([length * scale]), where, ids, REFERENCE_BONE,
                    measured, self.args.unit)
                annotation['bone_length'] = length * scale
        x, y, width, height = annotation['bbox']
        fault = find_placement_fault(size, (x, y, x + width, y + height),
                                     uv[visible])
        if fault is not None:
            table.fail(line, fault)
        annotation['area'] = width * height
        annotation['num_keypoints'] = int(visible.sum())
        return annotation

    def camera_matrix(self, line: int, row: Dict[str, str]) -> np.ndarray:
        """The camera of the table, or that of the command line."""
        camera = self.args.camera or self.table.numbers(
            line, row, CAMERA, 'the camera')
        if camera is None:
            self.table.fail(line, f'{", ".join(CAMERA)} are empty')
        fx, fy, cx, cy = camera
        if not min(fx, fy) > 0:
            self.table.fail(
                line, 'fx and fy must be positive, got '
                f'{fx:g} and {fy:g}')
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])

    def box(self, line: int, row: Dict[str, str],
            uv: np.ndarray) -> List[float]:
        """The box of the table, or that of the annotated joints."""
        box = self.has_box and self.table.numbers(line, row, BOX, 'the box')
        if not box:
            low, high = uv.min(0), uv.max(0)
            box = [*low.tolist(), *(high - low).tolist()]
        if min(box[2:]) <= 0:
            self.table.fail(line, f'the box has no area: {box}')
        return box

    def split(self, annotations: List[dict]) -> Dict[str, List[dict]]:
        """Annotations of each split; those of an image stay together."""
        table = self.table
        if 'split' in table.columns:
            of_image = {}
            for ann, (line, row) in zip(annotations, table.rows):
                split = table.choice(line, row, 'split', SPLITS)
                if of_image.setdefault(ann['image_id'], split) != split:
                    table.fail(line, f'image {row["image"]} is in both splits')
        else:
            # the last ones: neighbours in a video are all but the same image
            num_eval = round(self.args.eval_fraction * len(self.images))
            first = len(self.images) - num_eval
            of_image = {i: SPLITS[i >= first] for i in range(len(self.images))}
        return {
            split:
            [ann for ann in annotations if of_image[ann['image_id']] == split]
            for split in SPLITS
        }


def convert(args: argparse.Namespace) -> None:
    """Write the json files."""
    for split in SPLITS:
        check_not_read(
            osp.join(args.out, f'{split}.json'), [args.csv], 'the output')
    table = Table(args.csv)
    converter = Converter(table, args)
    annotations = [converter.annotation(line, row) for line, row in table.rows]
    category = dict(id=1, name='hand', keypoints=converter.names, skeleton=[])
    # what reads the files asks more of them, of all lines together, too
    reader = Hand3DJsonDataset(args.out, args.csv, lazy_init=True)
    reader.json_file = args.csv
    reader.read_content(
        dict(
            images=list(converter.images.values()),
            annotations=annotations,
            categories=[category]))
    for split, chosen in converter.split(annotations).items():
        path = osp.join(args.out, f'{split}.json')
        if not chosen:
            print(f'no image for {split}, so no {split}.json')
            if osp.exists(path):
                # its images may be in the other split now
                os.remove(path)
                print(f'removed the former {path}')
            continue
        used = {ann['image_id'] for ann in chosen}
        images = [i for i in converter.images.values() if i['id'] in used]
        content = dict(
            images=images, annotations=chosen, categories=[category])
        write_json(path, content)
        print(f'{path}: {len(chosen)} hands in {len(images)} images')


def main() -> int:
    try:
        convert(parse_args())
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
