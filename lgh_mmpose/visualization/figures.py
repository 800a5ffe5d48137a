"""Pictures of whole runs: predictions, training curves, learned groups.

Each function writes one file, whole or not at all.
"""
import json
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple, Union

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lgh_mmpose.datasets.freihand3d import FREIHAND_JOINTS
from lgh_mmpose.evaluation.breakdown import load_dump, scored_alignments
from lgh_mmpose.evaluation.functional import align
from lgh_mmpose.evaluation.photographs import (PhotoHand, PhotoPrediction,
                                               measure_photos)
from lgh_mmpose.fileio import atomic_write, write_image
from lgh_mmpose.geometry.hand import hand_links
from lgh_mmpose.inference.images import read_image as read_bgr
from lgh_mmpose.reading import reason

from ..inference.skeleton_2d import (GT_COLOR_2D, draw_skeleton_2d,
                                     group_colors, joint_colors, text_color)
from .skeleton import (GT_COLOR_3D, VIEWS, add_axes_3d, draw_skeleton_3d,
                       figure_to_image, new_figure, set_view_3d)

PathLike = Union[str, Path]


def contact_sheet(images: Sequence[np.ndarray],
                  keypoints: np.ndarray,
                  out_file: PathLike,
                  dataset_meta: dict,
                  keypoints_gt: Optional[np.ndarray] = None,
                  keypoints_cam: Optional[np.ndarray] = None,
                  keypoints_cam_gt: Optional[np.ndarray] = None,
                  titles: Optional[Sequence[str]] = None,
                  joint_groups: Optional[Sequence[int]] = None,
                  num_columns: int = 4,
                  tile: int = 256) -> None:
    """Draw many predictions on one sheet.

    Each cell holds the image with the 2D skeletons and, if 3D joints are
    given, two views of them beside it, from the camera's side and from the
    side, with equal axes and a grid in mm. Predictions are coloured,
    ground truth is white on the image and grey in 3D.

    Args:
        images (Sequence[np.ndarray]): N RGB images, uint8 (H, W, 3).
        keypoints (np.ndarray): Predicted joints in px, (N, K, 2).
        out_file (str | Path): PNG to write.
        dataset_meta (dict): Metainfo of the data set, for the joints' names
            and links.
        keypoints_gt (np.ndarray, optional): True joints in px, (N, K, 2).
            Joints that are not finite are left out.
        keypoints_cam (np.ndarray, optional): Predicted joints in mm in the
            camera frame, (N, K, 3).
        keypoints_cam_gt (np.ndarray, optional): The true ones.
        titles (Sequence[str], optional): A line above each cell, ASCII.
        joint_groups (Sequence[int], optional): Group of each joint, (K,), to
            colour by group. Defaults to ``None``: by finger.
        num_columns (int): Cells side by side. Defaults to 4.
        tile (int): Edge of an image in pixels. Defaults to 256.

    Raises:
        ValueError: If the lengths differ or there is nothing to draw.
    """
    if not len(images):
        raise ValueError('a contact sheet needs at least one image')
    for name, values in (('keypoints', keypoints),
                         ('keypoints_gt', keypoints_gt), ('keypoints_cam',
                                                          keypoints_cam),
                         ('keypoints_cam_gt', keypoints_cam_gt), ('titles',
                                                                  titles)):
        if values is not None and len(values) != len(images):
            raise ValueError(f'{len(images)} images, but {name} has '
                             f'{len(values)} entries')
    names = _joint_names(dataset_meta)
    links = dataset_meta['skeleton_links']
    colors = joint_colors(names, joint_groups)
    cells = []
    for i, image in enumerate(images):
        parts = [
            _draw_on_tile(image, keypoints[i],
                          None if keypoints_gt is None else keypoints_gt[i],
                          links, colors, tile)
        ]
        if keypoints_cam is not None:
            parts += [
                draw_view(
                    keypoints_cam[i],
                    None if keypoints_cam_gt is None else keypoints_cam_gt[i],
                    links, colors, tile, view) for view in VIEWS
            ]
        cell = np.concatenate(parts, axis=1)
        if titles is not None:
            strip = np.full((20, cell.shape[1], 3), 255, np.uint8)
            cv2.putText(strip, titles[i], (4, 14), cv2.FONT_HERSHEY_SIMPLEX,
                        .4, (0, 0, 0), 1, cv2.LINE_AA)
            cell = np.concatenate([strip, cell])
        cells.append(
            np.pad(
                cell, ((4, 4), (4, 4), (0, 0)),
                mode='constant',
                constant_values=255))
    num_columns = min(num_columns, len(cells))
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % num_columns)
    rows = [
        np.concatenate(cells[i:i + num_columns], axis=1)
        for i in range(0, len(cells), num_columns)
    ]
    write_image(np.concatenate(rows), out_file)


