_base_ = ['./hand3d.py']

dataset_type = 'Stb3DDataset'
data_root = 'data/stb'  # with images/ and labels/

# SK's colour camera, 15,000 + 3,000 images, as papers have it; for the stereo
# camera too add 'BB_left' and 'BB_right' to the cameras
train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='training',
        cameras=('SK_color', )))
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='evaluation',
        cameras=('SK_color', ),
        test_mode=True))
test_dataloader = val_dataloader

# stb/* aligned at the wrist, as the script that published figures come from
val_evaluator = [
    _base_.val_evaluator,
    dict(type='HandKeypoint3DMetric', protocol='stb', prefix='stb')
]
test_evaluator = val_evaluator
