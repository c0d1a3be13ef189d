_base_ = ['../ifan/ifan_mini-city.py', '../_base_/methods/strong-weak.py']
model = _base_.method
model.roi_head.bbox_head.context_channels = 160
# From ImageNet, detection first.
default_hooks = dict(late_launch=dict(launch=dict(_delete_=True, image=200)))
