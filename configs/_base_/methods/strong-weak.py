# Strong-Weak (Saito et al., CVPR 2019): strong local, weak global, and their
# context. Its code weighs the whole term by 0.1 on SIM10K alone.
#
# A config of iFAN with one feature map becomes one of this method:
#
#     _base_ = ['IFAN_CONFIG.py', 'mmdet_ifan::_base_/methods/strong-weak.py']
#     model = _base_.method
#     default_hooks = _base_.launches
method = dict(
    neck=dict(type='StrongWeakNeck', loss_weight=1.0, grl_weight=1.0),
    alignments=dict(_delete_=True),
    roi_head=dict(
        type='ContextRoIHead',
        bbox_head=dict(type='ContextBBoxHead', context_channels=256),
    ),
)
launches = dict(late_launch=dict(launch=dict(_delete_=True, image=0)))
