"""Mixed precision where mmengine's AmpOptimWrapper asks for a GPU."""
from contextlib import contextmanager
from typing import Any, Iterator, Union

import torch
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmpose.registry import OPTIM_WRAPPERS
from torch import nn


def cpu_computes_bf16() -> bool:
    """Whether this CPU multiplies bf16 in hardware (AMX or AVX512_BF16).

    Others emulate it, which is slower than fp32. False before torch 2.6,
    which does not tell.
    """
    probes = ('_is_amx_tile_supported', '_is_avx512_bf16_supported')
    return any(getattr(torch.cpu, name, bool)() for name in probes)


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
        reason = ''
        if enabled == 'auto':
            enabled = not torch.cuda.is_available() and cpu_computes_bf16()
            reason = ', chosen by what this machine computes fastest'
        self.enabled = enabled
        print_log(
            f'training in {"bf16 (autocast)" if enabled else "fp32"}{reason}',
            logger='current')

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        device = next(model.parameters()).device.type
        with super().optim_context(model), \
                torch.autocast(device, torch.bfloat16, enabled=self.enabled):
            yield
