_base_ = './ifan-teacher_vgg16_sim10k2city.py'
default_hooks = _base_.teacher_alone