def contact_sheet_of_predictions(dump_file: PathLike,
                                 out_file: PathLike,
                                 dataset_meta: dict,
                                 alignment: str = 'root',
                                 num_each: int = 4,
                                 joint_groups: Optional[Sequence[int]] = None,
                                 tile: int = 256) -> None:
    """Draw the best, the median and the worst predictions of a test run.

    Args:
        dump_file (str | Path): What ``HandKeypoint3DMetric`` wrote.
        out_file (str | Path): PNG to write: a row of the smallest, a row of
            the median and a row of the largest errors.
        dataset_meta (dict): Metainfo of the data set.
        alignment (str): Alignment whose mean error per sample sorts them,
            and in which the 3D views show them.
        num_each (int): Samples per row; fewer where the set is small.
        joint_groups (Sequence[int], optional): Group of each joint, (K,).
        tile (int): Edge of an image in pixels.

    Raises:
        ValueError: If the file has no errors of this alignment, not one
            sample with an error, or an image cannot be read.
    """
    dump = load_dump(dump_file)
    if f'errors_{alignment}' not in dump:
        raise ValueError(f'{dump_file} has no errors with alignment '
                         f'{alignment!r}, only {scored_alignments(dump)}')
    errors = dump[f'errors_{alignment}']
    # a sample without a joint to compare is neither good nor bad
    scored = np.flatnonzero((~np.isnan(errors)).any(axis=1))
    if not len(scored):
        raise ValueError(f'{dump_file} has no sample with an error in '
                         f'alignment {alignment!r}')
    errors = dict(zip(scored, np.nanmean(errors[scored], axis=1)))
    order = np.array(sorted(scored, key=errors.__getitem__))
    num_each = min(num_each, len(order))
    rows = _best_median_worst(order, num_each)
    picked = np.array([i for _, i in rows])
    titles = [
        f'{name}: {errors[i]:.1f} mm  {Path(dump["img_path"][i]).name}'
        for name, i in rows
    ]
    annotated = dump['annotated'][picked]
    names = dump['joint_names'].tolist()
    root = names.index(dump['root_joint']) if alignment == 'root' else None
    gt_cam = np.where(annotated[..., None], dump['gt_keypoints_cam'][picked],
                      np.nan)
    pred_cam = align(dump['pred_keypoints_cam'][picked], gt_cam, alignment,
                     annotated, root)
    contact_sheet([read_image(dump['img_path'][i]) for i in picked],
                  dump['pred_keypoints'][picked],
                  out_file,
                  dataset_meta,
                  keypoints_gt=np.where(annotated[..., None],
                                        dump['gt_keypoints'][picked], np.nan),
                  keypoints_cam=pred_cam,
                  keypoints_cam_gt=gt_cam,
                  titles=titles,
                  joint_groups=joint_groups,
                  num_columns=num_each,
                  tile=tile)


