_base_ = ['../ifan/ifan_mini-sim2mini-city.py', '../_base_/methods/source-only.py']
default_hooks = _base_.launches
