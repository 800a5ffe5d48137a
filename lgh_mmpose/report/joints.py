"""The section of the errors by joint and finger."""
from typing import Dict, List

import matplotlib
import numpy as np

from lgh_mmpose.evaluation import functional as F
from lgh_mmpose.geometry.hand import finger_of_joints

from .data import ReportData
from .pieces import Section, Table, draw_hand, number


def joint_section(data: ReportData) -> Section:
    """Errors of each joint on a drawing, and in tables."""
    names = data.joint_names
    mean = F.joint_epe(data.errors)
    median = F.joint_epe(data.errors, 'median')
    pixels = F.joint_epe(data.first['errors_2d'])
    low, high = np.nanmin(mean), np.nanmax(mean)
    share = (np.nan_to_num(mean, nan=low) - low) / max(high - low, 1e-9)
    colors = 255 * matplotlib.colormaps['cividis'](share)[:, :3]
    drawing = draw_hand(names, colors.astype(
        np.uint8), [number(v, 0) for v in mean], [
            f'{name}: mean {number(a)} mm, median {number(b)} mm'
            for name, a, b in zip(names, mean, median)
        ])
    by_joint = [[name, *(number(x) for x in row)]
                for name, *row in zip(names, mean, median, pixels)]
    return Section(
        'joints',
        'Error by joint and finger',
        dict(
            drawing=drawing,
            aligned=data.aligned,
            low=number(low),
            high=number(high),
            worst=names[int(np.nanargmax(mean))],
            by_finger=Table(['finger', 'mean (mm)'],
                            _finger_rows(names, data.errors)),
            by_joint=Table(
                ['joint', 'mean (mm)', 'median (mm)', '2D mean (px)'],
                by_joint)),
        link='Error by joint')


def _finger_rows(names: List[str], errors: np.ndarray) -> List[List[str]]:
    fingers: Dict[str, list] = {}
    for finger, column in zip(finger_of_joints(names), errors.T):
        fingers.setdefault(finger, []).append(column)
    return [[finger.replace('_', ' '),
             number(np.nanmean(columns))]
            for finger, columns in fingers.items()
            if np.isfinite(columns).any()]
