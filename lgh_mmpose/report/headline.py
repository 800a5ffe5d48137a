"""The section of the headline figures."""
from typing import Callable, List

import numpy as np

from lgh_mmpose.evaluation import functional as F

from .data import ALIGNMENTS, ERROR_NAMES, ReportData
from .pieces import MISSING, Section, Table


def headline_section(data: ReportData) -> Section:
    """Mean errors and areas by each alignment, for all predictions."""
    columns = [*data.dumps] + ['mean pose (baseline)'] * bool(data.baseline)
    rows = [
        row for alignment in ALIGNMENTS if f'errors_{alignment}' in data.first
        for row in _alignment_rows(data, alignment)
    ]
    rows.append(
        ['2D error, px of the original image'] +
        [f'{F.epe(d["errors_2d"]):.1f} px'
         for d in data.dumps.values()] + [MISSING] * bool(data.baseline))
    return Section(
        'figures', 'Headline figures',
        dict(
            table=Table(['figure', *columns], rows),
            no_baseline=data.no_baseline))


def _alignment_rows(data: ReportData, alignment: str) -> List[List[str]]:
    protocol = F.PROTOCOLS[data.protocol]
    thresholds = protocol.threshold_values()
    columns = [dump[f'errors_{alignment}'] for dump in data.dumps.values()]
    if data.baseline:
        columns.append(data.baseline.get(alignment))

    def row(title: str, score: Callable[[np.ndarray], str]) -> List[str]:
        return [
            title, *(MISSING if errors is None else score(errors)
                     for errors in columns)
        ]

    def area(errors: np.ndarray, start: int) -> str:
        curve = F.pck_curve(errors, thresholds)
        return f'{F.auc(curve[start:], thresholds[start:]):.3f}'

    rows = [
        row(f'{ERROR_NAMES[alignment]}: {data.describe(alignment)}',
            lambda errors: f'{F.mpjpe(errors):.1f} mm')
    ]
    for name, start in protocol.auc_starts.items():
        name = name.replace('_', ' ').replace('-', '–')
        rows.append(
            row(f'{name} mm, the same',
                lambda errors, start=start: area(errors, start)))
    return rows
