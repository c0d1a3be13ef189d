_base_ = ['../ifan/ifan_vgg16_city2foggy.py', '../_base_/recipes/teacher_70k.py']
default_hooks = dict(teacher=_base_.averaging)
train_dataloader = _base_.strong_data
