from .concrete_selector import ConcreteSelector
from .group_fusion import NDDRFusion
from .grouped_blocks import (ConvBNReLU, GroupedHourglass, Residual, Upsample,
                             concat_within_groups)
from .soft_argmax import (expected_value, peak_mass, soft_argmax,
                          spatial_softmax)

__all__ = [
    'ConcreteSelector', 'ConvBNReLU', 'GroupedHourglass', 'NDDRFusion',
    'Residual', 'Upsample', 'concat_within_groups', 'expected_value',
    'peak_mass', 'soft_argmax', 'spatial_softmax'
]
