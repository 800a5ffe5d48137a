# The light network on FreiHAND v2, 128x128: how it was chosen and what it
# costs is in docs/lite.md. Data as for lgh_freihand.py.
_base_ = [
    './_base_/datasets/freihand3d.py', './_base_/models/lgh_lite.py',
    './_base_/schedules/adamw_cosine.py'
]

from lgh_mmpose.config import with_codec

codec = dict(_base_.codec, input_size=(128, 128))

train_pipeline = with_codec(_base_.train_pipeline, codec)
val_pipeline = with_codec(_base_.val_pipeline, codec)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader

model = dict(head=dict(decoder=codec))
