"""What a selector has learned: its history, and runs compared."""
import math
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Union

import numpy as np
from matplotlib.axes import Axes

from lgh_mmpose.fileio import write_image
from lgh_mmpose.reading import reason

from ..geometry.hand import hand_links
from ..inference.skeleton_2d import group_colors, text_color
from .skeleton import figure_to_image, hand_layout, new_figure

_PROBABILITY = 'selector/probability/'
_LOGITS = 'head.selector.logits'
_ALIVE = 'head.selector.alive'  # where groups may die


class SelectorHistory(NamedTuple):
    """A selector over the training, T times.

    Attributes:
        steps (np.ndarray): Iterations, (T,).
        probabilities (np.ndarray): Probability of each group, (T, K, G).
        entropy (np.ndarray): Mean entropy of the joints in nats, (T,).
        joint_names (list[str]): Names of the K joints.
    """
    steps: np.ndarray
    probabilities: np.ndarray
    entropy: np.ndarray
    joint_names: List[str]

    @property
    def switches(self) -> np.ndarray:
        """Joints that have changed group since the time before, (T,)."""
        groups = self.probabilities.argmax(axis=-1)
        changed = (groups[1:] != groups[:-1]).sum(axis=1)
        return np.concatenate([[0], changed])


def selector_history(records: Sequence[dict]) -> Optional[SelectorHistory]:
    """The selector's history from a run's scalars.

    Args:
        records (Sequence[dict]): See :func:`.figures.read_run`.

    Returns:
        SelectorHistory: None where the run has logged no
        ``selector/probability/...``, which ``ConcreteTemperatureHook`` does.

    Raises:
        ValueError: If two records differ in joints or groups.
    """
    steps, rows, names = [], [], []
    for record in records:
        row = {
            tuple(key[len(_PROBABILITY):].rsplit('/', 1)): value
            for key, value in record.items() if key.startswith(_PROBABILITY)
        }
        if not row:
            continue
        if rows and row.keys() != rows[0].keys():
            raise ValueError('the log of the selector changes its joints or '
                             f'groups at iteration {record.get("step")}: one '
                             'work dir holds runs of different models')
        if not rows:
            names = list(dict.fromkeys(name for name, _ in row))
        steps.append(record['step'])
        rows.append(row)
    if not rows:
        return None
    num_groups = len(rows[0]) // len(names)
    probabilities = np.array([[[row[name, str(g)] for g in range(num_groups)]
                               for name in names] for row in rows],
                             dtype=np.float64)
    entropy = -(probabilities * np.log(np.maximum(probabilities, 1e-12))).sum(
        axis=-1).mean(axis=-1)
    return SelectorHistory(np.array(steps), probabilities, entropy, names)


class CheckpointFacts(NamedTuple):
    """What a checkpoint tells beside its weights.

    Attributes:
        epoch (int, optional): Epochs trained, where recorded.
        iteration (int, optional): Iterations trained.
        seed (int, optional): Seed of the training.
        joint_names (list[str], optional): Names of the K joints.
        probabilities (np.ndarray, optional): Softmax of the selector's
            logits, (K, G); None for a model without selector.
    """
    epoch: Optional[int]
    iteration: Optional[int]
    seed: Optional[int]
    joint_names: Optional[List[str]]
    probabilities: Optional[np.ndarray]


def read_checkpoint(path: Union[str, Path]) -> CheckpointFacts:
    """Read the selector and the facts of the training from a checkpoint.

    Args:
        path (str | Path): Checkpoint of mmengine, or a bare state dict.

    Returns:
        CheckpointFacts: What it tells.

    Raises:
        OSError: If there is no such file, or it may not be read.
        ValueError: If the file is no checkpoint or its selector is damaged.
    """

    from lgh_mmpose.checkpoint import read_checkpoint as load
    checkpoint = load(path)
    if not isinstance(checkpoint, dict):
        raise ValueError(f'{path} is no checkpoint: it holds a '
                         f'{type(checkpoint).__name__}')
    try:
        return _checkpoint_facts(checkpoint)
    except Exception as error:  # anything may stand in it
        raise ValueError(f'{path}: {reason(error)}') from None


