"""The section of the samples: images and 3D hands to turn."""
import base64
import json
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from lgh_mmpose.evaluation.functional import align
from lgh_mmpose.fileio import encode_image
from lgh_mmpose.geometry.hand import hand_links
from lgh_mmpose.inference.skeleton_2d import joint_colors
from lgh_mmpose.visualization.figures import read_image
from lgh_mmpose.visualization.plotly_hand import hand_figure

from .data import ReportData, row_mean
from .pieces import Section, css_color, number

_MAX_IMAGE = 320  # edge of an embedded picture in px


class _Pick(NamedTuple):
    row: str  # worst, median or best
    index: int
    title: str


def samples_section(data: ReportData, num_each: int) -> Section:
    """The worst, the median and the best samples, with their images.

    Args:
        data (ReportData): The training and its tests.
        num_each (int): So many of each; fewer of a small set.

    Raises:
        OSError: If an image cannot be read.
        ImageError: If it cannot be decoded.
    """
    picks = _pick(data, num_each)
    choices: Dict[str, List[Tuple[int, str]]] = {}
    for place, pick in enumerate(picks):
        choices.setdefault(pick.row, []).append((place, pick.title))
    samples, scene = [], {}
    for pick in picks:
        sample, scene = _sample(data, pick)
        samples.append(sample)
    # the view stays as it is when another sample is picked
    scene['scene']['uirevision'] = 'kept'
    scene['legend'] = dict(x=0, y=1, bgcolor='rgba(0,0,0,0)')
    names = data.joint_names
    return Section(
        'samples',
        'Samples',
        dict(aligned=data.aligned, choices=choices),
        script=dict(
            samples=samples,
            scene=scene,
            links=hand_links(names),
            colors=[css_color(color) for color in joint_colors(names)]))


def _pick(data: ReportData, num_each: int) -> List[_Pick]:
    errors = row_mean(data.errors)
    order = np.argsort(errors)
    order = order[np.isfinite(errors[order])]
    num = max(1, min(num_each, len(order) // 3))
    middle = (len(order) - num) // 2
    rows = dict(
        worst=order[::-1][:num],
        median=order[middle:middle + num],
        best=order[:num])
    return [
        _Pick(
            row, i, f'{row}: {errors[i]:.1f} mm, sample '
            f'{data.first["id"][i]} '
            f'({Path(str(data.first["img_path"][i])).name})')
        for row, indices in rows.items() for i in indices.tolist()
    ]


def _sample(data: ReportData, pick: _Pick) -> tuple:
    """What the page's script shows of a sample, and the 3D layout."""
    dump, names, i = data.first, data.joint_names, pick.index
    root = data.root_joint
    index = names.index(root) if root in names else None
    annotated = dump['annotated'][i]
    compared = ~np.isnan(data.errors[i])
    truth = np.where(annotated[:, None], dump['gt_keypoints_cam'][i], np.nan)
    pred = align(dump['pred_keypoints_cam'][[i]],
                 dump['gt_keypoints_cam'][[i]], data.alignment, compared[None],
                 index)[0]
    # the numbers stay small about the hand, not about the camera
    origin = (
        truth[index] if index is not None and annotated[index] else
        truth[annotated].mean(axis=0))
    figure = json.loads(
        hand_figure(pred - origin, truth - origin, names).to_json())
    image, pixels = _cut_out(dump['img_path'][i], [
        dump['pred_keypoints'][i],
        np.where(annotated[:, None], dump['gt_keypoints'][i], np.nan)
    ])
    values = zip(names, data.errors[i], pred[:, 2] - truth[:, 2],
                 dump['errors_2d'][i])
    return dict(
        title=pick.title,
        image=_data_uri(image),
        size=[image.shape[1], image.shape[0]],
        alt=f'Image of the {pick.title}, cut out around the hand, with the 2D '
        'skeletons of prediction and truth',
        alt3d=f'3D skeletons of prediction and truth of the {pick.title}. '
        'Arrow keys turn the view.',
        prediction=_points(pixels[0]),
        truth=_points(pixels[1]),
        traces=figure['data'],
        joints=[[name, *(number(x) for x in row)]
                for name, *row in values]), figure['layout']


def _points(points: np.ndarray) -> List[Optional[List[float]]]:
    return [
        p.round(1).tolist() if np.isfinite(p).all() else None for p in points
    ]


def _cut_out(path: str, keypoints: List[np.ndarray]) -> tuple:
    """The image around the true joints, and the joints' pixels in it."""
    image = read_image(path)
    truth = keypoints[1][np.isfinite(keypoints[1]).all(axis=1)]
    height, width = image.shape[:2]
    low, high = truth.min(axis=0), truth.max(axis=0)
    centre, half = (low + high) / 2, .75 * (high - low).max() + 4
    left, top = (int(max(0, c)) for c in np.floor(centre - half))
    right, bottom = (int(min(n, c))
                     for n, c in zip((width, height),
                                     np.ceil(centre + half) + 1))
    if right - left < 8 or bottom - top < 8:  # joints outside of the image
        left, top, right, bottom = 0, 0, width, height
    image = image[top:bottom, left:right]
    factor = min(1., _MAX_IMAGE / max(image.shape[:2]))
    if factor < 1:
        size = [max(1, round(factor * n)) for n in image.shape[1::-1]]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return image, [(points - (left, top) + .5) * factor - .5
                   for points in keypoints]


def _data_uri(image: np.ndarray) -> str:
    encoded = encode_image(image[..., ::-1], '.jpg',
                           [cv2.IMWRITE_JPEG_QUALITY, 88])
    return 'data:image/jpeg;base64,' + base64.b64encode(encoded).decode()
