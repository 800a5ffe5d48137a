from .hand_3d_metric import HandKeypoint3DMetric

__all__ = ['HandKeypoint3DMetric']
