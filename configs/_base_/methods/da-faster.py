# DA-Faster (Chen et al., CVPR 2018): image level, instance level and their
# consistency.
#
# A config of iFAN with one feature map becomes one of this method:
#
#     _base_ = ['IFAN_CONFIG.py', 'mmdet_ifan::_base_/methods/da-faster.py']
#     model = _base_.method
#     default_hooks = _base_.launches
#
# With the small detector of Mini City and your own pair, whose optimiser is
# AdamW, a reversal weight of 1 diverges; 0.3 did not:
#
#     model.alignments.da_faster.grl_weight = 0.3
method = dict(
    neck=dict(_delete_=True, type='LastTap'),
    alignments=dict(_delete_=True, da_faster=dict(type='DAFasterHead')),
)
launches = dict(late_launch=dict(launch=dict(_delete_=True, da_faster=0)))
