# The paper's schedule: SGD, 50k iterations at 0.001 and 20k at 0.0001, one
# source and one target image a step. The alignments start one after the
# other.
_base_ = '../default_runtime.py'
train_cfg = dict(type='IterBasedTrainLoop', max_iters=70000, val_interval=5000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.001, momentum=0.9, weight_decay=5e-4),
)
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=False, milestones=[50000], gamma=0.1)
]
default_hooks = dict(
    late_launch=dict(
        type='LateLaunchHook', launch=dict(image=0, instance=30000, correlation=50000)
    )
)
auto_scale_lr = dict(enable=False, base_batch_size=1)
