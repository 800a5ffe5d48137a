"""The section of the training: its losses and validation errors."""
from typing import Dict, List, Optional, Tuple

from lgh_mmpose.visualization.figures import (loss_curves, merge_equal,
                                              validation_curves)
from lgh_mmpose.visualization.plotly_hand import import_plotly

from .data import ReportData
from .pieces import (GREY, Chart, Section, Table, line_color, new_figure,
                     plotly_text)

# name -> iterations and values
_Curves = Dict[str, Tuple[List[int], List[float]]]


def training_section(data: ReportData) -> Section:
    """Curves of the training, as far as they were logged."""
    loss = score = None
    if data.records is not None:
        loss = _chart('loss-chart', loss_curves(data.records), 'loss', 'lines')
        score = _chart('score-chart', _scores(data.records), 'error (mm)',
                       'lines+markers')
    if loss:
        loss.figure.update_yaxes(
            type='log', rangemode='normal', exponentformat='power')
    return Section(
        'training', 'Training',
        dict(logged=data.records is not None, loss=loss, score=score),
        [chart for chart in (loss, score) if chart])


def _scores(records: List[dict]) -> _Curves:
    keys = {key for record in records for key in record}
    errors = [k for k in keys if '/' in k and k.endswith(('MPJPE', '/EPE'))]
    return merge_equal(validation_curves(records, sorted(errors)))


def _chart(key: str, curves: _Curves, axis: str, mode: str) -> Optional[Chart]:
    if not curves:
        return None
    go = import_plotly()
    traces = [
        go.Scatter(
            x=steps,
            y=values,
            mode=mode,
            name=plotly_text(name),
            line=dict(
                color=GREY if name == 'loss' else line_color(i - 1),
                width=3 if name == 'loss' else 1.5))
        for i, (name, (steps, values)) in enumerate(curves.items())
    ]
    rows = [[
        name,
        str(steps[0]), f'{values[0]:.4g}',
        str(steps[-1]), f'{values[-1]:.4g}', f'{min(values):.4g}'
    ] for name, (steps, values) in curves.items()]
    headers = ['curve', 'iteration', 'first', 'iteration', 'last', 'least']
    return Chart(key, new_figure(traces, 'iteration', axis),
                 Table(headers, rows))
