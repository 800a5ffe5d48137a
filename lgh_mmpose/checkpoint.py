"""Checkpoints: read safely, and fitting as a whole or not at all."""
import errno
import os
import os.path as osp
import pickletools
import re
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Dict, Iterator, List, Optional, Union

import torch
from mmengine.model import is_model_wrapper
from mmengine.runner.checkpoint import CheckpointLoader, load_from_local
from torch.nn.parallel import DistributedDataParallel

from .inference.shipped import shipped_checkpoint

# what the pickle of weights may ask for: all else is code of somebody's
_PLAIN_MODULES = ('torch', 'collections', 'numpy', 'mmengine.logging')

# those of the package, wherever mmengine takes a checkpoint
SCHEME = 'lgh_mmpose://'


class DamagedCheckpointError(ValueError):
    """A file that is no checkpoint, or only half of one."""


@CheckpointLoader.register_scheme(prefixes=SCHEME, force=True)
def load_from_package(filename: str, map_location: Any = None) -> Any:
    """Load a checkpoint that lies in the package, for mmengine.

    Args:
        filename (str): ``lgh_mmpose://NAME``.
        map_location: As ``torch.load`` takes it.

    Returns:
        Any: What it holds.

    Raises:
        FileNotFoundError: If none has that name.
    """
    path = shipped_checkpoint(filename.removeprefix(SCHEME))
    return load_from_local(str(path), map_location)


def read_checkpoint(checkpoint: Union[str, Path]) -> Any:
    """Load a checkpoint of tensors, numbers and containers to the CPU.

    Args:
        checkpoint (str | Path): File or URL, as mmengine takes it.

    Returns:
        Any: What it holds.

    Raises:
        OSError: If there is no such file, or it may not be read.
        DamagedCheckpointError: If it is damaged.
        ValueError: If it holds code, which is not run.
    """
    checkpoint = str(checkpoint)
    if '://' not in checkpoint:
        _check_file(checkpoint)
    try:
        return CheckpointLoader.load_checkpoint(
            checkpoint, map_location='cpu', logger='silent')
    except MemoryError:
        raise
    except Exception as error:  # of a text the unpickler raises anything
        # torch's reader of archives says EINVAL of half a file
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        code = _code_in(checkpoint, str(error))
        if code is not None:
            raise ValueError(
                f'the checkpoint {checkpoint} may be dangerous: it holds code '
                f'({code}), which was not run. Only tensors and plain values '
                'are read; if you trust where it is from, let its owner save '
                'its state_dict alone') from error
        raise DamagedCheckpointError(
            f'cannot load the checkpoint {checkpoint}: it is no file of '
            'torch.save, or damaged') from error


def _check_file(checkpoint: str) -> None:
    """Raise OSError with a sentence if this is no file to read."""
    path = osp.expanduser(checkpoint)
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISREG(mode):
            open(path, 'rb').close()
            return
    except FileNotFoundError:
        raise FileNotFoundError(
            f'checkpoint not found: {checkpoint}') from None
    except OSError as error:
        raise type(error)(f'cannot read the checkpoint {checkpoint}: '
                          f'{error.strerror}') from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(
            f'the checkpoint {checkpoint} is a folder: give a file in it, '
            'such as epoch_50.pth')
    raise OSError(f'the checkpoint {checkpoint} is no regular file')


def _code_in(checkpoint: str, message: str) -> Optional[str]:
    """What a refused file asks for beside weights; None if for nothing."""
    # torch's refusal, and that of compat
    asked = re.search(
        r'[Uu]nsupported (?:global: )?(?:GLOBAL|class) (\S+)|'
        r'a checkpoint may not (.{1,200})', message)
    if asked:
        return asked[1] or f'to {asked[2]}'
    path = osp.expanduser(checkpoint)
    if not osp.isfile(path):
        return None
    # of protocols that torch does not read, the text is looked at
    try:
        if not zipfile.is_zipfile(path):
            with open(path, 'rb') as file:
                return next(_foreign_names(file), None)
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith('data.pkl'):
                    with archive.open(name) as file:
                        return next(_foreign_names(file), None)
    except Exception:  # noqa: B902  (damaged: it may be anything)
        pass
    return None


def _foreign_names(file: IO[bytes]) -> Iterator[str]:
    """Functions and classes that a pickle asks for, without running it."""
    texts: List[str] = []
    for code, argument, _ in pickletools.genops(file):
        name = None
        if code.name in ('GLOBAL', 'INST'):
            name = argument.replace(' ', '.')
        elif code.name == 'STACK_GLOBAL':
            name = '.'.join(texts[-2:])
        elif isinstance(argument, str):
            texts.append(argument)
        # a text is no pickle, whatever its letters mean in one
        if name and re.fullmatch(r'[\w.]+', name) and not name.startswith(
                tuple(f'{module}.' for module in _PLAIN_MODULES)):
            yield name


