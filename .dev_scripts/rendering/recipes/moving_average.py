# the weights' exponential moving average is tested and kept
_base_ = ['../../../configs/lgh_upright_studiohand.py']

custom_hooks = [
    *_base_.custom_hooks,
    dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.002)
]
