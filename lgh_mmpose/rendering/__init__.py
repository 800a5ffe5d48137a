"""StudioHand: rendered hands with exact 3D annotations."""
from .dataset_writer import (GENERATOR_VERSION, LAYOUTS, write_shards,
                             write_studiohand)
from .scene import (DIFFICULTIES, INGREDIENTS, Hand, SceneGenerator,
                    SyntheticSample, place_hand)

__all__ = [
    'DIFFICULTIES', 'GENERATOR_VERSION', 'INGREDIENTS', 'LAYOUTS',
    'Hand', 'SceneGenerator', 'SyntheticSample', 'place_hand',
    'write_shards', 'write_studiohand'
]
