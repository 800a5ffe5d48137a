"""Look at a data set before training on it, and check its geometry.

    python tools/misc/browse_dataset.py configs/lgh_freihand.py --not-show \\
        --output-dir browse

draws each sample after every transform with its joints, the box and the
camera's principal point, and in 3D. Of every sample is printed: how far the
joints in the image are from the projection of the 3D joints, the same in the
network's input after all transforms, and how far the decoded labels are from
the 3D joints. Samples with a fault (a joint off its projection or behind the
camera, bones that no hand has, units that are not mm, most joints outside) or
an image that cannot be read are named, and make the command fail at its end.
So do, of all samples, those whose image has not the annotated size, or whose
box or joints lie outside of it: these are counted by the headers of the
images.

    python tools/misc/browse_dataset.py data/studiohand --sheet sheet.jpg

draws many samples on one page and checks nothing; a folder that
make_studiohand.py has written may stand in the place of a config. Of whole
pictures (--layout coco) the boxes are drawn, red of left and green of right
hands, with the way from the wrist to the middle finger's knuckle.
"""
import argparse
import os.path as osp
from typing import Any, Dict, Iterator, List

import numpy as np
from mmengine.config import Config, DictAction

PHASES = dict(train='training', val='evaluation', test='evaluation')
MAX_NAMED = 10  # of the samples that do not fit their image


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'config', help='config file, or folder of a rendered data set')
    parser.add_argument('--output-dir', help='folder to save the pictures to')
    parser.add_argument(
        '--not-show', action='store_true', help='open no window')
    parser.add_argument(
        '--phase',
        choices=['train', 'test', 'val'],
        default='train',
        help='data set to browse (default: train)')
    parser.add_argument(
        '--mode',
        choices=['original', 'transformed', 'pipeline'],
        default='pipeline',
        help='what to draw: the annotation, the input of the network, or the '
        'sample after each transform (default: pipeline)')
    parser.add_argument(
        '--max-item-per-dataset',
        type=int,
        default=50,
        help='at most so many samples, spread over the data set (default: '
        '50)')
    parser.add_argument(
        '--show-interval',
        type=float,
        default=2,
        help='seconds for which a window stays (default: 2)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of the config, e.g. data_root=DIR')
    parser.add_argument(
        '--sheet',
        metavar='OUT.jpg',
        help='draw one page of samples, chosen at random, and nothing else')
    parser.add_argument(
        '--columns',
        type=int,
        default=12,
        help='pictures of a row of the sheet (default: %(default)s)')
    parser.add_argument(
        '--rows',
        type=int,
        default=8,
        help='rows of the sheet (default: %(default)s)')
    parser.add_argument(
        '--joints',
        choices=['half', 'all', 'none'],
        default='half',
        help='pictures of the sheet with their joints; half: like a '
        'chessboard (default: %(default)s)')
    parser.add_argument(
        '--tile',
        type=int,
        default=128,
        help='edge of a picture of the sheet in px (default: %(default)s)')
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        help='seed of the choice for the sheet (default: %(default)s)')
    args = parser.parse_args()
    for name in ('columns', 'rows', 'tile'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be 1 or more, not '
                         f'{getattr(args, name)}')
    if args.seed < 0:
        parser.error(f'--seed must be 0 or more, not {args.seed}')
    if args.max_item_per_dataset < 1:
        parser.error('--max-item-per-dataset must be 1 or more, not '
                     f'{args.max_item_per_dataset}')
    return args


def build_dataset(cfg: Config, phase: str) -> Any:
    """The data set of a phase, with its pipeline."""
    from mmengine.registry import init_default_scope
    from mmpose.registry import DATASETS

    import lgh_mmpose  # noqa: F401  (registers data sets and transforms)
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    loader = cfg.get(f'{phase}_dataloader')
    if loader is None:
        raise ValueError(f'the config has no {phase}_dataloader')
    return DATASETS.build(loader.dataset)


def find_layout(folder: str) -> Any:
    """Layout of a folder that make_studiohand.py has written; else None."""
    from lgh_mmpose.shards import find_shards, read_parameters
    parameters = read_parameters(next(iter(find_shards(folder)), folder))
    return None if parameters is None else parameters.get('layout')


def rendered_config(folder: str) -> Config:
    """A config of the data set in a folder, as make_studiohand.py names it."""
    from lgh_mmpose.shards import PARAMETERS_FILE
    types = dict(freihand='FreiHand3DDataset', rhd='Rhd3DDataset')
    layout = find_layout(folder)
    if layout not in types:
        raise ValueError(f'{folder} is no rendered data set: {PARAMETERS_FILE}'
                         ' is missing or damaged; give a config')
    return Config({
        f'{phase}_dataloader':
        dict(dataset=dict(type=types[layout], data_root=folder, split=split))
        for phase, split in PHASES.items()
    })


def choose(length: int, args: argparse.Namespace) -> List[int]:
    """Samples for a page."""
    count = min(args.columns * args.rows, length)
    return np.random.default_rng(args.seed).choice(
        length, count, replace=False).tolist()


