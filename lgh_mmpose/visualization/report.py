"""One page about a trained model, that opens in any browser without network.

Everything is in the file: the text, the drawings, Plotly's script and, as
json, what it draws. Whatever comes from files (names, paths, metainfo) is
escaped; a content security policy forbids the page to ask for anything.
"""
import base64
import html
import json
import re
import shlex
import tempfile
from importlib.metadata import version
from os.path import commonpath
from pathlib import Path
from string import Template
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Union

import cv2
import matplotlib
import numpy as np
from mmengine.config import Config, ConfigDict

from lgh_mmpose.config import (config_errors, load_config, merge_cfg_options,
                               require_keys)
from lgh_mmpose.evaluation import breakdown as B
from lgh_mmpose.evaluation import functional as F
from lgh_mmpose.evaluation.published import (PUBLISHED_DATA_SETS,
                                             load_published_curves)
from lgh_mmpose.fileio import atomic_write

from . import figures
from .groups import (CheckpointFacts, SelectorHistory, last_checkpoint,
                     read_checkpoint, selector_history)
from .plotly_hand import hand_figure, import_plotly
from .skeleton import (finger_of_joints, group_colors, hand_layout, hand_links,
                       joint_colors, text_color)

PathLike = Union[str, Path]
Dump = Dict[str, np.ndarray]

_TEMPLATES = Path(__file__).with_name('templates')
_GREY = '#8a9199'  # seen on white and on black
_MAX_IMAGE = 320  # edge of an embedded picture in px
# in the order of the headline figures
_ALIGNMENTS = {
    'root': 'root-aligned at {root}',
    'procrustes': 'after the best similarity transform without reflection',
    'freihand': "after FreiHAND's similarity transform, reflections allowed",
    'none': "in the camera's frame, nothing aligned",
}
_NAMES = {
    'none': 'EPE',
    'root': 'MPJPE',
    'procrustes': 'PA-MPJPE',
    'freihand': 'EPE, aligned',
}
_ANGLE_EDGES = (0, 15, 30, 45, 60, 75, 90)
_HIDDEN_EDGES = (0, 1, 3, 6, 10, 22)


class _Chart(NamedTuple):
    """A Plotly figure, what it says in words, and its numbers.

    Attributes:
        key (str): Id on the page.
        title (str): Heading.
        caption (str): Sentence below it.
        figure (Any): plotly.graph_objects.Figure.
        headers (Sequence[str]): Heads of the table of its numbers.
        rows (Sequence[Sequence[str]]): The table.
    """
    key: str
    title: str
    caption: str
    figure: Any
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]


def write_report(work_dir: PathLike,
                 out: PathLike,
                 checkpoint: Optional[PathLike] = None,
                 predictions: Optional[Dict[str, PathLike]] = None,
                 config: Optional[PathLike] = None,
                 cfg_options: Optional[dict] = None,
                 protocol: Optional[str] = None,
                 alignment: Optional[str] = None,
                 num_samples: int = 6,
                 command: Sequence[str] = (),
                 more_facts: Optional[Dict[str, str]] = None) -> Path:
    """Write a report about a trained model as one HTML file.

    Args:
        work_dir (str | Path): Work dir of the training: config, checkpoints
            and logs.
        out (str | Path): HTML file to write, whole or not at all.
        checkpoint (str | Path, optional): Defaults to the last one of
            ``work_dir``. Predictions do not tell of which checkpoint they
            are: without it the page does not name one for them, and says so.
        predictions (dict[str, str | Path], optional): Name -> what
            ``HandKeypoint3DMetric`` of the test wrote with ``dump_file``,
            all of the same samples. The figures stand side by side; the
            drawings and samples are of the first. Defaults to ``None``: the
            test set of the config is predicted now.
        config (str | Path, optional): Defaults to the one in ``work_dir``.
        cfg_options (dict, optional): Settings of the config by dotted key,
            as ``--cfg-options`` of ``tools/test.py``; ``data_root`` moves
            all data sets.
        protocol (str, optional): Which ``HandKeypoint3DMetric`` of the
            config's test evaluators scores the test. Defaults to the first;
            of no use with ``predictions``, which have been scored.
        alignment (str, optional): Alignment of the drawings and samples.
            Defaults to ``'root'`` where it was scored, else the first that
            was.
        num_samples (int): Worst, median and best samples to show, so many of
            each; fewer of a small set. Defaults to 6.
        command (Sequence[str]): Words of the command that made the report,
            to be named in it; of paths only what :func:`local_paths` leaves.
        more_facts (dict[str, str], optional): More of what stands at the top
            of the page, as of the machine that trained.

    Returns:
        Path: ``out``.

    Raises:
        ValueError: If something cannot be read or does not fit; it is named.
        ImportError: If Plotly is not installed.
    """
    import_plotly()
    work_dir, out = Path(work_dir), Path(out)
    # which checkpoint given predictions are of, they do not tell
    known = predictions is None or checkpoint is not None
    checkpoint = Path(checkpoint or last_checkpoint(work_dir))
    facts = read_checkpoint(checkpoint)
    cfg, config = _load_config(work_dir, config, cfg_options)
    needed = ['model', 'test_dataloader']
    if predictions is None:
        needed += ['test_cfg', 'test_evaluator']
    require_keys(cfg, config, needed, 'a report')
    if predictions is None:
        dumps = _predict(cfg, config, checkpoint, protocol)
    else:
        dumps = {k: B.load_predictions(v) for k, v in predictions.items()}
    first = _check_dumps(dumps)
    scored = B.scored_alignments(first)
    if alignment is None:
        alignment = 'root' if 'root' in scored else scored[0]
    if alignment not in scored:
        raise ValueError(f'the predictions have no errors with alignment '
                         f'{alignment!r}, only {scored}')

    records = None
    if any(work_dir.glob('*/vis_data/scalars.json')):
        records = figures.read_run(work_dir)
    baseline, no_baseline = _mean_pose_errors(cfg, first)
    names = first['joint_names'].tolist()
    charts: List[_Chart] = []
    sections = [
        _facts_section(cfg, config, checkpoint if known else None, facts,
                       dumps,
                       shlex.join(local_paths(w, work_dir) for w in command),
                       more_facts or {}),
        _headline_section(dumps, baseline, local_paths(no_baseline, work_dir)),
        _pck_section(dumps, alignment, baseline, charts),
        _joint_section(first, alignment),
        _breakdown_section(first, alignment, charts),
        _training_section(records, charts),
        _groups_section(facts, names, selector_history(records or []), charts,
                        '' if known else checkpoint.name),
        _samples_section(first, alignment, num_samples)
    ]
    samples, scene = _samples(first, alignment, num_samples)
    data = dict(
        charts={
            chart.key: json.loads(chart.figure.to_json())
            for chart in charts
        },
        samples=samples,
        scene=scene,
        links=hand_links(names),
        colors=[_css(color) for color in joint_colors(names)])
    _write_page(out, config, facts.epoch if known else None, sections, data)
    return out


