"""The tables of the page, in Markdown."""
from typing import Dict, List, Optional, Sequence, Tuple

Series = Dict[str, Tuple[List[float], List[float]]]


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, numbers to the right."""
    lines = [header, ['---', *['--:'] * (len(header) - 1)], *rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def number(value: float) -> str:
    """Three digits that say something."""
    if abs(value) >= 100:
        return f'{value:,.0f}'
    return f'{value:.{1 if abs(value) >= 10 else 2}f}'


def limit_of(result: dict, name: str) -> Optional[float]:
    """What part of a plain convolution's speed a case reaches."""
    precision = 'bf16' if name in result['bf16'] else 'fp32'
    limit = result['gflops'].get(f'limit/conv_{precision}')
    reached = result['gflops'].get(name)
    return None if None in (limit, reached) else reached / limit


def cases_table(result: dict,
                kinds: Sequence[str],
                of_limit: bool = False) -> str:
    """All cases of some kinds, one a row."""
    rows = []
    for name, ms in result['ms'].items():
        if name.split('/')[0] not in kinds:
            continue
        rows.append([
            f'`{name}`',
            number(ms),
            number(result['cpu_ms'][name]),
            number(result['per_second'][name]),
            *(number(result[key][name]) if name in result[key] else ''
              for key in ('gflops', 'peak_mb'))
        ])
        if of_limit:
            share = limit_of(result, name)
            rows[-1].insert(-1, '' if share is None else f'{share:.0%}')
            off = result.get('difference_px', {}).get(name)
            rows[-1].insert(-1, '' if off is None else f'{off:.2g}')
    header = ['case', 'ms', 'CPU ms', 'per s', 'GFLOP/s', 'peak MB']
    if of_limit:
        header[-1:-1] = ['of the limit', 'off by px']
    return markdown(header, rows)


def limit_text(result: dict) -> str:
    """The limits, and what they leave for the network of the authors."""
    lines = [cases_table(result, ['limit'])]
    gflops, ratio = result['gflops'], result['cpu_ratio']
    official = gflops.get('infer/official')
    for precision, name in (('fp32', 'exported_fp32_vs_official'),
                            ('bf16', 'exported_vs_official')):
        limit = gflops.get(f'limit/conv_{precision}')
        if official and limit and name in ratio:
            lines.append(
                f'- In {precision}, at the speed of that convolution, the '
                f"authors' network would be {number(limit / official)} times "
                'as fast as it is in eager fp32; the exported one is '
                f'{number(ratio[name])} times as fast (CPU time, batch 1).')
    lines.insert(1, '')
    return '\n'.join(lines).strip()


def ratios_table(result: dict) -> str:
    """All ratios, by wall time and by CPU time."""
    return markdown(
        ['ratio', 'by wall time', 'by CPU time'],
        [[f'`{name}`',
          number(value),
          number(result['cpu_ratio'][name])]
         for name, value in result['ratio'].items()])


def parts_table(result: dict) -> str:
    """Where the time of a training step goes, with three groups and one."""
    figures: Dict[str, Dict[str, float]] = {}
    for name, ms in result['cpu_ms'].items():
        if name.startswith('part/'):
            _, network, part = name.split('/')
            figures.setdefault(network, {})[part] = ms
    rows = []
    for network in [n for n in figures if f'{n}_g1' in figures]:
        three, one = figures[network], figures[f'{network}_g1']
        whole = dict(three=sum(three.values()), one=sum(one.values()))
        for part, ms in [*three.items(), ('all', whole['three'])]:
            single = whole['one'] if part == 'all' else one.get(part, 0.)
            rows.append([
                f'`lgh_{network}`, {part}',
                number(ms),
                number(single),
                number(ms - single),
                f'{100 * (ms - single) / whole["one"]:.1f} %'
            ])
    return markdown([
        'part, forward and backward', 'G=3, CPU ms', 'G=1, CPU ms',
        'difference', 'of the G=1 network'
    ], rows)


def groups_text(result: dict) -> str:
    """What three groups cost, beside how many more operations they are."""

    def more(figures: Dict[str, float], name: str) -> str:
        return f'{figures[name] / figures[name + "_g1"] - 1:.1%}'

    cpu_ms = result['cpu_ms']
    operations = {
        name: gflops * cpu_ms[name]
        for name, gflops in result['gflops'].items()
    }
    return '\n'.join(
        f'- `{name}`: {more(operations, name)} more operations than with one '
        f'group, {more(cpu_ms, name)} more CPU time.' for name in operations
        if f'{name}_g1' in operations)


