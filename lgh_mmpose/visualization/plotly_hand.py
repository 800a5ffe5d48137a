"""A 3D hand that can be turned with the mouse, as a Plotly figure."""
import html
from typing import Any, List, Optional, Sequence

import numpy as np

from ..geometry.hand import hand_links
from ..inference.skeleton_2d import joint_colors

# readable on white and on black
_TRUTH_COLOR = '#808890'
_GRID_COLOR = 'rgb(150,156,162)'
# the camera's side of the hand, a little from above and from the right
_EYE = dict(x=.48, y=-1.55, z=.4)
_JOINT_NAMES = ('wrist',
                *(f'{finger}{i}'
                  for finger in ('thumb', 'forefinger', 'middle_finger',
                                 'ring_finger', 'pinky_finger')
                  for i in range(1, 5)))


def import_plotly():
    """The module ``plotly.graph_objects``.

    Raises:
        ImportError: If Plotly is not installed, with the extra to install.
    """
    try:
        import plotly.graph_objects as go
    except ImportError:
        raise ImportError('turnable 3D hands and reports are drawn by Plotly: '
                          "pip install 'lgh_mmpose[report]'") from None
    return go


def hand_figure(joints: np.ndarray,
                truth: Optional[np.ndarray] = None,
                joint_names: Optional[Sequence[str]] = None,
                groups: Optional[Sequence[int]] = None,
                units: str = 'mm'):
    """Draw a hand, and the truth if it is known, so that it can be turned.

    The axes are equally scaled and those of the camera: x to the right, y
    down, depth away from the eye. A bone has the colour of its outer joint.

    Args:
        joints (np.ndarray): Joints in the camera frame, (K, 3); those that
            are not finite are left out.
        truth (np.ndarray, optional): True joints in the same frame, (K, 3),
            drawn in grey.
        joint_names (Sequence[str], optional): Names of the K joints, as in
            mmpose's hand metainfo. Defaults to its 21 joints in FreiHAND's
            order.
        groups (Sequence[int], optional): Group of each joint, (K,), to
            colour by. Defaults to ``None``: by finger.
        units (str): Unit of the joints, for the axes and the labels.

    Returns:
        plotly.graph_objects.Figure: The figure, without a template.

    Raises:
        ValueError: If a shape does not fit the names.
        ImportError: If Plotly is not installed.
    """
    go = import_plotly()
    names = list(_JOINT_NAMES if joint_names is None else joint_names)
    joints, truth = (None if points is None else np.asarray(
        points, dtype=np.float64) for points in (joints, truth))
    for what, points in (('joints', joints), ('truth', truth)):
        if points is not None and points.shape != (len(names), 3):
            raise ValueError(f'{what} must be ({len(names)}, 3), a point for '
                             f'each name, got {points.shape}')
    colors = [
        f'rgb({r},{g},{b})'
        for r, g, b in joint_colors(names, groups).tolist()
    ]
    traces = []
    if truth is not None:
        grey = [_TRUTH_COLOR] * len(names)
        traces += _traces(go, truth, names, grey, 'truth',
                          _labels(truth, names, units), 3, 3)
    traces += _traces(go, joints, names, colors, 'prediction',
                      _labels(joints, names, units, truth, groups), 6, 5)
    traces.append(_room(go, joints, truth))
    axis = dict(
        tickangle=0,
        tickfont=dict(size=10),
        backgroundcolor='rgba(0,0,0,0)',
        showgrid=True,
        gridcolor=_GRID_COLOR,
        zeroline=False,
        zerolinecolor=_GRID_COLOR)
    # the depth is seen almost end on, where many ticks would overlap
    scene = {
        key:
        dict(axis, nticks=nticks, title=dict(text=name, font=dict(size=11)))
        for key, name, nticks in (('xaxis', f'x ({units})', 5),
                                  ('yaxis', 'depth', 3), ('zaxis', 'y', 5))
    }
    scene['zaxis']['autorange'] = 'reversed'  # the camera's y points down
    layout = dict(
        template='none',
        margin=dict(l=0, r=0, t=0, b=0),
        legend=dict(x=0, y=1, bgcolor='rgba(0,0,0,0)'),
        paper_bgcolor='rgba(0,0,0,0)',
        scene=dict(
            scene,
            aspectmode='data',
            camera=dict(eye=_EYE, projection=dict(type='orthographic'))))
    return go.Figure(traces, layout)


