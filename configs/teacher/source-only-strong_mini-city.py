_base_ = ['./ifan-strong_mini-city.py', '../_base_/methods/source-only.py']
default_hooks = _base_.launches
