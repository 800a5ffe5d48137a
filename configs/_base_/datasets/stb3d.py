# joints come by name in FreiHAND's order, so that STB and others mix
_base_ = ['./freihand3d.py']

dataset_type = 'Stb3DDataset'
data_root = 'data/stb'  # with images/ and labels/

# the hand fills a small part of the image: its box is cropped, with a margin
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

# SK's colour camera, 15,000 + 3,000 images, as papers have it; for the stereo
# camera too add 'BB_left' and 'BB_right' to the cameras
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type=dataset_type,
        data_root=data_root,
        split='training',
        cameras=('SK_color', ),
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type=dataset_type,
        data_root=data_root,
        split='evaluation',
        cameras=('SK_color', ),
        test_mode=True,
        pipeline=val_pipeline))
test_dataloader = val_dataloader

# stb/* aligned at the wrist, as the script that published figures come from
val_evaluator = [
    dict(type='HandKeypoint3DMetric', protocol='general'),
    dict(type='HandKeypoint3DMetric', protocol='stb', prefix='stb')
]
test_evaluator = val_evaluator
