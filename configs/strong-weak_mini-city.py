_base_ = './ifan_mini-city.py'
# Strong local, weak global, and their context (Saito et al., CVPR 2019).
model = dict(
    neck=dict(type='StrongWeakNeck', loss_weight=1.0, grl_weight=1.0),
    alignments=dict(_delete_=True),
    roi_head=dict(
        type='ContextRoIHead',
        bbox_head=dict(type='ContextBBoxHead', context_channels=160)))
default_hooks = dict(late_launch=dict(launch=dict(_delete_=True, image=200)))
