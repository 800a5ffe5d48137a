# What all 3D hand data sets share: joints, pipelines and loaders. The config
# of a data set adds its class, folder and splits, and what else is its own.

# joints by name, in the order of mmpose's own FreiHAND file, so that the data
# sets mix
codec = dict(
    type='Hand25DLabel',
    input_size=(256, 256),
    metainfo=dict(from_file='configs/_base_/datasets/freihand2d.py'),
    root_joint='middle_finger1',
    reference_bone=('middle_finger1', 'middle_finger2'))

meta_keys = ('id', 'img_id', 'img_path', 'ori_shape', 'img_shape',
             'input_size', 'input_center', 'input_scale', 'flip',
             'flip_direction', 'flip_indices', 'warp_mat', 'camera_matrix',
             'bone_length', 'root_depth', 'hand_side', 'keypoint_names',
             'dataset_name')

# the hand is a small part of the image: its box is cropped, with a margin
train_pipeline = [
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(
        type='FastRandomBBoxTransform',
        shift_factor=0.1,
        scale_factor=(0.8, 1.25),
        rotate_factor=90),
    dict(type='LoadHandImage', input_size=codec['input_size']),
    dict(type='TopdownAffineCamera', input_size=codec['input_size']),
    dict(type='CanonicalizeHandSide'),
    dict(type='FastPhotometricDistortion'),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackHandInputs', meta_keys=meta_keys)
]
val_pipeline = [
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='LoadHandImage', input_size=codec['input_size']),
    dict(type='TopdownAffineCamera', input_size=codec['input_size']),
    dict(type='CanonicalizeHandSide'),
    dict(type='PackHandInputs', meta_keys=meta_keys)
]

train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader

# hand/MPJPE, by which the best checkpoint is chosen, and hand/PA-MPJPE
val_evaluator = dict(type='HandKeypoint3DMetric', protocol='general')
test_evaluator = val_evaluator
