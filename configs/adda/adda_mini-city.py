_base_ = ['../ifan/ifan_mini-city.py', '../_base_/methods/adda.py']
model = _base_.method
# At a reversal weight of 1, or with a classifier four times as fast as the
# detector, it diverges or does more harm (docs/lab/mini_city.md).
model.alignments.adda.grl_weight = 0.3
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(alignments=dict(lr_mult=1.0))))
# From ImageNet, detection first.
default_hooks = dict(late_launch=dict(launch=dict(_delete_=True, adda=200)))
