# The network of the paper's RHD experiments, weight for weight as the authors
# released it, on their crop: hourglass backbone, biases before the batch
# norms, heat-map cells at their first pixel, images in [0, 1], joints in
# RHD's own order. tools/model_converters/convert_official_checkpoint.py
# converts the weights.
_base_ = [
    './_base_/datasets/rhd3d_official.py', './_base_/models/lgh_resnet50.py',
    './_base_/schedules/adamw_cosine.py'
]

metainfo = dict(from_file='configs/_base_/datasets/rhd2d.py')
codec = dict(_base_.codec, metainfo=metainfo)

train_pipeline = [
    dict(transform, encoder=codec) if 'encoder' in transform else transform
    for transform in _base_.train_pipeline
]
train_dataloader = dict(
    dataset=dict(metainfo=metainfo, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(metainfo=metainfo))
test_dataloader = val_dataloader

model = dict(
    data_preprocessor=dict(mean=[0, 0, 0], std=[255, 255, 255]),
    backbone=dict(_delete_=True, type='GeHourglass', num_joints=21),
    neck=dict(
        in_channels=(277, ), in_strides=(4, ), conv_bias=True, down_relu=True),
    # the release samples its groups at test too: inference='sample'
    # how it is trained is ours, the release has no training code
    head=dict(
        balance_loss_weight=0.,
        decoder=codec,
        pixel_centers=False,
        selector=dict(inference='argmax')),
    # the protocol of RHD gives it
    test_cfg=dict(root_depth='given'))
