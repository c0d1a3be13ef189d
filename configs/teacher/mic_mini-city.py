_base_ = ['./ifan-teacher_mini-city.py', '../_base_/methods/da-faster.py']
# MIC on top of DA-Faster: hard labels weighted by scores, in a masked view.
model = _base_.method
model.alignments.da_faster.grl_weight = 0.3
model.alignments.teacher = dict(
    _base_.boxes_as_labels, box_losses=False, weight_by_score=True
)
default_hooks = _base_.launches
default_hooks.late_launch.launch.update(da_faster=1000, teacher=1600)
train_dataloader = _base_.masked_data
