"""Memory format of the model."""
import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch.nn.parallel import DistributedDataParallel


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Keeps the weights in channels_last, which its kernels on CPUs with
    AVX512 or AMX and on GPUs with tensor cores are faster with.

    The first convolution carries the format over to all activations. Weights
    that FSDP has flattened have no format and stay as they are; the input,
    which :class:`HandDataPreprocessor` makes in channels_last, does the rest.
    """

    def before_run(self, runner: Runner) -> None:
        model = runner.model
        if not is_model_wrapper(model):
            model.to(memory_format=torch.channels_last)
            return
        if not isinstance(model, DistributedDataParallel):
            # FSDP flattens the weights: no format is left to keep
            return
        # DistributedDataParallel lays out its buckets by the strides it
        # finds: wrap anew, once the old one's hooks are gone with it
        module = model.module.to(memory_format=torch.channels_last)
        runner.model = None
        del model
        runner.model = runner.wrap_model(
            runner.cfg.get('model_wrapper_cfg'), module)
