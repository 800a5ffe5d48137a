# Learnable joint groups on ResNet-50. The head's decoder is the codec of the
# data set's config.
num_groups = 3  # G; 1 is the holistic baseline

model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='HandDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    # add init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')
    # to start from ImageNet
    backbone=dict(type='ResNet', depth=50, out_indices=(0, 1, 2, 3)),
    neck=dict(
        type='GroupFusionNeck',
        in_channels=(256, 512, 1024, 2048),
        in_strides=(4, 8, 16, 32),
        num_groups=num_groups,
        out_stride=4,
        stem_channels=128,
        shared_channels=(128, 32),
        group_channels=32,
        fusion=dict(type='NDDRFusion')),
    head=dict(
        type='GroupedJointHead',
        in_channels=32,
        num_joints=21,
        num_groups=num_groups,
        selector=dict(temperature=1.0, init_logit=0.5, inference='argmax'),
        uv_loss=dict(type='L1Loss', use_target_weight=True, loss_weight=5.0),
        depth_loss=dict(
            type='L1Loss', use_target_weight=True, loss_weight=1.0),
        heatmap_loss=dict(
            type='SpatialCrossEntropyLoss', sigma=0.6, loss_weight=3.0),
        # or the first group that gets ahead takes most joints
        balance_loss_weight=1.0),
    # 'solved': from the bone length; 'given': from the annotation
    test_cfg=dict(root_depth='solved'))
