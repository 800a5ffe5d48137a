# builds on the runtime, whose train_cfg it completes
_base_ = ['../default_runtime.py']

max_epochs = 50

train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=1)

optim_wrapper = dict(
    # bf16 where the CPU computes it and there is no GPU; --amp and --no-amp
    # of tools/train.py decide otherwise
    type='Bf16OptimWrapper',
    enabled='auto',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-3, fused=True),
    # the selector needs a far higher rate: at x1 its logits stay where the
    # first noise put them, and nothing is grouped
    paramwise_cfg=dict(
        custom_keys={'head.selector': dict(lr_mult=20.0, decay_mult=0.0)}))

# the cosine ends with the training: its end is left to the runner
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=500),
    dict(
        type='CosineAnnealingLR',
        eta_min_ratio=0.01,
        begin=0,
        by_epoch=True,
        convert_to_iter_based=True)
]

auto_scale_lr = dict(base_batch_size=64)
