# The light network on SynthHand's easy set, rendered here. docs/lite.md.
_base_ = [
    './_base_/datasets/synthhand3d.py', './_base_/models/lgh_lite.py',
    './_base_/schedules/muon_cosine.py'
]

model = dict(head=dict(decoder=_base_.codec))
