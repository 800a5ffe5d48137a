"""What the templates lay out: sections, charts, tables, drawings."""
import html
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from lgh_mmpose.geometry.hand import hand_links
from lgh_mmpose.inference.skeleton_2d import group_colors, text_color
from lgh_mmpose.visualization.plotly_hand import import_plotly
from lgh_mmpose.visualization.skeleton import hand_layout

GREY = '#8a9199'  # seen on white and on black
MISSING = '–'


class Table(NamedTuple):
    """A table; its first column names the rows, the others are numbers.

    Attributes:
        headers (Sequence[str]): Heads of the columns.
        rows (Sequence[Sequence[str]]): The cells.
        caption (str): What stands above it, if anything.
    """
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ''


class Chart(NamedTuple):
    """A Plotly figure and its numbers.

    Attributes:
        key (str): Id on the page.
        figure (Any): plotly.graph_objects.Figure.
        table (Table): What it draws, for those who do not see it.
    """
    key: str
    figure: Any
    table: Table


class Section(NamedTuple):
    """A section of the page; the template of its key lays it out.

    Attributes:
        key (str): Id on the page and name of the template.
        title (str): Heading.
        data (dict[str, Any]): What the template is filled with.
        charts (Sequence[Chart]): What the page's script draws in it.
        script (dict[str, Any]): What else the script reads, by name.
        link (str): Shorter title, for the links at the top of the page.
    """
    key: str
    title: str
    data: Dict[str, Any]
    charts: Sequence[Chart] = ()
    script: Dict[str, Any] = {}
    link: str = ''


class Disc(NamedTuple):
    """A joint of a drawing: a coloured disc with a text.

    Attributes:
        x (float): Its centre.
        y (float): Its centre.
        fill (str): Colour of the disc.
        text_fill (str): Colour of the text.
        text (str): What stands in it.
        tip (str): What is told where the mouse points at it.
    """
    x: float
    y: float
    fill: str
    text_fill: str
    text: str
    tip: str


class HandDrawing(NamedTuple):
    """An open right hand with a disc for each joint.

    Attributes:
        view_box (tuple[int, int, int, int]): Left, top, width and height.
        bones (list[tuple]): Ends x1, y1, x2, y2 of each bone.
        discs (list[Disc]): The joints.
    """
    view_box: Tuple[int, int, int, int]
    bones: List[Tuple[float, ...]]
    discs: List[Disc]


def draw_hand(joint_names: Sequence[str], colors: np.ndarray,
              texts: Sequence[str], tips: Sequence[str]) -> HandDrawing:
    """Draw a hand.

    Args:
        joint_names (Sequence[str]): Names of the K joints.
        colors (np.ndarray): RGB of each, uint8 (K, 3).
        texts (Sequence[str]): Short text of each.
        tips (Sequence[str]): Longer text of each.

    Returns:
        HandDrawing: The drawing.
    """
    places = hand_layout(joint_names)
    (left, top), (right, bottom) = places.min(axis=0), places.max(axis=0)
    view_box = (left - 16, top - 16, right - left + 32, bottom - top + 32)
    places = places.round(1).tolist()
    return HandDrawing(
        tuple(round(float(n)) for n in view_box),
        [(*places[a], *places[b]) for a, b in hand_links(joint_names)], [
            Disc(*place, css_color(color), text_color(color), text, tip)
            for place, color, text, tip in zip(places, colors, texts, tips)
        ])


def new_figure(traces: list, x: str, y: str, **layout: Any) -> Any:
    """A chart with named axes and the legend above it.

    Args:
        traces (list): Traces of Plotly.
        x (str): Name of the horizontal axis.
        y (str): Name of the vertical axis.
        layout (Any): Further settings of Plotly's layout.

    Returns:
        plotly.graph_objects.Figure: The chart.
    """
    return import_plotly().Figure(
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


def plotly_text(text: str) -> str:
    """A name from outside, for Plotly, which reads its texts as HTML."""
    return html.escape(text)


def number(value: float, digits: int = 1) -> str:
    """A number for a table, a dash where there is none."""
    return f'{value:.{digits}f}' if np.isfinite(value) else MISSING


def css_color(color: np.ndarray) -> str:
    """An RGB colour in [0, 255] as CSS writes it."""
    return '#{:02x}{:02x}{:02x}'.format(*(int(c) for c in color))


def line_color(index: int) -> str:
    """Colour of the line of this number, as CSS writes it."""
    palette = group_colors(7)
    return css_color(palette[index % len(palette)])
