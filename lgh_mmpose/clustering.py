"""Groups of joints from how alike the joints are."""
import json
from pathlib import Path
from typing import List, Optional, Sequence, Union

import numpy as np
from scipy.cluster.vq import kmeans2

from .fileio import atomic_write


def spectral_clusters(affinity: np.ndarray,
                      num_groups: int,
                      rng: np.random.Generator,
                      restarts: int = 50) -> np.ndarray:
    """Spectral clustering (Ng, Jordan and Weiss, NIPS 2001).

    Args:
        affinity (np.ndarray): How alike two items are, (K, K), symmetric, not
            negative.
        num_groups (int): Number of clusters.
        rng (np.random.Generator): What the starts of k-means are drawn with.
        restarts (int): How many starts; the best of them is taken.

    Returns:
        np.ndarray: Cluster of each item, (K,), numbered in the order in which
        they come.

    Raises:
        ValueError: If there are fewer items than clusters, or none is alike.
    """
    num = len(affinity)
    if not 1 <= num_groups <= num:
        raise ValueError(f'the number of groups must lie in 1..{num}, got '
                         f'{num_groups}')
    degree = affinity.sum(axis=1)
    if not (degree > 0).all():
        raise ValueError(f'item {int(degree.argmin())} has nothing in common '
                         'with any other')
    scale = 1 / np.sqrt(degree)
    _, vectors = np.linalg.eigh(affinity * scale[:, None] * scale)
    rows = vectors[:, -num_groups:]
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    best: Optional[np.ndarray] = None
    least = np.inf
    for _ in range(restarts):
        centres, found = kmeans2(rows, num_groups, minit='++', seed=rng)
        spread = ((rows - centres[found])**2).sum()
        if len(np.unique(found)) == num_groups and spread < least:
            best, least = found, spread
    if best is None:
        raise ValueError(f'k-means found no {num_groups} clusters in '
                         f'{restarts} starts: choose fewer groups')
    order = {cluster: i for i, cluster in enumerate(dict.fromkeys(best))}
    return np.array([order[cluster] for cluster in best])


def write_groups(path: Union[str,
                             Path], names: Sequence[str], groups: np.ndarray,
                 source: str, **matrix: np.ndarray) -> List[List[str]]:
    """Write groups for a :class:`~lgh_mmpose.models.FileSelector`.

    Args:
        path (str | Path): The json file.
        names (Sequence[str]): Of the K joints.
        groups (np.ndarray): Group of each joint, (K,).
        source (str): Where the groups come from, for people.
        **matrix (np.ndarray): What they were found by, under its name, (K,
            K), for people.

    Returns:
        list[list[str]]: The joints of each group.

    Raises:
        OSError: If the file cannot be written.
    """
    joints = [[name for name, k in zip(names, groups) if k == g]
              for g in range(int(np.max(groups)) + 1)]
    content = dict(
        groups=joints,
        source=source,
        **{
            key: {
                name: [round(float(v), 3) for v in row]
                for name, row in zip(names, values)
            }
            for key, values in matrix.items()
        })
    text = json.dumps(content, indent=1, allow_nan=False)
    with atomic_write(path) as file:
        # a line for each joint
        file.write(
            (text.replace('\n   ', ' ').replace('\n  ]', ']') + '\n').encode())
    return joints
