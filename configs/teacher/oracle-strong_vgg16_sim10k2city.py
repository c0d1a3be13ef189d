_base_ = ['../oracle/oracle_vgg16_sim10k2city.py', '../_base_/recipes/teacher_70k.py']
default_hooks = dict(teacher=_base_.averaging)
train_dataloader = _base_.strong_data
