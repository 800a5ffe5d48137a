# One stack of mmpose's hourglass: one output of stride 4, nothing to merge.
_base_ = ['./lgh_freihand.py']

model = dict(
    backbone=dict(_delete_=True, type='HourglassNet', num_stacks=1),
    neck=dict(in_channels=(256, ), in_strides=(4, )))

# for distributed training: this backbone has layers that no output uses
find_unused_parameters = True
