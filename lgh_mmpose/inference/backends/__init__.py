"""Networks to run: crops as bytes in, joints out; nothing else differs.

An exported directory runs on the engine it was exported for; what belongs to
mmpose is imported when it is asked for.
"""
from pathlib import Path
from typing import Any, Callable, Optional, Union

from ..network import Network
from ..shipped import DETECTOR, POSE, shipped_model


def open_network(model: Any = None,
                 checkpoint: Optional[str] = None,
                 *,
                 device: str = 'cpu',
                 num_threads: Optional[int] = None) -> Network:
    """Open an exported network, or a model of mmpose.

    Args:
        model (str | Path | Config | Network, optional): The directory that
            ``tools/deployment/export.py`` wrote; or the config of a model of
            mmpose; or a network, which is given back. Defaults to the one
            that ships with the package.
        checkpoint (str, optional): Weights of the config. Defaults to its
            ``load_from``.
        device (str): Where a config's model runs. Defaults to ``'cpu'``.
        num_threads (int, optional): Threads of one inference. Defaults to the
            engine's choice.

    Returns:
        Network: The network.

    Raises:
        FileNotFoundError: If a file is missing.
        ImportError: If what it runs on is not installed.
        ValueError: If it cannot be used; names what is wrong.
    """
    if num_threads is not None and num_threads < 1:
        raise ValueError(f'num_threads must be at least 1, got {num_threads}')
    if model is None:
        model = shipped_model(POSE)
    if isinstance(model, (str, Path)) and _is_exported(Path(model)):
        from .exported import INFO_FILE, ExportedNetwork
        _refuse(checkpoint, device, f'{model} is an exported directory, which')
        path = Path(model)
        return ExportedNetwork(path.parent if path.name == INFO_FILE else path,
                               num_threads)
    if callable(model) and hasattr(model, 'info'):
        _refuse(checkpoint, device, 'a network')
        return model
    from .torch import TorchNetwork
    return TorchNetwork(model, checkpoint, device, num_threads)


def open_detector(detector: Union[str, Path, Callable, None],
                  num_threads: Optional[int] = None,
                  score_thr: Optional[float] = None) -> Optional[Callable]:
    """Open an exported detector of hands.

    Args:
        detector (str | Path | Callable, optional): The directory that
            ``tools/deployment/export.py`` wrote; or ``'shipped'``, the one
            that ships with the package; or what is called with images, which
            is given back, as None is.
        num_threads (int, optional): Threads of one inference. Defaults to the
            engine's choice.
        score_thr (float, optional): Least score of a hand. Defaults to that
            of the export.

    Returns:
        Callable | None: What finds hands in images.

    Raises:
        FileNotFoundError: If a file is missing.
        ImportError: If what it runs on is not installed.
        ValueError: If it cannot be used; names what is wrong.
    """
    if not isinstance(detector, (str, Path)):
        return detector
    from .exported_detector import INFO_FILE, ExportedDetector
    path = shipped_model(DETECTOR) if detector == 'shipped' else Path(detector)
    return ExportedDetector(path.parent if path.name == INFO_FILE else path,
                            num_threads, score_thr)


def _refuse(checkpoint: Optional[str], device: str, what: str) -> None:
    for name, value in (('checkpoint', checkpoint),
                        ('device', None if device == 'cpu' else device)):
        if value is not None:
            raise ValueError(f'{name} belongs to a config; {what} has its '
                             'weights and its device already')


def _is_exported(path: Path) -> bool:
    # a missing one, too, unless it is named like a config
    return path.suffix not in ('.py', '.json', '.yaml', '.yml') or \
        path.name == 'hand_pose.json'
