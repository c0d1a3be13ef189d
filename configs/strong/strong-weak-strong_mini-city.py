_base_ = ['../strong-weak_mini-city.py', '../_base_/recipes/strong.py']
default_hooks = {{_base_.strong_hooks}}
train_dataloader = {{_base_.strong_dataloader}}
