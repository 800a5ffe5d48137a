# The holistic baseline: one group, so nothing to select and nothing to fuse.
_base_ = ['./lgh_freihand.py']

model = dict(neck=dict(num_groups=1), head=dict(num_groups=1))
