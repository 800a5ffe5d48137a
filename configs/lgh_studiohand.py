# Learnable joint groups on StudioHand, the data set this package renders
# itself, in minutes on two CPU cores (`make demo`). Beside lgh_freihand.py
# only data, size and schedule with its optimizer differ:
#   python tools/dataset_converters/make_studiohand.py data/studiohand \
#       --num-train 16000 --num-eval 500 --size 128
_base_ = [
    './_base_/datasets/studiohand3d.py', './_base_/models/lgh_lite.py',
    './_base_/schedules/muon_cosine.py'
]

model = dict(head=dict(decoder=_base_.codec))
