"""What FSDP may divide among processes."""
from mmengine.registry import FUNCTIONS
from torch import nn
from torch.distributed.fsdp.wrap import size_based_auto_wrap_policy

from ..models import GroupedJointHead, GroupFusionNeck

# the estimator calls the head's `loss` and `predict`, and both compute with
# weights of their children: FSDP gathers what it wraps in `forward` alone
_WHOLE = {GroupedJointHead, GroupFusionNeck}


@FUNCTIONS.register_module()
def backbone_wrap_policy(module: nn.Module,
                         recurse: bool,
                         nonwrapped_numel: int,
                         min_num_params: int = 1000000) -> bool:
    """Policy by which FSDP divides the backbone into units.

    Neck and head, a small part, stay in the unit of the whole network. For
    ``auto_wrap_policy`` of mmengine's ``MMFullyShardedDataParallel``.

    Args:
        module (nn.Module): Candidate.
        recurse (bool): Whether its children are asked about, or itself.
        nonwrapped_numel (int): Its parameters not in a unit yet.
        min_num_params (int): Parameters that make a unit. Defaults to
            1,000,000.

    Returns:
        bool: The answer.
    """
    policy = size_based_auto_wrap_policy
    return policy(
        module,
        recurse,
        nonwrapped_numel,
        min_num_params=min_num_params,
        force_leaf_modules=policy.FORCE_LEAF_MODULES | _WHOLE,
        exclude_wrap_modules=policy.EXCLUDE_WRAP_MODULES | _WHOLE)
