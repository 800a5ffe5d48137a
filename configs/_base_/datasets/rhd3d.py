# joints come by name in FreiHAND's order, so that RHD and FreiHAND mix
_base_ = ['./freihand3d.py']

dataset_type = 'Rhd3DDataset'
data_root = 'data/rhd'  # RHD_published_v2

# the hand is a small part of the image, so its box is cropped; the box is of
# the joints in sight, so the margin leaves room for the others
train_pipeline = [
    dict(type='GetBBoxCenterScale', padding=1.5),
    dict(
        type='FastRandomBBoxTransform',
        shift_factor=0.1,
        scale_factor=(0.8, 1.25),
        rotate_factor=90), *_base_.train_pipeline[2:]
]
val_pipeline = [
    dict(type='GetBBoxCenterScale', padding=1.5), *_base_.val_pipeline[1:]
]

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type=dataset_type,
        data_root=data_root,
        split='training',
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type=dataset_type,
        data_root=data_root,
        split='evaluation',
        test_mode=True,
        pipeline=val_pipeline))
test_dataloader = val_dataloader

# hand/MPJPE and hand/PA-MPJPE; rhd/* by the paper's protocol, for which the
# model takes the root's depth from the annotation
val_evaluator = [
    dict(type='HandKeypoint3DMetric', protocol='general'),
    dict(type='HandKeypoint3DMetric', protocol='rhd', prefix='rhd')
]
test_evaluator = val_evaluator
