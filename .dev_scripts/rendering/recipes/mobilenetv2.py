# MobileNetV2, from nothing
_base_ = ['../../../configs/lgh_upright_studiohand.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='MobileNetV2',
        out_indices=(2, 4, 6),
        conv_cfg=dict(type='FastGradConv2d')),
    neck=dict(in_channels=(32, 96, 320)))
# with several processes: this backbone has layers that no output uses
model_wrapper_cfg = dict(find_unused_parameters=True)
