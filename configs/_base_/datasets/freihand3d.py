_base_ = ['./hand3d.py']

from lgh_mmpose.config import with_steps

dataset_type = 'FreiHand3DDataset'
data_root = 'data/freihand'

# the hand fills the image, which is cropped as a whole
train_pipeline = with_steps(
    _base_.train_pipeline,
    GetBBoxCenterScale=dict(padding=1.0),
    FastRandomBBoxTransform=dict(scale_factor=(0.7, 1.1)))
val_pipeline = with_steps(
    _base_.val_pipeline, GetBBoxCenterScale=dict(padding=1.0))

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

# freihand/* as the data set's own script has it
val_evaluator = [
    _base_.val_evaluator,
    dict(type='HandKeypoint3DMetric', protocol='freihand', prefix='freihand')
]
test_evaluator = val_evaluator
