"""bf16 training steps where there is no GPU."""
import torch
from mmpose.registry import OPTIM_WRAPPERS
from torch import nn

from lgh_mmpose.engine import Bf16OptimWrapper


def test_forward_runs_in_bf16_and_weights_stay_fp32():
    model = nn.Linear(4, 4)
    before = model.weight.detach().clone()
    wrapper = OPTIM_WRAPPERS.build(
        dict(
            type='Bf16OptimWrapper',
            optimizer=torch.optim.SGD(model.parameters(), lr=0.1)))
    assert isinstance(wrapper, Bf16OptimWrapper)
    with wrapper.optim_context(model):
        out = model(torch.ones(2, 4))
    assert out.dtype == torch.bfloat16
    wrapper.update_params(out.float().square().mean())
    assert model.weight.dtype == torch.float32
    assert not torch.equal(model.weight, before)
    assert model(torch.ones(2, 4)).dtype == torch.float32
