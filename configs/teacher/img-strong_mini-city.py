_base_ = './ifan-strong_mini-city.py'
default_hooks = _base_.img_strong
