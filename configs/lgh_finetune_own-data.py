# The network that ships with the package, trained on with one's own hands: the
# layers, crops and input of lgh_hands_studiohand.py, from its weights, at a
# third of its learning rate. The data are those of lgh_own-data.py:
# docs/how_to/train_on_your_own_data.md.
_base_ = ['./lgh_hands_studiohand.py']

load_from = 'lgh_mmpose://hand_pose'
max_epochs = 10

# all weights are in load_from
model = dict(backbone=dict(init_cfg=None))

dataset_type = 'Hand3DJsonDataset'
data_root = 'data/own'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type=dataset_type,
        data_root=data_root,
        ann_file='training.json',
        bbox_mode='keypoints',
        pipeline=_base_.train_pipeline))
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type=dataset_type,
        data_root=data_root,
        ann_file='evaluation.json',
        bbox_mode='keypoints',
        test_mode=True,
        pipeline=_base_.val_pipeline))
test_dataloader = val_dataloader
val_evaluator = [dict(type='HandKeypoint3DMetric', protocol='general')]
test_evaluator = val_evaluator

train_cfg = dict(max_epochs=max_epochs, val_interval=1)
optim_wrapper = dict(optimizer=dict(lr=1.5e-3))
# without a warm-up, which would outlast an epoch of few images
param_scheduler = [_base_.param_scheduler[1]]
# the groups are found: the temperature is that which the training ended with
custom_hooks = [
    dict(type='ConcreteTemperatureHook', start=.5)
    if hook.type == 'ConcreteTemperatureHook' else hook
    for hook in _base_.custom_hooks
]