def contact_sheet_of_photos(hands: Sequence[PhotoHand],
                            predictions: Sequence[Optional[PhotoPrediction]],
                            out_file: PathLike,
                            num_each: int = 6,
                            tile: int = 256) -> None:
    """Draw the best, the median and the worst predictions on photographs.

    Args:
        hands (Sequence[PhotoHand]): The labels.
        predictions (Sequence[PhotoPrediction | None]): One for each.
        out_file (str | Path): Picture to write: a row of the smallest, a row
            of the median and a row of the largest errors, predictions
            coloured and labels white. Each shows twice the box of the label.
        num_each (int): Hands per row; fewer where there are few.
        tile (int): Edge of an image in pixels.

    Raises:
        ValueError: If no hand was found, or an image cannot be read.
    """
    error = measure_photos(hands, predictions)['error']
    order = np.argsort(error)[:np.isfinite(error).sum()]
    if not len(order):
        raise ValueError('there is nothing to draw: no hand was found')
    num_each = min(num_each, len(order))
    images, keypoints, keypoints_gt, titles = [], [], [], []
    for name, i in _best_median_worst(order, num_each):
        hand = hands[i]
        image = read_image(hand.image)
        low, high = np.split(hand.box, 2)
        centre, half = (low + high) / 2, hand.size
        left, top = np.maximum(np.floor(centre - half), 0).astype(int)
        right, bottom = np.ceil(centre + half).astype(int) + 1
        images.append(image[top:bottom, left:right])
        keypoints.append(predictions[i].keypoints - [left, top])
        keypoints_gt.append(
            np.where(hand.seen[:, None], hand.keypoints, np.nan) - [left, top])
        titles.append(f'{name}: {100 * error[i]:.1f} %  {hand.label}, '
                      f'entry {i}')
    meta = dict(
        keypoint_id2name=dict(enumerate(FREIHAND_JOINTS)),
        skeleton_links=hand_links(FREIHAND_JOINTS))
    contact_sheet(
        images,
        np.array(keypoints),
        out_file,
        meta,
        keypoints_gt=np.array(keypoints_gt),
        titles=titles,
        num_columns=num_each,
        tile=tile)


def _best_median_worst(order: np.ndarray,
                       num_each: int) -> List[Tuple[str, int]]:
    """Rows of a sheet: name of the row and index of the sample."""
    middle = (len(order) - num_each) // 2
    rows = (('best', order[:num_each]), ('median',
                                         order[middle:middle + num_each]),
            ('worst', order[::-1][:num_each]))
    return [(name, int(i)) for name, indices in rows for i in indices]


def _joint_names(dataset_meta: dict) -> List[str]:
    names = dataset_meta['keypoint_id2name']
    return [names[i] for i in range(len(names))]


def read_image(path: PathLike) -> np.ndarray:
    """Read an image.

    Args:
        path (str | Path): The file.

    Returns:
        np.ndarray: RGB, uint8 (H, W, 3).

    Raises:
        OSError: If the file cannot be read.
        ImageError: If it cannot be decoded.
    """
    return read_bgr(path)[..., ::-1]


def _draw_on_tile(image: np.ndarray, keypoints: np.ndarray,
                  keypoints_gt: Optional[np.ndarray], links: Sequence,
                  colors: np.ndarray, tile: int) -> np.ndarray:
    factor = tile / max(image.shape[:2])
    height, width = (max(1, round(factor * n)) for n in image.shape[:2])
    drawn = cv2.resize(
        image, (width, height),
        interpolation=cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA)
    for points, color, is_gt in ((keypoints_gt, GT_COLOR_2D, True),
                                 (keypoints, colors, False)):
        if points is not None:
            draw_skeleton_2d(
                drawn, (points[:, :2] + .5) * factor - .5,
                links,
                color,
                line_width=1 if is_gt else 2,
                radius=1 if is_gt else 3,
                outline=is_gt)
    canvas = np.full((tile, tile, 3), 255, np.uint8)
    canvas[:height, :width] = drawn
    return canvas


