# Learnable joint groups on one's own hands, ResNet-50, 256x256. From images
# and a csv file to data/own/{training,evaluation}.json:
# docs/how_to/train_on_your_own_data.md.
_base_ = [
    './_base_/datasets/hand3d_json.py', './_base_/models/lgh_resnet50.py',
    './_base_/schedules/adamw_cosine.py'
]

model = dict(head=dict(decoder=_base_.codec))
