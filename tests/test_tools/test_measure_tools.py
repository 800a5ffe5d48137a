"""The tools behind the tables of docs/inference.md, in a toy size."""
import pytest
import torch
from helpers import REPO_ROOT, run_script

import lgh_mmpose  # noqa: F401  before mmpose, for mmcv-lite

ANALYSIS_TOOLS = REPO_ROOT / 'tools/analysis_tools'
CONFIG = REPO_ROOT / 'configs/lgh_synthhand.py'


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    from mmpose.apis import init_model
    torch.manual_seed(0)
    model = init_model(str(CONFIG), device='cpu')
    path = tmp_path_factory.mktemp('measure_weights') / 'random.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return path


def test_measure_assumptions(checkpoint, synthhand_root, tmp_path):
    output = run_script(
        ANALYSIS_TOOLS / 'measure_assumptions.py',
        *(CONFIG, checkpoint, synthhand_root, '--num-images', 3),
        cwd=tmp_path).stdout
    assert 'given' in output and 'assumed' in output and '%' in output


def test_measure_jitter(checkpoint, tmp_path):
    output = run_script(
        ANALYSIS_TOOLS / 'measure_jitter.py',
        *(CONFIG, checkpoint, '--videos', 1, '--frames', 10, '--size', 64),
        cwd=tmp_path).stdout
    assert 'jitter' in output and 'smoothed' in output