def draw_view(keypoints: np.ndarray, keypoints_gt: Optional[np.ndarray],
              links: Sequence, colors: np.ndarray, tile: int,
              view: Tuple[float, float]) -> np.ndarray:
    """Draw a hand in 3D from one side, with equal axes and a grid in mm.

    Args:
        keypoints (np.ndarray): Joints in mm in the camera frame, (K, 3).
        keypoints_gt (np.ndarray, optional): The true ones, drawn in grey.
        links (Sequence[tuple[int, int]]): Pairs of joints.
        colors (np.ndarray): RGB of each joint, (K, 3).
        tile (int): Edge of the picture in pixels.
        view (tuple[float, float]): Elevation and azimuth in degrees.

    Returns:
        np.ndarray: RGB image, uint8 (tile, tile, 3).
    """
    figure = new_figure(tile, tile)
    ax = add_axes_3d(figure, (.02, .06, .92, .92))
    seen = keypoints
    if keypoints_gt is not None:
        seen = np.stack([keypoints, keypoints_gt])
        draw_skeleton_3d(
            ax,
            keypoints_gt,
            links,
            GT_COLOR_3D,
            line_width=1,
            radius=1,
            alpha=.75)
    draw_skeleton_3d(ax, keypoints, links, colors, line_width=1.6, radius=2)
    set_view_3d(ax, seen, *view, font_size=6)
    return figure_to_image(figure)


def read_scalars(scalars_json: PathLike) -> List[dict]:
    """Read the scalars that mmengine's ``LocalVisBackend`` writes.

    Args:
        scalars_json (str | Path): ``vis_data/scalars.json`` of a run: one
            json object per line.

    Returns:
        list[dict]: The records, in order.

    Raises:
        ValueError: If a line is not a json object; the line is named.
    """
    records = []
    with open(scalars_json, 'rb') as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f'{scalars_json}, line {number} is not '
                                 f'json: {reason(error)}') from None
            if not isinstance(record, dict):
                raise ValueError(
                    f'{scalars_json}, line {number} is not a json object')
            records.append(record)
    return records


def read_run(work_dir: PathLike) -> List[dict]:
    """Read the scalars of a training, resumed ones put together.

    Each start of a run has a folder of its own in the work dir. What a run
    did again, after it was resumed from a checkpoint or started anew,
    replaces what was logged before.

    Args:
        work_dir (str | Path): Work dir of ``tools/train.py``.

    Returns:
        list[dict]: The records, in order.

    Raises:
        ValueError: If no run in the folder has logged a loss.
    """
    records: List[dict] = []
    # the folders are named by their time
    for path in sorted(Path(work_dir).glob('*/vis_data/scalars.json')):
        new = read_scalars(path)
        first = next((r for r in new if 'loss' in r and 'step' in r), None)
        if first is None:  # a test
            continue
        # validation counts epochs where training does
        since = first.get('epoch', first['step'])
        records = [
            r for r in records
            if r.get('step', 0) < (first['step'] if _in_training(r) else since)
        ] + new
    if not records:
        raise ValueError(f'{work_dir} holds no */vis_data/scalars.json with a '
                         'loss: is it the work dir of a training run?')
    return records


def _in_training(record: dict) -> bool:
    return any(k == 'loss' or k.startswith('selector/') for k in record)


def plot_training_curve(
    scalars_json: PathLike,
    out_file: PathLike,
    errors: Sequence[str] = ('hand/MPJPE', 'hand/PA-MPJPE')
) -> None:
    """Plot losses and validation errors over the iterations.

    Args:
        scalars_json (str | Path): ``vis_data/scalars.json`` of a run.
        out_file (str | Path): PNG to write.
        errors (Sequence[str]): Validation scores in mm to plot, where the
            run has them.

    Raises:
        ValueError: If the file holds no losses.
    """
    records = read_scalars(scalars_json)
    losses = loss_curves(records)
    if not losses:
        raise ValueError(f'{scalars_json} holds no record with a loss: is it '
                         'the scalars.json of a training run?')
    curves = validation_curves(records, errors)
    figure = new_figure(960 if curves else 560, 400)
    left, right = (
        figure.subplots(1, 2) if curves else (figure.subplots(), None))
    for i, (key, (steps, values)) in enumerate(losses.items()):
        left.plot(
            steps,
            values,
            color='black' if key == 'loss' else _rgb(i - 1),
            linewidth=1.6 if key == 'loss' else 1.,
            label=key)
    left.set_yscale('log')
    left.set_title('training loss', fontsize=10)
    if right is not None:
        for i, (key, (steps, values)) in enumerate(curves.items()):
            right.plot(
                steps,
                values,
                'o-',
                color=_rgb(i),
                markersize=4,
                label=f'{key.split("/")[-1]}, last {values[-1]:.1f} mm')
        right.set_ylim(bottom=0)
        right.set_title('validation error (mm)', fontsize=10)
    for ax in figure.axes:
        ax.set_xlabel('iteration')
        ax.set_xlim(left=0)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.grid(alpha=.3, linewidth=.5)
        ax.legend(fontsize=8, loc='best')
    figure.tight_layout()
    write_image(figure_to_image(figure), out_file)


