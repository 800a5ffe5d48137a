"""Opening networks: what is refused."""
import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from lgh_mmpose.inference.backends import open_network

RESNET = dict(
    type='mmpose.TopdownPoseEstimator',
    backbone=dict(type='mmpose.ResNet', depth=18),
    head=dict(
        type='mmpose.HeatmapHead',
        in_channels=512,
        out_channels=21,
        loss=dict(type='mmpose.KeypointMSELoss'),
        decoder=dict(
            type='mmpose.MSRAHeatmap',
            input_size=(64, 64),
            heatmap_size=(16, 16),
            sigma=2)))


def test_a_model_with_another_head_is_named(tmp_path):
    weights = MODELS.build(RESNET).state_dict()
    torch.save(dict(state_dict=weights), tmp_path / 'resnet.pth')
    cfg = Config(dict(model=RESNET, default_scope='mmpose'))
    with pytest.raises(ValueError, match='GroupedJointHead, .* HeatmapHead'):
        open_network(cfg, str(tmp_path / 'resnet.pth'))


@pytest.mark.parametrize('model', [3, dict(model=RESNET)])
def test_what_is_no_model_is_named(model):
    with pytest.raises(ValueError, match=f'not {type(model).__name__}'):
        open_network(model, 'resnet.pth')
