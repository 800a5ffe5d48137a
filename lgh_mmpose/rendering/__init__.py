"""StudioHand: rendered hands with exact 3D annotations."""
from .dataset_writer import (GENERATOR_VERSION, LAYOUTS, write_shards,
                             write_studiohand)
from .hand_model import HandModel, Subject
from .scene import (DIFFICULTIES, INGREDIENTS, Hand, SceneGenerator,
                    SyntheticSample, place_hand)

__all__ = [
    'DIFFICULTIES', 'GENERATOR_VERSION', 'Hand', 'HandModel', 'INGREDIENTS',
    'LAYOUTS', 'SceneGenerator', 'Subject', 'SyntheticSample', 'place_hand',
    'write_shards', 'write_studiohand'
]
