# The network of the paper's RHD experiments, weight for weight as the authors
# released it: hourglass backbone, biases before the batch norms, heat-map
# cells at their first pixel, images in [0, 1].
# tools/model_converters/convert_official_checkpoint.py converts its weights.
_base_ = [
    './_base_/datasets/freihand3d.py', './_base_/models/lgh_resnet50.py',
    './_base_/schedules/adamw_cosine.py'
]

model = dict(
    data_preprocessor=dict(mean=[0, 0, 0], std=[255, 255, 255]),
    backbone=dict(_delete_=True, type='GeHourglass', num_joints=21),
    neck=dict(
        in_channels=(277, ), in_strides=(4, ), conv_bias=True, down_relu=True),
    # the release samples its groups at test too: inference='sample'
    head=dict(decoder=_base_.codec, pixel_centers=False),
    # the protocol of RHD gives it
    test_cfg=dict(root_depth='given'))
