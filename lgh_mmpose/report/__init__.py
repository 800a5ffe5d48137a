"""One page about a trained model, that opens in any browser without network.

Everything is in the file: the text, the drawings, Plotly's script and, as
json, what it draws. Each section of the page has a module, which computes its
figures, and a template, which says them.
"""
from .paths import local_paths
from .writing import write_report

__all__ = ['local_paths', 'write_report']
