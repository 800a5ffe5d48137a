"""The network: any backbone of mmpose or ours; neck, head and losses."""
from .backbones import GeHourglass
from .data_preprocessors import HandDataPreprocessor
from .heads import GroupedJointHead
from .layers import ConcreteSelector, NDDRFusion
from .losses import SpatialCrossEntropyLoss
from .necks import GroupFusionNeck

__all__ = [
    'ConcreteSelector', 'GeHourglass', 'GroupFusionNeck', 'GroupedJointHead',
    'HandDataPreprocessor', 'NDDRFusion', 'SpatialCrossEntropyLoss'
]
