# From the detector that source-only has trained.
_base_ = ['../ifan/ifan_r50-dc5_city2foggy.py', '../_base_/methods/mtor.py']
model = _base_.method
default_hooks = _base_.launches
default_hooks.teacher.momentum = 0.01
train_dataloader = dict(
    dataset=dict(
        target=dict(pipeline=[_base_.load, _base_.resize, _base_.flip, _base_.views])
    )
)
load_from = 'work_dirs/source-only_r50-dc5_city2foggy/iter_70000.pth'
# The public code's ten epochs.
train_cfg = dict(max_iters=30000)
optim_wrapper = dict(optimizer=dict(lr=0.0001))
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=False, milestones=[18000, 24000], gamma=0.1)
]
