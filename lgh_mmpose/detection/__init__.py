"""A detector of hands, their sides and directions, of mmdet's parts.

Registers its components in mmdet's registries, with
``custom_imports=dict(imports=['lgh_mmpose.detection'])`` in a config.
"""
from .coco_hand_dataset import CocoHandDataset
from .hand_detection_metric import HandDetectionMetric
from .rtmdet_hand_head import RTMDetHandHead
from .transforms import LetterboxHands, PackHandInputs, RandomHandAffine

__all__ = [
    'CocoHandDataset', 'HandDetectionMetric', 'LetterboxHands',
    'PackHandInputs', 'RTMDetHandHead', 'RandomHandAffine'
]
