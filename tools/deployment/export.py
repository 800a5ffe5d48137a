"""Export a trained model: ``python tools/deployment/export.py CFG CKPT``.

The directory that it writes holds the model and a json that says what goes in
and what comes out; ``lgh-hands --model DIR`` runs it. Before it appears the
written file is compared with the model on samples of the test set. A detector
of hands, as in ``configs/detection``, is written for ONNX Runtime, with
weights in fp16 or fp32; see docs/detector.md.
"""
import argparse
import os.path as osp

from mmengine.config import Config, DictAction

BACKENDS = ('onnx', 'openvino', 'torchscript')
PRECISIONS = ('auto', 'fp32', 'bf16', 'fp16', 'int8')
TOLERANCES = dict(
    px='difference of a joint to accept, px of the network input',
    mm='the same in mm, at the same root depth',
    bones='difference of a depth in reference bones, judged in place of mm '
    'where the samples have no camera or no bone length',
    scores="difference of a joint's score to accept",
    mpjpe='by how much of itself MPJPE may grow, 0.01 for 1 %%')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Export a trained hand pose model')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '-o',
        '--out',
        required=True,
        help='directory to write; must not exist')
    parser.add_argument(
        '--backend',
        choices=BACKENDS,
        help='what will run it (default: openvino; onnx for a detector, which '
        'nothing else runs)')
    parser.add_argument(
        '--precision',
        choices=PRECISIONS,
        default='auto',
        help='what it computes in; fp16 stores the weights so (default: auto, '
        'bf16 where backend and CPU compute it, else fp32; fp16 for a '
        'detector)')
    parser.add_argument(
        '--data-root', help='folder of the data, in place of the config\'s')
    parser.add_argument(
        '--verify-samples',
        type=int,
        metavar='N',
        help='samples of the test set to compare on, evenly spaced (default: '
        '64; with int8 all of them; 16 for a detector)')
    parser.add_argument(
        '--calibration-samples',
        type=int,
        metavar='N',
        help='samples of the training set that int8 takes its ranges from '
        '(default: 300)')
    parser.add_argument(
        '--padding',
        type=float,
        metavar='FACTOR',
        help='size of the crop in tight boxes, for pipelines that crop '
        'otherwise; '
        "its crop is then not compared with the pipeline's "
        '(default: as in the test pipeline, compared)')
    parser.add_argument(
        '--score-thr',
        type=float,
        metavar='SCORE',
        help='least score of a hand that a detector finds (default: 0.3)')
    for name, what in TOLERANCES.items():
        parser.add_argument(
            f'--tolerance-{name}',
            type=float,
            help=
            f'{what} (default: by precision, see docs/how_to/ship_a_model.md)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of the config; lists as key="[a,b]" without '
        'white space')
    args = parser.parse_args()
    for name in ('verify_samples', 'calibration_samples'):
        value = getattr(args, name)
        if value is not None and value < 1:
            parser.error(f'--{name.replace("_", "-")} must be at least 1, not '
                         f'{value}')
    if args.padding is not None and not 0 < args.padding < float('inf'):
        parser.error(f'--padding must be positive, not {args.padding}')
    if args.score_thr is not None and not 0 <= args.score_thr <= 1:
        parser.error(f'--score-thr must lie in 0 to 1, not {args.score_thr}')
    for name in TOLERANCES:
        value = getattr(args, f'tolerance_{name}')
        # a NaN is neither
        if value is not None and not 0 <= value < float('inf'):
            parser.error(f'--tolerance-{name} must be finite and not '
                         f'negative, not {value}')
    if '://' not in args.checkpoint and not osp.exists(args.checkpoint):
        parser.error(f'checkpoint not found: {args.checkpoint}')
    if osp.exists(args.out):
        parser.error(f'{args.out} exists: remove it, or give another '
                     'directory')
    return args


