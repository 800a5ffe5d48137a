from .dump_results import AtomicDumpResults
from .freihand_submission import FreiHandSubmission
from .hand_3d_metric import HandKeypoint3DMetric

__all__ = ['AtomicDumpResults', 'FreiHandSubmission', 'HandKeypoint3DMetric']
