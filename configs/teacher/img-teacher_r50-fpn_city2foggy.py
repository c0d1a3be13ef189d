_base_ = './ifan-teacher_r50-fpn_city2foggy.py'
default_hooks = _base_.img_teacher
