# Learnable joint groups that see hands of both sides, turned so that they
# point up, and tell the side. Beside lgh_studiohand.py only the crop and the
# layers for the side differ.
_base_ = ['./lgh_studiohand.py']

from lgh_mmpose.config import with_steps

# the box of the joints, with a margin for the flesh round them
padding = 1.4
turn_upright = dict(type='TurnUpright')

train_pipeline = with_steps(
    _base_.train_pipeline,
    GetBBoxCenterScale=dict(padding=padding),
    # what detectors err
    FastRandomBBoxTransform=dict(
        shift_factor=0.1, scale_factor=(0.8, 1.25), rotate_factor=30),
    CanonicalizeHandSide=dict(type='MirrorHands'))
train_pipeline.insert(2, turn_upright)
val_pipeline = with_steps(
    _base_.val_pipeline,
    GetBBoxCenterScale=dict(padding=padding),
    CanonicalizeHandSide=dict(type='MirrorHands', by_id=True))
val_pipeline.insert(1, turn_upright)

train_dataloader = dict(
    dataset=dict(bbox_mode='keypoints', pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(bbox_mode='keypoints', pipeline=val_pipeline))
test_dataloader = val_dataloader

model = dict(head=dict(side_loss=dict(type='BCELoss', loss_weight=0.1)))
