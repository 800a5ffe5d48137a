"""How mmpose's own inferencers treat our models.

``MMPoseInferencer(pose2d=CONFIG)`` runs them and gives the 2D joints, and
``MMPoseInferencer('lgh-hand')`` finds them by the names of
``configs/metafile.yml``. Its 3D inferencers are made for two other kinds of
model: one lifts a 2D body pose, for which it first downloads another model,
and the other wants the outputs of InterNet. Both would fail far from the
cause.
"""
import functools
import os.path as osp
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from mmengine.config.utils import MODULE2PACKAGE
from mmengine.infer import BaseInferencer
from mmpose.apis.inferencers.base_mmpose_inferencer import BaseMMPoseInferencer
from mmpose.apis.inferencers.hand3d_inferencer import Hand3DInferencer
from mmpose.apis.inferencers.pose3d_inferencer import Pose3DInferencer

_3D_INFERENCERS = (Pose3DInferencer, Hand3DInferencer)


def adapt_mmpose_inferencers() -> None:
    """Let mmpose's inferencers know our models.

    mmpose has no place to say so: it looks names up in its own metafile
    alone, and lets its 3D inferencers run on any model. Therefore two of
    their steps are overridden; other models go through as before. Called once
    by ``import lgh_mmpose``; calling it again changes nothing.
    """
    # of mmengine: who may be asked for models and configs by name
    MODULE2PACKAGE.setdefault('lgh_mmpose', 'lgh_mmpose')
    if Hand3DInferencer._init_pipeline is _init_3d_pipeline:
        return
    BaseMMPoseInferencer.__init__ = _by_name(BaseMMPoseInferencer.__init__)
    for inferencer in _3D_INFERENCERS:
        inferencer._init_pipeline = _init_3d_pipeline


def _by_name(init):

    @functools.wraps(init)
    def __init__(self, model=None, weights=None, *args: Any, **kwargs: Any):
        # mmengine, too, takes a string that is no file for a name
        if isinstance(model, str) and not osp.isfile(model):
            entry = _entry(model)
            if entry is not None:
                if isinstance(self, _3D_INFERENCERS):
                    _refuse(self)
                model, weights = _files(model, entry, weights)
        init(self, model, weights, *args, **kwargs)

    return __init__


def _entry(name: str) -> Optional[Dict[str, Any]]:
    """What our metafile says of a model, or None if it has no such name.

    Raises:
        ValueError: If the name begins as ours do, but is none of them.
    """
    known = {
        known.lower(): entry
        for entry in BaseInferencer._get_models_from_metafile(_root())
        for known in (entry['Name'], *_listed(entry.get('Alias')))
    }
    entry = known.get(name.lower())
    if entry is None and name.lower().startswith(
        ('lgh-', 'lgh_')) and not Path(name).suffix:
        raise ValueError(f'lgh_mmpose has no model {name}, only '
                         f'{", ".join(known)}; or give the file of a config')
    return entry


def _files(name: str, entry: Dict[str, Any],
           weights: Optional[str]) -> Tuple[str, str]:
    """Config and weights of a model; weights that are given come first.

    Raises:
        ValueError: If there are no weights.
    """
    config = Path(_root(), entry['Config'])
    if weights is None:
        weights = next(iter(_listed(entry.get('Weights'))), None)
        if weights is None:
            raise ValueError(
                f'lgh_mmpose has no weights for {name} yet: train {config} '
                'and give pose2d_weights=CHECKPOINT')
    return str(config), weights


def _root() -> str:
    """The folder from which the metafile names configs."""
    return BaseInferencer._get_repo_or_mim_dir('lgh_mmpose')


def _listed(value: Any) -> List[str]:
    """A field of a metafile that holds nothing, one string or several."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def _init_3d_pipeline(self, cfg):
    from ..models.heads import GroupedJointHead
    if isinstance(getattr(self.model, 'head', None), GroupedJointHead):
        _refuse(self)
    return BaseMMPoseInferencer._init_pipeline(self, cfg)


def _refuse(inferencer: BaseMMPoseInferencer) -> None:
    raise ValueError(
        f"mmpose's {type(inferencer).__name__} does not take the models of "
        'lgh_mmpose: use lgh_mmpose.HandPose (or the command lgh-hands) for '
        '3D, or '
        'MMPoseInferencer(pose2d=CONFIG, pose2d_weights=CHECKPOINT, '
        "det_model='whole_image') for 2D")