# ---- what the page is about


def _load_config(work_dir: Path, config: Optional[PathLike],
                 cfg_options: Optional[dict]) -> tuple:
    if config is None:
        found = sorted(work_dir.glob('*.py'))
        if len(found) != 1:
            raise ValueError(f'{work_dir} holds {len(found)} configs (*.py), '
                             'not one; name the config')
        config = found[0]
    cfg = load_config(config)
    if cfg_options:
        merge_cfg_options(cfg, cfg_options)
    return cfg, Path(config)


def _type_name(cfg: dict) -> str:
    kind = cfg['type']
    return getattr(kind, '__name__', kind).rsplit('.', 1)[-1]


def _predict(cfg: Config, config: Path, checkpoint: Path,
             protocol: Optional[str]) -> Dict[str, Dump]:
    """Predict the test set of the config.

    Raises:
        ValueError: If none of its evaluators scores joints by the protocol,
            what it names cannot be built, or the checkpoint is not its.
    """
    from mmengine.runner import Runner

    from lgh_mmpose.apis.checkpoint import load_weights
    cfg = Config(cfg.to_dict())
    evaluators = cfg.test_evaluator
    if isinstance(evaluators, (dict, ConfigDict)):
        evaluators = [evaluators]
    ours = {
        e.get('protocol', 'general'): e
        for e in reversed(evaluators)
        if _type_name(e) == 'HandKeypoint3DMetric'
    }
    if not ours or protocol not in (None, *ours):
        wanted = f' with protocol={protocol!r}' if protocol else ''
        raise ValueError('the test_evaluator of the config has no '
                         f'HandKeypoint3DMetric{wanted}, only '
                         f'{list(ours)[::-1]}')
    evaluator = ours[protocol or list(ours)[-1]]
    with tempfile.TemporaryDirectory() as folder:
        dump_file = str(Path(folder) / 'predictions.npz')
        evaluator.dump_file = dump_file
        cfg.test_evaluator = [evaluator]
        cfg.work_dir = folder
        # the config of a resumed training says so: this is a test
        cfg.load_from, cfg.resume = None, False
        cfg.launcher = 'none'
        # a visualizer of a name exists once: a second report in this process
        # would write to the first one's folder
        cfg.experiment_name = Path(folder).name
        cfg.pop('visualizer', None)
        with config_errors(config):
            runner = Runner.from_cfg(cfg)
            runner.test_loop  # noqa: B018  (builds data set and metrics)
        load_weights(runner.model, str(checkpoint))
        runner.test()
        dump = B.load_predictions(dump_file)
    root_depth = (cfg.model.get('test_cfg') or {}).get('root_depth', 'solved')
    return {f'root depth {root_depth}': dump}


def _check_dumps(dumps: Dict[str, Dump]) -> Dump:
    """The first of the predictions.

    Raises:
        ValueError: If there is none, or they are of different samples.
    """
    if not dumps:
        raise ValueError('a report needs the predictions of one test at least')
    first = next(iter(dumps.values()))
    for label, dump in dumps.items():
        if str(dump['protocol']) not in F.PROTOCOLS:
            raise ValueError(f'{label} was scored by an unknown protocol, '
                             f'{str(dump["protocol"])!r}')
        for key in ('id', 'joint_names', 'root_joint', 'protocol'):
            if not np.array_equal(dump[key], first[key]):
                raise ValueError(f'the predictions {label!r} differ from the '
                                 f'first in {key}: they must be of the same '
                                 'test')
        if B.scored_alignments(dump) != B.scored_alignments(first):
            raise ValueError(f'the predictions {label!r} differ from the '
                             'first in the alignments that were scored')
    return first


def _mean_pose_errors(cfg: Config, dump: Dump) -> tuple:
    """Errors of always answering the mean pose of the training set.

    Returns:
        tuple: Alignment -> errors (N, K); and, where there are none, why.
    """
    from mmpose.registry import DATASETS

    import lgh_mmpose  # noqa: F401  (registers the data sets)
    from lgh_mmpose.datasets.base_hand3d import BaseHand3DDataset

    root = dump['root_joint'].item()
    names = dump['joint_names'].tolist()
    if root not in names:
        return {}, f'the root joint {root} is not among the joints'
    loader = cfg.get('train_dataloader')
    if loader is None:
        return {}, 'the config has no training set'
    try:
        dataset = DATASETS.build(dict(loader.dataset, pipeline=[]))
    except (OSError, ValueError) as error:
        return {}, f'the training set cannot be read ({error})'
    if not isinstance(dataset, BaseHand3DDataset):
        return {}, 'the training set is a mixture'
    if list(dataset.keypoint_names) != names:
        return {}, 'the training set has other joints'
    if len({dataset.get_hand_side(i) for i in dataset._sorted_ids}) > 1:
        return {}, 'the training set has left and right hands'
    index = names.index(root)
    pose = B.mean_pose(dataset.annotations.keypoints_cam, index,
                       dataset.annotations.keypoints_visible)
    gt = dump['gt_keypoints_cam']
    mask = ~np.isnan(dump[f'errors_{B.scored_alignments(dump)[0]}'])
    if np.isnan(pose[mask.any(axis=0)]).any():
        return {}, 'the training set lacks joints that are compared'
    pose = np.broadcast_to(np.nan_to_num(pose), gt.shape)
    errors = {}
    for alignment in B.scored_alignments(dump):
        if alignment != 'none':  # a pose is nowhere in the camera's frame
            aligned = F.align(pose, gt, alignment, mask, index)
            errors[alignment] = F.keypoint_errors(aligned, gt, mask)
    return errors, ('' if errors else
                    'the scores are of the place of the hand too, which a '
                    'pose does not have')


