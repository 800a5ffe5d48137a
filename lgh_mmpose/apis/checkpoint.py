"""Weights for inference: every one of them, or none."""
import os.path as osp
import re
from collections.abc import Mapping

import torch
from mmengine.runner.checkpoint import CheckpointLoader


def load_weights(model: torch.nn.Module, checkpoint: str) -> None:
    """Load a checkpoint that must have all weights of the model.

    mmengine's own loader keeps random weights where the checkpoint has none,
    and only logs it. What the checkpoint has besides is ignored.

    Args:
        model (torch.nn.Module): The model, changed in place.
        checkpoint (str): File or URL, as mmengine takes it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, or is not that of the model.
    """
    checkpoint = str(checkpoint)
    if '://' not in checkpoint and not osp.isfile(checkpoint):
        raise FileNotFoundError(f'checkpoint not found: {checkpoint}')
    try:
        loaded = CheckpointLoader.load_checkpoint(
            checkpoint, map_location='cpu', logger='silent')
    except OSError:
        raise
    except Exception as error:  # of a text the unpickler raises anything
        fault = 'it is no file of torch.save, or damaged'
        refused = re.search(r'Unsupported global: GLOBAL (\S+)', str(error))
        if refused:
            fault = (f'it holds a {refused[1]}, and only tensors and plain '
                     'values are read; save its state_dict alone')
        raise ValueError(
            f'cannot load the checkpoint {checkpoint}: {fault}') from error
    weights = loaded.get('state_dict', loaded) if isinstance(loaded,
                                                             Mapping) else None
    if not isinstance(weights, Mapping) or not all(
            isinstance(name, str) for name in weights):
        raise ValueError(f'cannot load the checkpoint {checkpoint}: it holds '
                         'no state_dict of named weights')
    weights = {name.removeprefix('module.'): w for name, w in weights.items()}
    try:
        missing = model.load_state_dict(weights, strict=False).missing_keys
    except (RuntimeError, AttributeError, TypeError) as error:
        raise ValueError(f'the checkpoint {checkpoint} is not one of this '
                         f'config: {_first_line(error)}') from error
    # counted for a momentum that no model here uses
    missing = [k for k in missing if not k.endswith('num_batches_tracked')]
    if missing:
        raise ValueError(
            f'the checkpoint {checkpoint} is not one of this config: it lacks '
            f'{len(missing)} weights, {missing[0]} the first of them')


def _first_line(error: Exception) -> str:
    """The first line that says more than "Error(s) in loading"."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[min(1, len(lines) - 1)] if lines else type(error).__name__
