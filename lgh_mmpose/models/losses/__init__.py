from .spatial_cross_entropy_loss import SpatialCrossEntropyLoss

__all__ = ['SpatialCrossEntropyLoss']
