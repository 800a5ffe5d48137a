from .alternative_fusions import AttentionFusion, CrossStitchFusion
from .concrete_selector import ConcreteSelector
from .fixed_selectors import (FileSelector, FingerSelector, FixedSelector,
                              PerJointSelector, RandomSelector)
from .group_fusion import NDDRFusion
from .grouped_blocks import (ConvBNReLU, GroupedHourglass, Residual, Upsample,
                             concat_within_groups)
from .soft_argmax import (expected_value, peak_mass, soft_argmax,
                          spatial_softmax)
from .strided_conv import FastGradConv2d

__all__ = [
    'AttentionFusion', 'ConcreteSelector', 'ConvBNReLU', 'CrossStitchFusion',
    'FastGradConv2d', 'FileSelector', 'FingerSelector', 'FixedSelector',
    'GroupedHourglass', 'NDDRFusion', 'PerJointSelector', 'RandomSelector',
    'Residual', 'Upsample', 'concat_within_groups', 'expected_value',
    'peak_mass', 'soft_argmax', 'spatial_softmax'
]
