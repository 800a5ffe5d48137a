# One stack of mmpose's hourglass: one output of stride 4, nothing to merge.
_base_ = ['./lgh_freihand.py']

model = dict(
    backbone=dict(_delete_=True, type='HourglassNet', num_stacks=1),
    neck=dict(in_channels=(256, ), in_strides=(4, )))

# with several processes: this backbone has layers that no output uses
model_wrapper_cfg = dict(find_unused_parameters=True)
