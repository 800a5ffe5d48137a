"""What the runner needs beyond mmengine: hooks, optimizer, its wrapper."""
from .fsdp import backbone_wrap_policy
from .hooks import (ChannelsLastHook, CompileHook, ConcreteTemperatureHook,
                    GradientConflictHook, KeepMemoryHook, NonFiniteLossHook)
from .optim_wrappers import Bf16OptimWrapper
from .optimizers import ConvMuon

__all__ = [
    'Bf16OptimWrapper', 'ChannelsLastHook', 'CompileHook',
    'ConcreteTemperatureHook', 'ConvMuon', 'GradientConflictHook',
    'KeepMemoryHook', 'NonFiniteLossHook', 'backbone_wrap_policy'
]
