"""Mixed precision where mmengine's AmpOptimWrapper asks for a GPU."""
import logging
from contextlib import contextmanager
from typing import Any, Iterator, Union

import torch
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmpose.registry import OPTIM_WRAPPERS
from torch import nn

from lgh_mmpose.cpu import bf16_instructions, describe_bf16


@OPTIM_WRAPPERS.register_module()
class Bf16OptimWrapper(OptimWrapper):
    """Runs the forward pass under bf16 autocast, on the CPU or a GPU.

    bf16 has the exponent range of fp32, so that no loss scaling is needed.
    Validation and test are in fp32 all the same, unless ``val_cfg.fp16`` or
    ``test_cfg.fp16`` is set, which is mmengine's name for autocast.

    Args:
        enabled (bool | str): Whether to; ``'auto'``: where there is no CUDA
            device and the CPU computes bf16 in hardware. Defaults to True.
        *args, **kwargs: Arguments of :class:`mmengine.optim.OptimWrapper`.

    Raises:
        ValueError: If ``enabled`` is none of these.
    """

    def __init__(self,
                 *args: Any,
                 enabled: Union[bool, str] = True,
                 **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if enabled not in (True, False, 'auto'):
            raise ValueError("enabled must be True, False or 'auto', got "
                             f'{enabled!r}')
        gpu, level, reason = torch.cuda.is_available(), logging.INFO, ''
        if enabled == 'auto':
            enabled = not gpu and bool(bf16_instructions())
            reason = ': ' + ('there is a GPU' if gpu else describe_bf16())
        elif enabled and not gpu and not bf16_instructions():
            level = logging.WARNING
            reason = f', which torch imitates, slowly: {describe_bf16()}'
        self.enabled = enabled
        print_log(
            f'training in {"bf16 (autocast)" if enabled else "fp32"}{reason}',
            logger='current',
            level=level)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        device = next(model.parameters()).device.type
        with super().optim_context(model), \
                torch.autocast(device, torch.bfloat16, enabled=self.enabled):
            yield
