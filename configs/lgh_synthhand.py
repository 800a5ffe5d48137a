# Learnable joint groups on SynthHand, the data set this package renders
# itself, in minutes on two CPU cores (`make demo`). Beside lgh_freihand.py
# only data, size and schedule differ:
#   python tools/dataset_converters/make_synthhand.py data/synthhand \
#       --num-train 16000 --num-eval 500 --difficulty easy --size 128
_base_ = [
    './_base_/datasets/freihand3d.py', './_base_/models/lgh_resnet50.py',
    './_base_/schedules/adamw_cosine.py'
]

# -- data: FreiHAND's layout, smaller images, milder augmentation ------------
data_root = 'data/synthhand'
# where time is short, more samples at 96 px beat fewer at 128
codec = dict(_base_.codec, input_size=(96, 96))

train_pipeline = [
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(
        type='FastRandomBBoxTransform',
        shift_factor=0.05,
        scale_factor=(0.9, 1.1),
        rotate_factor=12),
    dict(type='LoadHandImage', input_size=codec['input_size']),
    dict(type='TopdownAffineCamera', input_size=codec['input_size']),
    dict(type='CanonicalizeHandSide'),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackHandInputs', meta_keys=_base_.meta_keys)
]
val_pipeline = [
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='LoadHandImage', input_size=codec['input_size']),
    dict(type='TopdownAffineCamera', input_size=codec['input_size']),
    dict(type='CanonicalizeHandSide'),
    dict(type='PackHandInputs', meta_keys=_base_.meta_keys)
]
train_dataloader = dict(
    batch_size=48, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=50, dataset=dict(data_root=data_root, pipeline=val_pipeline))
test_dataloader = val_dataloader

# -- size: a thin ResNet-18 of three stages, maps of 12x12 -------------------
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
        shared_channels=(64, )),
    head=dict(decoder=codec))

# -- schedule ----------------------------------------------------------------
max_epochs = 24
train_cfg = dict(max_epochs=max_epochs, val_interval=4)
# learns from a sample what AdamW learns from two or more
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='ConvMuon', lr=1e-2, weight_decay=1e-3))
auto_scale_lr = dict(base_batch_size=48)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(
        type='CosineAnnealingLR',
        eta_min_ratio=0.005,
        begin=0,
        end=max_epochs,
        by_epoch=True,
        convert_to_iter_based=True)
]
