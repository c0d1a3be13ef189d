_base_ = ['../ifan/ifan_mini-city.py', '../_base_/recipes/teacher_mini.py']
train_cfg, param_scheduler = _base_.length, _base_.rates
default_hooks = dict(teacher=_base_.averaging, **_base_.ifan_strong)
train_dataloader = _base_.strong_data
