"""Networks to run: crops as bytes in, joints out; nothing else differs.

An exported directory runs on the engine it was exported for; what belongs to
mmpose is imported when it is asked for.
"""
from pathlib import Path
from typing import Any, Optional

from ..network import Network


def open_network(model: Any,
                 checkpoint: Optional[str] = None,
                 *,
                 device: str = 'cpu',
                 num_threads: Optional[int] = None,
                 bbox_padding: Optional[float] = None) -> Network:
    """Open a network, whatever it is.

    Args:
        model (str | Path | Config | Network): The directory that
            ``tools/deployment/export.py`` wrote; or the config of a model of
            mmpose; or a network, which is given back.
        checkpoint (str, optional): Weights of the config. Defaults to its
            ``load_from``.
        device (str): Where a config's model runs. Defaults to ``'cpu'``.
        num_threads (int, optional): Threads of one inference. Defaults to the
            engine's choice.
        bbox_padding (float, optional): In place of ``info.crop.padding``.

    Returns:
        Network: The network.

    Raises:
        FileNotFoundError: If a file is missing.
        ImportError: If what it runs on is not installed.
        ValueError: If it cannot be used; names what is wrong.
    """
    if num_threads is not None and num_threads < 1:
        raise ValueError(f'num_threads must be at least 1, got {num_threads}')
    if bbox_padding is not None and not .1 <= bbox_padding <= 10:
        raise ValueError('bbox_padding must lie between 0.1 and 10, got '
                         f'{bbox_padding}')
    if isinstance(model, (str, Path)) and _is_exported(Path(model)):
        from .exported import ExportedNetwork
        for name, value in (('checkpoint', checkpoint),
                            ('device', None if device == 'cpu' else device)):
            if value is not None:
                raise ValueError(f'{name} belongs to a config; {model} is an '
                                 'exported directory, which has its weights '
                                 'in it and runs on the CPU')
        network = ExportedNetwork(model, num_threads)
    elif callable(model) and hasattr(model, 'info'):
        network = model
    else:
        from .torch import TorchNetwork
        network = TorchNetwork(model, checkpoint, device, num_threads)
    if bbox_padding is not None:
        network.info = network.info._replace(
            crop=network.info.crop._replace(padding=bbox_padding))
    return network


def _is_exported(path: Path) -> bool:
    # a missing one, too, unless it is named like a config
    return path.suffix not in ('.py', '.json', '.yaml', '.yml')
