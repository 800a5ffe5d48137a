"""Data sets and transforms, registered in mmpose's registries."""
from .augmentations import (ExchangeAmplitudeSpectrum, RandomCameraEffects,
                            RandomErasing)
from .base_hand3d import BaseHand3DDataset, HandAnnotations
from .dexter_object3d import DexterObject3DDataset
from .fast_transforms import (FastPhotometricDistortion,
                              FastRandomBBoxTransform, LoadHandImage,
                              PackHandInputs)
from .freihand3d import FreiHand3DDataset
from .hand2d import Hand2DDataset
from .hand3d_json import Hand3DJsonDataset
from .rhd3d import Rhd3DDataset
from .stb3d import Stb3DDataset
from .transforms import (CanonicalizeHandSide, MirrorHands, OfficialRhdCrop,
                         TopdownAffineCamera, TurnUpright)

__all__ = [
    'BaseHand3DDataset', 'HandAnnotations', 'FreiHand3DDataset',
    'Stb3DDataset', 'DexterObject3DDataset', 'Hand3DJsonDataset',
    'Hand2DDataset', 'Rhd3DDataset', 'OfficialRhdCrop', 'CanonicalizeHandSide',
    'TopdownAffineCamera', 'LoadHandImage', 'FastRandomBBoxTransform',
    'FastPhotometricDistortion', 'PackHandInputs', 'RandomCameraEffects',
    'RandomErasing', 'ExchangeAmplitudeSpectrum', 'MirrorHands', 'TurnUpright'
]
