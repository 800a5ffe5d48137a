dataset_type = 'FreiHand3DDataset'
data_root = 'data/freihand'

# joints by name; metainfo is mmpose's own FreiHAND file
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

train_pipeline = [
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(
        type='FastRandomBBoxTransform',
        shift_factor=0.1,
        scale_factor=(0.7, 1.1),
        rotate_factor=90),
    dict(type='LoadHandImage', input_size=codec['input_size']),
    dict(type='TopdownAffineCamera', input_size=codec['input_size']),
    dict(type='CanonicalizeHandSide'),
    dict(type='FastPhotometricDistortion'),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackHandInputs', meta_keys=meta_keys)
]
val_pipeline = [
    dict(type='GetBBoxCenterScale', padding=1.0),
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
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='training',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='evaluation',
        test_mode=True,
        pipeline=val_pipeline))
test_dataloader = val_dataloader

# hand/MPJPE and hand/PA-MPJPE; freihand/* as the data set's own script has it
val_evaluator = [
    dict(type='HandKeypoint3DMetric', protocol='general'),
    dict(type='HandKeypoint3DMetric', protocol='freihand', prefix='freihand')
]
test_evaluator = val_evaluator
