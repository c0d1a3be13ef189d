_base_ = './ifan-teacher_mini-city.py'
default_hooks = _base_.teacher_alone
