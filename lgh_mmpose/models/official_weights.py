"""The weights of the authors' release under our names, and back.

The release (https://github.com/moranli-aca/LearnableGroups-Hand, commit
fa9d057) keeps one module per group where we have one grouped convolution, so
most of our tensors are its tensors of all groups, one after the other along
the first axis. Nothing is computed: both ways are exact.
"""
import math
import re
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

# our names to the release's, one after the other; {g} is each group's index
_RENAMINGS = tuple((re.compile(ours), theirs) for ours, theirs in (
    (r'^neck\.shared\.', 'backbone_conv.'),
    (r'^neck\.branches\.(\w+)\.', r'b_\1.{g}.'),
    (r'^b_up2\.\{g\}\.', 'b_up2.{g}.0.'),
    (r'^neck\.fusion\.', 'nddr_layer0.Conv_Task_List.{g}.'),
    (r'^head\.heatmap_layers\.', 'b_htmaps_conv.{g}.'),
    (r'^head\.depth_layers\.', 'b_depth_conv.{g}.'),
    (r'^head\.beta$', 'b_get_uv.{g}.beta.weight'),
    (r'^head\.selector\.logits$', 'meta_S.weight'),
    (r'\.residual\.0\.conv\.', '.res_branch.0.'),
    (r'\.residual\.0\.bn\.', '.res_branch.1.'),
    (r'\.residual\.1\.conv\.', '.res_branch.3.'),
    (r'\.residual\.1\.bn\.', '.res_branch.4.'),
    (r'\.skip\.conv\.', '.skip_con.0.'),
    (r'\.skip\.bn\.', '.skip_con.1.'),
    (r'^(b_.*)\.conv\.', r'\1.block.0.'),
    (r'^(b_.*)\.bn\.', r'\1.block.1.'),
    (r'^(nddr_.*)\.conv\.', r'\1.0.'),
    (r'^(nddr_.*)\.bn\.', r'\1.1.'),
))
_BACKBONE = 'backbone.'  # has the release's names
_TEMPERATURE = 'head.selector.temperature'
_MAP_SIZE = 64  # of the release's heat maps, for images of 256 x 256
_SHOWN = 5  # names in an error message


def official_names(name: str, num_groups: int) -> List[str]:
    """Names in the release of one of our weights.

    Args:
        name (str): Name in the state dict of our model.
        num_groups (int): Number of groups G.

    Returns:
        list[str]: One name per group for what each group has of its own, else
        a single name.
    """
    if not name.startswith(_BACKBONE):
        for ours, theirs in _RENAMINGS:
            name = ours.sub(theirs, name)
    if '{g}' not in name:
        return [name]
    return [name.format(g=g) for g in range(num_groups)]


def split_groups(weights: Mapping[str, Tensor],
                 num_groups: int) -> Dict[str, Tensor]:
    """Our weights, or anything of their shapes, as the release names them.

    Args:
        weights (Mapping[str, Tensor]): Tensors by our names, without the
            selector's temperature. Gradients do as well.
        num_groups (int): Number of groups G.

    Returns:
        dict[str, Tensor]: Tensors by the release's names, in its shapes.
    """
    official = {}
    for name, value in weights.items():
        names = official_names(name, num_groups)
        # counts of batches have no axis to split
        pieces = value.chunk(
            len(names)) if value.ndim else [value] * len(names)
        for theirs, piece in zip(names, pieces):
            if theirs.endswith('.beta.weight'):
                piece = piece.reshape(-1, 1, 1, 1)
            official[theirs] = piece.clone()
    return official


def to_official(state_dict: Mapping[str, Tensor]) -> Dict[str, Any]:
    """Our weights as a checkpoint of the release.

    Args:
        state_dict (Mapping[str, Tensor]): State dict of a model like that of
            ``configs/lgh_rhd_official.py``.

    Returns:
        dict: ``model_state_dict`` and ``Temperature``.

    Raises:
        ValueError: If the selector is missing.
    """
    selector = ('head.selector.logits', _TEMPERATURE)
    missing = [name for name in selector if name not in state_dict]
    if missing:
        raise ValueError(f'these weights lack {", ".join(missing)}: they are '
                         'not of a model with GroupedJointHead')
    num_groups = state_dict['head.selector.logits'].shape[1]
    weights = {k: v for k, v in state_dict.items() if k != _TEMPERATURE}
    temperature = state_dict[_TEMPERATURE].cpu().numpy()
    return dict(
        model_state_dict=dict(**split_groups(weights, num_groups),
                              **_coordinate_grids(num_groups)),
        # the shortest decimal: 0.1 comes back as 0.1
        Temperature=float(str(temperature)))


