"""Train a pose model: ``python tools/train.py CONFIG``."""
import argparse
from typing import Optional

import needs_mmpose  # noqa: F401
from mmengine.config import Config
from run_options import (add_cfg_options, add_config, add_pictures,
                         add_running, build_runner, load_run_config, parse)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a pose model')
    add_config(parser, 'checkpoints')
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
    add_pictures(parser)
    add_cfg_options(parser, 'data_root=DIR or train_dataloader.batch_size=16')
    add_running(parser)
    return parse(parser)


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
    if kind != 'Bf16OptimWrapper':
        optim_wrapper.type = 'Bf16OptimWrapper'
    optim_wrapper.enabled = amp
    # bf16 has fp32's range: there is no loss to scale
    for key in ('loss_scale', 'dtype', 'use_fsdp'):
        optim_wrapper.pop(key, None)


def merge_args(cfg: Config, args: argparse.Namespace) -> None:
    """Put the command line's settings of a training into the config."""
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp is not None:
        set_precision(cfg, args.amp)
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
    from lgh_mmpose.checkpoint import latest_checkpoint
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
    from lgh_mmpose.config import (check_decay, check_length, check_pretrained,
                                   exit_on_config_errors)
    with exit_on_config_errors(args.config):
        cfg = load_run_config(
            args, ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper'),
            'a training', args.show)
        merge_args(cfg, args)
        check_decay(cfg)
        check_length(cfg)
        check_pretrained(cfg)
        start = find_start(cfg, automatic=args.resume == 'auto')
        from lgh_mmpose.checkpoint import start_from

        # a strategy, such as FSDP's, needs mmengine's FlexibleRunner
        runner = build_runner(cfg, cfg.get('runner_type', 'Runner'))
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