def _traces(go, points: np.ndarray, names: Sequence[str],
            colors: Sequence[str], title: str, labels: Sequence[str],
            width: int, size: int) -> list:
    """The bones, the joints and the entry in the legend of one hand."""
    # a gap after each bone, so that all are one line
    order = [k for link in hand_links(names) for k in (*link, link[1])]
    bones = points[order]
    bones[2::3] = np.nan
    # Plotly's depth axis is our second: (x, depth, y)
    x, y, z = (_numbers(values) for values in bones[:, [0, 2, 1]].T)
    lines = go.Scatter3d(
        x=x,
        y=y,
        z=z,
        mode='lines',
        # both ends have the colour of the outer joint
        line=dict(
            width=width,
            color=[colors[k] for k in order[2::3] for _ in range(3)]),
        hoverinfo='skip',
        name=title,
        legendgroup=title,
        showlegend=False)
    x, y, z = (_numbers(values) for values in points[:, [0, 2, 1]].T)
    dots = go.Scatter3d(
        x=x,
        y=y,
        z=z,
        mode='markers',
        marker=dict(size=size, color=list(colors), line=dict(width=0)),
        text=list(labels),
        hoverinfo='text',
        name=title,
        legendgroup=title,
        showlegend=False)
    # of several colours the legend can show one: that of the last joint
    legend = go.Scatter3d(
        x=[None],
        y=[None],
        z=[None],
        mode='lines',
        line=dict(width=width, color=colors[-1]),
        name=title,
        legendgroup=title)
    return [lines, dots, legend]


def _room(go, *hands: Optional[np.ndarray]) -> Any:
    """Two unseen points that give a flat hand a room 3/4 as deep as long.

    Plotly scales equal axes by the volume of what they hold, so that a flat
    hand, or the titles of its axes, would not fit into a narrow view.
    """
    points = np.concatenate([points for points in hands if points is not None])
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        points = np.zeros((1, 3))
    low, high = points.min(axis=0), points.max(axis=0)
    half = np.maximum(high - low, (high - low).max() * .75) / 2
    x, y, z = np.stack([(low + high) / 2 - half, (low + high) / 2 + half],
                       axis=1)[[0, 2, 1]]
    return go.Scatter3d(
        x=_numbers(x),
        y=_numbers(y),
        z=_numbers(z),
        mode='markers',
        marker=dict(size=1, opacity=0),
        hoverinfo='skip',
        name='room',
        showlegend=False)


def _numbers(values: np.ndarray) -> list:
    """Plain numbers of a hundredth; None, a gap, where not finite."""
    return [round(v, 2) if np.isfinite(v) else None for v in values.tolist()]


def _labels(points: np.ndarray,
            names: Sequence[str],
            units: str,
            truth: Optional[np.ndarray] = None,
            groups: Optional[Sequence[int]] = None) -> List[str]:
    """What is shown of each joint where the mouse points at it."""
    labels = []
    for k, (name, (x, y, z)) in enumerate(zip(names, points)):
        # Plotly reads labels as HTML
        label = (f'{html.escape(name)}<br>x {x:.1f}, y {y:.1f}, depth '
                 f'{z:.1f} {units}')
        if truth is not None:
            error = np.linalg.norm(points[k] - truth[k])
            label += f'<br>error {error:.1f} {units}'
        if groups is not None:
            label += f'<br>group {groups[k]}'
        labels.append(label)
    return labels