# ---- pieces of HTML


def _esc(text: Any) -> str:
    return html.escape(str(text))


def _number(value: float, digits: int = 1) -> str:
    return f'{value:.{digits}f}' if np.isfinite(value) else '–'


def _css(color: np.ndarray) -> str:
    return '#{:02x}{:02x}{:02x}'.format(*(int(c) for c in color))


def _table(headers: Sequence[str],
           rows: Sequence[Sequence[str]],
           caption: str = '') -> str:
    """A table; its first column names the rows, the others are numbers."""
    head = ''.join(f'<th scope="col"{" class=number" if i else ""}>{_esc(h)}'
                   '</th>' for i, h in enumerate(headers))
    body = ''.join('<tr>' +
                   ''.join(f'<th scope="row">{_esc(cell)}</th>' if i ==
                           0 else f'<td class="number">{_esc(cell)}</td>'
                           for i, cell in enumerate(row)) + '</tr>'
                   for row in rows)
    title = f'<caption>{_esc(caption)}</caption>' if caption else ''
    # wide tables are scrolled by the keyboard too
    return ('<div class="scroll" tabindex="0" role="group" '
            f'aria-label="{_esc(caption or "Table: " + headers[0])}">'
            f'<table>{title}<thead><tr>{head}</tr></thead>'
            f'<tbody>{body}</tbody></table></div>')


def _section(key: str, title: str, *parts: str) -> str:
    return (f'<section id="{key}" aria-labelledby="{key}-title">'
            f'<h2 id="{key}-title">{_esc(title)}</h2>{"".join(parts)}'
            '</section>')


def _chart_html(chart: _Chart, wide: bool = False) -> str:
    div = (f'<div class="chart" id="{chart.key}" role="img" '
           f'aria-label="{_esc(chart.title)}. {_esc(chart.caption)} '
           'The numbers are in the table below."></div>')
    if wide:
        div = (f'<div class="scroll" tabindex="0" role="group" '
               f'aria-label="{_esc(chart.title)}">'
               f'<div style="min-width: 40rem">{div}</div></div>')
    return (f'<figure><h3>{_esc(chart.title)}</h3>{div}'
            f'<figcaption>{_esc(chart.caption)}</figcaption></figure>'
            '<details><summary>The numbers as a table</summary>'
            f'{_table(chart.headers, chart.rows)}</details>')


def _hand_svg(joint_names: Sequence[str], colors: np.ndarray,
              texts: Sequence[str], tips: Sequence[str], label: str) -> str:
    """An open right hand with a coloured disc and a text for each joint."""
    places = hand_layout(joint_names)
    (left, top), (right, bottom) = places.min(axis=0), places.max(axis=0)
    lines = ''.join(
        '<line class="bone" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>'.
        format(*places[a], *places[b]) for a, b in hand_links(joint_names))
    discs = ''
    for (x, y), color, text, tip in zip(places, colors, texts, tips):
        discs += (f'<g><title>{_esc(tip)}</title>'
                  f'<circle cx="{x:.1f}" cy="{y:.1f}" r="11.5" '
                  f'fill="{_css(color)}"/>'
                  f'<text class="value" x="{x:.1f}" y="{y:.1f}" '
                  f'fill="{text_color(color)}">{_esc(text)}</text></g>')
    return (f'<svg class="hand" role="img" aria-label="{_esc(label)}" '
            f'viewBox="{left - 16:.0f} {top - 16:.0f} {right - left + 32:.0f} '
            f'{bottom - top + 32:.0f}">{lines}{discs}</svg>')


def _figure(go, traces: list, x: str, y: str, **layout: Any):
    """A chart with named axes and the legend above it."""
    return go.Figure(
        traces,
        dict(
            template='none',
            margin=dict(l=52, r=12, t=12, b=44),
            xaxis=dict(
                title=dict(text=x, standoff=8),
                zeroline=False,
                automargin=True),
            yaxis=dict(
                title=dict(text=y, standoff=8),
                rangemode='tozero',
                automargin=True),
            legend=dict(orientation='h', y=1.02, yanchor='bottom'),
            **layout))


def _rgb(index: int) -> str:
    palette = group_colors(7)
    return _css(palette[index % len(palette)])


# ---- sections


def _facts_section(cfg: Config, config: Path, checkpoint: Optional[Path],
                   facts: CheckpointFacts, dumps: Dict[str, Dump],
                   command: str, more: Dict[str, str]) -> str:
    first = next(iter(dumps.values()))
    dataset = cfg.test_dataloader.dataset
    split = dataset.get('split') or dataset.get('ann_file') or ''
    folder = Path(commonpath([str(Path(p).parent) for p in first['img_path']]))
    root = Path(dataset.get('data_root') or '')
    # a report is sent to others: their machine has other folders
    folder = (
        folder.relative_to(root)
        if folder.is_relative_to(root) else Path(folder.name))
    epoch = ('not recorded' if facts.epoch is None else
             f'{facts.epoch} ({facts.iteration} iterations)')
    of = [('Checkpoint', 'not known: predictions do not tell of which they '
           'are, and --checkpoint was not given')]
    if checkpoint is not None:
        of = [('Checkpoint', checkpoint.name), ('Epoch', epoch),
              ('Seed', 'not recorded' if facts.seed is None else facts.seed)]
    rows = [
        ('Data set',
         f'{_type_name(dataset)} {split}: {len(first["id"])} samples from '
         f'{folder}'),
        ('Config', config.name),
        *of,
        ('Protocol', f'{first["protocol"]}, root joint '
         f'{first["root_joint"]}'),
        ('Predictions', '; '.join(dumps)),
        *more.items(),
        ('Made by', command or 'a call of write_report()'),
        ('Versions', ', '.join(f'{name} {version(name)}'
                               for name in ('lgh_mmpose', 'mmpose', 'mmengine',
                                            'torch', 'plotly'))),
    ]
    body = ''.join(f'<dt>{_esc(k)}</dt><dd>{_esc(v)}</dd>' for k, v in rows)
    links = ''.join(
        f'<li><a href="#{key}">{_esc(title)}</a></li>'
        for key, title in (('figures', 'Headline figures'),
                           ('pck', 'PCK curves'), ('joints', 'Error by joint'),
                           ('breakdown', 'Where it errs'), ('training',
                                                            'Training'),
                           ('groups', 'Learned groups'), ('samples',
                                                          'Samples')))
    return (f'<dl class="facts">{body}</dl>'
            f'<nav aria-label="Sections"><ul>{links}</ul></nav>')


