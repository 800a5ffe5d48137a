"""The plots of the page."""
from pathlib import Path
from typing import Callable, Sequence

from lgh_mmpose.fileio import atomic_write

from .tables import Series, series_of

COLORS = ('#1f77b4', '#d62728', '#2ca02c')


def plot(path: Path,
         series: Series,
         xlabel: str,
         ylabel: str,
         log: bool = False,
         ticks: Sequence[float] = (),
         scale: Callable[[float, float], float] = lambda x, y: y) -> None:
    """Draw lines over one value and write them as a PNG.

    Args:
        path (Path): File to write.
        series (dict): Values and figures by name.
        xlabel (str): What the values are.
        ylabel (str): What the figures are.
        log (bool): Whether both axes are logarithmic. Defaults to ``False``.
        ticks (Sequence[float]): Marks of the x axis. Defaults to the axis's
            own.
        scale (Callable): What to draw for a value and its figure.
    """
    from matplotlib.figure import Figure
    figure = Figure(figsize=(5.6, 3.6), dpi=120, layout='constrained')
    axes = figure.add_subplot()
    for color, (name, (xs, ys)) in zip(COLORS, series.items()):
        axes.plot(
            xs, [scale(x, y) for x, y in zip(xs, ys)],
            'o-',
            color=color,
            label=name)
    if log:
        axes.set_xscale('log')
        axes.set_yscale('log')
    else:
        axes.set_ylim(bottom=0)
    if ticks:
        axes.set_xticks(ticks, [f'{tick:g}' for tick in ticks])
        axes.minorticks_off()
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.grid(alpha=.3)
    axes.legend(frameon=False)
    with atomic_write(path) as file:
        figure.savefig(file, format='png')


def relative(series: Series) -> Series:
    """Figures over the first one of each series."""
    return {
        name: (xs, [y / ys[0] for y in ys])
        for name, (xs, ys) in series.items()
    }


def draw(result: dict, folder: Path) -> None:
    """Draw one plot for each thing that grows."""
    step = f'training step, {"bf16" if result["bf16"] else "fp32"}'
    names = {'infer': 'inference, fp32, batch 1', 'step': f'{step}, batch 8'}

    def named(what: str) -> Series:
        return {
            names.get(name, name): points
            for name, points in series_of(result, what).items()
        }

    groups = relative(named('groups'))
    plot(
        folder / 'performance_groups.png',
        groups,
        'groups G',
        'CPU time over that of G=1',
        ticks=next(iter(groups.values()))[0])
    # of one image: a step has eight
    sizes = {
        name: (xs, [y / (8 if 'step' in name else 1) for y in ys])
        for name, (xs, ys) in named('size').items()
    }
    plot(
        folder / 'performance_size.png',
        sizes,
        'side of the input, px',
        'CPU time, ns per input pixel and image',
        ticks=next(iter(sizes.values()))[0],
        scale=lambda x, y: 1e6 * y / x**2)
    names['infer'], names['step'] = 'inference, fp32', step
    batches = named('batch')
    plot(
        folder / 'performance_batch.png',
        batches,
        'batch',
        'CPU time, ms per image',
        scale=lambda x, y: y / x)
    names.update(
        index_ours='index, FreiHand3DDataset',
        index_coco="index, mmpose's FreiHandDataset",
        metric='metric, both protocols')
    plot(
        folder / 'performance_samples.png',
        named('samples'),
        'samples',
        'CPU time, us per sample',
        log=True,
        scale=lambda x, y: 1e3 * y / x)
    processes = {
        name: ([float(n) for n in values], list(values.values()))
        for name, values in result['processes'].items()
    }
    plot(
        folder / 'performance_processes.png',
        relative(processes),
        'processes of one thread',
        'images per second over those of one',
        ticks=next(iter(processes.values()))[0])
