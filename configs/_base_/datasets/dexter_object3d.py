# to test only: finger tips, no root, no bone lengths
codec = dict(
    type='Hand25DLabel',
    input_size=(256, 256),
    metainfo=dict(from_file='configs/_base_/datasets/freihand2d.py'),
    root_joint='middle_finger1',
    reference_bone=('middle_finger1', 'middle_finger2'))

meta_keys = ('id', 'img_id', 'img_path', 'ori_shape', 'img_shape',
             'input_size', 'input_center', 'input_scale', 'flip',
             'flip_direction', 'flip_indices', 'warp_mat', 'camera_matrix',
             'bone_length', 'hand_side', 'keypoint_names', 'dataset_name')

# the box spans the tips alone: the margin takes in the palm
val_pipeline = [
    dict(type='GetBBoxCenterScale', padding=1.8),
    dict(type='LoadHandImage', input_size=codec['input_size']),
    dict(type='TopdownAffineCamera', input_size=codec['input_size']),
    dict(type='CanonicalizeHandSide'),
    dict(type='PackHandInputs', meta_keys=meta_keys)
]
test_dataloader = dict(
    batch_size=64,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='DexterObject3DDataset',
        data_root='data/dexter+object',
        # about the mean of three sample hands of RHD (34.6, 36.9, 36.8 mm);
        # distances, and so the scores, scale with it: take the mean of what
        # the model learned from
        bone_length=36.,
        pipeline=val_pipeline))

test_evaluator = dict(
    type='HandKeypoint3DMetric', protocol='dexter', prefix='dexter')
