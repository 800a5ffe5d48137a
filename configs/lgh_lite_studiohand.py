# The light network on StudioHand, rendered here, at the input size that it has
# on FreiHAND.
_base_ = ['./lgh_studiohand.py']

from lgh_mmpose.config import with_codec

codec = dict(_base_.codec, input_size=(128, 128))
train_pipeline = with_codec(_base_.train_pipeline, codec)
val_pipeline = with_codec(_base_.val_pipeline, codec)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader

model = dict(head=dict(decoder=codec))