def _headline_section(dumps: Dict[str, Dump], baseline: Dict[str, np.ndarray],
                      no_baseline: str) -> str:
    first = next(iter(dumps.values()))
    protocol = F.PROTOCOLS[str(first['protocol'])]
    thresholds = protocol.threshold_values()
    root = str(first['root_joint'])
    headers = ['figure', *dumps] + ['mean pose (baseline)'] * bool(baseline)
    rows = []
    for alignment in (a for a in _ALIGNMENTS if f'errors_{a}' in first):
        meaning = _ALIGNMENTS[alignment].format(root=root)
        columns = [dump[f'errors_{alignment}'] for dump in dumps.values()]
        if baseline:
            columns.append(baseline.get(alignment))

        def add(title: str,
                unit: str,
                digits: int,
                score: Any,
                columns: list = columns) -> None:
            rows.append([
                title, *('–' if errors is None else
                         f'{score(errors):.{digits}f}{unit}'
                         for errors in columns)
            ])

        add(f'{_NAMES[alignment]}: {meaning}', ' mm', 1, F.mpjpe)
        for name, start in protocol.auc_starts.items():
            add(f'{name.replace("_", " ").replace("-", "–")} mm, the same',
                '',
                3,
                lambda errors, start=start: F.auc(
                    F.pck_curve(errors, thresholds)[start:], thresholds[start:]
                ))
    rows.append(
        ['2D error, px of the original image'] +
        [f'{F.epe(dump["errors_2d"]):.1f} px'
         for dump in dumps.values()] + ['–'] * bool(baseline))
    note = ('' if not no_baseline else '<p class="note">No mean pose as a '
            f'baseline: {_esc(no_baseline)}.</p>')
    if baseline:
        note = ('<p class="note">The mean pose is that of the training set, '
                'the same answer for every image.</p>')
    return _section(
        'figures', 'Headline figures', '<p>Mean over all joints that are '
        'compared, in millimetres; AUC is the area under the curve of correct '
        'keypoints, from 0 to 1. Less is better for errors, more for '
        'areas.</p>', _table(headers, rows), note)


def _pck_section(dumps: Dict[str, Dump], alignment: str,
                 baseline: Dict[str, np.ndarray], charts: List[_Chart]) -> str:
    go = import_plotly()
    first = next(iter(dumps.values()))
    name = str(first['protocol'])
    protocol = F.PROTOCOLS[name]
    thresholds = protocol.threshold_values()
    curves = []  # name, thresholds, values, line
    both = [alignment]
    if alignment == 'root' and 'procrustes' in B.scored_alignments(first):
        both.append('procrustes')
    for i, (label, dump) in enumerate(dumps.items()):
        for key in both:
            curves.append((f'{label}, {_NAMES[key]}', thresholds,
                           F.pck_curve(dump[f'errors_{key}'], thresholds),
                           dict(
                               color=_rgb(i),
                               width=3,
                               dash='solid' if key == alignment else 'dot')))
    for key in both:
        if key in baseline:
            curves.append((f'mean pose, {_NAMES[key]}', thresholds,
                           F.pck_curve(baseline[key], thresholds),
                           dict(
                               color=_GREY,
                               width=2,
                               dash='solid' if key == alignment else 'dot')))
    published = ''
    if name in PUBLISHED_DATA_SETS and alignment == protocol.alignments[0]:
        published = (f' Thin: published curves on {PUBLISHED_DATA_SETS[name]} '
                     "by the same protocol, from Li et al. 2021's figures.")
        for i, (method,
                curve) in enumerate(load_published_curves(name).items()):
            curves.append((method, curve.thresholds, curve.pck,
                           dict(color=_rgb(i + 1), width=1)))
    traces = [
        go.Scatter(
            x=t.tolist(), y=v.tolist(), mode='lines', name=_esc(n), line=line)
        for n, t, v, line in curves
    ]
    figure = _figure(go, traces, 'error threshold (mm)',
                     'share of joints within it')
    figure.update_yaxes(range=[0, 1.01])
    picked = np.linspace(0, thresholds[-1], 6)
    rows = [[n, *(f'{np.interp(p, t, v, left=np.nan):.3f}' for p in picked)]
            for n, t, v, _ in curves]
    charts.append(
        _Chart(
            'pck-chart', '3D PCK',
            'Share of joints whose error is at most the threshold, '
            f'{_ALIGNMENTS[alignment].format(root=first["root_joint"])}'
            f'{"; dotted: PA-MPJPE" if len(both) > 1 else ""}.{published}',
            figure, ['within', *(f'{p:g} mm' for p in picked)], rows))
    return _section('pck', 'PCK curves', _chart_html(charts[-1]))


