"""How wide a single group must be to have as many parameters as G groups.

    python tools/analysis_tools/match_width.py configs/lgh_studiohand.py \\
        --cfg-options model.neck.num_groups=6 model.head.num_groups=6

Prints the settings of the compute-matched holistic baseline: one group, whose
branch and head layers are widened until the network has the parameters of the
config's, so that a gain of grouping is not one of size.
"""
import argparse
from typing import NamedTuple

import torch
from mmengine.config import Config, DictAction

WIDTHS = ('model.neck.group_channels', 'model.head.in_channels',
          'model.head.hidden_channels')


class Match(NamedTuple):
    """A single group beside the groups it is to match."""
    width: int  # channels of the group and of its layers in the head
    parameters: int  # of the network with it
    wanted: int  # of the config's

    @property
    def error(self) -> float:
        """By which share the two differ."""
        return abs(self.parameters / self.wanted - 1)


def count_parameters(cfg: Config) -> int:
    """Parameters of a config's network."""
    from mmpose.registry import MODELS

    # no memory is needed to count
    with torch.device('meta'):
        return sum(p.numel() for p in MODELS.build(cfg.model).parameters())


def holistic(cfg: Config, width: int) -> Config:
    """The config with one group of some width."""
    cfg = Config(cfg.to_dict())
    cfg.merge_from_dict({
        'model.neck.num_groups': 1,
        'model.head.num_groups': 1,
        **{
            key: width
            for key in WIDTHS
        }
    })
    return cfg


def match_width(cfg: Config) -> Match:
    """Find the width at which one group has the parameters of all.

    Args:
        cfg (Config): Config with several groups.

    Returns:
        Match: The nearest width.

    Raises:
        ValueError: If the config has one group only.
    """
    num_groups = cfg.model.neck.num_groups
    if num_groups < 2:
        raise ValueError('the config has one group: there is nothing to match')
    wanted = count_parameters(cfg)
    low = cfg.model.neck.group_channels
    # parameters grow with the width: G times it is more than enough
    high = num_groups * low
    while high - low > 1:
        middle = (low + high) // 2
        if count_parameters(holistic(cfg, middle)) < wanted:
            low = middle
        else:
            high = middle
    matches = [
        Match(width, count_parameters(holistic(cfg, width)), wanted)
        for width in (low, high)
    ]
    return min(matches, key=lambda match: match.error)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config with several groups')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of the config, e.g. data_root=DIR')
    args = parser.parse_args()
    from mmengine.registry import init_default_scope

    from lgh_mmpose.config import merge_cfg_options
    init_default_scope('mmpose')
    try:
        cfg = Config.fromfile(args.config)
        if args.cfg_options is not None:
            merge_cfg_options(cfg, args.cfg_options)
        match = match_width(cfg)
    except (OSError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None
    print(f'{match.wanted} parameters are to be matched; one group of width '
          f'{match.width} has {match.parameters} ({match.error:.2%} off):')
    for key in ('model.neck.num_groups', 'model.head.num_groups'):
        print(f'  {key}=1')
    for key in WIDTHS:
        print(f'  {key}={match.width}')


if __name__ == '__main__':
    main()