def stages_table(result: dict) -> str:
    """CPU time of the stages of the data pipelines."""
    stages = result.get('stages', {})
    names = list(dict.fromkeys(n for split in stages.values() for n in split))
    rows = [[
        f'`{name}`', *(number(split[name]) if name in split else ''
                       for split in stages.values())
    ] for name in names]
    rows.append(['all', *(number(sum(s.values())) for s in stages.values())])
    return markdown(['stage', *(f'{s}, CPU ms' for s in stages)], rows)


def environment_text(results: Sequence[dict]) -> str:
    """Where and how it was measured."""
    first = results[0]['environment']
    versions = ', '.join(f'{k} {v}' for k, v in first['versions'].items())
    bf16 = f'bf16 by {first["bf16"]}' if first['bf16'] else 'no bf16'
    lines = [
        f'{first["cpu"]}, {first["cores"]} cores, {first["instructions"]}, '
        f'{bf16}; {first["threads"]} thread; Python {first["python"]}, '
        f'{versions}.', ''
    ]
    for result in results:
        rounds = sorted(set(result['rounds'].values()))
        lines.append(f'- `python {result["environment"]["command"]}`: '
                     f'{"–".join(map(str, rounds[::len(rounds) - 1 or 1]))} '
                     'rounds, '
                     f'{result["seconds"] / 60:.0f} minutes; allocator: '
                     f'{result["environment"]["allocator"]}')
        if result['left_out']:
            lines.append(f'  (left out, without bf16: '
                         f'{", ".join(result["left_out"])})')
    return '\n'.join(lines)


# what each plot shows
PLOTS = dict(
    groups='CPU time over that of one group, by number of groups',
    size='CPU time per input pixel, by side of the input',
    batch='CPU time per image, by batch',
    samples='CPU time per sample, by number of samples',
    processes='images per second over those of one process, by processes')


def picture(what: str) -> str:
    """The plot, for the page."""
    return f'\n\n![{PLOTS[what]}](images/performance_{what}.png)'


def growth_table(result: dict, what: str) -> str:
    """CPU ms, and memory where measured, by the value that grows."""
    columns = {
        f'{name}, {unit}': dict(zip(*points))
        for key, unit in (('cpu_ms', 'CPU ms'), ('peak_mb', 'peak MB'))
        for name, points in series_of(result, what, key).items()
    }
    values = sorted({value for points in columns.values() for value in points})
    rows = [[
        f'{value:,.0f}', *(number(points[value]) if value in points else ''
                           for points in columns.values())
    ] for value in values]
    return '\n'.join([
        markdown([what, *columns], rows), '', *growth_lines(result, what)
    ]) + picture(what)


def growth_lines(result: dict, what: str) -> List[str]:
    """From the smallest value to the largest, a line each series."""
    lines = []
    for name, (xs, ys) in series_of(result, what).items():
        line = (f'- `{name}`, from {xs[0]:,.0f} to {xs[-1]:,.0f}: '
                f'{number(ys[-1] / ys[0])} times the CPU time')
        if what in ('batch', 'samples'):
            unit = 'image' if what == 'batch' else 'sample'
            line += (f', {number(ys[-1] / ys[0] * xs[0] / xs[-1])} times '
                     f'per {unit}')
        lines.append(f'{line}.')
    return lines


def processes_table(result: dict) -> str:
    """Images per second of processes that run at the same time."""
    if not result.get('processes'):
        raise ValueError('the scaling json has no figures of processes: '
                         'measure with benchmarks/run.py --scaling, without '
                         '--only')
    processes = result['processes']
    return markdown(
        ['processes', *(f'{name}, images/s' for name in processes)],
        [[count, *(number(values[count]) for values in processes.values())]
         for count in next(iter(processes.values()))]) + picture('processes')


def series_of(result: dict, what: str, key: str = 'cpu_ms') -> Series:
    """Figures of ``scaling/<what>/<series>/<value>``, by series."""
    series: Series = {}
    for name, figure in result[key].items():
        parts = name.split('/')
        if parts[:2] == ['scaling', what]:
            xs, ys = series.setdefault(parts[2], ([], []))
            xs.append(float(parts[3]))
            ys.append(figure)
    if not series and key == 'cpu_ms':
        raise ValueError(f'the scaling json has no figures of {what!r}: '
                         'measure with benchmarks/run.py --scaling, without '
                         '--only')
    return series
