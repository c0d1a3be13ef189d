_base_ = ['../ifan/ifan_vgg16_sim10k2city.py', '../_base_/methods/select-align.py']
model = _base_.method
default_hooks = _base_.launches
