"""Score the models that ship, and print their cards' tables.

    python .dev_scripts/models/score.py work_dirs/models --photos DIR --cards

takes ``export/hand_pose`` and ``export/hand_detector`` of the folder. Figures
go to ``scores.json`` beside them; with ``--cards`` to
docs/model_zoo/models.json, and the tables to the cards there.
"""
import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools/analysis_tools'
ZOO = ROOT / 'docs/model_zoo'
POSE_CONFIG = ROOT / 'configs/lgh_hands_studiohand.py'
MARKS = '<!-- scores -->', '<!-- end scores -->'
VIEWS = (0, 30, 60, 90)  # degrees between the palm's normal and the sight
TONES = ('darkest third', 'middle third', 'lightest third')
# of the score_photos.py of each --boxes
TITLES = dict(
    given='Box given:',
    upright='Box and direction given:',
    found='Box found by the detector that ships:')
ROUNDS = 100


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='of `make model`')
    parser.add_argument(
        '--photos',
        type=Path,
        help='labelled photographs, with hands.json and whole.json (default: '
        'they are left out)')
    parser.add_argument(
        '--pictures',
        type=Path,
        default=ROOT / 'data/hands/whole',
        help='rendered whole pictures (default: data/hands/whole)')
    parser.add_argument(
        '--without',
        type=Path,
        help='pictures without hands, as of without_hands.py (default: they '
        'are left out)')
    parser.add_argument(
        '--hands',
        type=Path,
        default=ROOT / 'data/hands/as_taken',
        help='rendered hands (default: data/hands/as_taken)')
    parser.add_argument(
        '--cards',
        action='store_true',
        help='write the cards; needs photographs and pictures without hands')
    args = parser.parse_args()
    for name in ('folder', 'photos', 'pictures', 'without', 'hands'):
        path = getattr(args, name)
        if path is not None:
            if not path.is_dir():
                parser.error(f'no such folder: {path}')
            setattr(args, name, path.resolve())
    if args.cards and not (args.photos and args.without):
        parser.error('--cards needs --photos and --without')
    return args


def run(*command: Any) -> None:
    command = [sys.executable, *map(str, command)]
    print('$', *command[1:], flush=True)
    if subprocess.run(command, cwd=ROOT).returncode:
        raise SystemExit('error: the command above failed')


def scores_of(out: Path, *command: Any) -> Dict[str, Any]:
    """What one of the score tools writes."""
    run(*command, '--json', out)
    return json.loads(out.read_text())


def score_rendered(folder: Path, hands: Path) -> Dict[str, Any]:
    """Errors on rendered test hands: of all, by view and by skin."""
    import cv2

    from lgh_mmpose.evaluation.breakdown import load_predictions, palm_angle
    info = json.loads((folder / 'export/hand_pose/hand_pose.json').read_text())
    checkpoint = folder / 'hand_pose' / info['checkpoint']['name']
    dump, out = folder / 'rendered.npz', folder / 'rendered.json'
    run(ROOT / 'tools/test.py', POSE_CONFIG, checkpoint, '--work-dir',
        folder / 'test', '--out', out, '--cfg-options', f'data_root={hands}',
        'model.test_cfg.root_depth=given',
        f'test_evaluator.0.dump_file={dump}')
    predicted = load_predictions(dump)
    errors = predicted['errors_root'].mean(axis=1)
    angle = palm_angle(predicted['gt_keypoints_cam'],
                       predicted['joint_names'].tolist())
    tones = []
    for path in predicted['img_path'].tolist():
        image = cv2.imread(str(ROOT / path))
        mask = cv2.imread(
            str(ROOT / path).replace('/rgb/', '/mask/'), cv2.IMREAD_GRAYSCALE)
        lightness = cv2.cvtColor(image, cv2.COLOR_BGR2LAB)[..., 0]
        tones.append(np.median(lightness[mask > 127]))
    third = np.argsort(np.argsort(tones)) * 3 // len(tones)
    view = np.digitize(angle, VIEWS[1:-1])
    figures = json.loads(out.read_text())
    return dict(
        hands=len(errors),
        mpjpe_mm=figures['hand/MPJPE'],
        pa_mpjpe_mm=figures['hand/PA-MPJPE'],
        epe_2d_px=figures['hand/EPE_2d_px'],
        side_accuracy=figures['hand/side_accuracy'],
        views={
            f'{low} to {high}': _mean(errors[view == i])
            for i, (low, high) in enumerate(zip(VIEWS, VIEWS[1:]))
        },
        tones={
            name: _mean(errors[third == i])
            for i, name in enumerate(TONES)
        })


