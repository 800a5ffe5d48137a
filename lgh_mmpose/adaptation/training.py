"""One training of an adaptation: from a checkpoint to the next."""
import contextlib
import warnings
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.registry import MODELS
from tqdm import tqdm

from ..checkpoint import load_weights, read_checkpoint, start_from, weights_of
from ..config import load_config

CONFIG = 'lgh_adapt.py'
_MAX_REPEATS = 15
"""How often a photograph may be seen in an epoch: of few of them a batch
holds a smaller share, but for one."""


class ProgressHook(Hook):
    """A progress bar over all iterations of a training."""

    priority = 'VERY_LOW'

    def __init__(self, title: str) -> None:
        self.title = title
        self._bar: Optional[tqdm] = None

    def before_train(self, runner: Runner) -> None:
        """Open the bar."""
        if is_main_process():
            self._bar = tqdm(
                total=runner.max_iters, desc=self.title, unit='it')

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Any = None,
                         outputs: Optional[Dict[str, Any]] = None) -> None:
        """Advance it."""
        if self._bar is not None:
            self._bar.update()

    def after_train(self, runner: Runner) -> None:
        """Close it."""
        if self._bar is not None:
            self._bar.close()


def make_config(rendered: Path, photographs: List[Tuple[dict, int]],
                work_dir: Path, seed: int, max_epochs: int) -> Config:
    """The config of one training.

    Args:
        rendered (Path): StudioHand in FreiHAND's layout.
        photographs (list[tuple[dict, int]]): Data sets of photographs,
            without pipelines, and how many hands each has; none where
            nothing is to be trained.
        work_dir (Path): Of the training.
        seed (int): Its seed.
        max_epochs (int): Its length.

    Returns:
        Config: ``lgh_adapt.py`` with these.
    """
    from .. import __file__ as package
    cfg = load_config(Path(package).parent / '.mim' / 'configs' / CONFIG)
    cfg.train_dataloader.dataset.datasets[0].data_root = str(rendered)
    if photographs:
        _set_photographs(cfg.train_dataloader, photographs)
    for name in ('val_dataloader', 'test_dataloader'):
        cfg[name].dataset.data_root = str(rendered)
    cfg.work_dir = str(work_dir)
    cfg.randomness.seed = seed
    cfg.max_epochs = cfg.train_cfg.max_epochs = max_epochs
    # scored apart; mmengine would do so after the last epoch
    cfg.train_cfg.val_begin = max_epochs + 1
    cfg.default_hooks.checkpoint = dict(
        type='CheckpointHook', interval=1, max_keep_ckpts=1)
    return cfg


def _set_photographs(loader: Config, photographs: List[Tuple[dict,
                                                             int]]) -> None:
    """Put data sets of photographs in the place of the config's."""
    rendered, other = loader.dataset.datasets
    loader.dataset.datasets = [rendered] + [
        dict(dataset, pipeline=other.pipeline) for dataset, _ in photographs
    ]
    size = loader.batch_size
    numbers = np.array([number for _, number in photographs])
    # rendered hands are half of each batch, or more
    due = size * _MAX_REPEATS * numbers / (rendered.indices + numbers.sum())
    due = due * min(1., size / 2 / due.sum())
    # at least one of each, which small sets are seen more often by
    counts = np.maximum(due.astype(int), 1).tolist()
    loader.sampler.source_ratio = [size - sum(counts), *counts]


def check_checkpoint(cfg: Config, checkpoint: str) -> None:
    """Raise ValueError or OSError if it has not the weights of the config's
    network."""
    init_default_scope(cfg.default_scope)
    load_weights(MODELS.build(cfg.model), checkpoint)


def train(cfg: Config, checkpoint: str, title: str) -> Path:
    """Train on from a checkpoint.

    Args:
        cfg (Config): Of the training; its log goes to its work dir.
        checkpoint (str): What it begins from.
        title (str): Of the progress bar.

    Returns:
        Path: The new checkpoint.
    """
    with _quiet(Path(cfg.work_dir)):
        runner = Runner.from_cfg(cfg)
        start_from(runner, checkpoint, resume=False)
        runner.register_hook(ProgressHook(title))
        runner.train()
    return Path(cfg.work_dir) / f'epoch_{cfg.max_epochs}.pth'


def mix(start: str, trained: Path, share: float) -> Path:
    """Average the weights of two checkpoints of one network.

    Between the weights that a training began from and those it came to lie
    networks that have learned most of the new and forgotten little of the old
    (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).

    Args:
        start (str): What was begun from.
        trained (Path): What was come to.
        share (float): How much of the average that is, 0 to 1.

    Returns:
        Path: The average, ``mixed.pth`` beside ``trained``.
    """
    first = weights_of(read_checkpoint(start), start)
    second = weights_of(read_checkpoint(trained), trained)
    weights = {
        name:
        torch.lerp(first[name].to(value), value, share)
        if value.is_floating_point() else value
        for name, value in second.items()
    }
    path = trained.with_name('mixed.pth')
    torch.save(dict(state_dict=weights), path)
    return path


def score_rendered(cfg: Config, checkpoint: str) -> Dict[str, float]:
    """Scores of a checkpoint on the rendered test set of a config."""
    cfg = cfg.copy()
    cfg.work_dir = str(Path(cfg.work_dir) / 'scores')
    with _quiet(Path(cfg.work_dir)):
        runner = Runner.from_cfg(cfg)
        start_from(runner, checkpoint, resume=False)
        return runner.val()


@contextlib.contextmanager
def _quiet(work_dir: Path) -> Iterator[None]:
    """Send what mmengine says to a file of the work dir."""
    work_dir.mkdir(parents=True, exist_ok=True)
    with open(work_dir / 'output.log', 'a') as log, \
            contextlib.redirect_stdout(log), warnings.catch_warnings():
        # mmpose tells that it found its own metainfo file, at every turn
        warnings.simplefilter('ignore')
        yield
