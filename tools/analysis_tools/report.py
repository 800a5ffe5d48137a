"""Write a report about a trained model: one HTML file, no network needed.

    python tools/analysis_tools/report.py work_dirs/lgh_freihand

tests the last checkpoint of the work dir on the config's test set and writes
report.html beside it. With --predictions, what tools/test.py has written with

    --cfg-options test_evaluator.0.dump_file=FILE.npz

is taken instead; several such files, of one test set, stand side by side.
"""
import argparse
import os.path as osp
import sys

from mmengine.config import DictAction

PROTOCOLS = ('general', 'freihand', 'rhd', 'stb', 'dexter')
ALIGNMENTS = ('none', 'root', 'procrustes', 'freihand')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('work_dir', help='work dir of the training')
    parser.add_argument(
        '--checkpoint',
        help='checkpoint to report on (default: the last of the work dir)')
    parser.add_argument(
        '--config', help='config (default: the one in the work dir)')
    parser.add_argument(
        '--dataset',
        metavar='DIR',
        help="folder of the data set (default: the config's)")
    parser.add_argument(
        '--predictions',
        nargs='+',
        metavar='FILE.npz',
        help='predictions to report on, instead of testing now')
    parser.add_argument(
        '--label',
        nargs='+',
        help='names of the predictions (default: their file names)')
    parser.add_argument(
        '--protocol',
        choices=PROTOCOLS,
        help="which of the config's evaluators scores the test (default: the "
        'first)')
    parser.add_argument(
        '--align',
        choices=ALIGNMENTS,
        help='alignment of drawings and samples (default: root, where it was '
        'scored)')
    parser.add_argument(
        '--num-samples',
        type=int,
        default=6,
        help='worst, median and best samples to show, each (default: 6)')
    parser.add_argument(
        '--out', help='file to write (default: WORK_DIR/report.html)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of the config, e.g. '
        'model.test_cfg.root_depth=given')
    args = parser.parse_args()
    if not osp.isdir(args.work_dir):
        parser.error(f'no such work dir: {args.work_dir}')
    # predictions bring along what they need
    if args.dataset is not None and not args.predictions and \
            not osp.isdir(args.dataset):
        parser.error(f'no such data set: {args.dataset}')
    for path in (args.checkpoint, args.config, *(args.predictions or ())):
        if path is not None and not osp.isfile(path):
            parser.error(f'file not found: {path}')
    if args.label is None:
        args.label = [
            osp.splitext(osp.basename(path))[0]
            for path in args.predictions or ()
        ]
    if len(args.label) != len(args.predictions or ()):
        parser.error(f'{len(args.predictions or ())} predictions, but '
                     f'{len(args.label)} labels')
    if len(set(args.label)) < len(args.label):
        parser.error(f'the predictions need different names, got '
                     f'{args.label}; use --label')
    if args.protocol and args.predictions:
        parser.error('--predictions have been scored, by their own protocol: '
                     'leave --protocol out')
    if args.num_samples < 1:
        parser.error(f'--num-samples must be 1 or more, not '
                     f'{args.num_samples}')
    return args


def main() -> None:
    args = parse_args()
    from lgh_mmpose.report import write_report
    options = dict(args.cfg_options or {})
    if args.dataset is not None:
        options['data_root'] = args.dataset
    predictions = None
    if args.predictions:
        predictions = dict(zip(args.label, args.predictions))
    try:
        out = write_report(
            args.work_dir,
            args.out or osp.join(args.work_dir, 'report.html'),
            checkpoint=args.checkpoint,
            predictions=predictions,
            config=args.config,
            cfg_options=options,
            protocol=args.protocol,
            alignment=args.align,
            num_samples=args.num_samples,
            command=['python', *sys.argv])
    except (ImportError, OSError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None
    print(f'wrote {out} ({osp.getsize(out) / 1e6:.1f} MB)')


if __name__ == '__main__':
    main()
