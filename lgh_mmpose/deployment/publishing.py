"""Checkpoints that are passed on."""
import io
import re
from pathlib import Path
from typing import Any, Dict, Union

import mmpose
import torch

from ..checkpoint import read_checkpoint, weights_of
from ..fileio import atomic_write
from ..version import __version__
from .half_weights import FEWEST


def publish(checkpoint: Any, name: str, fp16: bool) -> Dict[str, Any]:
    """What is passed on of a checkpoint.

    Args:
        checkpoint: What the file of a training holds, or weights alone.
        name (str): The file, for errors.
        fp16 (bool): Whether to store weights in half precision, but for small
            ones, as exports do.

    Returns:
        dict: ``state_dict`` and ``meta``.

    Raises:
        ValueError: If there are no weights, or some that fp16 cannot hold.
    """
    weights = weights_of(checkpoint, name)
    if fp16:
        for key, weight in weights.items():
            if (torch.is_tensor(weight) and weight.is_floating_point()
                    and weight.numel() >= FEWEST):
                weights[key] = weight.half()
                if not weights[key].isfinite().all():
                    raise ValueError(f'{key} of {name} has values that fp16 '
                                     'cannot hold: leave out --fp16')
    trained = checkpoint.get('meta')
    trained = trained if isinstance(trained, dict) else {}
    meta = {
        key: trained[key]
        for key in ('dataset_meta', 'epoch', 'iter', 'seed') if key in trained
    }
    # mmengine adds the time to the config's name
    if isinstance(trained.get('experiment_name'), str):
        meta['config'] = re.sub(r'_\d{8}_\d{6}$', '',
                                trained['experiment_name'])
    meta.update(
        mmpose_version=mmpose.__version__, lgh_mmpose_version=__version__)
    return dict(state_dict=weights, meta=meta)


def publish_file(checkpoint: Union[str, Path], path: Union[str, Path],
                 fp16: bool) -> int:
    """Write a checkpoint of a training as one that is passed on.

    Args:
        checkpoint (str | Path): File or URL of the checkpoint.
        path (str | Path): The file to write.
        fp16 (bool): As in :func:`publish`.

    Returns:
        int: Size of the file in bytes.

    Raises:
        OSError: If a file cannot be read or written.
        ValueError: As of :func:`publish`.
    """
    published = publish(read_checkpoint(checkpoint), str(checkpoint), fp16)
    # not into the file: of a full disk torch does not tell
    content = io.BytesIO()
    torch.save(published, content)
    with atomic_write(path) as file:
        file.write(content.getbuffer())
    return len(content.getbuffer())
