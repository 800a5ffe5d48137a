# The network of the authors' release on StudioHand, for comparison with
# lgh_lite_studiohand.py.
_base_ = [
    './_base_/datasets/studiohand3d.py', './_base_/models/lgh_official.py',
    './_base_/schedules/muon_cosine.py'
]

from lgh_mmpose.config import with_codec

codec = dict(_base_.codec, input_size=(256, 256))

train_pipeline = with_codec(_base_.train_pipeline, codec)
val_pipeline = with_codec(_base_.val_pipeline, codec)
# small: where time is short, more steps beat larger ones
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader

model = dict(head=dict(decoder=codec))

optim_wrapper = dict(optimizer=dict(lr=4e-3))
auto_scale_lr = dict(base_batch_size=8)
