# SynthHand's easy set in FreiHAND's layout: smaller images, all hands in the
# same pose towards the camera, so milder augmentation.
#   python tools/dataset_converters/make_synthhand.py data/synthhand \
#       --num-train 16000 --num-eval 500 --difficulty easy --size 128
_base_ = ['./freihand3d.py']

data_root = 'data/synthhand'
# where time is short, more samples at 96 px beat fewer at 128
codec = dict(_base_.codec, input_size=(96, 96))

train_pipeline = [
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(
        type='FastRandomBBoxTransform',
        shift_factor=0.05,
        scale_factor=(0.9, 1.1),
        rotate_factor=12),
    dict(type='LoadHandImage', input_size=codec['input_size']),
    dict(type='TopdownAffineCamera', input_size=codec['input_size']),
    dict(type='CanonicalizeHandSide'),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackHandInputs', meta_keys=_base_.meta_keys)
]
val_pipeline = [
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='LoadHandImage', input_size=codec['input_size']),
    dict(type='TopdownAffineCamera', input_size=codec['input_size']),
    dict(type='CanonicalizeHandSide'),
    dict(type='PackHandInputs', meta_keys=_base_.meta_keys)
]
train_dataloader = dict(
    batch_size=48, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=50, dataset=dict(data_root=data_root, pipeline=val_pipeline))
test_dataloader = val_dataloader