def draw_sheet_of(dataset: Any, args: argparse.Namespace) -> None:
    """Write a page of samples."""
    from lgh_mmpose.fileio import write_image
    from lgh_mmpose.visualization.browse import draw_sheet
    chosen = choose(len(dataset), args)
    write_image(
        draw_sheet(dataset, chosen, args.columns, args.joints, args.tile),
        args.sheet)
    print(f'wrote {args.sheet}: {len(chosen)} of {len(dataset)} samples')


def draw_whole_sheet_of(folder: str, args: argparse.Namespace) -> None:
    """Write a page of whole pictures."""
    from lgh_mmpose.fileio import write_image
    from lgh_mmpose.visualization.browse import (draw_whole_sheet,
                                                 read_whole_pictures)
    if args.sheet is None:
        raise ValueError(f'{folder} holds whole pictures, of which nothing '
                         'but a page can be drawn; give --sheet')
    pictures = read_whole_pictures(folder, PHASES[args.phase])
    if not pictures:
        raise ValueError(f'{folder} has no {PHASES[args.phase]} pictures')
    chosen = [pictures[i] for i in choose(len(pictures), args)]
    write_image(
        draw_whole_sheet(chosen, args.columns, args.joints, args.tile),
        args.sheet)
    print(f'wrote {args.sheet}: {len(chosen)} of {len(pictures)} samples')


def spread(length: int, count: int) -> Iterator[int]:
    """Indices all over the data set, in order."""
    count = min(length, count)
    return (i * length // count for i in range(count))


def check_all(dataset: Any) -> Dict[int, str]:
    """Faults of the annotations against the headers of all images."""
    from tqdm import tqdm

    from lgh_mmpose.visualization.browse import check_annotation
    faults = {}
    for index in tqdm(range(len(dataset)), 'images', leave=False):
        fault = check_annotation(dataset, index)
        if fault is not None:
            faults[index] = fault
            if len(faults) <= MAX_NAMED:
                record = dataset.get_data_info(index)
                tqdm.write(f'{index:7d}  {record["img_path"]}: {fault}')
    if len(faults) > MAX_NAMED:
        print(f'         and {len(faults) - MAX_NAMED} more')
    print(f'{len(faults)} of {len(dataset)} annotations do not fit their '
          'image (size, box or joints)')
    return faults


def describe(check: Any) -> str:
    figures = [('image', check.reprojection_px, 'px'),
               ('input', check.warp_px, 'px'),
               ('labels', check.decoded_mm, 'mm')]
    parts = [
        f'{name} {value:.1e} {unit}' for name, value, unit in figures
        if value is not None
    ]
    return ', '.join([*parts, f'outside {check.outside:.0%}'])


def browse(args: argparse.Namespace) -> int:
    """Draw and check; returns the number of samples with something wrong."""
    from mmengine.runner import set_random_seed

    from lgh_mmpose.config import config_errors, load_config, merge_cfg_options
    from lgh_mmpose.datasets.unreadable import UnreadableImageError
    from lgh_mmpose.fileio import fit_name, write_image
    from lgh_mmpose.visualization.browse import (check_sample, draw_sample,
                                                 trace_sample)
    if osp.isdir(args.config) and find_layout(args.config) == 'coco':
        draw_whole_sheet_of(args.config, args)
        return 0
    cfg = rendered_config(args.config) if osp.isdir(args.config) else \
        load_config(args.config)
    if args.cfg_options is not None:
        merge_cfg_options(cfg, args.cfg_options)
    with config_errors(args.config):
        dataset = build_dataset(cfg, args.phase)
    if args.sheet is not None:
        draw_sheet_of(dataset, args)
        return 0
    set_random_seed(cfg.get('randomness', {}).get('seed', 0))
    window = None
    if not args.not_show:
        from mmengine.visualization import Visualizer
        window = Visualizer()
    misplaced = check_all(dataset)
    faulty = unreadable = seen = 0
    for index in spread(len(dataset), args.max_item_per_dataset):
        seen += 1
        if index in misplaced:  # told already; the pipeline may refuse it
            continue
        try:
            sample = trace_sample(dataset, index)
        except UnreadableImageError as error:
            unreadable += 1
            print(f'{index:7d}  UNREADABLE: {error.path} (sample '
                  f'{error.sample_id}): {error.fault}')
            continue
        check = check_sample(sample)
        name = osp.basename(str(sample.record['img_path']))
        print(f'{index:7d}  {name}: {describe(check)}')
        for fault in check.faults:
            print(f'         FAULT: {fault}')
        faulty += bool(check.faults)
        if args.output_dir is None and window is None:
            continue
        picture = draw_sample(sample, args.mode)
        if args.output_dir is not None:
            stem = osp.splitext(name)[0]
            write_image(
                picture,
                osp.join(args.output_dir,
                         fit_name(f'{index:07d}_{stem}', '.png')))
        if window is not None:
            window.show(picture, name, args.show_interval)
    print(f'{seen} of {len(dataset)} samples, {faulty} with a fault, '
          f'{unreadable} unreadable')
    if args.output_dir is not None:
        print(f'wrote {args.output_dir}')
    return faulty + unreadable + len(misplaced)


def main() -> None:
    args = parse_args()
    try:
        wrong = browse(args)
    except (OSError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None
    raise SystemExit(1 if wrong else 0)


if __name__ == '__main__':
    main()