def _joint_section(dump: Dump, alignment: str) -> str:
    names = dump['joint_names'].tolist()
    errors = dump[f'errors_{alignment}']
    mean, median = F.joint_epe(errors), F.joint_epe(errors, 'median')
    pixels = F.joint_epe(dump['errors_2d'])
    low, high = np.nanmin(mean), np.nanmax(mean)
    share = (np.nan_to_num(mean, nan=low) - low) / max(high - low, 1e-9)
    colors = 255 * matplotlib.colormaps['cividis'](share)[:, :3]
    worst = names[int(np.nanargmax(mean))]
    tips = [
        f'{name}: mean {_number(a)} mm, median {_number(b)} mm'
        for name, a, b in zip(names, mean, median)
    ]
    drawing = _hand_svg(
        names, colors.astype(np.uint8), [_number(v, 0) for v in mean], tips,
        'Mean error of each joint on a drawing of a right hand; the numbers '
        'are in the tables beside it')
    fingers = {}
    for finger, value in zip(finger_of_joints(names), errors.T):
        fingers.setdefault(finger, []).append(value)
    by_finger = [[finger.replace('_', ' '), f'{np.nanmean(values):.1f}']
                 for finger, values in fingers.items()
                 if np.isfinite(values).any()]
    by_joint = [[name, *(_number(x) for x in row)]
                for name, *row in zip(names, mean, median, pixels)]
    return _section(
        'joints', 'Error by joint and finger', '<div class="grid"><figure>'
        f'{drawing}<figcaption>Mean error of each joint in mm, '
        f'{_esc(_ALIGNMENTS[alignment].format(root=dump["root_joint"]))}: '
        f'from {low:.1f} (dark) to {high:.1f} mm (light, {_esc(worst)}). '
        'Drawn as a right hand seen from its back, whatever side the samples '
        'have.</figcaption></figure><div>',
        _table(['finger', 'mean (mm)'], by_finger),
        '<details><summary>Every joint as a table</summary>',
        _table(['joint', 'mean (mm)', 'median (mm)', '2D mean (px)'],
               by_joint), '</details></div></div>')


def _breakdown_section(dump: Dump, alignment: str,
                       charts: List[_Chart]) -> str:
    names = dump['joint_names'].tolist()
    errors = dump[f'errors_{alignment}']
    gt = np.where(dump['annotated'][..., None], dump['gt_keypoints_cam'],
                  np.nan)
    per_sample = _row_mean(errors)
    root = str(dump['root_joint'])
    parts, notes = [], []

    def add(key: str, title: str, axis: str, caption: str,
            bins: List[B.ErrorBin], labels: List[str]) -> None:
        charts.append(_bins_chart(key, title, axis, caption, bins, labels))
        parts.append(_chart_html(charts[-1]))

    if root in names and np.isfinite(gt[:, names.index(root), 2]).any():
        depth = gt[:, names.index(root), 2]
        bins = B.errors_by(depth, per_sample, B.equal_count_edges(depth, 6))
        add(
            'depth-chart', 'Error against depth', f'depth of {root} (mm)',
            f'Distance of {root} from the camera plane; about as many '
            'samples in each bar.', bins,
            [f'{b.low:.0f}–{b.high:.0f}' for b in bins])
    else:
        notes.append(f'The depth of {root} is not annotated.')
    angle = (
        B.palm_angle(gt, names)
        if set(B.PALM_JOINTS) <= set(names) else np.array([np.nan]))
    if np.isfinite(angle).any():
        bins = B.errors_by(angle, per_sample, _ANGLE_EDGES)
        add(
            'angle-chart', 'Error against the view of the palm',
            'angle of the palm (degrees)',
            'Angle between the line of sight and the normal of the plane '
            f'through {", ".join(B.PALM_JOINTS)}: 0 face-on, palm or back, '
            '90 edge-on.', bins, [f'{b.low:.0f}–{b.high:.0f}' for b in bins])
    else:
        notes.append('The view of the palm is not known: '
                     f'{", ".join(B.PALM_JOINTS)} are not annotated.')
    links = hand_links(names)
    if any(
            np.isfinite(gt[:, list(link)]).all(axis=(1, 2)).any()
            for link in links):
        parts.append(_occlusion_part(gt, links, errors, per_sample, charts))
    else:
        notes.append('Occlusion by the hand is not known: the ends of no bone '
                     'are annotated.')
    note = ''.join(f'<p class="note">{_esc(text)}</p>' for text in notes)
    return _section(
        'breakdown', 'Where it errs', '<p>Mean error of the samples, '
        f'{_esc(_ALIGNMENTS[alignment].format(root=root))}; the lines span '
        'the middle half of them.</p>', note,
        f'<div class="grid">{"".join(f"<div>{p}</div>" for p in parts)}'
        '</div>')


def _occlusion_part(gt: np.ndarray, links: List[tuple], errors: np.ndarray,
                    per_sample: np.ndarray, charts: List[_Chart]) -> str:
    hidden = B.self_occluded(gt, links)
    bins = B.errors_by(hidden.sum(axis=1), per_sample, _HIDDEN_EDGES)
    labels = [
        f'{b.low:.0f}' if b.high -
        b.low == 1 else f'{b.low:.0f}–{b.high - 1:.0f}' for b in bins[:-1]
    ] + [f'{bins[-1].low:.0f} or more']
    charts.append(
        _bins_chart(
            'hidden-chart', 'Error against occlusion',
            'joints hidden by the hand',
            'Joints with another bone of the true hand, a capsule of '
            f'{B.FINGER_RADIUS_MM:g} mm radius, in their line of sight. '
            'Occlusion by objects is not annotated in these predictions.',
            bins, labels))
    rows = []
    for title, chosen in (('in sight of the camera', ~hidden),
                          ('hidden by another bone', hidden)):
        values = errors[chosen & ~np.isnan(errors)]
        rows.append([
            title,
            str(len(values)), f'{values.mean():.1f}' if len(values) else '–'
        ])
    table = _table(['joints', 'number', 'mean error (mm)'], rows,
                   'Error of the joints themselves')
    return (f'{_chart_html(charts[-1])}<h3>Hidden joints</h3>{table}')


def _row_mean(errors: np.ndarray) -> np.ndarray:
    """Mean of each row, NaN without a value."""
    count = (~np.isnan(errors)).sum(axis=1)
    return np.where(count > 0,
                    np.nansum(errors, axis=1) / np.maximum(count, 1), np.nan)


