"""Stop a training that has left the rails."""
from typing import Optional

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS


@HOOKS.register_module()
class NonFiniteLossHook(Hook):
    """Ends the training when a loss is NaN or infinite.

    It runs before the checkpoint hook, so that the last checkpoint written is
    one of finite losses.

    Raises:
        FloatingPointError: Names the iteration, the losses and the samples of
            the batch.
    """

    priority = 'ABOVE_NORMAL'

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        bad = {
            name: float(value)
            for name, value in (outputs or {}).items()
            if 'loss' in name and not torch.isfinite(torch.as_tensor(value))
        }
        if not bad:
            return
        samples = [
            f'{s.metainfo.get("id", "?")} ({s.metainfo.get("img_path", "?")})'
            for s in data_batch['data_samples']
        ]
        raise FloatingPointError(
            f'non-finite loss {bad} at iteration {runner.iter + 1}; samples of'
            f' the batch: {", ".join(samples)}. Look at them, lower the '
            'learning rate or clip gradients (optim_wrapper.clip_grad), and '
            'go on from the last checkpoint with --resume')
