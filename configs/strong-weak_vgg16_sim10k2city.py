_base_ = './ifan_vgg16_sim10k2city.py'
# Strong local, weak global, and their context (Saito et al., CVPR 2019), whose
# code weighs the whole term by 0.1 on this pair, and on no other.
model = dict(
    neck=dict(type='StrongWeakNeck', loss_weight=0.1, grl_weight=1.0),
    alignments=dict(_delete_=True),
    roi_head=dict(
        type='ContextRoIHead',
        bbox_head=dict(type='ContextBBoxHead', context_channels=256)))
default_hooks = dict(late_launch=dict(launch=dict(_delete_=True, image=0)))
