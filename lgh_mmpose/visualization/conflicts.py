"""What GradientConflictHook has measured, and its picture."""
import json
from pathlib import Path
from typing import List, NamedTuple, Union

import numpy as np

from lgh_mmpose.fileio import write_image

from ..engine.hooks.gradient_conflict_hook import CONFLICTS_FILE
from .skeleton import figure_to_image, new_figure

QUANTITIES = 'uv', 'depth'


class Conflicts(NamedTuple):
    """Gradients of K joints over a training, T times.

    Attributes:
        steps (np.ndarray): Iterations, (T,).
        joint_names (list[str]): Names of the joints.
        norms (np.ndarray): Of the gradients of uv and depth, (T, 2, K).
        cosines (np.ndarray): Between them, (T, 2K, 2K), first uv, then
            depth; NaN where a joint has no gradient.
    """
    steps: np.ndarray
    joint_names: List[str]
    norms: np.ndarray
    cosines: np.ndarray

    def between_joints(self) -> np.ndarray:
        """Mean cosine of two joints over the second half of the training,
        over uv and depth, (K, K)."""
        later = np.nanmean(self.cosines[len(self.steps) // 2:], axis=0)
        num = len(self.joint_names)
        return (later[:num, :num] + later[num:, num:]) / 2


def read_conflicts(path: Union[str, Path]) -> Conflicts:
    """Read a file of :class:`~lgh_mmpose.engine.GradientConflictHook`.

    Args:
        path (str | Path): The file, or the work dir that holds it.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is damaged or holds no measurement.
    """
    path = Path(path)
    if path.is_dir():
        path = path / CONFLICTS_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f'{path} not found: GradientConflictHook writes it, among the '
            'custom_hooks of a training')
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        found = Conflicts(
            np.array([line['iter'] for line in lines]), lines[0]['joints'],
            np.array([[line['norms'][name] for name in QUANTITIES]
                      for line in lines], float),
            np.array([line['cosines'] for line in lines], float))
        num = len(found.joint_names)
        if found.norms.shape[1:] != (2, num) or \
                found.cosines.shape[1:] != (2 * num, 2 * num):
            raise ValueError('not numbers of all joints')
    except IndexError:
        raise ValueError(f'{path} holds no measurement yet') from None
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{path} is damaged: {error}') from None
    return found


def plot_conflicts(conflicts: Conflicts, out_file: Union[str, Path],
                   title: str) -> None:
    """Draw cosines at the start and at the end, and the norms between.

    Args:
        conflicts (Conflicts): What was measured.
        out_file (str | Path): The picture, PNG or JPEG.
        title (str): Of the picture.
    """
    num = len(conflicts.joint_names)
    quarter = max(1, len(conflicts.steps) // 4)
    figure = new_figure(1500, 640)
    figure.set_layout_engine('constrained')
    axes = figure.subplots(1, 3, width_ratios=(1, 1, .8))
    for ax, part, name in zip(axes,
                              (slice(None, quarter), slice(-quarter, None)),
                              ('first', 'last')):
        mean = np.nanmean(conflicts.cosines[part], axis=0)
        shown = ax.imshow(mean, cmap='RdBu', vmin=-1, vmax=1)
        ax.axhline(num - .5, color='black', lw=.8)
        ax.axvline(num - .5, color='black', lw=.8)
        ax.set_yticks(range(2 * num), 2 * conflicts.joint_names, fontsize=6)
        ax.tick_params('y', labelleft=name == 'first')
        ax.set_xticks([num / 2, 3 * num / 2], QUANTITIES)
        ax.set_title(f'cosines, {name} quarter')
    figure.colorbar(
        shown, ax=axes[:2], shrink=.8, label='against each other  –  together')
    for k, (quantity, color) in enumerate(zip(QUANTITIES, ('C0', 'C1'))):
        norms = conflicts.norms[:, k]
        axes[2].plot(conflicts.steps, norms, color=color, lw=.5, alpha=.4)
        axes[2].plot(
            conflicts.steps, norms.mean(axis=1), color=color, label=quantity)
    axes[2].set(
        yscale='log', xlabel='iteration', title='norms: joints (thin), mean')
    axes[2].legend()
    figure.suptitle(title)
    write_image(figure_to_image(figure), out_file)
