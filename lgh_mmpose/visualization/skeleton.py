"""Colours and strokes of hand skeletons, shared by everything that draws.

Colours are RGB in [0, 255] and come from the palette of Okabe and Ito (2008),
which stays readable with colour-deficient vision.
"""
from typing import List, Optional, Sequence, Tuple

import cv2
import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D

_PALETTE = np.array(
    [
        (0, 114, 178),  # blue
        (230, 159, 0),  # orange
        (0, 158, 115),  # bluish green
        (204, 121, 167),  # reddish purple
        (86, 180, 233),  # sky blue
        (213, 94, 0),  # vermilion
        (240, 228, 66),  # yellow
    ],
    dtype=np.uint8)
# neighbouring fingers differ most: warm, warm, green, blue, purple
_FINGER_COLORS = _PALETTE[[5, 1, 2, 4, 3]]
_GREY = np.array((70, 70, 70), dtype=np.uint8)
# white on the image, grey on the white page of a 3D plot
GT_COLOR_2D = np.array((255, 255, 255), dtype=np.uint8)
GT_COLOR_3D = _GREY

# directions (degrees from "up") and lengths (mm) of the bones from the wrist
# outwards, spread so that no two joints touch
_HAND_DRAWING = {
    'thumb': ((-62., -38., -30., -30.), (45., 36., 34., 24.)),
    'forefinger': ((-19., -12., -10., -10.), (92., 45., 28., 24.)),
    'middle_finger': ((-2., -1., 0., 0.), (94., 47., 30., 24.)),
    'ring_finger': ((15., 8., 8., 8.), (90., 43., 28., 24.)),
    'pinky_finger': ((32., 19., 17., 17.), (86., 35., 25., 22.)),
}
# elevation and azimuth in degrees: from the camera's side, and from the side
VIEWS = ((12., -75.), (12., -10.))


def group_colors(num_groups: int) -> np.ndarray:
    """One colour per group of joints.

    Args:
        num_groups (int): Number of groups.

    Returns:
        np.ndarray: RGB, uint8 (num_groups, 3).
    """
    if num_groups <= len(_PALETTE):
        return _PALETTE[:num_groups]
    cmap = matplotlib.colormaps['turbo']
    return (255 * cmap(np.linspace(.05, .95, num_groups))[:, :3]).astype(
        np.uint8)


def text_color(background: Sequence[float]) -> str:
    """Black or white, whichever is read better on a colour.

    By the contrast ratio of WCAG 2.1, which is 4.5 or more for one of them on
    any colour.

    Args:
        background (Sequence[float]): RGB in [0, 255], (3,).

    Returns:
        str: ``'black'`` or ``'white'``.
    """
    srgb = np.asarray(background, dtype=float) / 255
    linear = np.where(srgb <= .04045, srgb / 12.92,
                      ((srgb + .055) / 1.055)**2.4)
    luminance = linear @ (.2126, .7152, .0722)
    # 1.05 / (luminance + 0.05) is white's, (luminance + 0.05) / 0.05 black's
    return 'white' if (luminance + .05)**2 < 1.05 * .05 else 'black'


def finger_of_joints(joint_names: Sequence[str]) -> List[str]:
    """Name of the finger of each joint, as in mmpose's hand metainfo.

    Args:
        joint_names (Sequence[str]): Names such as ``'ring_finger3'``.

    Returns:
        list[str]: Names without the trailing number, (K,).
    """
    return [name.rstrip('0123456789') for name in joint_names]


def hand_links(joint_names: Sequence[str]) -> List[Tuple[int, int]]:
    """The bones of a hand, by the joints' names.

    Args:
        joint_names (Sequence[str]): Names as in mmpose's hand metainfo, in
            any order: ``'wrist'`` and, from base to tip, ``'thumb1'`` and so
            on.

    Returns:
        list[tuple[int, int]]: Pairs of joints, the one nearer to the wrist
        first. A joint whose neighbour is not among the names has none.
    """
    index = {name: i for i, name in enumerate(joint_names)}
    links = []
    for name, finger in zip(joint_names, finger_of_joints(joint_names)):
        if name == finger:  # no number: the wrist
            continue
        number = int(name[len(finger):])
        before = 'wrist' if number == 1 else f'{finger}{number - 1}'
        if before in index:
            links.append((index[before], index[name]))
    return links


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


