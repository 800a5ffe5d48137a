"""Memory format of the model."""
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Keeps the weights in channels_last, which its kernels on CPUs with
    AVX512 or AMX and on GPUs with tensor cores are faster with.

    The first convolution carries the format over to all activations.
    """

    def before_run(self, runner: Runner) -> None:
        runner.model.to(memory_format=torch.channels_last)
