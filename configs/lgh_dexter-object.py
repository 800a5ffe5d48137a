# Tests a model such as lgh_rhd.py's on Dexter+Object; there is nothing to
# train on. Get the data from https://handtracker.mpi-inf.mpg.de/projects/
# RealtimeHO/dexter+object.htm and unpack it to data/dexter+object.
_base_ = [
    './_base_/datasets/dexter_object3d.py', './_base_/models/lgh_resnet50.py',
    './_base_/default_runtime.py'
]

train_cfg = None
val_cfg = None

# the root's depth is not known: solved from the assumed bone length
model = dict(
    head=dict(decoder=_base_.codec), test_cfg=dict(root_depth='solved'))
