_base_ = './ifan-strong_r50-fpn_city2foggy.py'
model = dict(alignments=dict(teacher=dict(type='TeacherDistillation')))
default_hooks = _base_.ifan_teacher
train_dataloader = _base_.taught_data