def print_report(info: dict, out: str) -> None:
    """Say what was written and how it differs from the original."""
    model, report = info['model'], info['verification']
    print(f'{model["backend"]} {model["precision"]}, compared with the '
          f'original on {report["num_samples"]} samples:')
    labels = dict(
        px='joints, px of the input',
        mm='joints, mm at the same root depth',
        mm_own_root='joints, mm, each at its own root depth',
        bones='depths, reference bones',
        bones_own_scale='joints, reference bones, own scale',
        scores='scores')
    tolerance = report['tolerance']
    judged = dict(max='max', p99='99 %')[tolerance['judged']]
    print(f'  {"difference":38s}{"max":>10s}{"99 %":>10s}{"mean":>10s}'
          f'{"tolerance":>18s}')
    for key, label in labels.items():
        if key not in report:
            continue
        figures = ''.join(f'{report[key][name]:10.3g}'
                          for name in ('max', 'p99', 'mean'))
        limit = (f'{judged} <= {tolerance[key]:g}'
                 if key in tolerance else 'not judged')
        print(f'  {label:38s}{figures}{limit:>18s}')
    for name in ('MPJPE', 'PA-MPJPE'):
        if name in report:
            before, after = (
                report[name][kind] for kind in ('original', 'exported'))
            limit = ''
            if name == 'MPJPE':
                limit = f', at most {100 * tolerance["mpjpe"]:+g} %'
            print(f'  {name}: {before:.3f} mm before, {after:.3f} mm after '
                  f'({after - before:+.3f} mm, '
                  f'{100 * (after / before - 1):+.2f} %{limit})')
    crop = report['crop']
    print('  the crop: ' +
          ('not compared with that of the pipeline' if crop is None else
           f'{crop["px"]:.2g} px of the input off that of the pipeline at '
           f'most, on {crop["num_samples"]} samples'))
    print(f'written to {out}')


def print_detector_report(info: dict, out: str) -> None:
    """Say what was written and how it differs from the original."""
    model, report = info['model'], info['verification']
    print(f'{model["backend"]} {model["precision"]}, compared with the '
          f'original on {report["num_samples"]} pictures; largest difference '
          f'of boxes {report["px"]:.3g} px of the input, of scores '
          f'{report["scores"]:.3g}, of directions {report["directions"]:.3g} '
          f'of their length\nwritten to {out}')


def export(args: argparse.Namespace) -> dict:
    """Export; returns what the json holds."""
    from lgh_mmpose.config import load_config, merge_cfg_options
    cfg = load_config(args.config)
    options = dict(args.cfg_options or {})
    if args.data_root is not None:
        options['data_root'] = args.data_root
    if options:
        merge_cfg_options(cfg, options)

    # after the arguments are known to be good: these take seconds to import
    from lgh_mmpose.deployment import (Tolerance, choose_precision,
                                       export_config, is_detector)
    if is_detector(cfg):
        return export_detector(args, cfg)
    if args.score_thr is not None:
        raise ValueError('--score-thr is for detectors')
    args.backend = args.backend or 'openvino'
    precision, reason = choose_precision(args.backend, args.precision)
    # before the minutes that int8 takes, and in case that it fails
    print(f'exporting to {args.backend} in {precision}: {reason}', flush=True)
    own = {name: getattr(args, f'tolerance_{name}') for name in TOLERANCES}
    tolerance = Tolerance.of(precision)._replace(**{
        name: value
        for name, value in own.items() if value is not None
    })
    return export_config(
        cfg,
        args.checkpoint,
        args.out,
        backend=args.backend,
        precision=args.precision,
        verify_samples=args.verify_samples,
        calibration_samples=args.calibration_samples or 300,
        tolerance=tolerance,
        padding=args.padding)


def export_detector(args: argparse.Namespace, cfg: Config) -> dict:
    """Export a detector; returns what the json holds."""
    from lgh_mmpose.deployment.detector import export_detector_config
    others = [
        f'--{name.replace("_", "-")}'
        for name in ('padding', 'calibration_samples',
                     *(f'tolerance_{name}' for name in TOLERANCES))
        if getattr(args, name) is not None
    ]
    if others:
        raise ValueError(f'{others[0]} is for hand pose models, not detectors')
    if args.backend not in (None, 'onnx'):
        raise ValueError('a detector is exported to onnx, not to '
                         f'{args.backend}')
    return export_detector_config(
        cfg,
        args.checkpoint,
        args.out,
        precision='fp16' if args.precision == 'auto' else args.precision,
        verify_samples=args.verify_samples or 16,
        score_thr=.3 if args.score_thr is None else args.score_thr)


def main() -> None:
    args = parse_args()
    from lgh_mmpose.deployment import ExportError
    try:
        info = export(args)
    except (OSError, ValueError, ImportError, ExportError) as error:
        raise SystemExit(f'error: {error}') from None
    if 'max_hands' in info:
        print_detector_report(info, args.out)
    else:
        print_report(info, args.out)


if __name__ == '__main__':
    main()
