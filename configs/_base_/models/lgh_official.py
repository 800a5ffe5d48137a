# The network of the authors' release, weight for weight: hourglass backbone,
# biases before the batch norms, heat-map cells at their first pixel, images in
# [0, 1]. 256x256 pixels.
_base_ = ['./lgh_resnet50.py']

model = dict(
    data_preprocessor=dict(mean=[0, 0, 0], std=[255, 255, 255]),
    backbone=dict(_delete_=True, type='GeHourglass', num_joints=21),
    neck=dict(
        in_channels=(277, ), in_strides=(4, ), conv_bias=True, down_relu=True),
    # the release samples its groups at test too: inference='sample'
    head=dict(pixel_centers=False))
