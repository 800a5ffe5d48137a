"""Stop a training that has left the rails."""
from typing import Optional

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.registry import HOOKS


@HOOKS.register_module()
class NonFiniteLossHook(Hook):
    """Ends the training when a loss or a weight is NaN or infinite.

    It runs before the checkpoint hook, and looks at the weights before they
    are saved, since a finite loss may have a gradient that is not. So the
    last checkpoint written is a good one.

    Raises:
        FloatingPointError: Names the iteration, the losses and the samples of
            the batch, or the weights.
    """

    priority = 'ABOVE_NORMAL'

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        bad = {
            name: float(torch.as_tensor(value).detach())
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

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        bad = [
            name for name, value in checkpoint['state_dict'].items()
            if torch.is_tensor(value) and not torch.isfinite(value).all()
        ]
        if bad:
            raise FloatingPointError(
                f'{len(bad)} weights are not finite, {bad[0]} the first, '
                f'after iteration {checkpoint["meta"]["iter"]}, though its '
                'loss was: this checkpoint is not saved. Lower the learning '
                'rate or clip gradients (optim_wrapper.clip_grad), and go on '
                'from the last checkpoint with --resume')
