_base_ = ['./hand3d.py']

from lgh_mmpose.config import with_steps

dataset_type = 'Rhd3DDataset'
data_root = 'data/rhd'  # RHD_published_v2

# the box is of the joints in sight, so the margin leaves room for the others
train_pipeline = with_steps(
    _base_.train_pipeline, GetBBoxCenterScale=dict(padding=1.5))
val_pipeline = with_steps(
    _base_.val_pipeline, GetBBoxCenterScale=dict(padding=1.5))

train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='training',
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='evaluation',
        test_mode=True,
        pipeline=val_pipeline))
test_dataloader = val_dataloader

# rhd/* by the paper's protocol, for which the model takes the root's depth
# from the annotation
val_evaluator = [
    _base_.val_evaluator,
    dict(type='HandKeypoint3DMetric', protocol='rhd', prefix='rhd')
]
test_evaluator = val_evaluator
