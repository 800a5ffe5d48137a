from .freihand_submission import FreiHandSubmission
from .hand_3d_metric import HandKeypoint3DMetric

__all__ = ['FreiHandSubmission', 'HandKeypoint3DMetric']
