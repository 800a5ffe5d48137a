# The config of the plans in this folder and of their results: those of
# SynthHand's easy set, the data set before StudioHand, which this version
# renders no more (docs/ablations.md tells where from). Not to be changed: the
# results would not count any more.
_base_ = [
    '../_base_/datasets/freihand3d.py', '../_base_/models/lgh_lite.py',
    '../_base_/schedules/muon_cosine.py'
]

from lgh_mmpose.config import with_codec, with_steps

data_root = 'data/synthhand'
codec = dict(_base_.codec, input_size=(96, 96))

train_pipeline = with_steps(
    with_codec(_base_.train_pipeline, codec),
    FastRandomBBoxTransform=dict(
        shift_factor=0.05, scale_factor=(0.9, 1.1), rotate_factor=12),
    FastPhotometricDistortion=None)
val_pipeline = with_codec(_base_.val_pipeline, codec)
train_dataloader = dict(
    batch_size=48, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=50, dataset=dict(data_root=data_root, pipeline=val_pipeline))
test_dataloader = val_dataloader

model = dict(head=dict(decoder=codec))
