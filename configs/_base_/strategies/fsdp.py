# weights, gradients and optimizer state divided among the processes; for use
# with --launcher. See docs/training_speed.md.
runner_type = 'FlexibleRunner'

strategy = dict(
    type='FSDPStrategy',
    model_wrapper=dict(
        type='MMFullyShardedDataParallel',
        # gathers one part of the network at a time
        auto_wrap_policy=dict(
            type='backbone_wrap_policy', min_num_params=1000000),
        use_orig_params=True),
    # checkpoints like those of one process, written by the first
    state_dict_cfg='full')