def _rgb(index: int) -> Tuple[float, ...]:
    palette = group_colors(7)
    return tuple(palette[index % len(palette)] / 255.)


def loss_curves(
        records: List[dict]) -> Dict[str, Tuple[List[int], List[float]]]:
    """Training losses over iterations.

    Args:
        records (list[dict]): See :func:`read_scalars`.

    Returns:
        dict: ``'loss'`` and the terms of it -> (steps, values).
    """
    training = [r for r in records if 'loss' in r and 'step' in r]
    terms = sorted({k for r in training for k in r if k.startswith('loss_')})
    curves = {}
    for key in ['loss', *terms]:
        points = [(r['step'], r[key]) for r in training if key in r]
        if points:
            steps, values = zip(*points)
            curves[key] = (list(steps), list(values))
    return curves


def validation_curves(
        records: List[dict],
        keys: Sequence[str]) -> Dict[str, Tuple[List[int], List[float]]]:
    """Validation scores over iterations.

    Args:
        records (list[dict]): See :func:`read_scalars`.
        keys (Sequence[str]): Names of the scores.

    Returns:
        dict: Name of a score that the run has -> (steps, values).
    """
    training = [r for r in records if 'loss' in r and 'step' in r]
    # training counts iterations; validation counts epochs in an epoch-based
    # run (LoggerHook's log_metric_by_epoch), which alone logs 'epoch'
    last_step = {r['epoch']: r['step'] for r in training if 'epoch' in r}
    curves = {}
    for key in keys:
        points = [(r['step'], r[key]) for r in records
                  if key in r and 'step' in r]
        if last_step and all(step <= max(last_step) for step, _ in points):
            # an epoch without any training record has no known iteration
            points = [(last_step[epoch], value) for epoch, value in points
                      if epoch in last_step]
        if points:
            steps, values = zip(*points)
            curves[key] = (list(steps), list(values))
    return curves


def merge_equal(
    curves: Dict[str, Tuple[List[int], List[float]]]
) -> Dict[str, Tuple[List[int], List[float]]]:
    """One curve for those that would lie on each other.

    Args:
        curves (dict): See :func:`validation_curves`.

    Returns:
        dict: The same, equal ones as one with all their names.
    """
    names: List[Tuple[Tuple[List[int], List[float]], List[str]]] = []
    for name, curve in curves.items():
        for other, twins in names:
            if other == curve:
                twins.append(name)
                break
        else:
            names.append((curve, [name]))
    return {', '.join(twins): curve for curve, twins in names}