def load_weights(model: torch.nn.Module, checkpoint: str) -> None:
    """Load a checkpoint that must have all weights of the model.

    mmengine's own loader keeps random weights where the checkpoint has none,
    and only logs it. What the checkpoint has besides is ignored.

    Args:
        model (torch.nn.Module): The model, changed in place.
        checkpoint (str): File or URL, as mmengine takes it.

    Raises:
        OSError: If there is no such file, or it may not be read.
        ValueError: If the file is damaged or dangerous, or is not that of
            the model.
    """
    weights = weights_of(read_checkpoint(checkpoint), checkpoint)
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
            f'weights: {_first_of(missing)}')


def _first_of(items: List[str]) -> str:
    return items[0] + (f' and {len(items) - 1} more' if items[1:] else '')


def weights_of(loaded: Any, checkpoint: Union[str, Path]) -> Dict[str, Any]:
    """The weights by name in what a checkpoint holds.

    Args:
        loaded: What :func:`read_checkpoint` has read.
        checkpoint (str | Path): Its file or URL, for the error.

    Returns:
        dict: A new one, without the prefix of a model of several processes.

    Raises:
        ValueError: If there are none.
    """
    weights = loaded.get('state_dict', loaded) if isinstance(loaded,
                                                             Mapping) else None
    if not isinstance(weights, Mapping) or not all(
            isinstance(name, str) for name in weights):
        raise ValueError(f'cannot load the checkpoint {checkpoint}: it holds '
                         'no state_dict of named weights')
    return {name.removeprefix('module.'): w for name, w in weights.items()}


