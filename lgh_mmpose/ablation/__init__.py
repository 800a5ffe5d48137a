"""The bench of the paper's ablations: plans, runs, results and their report.

``tools/ablation.py`` is its command.
"""
from .plan import Plan, Run, read_plan
from .report import report_plan
from .results import append_result, read_results
from .running import run_variant

__all__ = [
    'Plan', 'Run', 'append_result', 'read_plan', 'read_results', 'report_plan',
    'run_variant'
]
