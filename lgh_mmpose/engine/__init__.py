"""What the runner needs beyond mmengine: hooks and an optimizer wrapper."""
from .hooks import ChannelsLastHook, ConcreteTemperatureHook, NonFiniteLossHook
from .optim_wrappers import Bf16OptimWrapper

__all__ = [
    'Bf16OptimWrapper', 'ChannelsLastHook', 'ConcreteTemperatureHook',
    'NonFiniteLossHook'
]
