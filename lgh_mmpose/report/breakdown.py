"""The section of where a model errs: by depth, view and occlusion."""
from typing import Any, Dict, List, Optional

import numpy as np

from lgh_mmpose.evaluation import breakdown as B
from lgh_mmpose.geometry.hand import hand_links
from lgh_mmpose.visualization.plotly_hand import import_plotly

from .data import ReportData, row_mean
from .pieces import (GREY, MISSING, Chart, Section, Table, line_color,
                     new_figure, number)

_ANGLE_EDGES = (0, 15, 30, 45, 60, 75, 90)
_HIDDEN_EDGES = (0, 1, 3, 6, 10, 22)


def breakdown_section(data: ReportData) -> Section:
    """Errors against what may cause them, as far as it is annotated."""
    gt = np.where(data.first['annotated'][..., None],
                  data.first['gt_keypoints_cam'], np.nan)
    depth = _depth_chart(data, gt)
    angle = _angle_chart(data, gt)
    occlusion = _occlusion(data, gt)
    charts = [depth, angle, occlusion['hidden']]
    return Section(
        'breakdown', 'Where it errs',
        dict(
            aligned=data.aligned,
            root=data.root_joint,
            palm=', '.join(B.PALM_JOINTS),
            radius=f'{B.FINGER_RADIUS_MM:g}',
            depth=depth,
            angle=angle,
            **occlusion), [chart for chart in charts if chart])


def _depth_chart(data: ReportData, gt: np.ndarray) -> Optional[Chart]:
    names, root = data.joint_names, data.root_joint
    if root not in names:
        return None
    depth = gt[:, names.index(root), 2]
    if not np.isfinite(depth).any():
        return None
    bins = B.errors_by(depth, row_mean(data.errors),
                       B.equal_count_edges(depth, 6))
    return _bins_chart('depth-chart', f'depth of {root} (mm)', bins,
                       [f'{b.low:.0f}–{b.high:.0f}' for b in bins])


def _angle_chart(data: ReportData, gt: np.ndarray) -> Optional[Chart]:
    if not set(B.PALM_JOINTS) <= set(data.joint_names):
        return None
    angle = B.palm_angle(gt, data.joint_names)
    if not np.isfinite(angle).any():
        return None
    bins = B.errors_by(angle, row_mean(data.errors), _ANGLE_EDGES)
    return _bins_chart('angle-chart', 'angle of the palm (degrees)', bins,
                       [f'{b.low:.0f}–{b.high:.0f}' for b in bins])


def _occlusion(data: ReportData, gt: np.ndarray) -> Dict[str, Any]:
    """The chart and the table of hidden joints, if bones are annotated."""
    links = hand_links(data.joint_names)
    if not any(
            np.isfinite(gt[:, list(link)]).all(axis=(1, 2)).any()
            for link in links):
        return dict(hidden=None)
    hidden = B.self_occluded(gt, links)
    bins = B.errors_by(
        hidden.sum(axis=1), row_mean(data.errors), _HIDDEN_EDGES)
    labels = [
        f'{b.low:.0f}' if b.high -
        b.low == 1 else f'{b.low:.0f}–{b.high - 1:.0f}' for b in bins[:-1]
    ] + [f'{bins[-1].low:.0f} or more']
    rows = []
    for title, chosen in (('in sight of the camera', ~hidden),
                          ('hidden by another bone', hidden)):
        values = data.errors[chosen & ~np.isnan(data.errors)]
        mean = number(values.mean()) if len(values) else MISSING
        rows.append([title, str(len(values)), mean])
    return dict(
        hidden=_bins_chart('hidden-chart', 'joints hidden by the hand', bins,
                           labels),
        hidden_table=Table(['joints', 'number', 'mean error (mm)'], rows,
                           'Error of the joints themselves'))


def _bins_chart(key: str, axis: str, bins: List[B.ErrorBin],
                labels: List[str]) -> Chart:
    go = import_plotly()
    shown = [(b, label) for b, label in zip(bins, labels) if b.count]
    bars = go.Bar(
        x=[label for _, label in shown],
        y=[b.mean for b, _ in shown],
        marker=dict(color=line_color(0)),
        error_y=dict(
            type='data',
            symmetric=False,
            array=[b.upper - b.mean for b, _ in shown],
            arrayminus=[b.mean - b.lower for b, _ in shown],
            thickness=1.5,
            color=GREY),
        text=[f'{b.count} samples' for b, _ in shown],
        textposition='none',
        hovertemplate='%{x}: %{y:.1f} mm, %{text}<extra></extra>')
    figure = new_figure([bars], axis, 'error (mm)')
    figure.update_xaxes(type='category')
    rows = [[
        label,
        str(b.count), *(number(x) if b.count else MISSING
                        for x in (b.mean, b.lower, b.upper))
    ] for b, label in zip(bins, labels)]
    headers = [
        axis, 'samples', 'mean (mm)', 'lower quartile', 'upper quartile'
    ]
    return Chart(key, figure, Table(headers, rows))
