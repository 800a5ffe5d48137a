"""What a report is about: a training, and the tests of its model."""
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Union

import numpy as np
from mmengine.config import Config

from lgh_mmpose.config import load_config, merge_cfg_options
from lgh_mmpose.evaluation import breakdown as B
from lgh_mmpose.evaluation import functional as F
from lgh_mmpose.visualization.groups import CheckpointFacts

PathLike = Union[str, Path]
Dump = Dict[str, np.ndarray]

# in the order of the headline figures
ALIGNMENTS = {
    'root': 'root-aligned at {root}',
    'procrustes': 'after the best similarity transform without reflection',
    'freihand': "after FreiHAND's similarity transform, reflections allowed",
    'none': "in the camera's frame, nothing aligned",
}
ERROR_NAMES = {
    'none': 'EPE',
    'root': 'MPJPE',
    'procrustes': 'PA-MPJPE',
    'freihand': 'EPE, aligned',
}


class ReportData(NamedTuple):
    """What the sections of a report are computed from.

    Attributes:
        cfg (Config): Config of the training.
        config (Path): Its file.
        checkpoint (Path): The checkpoint.
        known (bool): Whether the predictions are known to be of it.
        facts (CheckpointFacts): What it tells beside its weights.
        dumps (dict[str, dict[str, np.ndarray]]): Name -> predictions of N
            samples, all of the same test.
        alignment (str): Alignment of the drawings and samples.
        records (list[dict], optional): Log of the training; None without.
        baseline (dict[str, np.ndarray]): Alignment -> errors in mm of always
            answering the mean pose, (N, K).
        no_baseline (str): Why there are none; empty where there are.
    """
    cfg: Config
    config: Path
    checkpoint: Path
    known: bool
    facts: CheckpointFacts
    dumps: Dict[str, Dump]
    alignment: str
    records: Optional[List[dict]]
    baseline: Dict[str, np.ndarray]
    no_baseline: str

    @property
    def first(self) -> Dump:
        """The predictions that are drawn."""
        return next(iter(self.dumps.values()))

    @property
    def protocol(self) -> str:
        """Name of the protocol that scored the tests."""
        return str(self.first['protocol'])

    @property
    def joint_names(self) -> List[str]:
        """Names of the K joints."""
        return self.first['joint_names'].tolist()

    @property
    def root_joint(self) -> str:
        """Name of the joint that root-relative errors are aligned at."""
        return str(self.first['root_joint'])

    @property
    def errors(self) -> np.ndarray:
        """Errors of the first predictions in mm, (N, K), NaN without one."""
        return self.first[f'errors_{self.alignment}']

    @property
    def aligned(self) -> str:
        """How the drawings and samples are aligned, in words."""
        return self.describe(self.alignment)

    def describe(self, alignment: str) -> str:
        """An alignment in words."""
        return ALIGNMENTS[alignment].format(root=self.root_joint)


def type_name(cfg: dict) -> str:
    """Name of the class that a config is of."""
    kind = cfg['type']
    return getattr(kind, '__name__', kind).rsplit('.', 1)[-1]


def load_work_dir_config(work_dir: Path, config: Optional[PathLike],
                         cfg_options: Optional[dict]) -> tuple:
    """The config of a training.

    Args:
        work_dir (Path): Its work dir.
        config (str | Path, optional): Defaults to the one in ``work_dir``.
        cfg_options (dict, optional): Settings by dotted key.

    Returns:
        tuple: Config, and its file.

    Raises:
        ValueError: If the work dir does not hold exactly one, or it cannot
            be read or changed.
    """
    if config is None:
        found = sorted(work_dir.glob('*.py'))
        if len(found) != 1:
            raise ValueError(f'{work_dir} holds {len(found)} configs (*.py), '
                             'not one; name the config')
        config = found[0]
    cfg = load_config(config)
    if cfg_options:
        merge_cfg_options(cfg, cfg_options)
    return cfg, Path(config)


def check_same_test(dumps: Dict[str, Dump]) -> None:
    """Raise an error unless all predictions are of one test.

    Args:
        dumps (dict[str, dict[str, np.ndarray]]): Name -> predictions.

    Raises:
        ValueError: If there is none, or they are of different samples.
    """
    if not dumps:
        raise ValueError('a report needs the predictions of one test at least')
    first = next(iter(dumps.values()))
    for label, dump in dumps.items():
        if str(dump['protocol']) not in F.PROTOCOLS:
            raise ValueError(f'{label} was scored by an unknown protocol, '
                             f'{str(dump["protocol"])!r}')
        for key in ('id', 'joint_names', 'root_joint', 'protocol'):
            if not np.array_equal(dump[key], first[key]):
                raise ValueError(f'the predictions {label!r} differ from the '
                                 f'first in {key}: they must be of the same '
                                 'test')
        if B.scored_alignments(dump) != B.scored_alignments(first):
            raise ValueError(f'the predictions {label!r} differ from the '
                             'first in the alignments that were scored')


def pick_alignment(dump: Dump, alignment: Optional[str]) -> str:
    """The alignment of the drawings, by default ``'root'`` where scored.

    Raises:
        ValueError: If the predictions were not scored in it.
    """
    scored = B.scored_alignments(dump)
    if alignment is None:
        alignment = 'root' if 'root' in scored else scored[0]
    if alignment not in scored:
        raise ValueError(f'the predictions have no errors with alignment '
                         f'{alignment!r}, only {scored}')
    return alignment


def row_mean(errors: np.ndarray) -> np.ndarray:
    """Mean of each row, NaN without a value."""
    count = (~np.isnan(errors)).sum(axis=1)
    return np.where(count > 0,
                    np.nansum(errors, axis=1) / np.maximum(count, 1), np.nan)