def plot_selector_matrix(probabilities: np.ndarray, joint_names: Sequence[str],
                         out_file: PathLike) -> None:
    """Plot how likely each joint is to belong to each group.

    Args:
        probabilities (np.ndarray): Softmax of the selector's logits, (K, G).
        joint_names (Sequence[str]): Names of the K joints, coloured by their
            most likely group.
        out_file (str | Path): PNG to write.

    Raises:
        ValueError: If the shape does not fit the names or a row is not a
            distribution.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if probabilities.ndim != 2 or len(probabilities) != len(joint_names):
        raise ValueError(f'probabilities must be ({len(joint_names)}, G), '
                         f'got {probabilities.shape}')
    wrong = ~(
        np.isfinite(probabilities).all(axis=1) &
        (probabilities >= 0).all(axis=1) &
        (abs(probabilities.sum(axis=1) - 1) < 1e-3))
    if wrong.any():
        joint = int(np.flatnonzero(wrong)[0])
        raise ValueError(f'the probabilities of {joint_names[joint]} do not '
                         f'add up to 1: {probabilities[joint].tolist()}')
    num_joints, num_groups = probabilities.shape
    groups = probabilities.argmax(axis=1)
    colors = group_colors(num_groups) / 255.
    width, height = 170 + 60 * num_groups, 70 + 22 * num_joints
    figure = new_figure(width, height)
    ax = figure.add_axes((140 / width, 10 / height, 60 * num_groups / width,
                          22 * num_joints / height))
    # white to the group's colour, so that columns tell the groups apart
    shade = 1 - probabilities[..., None] * (1 - colors[None])
    ax.imshow(shade, aspect='auto')
    for joint in range(num_joints):
        for group in range(num_groups):
            ax.text(
                group,
                joint,
                f'{probabilities[joint, group]:.2f}',
                ha='center',
                va='center',
                fontsize=8,
                fontweight='bold' if groups[joint] == group else 'normal',
                color=text_color(255 * shade[joint, group]))
    sizes = np.bincount(groups, minlength=num_groups)
    ax.set_xticks(
        range(num_groups),
        [f'group {g}\n{n} joints' for g, n in enumerate(sizes)],
        fontsize=8)
    ax.set_yticks(range(num_joints), joint_names, fontsize=8)
    for label, group in zip(ax.get_yticklabels(), groups):
        label.set_color(colors[group] * .8)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.set_xticks(np.arange(num_groups + 1) - .5, minor=True)
    ax.set_yticks(np.arange(num_joints + 1) - .5, minor=True)
    ax.grid(which='minor', color='white', linewidth=1)
    ax.tick_params(which='minor', length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    write_image(figure_to_image(figure), out_file)


def plot_pck_curves(curves: Dict[str, Tuple[np.ndarray, np.ndarray]],
                    out_file: PathLike,
                    highlight: Sequence[str] = (),
                    title: str = '') -> None:
    """Plot PCK curves.

    Args:
        curves (dict): Name -> (thresholds in mm (T,), PCK in [0, 1] (T,)),
            in the order of the legend.
        out_file (str | Path): PNG or PDF to write.
        highlight (Sequence[str]): Names of curves to stand out.
        title (str): Line above the curves. Defaults to none.

    Raises:
        ValueError: If there is no curve.
    """
    if not curves:
        raise ValueError('there is no curve to plot')
    figure = new_figure(1600, 840, dpi=200)
    ax = figure.add_axes((.075, .13, .6, .79))
    others = [name for name in curves if name not in highlight]
    colors = dict(zip(others, group_colors(len(others)) / 255.))
    for i, (name, (thresholds, values)) in enumerate(curves.items()):
        if name in highlight:
            style = dict(
                color='black',
                linewidth=2.2,
                linestyle=('-', '--', '-.', ':')[highlight.index(name) % 4],
                zorder=3)
        else:
            style = dict(color=colors[name], linewidth=1.2)
        ax.plot(
            thresholds,
            values,
            marker='osD^v'[i % 5],
            markersize=3,
            label=name,
            **style)
    ax.set_title(title, fontsize=10)
    ax.set_xlabel('error threshold (mm)')
    ax.set_ylabel('3D PCK: share of joints within it')
    ax.set_xlim(
        min(t[0] for t, _ in curves.values()),
        max(t[-1] for t, _ in curves.values()))
    lowest = min(np.min(values) for _, values in curves.values())
    bottom = np.floor(10 * lowest) / 10
    # a little more than 1, for markers there to be whole
    ax.set_ylim(bottom, 1 + .012 * (1 - bottom))
    ax.grid(alpha=.3, linewidth=.5)
    ax.legend(
        fontsize=7.5,
        loc='upper left',
        bbox_to_anchor=(1.01, 1.),
        borderaxespad=0,
        frameon=False)
    _write_figure(figure, out_file)


def _write_figure(figure: Figure, out_file: PathLike) -> None:
    if Path(out_file).suffix == '.pdf':
        with atomic_write(out_file) as file:
            # no date: the same curves give the same file
            figure.savefig(file, format='pdf', metadata={'CreationDate': None})
    else:
        write_image(figure_to_image(figure), out_file)
