"""What the results of a plan say: tables, tests, pictures."""
import re
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple, Union

import numpy as np
from scipy import stats

from ..fileio import atomic_write, write_image
from ..geometry.hand import hand_links
from ..inference.skeleton_2d import group_colors
from ..visualization.groups import adjusted_rand_index, plot_joint_groups
from ..visualization.skeleton import figure_to_image, new_figure
from .plan import Plan

CONFIDENCE = 0.95
_PATTERN = r'<!-- ablation:{0} -->.*?<!-- /ablation:{0} -->'


class Interval(NamedTuple):
    """Mean of n values and its 95 % confidence interval by Student's t.

    Attributes:
        mean (float): The mean.
        half (float): Half the width of the interval; NaN for one value.
        n (int): Number of values.
    """
    mean: float
    half: float
    n: int

    def __str__(self) -> str:
        half = '' if np.isnan(self.half) else f' ± {self.half:.2f}'
        return f'{self.mean:.2f}{half}'


def interval(values: Sequence[float]) -> Interval:
    """Mean and confidence interval over seeds.

    Args:
        values (Sequence[float]): At least one value.

    Returns:
        Interval: Mean and half width.
    """
    values = np.asarray(values, dtype=float)
    n, half = len(values), np.nan
    if n > 1:
        quantile = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)
        half = quantile * values.std(ddof=1) / np.sqrt(n)
    return Interval(float(values.mean()), float(half), n)


class Comparison(NamedTuple):
    """A variant beside the baseline.

    Attributes:
        difference (Interval): Of the MPJPE in mm; negative where the variant
            is better.
        p (float): Two-sided p of the difference; NaN where nothing tells how
            much runs differ.
        paired_p (float): p of the paired t-test of these two alone; NaN for
            one pair.
    """
    difference: Interval
    p: float
    paired_p: float


def compare(errors: Dict[str, Dict[int, float]],
            baseline: str) -> Dict[str, Comparison]:
    """Compare variants with a baseline, seed by seed.

    A randomised block design: an error is the sum of its variant's, its
    seed's and a rest, whose variance is taken to be the same for all variants
    of the plan. With three seeds a paired t-test of two variants has two
    degrees of freedom to estimate it from, this one two for each variant.

    Args:
        errors (dict[str, dict[int, float]]): Error by variant and seed.
        baseline (str): Name of the baseline.

    Returns:
        dict[str, Comparison]: For each other variant that can be compared.
    """
    if baseline not in errors:
        return {}
    names = [baseline, *(name for name in errors if name != baseline)]
    seeds = sorted({seed for found in errors.values() for seed in found})
    cells = [(names.index(name), seeds.index(seed), value)
             for name, found in errors.items()
             for seed, value in found.items()]
    rows, columns, values = map(np.array, zip(*cells))
    design = np.hstack([np.eye(len(names))[rows], np.eye(len(seeds))[columns]])
    inverse = np.linalg.pinv(design)
    effects = inverse @ values
    freedom = len(values) - np.linalg.matrix_rank(design)
    rest = np.sum((values - design @ effects)**2)
    compared = {}
    for i, name in enumerate(names[1:], 1):
        contrast = np.zeros(design.shape[1])
        contrast[[i, 0]] = 1, -1
        weights = contrast @ inverse
        # runs that no chain of common seeds connects do not compare
        if not np.allclose(weights @ design, contrast):
            continue
        half = p = np.nan
        # equal differences have no spread: the test would divide by zero
        if freedom and rest > 1e-12:
            error = np.sqrt(rest / freedom * weights @ weights)
            half = stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * error
            p = 2 * stats.t.sf(abs(contrast @ effects) / error, freedom)
        compared[name] = Comparison(
            Interval(
                float(contrast @ effects), float(half), len(errors[name])),
            float(p), _paired_p(errors[name], errors[baseline]))
    return compared


def _paired_p(ours: Dict[int, float], baseline: Dict[int, float]) -> float:
    seeds = sorted(ours.keys() & baseline.keys())
    a, b = (
        np.array([errors[s] for s in seeds]) for errors in (ours, baseline))
    if len(seeds) < 2 or np.ptp(a - b) < 1e-9:
        return np.nan
    return float(stats.ttest_rel(a, b).pvalue)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """p of several tests together (Holm, 1979); NaN are no tests.

    Args:
        p_values (Sequence[float]): p of each test.

    Returns:
        np.ndarray: Adjusted, in the same order.
    """
    p = np.asarray(p_values, dtype=float)
    adjusted = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind='stable')]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * factors))
    return adjusted


