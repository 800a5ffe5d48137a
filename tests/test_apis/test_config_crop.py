"""What of a config's test pipeline the pipeline takes over."""
import pytest
from helpers import REPO_ROOT
from mmengine.config import Config

from lgh_mmpose.apis import crop_of_config
from lgh_mmpose.apis.config_crop import WHOLE_IMAGE_PADDING
from lgh_mmpose.deployment import read_crop
from lgh_mmpose.geometry.crop import Crop

LOAD = dict(type='LoadImage')
BOX = dict(type='GetBBoxCenterScale')
WARP = dict(type='TopdownAffineCamera', input_size=(96, 96))
SIDE = dict(type='CanonicalizeHandSide')
RIGHT_OF_BOX = Crop(1.25, 1.25, False, 'right')


def config(*steps, **dataset):
    return Config(
        dict(test_dataloader=dict(dataset=dict(pipeline=steps, **dataset))))


@pytest.mark.parametrize(
    'cfg, crop',
    [
        (Config(dict()), RIGHT_OF_BOX),
        (config(), RIGHT_OF_BOX),
        (config(LOAD, BOX, WARP, SIDE), RIGHT_OF_BOX),
        (config(LOAD, dict(BOX, padding=2), WARP, SIDE), Crop(2., 2.)),
        (config(BOX, dict(WARP, use_udp=True), SIDE), Crop(1.25, 1.25, True)),
        (config(BOX, WARP), Crop(1.25, 1.25, False, None)),
        (config(BOX, WARP, dict(
            SIDE, side='left')), Crop(1.25, 1.25, False, 'left')),
        (config(LOAD, dict(type='lgh_mmpose.OfficialRhdCrop')), Crop(1.4,
                                                                     1.4)),
        # whole images as boxes, as the config or the data set says
        (config(dict(BOX, padding=1.1), WARP, SIDE,
                bbox_mode='image'), Crop(1.1 * WHOLE_IMAGE_PADDING, 1.1)),
        (config(BOX, SIDE, type='FreiHand3DDataset'),
         Crop(1.25 * WHOLE_IMAGE_PADDING, 1.25)),
        (config(BOX, SIDE, type='FreiHand3DDataset',
                bbox_mode='keypoints'), RIGHT_OF_BOX),
        (config(BOX, SIDE, type='DexterObject3DDataset'), RIGHT_OF_BOX),
    ])
def test_crop_is_that_of_the_test_pipeline(cfg, crop):
    assert crop_of_config(cfg) == crop


def test_a_pipeline_that_crops_by_joints_is_given_a_padding():
    cfg = Config.fromfile(REPO_ROOT / 'configs/lgh_rhd_official.py')
    with pytest.raises(ValueError, match='other means than a box.*--padding'):
        read_crop(cfg)
    # for whole images, too, as which it has none of its own
    assert read_crop(cfg, 1.3) == Crop(1.3, 1.3, False, 'right')
