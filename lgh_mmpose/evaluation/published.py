"""PCK curves that others have published."""
import json
from pathlib import Path
from typing import Dict, NamedTuple

import numpy as np

# protocol -> name of the data set in published_curves.json
PUBLISHED_DATA_SETS = {'rhd': 'RHD', 'stb': 'STB', 'dexter': 'Dexter+Object'}


class PublishedCurve(NamedTuple):
    """A published PCK curve.

    Attributes:
        thresholds (np.ndarray): Thresholds in mm, (T,).
        pck (np.ndarray): Share of the joints within them, (T,).
        auc (float): Area under the curve as published, which the curve may
            miss by some thousandths, or, where it does not cover the whole
            range, by more.
        source (str): The publication.
    """
    thresholds: np.ndarray
    pck: np.ndarray
    auc: float
    source: str


def load_published_curves(protocol: str) -> Dict[str, PublishedCurve]:
    """Published PCK curves on the data set of a protocol.

    The numbers were collected by Li et al. 2021 for the figures of their
    paper; ``published_curves.json`` beside this file says where from.

    Args:
        protocol (str): ``'rhd'``, ``'stb'`` or ``'dexter'``.

    Returns:
        dict[str, PublishedCurve]: By the name of the method, best first.

    Raises:
        ValueError: If there are none for this protocol.
    """
    if protocol not in PUBLISHED_DATA_SETS:
        raise ValueError('there are published curves for '
                         f'{list(PUBLISHED_DATA_SETS)}, not for {protocol!r}')
    path = Path(__file__).with_name('published_curves.json')
    methods = json.loads(path.read_text())[PUBLISHED_DATA_SETS[protocol]]
    return {
        name:
        PublishedCurve(
            np.array(item['t']), np.array(item['pck']), item['auc'],
            item['source'])
        for name, item in methods.items()
    }
