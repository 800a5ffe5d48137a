# Hands in whole pictures, with their sides and directions, on StudioHand's
# layout `coco`:
#   python tools/dataset_converters/make_studiohand.py data/studiohand_coco \
#       --layout coco --num-train 20000 --num-eval 1000
# Where the convolutions of backbone and neck are not depthwise, a step on a
# CPU takes no longer and the network has twice the weights; ReLU saves a
# tenth. See docs/detector.md.
_base_ = ['mmdet::_base_/default_runtime.py']

custom_imports = dict(
    imports=['lgh_mmpose', 'lgh_mmpose.detection'], allow_failed_imports=False)

data_root = 'data/studiohand_coco'
input_size = (320, 320)
max_epochs = 8

norm_cfg = dict(type='BN')
act_cfg = dict(type='ReLU', inplace=True)
model = dict(
    type='RTMDet',
    # of several processes each has a batch of its own; there is none on CPUs
    use_syncbn=False,
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[103.53, 116.28, 123.675],
        std=[57.375, 57.12, 58.395],
        bgr_to_rgb=False),
    backbone=dict(
        type='CSPNeXt',
        arch='P5',
        expand_ratio=0.5,
        deepen_factor=0.33,
        widen_factor=0.25,
        channel_attention=True,
        norm_cfg=norm_cfg,
        act_cfg=act_cfg),
    neck=dict(
        type='CSPNeXtPAFPN',
        in_channels=[64, 128, 256],
        out_channels=64,
        num_csp_blocks=1,
        expand_ratio=0.5,
        norm_cfg=norm_cfg,
        act_cfg=act_cfg),
    bbox_head=dict(
        type='RTMDetHandHead',
        num_classes=2,
        in_channels=64,
        feat_channels=64,
        stacked_convs=2,
        share_conv=False,
        use_depthwise=True,
        with_objectness=False,
        # boxes begin as large as a stride, not as a point: learns in half the
        # steps
        exp_on_reg=True,
        anchor_generator=dict(
            type='MlvlPointGenerator', offset=0, strides=[8, 16, 32]),
        bbox_coder=dict(type='DistancePointBBoxCoder'),
        loss_cls=dict(
            type='QualityFocalLoss',
            use_sigmoid=True,
            beta=2.0,
            loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
        loss_direction=dict(type='MSELoss', loss_weight=1.0),
        norm_cfg=norm_cfg,
        act_cfg=act_cfg),
    train_cfg=dict(assigner=dict(type='DynamicSoftLabelAssigner', topk=13)),
    # low, so that AP has its whole curve
    test_cfg=dict(score_thr=0.02, iou_thr=0.45, max_hands=20))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomHandAffine', input_size=input_size, mosaic_prob=0.3),
    # blur, noise and low resolution are in the pictures, where hands that they
    # swallow are not taught
    dict(
        type='mmpose.RandomCameraEffects',
        blur_prob=0,
        motion_prob=0,
        noise_prob=0,
        low_resolution_prob=0),
    dict(type='PackHandInputs'),
]
val_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LetterboxHands', input_size=input_size),
    dict(type='PackHandInputs'),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CocoHandDataset',
        data_root=data_root,
        split='training',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CocoHandDataset',
        data_root=data_root,
        split='evaluation',
        test_mode=True,
        pipeline=val_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='HandDetectionMetric')
test_evaluator = val_evaluator

train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    # bf16 where the CPU computes it and there is no GPU
    type='mmpose.Bf16OptimWrapper',
    enabled='auto',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05, fused=True),
    paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=300),
    dict(
        type='CosineAnnealingLR',
        eta_min_ratio=0.02,
        begin=0,
        by_epoch=True,
        convert_to_iter_based=True)
]
auto_scale_lr = dict(base_batch_size=16)

default_hooks = dict(
    checkpoint=dict(
        interval=1, save_best='hand/AP', rule='greater', max_keep_ckpts=2))
custom_hooks = [
    dict(type='SyncBuffersHook'),
    # what is tested and saved as the weights is their moving mean
    dict(
        type='EMAHook',
        ema_type='ExpMomentumEMA',
        momentum=0.001,
        gamma=500,
        update_buffers=True,
        priority=49),
    dict(type='mmpose.NonFiniteLossHook'),
    dict(type='mmpose.ChannelsLastHook'),
    dict(type='mmpose.KeepMemoryHook'),
]
# all inputs have one size
env_cfg = dict(cudnn_benchmark=True)
randomness = dict(seed=0, diff_rank_seed=True)
