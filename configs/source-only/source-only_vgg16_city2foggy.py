_base_ = ['../ifan/ifan_vgg16_city2foggy.py', '../_base_/methods/source-only.py']
default_hooks = _base_.launches