def _checkpoint_facts(checkpoint: dict) -> CheckpointFacts:
    import torch

    state = checkpoint.get('state_dict', checkpoint)
    meta = checkpoint.get('meta')
    meta = meta if isinstance(meta, dict) else {}
    numbers = [meta.get(key) for key in ('epoch', 'iter', 'seed')]
    numbers = [n if isinstance(n, int) else None for n in numbers]
    names = None
    dataset_meta = meta.get('dataset_meta')
    if isinstance(dataset_meta, dict):
        id2name = dataset_meta.get('keypoint_id2name')
        if isinstance(id2name, dict):
            names = [str(name) for _, name in sorted(id2name.items())]
    logits = state.get(_LOGITS) if isinstance(state, dict) else None
    if logits is None:
        return CheckpointFacts(*numbers, names, None)
    if (not isinstance(logits, torch.Tensor) or logits.ndim != 2
            or not torch.isfinite(logits).all()):
        raise ValueError(f'{_LOGITS} must be finite numbers (K, G)')
    if names is not None and len(names) != len(logits):
        raise ValueError(f'{_LOGITS} is of {len(logits)} joints, the metainfo '
                         f'names {len(names)}')
    alive = state.get(_ALIVE)
    if alive is not None:
        logits = logits.masked_fill(~alive, -torch.inf)
    probabilities = logits.double().softmax(-1).numpy()
    return CheckpointFacts(*numbers, names, probabilities)


def last_checkpoint(work_dir: Union[str, Path]) -> Path:
    """The checkpoint that a training wrote last.

    Args:
        work_dir (str | Path): Its work dir.

    Returns:
        Path: The checkpoint, in ``work_dir`` even if that has been moved.

    Raises:
        ValueError: If there is none.
    """
    pointer = Path(work_dir) / 'last_checkpoint'
    if pointer.is_file():
        path = Path(pointer.read_text().strip())
        for candidate in (Path(work_dir) / path.name, path):
            if candidate.is_file():
                return candidate
    raise ValueError(f'{work_dir} names no checkpoint in the file '
                     'last_checkpoint: is it the work dir of a training '
                     'run? Else name the checkpoint itself')


