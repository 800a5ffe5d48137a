"""Score the models that ship, and write their cards' tables.

    python .dev_scripts/models/score.py work_dirs/models --photos DIR

takes ``export/hand_pose`` and ``export/hand_detector`` of the folder. Figures
go to docs/model_zoo/models.json, tables to the cards beside it.
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
ROUNDS = 100


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='of `make model`')
    parser.add_argument(
        '--photos', type=Path, required=True, help='labelled photographs')
    parser.add_argument(
        '--pictures',
        type=Path,
        default=ROOT / 'data/hands/whole',
        help='rendered whole pictures (default: data/hands/whole)')
    parser.add_argument(
        '--without',
        type=Path,
        default=ROOT / 'data/hands/without',
        help='pictures without hands (default: data/hands/without)')
    parser.add_argument(
        '--hands',
        type=Path,
        default=ROOT / 'data/hands/as_taken',
        help='rendered hands (default: data/hands/as_taken)')
    return parser.parse_args()


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

    from lgh_mmpose.evaluation.breakdown import palm_angle
    checkpoint = (folder / 'hand_pose/last_checkpoint').read_text().strip()
    dump, out = folder / 'rendered.npz', folder / 'rendered.json'
    run(ROOT / 'tools/test.py', POSE_CONFIG, checkpoint, '--work-dir',
        folder / 'test', '--out', out, '--cfg-options', f'data_root={hands}',
        'model.test_cfg.root_depth=given',
        f'test_evaluator.0.dump_file={dump}')
    with np.load(dump) as file:
        errors = file['errors_root'].mean(axis=1)
        truth, names = file['gt_keypoints_cam'], file['joint_names'].tolist()
        paths = file['img_path'].tolist()
    angle = palm_angle(truth, names)
    tones = []
    for path in paths:
        image = cv2.imread(str(ROOT / path))
        mask = cv2.imread(
            str(ROOT / path).replace('/rgb/', '/mask/'), cv2.IMREAD_GRAYSCALE)
        lightness = cv2.cvtColor(image, cv2.COLOR_BGR2LAB)[..., 0]
        tones.append(np.median(lightness[mask > 127]))
    order = np.argsort(np.argsort(tones))
    third = order * 3 // len(order)
    figures = json.loads(out.read_text())
    return dict(
        hands=len(errors),
        mpjpe_mm=figures['hand/MPJPE'],
        pa_mpjpe_mm=figures['hand/PA-MPJPE'],
        epe_2d_px=figures['hand/EPE_2d_px'],
        views={
            f'{low} to {high}': _mean(errors[(angle >= low) & (angle < high)])
            for low, high in zip(VIEWS, VIEWS[1:])
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
    return '\n\n'.join([
        'Box given:',
        table(head, photo_rows(scores['given'])),
        'Box found by the detector that ships:',
        table(head, photo_rows(scores['found'])),
        f'{rendered["hands"]} rendered test hands, side and direction of the '
        'crop given by the labels, root depth given: MPJPE '
        f'{rendered["mpjpe_mm"]:.1f} mm, PA-MPJPE '
        f'{rendered["pa_mpjpe_mm"]:.1f} mm.',
        table(['rendered test hands', 'MPJPE, mm'], rows),
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
    return table(head, rows)


def write_card(path: Path, tables: str) -> None:
    text = path.read_text()
    begin, end = (text.index(mark) for mark in MARKS)
    path.write_text(f'{text[:begin + len(MARKS[0])]}\n\n{tables}\n\n'
                    f'{text[end:]}')


def main() -> None:
    args = parse_args()
    args.folder = args.folder.resolve()
    export = args.folder / 'export'
    pose, detector = export / 'hand_pose', export / 'hand_detector'
    scores: Dict[str, Any] = {}
    for boxes in ('given', 'found'):
        scores[boxes] = scores_of(args.folder / f'photos_{boxes}.json',
                                  TOOLS / 'score_photos.py', args.photos,
                                  '--model', pose, '--detector', detector,
                                  '--boxes', boxes, '--sheet',
                                  args.folder / f'photos_{boxes}.jpg')
    found = scores_of(args.folder / 'detector_photos.json',
                      TOOLS / 'score_detector.py', args.photos, '--model',
                      detector)
    found.update(
        scores_of(args.folder / 'detector_rendered.json',
                  TOOLS / 'score_detector.py', args.pictures, '--model',
                  detector))
    found.update(
        scores_of(args.folder / 'detector_without.json',
                  TOOLS / 'score_detector.py', args.without, '--without-hands',
                  '--model', detector))
    scores['detector'] = {
        name: {
            key: value
            for key, value in figures.items() if key != 'curve'
        }
        for name, figures in found.items()
    }
    scores['rendered'] = score_rendered(args.folder, args.hands.resolve())
    scores['models'] = measure(export)
    ZOO.mkdir(exist_ok=True)
    (ZOO / 'models.json').write_text(json.dumps(scores, indent=1) + '\n')
    for name, make in (('hand_pose', pose_tables), ('hand_detector',
                                                    detector_tables)):
        tables = make(scores)
        print(f'\n{name}\n\n{tables}')
        write_card(ZOO / f'{name}.md', tables)


if __name__ == '__main__':
    main()
