# Learnable joint groups for little computing time: a thin ResNet-18 of three
# stages, maps of an eighth of the input's size. For 128x128 pixels. How it
# was chosen: docs/lite.md.
_base_ = ['./lgh_resnet50.py']

model = dict(
    backbone=dict(
        depth=18,
        stem_channels=16,
        base_channels=48,
        num_stages=3,
        strides=(2, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(0, 1, 2)),
    neck=dict(
        in_channels=(48, 96, 192),
        in_strides=(8, 16, 32),
        out_stride=8,
        stem_channels=64,
        shared_channels=(64, )))
