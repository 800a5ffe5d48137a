# Learnable joint groups on FreiHAND v2, ResNet-50, 256x256.
# Get the data from https://lmb.informatik.uni-freiburg.de/projects/freihand/
# and unpack it to data/freihand (folders training/ and evaluation/).
_base_ = [
    './_base_/datasets/freihand3d.py', './_base_/models/lgh_resnet50.py',
    './_base_/schedules/adamw_cosine.py'
]

model = dict(head=dict(decoder=_base_.codec))
