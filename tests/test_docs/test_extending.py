"""The examples of docs/how_to/extend.md, as they stand there."""
import re
import shutil
import sys

import pytest
import torch
from helpers import REPO_ROOT
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

FILES = dict(
    re.findall(r'^`([\w/.-]+\.py)`:\n\n```python\n(.*?)^```',
               (REPO_ROOT / 'docs/how_to/extend.md').read_text(),
               re.MULTILINE | re.DOTALL))
CONFIGS = sorted(name for name in FILES if name.startswith('configs/'))


@pytest.fixture(scope='module')
def workspace(tmp_path_factory):
    """A folder with the page's files beside the project's configs."""
    root = tmp_path_factory.mktemp('extending')
    shutil.copytree(REPO_ROOT / 'configs', root / 'configs')
    for name, text in FILES.items():
        (root / name).write_text(text)
    sys.path.insert(0, str(root))
    yield root
    sys.path.remove(str(root))


def test_each_kind_of_part_has_an_example():
    assert len(CONFIGS) == 3 and len(FILES) == 2 * len(CONFIGS)


@pytest.mark.parametrize('name', CONFIGS)
def test_example_trains_its_own_part(name, workspace):
    cfg = Config.fromfile(workspace / name)  # imports the page's file
    part = next(module for module in cfg.custom_imports.imports
                if module != 'lgh_mmpose')
    model = MODELS.build(cfg.model)
    model.init_weights()
    parts = [m for m in model.modules() if type(m).__module__ == part]
    assert len(parts) == 1
    before = {k: v.clone() for k, v in parts[0].named_parameters()}
    assert before

    torch.manual_seed(0)
    samples = []
    for _ in range(2):
        sample = PoseDataSample()
        sample.gt_instance_labels = InstanceData(
            keypoint_labels=torch.rand(1, 21, 3) * 96,
            keypoint_weights=torch.ones(1, 21))
        samples.append(sample)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    loss, _ = model.parse_losses(
        model.loss(torch.randn(2, 3, 96, 96), samples))
    loss.backward()
    optimizer.step()
    for key, value in parts[0].named_parameters():
        assert not torch.equal(value, before[key]), key
    uv, depth = model.eval()(torch.randn(2, 3, 96, 96), None, mode='tensor')
    assert uv.shape == (2, 21, 2) and depth.shape == (2, 21)
