"""Which joints disturb each other in the feature that all share."""
import json
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, Optional

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel

# the file in the work dir
CONFLICTS_FILE = 'gradient_conflicts.jsonl'


@HOOKS.register_module()
class GradientConflictHook(Hook):
    r"""Measures how the joints' losses pull at the shared feature.

    For each joint j, and for its pixels and its depth apart, the gradient
    :math:`g_j = \nabla_F L_j` of what it adds to the loss, with respect to the
    shared feature F of a batch. The norms tell which joints pull hardest
    (GradNorm, Chen et al., ICML 2018), the cosines which pull against each
    other: below 0 what is good for one is bad for the other (PCGrad, Yu et
    al., NeurIPS 2020; Recon, Shi et al., ICLR 2023).

    A measurement looks at the batch of the last iteration once more, in full
    precision and as in training. It changes nothing: batch norms keep their
    statistics, random numbers their order. It takes about the time of 40
    backward passes from the head to F.

    Writes a line each to ``gradient_conflicts.jsonl`` in the work dir:
    ``iter``, ``joints`` (K names), ``norms`` (``uv`` and ``depth``, K each)
    and ``cosines``, (2K, 2K), first uv, then depth; null where a joint has no
    gradient. ``tools/analysis_tools/show_conflicts.py`` draws them.

    Args:
        interval (int): Iterations between two measurements. Defaults to 500.

    Raises:
        ValueError: If ``interval`` is below 1; before a run, if the model has
            no shared feature, its head no losses of joints, or if its
            parameters are sharded.
    """

    priority = 'LOW'

    def __init__(self, interval: int = 500) -> None:
        if interval < 1:
            raise ValueError(f'interval must be at least 1, got {interval}')
        self.interval = interval

    def before_train(self, runner: Runner) -> None:
        model = self._model(runner)
        if not hasattr(getattr(model, 'neck', None), 'shared') or \
                not hasattr(model.head, 'joint_losses'):
            raise ValueError('GradientConflictHook needs a GroupFusionNeck and'
                             ' a GroupedJointHead: the model has no feature '
                             'that all joints share')
        if is_main_process():
            self._forget_later_lines(Path(runner.work_dir), runner.iter)

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        if not self.every_n_train_iters(runner, self.interval) or \
                not is_main_process():
            return
        model = self._model(runner)
        line = dict(
            iter=runner.iter + 1,
            joints=list(model.head.decoder.keypoint_names),
            **measure_conflicts(model, data_batch))
        with open(Path(runner.work_dir) / CONFLICTS_FILE, 'a') as file:
            file.write(json.dumps(line, allow_nan=False) + '\n')

    @staticmethod
    def _model(runner: Runner) -> nn.Module:
        model = runner.model
        if isinstance(model, FullyShardedDataParallel):
            raise ValueError('GradientConflictHook needs whole parameters, '
                             'not those of FSDP')
        return model.module if is_model_wrapper(model) else model

    @staticmethod
    def _forget_later_lines(work_dir: Path, iteration: int) -> None:
        """A resumed run measures again what came after its checkpoint."""
        path = work_dir / CONFLICTS_FILE
        if path.is_file():
            kept = [
                line for line in path.read_text().splitlines(True) if
                line.endswith('\n') and json.loads(line)['iter'] <= iteration
            ]
            path.write_text(''.join(kept))


def measure_conflicts(model: nn.Module, data_batch: dict) -> Dict[str, list]:
    """Norms and cosines of the joints' gradients, see the hook.

    Args:
        model (nn.Module): A pose estimator with a :class:`GroupFusionNeck`
            and a :class:`GroupedJointHead`.
        data_batch (dict): What its data loader gives.

    Returns:
        dict: ``norms`` and ``cosines`` as :class:`GradientConflictHook` writes
        them.
    """
    found: List[Tensor] = []
    handle = model.neck.shared.register_forward_hook(
        lambda module, args, output: found.append(output))
    try:
        with _unchanged(model), torch.enable_grad():
            data = model.data_preprocessor(data_batch, True)
            feats = model.extract_feat(data['inputs'])
            losses = model.head.joint_losses(feats, data['data_samples'])
            gradients = torch.stack([
                torch.autograd.grad(loss, found[0], retain_graph=True)[0]
                for loss in torch.cat([losses['uv'], losses['depth']])
            ]).flatten(1).double()
    finally:
        handle.remove()
    norms = gradients.norm(dim=1)
    unit = gradients / norms[:, None]  # NaN without a gradient
    uv, depth = norms.chunk(2)
    return dict(
        norms=dict(uv=_numbers(uv, '.3e'), depth=_numbers(depth, '.3e')),
        cosines=[_numbers(row, '.3f') for row in unit @ unit.T])


def _numbers(values: Tensor, form: str) -> List[Optional[float]]:
    """Rounded; None for NaN, which json lacks."""
    return [
        None if v != v else float(format(v, form)) for v in values.tolist()
    ]


@contextmanager
def _unchanged(model: nn.Module) -> Iterator[None]:
    """Put buffers and random numbers back to what they were."""
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        with torch.random.fork_rng():
            yield
    finally:
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
