# ADDA (Tzeng et al., CVPR 2017): one global domain classifier on the last
# tap.
#
# A config of iFAN with one feature map becomes one of this method:
#
#     _base_ = ['IFAN_CONFIG.py', 'mmdet_ifan::_base_/methods/adda.py']
#     model = _base_.method
#     default_hooks = _base_.launches
method = dict(
    neck=dict(_delete_=True, type='LastTap'),
    alignments=dict(_delete_=True, adda=dict(type='GlobalDomainHead')),
)
launches = dict(late_launch=dict(launch=dict(_delete_=True, adda=0)))
