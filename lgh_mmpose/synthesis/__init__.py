"""SynthHand: rendered hands with exact 3D annotations."""
from .dataset_writer import GENERATOR_VERSION, LAYOUTS, write_synthhand
from .pose_sampler import POSE_KINDS, POSE_LIMITS, sample_hand
from .rig import HandRig
from .scene import (DIFFICULTIES, PlacedHand, SceneGenerator, SyntheticSample,
                    place_hand)

__all__ = [
    'DIFFICULTIES', 'GENERATOR_VERSION', 'HandRig', 'LAYOUTS', 'POSE_KINDS',
    'POSE_LIMITS', 'PlacedHand', 'SceneGenerator', 'SyntheticSample',
    'place_hand', 'sample_hand', 'write_synthhand'
]
