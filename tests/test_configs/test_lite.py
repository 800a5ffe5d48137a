"""The light network, and those that it is compared with."""
import pytest
import torch
from helpers import REPO_ROOT
from mmengine.config import Config
from mmpose.registry import DATASETS, MODELS
from torch.utils.flop_counter import FlopCounterMode

import lgh_mmpose  # noqa: F401

CONFIGS = REPO_ROOT / 'configs'
NAMES = ('lgh_lite_freihand', 'lgh_lite_studiohand', 'lgh_official_studiohand',
         'lgh_res50_studiohand')


def flops(name):
    """Of one image, by operations on tensors without data."""
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    width, height = cfg.codec.input_size
    with torch.device('meta'):
        model = MODELS.build(cfg.model).eval()
        images = torch.empty(1, 3, height, width)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(images, None, mode='tensor')
    return counter.get_total_flops()


def test_light_network_needs_a_fraction_of_the_operations():
    official = flops('lgh_rhd_official')
    assert official == pytest.approx(22.5e9, rel=.05)
    for name in NAMES[:2]:
        assert official > 40 * flops(name)


@pytest.mark.parametrize('name', NAMES)
def test_data_have_the_size_that_the_network_expects(name, freihand_root):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    width, height = cfg.model.head.decoder.input_size
    for loader in (cfg.train_dataloader, cfg.val_dataloader,
                   cfg.test_dataloader):
        loader.dataset.data_root = str(freihand_root)
        sample = DATASETS.build(loader.dataset)[0]
        assert sample['inputs'].shape == (3, height, width)
        assert sample['data_samples'].input_size == (width, height)
    # targets are in pixels of that input
    labels = DATASETS.build(cfg.train_dataloader.dataset)[0]['data_samples']
    uv = labels.gt_instance_labels.keypoint_labels[..., :2]
    # the toy's hands fill their images
    assert (uv.amax() - uv.amin()) > .3 * width


def test_resnet50_on_rendered_hands_is_that_of_freihand():
    networks = []
    for name in ('lgh_freihand', 'lgh_res50_studiohand'):
        model = Config.fromfile(CONFIGS / f'{name}.py').model.to_dict()
        del model['head']['decoder']
        networks.append(model)
    assert networks[0] == networks[1]


def test_both_light_configs_are_one_network():
    ours, rendered = (
        Config.fromfile(CONFIGS / f'{name}.py').model for name in NAMES[:2])
    assert ours.to_dict() == rendered.to_dict()


def test_backbone_is_swapped_in_three_lines(tmp_path):
    path = tmp_path / 'swapped.py'
    path.write_text(f"""\
_base_ = ['{CONFIGS / 'lgh_lite_freihand.py'}']
model = dict(
    backbone=dict(_delete_=True, type='MobileNetV2', out_indices=(2, 4, 6)),
    neck=dict(in_channels=(32, 96, 320)))
""")
    model = MODELS.build(Config.fromfile(path).model).eval()
    assert type(model.backbone).__name__ == 'MobileNetV2'
    with torch.no_grad():
        uv, depth = model(torch.zeros(1, 3, 128, 128), None, mode='tensor')
    assert uv.shape == (1, 21, 2) and depth.shape == (1, 21)


def test_network_of_the_release_is_the_same_on_both_data_sets():
    rhd, studiohand = (
        Config.fromfile(CONFIGS / f'{name}.py').model
        for name in ('lgh_rhd_official', 'lgh_official_studiohand'))
    for part in ('backbone', 'neck', 'data_preprocessor'):
        assert rhd[part] == studiohand[part]
    # of the head only training and the order of joints differ
    for head in (rhd.head, studiohand.head):
        for name in ('balance_loss_weight', 'decoder'):
            head.pop(name)
    assert rhd.head == studiohand.head
