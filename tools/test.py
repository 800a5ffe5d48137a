"""Test a pose model: ``python tools/test.py CONFIG CHECKPOINT``."""
import argparse
import os
import os.path as osp

from mmengine.config import Config, ConfigDict, DictAction

METRIC_FORMATS = ('.json', '.yaml', '.yml', '.pkl', '.pickle')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Test a pose model')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--work-dir',
        help='folder for logs and results (default: work_dir of the config, '
        'else ./work_dirs/<config name>)')
    parser.add_argument(
        '--out',
        help=f'file to save the metrics to ({", ".join(METRIC_FORMATS)})')
    parser.add_argument(
        '--dump', help='pickle file to save the predictions to')
    parser.add_argument(
        '--submission',
        metavar='FILE.json',
        help="json file to save the predictions to as FreiHAND's score server "
        'takes them; a zip of it is written beside it')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of the config, e.g. '
        'test_dataloader.batch_size=8; lists as key="[a,b]" without white '
        'space')
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
    parser.add_argument(
        '--badcase',
        action='store_true',
        help='analyse the samples with the worst scores')
    args = parser.parse_args()
    # mmengine would only notice after the whole test, or once all is built
    if args.out and not args.out.endswith(METRIC_FORMATS):
        parser.error(f'--out must end in one of {", ".join(METRIC_FORMATS)}, '
                     f'not be {args.out}')
    if args.dump and not args.dump.endswith(('.pkl', '.pickle')):
        parser.error(f'--dump must end in .pkl or .pickle, not be {args.dump}')
    if args.submission and not args.submission.endswith('.json'):
        parser.error('--submission must end in .json, not be '
                     f'{args.submission}')
    if '://' not in args.checkpoint and not osp.exists(args.checkpoint):
        parser.error(f'checkpoint not found: {args.checkpoint}')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def enable_badcase(cfg: Config, args: argparse.Namespace) -> None:
    """Switch the bad-case hook on, by the head's loss or the test's metric.

    Raises:
        ValueError: If the config has no such hook or none of these.
    """
    if 'badcase' not in cfg.get('default_hooks', {}):
        raise ValueError('--badcase needs '
                         'badcase=dict(type="BadCaseAnalysisHook") among the '
                         'default_hooks of the config')
    hook = cfg.default_hooks.badcase
    hook.enable = True
    hook.show = args.show
    if args.show:
        hook.wait_time = args.wait_time
    hook.interval = args.interval
    if hook.get('metric'):
        return
    metric_type = hook.get('metric_type', 'loss')
    if metric_type == 'accuracy':
        evaluator = cfg.test_evaluator
        if isinstance(evaluator, (list, tuple)):
            evaluator = evaluator[0]
        hook.metric = evaluator
    elif metric_type == 'loss' and 'loss' in cfg.model.head:
        hook.metric = cfg.model.head.loss
    else:
        raise ValueError(
            '--badcase: the head of this config has no single "loss"; set '
            'default_hooks.badcase.metric, e.g. --cfg-options '
            'default_hooks.badcase.metric.type=L1Loss for pixels')


def add_evaluator(cfg: Config, evaluator: dict) -> None:
    """Let one more evaluator see the predictions of the test."""
    evaluators = cfg.test_evaluator
    if not isinstance(evaluators, (list, tuple)):
        evaluators = [evaluators]
    cfg.test_evaluator = [*evaluators, ConfigDict(evaluator)]


def submission_evaluator(cfg: Config, out_file: str) -> dict:
    """Evaluator that writes a submission to FreiHAND's server.

    Raises:
        ValueError: If the test is not on FreiHAND's evaluation set.
    """
    dataset = cfg.test_dataloader.dataset
    kind = dataset.get('type')
    kind = getattr(kind, '__name__', kind).rsplit('.', 1)[-1]
    split = dataset.get('split')
    if (kind, split) != ('FreiHand3DDataset', 'evaluation'):
        raise ValueError(
            '--submission needs test_dataloader.dataset to be a '
            "FreiHand3DDataset with split='evaluation', but it is "
            f'{kind} with split={split!r}')
    return dict(
        type='FreiHandSubmission',
        out_file=out_file,
        data_root=dataset.data_root)


