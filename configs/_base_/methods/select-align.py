# SelectAlign (SCDA; Zhu et al., CVPR 2019): regions of proposals, decoded into
# pictures and compared. The public code's size: four regions.
#
# A config of iFAN with one feature map becomes one of this method:
#
#     _base_ = ['IFAN_CONFIG.py', 'mmdet_ifan::_base_/methods/select-align.py']
#     model = _base_.method
#     default_hooks = _base_.launches
method = dict(
    neck=dict(_delete_=True, type='LastTap'),
    alignments=dict(_delete_=True, select_align=dict(type='SelectAlignHead')),
)
launches = dict(late_launch=dict(launch=dict(_delete_=True, select_align=0)))
