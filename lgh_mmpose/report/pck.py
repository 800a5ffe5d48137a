"""The section of the curves of correct keypoints."""
from typing import List, NamedTuple

import numpy as np

from lgh_mmpose.evaluation import breakdown as B
from lgh_mmpose.evaluation import functional as F
from lgh_mmpose.evaluation.published import (PUBLISHED_DATA_SETS,
                                             load_published_curves)
from lgh_mmpose.visualization.plotly_hand import import_plotly

from .data import ERROR_NAMES, ReportData
from .pieces import (GREY, Chart, Section, Table, line_color, new_figure,
                     plotly_text)


class _Curve(NamedTuple):
    name: str
    thresholds: np.ndarray
    values: np.ndarray
    line: dict


def pck_section(data: ReportData) -> Section:
    """PCK of all predictions, with the mean pose and what is published."""
    protocol = F.PROTOCOLS[data.protocol]
    alignments = [data.alignment]
    if (data.alignment == 'root'
            and 'procrustes' in B.scored_alignments(data.first)):
        alignments.append('procrustes')
    curves = _own_curves(data, alignments)
    published = ''
    if (data.protocol in PUBLISHED_DATA_SETS
            and data.alignment == protocol.alignments[0]):
        published = PUBLISHED_DATA_SETS[data.protocol]
        others = load_published_curves(data.protocol)
        curves += [
            _Curve(method, curve.thresholds, curve.pck,
                   dict(color=line_color(i), width=1))
            for i, (method, curve) in enumerate(others.items(), 1)
        ]
    chart = _chart(curves, protocol.threshold_values()[-1])
    return Section(
        'pck', 'PCK curves',
        dict(
            chart=chart,
            aligned=data.aligned,
            dotted=len(alignments) > 1,
            published=published), [chart])


def _own_curves(data: ReportData, alignments: List[str]) -> List[_Curve]:
    thresholds = F.PROTOCOLS[data.protocol].threshold_values()
    # name, colour, width, alignment -> errors
    sources = [(label, line_color(i), 3, {
        key: dump[f'errors_{key}']
        for key in alignments
    }) for i, (label, dump) in enumerate(data.dumps.items())]
    sources.append(('mean pose', GREY, 2, data.baseline))
    return [
        _Curve(
            f'{label}, {ERROR_NAMES[key]}', thresholds,
            F.pck_curve(errors[key], thresholds),
            dict(
                color=color,
                width=width,
                dash='solid' if key == data.alignment else 'dot'))
        for label, color, width, errors in sources for key in alignments
        if key in errors
    ]


def _chart(curves: List[_Curve], last: float) -> Chart:
    go = import_plotly()
    figure = new_figure([
        go.Scatter(
            x=curve.thresholds.tolist(),
            y=curve.values.tolist(),
            mode='lines',
            name=plotly_text(curve.name),
            line=curve.line) for curve in curves
    ], 'error threshold (mm)', 'share of joints within it')
    figure.update_yaxes(range=[0, 1.01])
    picked = np.linspace(0, last, 6)
    rows = [[
        curve.name,
        *(f'{np.interp(p, curve.thresholds, curve.values, left=np.nan):.3f}'
          for p in picked)
    ] for curve in curves]
    return Chart('pck-chart', figure,
                 Table(['within', *(f'{p:g} mm' for p in picked)], rows))
