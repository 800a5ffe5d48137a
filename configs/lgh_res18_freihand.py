_base_ = ['./lgh_freihand.py']

model = dict(
    backbone=dict(depth=18), neck=dict(in_channels=(64, 128, 256, 512)))
