"""Data sets and transforms, registered in mmpose's registries."""
from .base_hand3d import BaseHand3DDataset, HandAnnotations
from .freihand3d import FreiHand3DDataset
from .rhd3d import Rhd3DDataset
from .transforms import CanonicalizeHandSide, TopdownAffineCamera

__all__ = [
    'BaseHand3DDataset', 'HandAnnotations', 'FreiHand3DDataset',
    'Rhd3DDataset', 'CanonicalizeHandSide', 'TopdownAffineCamera'
]
