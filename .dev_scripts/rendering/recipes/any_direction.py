# hands as they lie in the picture, mirrored to right ones
_base_ = ['../../../configs/lgh_studiohand.py']

from lgh_mmpose.config import with_steps

box = dict(padding=1.4)
train_pipeline = with_steps(
    _base_.train_pipeline,
    GetBBoxCenterScale=box,
    FastRandomBBoxTransform=dict(
        shift_factor=0.1, scale_factor=(0.8, 1.25), rotate_factor=45))
val_pipeline = with_steps(_base_.val_pipeline, GetBBoxCenterScale=box)
train_dataloader = dict(
    dataset=dict(bbox_mode='keypoints', pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(bbox_mode='keypoints', pipeline=val_pipeline))
test_dataloader = val_dataloader