def _first_line(error: Exception) -> str:
    """The first line that says more than "Error(s) in loading"."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[min(1, len(lines) - 1)] if lines else type(error).__name__


# -- the start of a training -------------------------------------------------


def latest_checkpoint(folder: Union[str, Path]) -> Optional[Path]:
    """The newest checkpoint of a training that can be read as a whole.

    What mmengine notes in ``last_checkpoint`` comes first, then the highest
    number. The note is an absolute path: in a folder that was moved, its name
    counts. Damaged files are passed over.

    Args:
        folder (str | Path): The work dir.

    Returns:
        Path: The checkpoint; None if the folder has none.

    Raises:
        OSError: If one may not be read, or only the note is there.
        DamagedCheckpointError: If all are damaged.
        ValueError: If one holds code.
    """
    folder = Path(folder)
    found = [(int(match[1]), path) for path in folder.glob('*.pth')
             if (match := re.fullmatch(r'(?:epoch|iter)_(\d+)', path.stem))]
    candidates = [path for _, path in sorted(found, reverse=True)]
    note = folder / 'last_checkpoint'
    noted = ''
    if note.is_file():
        noted = note.read_text(errors='replace').strip()
    if noted:
        named = [folder / Path(noted).name, Path(noted)]
        candidates = [p for p in named if p.exists()][:1] + candidates
        if not candidates:
            raise FileNotFoundError(
                f'{note} names {noted}, which is not there, nor is any other '
                f'checkpoint in {folder}: remove {note} to begin anew')
    fault = None
    for path in candidates:
        try:
            if path.is_file():  # some strategies write folders
                read_checkpoint(path)
            return path
        except DamagedCheckpointError as error:
            fault = fault or error
    if fault is not None:
        raise DamagedCheckpointError(f'{fault}; remove it to begin anew')
    return None


def start_from(runner: Any, checkpoint: Union[str, Path],
               resume: bool) -> None:
    """Let a training begin with a checkpoint that is one of its config.

    mmengine only logs which weights do not fit.

    Args:
        runner (mmengine.runner.Runner): Runner whose training has not begun.
        checkpoint (str | Path): File or URL, as mmengine takes it.
        resume (bool): Whether to go on with the training that wrote it, with
            all that belongs to it, or to take its weights only.

    Raises:
        OSError: If there is no such file, or it may not be read. What it
            holds is checked when the runner comes to it, and is a ValueError.
    """
    if '://' not in str(checkpoint) and not _is_divided(runner, checkpoint):
        _check_file(str(checkpoint))
    # both kinds of runner call it once network and optimizer are built
    runner.load_or_resume = lambda: _load_or_resume(runner, str(checkpoint),
                                                    resume)


def _load_or_resume(runner: Any, checkpoint: str, resume: bool) -> None:
    """Raises ValueError with what differs, if the checkpoint does not fit."""
    load = runner.resume if resume else runner.load_checkpoint
    if _is_divided(runner, checkpoint):
        load(checkpoint)
        return
    loaded = read_checkpoint(checkpoint)
    weights = weights_of(loaded, checkpoint)
    if resume:
        _check_resumable(runner, loaded, weights, checkpoint)
        _tell_of_schedule(runner, loaded.get('param_schedulers'))
    else:
        _check_some_fit(runner, weights, checkpoint)
    try:
        load(checkpoint)
    except Exception as error:
        verb = 'resume from' if resume else 'load'
        mend = _MEND.format(checkpoint) if resume else ''
        raise ValueError(f'cannot {verb} the checkpoint {checkpoint}: '
                         f'{_first_line(error)}{mend}') from error


def _is_divided(runner: Any, checkpoint: Union[str, Path]) -> bool:
    """Whether a strategy has written it, to a folder."""
    return hasattr(runner, 'strategy') and osp.isdir(checkpoint)


_MEND = ('; take the config of that training, or start a new one from its '
         'weights: --cfg-options load_from={} without --resume')


def _check_resumable(runner: Any, loaded: Dict[str, Any],
                     weights: Dict[str, Any], checkpoint: str) -> None:
    mend = _MEND.format(checkpoint)
    meta = loaded.get('meta')
    if not isinstance(meta, Mapping) or not {
            'epoch', 'iter'
    } <= set(meta) or 'message_hub' not in loaded:
        raise ValueError(
            f'cannot resume from the checkpoint {checkpoint}: it holds '
            f'weights alone, and no state of a training{mend}')
    differences = _differences(runner, weights)
    if differences:
        raise ValueError(
            f'cannot resume from the checkpoint {checkpoint}: weights are not '
            f'those of this config, {_first_of(differences)}{mend}')
    optimizer = getattr(runner.optim_wrapper, 'optimizer', None)
    saved = loaded.get('optimizer')
    if optimizer is None or not isinstance(saved, Mapping):
        return
    groups = saved.get('param_groups')
    if not groups or not isinstance(groups, list):
        return
    # names of a hyper-parameter tell one optimizer from another
    theirs, ours = set(groups[0]), set(optimizer.param_groups[0])
    there, here = sorted(theirs - ours), sorted(ours - theirs)
    if there and here:  # a newer torch has some more of the same
        raise ValueError(
            f'cannot resume from the checkpoint {checkpoint}: its optimizer '
            f'has {", ".join(there)} where {type(optimizer).__name__} of this '
            f'config has {", ".join(here)}{mend}')


def _tell_of_schedule(runner: Any, saved: Any) -> None:
    """Warn where a training of another length keeps the former schedule."""
    ours = runner.param_schedulers
    if not isinstance(saved, list) or not isinstance(ours, list):
        return
    for state, scheduler in zip(saved, ours):
        there = state.get('end') if isinstance(state, Mapping) else None
        here = getattr(scheduler, 'end', None)
        if there is not None and there != here:
            runner.logger.warning(
                f'the {type(scheduler).__name__} of the checkpoint goes on: it'
                f' ends with step {there}, and where it ends its rate stays, '
                f'while by this config it would end with step {here}. For a '
                'schedule of another length start a new training: '
                '--cfg-options load_from=CHECKPOINT without --resume')


def _check_some_fit(runner: Any, weights: Dict[str, Any],
                    checkpoint: str) -> None:
    model = _plain_model(runner)
    if model is not None and len(_differences(
            runner, weights)) >= len(set(model.state_dict()) | set(weights)):
        raise ValueError(
            f'the checkpoint {checkpoint} of load_from has no weight that '
            'fits this config: give another one, or load_from=None')


def _plain_model(runner: Any) -> Optional[torch.nn.Module]:
    """The model, if its weights are whole here."""
    model = runner.model
    if isinstance(model, DistributedDataParallel):
        return model.module
    return None if is_model_wrapper(model) else model


def _differences(runner: Any, weights: Dict[str, Any]) -> List[str]:
    """What checkpoint and model have not in common, by name."""
    model = _plain_model(runner)
    if model is None:
        return []
    ours = model.state_dict()
    differences = []
    for name in [*ours, *(n for n in weights if n not in ours)]:
        there, here = (
            tuple(w[name].shape)
            if name in w and torch.is_tensor(w[name]) else 'none'
            for w in (weights, ours))
        if there != here:
            differences.append(f'{name}: {there} there, {here} here')
    return differences
