"""torch.compile for the part of the network where the time goes."""
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmpose.registry import HOOKS


@HOOKS.register_module()
class CompileHook(Hook):
    """Compiles backbone and neck, for training as for test.

    mmengine's own ``compile=True`` compiles the whole training step, with
    reading of labels, log and optimizer, which breaks into pieces. The names
    of the weights stay as they are.

    Args:
        **kwargs: Arguments of :func:`torch.compile`; with
            ``mode='reduce-overhead'`` a GPU replays CUDA graphs.
    """

    def __init__(self, **kwargs: Any) -> None:
        self.kwargs = kwargs

    def before_run(self, runner: Runner) -> None:
        model = runner.model
        if is_model_wrapper(model):
            model = model.module
        for module in (model.backbone, model.neck):
            module.compile(**self.kwargs)
        runner.logger.info('backbone and neck are compiled at their first '
                           'batches, which take long')

    def before_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Say that a batch begins, in training, validation and test.

        CUDA graphs would take the neck for the next batch, in which what the
        backbone has given may be overwritten.
        """
        torch.compiler.cudagraph_mark_step_begin()

    before_train_iter = before_val_iter = before_test_iter = before_iter
