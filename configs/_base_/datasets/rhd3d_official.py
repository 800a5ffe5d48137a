# RHD as the authors' release crops it, shear of left hands included; for
# comparison with the published scores. See docs/rhd.md.
_base_ = ['./rhd3d.py']

official_crop = [
    dict(type='OfficialRhdCrop', input_size=_base_.codec.input_size)
]
train_pipeline = [
    dict(type='LoadHandImage'), *official_crop,
    dict(type='FastPhotometricDistortion'),
    dict(type='GenerateTarget', encoder=_base_.codec),
    dict(type='PackHandInputs', meta_keys=_base_.meta_keys)
]
val_pipeline = [
    dict(type='LoadHandImage'), *official_crop,
    dict(type='PackHandInputs', meta_keys=_base_.meta_keys)
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