def from_official(checkpoint: Mapping[str, Any],
                  template: Mapping[str, Tensor]) -> Dict[str, Tensor]:
    """A checkpoint of the release as the weights of our model.

    Args:
        checkpoint (Mapping[str, Any]): With ``model_state_dict`` and
            ``Temperature``.
        template (Mapping[str, Tensor]): State dict of the model that the
            weights are for; gives names, shapes and types.

    Returns:
        dict[str, Tensor]: State dict for that model.

    Raises:
        ValueError: If weights are missing, surplus, of another shape or type,
            or contradict what the release computes; names them.
    """
    weights = official_weights_of(checkpoint)
    expected = to_official(template)['model_state_dict']
    check_weights(weights, expected)
    num_groups = template['head.selector.logits'].shape[1]
    for name, grid in _coordinate_grids(num_groups).items():
        if not torch.equal(weights[name], grid):
            raise ValueError(f'{name} does not hold the coordinates 0..'
                             f'{_MAP_SIZE - 1} that the release computes with')

    state_dict = {}
    for name, value in template.items():
        if name == _TEMPERATURE:
            temperature = _temperature_of(checkpoint)
            state_dict[name] = torch.tensor(temperature, dtype=value.dtype)
            continue
        names = official_names(name, num_groups)
        pieces = [weights[n] for n in names]
        if value.ndim:
            state_dict[name] = torch.cat(pieces).reshape(value.shape)
            continue
        if any(int(piece) != int(pieces[0]) for piece in pieces):
            raise ValueError(
                f'{", ".join(names)} must be equal, since all groups see the '
                f'same batches; got {[int(piece) for piece in pieces]}')
        state_dict[name] = pieces[0].clone()
    return state_dict


def official_weights_of(checkpoint: Mapping[str, Any]) -> Dict[str, Any]:
    """The weights in a checkpoint of the release.

    Raises:
        ValueError: If it has no ``model_state_dict``, a dict by names.
    """
    return _named_weights(checkpoint, 'model_state_dict',
                          "a checkpoint of the authors' release")


def our_weights_of(checkpoint: Mapping[str, Any]) -> Dict[str, Any]:
    """The weights in a checkpoint of mmengine.

    Raises:
        ValueError: If it has no ``state_dict``, a dict by names.
    """
    return _named_weights(checkpoint, 'state_dict', 'a checkpoint of mmengine')


def _named_weights(checkpoint: Any, key: str, kind: str) -> Dict[str, Any]:
    weights = checkpoint.get(key) if isinstance(checkpoint, Mapping) else None
    if not isinstance(weights, Mapping) or not all(
            isinstance(name, str) for name in weights):
        raise ValueError(f'this is not {kind}: it has no {key!r}, a dict of '
                         'weights by name')
    return dict(weights)


def check_weights(weights: Mapping[str, Any],
                  expected: Mapping[str, Tensor]) -> None:
    """Check that weights have the names, shapes and types expected.

    Raises:
        ValueError: If not; names what is missing, surplus or otherwise.
    """
    problems = []
    for kind, names in (('missing', [n for n in expected if n not in weights]),
                        ('surplus', [n for n in weights
                                     if n not in expected])):
        if names:
            problems.append(f'{kind}: {_shown(names)}')
    wrong = []
    for name, wanted in expected.items():
        got = weights.get(name, wanted)
        if not isinstance(got, Tensor):
            wrong.append(f'{name} is a {type(got).__name__}, not a tensor')
        elif (got.shape, got.dtype) != (wanted.shape, wanted.dtype):
            wrong.append(f'{name} is {got.dtype} of {tuple(got.shape)}, not '
                         f'{wanted.dtype} of {tuple(wanted.shape)}'.replace(
                             'torch.', ''))
        elif not got.isfinite().all():
            wrong.append(f'{name} is not finite')
    if wrong:
        problems.append(f'wrong: {_shown(wrong)}')
    if problems:
        raise ValueError('these weights are not those of the network: ' +
                         '; '.join(problems))


def _shown(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ', '.join(
        names[:_SHOWN]) + (f' and {rest} more' if rest > 0 else '')


def _coordinate_grids(num_groups: int) -> Dict[str, Tensor]:
    """x and y of the cells, which the release keeps among its weights."""
    y, x = torch.meshgrid(
        *[torch.arange(_MAP_SIZE, dtype=torch.float32)] * 2, indexing='ij')
    grids = {}
    for g in range(num_groups):
        grids[f'b_get_uv.{g}.wx'] = x.clone()
        grids[f'b_get_uv.{g}.wy'] = y.clone()
    return grids


def _temperature_of(checkpoint: Mapping[str, Any]) -> float:
    value = checkpoint.get('Temperature')
    try:
        temperature = np.asarray(value, dtype=np.float64).item()
    except (TypeError, ValueError):
        temperature = math.nan
    if not 0 < temperature < math.inf:
        raise ValueError("the checkpoint's 'Temperature' must be a positive "
                         f'number, got {value!r}')
    return temperature
