"""The figures as text."""

# of the json: what reads it asks for this
SCHEMA = 'lgh_mmpose/benchmark/1'


def table(result: dict) -> str:
    """The figures as text."""
    lines = [
        f'{"case":40s} {"ms":>10s} {"CPU ms":>10s} {"per s":>9s} '
        f'{"GFLOP/s":>8s} {"peak MB":>8s}'
    ]
    for name, ms in result['ms'].items():
        optional = (f'{result[key][name]:8.0f}'
                    if name in result[key] else f'{"-":>8s}'
                    for key in ('gflops', 'peak_mb'))
        lines.append(f'{name:40s} {ms:10.3f} {result["cpu_ms"][name]:10.3f} '
                     f'{result["per_second"][name]:9.1f} '
                     f'{" ".join(optional)}')
    if result['difference_px']:
        lines += ['', 'largest distance from the joints of PyTorch in fp32']
        lines += [
            f'{name:40s} {px:10.5f} px'
            for name, px in result['difference_px'].items()
        ]
    for split, stages in result.get('stages', {}).items():
        lines += ['', f'pipeline/{split}, CPU ms by stage']
        lines += [f'{"  " + k:40s} {v:10.3f}' for k, v in stages.items()]
    if result['ratio']:
        lines += ['', f'{"ratio":50s} {"wall":>10s} {"CPU":>10s}']
        lines += [
            f'{name:50s} {value:10.2f} {result["cpu_ratio"][name]:10.2f}'
            for name, value in result['ratio'].items()
        ]
    for name, values in result.get('processes', {}).items():
        lines += ['', f'{name} by so many processes, images per second']
        lines += [f'{"  " + k:40s} {v:10.2f}' for k, v in values.items()]
    return '\n'.join(lines)
