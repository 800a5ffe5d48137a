# The network of lgh_freihand.py on SynthHand's easy set at 96x96, for
# comparison: docs/lite.md.
_base_ = [
    './_base_/datasets/synthhand3d.py', './_base_/models/lgh_resnet50.py',
    './_base_/schedules/muon_cosine.py'
]

# small: where time is short, more steps beat larger ones
train_dataloader = dict(batch_size=16)

model = dict(head=dict(decoder=_base_.codec))

# that of lgh_freihand.py: a step of ConvMuon for 25 M parameters takes longer
# than forward and backward pass of so small a batch
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True, type='AdamW', lr=5e-4, weight_decay=1e-3, fused=True))
auto_scale_lr = dict(base_batch_size=16)
