_base_ = ['../ifan/ifan_vgg16_city2foggy.py', '../_base_/methods/select-align.py']
model = _base_.method
default_hooks = _base_.launches
