_base_ = ['../ifan/ifan_mini-city.py', '../_base_/methods/adda.py']
model = _base_.method
# From ImageNet, detection first.
default_hooks = dict(late_launch=dict(launch=dict(_delete_=True, adda=200)))
