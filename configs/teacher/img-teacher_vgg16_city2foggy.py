_base_ = './ifan-teacher_vgg16_city2foggy.py'
default_hooks = _base_.img_teacher