def adjusted_rand_index(first: Sequence[int], second: Sequence[int]) -> float:
    """Agreement of two groupings of the same joints, whatever their numbers.

    Hubert and Arabie, "Comparing partitions", Journal of Classification 2,
    1985: the share of pairs that both treat alike, corrected for chance.

    Args:
        first (Sequence[int]): Group of each joint, (K,).
        second (Sequence[int]): The same of the other, (K,).

    Returns:
        float: 1 for equal groupings, about 0 for independent ones; may be
        negative.

    Raises:
        ValueError: If they differ in length or are empty.
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.ndim != 1 or first.shape != second.shape or not len(first):
        raise ValueError('two groupings must have one shape (K,), got '
                         f'{first.shape} and {second.shape}')
    _, rows = np.unique(first, return_inverse=True)
    _, columns = np.unique(second, return_inverse=True)
    table = np.zeros((rows.max() + 1, columns.max() + 1), dtype=np.int64)
    np.add.at(table, (rows, columns), 1)

    def pairs(counts: np.ndarray) -> int:
        return sum(math.comb(n, 2) for n in counts.ravel().tolist())

    together = pairs(table)
    a, b = pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    total = math.comb(len(first), 2)
    # all apart or all together in both: the same grouping
    if a == b and a in (0, total):
        return 1.
    expected = a * b / total
    return (together - expected) / ((a + b) / 2 - expected)


def draw_hand(ax: Axes, joint_names: Sequence[str], colors: np.ndarray,
              texts: Sequence[str]) -> None:
    """Draw an open right hand with a coloured disc for each joint.

    Args:
        ax (Axes): Axes to draw in.
        joint_names (Sequence[str]): Names of the K joints.
        colors (np.ndarray): RGB of each, uint8 (K, 3).
        texts (Sequence[str]): Short text in each disc.
    """
    places = hand_layout(joint_names)
    for a, b in hand_links(joint_names):
        ax.plot(*places[[a, b]].T, color='#bbbbbb', linewidth=3, zorder=1)
    ax.scatter(*places.T, s=260, c=colors / 255., zorder=2, linewidths=0)
    for place, color, text in zip(places, colors, texts):
        ax.text(
            *place,
            text,
            ha='center',
            va='center',
            fontsize=8,
            color=text_color(color),
            zorder=3)
    ax.set_aspect('equal')
    ax.set_ylim(20, places[:, 1].min() - 20)
    ax.margins(x=.08)
    ax.set_axis_off()


def plot_joint_groups(probabilities: Sequence[np.ndarray],
                      joint_names: Sequence[str], labels: Sequence[str],
                      out_file: Union[str, Path]) -> None:
    """Draw the groups of one or several runs as hands.

    Args:
        probabilities (Sequence[np.ndarray]): For each run (K, G).
        joint_names (Sequence[str]): Names of the K joints.
        labels (Sequence[str]): Name of each run.
        out_file (str | Path): PNG to write.
    """
    num = len(probabilities)
    columns = min(num, 4)
    rows = -(-num // columns)
    figure = new_figure(330 * columns, 400 * rows)
    # tight_layout would cut titles off where axes keep their aspect
    figure.set_layout_engine('constrained')
    for i, (run, label) in enumerate(zip(probabilities, labels)):
        ax = figure.add_subplot(rows, columns, i + 1)
        groups = run.argmax(axis=1)
        draw_hand(ax, joint_names,
                  group_colors(run.shape[1])[groups], [str(g) for g in groups])
        ax.set_title(
            f'{label}\njoints by group, mean probability '
            f'{run.max(axis=1).mean():.2f}',
            fontsize=9)
    write_image(figure_to_image(figure), out_file)


def plot_selector_history(history: SelectorHistory,
                          out_file: Union[str, Path],
                          title: str = '') -> None:
    """Draw every probability over the training, entropy and switches.

    Args:
        history (SelectorHistory): The selector's history.
        out_file (str | Path): PNG to write.
        title (str): Line above.
    """
    num_groups = history.probabilities.shape[2]
    colors = group_colors(num_groups) / 255.
    figure = new_figure(max(260 * num_groups, 640) + 120, 660)
    grid = figure.add_gridspec(2, num_groups, height_ratios=(2.4, 1))
    steps = history.steps
    # a log stands for the time until the next one
    edges = np.append(
        steps, 2 * steps[-1] - steps[-2] if len(steps) > 1 else steps[-1] + 1)
    for g in range(num_groups):
        ax = figure.add_subplot(grid[0, g])
        shade = 1 - history.probabilities[:, :, g, None] * (1 - colors[g])
        ax.pcolormesh(edges, np.arange(len(history.joint_names) + 1),
                      shade.transpose(1, 0, 2))
        ax.invert_yaxis()
        ax.set_title(f'probability of group {g}', fontsize=9)
        ax.tick_params(labelsize=7)
        ax.set_yticks(
            np.arange(len(history.joint_names)) + .5,
            history.joint_names if g == 0 else [])
    ax = figure.add_subplot(grid[1, :])
    ax.plot(steps, history.entropy, color='black', label='entropy (nats)')
    ax.axhline(
        np.log(num_groups),
        color='grey',
        linewidth=.8,
        linestyle=':',
        label=f'nothing learned: log {num_groups}')
    ax.set_ylim(bottom=0)
    ax.set_xlabel('iteration', fontsize=8)
    ax.set_ylabel('mean entropy (nats)', fontsize=8)
    other = ax.twinx()
    other.step(
        steps,
        history.switches.cumsum(),
        where='post',
        color=group_colors(6)[5] / 255.,
        label='switches so far')
    other.set_ylim(bottom=0)
    other.set_ylabel('joints that changed group', fontsize=8)
    lines = [*ax.get_lines(), *other.get_lines()]
    ax.legend(
        lines, [line.get_label() for line in lines],
        fontsize=8,
        loc='center right')
    for axes in (ax, other):
        axes.tick_params(labelsize=7)
    ax.set_xlim(edges[0], edges[-1])
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    write_image(figure_to_image(figure), out_file)


def plot_agreement(agreement: np.ndarray, labels: Sequence[str],
                   out_file: Union[str, Path]) -> None:
    """Draw the adjusted Rand index of every two runs.

    Args:
        agreement (np.ndarray): Symmetric, (R, R).
        labels (Sequence[str]): Names of the R runs.
        out_file (str | Path): PNG to write.
    """
    size = 70 * len(labels)
    figure = new_figure(size + 190, size + 120)
    ax = figure.subplots()
    image = ax.imshow(agreement, cmap='cividis', vmin=0, vmax=1)
    for i, row in enumerate(agreement):
        for j, value in enumerate(row):
            ax.text(
                j,
                i,
                f'{value:.2f}',
                ha='center',
                va='center',
                fontsize=9,
                color=text_color(255 * np.array(image.to_rgba(value)[:3])))
    ax.set_xticks(range(len(labels)), labels, fontsize=8, rotation=30)
    ax.set_yticks(range(len(labels)), labels, fontsize=8)
    ax.set_title('adjusted Rand index of the groups', fontsize=9)
    figure.tight_layout()
    write_image(figure_to_image(figure), out_file)