def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Put the command line's settings into the config."""
    # first, for the other options to build on
    if args.cfg_options is not None:
        from lgh_mmpose.config import merge_cfg_options
        merge_cfg_options(cfg, args.cfg_options)
    cfg.launcher = args.launcher
    # the config of a resumed training says so; main() loads, strictly
    cfg.load_from, cfg.resume = None, False
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        name = osp.splitext(osp.basename(args.config))[0]
        cfg.work_dir = osp.join('work_dirs', name)
    if args.compile is not None:
        cfg.custom_hooks = [
            *(cfg.get('custom_hooks') or []),
            dict(type='CompileHook', mode=args.compile)
        ]
    # with --badcase the other hook has the window
    show = args.show and not args.badcase
    if show or args.show_dir is not None:
        from lgh_mmpose.config import enable_visualization
        enable_visualization(cfg, show, args.show_dir, args.interval,
                             args.wait_time)
    if args.badcase:
        enable_badcase(cfg, args)
    if args.dump is not None:
        add_evaluator(cfg,
                      dict(type='AtomicDumpResults', out_file_path=args.dump))
    if args.submission is not None:
        add_evaluator(cfg, submission_evaluator(cfg, args.submission))
    return cfg


def save_metrics(metrics: dict, path: str) -> None:
    """Write the metrics so that ``path`` appears only when it is whole.

    Raises:
        OSError: If they cannot be written.
    """
    import mmengine

    from lgh_mmpose.fileio import atomic_write
    content = mmengine.dump(metrics, file_format=osp.splitext(path)[1][1:])
    if isinstance(content, str):
        content = content.encode()
    with atomic_write(path) as file:
        file.write(content)


def check_outputs(args: argparse.Namespace) -> None:
    """Raise a ValueError if an output would replace what is read."""
    from lgh_mmpose.fileio import check_not_read
    archive = args.submission and osp.splitext(args.submission)[0] + '.zip'
    for option, path in (('--out', args.out), ('--dump', args.dump),
                         ('--submission', args.submission), ('--submission',
                                                             archive)):
        if path:
            check_not_read(path, [args.config, args.checkpoint], option)


def main() -> None:
    args = parse_args()
    from lgh_mmpose.config import (exit_on_config_errors, load_config,
                                   require_keys)
    with exit_on_config_errors(args.config):
        check_outputs(args)
        cfg = merge_args(load_config(args.config), args)
        require_keys(
            cfg, args.config,
            ('model', 'test_dataloader', 'test_cfg', 'test_evaluator'),
            'a test')
        # after the config is known to be good: these take seconds to import
        from mmengine.dist import is_main_process
        from mmengine.model import is_model_wrapper
        from mmengine.runner import Runner

        from lgh_mmpose.apis.checkpoint import load_weights
        from lgh_mmpose.compat import setup_cpu_distributed

        class TestRunner(Runner):

            def dump_config(self) -> None:
                # that of the training, maybe with other options, stays
                name = osp.basename(cfg.filename or '')
                if not osp.isfile(osp.join(self.work_dir, name)):
                    super().dump_config()

        setup_cpu_distributed(cfg)
        runner = TestRunner.from_cfg(cfg)
        model = runner.model
        load_weights(
            model.module if is_model_wrapper(model) else model,
            args.checkpoint)
    runner.logger.info(f'Load checkpoint from {args.checkpoint}')
    # the data set and the metrics are built in it
    with exit_on_config_errors(args.config, runner):
        metrics = runner.test()
    if args.out and is_main_process():
        try:
            save_metrics(metrics, args.out)
        except OSError as error:
            raise SystemExit(f'error: {error}') from None


if __name__ == '__main__':
    main()
