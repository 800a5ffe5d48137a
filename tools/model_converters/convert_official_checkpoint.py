"""Convert the authors' released weights to ours, or back.

    python tools/model_converters/convert_official_checkpoint.py SRC DST
    python tools/test.py configs/lgh_rhd_official.py DST

Strict: a missing, surplus or wrongly shaped weight is named, and then nothing
is written. Files are read with torch's safe loader.
"""
import argparse
import io
import re
import sys
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

import torch
from mmengine.config import Config

import lgh_mmpose
from lgh_mmpose.checkpoint import read_checkpoint
from lgh_mmpose.fileio import atomic_write, check_not_read
from lgh_mmpose.models.official_weights import (check_weights, from_official,
                                                official_weights_of,
                                                our_weights_of, to_official)

CONFIG = Path(__file__).parents[2] / 'configs/lgh_rhd_official.py'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Convert a checkpoint of the authors' release "
        '(model_state_dict, Temperature) into one for '
        'configs/lgh_rhd_official.py.')
    parser.add_argument('src', help='checkpoint to read')
    parser.add_argument('dst', help='checkpoint to write')
    parser.add_argument(
        '--num-groups',
        type=int,
        help='number of groups that the checkpoint must have (default: as '
        'many as it has)')
    parser.add_argument(
        '--reverse',
        action='store_true',
        help="convert one of our checkpoints into the release's format")
    return parser.parse_args()


def build_model(num_groups: int, fusion: bool) -> torch.nn.Module:
    """The network of ``configs/lgh_rhd_official.py`` for G groups."""
    # only once lgh_mmpose lets it run under mmcv-lite
    from mmpose.apis import init_model
    cfg = Config.fromfile(CONFIG)
    for part in (cfg.model.neck, cfg.model.head):
        part.num_groups = num_groups
    if not fusion:
        cfg.model.neck.fusion = None
    return init_model(cfg, device='cpu')


def check_num_groups(found: int, wanted: Optional[int]) -> None:
    if found == 0:
        raise ValueError('the checkpoint has no selector and no groups')
    if wanted not in (None, found):
        raise ValueError(f'the checkpoint has {found} groups, not the '
                         f'{wanted} of --num-groups')


def convert(checkpoint: Any, num_groups: Optional[int]) -> Dict[str, Any]:
    """The release's checkpoint as one of ours."""
    weights = official_weights_of(checkpoint)
    groups = {
        match[1]
        for match in (re.match(r'b_\w+\.(\d+)\.', name) for name in weights)
        if match
    }
    check_num_groups(len(groups), num_groups)
    fusion = any(name.startswith('nddr_') for name in weights)
    model = build_model(len(groups), fusion)
    return dict(
        state_dict=from_official(checkpoint, model.state_dict()),
        meta=dict(
            dataset_meta=model.dataset_meta,
            lgh_mmpose_version=lgh_mmpose.__version__))


def convert_back(checkpoint: Any, num_groups: Optional[int]) -> Dict[str, Any]:
    """One of our checkpoints as the release's."""
    weights = our_weights_of(checkpoint)
    logits = weights.get('head.selector.logits')
    found = logits.shape[1] if getattr(logits, 'ndim', 0) == 2 else 0
    check_num_groups(found, num_groups)
    fusion = any(name.startswith('neck.fusion.') for name in weights)
    check_weights(weights, build_model(found, fusion).state_dict())
    return to_official(weights)


def describe(converted: Mapping[str, Any]) -> str:
    """What was converted, and the config options that it needs."""
    ours = converted.get('state_dict')
    if ours is None:
        return "in the release's format"
    groups = ours['head.selector.logits'].shape[1]
    options = {}
    if groups != 3:
        options.update(
            {f'model.{part}.num_groups': groups
             for part in ('neck', 'head')})
    fusion = any(name.startswith('neck.fusion.') for name in ours)
    if groups > 1 and not fusion:
        options['model.neck.fusion'] = None
    text = f'{groups} group{"s" if groups > 1 else ""}, ' + \
        ('fused' if fusion else 'not fused') + f', for {CONFIG.name}'
    if options:
        text += ' --cfg-options ' + ' '.join(f'{k}={v}'
                                             for k, v in options.items())
    return text


def main() -> int:
    args = parse_args()
    try:
        check_not_read(args.dst, [args.src], 'DST')
        checkpoint = read_checkpoint(args.src)
        converted = (convert_back if args.reverse else convert)(
            checkpoint, args.num_groups)
        # not into the file: of a full disk torch does not tell
        content = io.BytesIO()
        torch.save(converted, content)
        with atomic_write(args.dst) as file:
            file.write(content.getbuffer())
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print(f'{args.dst}: {describe(converted)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
