from .channels_last_hook import ChannelsLastHook
from .concrete_temperature_hook import ConcreteTemperatureHook
from .keep_memory_hook import KeepMemoryHook
from .non_finite_loss_hook import NonFiniteLossHook

__all__ = [
    'ChannelsLastHook', 'ConcreteTemperatureHook', 'KeepMemoryHook',
    'NonFiniteLossHook'
]
