_base_ = ['./freihand3d.py']

dataset_type = 'Hand3DJsonDataset'
data_root = 'data/own'  # see docs/own_data.md

# the annotated box is cropped, with a margin
train_pipeline = [
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(
        type='FastRandomBBoxTransform',
        shift_factor=0.1,
        scale_factor=(0.8, 1.25),
        rotate_factor=90), *_base_.train_pipeline[2:]
]
val_pipeline = [
    dict(type='GetBBoxCenterScale', padding=1.25), *_base_.val_pipeline[1:]
]

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type=dataset_type,
        data_root=data_root,
        ann_file='training.json',
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type=dataset_type,
        data_root=data_root,
        ann_file='evaluation.json',
        test_mode=True,
        pipeline=val_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(
    _delete_=True, type='HandKeypoint3DMetric', protocol='general')
test_evaluator = val_evaluator
