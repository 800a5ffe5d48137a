"""The network: any backbone of mmpose or ours; neck, head and losses."""
from .backbones import GeHourglass
from .data_preprocessors import HandDataPreprocessor
from .heads import GroupedJointHead
from .layers import (AttentionFusion, ConcreteSelector, CrossStitchFusion,
                     FastGradConv2d, FileSelector, FingerSelector,
                     FixedSelector, NDDRFusion, PerJointSelector,
                     RandomSelector)
from .losses import SpatialCrossEntropyLoss
from .necks import GroupFusionNeck
from .pose_estimators import GradNormPoseEstimator

__all__ = [
    'AttentionFusion', 'ConcreteSelector', 'CrossStitchFusion',
    'FastGradConv2d', 'FileSelector', 'FingerSelector', 'FixedSelector',
    'GeHourglass', 'GradNormPoseEstimator', 'GroupFusionNeck',
    'GroupedJointHead', 'HandDataPreprocessor', 'NDDRFusion',
    'PerJointSelector', 'RandomSelector', 'SpatialCrossEntropyLoss'
]
