"""Whether the CPU computes bf16 in hardware, which decides what to run in."""
import os
import sys
from functools import lru_cache

# decides in place of the CPU: one of the instructions below, or 'none'
BF16_VARIABLE = 'LGH_MMPOSE_BF16'
BF16_INSTRUCTIONS = ('AMX', 'AVX512_BF16')


def bf16_instructions() -> str:
    """The instructions by which this CPU multiplies bf16.

    A CPU without any can only imitate it, which is slower than fp32. Whatever
    chooses between the two asks here.

    Returns:
        str: ``'AMX'``, ``'AVX512_BF16'`` (of a CPU with both the former), or
        ``''``. The environment variable ``LGH_MMPOSE_BF16`` decides instead
        where it is set: to one of the two names, or to ``none``.

    Raises:
        ValueError: If that variable has another value.
    """
    said = os.environ.get(BF16_VARIABLE)
    if not said:
        return _instructions_of_the_cpu()
    if said not in (*BF16_INSTRUCTIONS, 'none'):
        raise ValueError(f'{BF16_VARIABLE} must be '
                         f'{", ".join(BF16_INSTRUCTIONS)} or none, got '
                         f'{said!r}')
    return '' if said == 'none' else said


def describe_bf16() -> str:
    """The answer of :func:`bf16_instructions` as a clause, for people."""
    found = bf16_instructions()
    text = (f'this CPU computes bf16 ({found})'
            if found else 'this CPU has no bf16 instructions')
    if os.environ.get(BF16_VARIABLE):
        text += f', as {BF16_VARIABLE} says'
    return text


@lru_cache(maxsize=None)
def _instructions_of_the_cpu() -> str:
    flags = []
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            for line in file:
                if line.startswith('flags'):
                    flags = line.split()
                    break
    except OSError:  # no Linux
        return _told_by_the_engine()
    # named as Linux names them
    names = dict(zip(('amx_bf16', 'avx512_bf16'), BF16_INSTRUCTIONS))
    return next((names[flag] for flag in names if flag in flags), '')


def _told_by_the_engine() -> str:
    """What the engine tells that this process computes with."""
    torch, openvino = map(sys.modules.get, ('torch', 'openvino'))
    if torch is not None:
        # not there before torch 2.6
        probes = ('_is_amx_tile_supported', '_is_avx512_bf16_supported')
        for name, probe in zip(BF16_INSTRUCTIONS, probes):
            if getattr(torch.cpu, probe, bool)():
                return name
    elif openvino is not None:
        # which does not tell whether there is AMX as well
        able = openvino.Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES')
        return 'AVX512_BF16' if 'BF16' in able else ''
    return ''
