_base_ = ['../ifan/ifan_mini-city.py', '../_base_/methods/da-faster.py']
model = _base_.method
# At 1 the cross-entropy runs away within sixty iterations.
model.alignments.da_faster.grl_weight = 0.3
# From ImageNet, detection first.
default_hooks = dict(late_launch=dict(launch=dict(_delete_=True, da_faster=200)))
