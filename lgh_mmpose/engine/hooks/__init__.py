from .channels_last_hook import ChannelsLastHook
from .compile_hook import CompileHook
from .concrete_temperature_hook import ConcreteTemperatureHook
from .gradient_conflict_hook import GradientConflictHook
from .keep_memory_hook import KeepMemoryHook
from .non_finite_loss_hook import NonFiniteLossHook

__all__ = [
    'ChannelsLastHook', 'CompileHook', 'ConcreteTemperatureHook',
    'GradientConflictHook', 'KeepMemoryHook', 'NonFiniteLossHook'
]
