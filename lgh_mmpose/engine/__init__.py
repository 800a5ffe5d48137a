"""What the runner needs beyond mmengine: hooks, optimizer, its wrapper."""
from .hooks import ChannelsLastHook, ConcreteTemperatureHook, NonFiniteLossHook
from .optim_wrappers import Bf16OptimWrapper
from .optimizers import ConvMuon

__all__ = [
    'Bf16OptimWrapper', 'ChannelsLastHook', 'ConcreteTemperatureHook',
    'ConvMuon', 'NonFiniteLossHook'
]