def joint_colors(joint_names: Sequence[str],
                 joint_groups: Optional[Sequence[int]] = None) -> np.ndarray:
    """Colour of each joint, by finger or by learned group.

    Args:
        joint_names (Sequence[str]): Names of the K joints.
        joint_groups (Sequence[int], optional): Group of each joint, (K,).
            Defaults to ``None``: colour by finger, the wrist grey.

    Returns:
        np.ndarray: RGB, uint8 (K, 3).

    Raises:
        ValueError: If there is not one group, from 0, for each joint.
    """
    if joint_groups is not None:
        groups = np.asarray(joint_groups)
        if groups.shape != (len(joint_names), ):
            raise ValueError(
                f'joint_groups must hold one group for each of the '
                f'{len(joint_names)} joints, got shape {groups.shape}')
        if groups.dtype.kind not in 'iu' or groups.min() < 0:
            raise ValueError('joint_groups must be whole numbers from 0, '
                             f'got {groups.tolist()}')
        return group_colors(int(groups.max()) + 1)[groups]
    fingers = finger_of_joints(joint_names)
    # a joint without a number, the wrist or the palm, belongs to no finger
    names = [f for f, j in zip(fingers, joint_names) if f != j]
    order = list(dict.fromkeys(names))
    palette = _FINGER_COLORS if len(order) <= len(
        _FINGER_COLORS) else group_colors(len(order))
    return np.array(
        [palette[order.index(f)] if f in order else _GREY for f in fingers])


def draw_skeleton_2d(image: np.ndarray,
                     keypoints: np.ndarray,
                     links: Sequence[Tuple[int, int]],
                     colors: np.ndarray,
                     shown: Optional[np.ndarray] = None,
                     line_width: int = 2,
                     radius: int = 3,
                     outline: bool = False) -> None:
    """Draw one hand's joints and bones into an image.

    A bone has the colour of its second joint.

    Args:
        image (np.ndarray): RGB image, uint8 (H, W, 3), changed in place.
        keypoints (np.ndarray): Joints in pixels of the image, pixel centres
            at integers, (K, 2).
        links (Sequence[tuple[int, int]]): Pairs of joints.
        colors (np.ndarray): RGB of each joint, (K, 3), or of all, (3,).
        shown (np.ndarray, optional): Joints to draw, bool (K,).
        line_width (int): Width of the bones in pixels; 0 for none.
        radius (int): Radius of the joints in pixels; 0 for none.
        outline (bool): Whether to draw a dark rim, which keeps a light
            skeleton readable on a light image.
    """
    colors = np.broadcast_to(colors, (len(keypoints), 3))
    keypoints = np.asarray(keypoints, dtype=np.float64)
    # far outside the image OpenCV's fixed-point coordinates would overflow
    inside = (np.isfinite(keypoints) & (abs(keypoints) < 1e5)).all(axis=-1)
    shown = inside if shown is None else inside & shown
    bits = 4
    points = np.round(np.where(inside[:, None], keypoints, 0) *
                      2**bits).astype(int)
    strokes = [(2, None)] if outline else []
    strokes.append((0, colors))
    for extra, stroke in strokes:
        for a, b in links:
            if line_width and shown[a] and shown[b]:
                color = _GREY if stroke is None else stroke[b]
                cv2.line(image, points[a].tolist(), points[b].tolist(),
                         color.tolist(), line_width + extra, cv2.LINE_AA, bits)
        for k in np.flatnonzero(shown) if radius else ():
            color = _GREY if stroke is None else stroke[k]
            cv2.circle(image, points[k].tolist(),
                       (2 * radius + extra) * 2**(bits - 1), color.tolist(),
                       -1, cv2.LINE_AA, bits)


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