def verdict(comparison: Comparison, p: float) -> str:
    """``'better'``, ``'worse'`` or ``'undecided'`` at 5 %."""
    if np.isnan(p) or p >= 1 - CONFIDENCE:
        return 'undecided'
    return 'better' if comparison.difference.mean < 0 else 'worse'


def current(plan: Plan, results: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """The results that may be compared: one for each run, all of one kind.

    Args:
        plan (Plan): The plan.
        results (list[dict]): All results of its file, in order.

    Returns:
        list[dict]: The newest of each variant and seed, of those that share
        config, budget, data and the variant's settings with the newest.
    """
    results = [r for r in results if r['variant'] in plan.variants]
    if not results:
        return []
    shared = ('base', 'budget', 'data')
    results = [
        r for r in results if all(
            r.get(key) == results[-1].get(key) for key in shared)
    ]
    settings = {r['variant']: r['settings'] for r in results}
    newest = {
        (r['variant'], r['seed']): r
        for r in results if r['settings'] == settings[r['variant']]
    }
    return list(newest.values())


def _by_variant(plan: Plan, results: List[dict]) -> Dict[str, List[dict]]:
    found = {
        name:
        sorted((r for r in results if r['variant'] == name),
               key=lambda r: r['seed'])
        for name in plan.variants
    }
    return {name: runs for name, runs in found.items() if runs}


def _against(variants: Dict[str, List[dict]],
             baseline: str) -> Dict[str, Tuple[str, ...]]:
    """Difference, p, verdict, paired p (p after Holm) against a variant."""
    compared = compare(
        {
            name: {
                r['seed']: r['mpjpe_mm']
                for r in runs
            }
            for name, runs in variants.items()
        }, baseline)
    cells = {name: ('', '', 'undecided', '') for name in variants}
    cells[baseline] = ('baseline', '', '', '')
    p_values, paired = (
        holm([getattr(c, name) for c in compared.values()])
        for name in ('p', 'paired_p'))
    for (name, c), p, other in zip(compared.items(), p_values, paired):
        cells[name] = (str(c.difference), _p(p), verdict(c, p), _p(other))
    return cells


def _p(value: float) -> str:
    return '' if np.isnan(value) else \
        '< 0.001' if value < .001 else f'{value:.3f}'


def table(plan: Plan, results: List[Dict[str, Any]]) -> str:
    """Errors, comparison with the first baseline and cost, as Markdown.

    Args:
        plan (Plan): The plan.
        results (list[dict]): See :func:`current`.

    Returns:
        str: The table.
    """
    variants = _by_variant(plan, results)
    compared = _against(variants, plan.baselines[0])
    lines = [
        '| variant | seeds | MPJPE (mm) | PA-MPJPE (mm) | difference (mm) | '
        'p | | p, paired | parameters (M) | GMACs | CPU s |',
        '|---' * 11 + '|',
    ]
    for name, runs in variants.items():
        difference, p, judged, paired = compared[name]
        means = {
            key: np.mean([r[key] for r in runs])
            for key in ('params', 'gmacs', 'cpu_seconds')
        }
        lines.append(
            f'| {name} | {len(runs)} | '
            f'{interval([r["mpjpe_mm"] for r in runs])} | '
            f'{interval([r["pa_mpjpe_mm"] for r in runs])} | {difference} | '
            f'{p} | {judged} | {paired} | {means["params"] / 1e6:.3f} | '
            f'{means["gmacs"]:.4f} | {means["cpu_seconds"]:.0f} |')
    return '\n'.join(lines)


def baselines_table(plan: Plan, results: List[Dict[str, Any]]) -> str:
    """Comparison with the plan's other baselines, as Markdown.

    Args:
        plan (Plan): The plan.
        results (list[dict]): See :func:`current`.

    Returns:
        str: The table; empty where the plan has one baseline.
    """
    variants = _by_variant(plan, results)
    lines = [
        ' | '.join([f'| {name}', baseline, *cells]) + ' |'
        for baseline in plan.baselines[1:] if baseline in variants
        for name, cells in _against(variants, baseline).items()
        if name != baseline
    ]
    if not lines:
        return ''
    return '\n'.join([
        '| variant | against | difference (mm) | p | | p, paired |', '|---' *
        6 + '|'
    ] + lines)


def groups_table(plan: Plan, results: List[Dict[str, Any]]) -> str:
    """The groups that were learned and how well seeds agree on them.

    Args:
        plan (Plan): The plan.
        results (list[dict]): See :func:`current`.

    Returns:
        str: A table as Markdown; empty where no groups were learned.
    """
    lines = []
    for name, runs in _by_variant(plan, results).items():
        runs = [r for r in runs if r['learned']]
        if not runs:
            continue
        pairs = [
            adjusted_rand_index(a['groups'], b['groups'])
            for i, a in enumerate(runs) for b in runs[i + 1:]
        ]
        agreement = f'{np.mean(pairs):.2f}' if pairs else ''
        if len(pairs) > 1:
            agreement += f' ({", ".join(f"{pair:.2f}" for pair in pairs)})'
        used = ', '.join(str(len(set(r['groups']))) for r in runs)
        sizes = '; '.join(', '.join(map(str, _sizes(r))) for r in runs)
        within, chance = np.mean([_bones_within(r) for r in runs], axis=0)
        decided = np.mean([np.max(r['probabilities'], axis=1) for r in runs])
        lines.append(f'| {name} | {len(runs)} | {agreement} | {within:.0%} '
                     f'({chance:.0%}) | {decided:.2f} | {used} | {sizes} |')
    if not lines:
        return ''
    return '\n'.join([
        '| learned groups | seeds | agreement (adjusted Rand index; of each '
        'two seeds) | bones within a group (by chance) | largest probability '
        '| groups with joints, by seed | joints in each group, by seed |',
        '|---' * 7 + '|', *lines
    ])


def _sizes(result: Dict[str, Any]) -> np.ndarray:
    """Joints in each group, (G,)."""
    num_groups = len(result['probabilities'][0])
    return np.bincount(result['groups'], minlength=num_groups)


def _bones_within(result: Dict[str, Any]) -> Tuple[float, float]:
    """Share of the bones whose two joints are in one group; and by chance."""
    groups = np.array(result['groups'])
    links = np.array(hand_links(result['joint_names']))
    sizes, total = _sizes(result), len(groups)
    chance = (sizes * (sizes - 1)).sum() / max(total * (total - 1), 1)
    within = groups[links[:, 0]] == groups[links[:, 1]] if len(links) else 0
    return float(np.mean(within)), float(chance)


def plot(plan: Plan, results: List[Dict[str, Any]],
         out_file: Union[str, Path]) -> None:
    """Draw errors, learning curves and gains of each joint.

    Args:
        plan (Plan): The plan.
        results (list[dict]): See :func:`current`.
        out_file (str | Path): PNG to write.
    """
    variants = _by_variant(plan, results)
    colors = dict(zip(variants, group_colors(len(variants)) / 255.))
    figure = new_figure(1320, 520 + 22 * len(variants))
    grid = figure.add_gridspec(
        2, 3, height_ratios=(300, 110 + 22 * len(variants)))
    ax = figure.add_subplot(grid[0, 0])
    for i, (name, runs) in enumerate(variants.items()):
        values = [r['mpjpe_mm'] for r in runs]
        found = interval(values)
        ax.plot([i + .2] * len(values), values, '.', color='#999999')
        ax.errorbar(
            i,
            found.mean,
            yerr=None if np.isnan(found.half) else found.half,
            fmt='o',
            capsize=4,
            color=colors[name])
    ax.set_xticks(
        range(len(variants)),
        variants,
        rotation=25,
        ha='right',
        rotation_mode='anchor',
        fontsize=8)
    ax.set_xlim(-.5, len(variants) - .5)
    ax.set_title(
        'MPJPE in mm: seeds (grey), mean and 95 % interval', fontsize=9)
    ax.tick_params(axis='y', labelsize=8)

    curves = (('curve', 'MPJPE in mm, by samples seen'),
              ('train_curve', '2D error in training, px, by samples seen'))
    for column, (key, title) in enumerate(curves, 1):
        ax = figure.add_subplot(grid[0, column])
        for name, runs in variants.items():
            for run in runs:
                if run[key]:
                    ax.plot(
                        *np.transpose(run[key]),
                        marker='.',
                        color=colors[name],
                        linewidth=.9,
                        label=name if run is runs[0] else None)
        ax.set_title(title, fontsize=9)
        ax.tick_params(labelsize=8)
        ax.legend(fontsize=7)

    ax = figure.add_subplot(grid[1, :])
    _plot_gains(ax, plan, variants)
    figure.tight_layout()
    write_image(figure_to_image(figure), out_file)


def _plot_gains(ax: Any, plan: Plan, variants: Dict[str, List[dict]]) -> None:
    """How many mm each joint gains over the baseline, seeds paired."""
    baseline = {
        r['seed']: r['joint_mpjpe_mm']
        for r in variants.get(plan.baselines[0], [])
    }
    names, rows = [], []
    for name, runs in variants.items():
        gains = [
            np.subtract(baseline[r['seed']], r['joint_mpjpe_mm']) for r in runs
            if r['seed'] in baseline
        ]
        if gains and name != plan.baselines[0]:
            names.append(name)
            rows.append(np.mean(gains, axis=0))
    ax.set_title(
        f'gain of each joint over {plan.baselines[0]}, mm (blue: better)',
        fontsize=9)
    if not rows:
        ax.set_axis_off()
        return
    limit = max(abs(np.array(rows)).max(), 1e-6)
    ax.imshow(rows, cmap='RdBu', vmin=-limit, vmax=limit, aspect='auto')
    for i, row in enumerate(rows):
        for k, value in enumerate(row):
            ax.text(
                k,
                i,
                f'{value:+.1f}',
                ha='center',
                va='center',
                fontsize=7,
                color='white' if abs(value) > .6 * limit else 'black')
    joints = next(iter(variants.values()))[0]['joint_names']
    ax.set_xticks(range(len(joints)), joints, rotation=60, fontsize=7)
    ax.set_yticks(range(len(names)), names, fontsize=8)


def report_plan(plan: Plan, results: List[Dict[str, Any]],
                page: Union[str, Path]) -> None:
    """Write the part of a page that a plan's results make, and its pictures.

    The part stands between two comments that name the plan, at the end of
    the page if it has none yet; the rest of the page stays. Pictures are
    written to ``images`` beside it.

    Args:
        plan (Plan): The plan.
        results (list[dict]): All results of its file.
        page (str | Path): Markdown file, made if absent.

    Raises:
        ValueError: If there is no result to report.
    """
    page = Path(page)
    found = current(plan, results)
    if not found:
        raise ValueError(f'the plan {plan.name} has no results yet: run '
                         f'tools/ablation.py on it')
    images = page.parent / 'images'
    picture = f'ablation_{plan.name}.png'
    plot(plan, found, images / picture)
    budget, = (f'{value:g} {key.replace("_", " ")}'
               for key, value in found[0]['budget'].items())
    parts = [
        f'### {plan.title}', f'{len(found)} of {len(plan.runs)} runs of '
        f'`{plan.name}.yaml`, {budget} each.',
        table(plan, found)
    ]
    left_out = len(results) - len(found)
    if left_out:
        parts[1] += (f' Results left out, of other settings or data: '
                     f'{left_out}.')
    if found[0]['base'] != plan.base_settings:
        parts[1] += ' The config has changed since.'
    else:
        changed = dict.fromkeys(
            r['variant'] for r in found
            if r['settings'] != plan.settings(r['variant']))
        if changed:
            parts[1] += (' The settings have changed since of '
                         f'{", ".join(changed)}.')
    others = baselines_table(plan, found)
    if others:
        parts.append(others)
    parts.append(f'![errors, learning curves and gains of each joint]'
                 f'(images/{picture})')
    groups = groups_table(plan, found)
    if groups:
        learned = [
            r for runs in _by_variant(plan, found).values() for r in runs
            if r['learned']
        ]
        picture = f'ablation_{plan.name}_groups.png'
        plot_joint_groups(
            [np.array(r['probabilities'])
             for r in learned], learned[0]['joint_names'],
            [f'{r["variant"]}, seed {r["seed"]}'
             for r in learned], images / picture)
        parts += [groups, f'![learned groups](images/{picture})']
    text = '\n\n'.join([
        f'<!-- ablation:{plan.name} -->', *parts,
        f'<!-- /ablation:{plan.name} -->'
    ])
    content = page.read_text(encoding='utf-8') if page.is_file() else ''
    pattern = re.compile(_PATTERN.format(re.escape(plan.name)), re.DOTALL)
    if pattern.search(content):
        content = pattern.sub(lambda _: text, content, count=1)
    else:
        content = f'{content.rstrip()}\n\n{text}\n'.lstrip()
    with atomic_write(page) as file:
        file.write(content.encode())