def _mean(values: np.ndarray) -> Tuple[float, float]:
    """Mean and its standard error."""
    return (float(values.mean()),
            float(values.std(ddof=1) / np.sqrt(len(values))))


def milliseconds(call: Callable[[np.ndarray], Any],
                 given: np.ndarray) -> float:
    """CPU time of a call, the median of many."""
    times = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        call(given)
        times.append(time.process_time() - begin)
    return 1e3 * float(np.median(times[ROUNDS // 10:]))


def measure(export: Path) -> Dict[str, Any]:
    """Size and CPU time on one thread of both."""
    from lgh_mmpose.inference.backends.exported import ExportedNetwork
    from lgh_mmpose.inference.backends.exported_detector import \
        ExportedDetector
    pose = ExportedNetwork(export / 'hand_pose', num_threads=1)
    detector = ExportedDetector(export / 'hand_detector', num_threads=1)
    width, height = pose.info.input_size
    rng = np.random.default_rng(0)
    crop = rng.integers(0, 256, (1, 3, height, width), dtype=np.uint8)
    picture = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    figures = {}
    for name, model, given in (('hand_pose', pose, crop), ('hand_detector',
                                                           detector, picture)):
        files = [Path(file) for file in model.files]
        info = json.loads(files[0].read_text())
        figures[name] = dict(
            sha256=info['model']['sha256'],
            input_size=info['input_size'],
            megabytes=sum(file.stat().st_size for file in files) / 1e6,
            cpu_ms=milliseconds(model, given))
    return figures


# -- tables ------------------------------------------------------------------


def percent(value: float, interval: Any = None) -> str:
    text = f'{100 * value:.1f}'
    if interval:
        text += ' ({:.1f} to {:.1f})'.format(*(100 * v for v in interval))
    return text


def photo_rows(scores: Dict[str, Any]) -> List[List[str]]:
    rows = [
        _row(f'**{label} labels**', scores[label],
             scores['intervals'][label]['error'])
        for label in ('true', 'accepted')
    ]
    rows += [
        _row(source, figures) for source, figures in scores['sources'].items()
    ]
    return rows


def _row(name: str,
         figures: Dict[str, Any],
         interval: Any = None) -> List[str]:
    row = [name, str(figures['count']), str(figures['found'])]
    if figures['error'] is None:
        return [*row, *[''] * 6]
    side, pa = figures.get('side_right'), figures['pa_mm']
    return [
        *row,
        percent(figures['error'], interval),
        percent(figures['median']), f'{figures["pck05"]:.3f}',
        f'{figures["pck10"]:.3f}', '' if pa is None else f'{pa:.1f}',
        '' if side is None else percent(side)
    ]


def table(head: List[str], rows: List[List[str]]) -> str:
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def pose_tables(scores: Dict[str, Any]) -> str:
    head = [
        'photographs', 'hands', 'found', 'error, %', 'median, %', 'PCK@0.05',
        'PCK@0.1', 'PA, mm', 'side right, %'
    ]
    rendered = scores['rendered']
    rows = [[f'palm seen at {name} degrees', *_with_error(value)]
            for name, value in rendered['views'].items()]
    rows += [[f'skin as it appears, {name}', *_with_error(value)]
             for name, value in rendered['tones'].items()]
    parts = []
    for boxes, title in TITLES.items():
        if boxes in scores:
            parts += [title, table(head, photo_rows(scores[boxes]))]
    return '\n\n'.join([
        *parts,
        f'{rendered["hands"]} rendered test hands, every other one mirrored, '
        'box and direction given by the labels, root depth given, by the '
        'checkpoint that was exported: MPJPE '
        f'{rendered["mpjpe_mm"]:.1f} mm, PA-MPJPE '
        f'{rendered["pa_mpjpe_mm"]:.1f} mm, side right in '
        f'{percent(rendered["side_accuracy"])} %.',
        table(['rendered test hands', 'MPJPE, mm'], rows),
        cost(scores, 'hand_pose'),
    ])


def _with_error(value: Tuple[float, float]) -> List[str]:
    return ['{:.1f} ± {:.1f}'.format(*value)]


def detector_tables(scores: Dict[str, Any]) -> str:
    head = [
        'pictures', 'number', 'hands', 'recall', 'AP', 'false per picture',
        'false of all found, %', 'side right, %', 'direction, degrees'
    ]
    rows = []
    for name, figures in scores['detector'].items():
        rows.append([
            name,
            str(figures['pictures']),
            str(figures['hands']),
            *(('' if figures[key] is None else form(figures[key]))
              for key, form in (('recall', '{:.3f}'.format),
                                ('AP', '{:.3f}'.format),
                                ('false_per_picture', '{:.3f}'.format),
                                ('false_share', percent),
                                ('side_right', percent),
                                ('direction_error', '{:.1f}'.format)))
        ])
    return '\n\n'.join([table(head, rows), cost(scores, 'hand_detector')])


def cost(scores: Dict[str, Any], name: str) -> str:
    model = scores['models'][name]
    width, height = model['input_size']
    return (f'The file has {model["megabytes"]:.1f} MB. One answer, at '
            f'{width} x {height} px, takes {model["cpu_ms"]:.1f} ms of CPU '
            'time in one thread.')


def write_card(path: Path, tables: str) -> None:
    text = path.read_text()
    if not all(mark in text for mark in MARKS):
        raise SystemExit(f'error: {path} lacks the marks {MARKS[0]} and '
                         f'{MARKS[1]}')
    begin, end = (text.index(mark) for mark in MARKS)
    path.write_text(f'{text[:begin + len(MARKS[0])]}\n\n{tables}\n\n'
                    f'{text[end:]}')


def main() -> None:
    from lgh_mmpose.fileio import write_json
    args = parse_args()
    export = args.folder / 'export'
    pose, detector = export / 'hand_pose', export / 'hand_detector'
    scores: Dict[str, Any] = {}
    sets = [('rendered', args.pictures, ())]
    if args.photos:
        sets.insert(0, ('photos', args.photos, ()))
        for boxes in TITLES:
            scores[boxes] = scores_of(args.folder / f'photos_{boxes}.json',
                                      TOOLS / 'score_photos.py', args.photos,
                                      '--model', pose, '--detector', detector,
                                      '--boxes', boxes, '--sheet',
                                      args.folder / f'photos_{boxes}.jpg')
    if args.without:
        sets.append(('without', args.without, ('--without-hands', )))
    scores['detector'] = {}
    for name, folder, options in sets:
        found = scores_of(args.folder / f'detector_{name}.json',
                          TOOLS / 'score_detector.py', folder, '--model',
                          detector, *options)
        for figures in found.values():
            del figures['curve']
        scores['detector'].update(found)
    scores['rendered'] = score_rendered(args.folder, args.hands)
    scores['models'] = measure(export)
    tables = dict(
        hand_pose=pose_tables(scores), hand_detector=detector_tables(scores))
    for name, text in tables.items():
        print(f'\n{name}\n\n{text}')
    out = ZOO / 'models.json' if args.cards else args.folder / 'scores.json'
    write_json(out, scores, indent=1)
    if args.cards:
        for name, text in tables.items():
            write_card(ZOO / f'{name}.md', text)


if __name__ == '__main__':
    main()
