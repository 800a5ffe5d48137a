"""Train a pose model: ``python tools/train.py CONFIG``."""
import argparse
import os
import os.path as osp
from typing import Optional

from mmengine.config import Config, DictAction


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a pose model')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir',
        help='folder for logs and checkpoints (default: work_dir of the '
        'config, else ./work_dirs/<config name>)')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='resume from this checkpoint; without a value, from the latest '
        'one in the work dir that is whole. If there is none yet, the '
        'training starts as it does without --resume')
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument(
        '--amp',
        action='store_true',
        default=None,
        help='mixed precision: fp16 with CUDA, bf16 on the CPU (default: as '
        'the config has it)')
    precision.add_argument(
        '--no-amp',
        dest='amp',
        action='store_false',
        help='fp32, whatever the config has')
    parser.add_argument(
        '--no-validate',
        action='store_true',
        help='do not evaluate during training')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the actual batch size over '
        'auto_scale_lr.base_batch_size of the config')
    parser.add_argument(
        '--show-dir', help='folder to save pictures of predictions to')
    parser.add_argument(
        '--show',
        action='store_true',
        help='show pictures of predictions in a window')
    parser.add_argument(
        '--interval',
        type=int,
        default=1,
        help='draw every n-th sample (default: 1)')
    parser.add_argument(
        '--wait-time',
        type=float,
        default=1,
        help='seconds for which a window stays (default: 1)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of the config, e.g. '
        'data_root=DIR or train_dataloader.batch_size=16; lists as '
        'key="[a,b]" without white space')
    parser.add_argument(
        '--compile',
        nargs='?',
        const='default',
        choices=['default', 'reduce-overhead', 'max-autotune'],
        help='compile backbone and neck by torch.compile, in this mode; '
        '"reduce-overhead" replays CUDA graphs on a GPU')
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher (default: none)')
    # torch.distributed.launch passes --local-rank since torch 2.0
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def set_precision(cfg: Config, amp: bool) -> None:
    """Make ``cfg.optim_wrapper`` train in mixed precision, or in fp32.

    Raises:
        ValueError: If the config has an optimizer wrapper of another kind.
    """
    import torch
    optim_wrapper = cfg.optim_wrapper
    kind = optim_wrapper.get('type', 'OptimWrapper')
    kind = getattr(kind, '__name__', kind).rsplit('.', 1)[-1]
    if kind not in ('OptimWrapper', 'AmpOptimWrapper', 'Bf16OptimWrapper'):
        option = '--amp' if amp else '--no-amp'
        raise ValueError(
            f'{option} cannot replace optim_wrapper.type="{kind}"; drop '
            f'{option} or use OptimWrapper in the config')
    if amp and torch.cuda.is_available():
        optim_wrapper.type = 'AmpOptimWrapper'
        optim_wrapper.setdefault('loss_scale', 'dynamic')
        optim_wrapper.pop('enabled', None)
        return
    optim_wrapper.type = 'Bf16OptimWrapper'
    optim_wrapper.enabled = amp
    # bf16 has fp32's range: there is no loss to scale
    for key in ('loss_scale', 'dtype', 'use_fsdp'):
        optim_wrapper.pop(key, None)


def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Put the command line's settings into the config."""
    # first, for the other options to build on
    if args.cfg_options is not None:
        from lgh_mmpose.config import merge_cfg_options
        merge_cfg_options(cfg, args.cfg_options)
    cfg.launcher = args.launcher
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        name = osp.splitext(osp.basename(args.config))[0]
        cfg.work_dir = osp.join('work_dirs', name)
    if args.amp is not None:
        set_precision(cfg, args.amp)
    if args.compile is not None:
        cfg.custom_hooks = [
            *(cfg.get('custom_hooks') or []),
            dict(type='CompileHook', mode=args.compile)
        ]
    if args.resume is not None:
        cfg.resume = True
        if args.resume != 'auto':
            cfg.load_from = args.resume
    if args.auto_scale_lr:
        if 'auto_scale_lr' not in cfg:
            raise ValueError('--auto-scale-lr needs '
                             'auto_scale_lr=dict(base_batch_size=...) in the '
                             'config')
        cfg.auto_scale_lr.enable = True
    if args.show or args.show_dir is not None:
        from lgh_mmpose.config import enable_visualization
        enable_visualization(cfg, args.show, args.show_dir, args.interval,
                             args.wait_time)
    return cfg


def find_start(cfg: Config, automatic: bool) -> Optional[str]:
    """The checkpoint that the training begins with, if any.

    Args:
        cfg (Config): Config; its ``resume`` is unset if there is nothing to
            resume, for the training to begin from its ``load_from``.
        automatic (bool): Whether to resume from the latest checkpoint of the
            work dir, if there is one, and not from ``load_from``.
    """
    if not cfg.get('resume') or not (automatic
                                     or cfg.get('load_from') is None):
        return cfg.get('load_from')
    from lgh_mmpose.apis.checkpoint import latest_checkpoint
    latest = latest_checkpoint(cfg.work_dir)
    cfg.resume = latest is not None
    if latest is None:
        print(f'nothing to resume in {cfg.work_dir} yet: the training begins')
        return cfg.get('load_from')
    # in the config that is written down it stands for the latest one
    cfg.load_from = None
    return str(latest)


def main() -> None:
    args = parse_args()
    from lgh_mmpose.config import (check_decay, check_length,
                                   exit_on_config_errors, load_config,
                                   require_keys)
    with exit_on_config_errors(args.config):
        cfg = merge_args(load_config(args.config), args)
        require_keys(
            cfg, args.config,
            ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper'),
            'a training')
        check_decay(cfg)
        check_length(cfg)
        start = find_start(cfg, automatic=args.resume == 'auto')
        # after the config is known to be good: these take seconds to import
        from mmengine.registry import RUNNERS

        from lgh_mmpose.apis.checkpoint import start_from
        from lgh_mmpose.compat import setup_cpu_distributed

        setup_cpu_distributed(cfg)
        # a strategy, such as FSDP's, needs mmengine's FlexibleRunner
        kind = RUNNERS.get(cfg.get('runner_type', 'Runner'))
        runner = kind.from_cfg(cfg)
        if start is not None:
            start_from(runner, start, bool(cfg.get('resume')))
    # the data sets and the optimizer are built in it
    with exit_on_config_errors(args.config, runner):
        loader = runner.train_dataloader
        if not len(loader):
            raise ValueError(
                f'the training set of {len(loader.dataset)} samples does not '
                f'fill one batch of {cfg.train_dataloader.batch_size}: lower '
                'train_dataloader.batch_size, or unset its drop_last')
        runner.train()


if __name__ == '__main__':
    main()
