# From the detector that source-only has trained.
_base_ = ['../ifan/ifan_r50-dc5_sim10k2city.py', '../_base_/methods/mtor.py']
model = _base_.method
model.alignments.mtor.update(threshold=0.97, inter_weight=1.0, intra_weight=1.0)
default_hooks = _base_.launches
train_dataloader = dict(
    dataset=dict(
        target=dict(pipeline=[_base_.load, _base_.resize, _base_.flip, _base_.views])
    )
)
load_from = 'work_dirs/source-only_r50-dc5_sim10k2city/iter_70000.pth'
train_cfg = dict(max_iters=30000)
optim_wrapper = dict(optimizer=dict(lr=0.0001))
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=False, milestones=[18000, 24000], gamma=0.1)
]
