_base_ = ['mmpose::_base_/default_runtime.py']

custom_imports = dict(imports=['lgh_mmpose'], allow_failed_imports=False)

default_hooks = dict(
    checkpoint=dict(
        interval=1, save_best='hand/MPJPE', rule='less', max_keep_ckpts=3),
    # for tools/test.py --badcase
    badcase=dict(metric=dict(type='L1Loss')))

custom_hooks = [
    dict(type='SyncBuffersHook'),
    # from nearly even mixing to nearly hard groups
    dict(type='ConcreteTemperatureHook', start=10., end=0.5, schedule='exp'),
    dict(type='NonFiniteLossHook'),
    # CPUs with AVX512 or AMX and GPUs with tensor cores are faster with it
    dict(type='ChannelsLastHook'),
    # saves a CPU a quarter of the time
    dict(type='KeepMemoryHook'),
]

# with several processes: gradients lie where they are exchanged
model_wrapper_cfg = dict(
    type='MMDistributedDataParallel',
    broadcast_buffers=False,
    gradient_as_bucket_view=True)
# all inputs have one size
env_cfg = dict(cudnn_benchmark=True)

visualizer = dict(
    _delete_=True,
    type='HandLocalVisualizer',
    vis_backends=[dict(type='LocalVisBackend')],
    name='visualizer')

# read by mmpose's inferencers
data_mode = 'topdown'

# each process draws its own groups and its own augmentation
randomness = dict(seed=0, diff_rank_seed=True)
