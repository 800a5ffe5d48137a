# The network of lgh_freihand.py on StudioHand at 96x96, for comparison.
_base_ = [
    './_base_/datasets/studiohand3d.py', './_base_/models/lgh_resnet50.py',
    './_base_/schedules/muon_cosine.py'
]

# small, so that a short training has steps enough; not searched
train_dataloader = dict(batch_size=16)

model = dict(head=dict(decoder=_base_.codec))

# AdamW, as lgh_freihand.py has: with its 25 M parameters and batches so small
# a step of ConvMuon takes about twice as long
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True, type='AdamW', lr=5e-4, weight_decay=1e-3, fused=True))
auto_scale_lr = dict(base_batch_size=16)
