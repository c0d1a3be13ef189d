# For a small detector from ImageNet: AdamW learns in a thousand steps what SGD
# does not. Source alone first, so that there is something to align. The
# classifiers step faster than the detector, or they have nothing to tell it.
_base_ = '../default_runtime.py'
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1000, val_interval=1000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=8e-4, weight_decay=0.05, fused=True),
    paramwise_cfg=dict(
        custom_keys=dict(neck=dict(lr_mult=4.0), alignments=dict(lr_mult=4.0))
    ),
)
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.1, end=50),
    dict(type='CosineAnnealingLR', by_epoch=False, begin=50),
]
default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(interval=200),
    late_launch=dict(
        type='LateLaunchHook', launch=dict(image=200, instance=500, correlation=800)
    ),
)
auto_scale_lr = dict(enable=False, base_batch_size=4)