def _bins_chart(key: str, title: str, axis: str, caption: str,
                bins: List[B.ErrorBin], labels: List[str]) -> _Chart:
    go = import_plotly()
    shown = [(b, label) for b, label in zip(bins, labels) if b.count]
    bars = go.Bar(
        x=[label for _, label in shown],
        y=[b.mean for b, _ in shown],
        marker=dict(color=_rgb(0)),
        error_y=dict(
            type='data',
            symmetric=False,
            array=[b.upper - b.mean for b, _ in shown],
            arrayminus=[b.mean - b.lower for b, _ in shown],
            thickness=1.5,
            color=_GREY),
        text=[f'{b.count} samples' for b, _ in shown],
        textposition='none',
        hovertemplate='%{x}: %{y:.1f} mm, %{text}<extra></extra>')
    figure = _figure(go, [bars], axis, 'error (mm)')
    figure.update_xaxes(type='category')
    rows = [[
        label,
        str(b.count), *(f'{x:.1f}' if b.count else '–'
                        for x in (b.mean, b.lower, b.upper))
    ] for b, label in zip(bins, labels)]
    return _Chart(
        key, title, caption, figure,
        [axis, 'samples', 'mean (mm)', 'lower quartile', 'upper quartile'],
        rows)


def _training_section(records: Optional[List[dict]],
                      charts: List[_Chart]) -> str:
    if records is None:
        return _section(
            'training', 'Training',
            '<p>The work dir holds no log of a training (scalars.json).</p>')
    go = import_plotly()
    losses = figures.loss_curves(records)
    scores = figures.merge_equal(
        figures.validation_curves(
            records,
            sorted({
                k
                for r in records
                for k in r if '/' in k and k.endswith(('MPJPE', '/EPE'))
            })))
    parts = []
    for key, title, curves, caption, axis, mode in (
        ('loss-chart', 'Training loss', losses,
         'The loss and its terms, logarithmic.', 'loss', 'lines'),
        ('score-chart', 'Validation error', scores,
         'Scores on the validation set during the training.', 'error (mm)',
         'lines+markers')):
        if not curves:
            parts.append('<div><p class="note">This run logged no '
                         'validation.</p></div>')
            continue
        traces = [
            go.Scatter(
                x=steps,
                y=values,
                mode=mode,
                name=_esc(name),
                line=dict(
                    color=_GREY if name == 'loss' else _rgb(i - 1),
                    width=3 if name == 'loss' else 1.5))
            for i, (name, (steps, values)) in enumerate(curves.items())
        ]
        figure = _figure(go, traces, 'iteration', axis)
        if key == 'loss-chart':
            figure.update_yaxes(
                type='log', rangemode='normal', exponentformat='power')
        rows = [[
            name,
            str(steps[0]), f'{values[0]:.4g}',
            str(steps[-1]), f'{values[-1]:.4g}', f'{min(values):.4g}'
        ] for name, (steps, values) in curves.items()]
        charts.append(
            _Chart(
                key, title, caption, figure,
                ['curve', 'iteration', 'first', 'iteration', 'last', 'least'],
                rows))
        parts.append(f'<div>{_chart_html(charts[-1])}</div>')
    return _section('training', 'Training',
                    f'<div class="grid">{"".join(parts)}</div>')


def _groups_section(facts: CheckpointFacts,
                    joint_names: Sequence[str],
                    history: Optional[SelectorHistory],
                    charts: List[_Chart],
                    last: str = '') -> str:
    """The groups; ``last`` names the checkpoint if it may be another one."""
    title = 'Learned groups'
    if facts.probabilities is None:
        return _section('groups', title,
                        '<p>This checkpoint has no selector.</p>')
    names = facts.joint_names or list(joint_names)
    probabilities = facts.probabilities
    if len(names) != len(probabilities):
        raise ValueError(f'the selector of the checkpoint has '
                         f'{len(probabilities)} joints, the predictions have '
                         f'{len(names)}')
    chosen = probabilities.argmax(axis=1)
    colors = group_colors(probabilities.shape[1])
    drawing = _hand_svg(
        names, colors[chosen], [str(g) for g in chosen], [
            f'{name}: group {g}, probability {row[g]:.2f}'
            for name, g, row in zip(names, chosen, probabilities)
        ], 'Group of each joint on a drawing of a right hand; the tables '
        'beside it hold the same')
    members = [[
        f'group {g}', ', '.join(n for n, k in zip(names, chosen) if k == g)
        or '(empty)'
    ] for g in range(probabilities.shape[1])]
    table = _table(['joint', *(row[0] for row in members)],
                   [[name, *(f'{p:.3f}' for p in row)]
                    for name, row in zip(names, probabilities)])
    note = '' if not last else (
        f'<p class="note">Of {_esc(last)}, the last checkpoint of the work '
        'dir. Whether the predictions above are of it is not known.</p>')
    parts = [
        note,
        f'<div class="grid"><figure>{drawing}<figcaption>Each joint in its '
        'most probable group, by number and colour.</figcaption></figure>'
        '<div>', '<dl class="facts">' +
        ''.join(f'<dt>{_esc(g)}</dt><dd>{_esc(joints)}</dd>'
                for g, joints in members) + '</dl>',
        f'<details><summary>Every probability as a table</summary>{table}'
        '</details></div></div>'
    ]
    if history is None:
        parts.append('<p class="note">The log of this run holds no '
                     'probabilities (selector/probability/...), so that how '
                     'the groups came about is not shown.</p>')
    else:
        parts += _history_parts(history, charts)
    return _section('groups', title, *parts)


