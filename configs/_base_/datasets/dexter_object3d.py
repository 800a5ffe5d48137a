# to test only: finger tips, no root, no bone lengths
_base_ = ['./hand3d.py']

from lgh_mmpose.config import with_steps

meta_keys = tuple(key for key in _base_.meta_keys if key != 'root_depth')

# the box spans the tips alone: the margin takes in the palm
val_pipeline = with_steps(
    _base_.val_pipeline,
    GetBBoxCenterScale=dict(padding=1.8),
    PackHandInputs=dict(meta_keys=meta_keys))

train_pipeline = train_dataloader = None
val_dataloader = val_evaluator = None
test_dataloader = dict(
    dataset=dict(
        type='DexterObject3DDataset',
        data_root='data/dexter+object',
        # about the mean of three sample hands of RHD (34.6, 36.9, 36.8 mm);
        # distances, and so the scores, scale with it: take the mean of what
        # the model learned from
        bone_length=36.,
        pipeline=val_pipeline))

test_evaluator = dict(protocol='dexter', prefix='dexter')
