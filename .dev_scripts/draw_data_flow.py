"""Draw docs/images/data_flow.svg: ``python .dev_scripts/draw_data_flow.py``.

Sizes are those of ``configs/lgh_freihand.py``; those in ``docs/method.md`` are
compared with the network by the tests.
"""
import io
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

OUT = Path(__file__).resolve().parents[1] / 'docs/images/data_flow.svg'

# those of lgh_mmpose.visualization.skeleton, light
GROUPS = ('#9cc7e2', '#f3d08a', '#8fd3c0')
PLAIN, LEARNED = '#eceff1', '#e7d3e0'
LINE = '#37474f'


def box(ax: Axes, x: float, y: float, text: str, color: str = PLAIN) -> None:
    """A box with its centre at (x, y)."""
    width, height = 2.2, .72
    ax.add_patch(
        FancyBboxPatch((x - width / 2, y - height / 2),
                       width,
                       height,
                       boxstyle='round,pad=0,rounding_size=.08',
                       facecolor=color,
                       edgecolor=LINE,
                       linewidth=.8))
    ax.text(
        x, y, text, ha='center', va='center', fontsize=8.5, linespacing=1.35)


def arrow(ax: Axes, *points: tuple) -> None:
    """A line through the points with a head at the last one."""
    *path, before, end = points
    path = [*path, before]
    ax.plot(*zip(*path), color=LINE, linewidth=.9, solid_capstyle='round')
    ax.annotate(
        '',
        end,
        before,
        arrowprops=dict(
            arrowstyle='-|>',
            color=LINE,
            linewidth=.9,
            mutation_scale=8,
            shrinkA=0,
            shrinkB=0))


def draw(ax: Axes) -> None:
    """The whole figure, from top to bottom."""
    columns = (1.2, 3.9, 6.6)
    left, middle, right = columns
    box(ax, left, 6.4, 'crop, right-handed\n3 × 256 × 256')
    arrow(ax, (left + 1.1, 6.4), (middle - 1.1, 6.4))
    box(ax, middle, 6.4, 'backbone\nstrides 4, 8, 16, 32')
    arrow(ax, (middle + 1.1, 6.4), (right - 1.1, 6.4))
    box(ax, right, 6.4, 'shared feature F\n32 × 64 × 64')
    for x, color, name in zip(columns, GROUPS, '123'):
        arrow(ax, (right, 6.04), (right, 5.75), (x, 5.75), (x, 5.41))
        box(ax, x, 5.05, f'branch of group {name}\n32 × 64 × 64', color)
        for other in columns:
            arrow(ax, (other, 4.69), (x, 4.16))
        box(ax, x, 3.8, 'fusion: 1×1 conv\n96 → 32 channels', color)
        arrow(ax, (x, 3.44), (x, 2.91))
        box(ax, x, 2.55, 'heat maps and depths\n2 × 21 × 64 × 64', color)
        arrow(ax, (x, 2.19), (x, 1.9), (middle, 1.9), (middle, 1.56))
    box(ax, left, 1.2, 'selector: 21 × 3\nlearned probabilities', LEARNED)
    arrow(ax, (left + 1.1, 1.2), (middle - 1.1, 1.2))
    box(ax, middle, 1.2, 'for each joint\nits own group', LEARNED)
    arrow(ax, (middle + 1.1, 1.2), (right - 1.1, 1.2))
    box(ax, right, 1.2, '2.5D: u, v in pixels,\nz in reference bones')
    arrow(ax, (right, .84), (right, .31))
    box(ax, middle, -.05, 'inverse crop, camera,\nlength of the bone')
    arrow(ax, (middle + 1.1, -.05), (right - 1.1, -.05))
    box(ax, right, -.05, '21 joints in mm,\nframe of the camera')


def main() -> None:
    width, bottom, top = 7.8, -.5, 6.85
    with matplotlib.rc_context({
            'svg.hashsalt': 'data_flow',
            'svg.fonttype': 'path'
    }):
        figure = Figure(figsize=(width * .9, (top - bottom) * .9))
        FigureCanvasSVG(figure)
        ax = figure.add_axes([0, 0, 1, 1])
        ax.set(xlim=(0, width), ylim=(bottom, top), aspect='equal')
        ax.axis('off')
        draw(ax)
        buffer = io.StringIO()
        figure.savefig(
            buffer, format='svg', facecolor='white', metadata={'Date': None})
    OUT.write_text(buffer.getvalue())


if __name__ == '__main__':
    main()
