# Learnable joint groups on STB, ResNet-50, 256x256. Left hands, mirrored.
# Get the data from
# https://github.com/zhjwustc/icip17_stereo_hand_pose_dataset and unpack it to
# data/stb (folders images/ and labels/).
_base_ = [
    './_base_/datasets/stb3d.py', './_base_/models/lgh_resnet50.py',
    './_base_/schedules/adamw_cosine.py'
]

model = dict(
    head=dict(decoder=_base_.codec), test_cfg=dict(root_depth='given'))
