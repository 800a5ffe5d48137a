from .biomechanics_loss import BiomechanicsLoss
from .spatial_cross_entropy_loss import SpatialCrossEntropyLoss

__all__ = ['BiomechanicsLoss', 'SpatialCrossEntropyLoss']
