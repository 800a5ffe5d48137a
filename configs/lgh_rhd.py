# Learnable joint groups on RHD, ResNet-50, 256x256, exact geometry. The
# paper's own network and crop: lgh_rhd_official.py.
# Get RHD v1.1 from https://lmb.informatik.uni-freiburg.de/resources/datasets/
# RenderedHandposeDataset.en.html and unpack RHD_published_v2 to data/rhd, or
# render a stand-in: make_studiohand.py data/studiohand_rhd --layout rhd.
_base_ = [
    './_base_/datasets/rhd3d.py', './_base_/models/lgh_resnet50.py',
    './_base_/schedules/adamw_cosine.py'
]

model = dict(
    head=dict(decoder=_base_.codec),
    # the protocol of RHD gives it
    test_cfg=dict(root_depth='given'))
