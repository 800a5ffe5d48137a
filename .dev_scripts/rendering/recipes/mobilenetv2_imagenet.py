# MobileNetV2 with features of ImageNet, which
# .dev_scripts/pretrained/mobilenetv2.py writes
_base_ = ['./mobilenetv2.py']

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='Pretrained', checkpoint='data/hands/mobilenetv2.pth')))
optim_wrapper = dict(
    optimizer=dict(lr=5e-3),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=.2))))
