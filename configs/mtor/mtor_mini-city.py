_base_ = ['../ifan/ifan_mini-city.py', '../_base_/methods/mtor.py']
model = _base_.method
# A detector of a thousand steps is rarely as sure as one of 70,000.
model.alignments.mtor.update(num_regions=64, threshold=0.8)
# A teacher of a finished detector, and steps a tenth as long, as in the paper: from
# 200 on its student finds objects everywhere.
default_hooks = _base_.launches
default_hooks.late_launch.launch.mtor = 800
default_hooks.teacher.momentum = 0.01
train_dataloader = dict(
    dataset=dict(target=dict(pipeline=[_base_.load, _base_.flip, _base_.views]))
)