def _history_parts(history: SelectorHistory,
                   charts: List[_Chart]) -> List[str]:
    go = import_plotly()
    from plotly.subplots import make_subplots
    num_groups = history.probabilities.shape[2]
    steps = history.steps.tolist()
    maps = make_subplots(
        1, num_groups, shared_yaxes=True, horizontal_spacing=.02)
    for g, color in enumerate(group_colors(num_groups).tolist()):
        rgb = ','.join(str(c) for c in color)
        maps.add_trace(
            go.Heatmap(
                x=steps,
                y=[_esc(name) for name in history.joint_names],
                z=history.probabilities[:, :, g].T.round(3).tolist(),
                zmin=0,
                zmax=1,
                colorscale=[[0, f'rgba({rgb},0)'], [1, f'rgba({rgb},1)']],
                showscale=False,
                hovertemplate=f'%{{y}}, iteration %{{x}}: group {g} with '
                '%{z}<extra></extra>'), 1, g + 1)
        maps.update_xaxes(title_text=f'group {g}', nticks=4, row=1, col=g + 1)
    maps.update_xaxes(showgrid=False)
    maps.update_yaxes(autorange='reversed', dtick=1, showgrid=False)
    maps.update_layout(
        template='none',
        margin=dict(l=110, r=8, t=8, b=44),
        font=dict(size=11))
    rows = [[
        name, *(f'{p:.2f}' for p in (*start, *end))
    ] for name, start, end in zip(history.joint_names, history.
                                  probabilities[0], history.probabilities[-1])]
    charts.append(
        _Chart(
            'probability-chart', 'Probabilities over the training',
            'Full colour: probability 1. Each column is a group, over the '
            'iterations.', maps, [
                'joint', *(f'group {g}, {when}' for when in ('first', 'last')
                           for g in range(num_groups))
            ], rows))
    switches = history.switches.cumsum()
    traces = [
        go.Scatter(
            x=steps,
            y=history.entropy.tolist(),
            mode='lines',
            name='mean entropy (nats)',
            line=dict(color=_GREY, width=2)),
        go.Scatter(
            x=steps,
            y=switches.tolist(),
            mode='lines',
            name='switches of joints so far',
            yaxis='y2',
            line=dict(color=_rgb(5), width=2, shape='hv'))
    ]
    figure = _figure(
        go,
        traces,
        'iteration',
        'entropy (nats)',
        yaxis2=dict(
            title=dict(text='switches'),
            overlaying='y',
            side='right',
            rangemode='tozero',
            tickmode='linear',
            dtick=max(1, -(-int(switches[-1]) // 5)),
            showgrid=False))
    figure.update_layout(margin=dict(r=52))
    picked = np.unique(np.linspace(0, len(steps) - 1, 9).round().astype(int))
    charts.append(
        _Chart(
            'entropy-chart', 'Entropy and switches',
            f'Entropy from log {num_groups} = {np.log(num_groups):.2f}, '
            'nothing learned, to 0, decided; a switch is a joint whose most '
            'probable group changes between two logs.', figure,
            ['iteration', 'entropy (nats)', 'switches so far'],
            [[str(steps[i]), f'{history.entropy[i]:.3f}',
              str(switches[i])] for i in picked]))
    return [_chart_html(charts[-2], wide=True), _chart_html(charts[-1])]


# ---- samples


def _pick(dump: Dump, alignment: str, num_each: int) -> List[tuple]:
    """(title, index of the sample, its error) of worst, median and best."""
    errors = _row_mean(dump[f'errors_{alignment}'])
    order = np.argsort(errors)
    order = order[np.isfinite(errors[order])]
    num = max(1, min(num_each, len(order) // 3))
    middle = (len(order) - num) // 2
    rows = (('worst', order[::-1][:num]),
            ('median', order[middle:middle + num]), ('best', order[:num]))
    return [(name, int(i), float(errors[i])) for name, indices in rows
            for i in indices]


def _sample_title(dump: Dump, name: str, index: int, error: float) -> str:
    return (f'{name}: {error:.1f} mm, sample {dump["id"][index]} '
            f'({Path(str(dump["img_path"][index])).name})')


def _samples_section(dump: Dump, alignment: str, num_each: int) -> str:
    groups: Dict[str, str] = {}
    for i, (name, index, error) in enumerate(_pick(dump, alignment, num_each)):
        title = _sample_title(dump, name, index, error)
        groups[name] = groups.get(
            name, '') + f'<option value="{i}">{_esc(title)}</option>'
    picker = ''.join(f'<optgroup label="{name}">{options}</optgroup>'
                     for name, options in groups.items())
    meaning = _ALIGNMENTS[alignment].format(root=dump['root_joint'])
    buttons = ''.join(f'<button type="button" id="{key}">{text}</button>'
                      for key, text in (('turn-left', 'Turn left'),
                                        ('turn-right', 'Turn right'),
                                        ('view-camera', 'From the camera'),
                                        ('view-side', 'From the side'),
                                        ('view-top', 'From above')))
    return _section(
        'samples',
        'Samples',
        '<p>Worst, median and best by mean error, '
        f'{_esc(meaning)}. Prediction in colour, truth white on the image '
        'and grey in 3D. The 3D view turns with the mouse, with a finger, and '
        'with the arrow keys.</p><div class="controls">'
        '<label for="sample-picker">Sample</label>'
        f'<select id="sample-picker">{picker}</select>'
        '<button type="button" id="previous">Previous</button>'
        '<button type="button" id="next">Next</button>'
        '<label><input type="checkbox" id="show-prediction" checked> '
        'prediction</label>'
        '<label><input type="checkbox" id="show-truth" checked> truth</label>'
        '</div><h3 id="sample-title" aria-live="polite"></h3>'
        '<div class="views"><div class="picture">'
        '<img id="sample-image" alt=""><svg id="sample-overlay" '
        'aria-hidden="true"></svg></div><div><div id="hand3d" '
        # screen readers keep the arrow keys of anything but an application
        'role="application" aria-roledescription="turnable 3D view" '
        'tabindex="0" aria-label="3D view"></div><div class="controls">'
        f'{buttons}</div></div></div>'
        '<details><summary>Joints of this sample as a table</summary>'
        '<div class="scroll" tabindex="0" role="group" '
        'aria-label="Joints of this sample"><table><thead><tr>'
        '<th scope="col">joint</th>'
        '<th scope="col" class="number">error (mm)</th>'
        '<th scope="col" class="number">error in depth (mm)</th>'
        '<th scope="col" class="number">2D error (px)</th></tr></thead>'
        '<tbody id="sample-joints"></tbody></table></div></details>')


def _samples(dump: Dump, alignment: str, num_each: int) -> tuple:
    """What the page's script shows of each sample, and the 3D layout."""
    names = dump['joint_names'].tolist()
    root = str(dump['root_joint'])
    index = names.index(root) if root in names else None
    samples, scene = [], None
    for name, i, error in _pick(dump, alignment, num_each):
        annotated = dump['annotated'][i]
        compared = ~np.isnan(dump[f'errors_{alignment}'][i])
        truth = np.where(annotated[:, None], dump['gt_keypoints_cam'][i],
                         np.nan)
        pred = F.align(dump['pred_keypoints_cam'][[i]],
                       dump['gt_keypoints_cam'][[i]], alignment,
                       compared[None], index)[0]
        # the numbers stay small about the hand, not about the camera
        origin = (
            truth[index] if index is not None and annotated[index] else
            truth[annotated].mean(axis=0))
        figure = json.loads(
            hand_figure(pred - origin, truth - origin, names).to_json())
        scene = figure['layout']
        image, pixels = _cut_out(dump['img_path'][i], [
            dump['pred_keypoints'][i],
            np.where(annotated[:, None], dump['gt_keypoints'][i], np.nan)
        ])
        title = _sample_title(dump, name, i, error)
        depth = pred[:, 2] - truth[:, 2]
        samples.append(
            dict(
                title=title,
                image=_data_uri(image),
                size=[image.shape[1], image.shape[0]],
                alt=f'Image of the {title}, cut out around the hand, with '
                'the 2D skeletons of prediction and truth',
                alt3d=f'3D skeletons of prediction and truth of the {title}. '
                'Arrow keys turn the view.',
                prediction=_points(pixels[0]),
                truth=_points(pixels[1]),
                traces=figure['data'],
                joints=[[
                    joint, *(_number(x) for x in values)
                ] for joint, *values in zip(names, dump[f'errors_{alignment}']
                                            [i], depth, dump['errors_2d'][i])
                        ]))
    # the view stays as it is when another sample is picked
    scene['scene']['uirevision'] = 'kept'
    scene['legend'] = dict(x=0, y=1, bgcolor='rgba(0,0,0,0)')
    return samples, scene


def _points(points: np.ndarray) -> List[Optional[List[float]]]:
    return [
        p.round(1).tolist() if np.isfinite(p).all() else None for p in points
    ]


def _cut_out(path: str, keypoints: List[np.ndarray]) -> tuple:
    """The image around the true joints, and the joints' pixels in it."""
    image = figures.read_image(path)
    truth = keypoints[1][np.isfinite(keypoints[1]).all(axis=1)]
    height, width = image.shape[:2]
    low, high = truth.min(axis=0), truth.max(axis=0)
    centre, half = (low + high) / 2, .75 * (high - low).max() + 4
    left, top = (int(max(0, c)) for c in np.floor(centre - half))
    right, bottom = (int(min(n, c))
                     for n, c in zip((width, height),
                                     np.ceil(centre + half) + 1))
    if right - left < 8 or bottom - top < 8:  # joints outside of the image
        left, top, right, bottom = 0, 0, width, height
    image = image[top:bottom, left:right]
    factor = min(1., _MAX_IMAGE / max(image.shape[:2]))
    if factor < 1:
        size = [max(1, round(factor * n)) for n in image.shape[1::-1]]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return image, [(points - (left, top) + .5) * factor - .5
                   for points in keypoints]


def _data_uri(image: np.ndarray) -> str:
    encoded = cv2.imencode('.jpg', image[..., ::-1],
                           [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    return 'data:image/jpeg;base64,' + base64.b64encode(encoded).decode()


# ---- the file


def _write_page(out: Path, config: Path, epoch: Optional[int],
                sections: Sequence[str], data: dict) -> None:
    from plotly.offline import get_plotlyjs
    title = f'{config.stem}: report'
    if epoch is not None:
        title = f'{config.stem}, epoch {epoch}: report'

    def template(name: str) -> str:
        return (_TEMPLATES / name).read_text(encoding='utf-8')

    page = Template(template('report.html')).substitute(
        title=_esc(title),
        subtitle='3D hand pose with learnable joint groups. Lengths are in '
        'millimetres, image coordinates in pixels of the original image.',
        css=template('report.css'),
        js=template('report.js'),
        plotly=get_plotlyjs(),
        sections='\n'.join(sections),
        footer='Made by lgh_mmpose. This file needs no network.',
        # '<' could end the script element
        data=json.dumps(data, allow_nan=False).replace('<', '\\u003c'))
    with atomic_write(out) as file:
        file.write(page.encode('utf-8'))


def local_paths(text: str, work_dir: PathLike) -> str:
    """A text without the folders of this machine.

    Args:
        text (str): Any text, such as an argument of a command or an error.
        work_dir (str | Path): Absolute paths in it are given from its name
            on.

    Returns:
        str: The text, with only the last name of all other paths that are
        absolute or lead up (``..``), white space in them or not. Between such
        a path and a ``/`` further on, words may be lost rather than a folder
        be told.
    """
    work_dir = Path(work_dir).resolve()
    text = re.sub(f'{_BOUND}{re.escape(str(work_dir))}(?![^/\\s,;:)\\]}}\'"])',
                  '\0', text)
    return _FOLDERS.sub('', text).replace('\0', work_dir.name)


# where a path may begin, and how one does that leads out of this folder
_BOUND = r'(?<![^\s=,;:(\[{<|@\'"])'
_START = _BOUND + r'(?:~[^\s/]*/|/|(?:[^\s/=\'"]+/)*\.\./)'
# up to the last slash, but not into the next path or sentence
_FOLDERS = re.compile(
    rf'{_START}(?:(?:(?!\0|[;:]\s|{_START}).)*(?!{_START})/)?'
    r'(?=[^\s/,;:)\]}\'"])')
