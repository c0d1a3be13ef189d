_base_ = './ifan-teacher_r50-fpn_sim10k2city.py'
default_hooks = _base_.img_teacher
