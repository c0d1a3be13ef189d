_base_ = './ifan-strong_mini-city.py'
model = dict(alignments=dict(teacher=_base_.boxes_as_labels))
default_hooks = _base_.ifan_teacher
train_dataloader = _base_.taught_data
