"""The network: backbones are mmpose's, neck, head and losses are ours."""
from .heads import GroupedJointHead
from .layers import ConcreteSelector, NDDRFusion
from .losses import SpatialCrossEntropyLoss
from .necks import GroupFusionNeck

__all__ = [
    'ConcreteSelector', 'GroupFusionNeck', 'GroupedJointHead', 'NDDRFusion',
    'SpatialCrossEntropyLoss'
]
