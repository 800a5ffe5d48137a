"""Mixed precision where mmengine's AmpOptimWrapper asks for a GPU."""
from contextlib import contextmanager
from typing import Iterator

import torch
from mmengine.optim import OptimWrapper
from mmpose.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class Bf16OptimWrapper(OptimWrapper):
    """Runs the forward pass under bf16 autocast, on the CPU or a GPU.

    bf16 has the exponent range of fp32, so that no loss scaling is needed.
    Takes the arguments of :class:`mmengine.optim.OptimWrapper`.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        device = next(model.parameters()).device.type
        with super().optim_context(model), \
                torch.autocast(device, torch.bfloat16):
            yield
