"""The section of the learned groups, on a drawing and over the training."""
from typing import Any, Dict, List, Sequence

import numpy as np

from lgh_mmpose.inference.skeleton_2d import group_colors
from lgh_mmpose.visualization.groups import SelectorHistory, selector_history
from lgh_mmpose.visualization.plotly_hand import import_plotly

from .data import ReportData
from .pieces import (GREY, Chart, HandDrawing, Section, Table, draw_hand,
                     line_color, new_figure, plotly_text)


def groups_section(data: ReportData) -> Section:
    """The groups of the checkpoint, and how they came about.

    Raises:
        ValueError: If checkpoint and predictions differ in their joints.
    """
    title = 'Learned groups'
    probabilities = data.facts.probabilities
    if probabilities is None:
        return Section('groups', title, dict(drawing=None))
    names = data.facts.joint_names or data.joint_names
    if len(names) != len(probabilities):
        raise ValueError(f'the selector of the checkpoint has '
                         f'{len(probabilities)} joints, the predictions have '
                         f'{len(names)}')
    chosen = probabilities.argmax(axis=1)
    groups = range(probabilities.shape[1])
    members = [
        ', '.join(n for n, k in zip(names, chosen) if k == g) or '(empty)'
        for g in groups
    ]
    history = _history(data.records or [])
    charts = [history['probabilities'], history['entropy']] if history else []
    return Section(
        'groups', title,
        dict(
            drawing=_drawing(names, probabilities),
            members=[(f'group {g}', members[g]) for g in groups],
            table=Table(['joint', *(f'group {g}' for g in groups)],
                        [[name, *(f'{p:.3f}' for p in row)]
                         for name, row in zip(names, probabilities)]),
            last='' if data.known else data.checkpoint.name,
            history=history), charts)


def _history(records: List[dict]) -> Dict[str, Any]:
    """The charts of a training, where it has logged its groups."""
    history = selector_history(records)
    if history is None:
        return {}
    num_groups = history.probabilities.shape[2]
    return dict(
        probabilities=_probability_chart(history),
        entropy=_entropy_chart(history),
        num_groups=num_groups,
        highest=f'{np.log(num_groups):.2f}')


def _drawing(names: Sequence[str], probabilities: np.ndarray) -> HandDrawing:
    chosen = probabilities.argmax(axis=1)
    return draw_hand(names,
                     group_colors(probabilities.shape[1])[chosen],
                     [str(g) for g in chosen], [
                         f'{name}: group {g}, probability {row[g]:.2f}'
                         for name, g, row in zip(names, chosen, probabilities)
                     ])


def _probability_chart(history: SelectorHistory) -> Chart:
    num_groups = history.probabilities.shape[2]
    start, end = history.probabilities[0], history.probabilities[-1]
    rows = [[name, *(f'{p:.2f}' for p in (*first, *last))]
            for name, first, last in zip(history.joint_names, start, end)]
    headers = ['joint'] + [
        f'group {g}, {when}' for when in ('first', 'last')
        for g in range(num_groups)
    ]
    return Chart('probability-chart', _probability_maps(history),
                 Table(headers, rows))


def _probability_maps(history: SelectorHistory) -> Any:
    go = import_plotly()
    from plotly.subplots import make_subplots
    num_groups = history.probabilities.shape[2]
    maps = make_subplots(
        1, num_groups, shared_yaxes=True, horizontal_spacing=.02)
    for g, color in enumerate(group_colors(num_groups).tolist()):
        rgb = ','.join(str(c) for c in color)
        maps.add_trace(
            go.Heatmap(
                x=history.steps.tolist(),
                y=[plotly_text(name) for name in history.joint_names],
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
    return maps


def _entropy_chart(history: SelectorHistory) -> Chart:
    go = import_plotly()
    steps = history.steps.tolist()
    switches = history.switches.cumsum()
    traces = [
        go.Scatter(
            x=steps,
            y=history.entropy.tolist(),
            mode='lines',
            name='mean entropy (nats)',
            line=dict(color=GREY, width=2)),
        go.Scatter(
            x=steps,
            y=switches.tolist(),
            mode='lines',
            name='switches of joints so far',
            yaxis='y2',
            line=dict(color=line_color(5), width=2, shape='hv'))
    ]
    figure = new_figure(
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
    rows = [[str(steps[i]), f'{history.entropy[i]:.3f}',
             str(switches[i])] for i in picked]
    return Chart(
        'entropy-chart', figure,
        Table(['iteration', 'entropy (nats)', 'switches so far'], rows))
