"""Skeletons of hands in 3D figures, and the drawing of an open hand."""
from typing import Optional, Sequence, Tuple

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D

# directions (degrees from "up") and lengths (mm) of the bones from the wrist
# outwards, spread so that no two joints touch
_HAND_DRAWING = {
    'thumb': ((-62., -38., -30., -30.), (45., 36., 34., 24.)),
    'forefinger': ((-19., -12., -10., -10.), (92., 45., 28., 24.)),
    'middle_finger': ((-2., -1., 0., 0.), (94., 47., 30., 24.)),
    'ring_finger': ((15., 8., 8., 8.), (90., 43., 28., 24.)),
    'pinky_finger': ((32., 19., 17., 17.), (86., 35., 25., 22.)),
}
# grey on the white page of a 3D plot, where the 2D one is white
GT_COLOR_3D = np.array((70, 70, 70), dtype=np.uint8)
# elevation and azimuth in degrees: from the camera's side, and from the side
VIEWS = ((12., -75.), (12., -10.))


def hand_layout(joint_names: Sequence[str]) -> np.ndarray:
    """Where the joints lie in the drawing of an open right hand.

    Args:
        joint_names (Sequence[str]): Names as in mmpose's hand metainfo, in
            any order.

    Returns:
        np.ndarray: Positions in mm of a usual hand, x right and y down, the
        wrist at the origin, (K, 2).

    Raises:
        ValueError: If a name is not that of a joint of the hand.
    """
    places = {'wrist': np.zeros(2)}
    for finger, (directions, lengths) in _HAND_DRAWING.items():
        place = places['wrist']
        for i, (angle, length) in enumerate(zip(directions, lengths), 1):
            angle = np.deg2rad(angle)
            place = place + length * np.array([np.sin(angle), -np.cos(angle)])
            places[f'{finger}{i}'] = place
    unknown = [name for name in joint_names if name not in places]
    if unknown:
        raise ValueError(f'{unknown[0]!r} is not a joint of the hand: these '
                         f'are {", ".join(places)}')
    return np.array([places[name] for name in joint_names])


def add_axes_3d(figure: Figure, rect: Sequence[float]) -> Axes3D:
    """Add 3D axes with a light grid to a figure.

    Args:
        figure (Figure): The figure.
        rect (Sequence[float]): Left, bottom, width and height as parts of
            the figure.

    Returns:
        Axes3D: The axes.
    """
    # 3D axes read the style of their grid when they are made, only then
    with matplotlib.rc_context({
            'grid.linewidth': .4,
            'grid.color': '#cccccc'
    }):
        return figure.add_axes(rect, projection='3d')


def draw_skeleton_3d(ax: Axes3D,
                     keypoints: np.ndarray,
                     links: Sequence[Tuple[int, int]],
                     colors: np.ndarray,
                     shown: Optional[np.ndarray] = None,
                     line_width: float = 2.,
                     radius: float = 3.,
                     alpha: float = 1.) -> None:
    """Draw one hand's joints and bones into 3D axes.

    Camera coordinates (x right, y down, z away) are plotted with the depth
    along the axes' second direction, so that "up" is up.

    Args:
        ax (Axes3D): Axes, see :func:`add_axes_3d`.
        keypoints (np.ndarray): Joints in the camera frame, (K, 3).
        links (Sequence[tuple[int, int]]): Pairs of joints.
        colors (np.ndarray): RGB of each joint, (K, 3), or of all, (3,).
        shown (np.ndarray, optional): Joints to draw, bool (K,).
        line_width (float): Width of the bones in points.
        radius (float): Radius of the joints in points.
        alpha (float): Opacity in [0, 1].
    """
    colors = np.broadcast_to(colors, (len(keypoints), 3)) / 255.
    finite = np.isfinite(keypoints).all(axis=-1)
    shown = finite if shown is None else finite & shown
    x, y, z = np.where(shown[:, None], keypoints, np.nan).T
    for a, b in links:
        if shown[a] and shown[b]:
            ax.plot(
                x[[a, b]],
                z[[a, b]],
                y[[a, b]],
                color=colors[b],
                linewidth=line_width,
                alpha=alpha,
                solid_capstyle='round')
    ax.scatter(
        x[shown],
        z[shown],
        y[shown],
        c=colors[shown],
        s=(2 * radius)**2,
        alpha=alpha,
        linewidths=0,
        depthshade=False)


def set_view_3d(ax: Axes3D,
                keypoints: np.ndarray,
                elev: float,
                azim: float,
                unit: str = 'mm',
                font_size: float = 7.) -> None:
    """Look at the joints with equally scaled axes.

    Args:
        ax (Axes3D): Axes to set.
        keypoints (np.ndarray): All joints to be seen, camera frame, (..., 3).
        elev (float): Elevation of the eye in degrees.
        azim (float): Azimuth in degrees; -90 looks along the depth axis as
            the camera does.
        unit (str): Unit of the joints for the axes' names.
        font_size (float): Size of ticks and names in points.
    """
    points = keypoints.reshape(-1, 3)
    points = points[np.isfinite(points).all(axis=-1)]
    if len(points):
        low, high = points.min(axis=0), points.max(axis=0)
        centre, half = (low + high) / 2, (high - low).max() / 2
    else:
        centre, half = np.zeros(3), 0.
    half = half * 1.05 or 1.
    (x0, y0, z0), (x1, y1, z1) = centre - half, centre + half
    ax.set_xlim(x0, x1)
    ax.set_ylim(z0, z1)
    ax.set_zlim(y1, y0)  # the camera's y points down
    ax.set_box_aspect((1, 1, 1), zoom=1.08)
    ax.set_proj_type('ortho')
    ax.view_init(elev=elev, azim=azim)
    for axis, name in ((ax.xaxis, 'x'), (ax.yaxis, 'depth'), (ax.zaxis, 'y')):
        axis.set_label_text(f'{name} ({unit})', fontsize=font_size)
        axis.labelpad = -6
        axis.set_major_locator(matplotlib.ticker.MaxNLocator(4))
        axis.set_pane_color((.97, .97, .97))
    ax.tick_params(labelsize=font_size - 1, pad=-2)


def new_figure(width: int, height: int, dpi: int = 100) -> Figure:
    """A figure of so many pixels that no window or global state knows.

    Args:
        width (int): Width in pixels.
        height (int): Height in pixels.
        dpi (int): Dots per inch, which sets the size of the text.

    Returns:
        Figure: Figure with an Agg canvas.
    """
    figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi)
    FigureCanvasAgg(figure)
    return figure


def figure_to_image(figure: Figure) -> np.ndarray:
    """Render a figure made by :func:`new_figure`.

    Args:
        figure (Figure): The figure.

    Returns:
        np.ndarray: RGB image, uint8 (H, W, 3).
    """
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
