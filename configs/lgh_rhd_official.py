# The network of the paper's RHD experiments, weight for weight as the authors
# released it, on their crop, joints in RHD's own order.
# tools/model_converters/convert_official_checkpoint.py converts the weights.
_base_ = [
    './_base_/datasets/rhd3d_official.py', './_base_/models/lgh_official.py',
    './_base_/schedules/adamw_cosine.py'
]

from lgh_mmpose.config import with_codec

metainfo = dict(from_file='configs/_base_/datasets/rhd2d.py')
codec = dict(_base_.codec, metainfo=metainfo)

train_pipeline = with_codec(_base_.train_pipeline, codec)
train_dataloader = dict(
    dataset=dict(metainfo=metainfo, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(metainfo=metainfo))
test_dataloader = val_dataloader

model = dict(
    # how it is trained is ours, the release has no training code
    head=dict(balance_loss_weight=0., decoder=codec),
    # the protocol of RHD gives it
    test_cfg=dict(root_depth='given'))
