"""Test a pose model: ``python tools/test.py CONFIG CHECKPOINT``."""
import argparse
import os.path as osp

import needs_mmpose  # noqa: F401
from mmengine.config import Config, ConfigDict
from run_options import (add_cfg_options, add_config, add_pictures,
                         add_running, build_runner, load_run_config, parse)

METRIC_FORMATS = ('.json', '.yaml', '.yml', '.pkl', '.pickle')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Test a pose model')
    add_config(parser, 'results')
    parser.add_argument('checkpoint', help='checkpoint file')
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
    add_cfg_options(parser, 'test_dataloader.batch_size=8')
    add_pictures(parser)
    add_running(parser)
    parser.add_argument(
        '--badcase',
        action='store_true',
        help='analyse the samples with the worst scores')
    args = parse(parser)
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


def merge_args(cfg: Config, args: argparse.Namespace) -> None:
    """Put the command line's settings of a test into the config."""
    # the config of a resumed training says so; main() loads, strictly
    cfg.load_from, cfg.resume = None, False
    if args.badcase:
        enable_badcase(cfg, args)
    if args.dump is not None:
        add_evaluator(cfg,
                      dict(type='AtomicDumpResults', out_file_path=args.dump))
    if args.submission is not None:
        add_evaluator(cfg, submission_evaluator(cfg, args.submission))


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
    from lgh_mmpose.config import exit_on_config_errors
    with exit_on_config_errors(args.config):
        check_outputs(args)
        # with --badcase the other hook has the window
        cfg = load_run_config(
            args, ('model', 'test_dataloader', 'test_cfg', 'test_evaluator'),
            'a test', args.show and not args.badcase)
        merge_args(cfg, args)
        # after the config is known to be good: these take seconds to import
        from mmengine.dist import is_main_process
        from mmengine.model import is_model_wrapper
        from mmengine.runner import Runner

        from lgh_mmpose.checkpoint import load_weights

        class TestRunner(Runner):

            def dump_config(self) -> None:
                # that of the training, maybe with other options, stays
                name = osp.basename(cfg.filename or '')
                if not osp.isfile(osp.join(self.work_dir, name)):
                    super().dump_config()

        runner = build_runner(cfg, TestRunner)
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
