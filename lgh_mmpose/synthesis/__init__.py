"""The former renderer."""
from .pose_sampler import POSE_KINDS, POSE_LIMITS, sample_hand
from .rig import HandRig
from .scene import (DIFFICULTIES, PlacedHand, SceneGenerator, SyntheticSample,
                    place_hand)

__all__ = [
    'DIFFICULTIES', 'HandRig', 'POSE_KINDS', 'POSE_LIMITS', 'PlacedHand',
    'SceneGenerator', 'SyntheticSample', 'place_hand', 'sample_hand'
]
