# hands mirrored to right ones, which the network then need not tell apart
_base_ = ['../../../configs/lgh_upright_studiohand.py']

from lgh_mmpose.config import with_steps

train_pipeline = with_steps(_base_.train_pipeline, MirrorHands=None)
train_pipeline.insert(5, dict(type='CanonicalizeHandSide'))
val_pipeline = with_steps(_base_.val_pipeline, MirrorHands=None)
val_pipeline.insert(4, dict(type='CanonicalizeHandSide'))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
model = dict(head=dict(side_loss=None))
